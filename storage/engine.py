"""The database: one SQLite file, or PostgreSQL. Every unit of work is a `read()` or a `write()`.

SQLite by itself loses updates: two connections read, both write, the later one wins. So a write unit takes the
writer's lock before it reads (BEGIN IMMEDIATE), and a read unit cannot write. On PostgreSQL a write unit is READ
COMMITTED: lock what you read and then change, by `with_for_update()` or by a conditional UPDATE.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, CursorResult, Engine, Table, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

FILE_NAME = "tieout.db"
CONNECT_TIMEOUT_S = 10
BUSY_TIMEOUT_S = 30  # without WAL a commit waits for readers: longer than a large company takes to read
RECYCLED_S = 600
WAL_SAFE_SINCE = (3, 51, 3)  # earlier SQLite can corrupt a WAL file that several connections use (its WAL-reset bug)

Where = Callable[[Any], ColumnElement[bool]]


class DatabaseError(Exception):
    """The database cannot be used; the message says what a person can do about it. It never holds a password."""


@dataclass(frozen=True, slots=True)
class Journal:
    """How SQLite keeps a commit whole."""

    mode: str
    reason: str


class _Held(threading.local):
    """Whether this thread is inside a unit of work."""

    units = 0


@dataclass(frozen=True)
class Database:
    """Units of work on one database. Share it between threads, not between processes."""

    engine: Engine
    url: str = field(repr=False)  # with the password: for child processes, never for the eye
    _held: _Held = field(default_factory=_Held, repr=False)

    @property
    def dialect(self) -> str:
        return self.engine.dialect.name

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent snapshot, read only. Keep it short: on SQLite without WAL a commit waits for it."""
        with self._unit(isolation_level="REPEATABLE READ", postgresql_readonly=True) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: commits at the end, rolls back on an exception, retries nothing."""
        if self._held.units:
            raise RuntimeError("write() inside another unit of work would wait for itself; close that one first.")
        with self._unit(writes=True) as connection:
            yield connection

    @contextmanager
    def _unit(self, **options: Any) -> Iterator[Connection]:
        if self.dialect == "sqlite":
            options.pop("isolation_level", None)  # BEGIN is written by us, see _begin
        self._held.units += 1
        try:
            with self.engine.connect() as connection:
                connection.execution_options(**options)
                with connection.begin():
                    yield connection
        finally:
            self._held.units -= 1

    def describe(self) -> dict[str, str]:
        """What `tieout status` says about the database."""
        shown = {"dialect": self.dialect, "where": self.engine.url.render_as_string(hide_password=True)}
        with self.read() as connection:
            if self.dialect == "postgresql":
                return shown | {"version": str(connection.scalar(text("SHOW server_version")))}
            return shown | {
                "version": sqlite3.sqlite_version,
                "journal_mode": str(connection.scalar(text("PRAGMA journal_mode"))),
                "why": choose_journal().reason,
            }

    def close(self) -> None:
        self.engine.dispose()


class Rehearsal(Database):
    """Units of work inside one transaction that is never committed: what is done here, nobody else ever sees."""

    _connection: Connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        yield self._connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with self._connection.begin_nested():
            yield self._connection


@contextmanager
def rehearse(database: Database) -> Iterator[Database]:
    """The same database for a trial. On SQLite nobody else writes until it ends: keep it short."""

    class _EndError(Exception):
        """Rolls everything back."""

    trial = Rehearsal(database.engine, database.url)
    try:
        with database.write() as connection:
            object.__setattr__(trial, "_connection", connection)
            if database.dialect == "sqlite":  # else what does not fit into its cache would keep readers out as well
                connection.exec_driver_sql("PRAGMA cache_spill=OFF")
            try:
                yield trial
            finally:
                if database.dialect == "sqlite":
                    connection.exec_driver_sql("PRAGMA cache_spill=ON")
            raise _EndError
    except _EndError:
        return


def open_database(url: str | None, *, data_dir: Path) -> Database:
    """The database at `url` (postgres://, postgresql:// or sqlite:///), or else the file in `data_dir`."""
    return _open(_connect, url, data_dir, is_made=url is None)


def open_read_only(url: str | None, *, data_dir: Path | None) -> Database:
    """The same for whoever only looks: nothing is made, and the database itself refuses every change."""
    return _open(_look, url, data_dir)


def _open(
    connect: Callable[[URL], Engine], url: str | None, data_dir: Path | None, *, is_made: bool = False
) -> Database:
    """`is_made`: the directory of its file, if there is none yet."""
    try:
        if is_made and data_dir is not None:
            data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        parsed = _parse(url, data_dir)
        database = Database(connect(parsed), parsed.render_as_string(hide_password=False))
        with database.read() as connection:
            connection.execute(text("SELECT 1"))
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise DatabaseError(f"The database cannot be opened: {getattr(error, 'orig', None) or error}") from None
    return database


def _parse(url: str | None, data_dir: Path | None) -> URL:
    if url is None:
        if data_dir is None:
            raise DatabaseError("Say which database: an address like sqlite:////path/tieout.db, or a data directory.")
        return URL.create("sqlite", database=str(data_dir / FILE_NAME))
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise DatabaseError("DATABASE_URL is not a database address like postgresql://user@host/name.") from None
    if parsed.drivername in {"postgres", "postgresql", "postgresql+psycopg"}:
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername == "sqlite" and parsed.database:
        return parsed
    raise DatabaseError(f"Tieout works on PostgreSQL and on SQLite files, not on {parsed.drivername}.")


def _connect(url: URL) -> Engine:
    if url.get_backend_name() == "postgresql":
        return create_engine(
            url,
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,
            connect_args={"application_name": "tieout", "connect_timeout": CONNECT_TIMEOUT_S},
        )
    # The driver must begin nothing by itself (isolation_level), and wait from its first statement on (timeout).
    options = {"isolation_level": None, "timeout": BUSY_TIMEOUT_S, "check_same_thread": False}
    # A connection learns what storage.statistics has found when it is opened.
    engine = create_engine(url, pool_size=10, max_overflow=20, pool_recycle=RECYCLED_S, connect_args=options)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _look(url: URL) -> Engine:
    if url.get_backend_name() == "postgresql":
        options = {"application_name": "tieout, reading", "connect_timeout": CONNECT_TIMEOUT_S}
        engine = create_engine(url, connect_args=options)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("SET TRANSACTION READ ONLY"))
        return engine
    address = f"{Path(str(url.database)).absolute().as_uri()}?mode=ro"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(address, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S, check_same_thread=False)

    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool)
    event.listen(engine, "begin", _begin)
    return engine


