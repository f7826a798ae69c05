"""A company that grew: what is settled in a small one is copied until so many movements are stored.

Charges whose money is in the books are copied with everything that hangs on them (movement, documents, invoice, legs,
postings, match), under ids of their own and on the same days. What waits for a person stays as it is, for nobody keeps
a million of it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Table, func, insert, select, text

from storage.engine import Database
from storage.models import audit, legs, matches, mirror, outbox

# Ids at Stripe, and documents in QuickBooks by kind and number.
IDS = re.compile(r"\b((?:ch|txn|py|pi|in|inpay)_)(\w+)")
DOCUMENTS = re.compile(r"\b(payment|purchase|invoice|sales_receipt):(\d+)")
STEP = 10_000_000  # between the numbers of a document's copies
BATCH = 2_000  # copied charges in one transaction
Row = dict[str, Any]


def grow(database: Database, movements: int) -> int:
    """Copies until `movements` are stored; gives how many there are then. The audit log is no longer a chain."""
    with database.read() as conn:
        there: int = conn.scalar(select(func.count()).select_from(mirror).where(mirror.c.kind == "movement"))
        families = list(_families(conn))
        at = conn.scalar(select(func.max(audit.c.at)))
    assert families, "something is settled"
    wanted = ((family, number) for number in range(1, 1 << 30) for family in families)
    missing = max(0, movements - there)
    copies = islice(wanted, missing)
    while batch := list(islice(copies, BATCH)):
        _store(database, batch, at)
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
    """As the database holds them: JSON and times as text."""
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    query = select(text(names)).select_from(table).where(which)
    return [dict(zip(table.columns.keys(), row, strict=True)) for row in conn.execute(query)]


def _store(database: Database, batch: list[tuple[Mapping[Table, list[Row]], int]], at: datetime) -> None:
    made: dict[Table, list[Row]] = {table: [] for table in (mirror, outbox, legs, matches)}
    for family, number in batch:
        for table, rows in family.items():
            made[table] += [_copy(row, number) for row in rows]
    told = [
        {"at": at, "actor": "stripe", "action": "stored", "subject": f"1/{row['kind']}/{row['object_id']}"}
        | {"detail": {}, "previous": "", "hash": ""}
        for row in made[mirror]
    ]
    with database.write() as conn:
        for table, rows in made.items():
            conn.execute(text(_insert(table)), rows)
        conn.execute(insert(audit), told)


def _insert(table: Table) -> str:
    """Of values as they are stored; postings are numbered anew, an invoice of several charges is there once."""
    names = [column.name for column in table.columns if table is not outbox or column.name != "id"]
    columns, values = ", ".join(f'"{name}"' for name in names), ", ".join(f":{name}" for name in names)
    return f"INSERT OR IGNORE INTO {table.name} ({columns}) VALUES ({values})"  # noqa: S608 - our own names


def _copy(row: Row, number: int) -> Row:
    return {name: _renamed(value, number) if isinstance(value, str) else value for name, value in row.items()}


def _renamed(value: str, number: int) -> str:
    if ("_" not in value and ":" not in value) or len(value) < 4:
        return value
    value = IDS.sub(lambda found: f"{found[1]}{number}x{found[2]}", value)
    return DOCUMENTS.sub(lambda found: f"{found[1]}:{int(found[2]) + number * STEP}", value)
