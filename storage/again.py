"""Reading again what is known already: what was asked for, and what a look found that it would change."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from storage import legs, mirror
from storage.connections import Link
from storage.engine import Database
from storage.models import inbox, outbox, runs
from storage.records import from_json, to_json
from storage.types import decode, encode

SHOWN_MAX = 200  # changes that a look names; it counts all
What = Literal["new", "changed", "gone", "unreadable"]
SENT = ("posted", "verified")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Some objects, as (kind, id); or everything of both sides of some days of the link's, both included."""

    objects: tuple[tuple[str, str], ...] = ()
    since: date | None = None
    until: date | None = None

    def instants(self, time_zone: str) -> tuple[datetime, datetime]:
        """The first and the last moment of its days."""
        assert self.since is not None
        assert self.until is not None
        zone = ZoneInfo(time_zone)
        end = datetime.combine(self.until + timedelta(days=1), time(), zone)
        return datetime.combine(self.since, time(), zone), end - timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What reading an object again would change; `fields` differ from what is stored."""

    kind: str
    id: str
    what: What
    fields: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a look found. `read` counts objects, `counts` those that would change, by what and kind.

    Of postings of the scope: `retried` were refused and would be tried again, `kept` are in QuickBooks and stay.
    """

    read: int = 0
    counts: tuple[tuple[str, str, int], ...] = ()  # (what, kind, number)
    changes: tuple[Change, ...] = ()  # at most SHOWN_MAX
    retried: int = 0
    kept: int = 0
    without_books: bool = False  # QuickBooks could not be asked: it calls us

    @property
    def number(self) -> int:
        return sum(number for _, _, number in self.counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A look, or a sync again, as a page shows it. `found` of a look that has ended."""

    run_id: int
    kind: str
    state: str
    cause: str
    scope: Scope
    found: Found | None
    counts: dict[str, int]
    problem: str | None
    finished_at: datetime | None


def latest(database: Database, link_id: int) -> Asked | None:
    """The newest look or sync again of a link."""
    query = select(runs).where(runs.c.link_id == link_id, runs.c.scope.is_not(None)).order_by(runs.c.id.desc())
    with database.read() as conn:
        row = conn.execute(query.limit(1)).first()
    if row is None:
        return None
    return Asked(
        run_id=row.id,
        kind=row.kind,
        state=row.state,
        cause=row.cause,
        scope=from_json(row.scope, Scope),
        found=None if row.found is None else from_json(row.found, Found),
        counts=row.counts,
        problem=row.problem,
        finished_at=row.finished_at,
    )


# ---- what a scope takes in


def event(conn: Connection, link: Link, event_id: str) -> tuple[str, str] | None:
    """What an event points at, as (kind, id)."""
    sides = (link.processor_id, link.ledger_id)
    query = select(inbox.c.kind, inbox.c.object_id).where(
        inbox.c.connection_id.in_(sides), inbox.c.event_id == event_id
    )
    row = conn.execute(query).first()
    return None if row is None else (row.kind, row.object_id)


def sources_of(conn: Connection, link: Link, marker: str) -> list[str]:
    """The Stripe objects behind a posting, by its marker or its document's id."""
    these = or_(
        and_(outbox.c.link_id == link.id, outbox.c.marker == marker),
        and_(outbox.c.connection_id == link.ledger_id, outbox.c.document_id == marker),
    )
    postings = conn.execute(select(outbox.c.posting).where(these)).scalars()
    leg_ids = [share["leg_id"] for posting in postings for share in posting["shares"]]
    return sorted({row.source_id for row in legs.of_ids(conn, link.id, leg_ids)})


def refused(conn: Connection, link: Link, scope: Scope) -> list[int]:
    """The postings of a scope that wait because they were refused."""
    query = select(outbox.c.id).where(_mine(conn, link, scope), outbox.c.state == "waiting").order_by(outbox.c.id)
    return list(conn.execute(query).scalars())


def count_sent(conn: Connection, link: Link, scope: Scope) -> int:
    """The postings of a scope that are in the books: whatever is read again, their markers are spent."""
    query = select(func.count()).where(_mine(conn, link, scope), outbox.c.state.in_(SENT))
    return conn.execute(query).scalar_one()


def _mine(conn: Connection, link: Link, scope: Scope) -> ColumnElement[bool]:
    of_link = outbox.c.link_id == link.id
    if scope.since is not None:
        return and_(of_link, outbox.c.dated.between(scope.since, scope.until))
    ids = [object_id for _, object_id in scope.objects]
    rows = [*legs.of_sources(conn, link.id, ids), *legs.of_movements(conn, link.id, ids)]
    markers = sorted({marker for row in rows for marker in row.markers})
    return and_(of_link, or_(outbox.c.marker.in_(markers), outbox.c.document_id.in_(ids)))


def compare(conn: Connection, connection_id: int, found: Sequence[tuple[str, str, Any, str | None]]) -> list[Change]:
    """What storing these would change. Each is (kind, id, record or None if it is gone, problem)."""
    known = mirror.bodies(conn, connection_id, [(kind, object_id) for kind, object_id, _, _ in found])
    changes = [_change(kind, object_id, record, problem, known) for kind, object_id, record, problem in found]
    return [change for change in changes if change is not None]


def _change(
    kind: str, object_id: str, record: Any, problem: str | None, known: dict[tuple[str, str], tuple[Any, bool]]
) -> Change | None:
    body, deleted = known.get((kind, object_id), (None, True))
    if problem is not None:
        return Change(kind=kind, id=object_id, what="unreadable", problem=problem)
    if record is None:
        return None if deleted else Change(kind=kind, id=object_id, what="gone")
    now = decode(encode(to_json(record)))  # as it would be stored: JSON has no tuples
    if deleted:
        return Change(kind=kind, id=object_id, what="new")
    fields = tuple(sorted(name for name in {*now, *body} if now.get(name) != body.get(name)))
    return Change(kind=kind, id=object_id, what="changed", fields=fields) if fields else None