def choose_journal(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> Journal:
    linked = ".".join(map(str, version))
    if version >= WAL_SAFE_SINCE:
        return Journal("WAL", f"SQLite {linked} has the repair of the WAL-reset bug")
    safe = ".".join(map(str, WAL_SAFE_SINCE))
    return Journal("TRUNCATE", f"SQLite {linked} is older than {safe}, where the WAL-reset bug was repaired")


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA busy_timeout=0")
    _journal(connection, choose_journal().mode)
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_S * 1000}")
    # FULL under WAL too: a claim that a power cut forgot would be posted a second time.
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _journal(connection: sqlite3.Connection, mode: str) -> None:
    """SQLite switches between WAL and the others only when nobody else is there, and may not wait for that itself."""
    for _ in range(BUSY_TIMEOUT_S * 20):
        try:
            connection.execute(f"PRAGMA journal_mode={mode}")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:  # the other bits say why it is busy
                raise
            time.sleep(0.05)
    raise DatabaseError(f"The database stays locked by another process, so its journal cannot become {mode}.")


def _begin(connection: Connection) -> None:
    writes = bool(connection.get_execution_options().get("writes"))
    connection.exec_driver_sql(f"PRAGMA query_only={'OFF' if writes else 'ON'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def tolerant(connection: Connection) -> Iterator[None]:
    """Text that is damaged (no UTF-8 any more) is read with a replacement sign instead of failing; on SQLite, whose
    driver would else refuse the whole answer. PostgreSQL refuses such text when it is written.
    """
    driver = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        yield
        return
    driver.text_factory = lambda stored: stored.decode("utf-8", "replace")
    try:
        yield
    finally:
        driver.text_factory = str


Row = Mapping[str, Any]


def upsert(
    connection: Connection,
    table: Table,
    rows: Sequence[Row],
    key_columns: Sequence[str],
    update_columns: Sequence[str] | None = None,
    where: Where | None = None,
) -> int:
    """Insert `rows`, or update those whose key is there already. Returns how many rows were written.

    All columns but the key are updated unless `update_columns` names them.
    `where` is given the row that was to be inserted, for instance to refuse older versions:
    `lambda new: mirror.c.version <= new.version`. All rows need the same keys; a key may come twice (the later wins).
    """
    if not rows:
        return 0
    if update_columns is None:
        update_columns = [name for name in rows[0] if name not in key_columns]
    make = _known_upsert if where is None else _make_upsert  # a condition may be another one each time
    statement = make(connection.dialect.name, table, tuple(key_columns), tuple(update_columns), where)
    return _execute_all(connection, statement, rows)


def _make_upsert(
    dialect: str, table: Table, key_columns: tuple[str, ...], update_columns: tuple[str, ...], where: Where | None
) -> postgresql.Insert | sqlite.Insert:
    statement = _make_insert(dialect, table)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=list(key_columns),
        set_={name: new[name] for name in update_columns},
        where=None if where is None else where(new),
    )


_known_upsert = cache(_make_upsert)  # making it anew takes longer than writing a row


def insert_ignore(connection: Connection, table: Table, rows: Sequence[Row]) -> int:
    """Insert those of `rows` that break no uniqueness. Returns how many were inserted."""
    if not rows:
        return 0
    return _execute_all(connection, _make_insert_ignore(connection.dialect.name, table), rows)


@cache
def _make_insert_ignore(dialect: str, table: Table) -> postgresql.Insert | sqlite.Insert:
    return _make_insert(dialect, table).on_conflict_do_nothing()


def _make_insert(dialect: str, table: Table) -> postgresql.Insert | sqlite.Insert:
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def _execute_all(connection: Connection, statement: postgresql.Insert | sqlite.Insert, rows: Sequence[Row]) -> int:
    result: CursorResult[Any] = connection.execute(
        statement, [dict(row) for row in rows], execution_options={"preserve_rowcount": True}
    )
    return result.rowcount
