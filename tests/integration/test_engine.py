"""Units of work lose nothing and types survive the round trip, on SQLite and on PostgreSQL."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import BigInteger, Column, Connection, ForeignKey, Integer, MetaData, String, Table, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from storage import engine
from storage.engine import Database, DatabaseError, choose_journal, insert_ignore, open_database, upsert
from storage.types import Json, Utc

metadata = MetaData()
counters = Table(
    "counters", metadata, Column("name", String(20), primary_key=True), Column("value", BigInteger, nullable=False)
)
things = Table(
    "things",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("at", Utc),
    Column("body", Json),
)
parts = Table("parts", metadata, Column("thing_id", ForeignKey("things.id"), primary_key=True))


@pytest.fixture
def db(empty_database: Database) -> Database:
    with empty_database.write() as connection:
        metadata.create_all(connection)
    return empty_database


def add_one(connection: Connection) -> None:
    value = connection.execute(select(counters.c.value).with_for_update()).scalar_one()
    connection.execute(update(counters).values(value=value + 1))


def test_six_writers_lose_nothing(db: Database) -> None:
    with db.write() as connection:
        connection.execute(counters.insert().values(name="n", value=0))

    def work() -> None:
        for _ in range(100):
            with db.write() as connection:
                add_one(connection)

    with ThreadPoolExecutor(6) as threads:
        for future in [threads.submit(work) for _ in range(6)]:
            future.result()
    with db.read() as connection:
        assert connection.scalar(select(counters.c.value)) == 600


def test_a_failed_unit_leaves_nothing(db: Database) -> None:
    def work() -> None:
        with db.write() as connection:
            connection.execute(counters.insert().values(name="n", value=0))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    with db.read() as connection:
        assert connection.scalar(select(counters.c.value)) is None


def test_part_of_a_unit_can_be_taken_back(db: Database) -> None:
    with db.write() as connection:
        connection.execute(counters.insert().values(name="kept", value=0))
        with pytest.raises(IntegrityError), connection.begin_nested():
            connection.execute(counters.insert().values(name="kept", value=1))
    with db.read() as connection:
        assert connection.scalar(select(counters.c.value)) == 0


def test_a_read_cannot_write(db: Database) -> None:
    with pytest.raises(DBAPIError), db.read() as connection:
        connection.execute(counters.insert().values(name="n", value=0))
    with db.write() as connection:  # the same connection comes back from the pool, able to write again
        connection.execute(counters.insert().values(name="n", value=0))


def test_a_read_sees_one_snapshot(db: Database) -> None:
    with db.write() as connection:
        connection.execute(counters.insert().values(name="n", value=0))

    def write() -> None:
        with db.write() as connection:
            add_one(connection)

    with ThreadPoolExecutor(1) as thread, db.read() as connection:
        before = connection.scalar(select(counters.c.value))
        written = thread.submit(write)
        if db.dialect == "postgresql":
            written.result()  # SQLite without WAL lets the writer wait for us
        assert connection.scalar(select(counters.c.value)) == before


def test_a_write_inside_a_unit_is_refused_at_once(db: Database) -> None:
    with db.read(), pytest.raises(RuntimeError, match="inside another unit"), db.write():
        pass
    with db.write():
        pass


def test_references_hold(db: Database) -> None:
    with pytest.raises(IntegrityError), db.write() as connection:
        connection.execute(parts.insert().values(thing_id=1))


@pytest.mark.parametrize(
    "instant",
    [
        datetime(2026, 11, 3, 23, 59, 59, 123456, tzinfo=UTC),
        datetime(2026, 11, 3, 23, 59, 59, tzinfo=timezone(timedelta(hours=-7))),
    ],
)
def test_instants_come_back_in_utc(db: Database, instant: datetime) -> None:
    with db.write() as connection:
        connection.execute(things.insert().values(id=1, version=1, at=instant))
        connection.execute(things.insert().values(id=2, version=1, at=None))
    with db.read() as connection:
        back = connection.scalar(select(things.c.at).where(things.c.at == instant))
        assert connection.scalar(select(things.c.at).where(things.c.id == 2)) is None
        assert connection.scalar(select(things.c.id).where(things.c.at < instant)) is None
    assert back == instant
    assert back is not None
    assert back.tzinfo is UTC


def test_an_instant_without_a_zone_is_refused(db: Database) -> None:
    with pytest.raises(StatementError, match="no time zone"), db.write() as connection:
        connection.execute(things.insert().values(id=1, version=1, at=datetime(2026, 11, 3)))  # noqa: DTZ001


def test_json_has_no_floats_and_no_order(db: Database) -> None:
    body = {"b": Decimal("12.50"), "a": [None, True, "ü\0", 9_007_199_254_740_993]}
    with db.write() as connection:
        connection.execute(things.insert().values(id=1, version=1, body=body))
        connection.execute(things.insert().values(id=2, version=1, body=dict(reversed(body.items()))))
    with db.read() as connection:
        back = connection.scalars(select(things.c.body).where(things.c.body == body)).all()
    assert back == [body, body]
    assert str(back[0]["b"]) == "12.50"


def row(id: int, version: int, body: object = None) -> dict[str, object]:  # noqa: A002
    return {"id": id, "version": version, "body": body}


def test_upsert_refuses_what_is_older(db: Database) -> None:
    def put(*rows: dict[str, object]) -> int:
        return upsert(connection, things, rows, ["id"], where=lambda new: things.c.version <= new.version)

    with db.write() as connection:
        assert put(row(1, 1, "old"), row(2, 5, "kept")) == 2
        assert put(row(1, 2, "new"), row(2, 4, "stale"), row(3, 1, "first"), row(3, 1, "second")) == 3
        assert put() == 0
    with db.read() as connection:
        found = connection.execute(select(things.c.id, things.c.body).order_by(things.c.id)).all()
    assert found == [(1, "new"), (2, "kept"), (3, "second")]


def test_upsert_changes_only_the_columns_named(db: Database) -> None:
    with db.write() as connection:
        upsert(connection, things, [row(1, 1, "body")], ["id"])
        upsert(connection, things, [row(1, 2, "other")], ["id"], ["version"])
        assert connection.execute(select(things.c.version, things.c.body)).one() == (2, "body")


def test_insert_ignore_counts_the_new_rows(db: Database) -> None:
    with db.write() as connection:
        assert insert_ignore(connection, things, [row(1, 1), row(2, 1)]) == 2
        assert insert_ignore(connection, things, [row(2, 9), row(3, 1), row(3, 1), row(4, 1)]) == 2
        assert insert_ignore(connection, things, [row(4, 1)]) == 0
        assert insert_ignore(connection, things, []) == 0
        assert connection.scalar(select(things.c.version).where(things.c.id == 2)) == 1


def test_large_batches(db: Database) -> None:
    with db.write() as connection:
        assert upsert(connection, things, [row(number, 1, {"n": number}) for number in range(10_000)], ["id"]) == 10_000


def test_it_says_what_it_is(db: Database) -> None:
    said = db.describe()
    assert said["dialect"] == db.dialect
    if db.dialect == "sqlite":
        assert said["journal_mode"] == choose_journal().mode.lower()
        assert sqlite3.sqlite_version in said["why"]


def test_wal_only_where_it_is_safe() -> None:
    assert choose_journal((3, 51, 2)).mode == "TRUNCATE"
    assert choose_journal((3, 51, 3)).mode == "WAL"
    assert choose_journal((4, 0, 0)).mode == "WAL"


def test_the_same_file_under_wal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "choose_journal", lambda: choose_journal((3, 51, 3)))
    with ThreadPoolExecutor(6) as threads:  # each switches the new file to WAL, or waits for the one that does
        opened = [threads.submit(open_database, None, data_dir=tmp_path / "new") for _ in range(6)]
    database, *others = [future.result() for future in opened]
    for other in others:
        other.close()
    assert database.describe()["journal_mode"] == "wal"
    test_six_writers_lose_nothing(create(database))
    database.close()


def create(database: Database) -> Database:
    with database.write() as connection:
        metadata.create_all(connection)
    return database


@pytest.mark.parametrize(
    "url", ["mysql://root@localhost/x", "sqlite://", "not an address", "postgresql+psycopg2://h/x"]
)
def test_other_databases_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(DatabaseError):
        open_database(url, data_dir=tmp_path)


def test_errors_and_descriptions_hold_no_password(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError) as raised:
        open_database("postgres://me:hunter2@127.0.0.1:1/none", data_dir=tmp_path)
    assert "hunter2" not in str(raised.value)
    assert raised.value.__suppress_context__


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "tieout.db").write_bytes(b"not a database" * 100)
    with pytest.raises(DatabaseError, match="not a database"):
        open_database(None, data_dir=tmp_path)
