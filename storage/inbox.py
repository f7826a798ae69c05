"""The inbox: every event once, whoever delivered it and how often, until what it points at has been fetched again."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, or_, select, update

from storage.engine import insert_ignore, upsert
from storage.mirror import chunks
from storage.models import inbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An inbox row: look at `kind` `object_id` again."""

    id: int
    connection_id: int
    event_id: str
    type: str
    kind: str
    object_id: str
    object_created_at: datetime | None
    attempts: int


def receive(
    conn: Connection, connection_id: int, events: Sequence[dict[str, Any]], *, channel: str, at: datetime
) -> int:
    """Stores events that are new, as rows of the table without what it adds itself; gives how many were."""
    rows = [
        event
        | {
            "connection_id": connection_id,
            "received_at": at,
            "channel": channel,
            "state": "new",
            "attempts": 0,
        }
        for event in events
    ]
    return insert_ignore(conn, inbox, rows) if rows else 0


def due(conn: Connection, connection_id: int, at: datetime, limit: int = 500) -> list[Event]:
    rows = conn.execute(_SELECT_DUE, {"of": connection_id, "now": at, "most": limit})
    return [_event(row) for row in rows]


# What every sync asks is made once: making a statement anew takes longer than its answer.
_OF = inbox.c.connection_id == bindparam("of")
_SELECT_DUE = (
    select(inbox)
    .where(_OF, inbox.c.state == "new", or_(inbox.c.next_at.is_(None), inbox.c.next_at <= bindparam("now")))
    .order_by(inbox.c.id)
    .limit(bindparam("most"))
)
_SELECT_NEWEST = select(func.max(inbox.c.id)).where(_OF)
_FINISH_THROUGH = (
    update(inbox).where(_OF, inbox.c.state == "new", inbox.c.id <= bindparam("last")).values(state="done", problem=None)
)
_SELECT_MERGED = select(inbox.c.object_id).where(
    _OF, inbox.c.state == "new", inbox.c.kind == "books:customer", inbox.c.type.contains("merge")
)
_SELECT_HELD = (
    select(inbox.c.id)
    .where(_OF, inbox.c.state == "waiting", inbox.c.kind.in_(bindparam("kinds", expanding=True)))
    .limit(1)
)


def newest(conn: Connection, connection_id: int) -> int:
    """The id of the last row received; 0 if there is none."""
    return conn.execute(_SELECT_NEWEST, {"of": connection_id}).scalar() or 0


def finish_through(conn: Connection, connection_id: int, inbox_id: int) -> None:
    """Everything received up to a row is seen to, by one read of all that changed."""
    conn.execute(_FINISH_THROUGH, {"of": connection_id, "last": inbox_id})


def merged(conn: Connection, connection_id: int) -> list[str]:
    """The ids of customers that others were merged into, as far as that was told and not seen to."""
    return list(conn.execute(_SELECT_MERGED, {"of": connection_id}).scalars())


def finish(conn: Connection, ids: Sequence[int]) -> None:
    """What they pointed at is stored; or else it waits again, and goes on waiting."""
    conn.execute(
        update(inbox).where(inbox.c.id.in_(list(ids)), inbox.c.state == "new").values(state="done", problem=None)
    )


def set_aside(conn: Connection, ids: Sequence[int], *, problem: str) -> None:
    """Cannot be handled; waits where a person sees it."""
    conn.execute(update(inbox).where(inbox.c.id.in_(list(ids))).values(state="waiting", problem=problem))


def hold(
    conn: Connection, connection_id: int, kind: str, object_id: str, *, raw: str, problem: str, at: datetime
) -> None:
    """An object that cannot be read waits here, once for each state it was in, until a person has it fetched again."""
    digest = hashlib.sha256(raw.encode()).hexdigest()[:16]
    row = {
        "connection_id": connection_id,
        "event_id": f"unreadable:{kind}:{object_id}:{digest}",
        "type": "unreadable",
        "kind": kind,
        "object_id": object_id,
        "occurred_at": at,
        "received_at": at,
        "channel": "poll",
        "state": "waiting",
        "attempts": 0,
        "problem": problem,
    }
    upsert(conn, inbox, [row], ["connection_id", "event_id"], ["state", "problem"])


def release(conn: Connection, inbox_id: int) -> Event | None:
    """Takes one out of waiting, to be tried again; None if it does not wait."""
    row = conn.execute(
        update(inbox)
        .where(inbox.c.id == inbox_id, inbox.c.state == "waiting")
        .values(state="new", next_at=None, problem=None)
        .returning(inbox)
    ).first()
    return None if row is None else _event(row)


def leave(conn: Connection, ids: Sequence[int]) -> list[str]:
    """Events of a kind we do not know need wait no longer; gives which they were. What is of a known kind waits on."""
    these = (inbox.c.id.in_(list(ids)), inbox.c.state == "waiting", inbox.c.kind == "")
    return list(conn.execute(update(inbox).where(*these).values(state="done").returning(inbox.c.event_id)).scalars())


def settle(conn: Connection, connection_id: int, keys: Iterable[tuple[str, str]]) -> None:
    """These objects, as (kind, id), were read: whatever waited for that is done."""
    by_kind: dict[str, list[str]] = defaultdict(list)
    for kind, object_id in keys:
        by_kind[kind] += {object_id, object_id.rpartition(":")[2]}  # what cannot be read has the books' own id
    for kind, ids in by_kind.items():
        for chunk in chunks(ids):
            waiting = (inbox.c.connection_id == connection_id, inbox.c.state == "waiting", inbox.c.kind == kind)
            conn.execute(update(inbox).where(*waiting, inbox.c.object_id.in_(chunk)).values(state="done", problem=None))


def holds_any(conn: Connection, connection_id: int, kinds: Sequence[str]) -> bool:
    """Whether anything of these kinds waits because it could not be read."""
    return conn.execute(_SELECT_HELD, {"of": connection_id, "kinds": list(kinds)}).first() is not None


def _event(row: Row[Any]) -> Event:
    return Event(
        id=row.id,
        connection_id=row.connection_id,
        event_id=row.event_id,
        type=row.type,
        kind=row.kind,
        object_id=row.object_id,
        object_created_at=row.object_created_at,
        attempts=row.attempts,
    )
