"""Law 4: the fold of the audit log gives the mirror. Read to the letter, so that every cell of a row is told of."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Integer, Row, String, Text, select, type_coerce

from storage.engine import tolerant
from storage.mirror import digest_of, whole_digest
from storage.models import audit, mirror
from storage.records import day_of, is_open, number_of, parent_of, read_record

_STORED = (
    *(mirror.c.connection_id, mirror.c.kind, mirror.c.object_id, mirror.c.raw, mirror.c.digest, mirror.c.version),
    *(mirror.c.parent_id, mirror.c.number),
    type_coerce(mirror.c.record, Text).label("record"),
    type_coerce(mirror.c.dated, String).label("dated"),
    type_coerce(mirror.c.updated_at, String).label("updated_at"),
    *(type_coerce(mirror.c[name], Integer).label(name) for name in ("deleted", "open", "claimed")),
)


@dataclass(frozen=True, slots=True)
class _Logged:
    """What the log says of an object: the last digest and when that was, and how often it was stored."""

    digest: str
    at: Any
    times: int


def verify(conn: Connection) -> list[str]:
    """What is stored of both systems: rows that are not as they were stored, are missing, or were never stored."""
    with tolerant(conn):
        logged, wrong = _logged(conn), []
        for row in conn.execute(select(*_STORED)).yield_per(1000):
            known = logged.pop(f"{row.connection_id}/{row.kind}/{row.object_id}", None)
            if known is None:
                wrong.append(f"{_named(row)} is stored, but the audit log does not know it.")
            elif cells := list(_cells(row, known)):
                what = ", ".join(cells)
                wrong.append(f"What is stored of {_named(row)} is not what the audit log says was stored: {what}.")
    return wrong + [f"The audit log knows {subject}, but it is not stored." for subject in sorted(logged)]


def _logged(conn: Connection) -> dict[str, _Logged]:
    query = select(audit.c.subject, audit.c.digest, type_coerce(audit.c.at, String).label("at"))
    found: dict[str, _Logged] = {}
    for row in conn.execute(query.where(audit.c.digest.is_not(None)).order_by(audit.c.id)).yield_per(1000):
        before = found.get(row.subject)
        found[row.subject] = _Logged(row.digest, row.at, before.times + 1 if before else 1)
    return found


def _cells(row: Row[Any], known: _Logged) -> Iterator[str]:
    """Which cells of a row are not as they were stored."""
    digest = digest_of(row.kind, row.object_id, msgspec.Raw(str(row.record).encode()), deleted=bool(row.deleted))
    if digest != row.digest:
        yield "its content"
    if known.digest not in (whole_digest(row.digest, str(row.raw)), row.digest):  # alone: stored by an older version
        yield "its digest, or the other side's text of it"
    if row.version != known.times:
        yield "how often it was stored"
    if row.updated_at != known.at:
        yield "when it was stored"
    if not {row.deleted, row.open, row.claimed} <= {0, 1}:
        yield "a mark that is neither yes nor no"
    if digest == row.digest:
        yield from _derived(row)


def _derived(row: Row[Any]) -> Iterator[str]:
    """What is looked up by, made of the record itself."""
    try:
        record = None if row.deleted else read_record(row.kind, row.record)
    except (KeyError, msgspec.MsgspecError):
        yield "its content, which cannot be read"
        return
    dated = None if row.dated is None else str(row.dated)
    day = day_of(record)
    if dated != (None if day is None else day.isoformat()):
        yield "its day"
    if row.parent_id != parent_of(record):
        yield "what it belongs to"
    if row.number != number_of(record):
        yield "its number"
    if row.open and not is_open(record) and row.kind != "movement":  # those are opened again
        yield "whether it is open"
    if not row.open and is_open(record) and row.kind not in ("movement", "payout", "credit_note"):  # those are closed
        yield "whether it is open"


def _named(row: Row[Any]) -> str:
    return f"{row.kind} {row.object_id}"
