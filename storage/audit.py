"""The audit log: append-only, each row chained to the one before it by its hash."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, text

from storage.models import audit
from storage.types import encode

START = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that was done. `digest` is the SHA-256 of the mirror row the action made, if it made one."""

    actor: str
    action: str
    subject: str
    link_id: int | None = None
    detail: dict[str, Any] = field(default_factory=dict)
    digest: str | None = None


def append(conn: Connection, at: datetime, entries: Sequence[Entry]) -> None:
    """Adds entries in order, in the caller's transaction, so that what was done and its audit are one."""
    if not entries:
        return
    _lock(conn)
    last = conn.execute(select(audit.c.hash).order_by(audit.c.id.desc()).limit(1)).scalar()
    previous, rows = last or START, []
    for entry in entries:
        digest = chain(previous, at, entry)
        rows.append(
            {
                "link_id": entry.link_id,
                "at": at,
                "actor": entry.actor,
                "action": entry.action,
                "subject": entry.subject,
                "detail": entry.detail,
                "digest": entry.digest,
                "previous": previous,
                "hash": digest,
            }
        )
        previous = digest
    conn.execute(audit.insert(), rows)


def chain(previous: str, at: datetime, entry: Entry) -> str:
    """The hash of a row: every field length-prefixed, so that no two rows read alike."""
    fields = (
        previous,
        at.isoformat(),
        str(entry.link_id or ""),
        entry.actor,
        entry.action,
        entry.subject,
        encode(entry.detail).decode(),
        entry.digest or "",
    )
    content = "".join(f"{len(value)}:{value}" for value in fields)
    return hashlib.sha256(content.encode()).hexdigest()


def verify(conn: Connection) -> list[str]:
    """What is wrong with the chain, in plain words; nothing if it is whole."""
    previous = START
    for row in conn.execute(select(audit).order_by(audit.c.id)).yield_per(1000):
        entry = Entry(
            actor=row.actor,
            action=row.action,
            subject=row.subject,
            link_id=row.link_id,
            detail=row.detail,
            digest=row.digest,
        )
        if row.previous != previous:
            return [f"Before audit entry {row.id} an entry was removed or put in."]
        if row.hash != chain(previous, row.at, entry):
            return [f"Audit entry {row.id} ({row.action} {row.subject}) was changed after it was written."]
        previous = row.hash
    return []


def _lock(conn: Connection) -> None:
    """One writer of the chain at a time; SQLite's write transactions are that already."""
    if conn.dialect.name == "postgresql":
        conn.execute(text("SELECT pg_advisory_xact_lock(7105207)"))
