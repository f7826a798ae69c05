"""Files that were imported: what was understood of each, and which of its rows were refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, select

from storage import connections, mirror
from storage.engine import Database
from storage.models import imports
from storage.records import DOCUMENT_KINDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A row that was not taken: `line` is its line in the file or its row in the sheet."""

    line: int
    column: str
    value: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One file. `counts` are its rows by what became of them: new, changed, unchanged, not needed, refused.

    `sums` are those of the rows taken, by currency and column, in minor units, to compare with the report's own.
    """

    id: int
    link_id: int
    connection_id: int
    at: datetime
    actor: str
    name: str
    digest: str
    report: str
    first_day: date | None
    last_day: date | None
    counts: dict[str, int]
    sums: dict[str, dict[str, int]]
    notes: tuple[str, ...]
    problems: tuple[Refused, ...]


def add(conn: Connection, **values: Any) -> int:
    """One row; `problems` as plain values."""
    return int(conn.execute(imports.insert().values(**values)).inserted_primary_key[0])  # type: ignore[index]


def lacking(database: Database, link_id: int) -> tuple[str, ...]:
    """What files are still to bring before the proof means anything: stripe, payouts, books, clearing, start."""
    with database.read() as conn:
        link = connections.link(conn, link_id)
        settings = connections.connection(conn, link.ledger_id).settings
        has_start = "statements" in connections.connection(conn, link.processor_id).settings
        found = {
            "stripe": mirror.holds_any(conn, link.processor_id, "movement"),
            "payouts": mirror.holds_any(conn, link.processor_id, "payout"),
            "books": mirror.holds_any(conn, link.ledger_id, *DOCUMENT_KINDS),
            "clearing": "clearing" in settings,
            "start": has_start or not any(opening.existing_minor for opening in link.openings or ()),
        }
    return tuple(name for name, is_there in found.items() if not is_there)


def history(database: Database, link_id: int) -> list[Import]:
    """The files of a link, the newest first."""
    with database.read() as conn:
        return of_link(conn, link_id)


def of_link(conn: Connection, link_id: int, limit: int = 50) -> list[Import]:
    """The newest first."""
    rows = conn.execute(
        select(imports).where(imports.c.link_id == link_id).order_by(imports.c.id.desc()).limit(limit)
    ).all()
    return [_import(dict(row._mapping)) for row in rows]


def get(conn: Connection, import_id: int) -> Import:
    return _import(dict(conn.execute(select(imports).where(imports.c.id == import_id)).one()._mapping))


def _import(values: dict[str, Any]) -> Import:
    problems: Sequence[dict[str, Any]] = values["problems"]
    return Import(
        **values | {"notes": tuple(values["notes"]), "problems": tuple(Refused(**problem) for problem in problems)}
    )
