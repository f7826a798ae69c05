"""Errands: what a Web Connector is to make or note in the lists of its company file with its next visit.

    asked -> sending -> done
      ^         |  `--> refused: a person mends it and asks again
      +---------+  the visit broke off, or its answer is not clear: the lists are read again before anything else

Documents are in the outbox; these are names in lists, of which QuickBooks takes none twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, select, update

from storage.engine import upsert
from storage.models import errands

Kind = Literal["account", "item", "vendor", "customer", "note"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """`subject` is the role that what is made is for; of a customer the one at Stripe, of a note the one in the books.

    `content` is what else is to be written.
    """

    id: int
    connection_id: int
    link_id: int
    kind: Kind
    subject: str
    name: str
    content: dict[str, Any]
    state: str
    attempt: int
    object_id: str | None
    problem: str | None
    asked_by: str


def ask(  # noqa: PLR0913 - all of it is the errand
    conn: Connection,
    *,
    connection_id: int,
    link_id: int,
    kind: Kind,
    subject: str,
    name: str,
    content: Mapping[str, Any],
    asked_by: str,
    at: datetime,
) -> None:
    """Asks for it, again if it was refused or done before; one that is under way stays as it is."""
    row = {
        "connection_id": connection_id,
        "link_id": link_id,
        "kind": kind,
        "subject": subject,
        "name": name,
        "content": dict(content),
        "state": "asked",
        "attempt": 0,
        "problem": None,
        "asked_by": asked_by,
        "asked_at": at,
    }
    columns = ["name", "content", "state", "problem", "asked_by", "asked_at"]
    over = lambda _: errands.c.state.in_(("refused", "done"))  # noqa: E731
    upsert(conn, errands, [row], ["link_id", "kind", "subject"], columns, over)


def find(conn: Connection, link_id: int, kind: Kind, subject: str) -> Errand | None:
    these = (errands.c.link_id == link_id, errands.c.kind == kind, errands.c.subject == subject)
    row = conn.execute(select(errands).where(*these)).first()
    return None if row is None else _errand(row)


def get(conn: Connection, errand_id: int) -> Errand:
    return _errand(conn.execute(select(errands).where(errands.c.id == errand_id)).one())


def forget(conn: Connection, errand: Errand) -> None:
    """Somebody was told that it was refused."""
    conn.execute(errands.delete().where(errands.c.id == errand.id, errands.c.state == "refused"))


def next_asked(conn: Connection, connection_id: int) -> Errand | None:
    """The oldest that nobody has taken along yet."""
    row = conn.execute(
        select(errands)
        .where(errands.c.connection_id == connection_id, errands.c.state == "asked")
        .order_by(errands.c.id)
        .limit(1)
        .with_for_update()
    ).first()
    return None if row is None else _errand(row)


def of_roles(conn: Connection, link_id: int) -> dict[str, Errand]:
    """Those for roles that are not done, by role."""
    rows = conn.execute(
        select(errands).where(
            errands.c.link_id == link_id,
            errands.c.kind.in_(("account", "item", "vendor")),
            errands.c.state != "done",
        )
    )
    return {row.subject: _errand(row) for row in rows}


def take(conn: Connection, errand: Errand) -> bool:
    """Takes it along; False if somebody else was quicker."""
    taken = conn.execute(
        update(errands)
        .where(errands.c.id == errand.id, errands.c.state == "asked", errands.c.attempt == errand.attempt)
        .values(state="sending", attempt=errand.attempt + 1)
    )
    return taken.rowcount == 1


def any_asked(conn: Connection, connection_id: int) -> bool:
    these = (errands.c.connection_id == connection_id, errands.c.state == "asked")
    return conn.execute(select(errands.c.id).where(*these).limit(1)).first() is not None


def ask_again(conn: Connection, connection_id: int) -> int:
    """A visit begins: what earlier ones took along and brought no answer for waits for the lists to be read."""
    these = (errands.c.connection_id == connection_id, errands.c.state == "sending")
    return conn.execute(update(errands).where(*these).values(state="asked")).rowcount


def record_done(conn: Connection, errand: Errand, object_id: str) -> bool:
    """False if that is known already."""
    done = conn.execute(
        update(errands)
        .where(errands.c.id == errand.id, errands.c.state.in_(("asked", "sending")))
        .values(state="done", object_id=object_id, problem=None)
    )
    return done.rowcount == 1


def record_refused(conn: Connection, errand: Errand, problem: str) -> None:
    _settle(conn, errand, state="refused", problem=problem)


def record_later(conn: Connection, errand: Errand, problem: str) -> None:
    """Whether it was done or not: the next visit reads the lists first, and goes on from there."""
    _settle(conn, errand, problem=problem)


def record_next(conn: Connection, errand: Errand, content: Mapping[str, Any] | None = None) -> None:
    """A step of it is done, or is to be done otherwise; the next one can go at once."""
    _settle(conn, errand, state="asked", problem=None, content=dict(errand.content if content is None else content))


def _settle(conn: Connection, errand: Errand, **values: Any) -> None:
    these = (errands.c.id == errand.id, errands.c.state.in_(("asked", "sending")))
    conn.execute(update(errands).where(*these).values(**values))


def _errand(row: Row[Any]) -> Errand:
    names = Errand.__dataclass_fields__
    return Errand(**{name: value for name, value in row._mapping.items() if name in names})
