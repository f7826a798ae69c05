"""Writes to Stripe, each stored with its key and its frozen parameters before it is sent.

    sending -> done
      |  ^
      v  |                  waiting: refused, or nobody can say what became of it; `give_up` lets it be decided anew
    doubtful

A subject (an invoice, a customer) has at most one write that is not settled: the schema sees to that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, func, or_, select, update

from storage.engine import insert_ignore
from storage.mirror import chunks
from storage.models import sendings

UNSETTLED = ("sending", "doubtful", "waiting")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """One write. `effect` is what to record of our own once it is done; `target_id` the object it changes."""

    id: int
    link_id: int
    subject: str
    step: str
    revision: int
    key: str
    target_id: str | None
    params: dict[str, Any]
    effect: dict[str, Any]
    state: str
    attempt: int
    first_at: datetime
    problem: str | None


def begin(  # noqa: PLR0913 - one argument a column
    conn: Connection,
    *,
    link_id: int,
    subject: str,
    step: str,
    revision: int,
    key: str,
    target_id: str | None,
    params: dict[str, Any],
    effect: dict[str, Any],
    at: datetime,
    lease_s: float,
) -> Sending | None:
    """Stores and takes a new write; None if its subject has one that is not settled. The nth try of a step that was
    refused, or given up, has a key of its own.
    """
    tries = conn.execute(
        select(func.count())
        .select_from(sendings)
        .where(
            sendings.c.link_id == link_id,
            sendings.c.subject == subject,
            sendings.c.step == step,
            sendings.c.revision == revision,
        )
    ).scalar_one()
    row = {
        "link_id": link_id,
        "subject": subject,
        "step": step,
        "revision": revision,
        "key": f"{key}:{tries + 1}",
        "target_id": target_id,
        "params": params,
        "effect": effect,
        "state": "sending",
        "attempt": 1,
        "first_at": at,
        "lease_until": at + timedelta(seconds=lease_s),
    }
    if insert_ignore(conn, sendings, [row]) != 1:
        return None
    return unsettled(conn, link_id, [subject])[subject]


def unsettled(conn: Connection, link_id: int, subjects: Sequence[str]) -> dict[str, Sending]:
    """By subject, the write that is under way, in doubt, or waits."""
    found = {}
    for chunk in chunks(list(subjects)):
        rows = conn.execute(
            select(sendings).where(
                sendings.c.link_id == link_id, sendings.c.subject.in_(chunk), sendings.c.state.in_(UNSETTLED)
            )
        )
        found.update({row.subject: _sending(row) for row in rows})
    return found


def to_settle(conn: Connection, link_id: int, at: datetime) -> list[Sending]:
    """Writes of which nobody knows whether they were done: in doubt, or their sender is gone. The oldest first."""
    gone = and_(sendings.c.state == "sending", sendings.c.lease_until < at)
    doubtful = and_(sendings.c.state == "doubtful", or_(sendings.c.next_at.is_(None), sendings.c.next_at <= at))
    rows = conn.execute(
        select(sendings).where(sendings.c.link_id == link_id, or_(gone, doubtful)).order_by(sendings.c.id)
    )
    return [_sending(row) for row in rows]


def take(conn: Connection, sending: Sending, at: datetime, lease_s: float, *, new_key: bool = False) -> Sending | None:
    """Takes a doubtful write for another attempt; None if somebody else did. Only if it was certainly not done, and
    its key may be forgotten or spoilt, `new_key`.
    """
    number = sending.attempt + 1
    anew = {"key": f"{sending.key.partition('#')[0]}#{number}", "first_at": at} if new_key else {}
    taken = conn.execute(
        update(sendings)
        .where(sendings.c.id == sending.id, sendings.c.state == sending.state, sendings.c.attempt == sending.attempt)
        .values(state="sending", attempt=number, lease_until=at + timedelta(seconds=lease_s), next_at=None, **anew)
    )
    return get(conn, sending.id) if taken.rowcount == 1 else None


def record_done(conn: Connection, sending: Sending, result_id: str, at: datetime) -> bool:
    """False if it was recorded already, by whoever came first."""
    done = conn.execute(
        update(sendings)
        .where(sendings.c.id == sending.id, sendings.c.state.in_(("sending", "doubtful")))
        .values(state="done", result_id=result_id, done_at=at, lease_until=None, problem=None, technical=None)
    )
    return done.rowcount == 1


def record_doubt(conn: Connection, sending: Sending, *, next_at: datetime, problem: str) -> None:
    _leave(conn, sending, state="doubtful", next_at=next_at, problem=problem)


def record_refused(conn: Connection, sending: Sending, *, problem: str, technical: str) -> None:
    """It waits for a person."""
    _leave(conn, sending, state="waiting", next_at=None, problem=problem, technical=technical)


def give_up(conn: Connection, link_id: int, subject: str) -> bool:
    """A person mended the cause, or looked at Stripe: what is to be done is decided anew. False if nothing waits."""
    done = conn.execute(
        update(sendings)
        .where(sendings.c.link_id == link_id, sendings.c.subject == subject, sendings.c.state == "waiting")
        .values(state="given_up")
    )
    return done.rowcount == 1


def get(conn: Connection, sending_id: int) -> Sending:
    return _sending(conn.execute(select(sendings).where(sendings.c.id == sending_id)).one())


def _leave(conn: Connection, sending: Sending, **values: Any) -> None:
    """Unless somebody else has taken it over since."""
    conn.execute(
        update(sendings)
        .where(
            sendings.c.id == sending.id,
            sendings.c.state.in_(("sending", "doubtful")),
            sendings.c.attempt == sending.attempt,
        )
        .values(lease_until=None, **values)
    )


def _sending(row: Row[Any]) -> Sending:
    return Sending(
        id=row.id,
        link_id=row.link_id,
        subject=row.subject,
        step=row.step,
        revision=row.revision,
        key=row.key,
        target_id=row.target_id,
        params=row.params,
        effect=row.effect,
        state=row.state,
        attempt=row.attempt,
        first_at=row.first_at,
        problem=row.problem,
    )
