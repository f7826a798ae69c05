"""What waits for the yes of a second person, above an amount that a link sets."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from storage.engine import Database
from storage.models import approvals as table
from storage.models import users


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a person wants done. `amount_minor` is the money it is about, without a sign; `arguments` are those of the
    command after the link, as plain JSON values.
    """

    link_id: int
    action: str
    subject: str
    currency: str
    amount_minor: int
    text: str
    arguments: Sequence[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    id: int
    ask: Ask
    asked_by: int
    asker: str  # their address
    asked_at: datetime
    state: str


def add(conn: Connection, ask: Ask, user_id: int, at: datetime) -> int:
    """Raises IntegrityError if something waits for that subject already: look first (`about`)."""
    values = {
        "action": ask.action,
        "subject": ask.subject,
        "arguments": list(ask.arguments),
        "currency": ask.currency,
        "amount_minor": ask.amount_minor,
        "text": ask.text,
    }
    row = conn.execute(
        table.insert()
        .values(link_id=ask.link_id, **values, asked_by=user_id, asked_at=at, state="waiting")
        .returning(table.c.id)
    )
    return int(row.scalar_one())


def get(conn: Connection, approval_id: int) -> Stored | None:
    row = conn.execute(_joined().where(table.c.id == approval_id)).first()
    return _stored(row) if row else None


def about(conn: Connection, link_id: int, subject: str) -> Stored | None:
    """What waits for one subject."""
    these = (table.c.link_id == link_id, table.c.subject == subject, table.c.state == "waiting")
    row = conn.execute(_joined().where(*these)).first()
    return _stored(row) if row else None


def waiting(database: Database, link_id: int) -> list[Stored]:
    """The oldest first."""
    query = _joined().where(table.c.link_id == link_id, table.c.state == "waiting").order_by(table.c.id)
    with database.read() as conn:
        return [_stored(row) for row in conn.execute(query)]


def settle(conn: Connection, approval_id: int, state: str, user_id: int, at: datetime, reason: str = "") -> bool:
    """False if it does not wait any more."""
    done = conn.execute(
        update(table)
        .where(table.c.id == approval_id, table.c.state == "waiting")
        .values(state=state, settled_by=user_id, settled_at=at, reason=reason or None)
    )
    return done.rowcount == 1


def _joined() -> Any:
    return select(table, users.c.email).join(users, users.c.id == table.c.asked_by)


def _stored(row: Row[Any]) -> Stored:
    names = ("link_id", "action", "subject", "currency", "amount_minor", "text", "arguments")
    return Stored(
        id=row.id,
        ask=Ask(**{name: getattr(row, name) for name in names}),
        asked_by=row.asked_by,
        asker=row.email,
        asked_at=row.asked_at,
        state=row.state,
    )
