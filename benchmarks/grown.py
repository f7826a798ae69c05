"""A company that grew: what is settled in a small one is copied until so many movements are stored.

Charges whose money is in the books are copied with everything that hangs on them (movement, documents, invoice, legs,
postings, match), under ids of their own and on the same days. What waits for a person stays as it is, for nobody keeps
a million of it. SQLite copies by itself, from rows in which the number of the copy is left open; indexes are made
anew at the end, and days are carried forward as the next sync would.
"""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from sqlalchemy import Connection, Table, func, select, text

from storage import carried
from storage.engine import Database
from storage.models import audit, legs, matches, mirror, outbox

# Ids at Stripe, and documents in QuickBooks by kind and number.
IDS = re.compile(r"\b((?:ch|txn|py|pi|in|inpay)_)(\w+)")
DOCUMENTS = re.compile(r"\b(payment|purchase|invoice|sales_receipt):(\d{1,7})\b")
OPEN = "\x01"  # stands for the number of the copy
COPIES = 50  # of each charge at a time
Row = dict[str, Any]


def grow(database: Database, movements: int) -> int:
    """Copies until `movements` are stored; gives how many there are then. The audit log is no longer a chain."""
    with database.read() as conn:
        there: int = conn.scalar(select(func.count()).select_from(mirror).where(mirror.c.kind == "movement"))
        families = list(_families(conn))
        links = list(conn.scalars(select(legs.c.link_id).distinct()))
        path = database.engine.url.database
    assert families, "something is settled"
    assert path, "the database is a SQLite file"
    missing = max(0, movements - there)
    database.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as lite:
        _copy_all(lite, families, missing)
    for link_id in links:
        carried.refresh(database, link_id)
    return there + missing


def _families(conn: Connection) -> Iterator[dict[Table, list[Row]]]:
    """All rows of each charge that is in the books, as they are stored."""
    sources = conn.scalars(
        select(legs.c.source_id)
        .where(legs.c.category == "charge")
        .group_by(legs.c.source_id)
        .having(func.min(legs.c.state) == "posted", func.max(legs.c.state) == "posted")
        .order_by(legs.c.source_id)
        .limit(1_000)
    ).all()
    for source_id in sources:
        of_source = _rows(conn, legs, legs.c.source_id == source_id)
        markers = sorted({marker for row in of_source for marker in json.loads(row["markers"])})
        posted = _rows(conn, outbox, outbox.c.marker.in_(markers))
        made = _rows(conn, matches, matches.c.source_id == source_id)
        paid = {part["ledger_id"] for row in made for part in json.loads(row["allocations"])}
        ids = {source_id, *(row["movement_id"] for row in of_source), *(row["document_id"] for row in posted), *paid}
        records = _rows(conn, mirror, mirror.c.object_id.in_(sorted(ids)))
        yield {legs: of_source, outbox: posted, matches: made, mirror: [row | {"raw": "{}"} for row in records]}


def _rows(conn: Connection, table: Table, which: Any) -> list[Row]:
    """As the database holds them: JSON and times as text. Postings are numbered anew."""
    columns = [column.name for column in table.columns if table is not outbox or column.name != "id"]
    query = select(text(", ".join(f'"{name}"' for name in columns))).select_from(table).where(which)
    return [dict(zip(columns, row, strict=True)) for row in conn.execute(query)]


def _copy_all(lite: sqlite3.Connection, families: list[dict[Table, list[Row]]], missing: int) -> None:
    for setting in ("synchronous=OFF", "journal_mode=MEMORY", "cache_size=-1000000", "foreign_keys=OFF"):
        lite.execute(f"PRAGMA {setting}")
    indexes = lite.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        " AND tbl_name IN ('mirror', 'outbox', 'legs', 'matches', 'audit')"
    ).fetchall()
    for name, _ in indexes:
        lite.execute(f"DROP INDEX {name}")
    for table in (mirror, outbox, legs, matches):
        _open_copies(lite, table, [(place, row) for place, each in enumerate(families) for row in each[table]])
    # A copy of each charge after the other, the last one of those that fit.
    whole, rest = divmod(missing, len(families))
    for first in range(1, whole + 1, COPIES):
        _copy(lite, first, min(first + COPIES - 1, whole), len(families))
    _copy(lite, whole + 1, whole + 1, rest)
    for _, made in indexes:
        lite.execute(made)
    lite.execute("DELETE FROM carried_days")
    lite.execute("DELETE FROM tallied_days")
    lite.execute("DELETE FROM carried")


def _open_copies(lite: sqlite3.Connection, table: Table, rows: list[tuple[int, Row]]) -> None:
    """Keeps rows with the number left open, each once, with the place of their charge."""
    columns = list(rows[0][1])
    names = ", ".join(f'"{name}"' for name in columns)
    lite.execute(
        f"CREATE TEMP TABLE open_{table.name} AS SELECT 0 AS place, {names} FROM {table.name} WHERE 0"  # noqa: S608
    )
    once: dict[tuple[Any, ...], int] = {}
    for place, row in rows:
        once.setdefault(tuple(_left_open(row[name]) for name in columns), place)
    lite.executemany(
        f"INSERT INTO open_{table.name} VALUES (?{', ?' * len(columns)})",  # noqa: S608 - our own names
        [(place, *values) for values, place in once.items()],
    )


def _left_open(value: Any) -> Any:
    if not isinstance(value, str) or ("_" not in value and ":" not in value):
        return value
    value = IDS.sub(lambda found: f"{found[1]}{OPEN}x{found[2]}", value)
    return DOCUMENTS.sub(lambda found: f"{found[1]}:{OPEN}{int(found[2]):07d}", value)


def _copy(lite: sqlite3.Connection, first: int, last: int, places: int) -> None:
    """Copies number `first` to `last` of the charges before `places`, and an entry of the audit for each record."""
    numbers = f"WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last}) "  # noqa: S608
    lite.execute("BEGIN")
    for table in (mirror, outbox, legs, matches):
        columns = [name for _, name, *_ in lite.execute(f"PRAGMA temp.table_info(open_{table.name})")][1:]
        names = ", ".join(f'"{name}"' for name in columns)
        values = ", ".join(
            f'CASE typeof("{name}") WHEN \'text\' THEN replace("{name}", char(1), i) ELSE "{name}" END'
            for name in columns
        )
        lite.execute(
            f"{numbers} INSERT OR IGNORE INTO {table.name} ({names}) "  # noqa: S608 - our own names
            f"SELECT {values} FROM n CROSS JOIN open_{table.name} WHERE place < {places}"
        )
    lite.execute(
        f"{numbers} INSERT INTO {audit.name} (at, actor, action, subject, detail, previous, hash) "  # noqa: S608
        "SELECT (SELECT max(at) FROM audit), 'stripe', 'stored', "
        "connection_id || '/' || kind || '/' || replace(object_id, char(1), i), '{}', '', '' "
        f"FROM n CROSS JOIN open_mirror WHERE place < {places}"
    )
    lite.execute("COMMIT")
