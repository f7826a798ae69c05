"""The audit log: append-only, each row chained to the one before it by its hash.

How far the chain was found whole is kept with a signature by a key that lies outside the database: who can write to
the database alone can compute a whole other chain, but not make it the one that was verified.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, String, Text, select, text, type_coerce

from storage.engine import tolerant
from storage.models import audit, audit_checks
from storage.types import encode
from storage.vault import Vault

START = "0" * 64
_STORED = (  # moments and details to the letter
    *(audit.c.id, audit.c.link_id, type_coerce(audit.c.at, String).label("at_stored")),
    *(audit.c.actor, audit.c.action, audit.c.subject, type_coerce(audit.c.detail, Text).label("detail_stored")),
    *(audit.c.digest, audit.c.previous, audit.c.hash),
)


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
    last = conn.execute(_SELECT_LAST).scalar()
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
    conn.execute(_INSERT, rows)


_SELECT_LAST = select(audit.c.hash).order_by(audit.c.id.desc()).limit(1)
_INSERT = audit.insert()


def chain(previous: str, at: datetime, entry: Entry) -> str:
    """The hash of a row."""
    detail = encode(entry.detail).decode()
    return _hash(
        previous, at.isoformat(), entry.link_id, entry.actor, entry.action, entry.subject, detail, entry.digest
    )


def _hash(*fields: object) -> str:
    """Every field length-prefixed, so that no two rows read alike. Nothing stands for None."""
    texts = ["" if each is None else str(each) for each in fields]
    return hashlib.sha256("".join(f"{len(text)}:{text}" for text in texts).encode()).hexdigest()


def _chain_of(previous: str, row: Row[Any]) -> str:
    """The hash of a row as it is stored, to the letter."""
    at = _instant(row.at_stored)
    return _hash(previous, at, row.link_id, row.actor, row.action, row.subject, row.detail_stored, row.digest)


def _instant(stored: object) -> str:
    """A moment as it is hashed; one that is not written as we write it stays as it is, and fits no hash."""
    if isinstance(stored, datetime):  # PostgreSQL
        return stored.astimezone(UTC).isoformat()
    try:
        at = datetime.fromisoformat(str(stored))
    except ValueError:
        return str(stored)
    is_ours = at.tzinfo is None and at.isoformat(" ", "microseconds") == stored
    return at.replace(tzinfo=UTC).isoformat() if is_ours else str(stored)


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the chain: the last entry that was found whole, 0 for none, and its hash."""

    entry_id: int
    hash: str


BEGIN = Mark(0, START)
SIGNED_AS = "audit"
NOT_OURS = (
    "The last check of the audit log is not signed by a key of this installation: somebody changed it in the database, "
    "or that key was taken out of the vault. “Verify all again” on the page Audit reads every entry and signs anew."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """How far the chain was verified, when and by whom; what was wrong after that; whether its signature is ours."""

    mark: Mark
    at: datetime
    actor: str
    problem: str | None
    is_ours: bool


def verify(conn: Connection) -> list[str]:
    """What is wrong with the chain, in plain words; nothing if it is whole."""
    mark = BEGIN
    while True:
        reached, wrong = verify_after(conn, mark)
        if wrong or reached == mark:
            return wrong
        mark = reached


def verify_after(conn: Connection, mark: Mark, limit: int = 10_000) -> tuple[Mark, list[str]]:
    """The next `limit` entries of the chain; how far it is whole, and what is wrong after that, in plain words.

    The mark's own entry must still be there as it was: else entries were removed from the end.
    """
    if mark.entry_id:
        known = conn.execute(select(audit.c.hash).where(audit.c.id == mark.entry_id)).scalar()
        if known != mark.hash:
            return mark, [f"Audit entry {mark.entry_id} is not the one that was verified before."]
    query = select(*_STORED).where(audit.c.id > mark.entry_id).order_by(audit.c.id).limit(limit)
    with tolerant(conn):
        for row in conn.execute(query).yield_per(1000):
            if row.previous != mark.hash:
                return mark, [f"Before audit entry {row.id} an entry was removed or put in."]
            if row.hash != _chain_of(mark.hash, row):
                return mark, [f"Audit entry {row.id} ({row.action} {row.subject}) was changed after it was written."]
            mark = Mark(row.id, row.hash)
    return mark, []


def last_check(conn: Connection, vault: Vault) -> Check | None:
    """The last one; None if the chain was never verified."""
    row = conn.execute(select(audit_checks).order_by(audit_checks.c.id.desc()).limit(1)).first()
    if row is None:
        return None
    mark = Mark(row.entry_id, row.entry_hash)
    is_ours = vault.has_signed(SIGNED_AS, _signed(mark), row.seal)
    return Check(mark=mark, at=row.at, actor=row.actor, problem=row.problem, is_ours=is_ours)


def standing_problem(conn: Connection) -> str | None:
    """What the last check found wrong."""
    query = select(audit_checks.c.problem).order_by(audit_checks.c.id.desc()).limit(1)
    return conn.execute(query).scalar()


def record_check(conn: Connection, vault: Vault, mark: Mark, at: datetime, actor: str, problem: str | None) -> None:
    """The next check goes on from here, and from nowhere before: an older mark would vouch for less of the chain."""
    conn.execute(audit_checks.delete())
    row = {"at": at, "actor": actor, "entry_id": mark.entry_id, "entry_hash": mark.hash, "problem": problem}
    conn.execute(audit_checks.insert().values(**row, seal=vault.sign(SIGNED_AS, _signed(mark))))


def sign_anew(conn: Connection, vault: Vault) -> None:
    """The last check under the newest key, after which older keys can be removed; one that is not ours stays so."""
    last = last_check(conn, vault)
    if last is not None and last.is_ours:
        record_check(conn, vault, last.mark, last.at, last.actor, last.problem)


def _signed(mark: Mark) -> str:
    return f"{mark.entry_id} {mark.hash}"


def _lock(conn: Connection) -> None:
    """One writer of the chain at a time; SQLite's write transactions are that already."""
    if conn.dialect.name == "postgresql":
        conn.execute(text("SELECT pg_advisory_xact_lock(7105207)"))
