"""What the page Audit reads: entries that fit a filter, page by page along their ids; how far the chain is whole."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, Row, Text, and_, func, not_, or_, select, true, type_coerce

from storage import audit, connections, trace
from storage.engine import Database
from storage.models import audit as table
from storage.trace import Step
from storage.vault import Vault

SYSTEMS = ("stripe", "quickbooks", "tieout")  # actors that are no people
PEOPLE = "people"
EXPORT_MAX = 100_000
CHUNK = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What to show. `actor` may be PEOPLE: everybody but the systems. Days are the link's, both included."""

    actor: str | None = None
    action: str | None = None
    subject: str = ""  # the id of a record: everything that was done about it
    since: date | None = None
    until: date | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryView:
    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    object_id: str  # what the subject is about, as both sides know it
    detail: dict[str, Any]
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Entries, the newest first. `older` and `newer` say where the pages beside it begin; None: there is none."""

    entries: tuple[EntryView, ...]
    older: int | None
    newer: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """How far the chain of all entries was verified. `last_id`: the newest entry there is."""

    entry_id: int = 0
    at: datetime | None = None
    actor: str = ""
    problem: str | None = None
    hash: str = field(default=audit.START)
    last_id: int = 0


def page(
    database: Database,
    link_id: int,
    wanted: Filter,
    *,
    before: int | None = None,
    after: int | None = None,
    size: int = 50,
) -> Page:
    """The newest entries before an id; or the oldest after one; or the newest of all."""
    with database.read() as conn:
        fits = _fits(conn, link_id, wanted)
        query = select(table).where(fits).limit(size + 1)
        if after is not None:
            rows = conn.execute(query.where(table.c.id > after).order_by(table.c.id)).all()
            more, rows = len(rows) > size, list(reversed(rows[:size]))
            older, newer = True, more
        else:
            query = query if before is None else query.where(table.c.id < before)
            rows = list(conn.execute(query.order_by(table.c.id.desc())).all())
            more, rows = len(rows) > size, rows[:size]
            older, newer = more, before is not None
    return Page(
        entries=tuple(map(_view, rows)),
        older=rows[-1].id if rows and older else None,
        newer=rows[0].id if rows and newer else None,
    )


def actors(database: Database) -> tuple[str, ...]:
    """Everybody who ever did something. One look-up in the index for each, however long the log is."""
    with database.read() as conn:
        return _distinct(conn, table.c.actor)


def actions(database: Database) -> tuple[str, ...]:
    with database.read() as conn:
        return _distinct(conn, table.c.action)


def entry(database: Database, entry_id: int) -> EntryView | None:
    with database.read() as conn:
        row = conn.execute(select(table).where(table.c.id == entry_id)).first()
    return None if row is None else _view(row)


def way(database: Database, link_id: int, object_id: str) -> list[Step]:
    """A record's whole way: event, fetch, match, decision, posting, document, and what was done about it."""
    with database.read() as conn:
        return trace.way(conn, object_id, link_id)


def export(database: Database, link_id: int, wanted: Filter) -> Iterator[EntryView]:
    """The newest EXPORT_MAX entries that fit, in short reads."""
    before, left = None, EXPORT_MAX
    while left > 0:
        found = page(database, link_id, wanted, before=before, size=min(CHUNK, left))
        yield from found.entries
        left -= len(found.entries)
        before = found.older
        if before is None:
            return


# ---- the chain


def checked(database: Database, vault: Vault) -> Checked:
    with database.read() as conn:
        last_id = conn.execute(select(func.max(table.c.id))).scalar() or 0
        found = audit.last_check(conn, vault)
    if found is None:
        return Checked(last_id=last_id)
    return Checked(
        entry_id=found.mark.entry_id,
        at=found.at,
        actor=found.actor,
        problem=found.problem if found.is_ours else audit.NOT_OURS,
        hash=found.mark.hash,
        last_id=last_id,
    )


# ---- what fits


def object_of(subject: str) -> str:
    """What a subject is about: "7/charge/ch_1" is about ch_1, "txn_1:fee:r1:s1" about txn_1."""
    last = subject.rpartition("/")[2].removeprefix("event ")
    return last.partition(":")[0] if last.startswith("txn_") else last


def _fits(conn: Connection, link_id: int, wanted: Filter) -> ColumnElement[bool]:
    link = connections.link(conn, link_id)
    parts = [_of_link(conn, link)]
    if wanted.actor == PEOPLE:
        people = [each for each in _distinct(conn, table.c.actor) if each not in SYSTEMS]
        parts.append(table.c.actor.in_(people))
    elif wanted.actor:
        parts.append(table.c.actor == wanted.actor)
    if wanted.action:
        parts.append(table.c.action == wanted.action)
    if wanted.subject.strip():
        parts.append(table.c.subject.in_(trace.subjects(conn, wanted.subject.strip(), link_id)))
    zone = ZoneInfo(link.time_zone)
    if wanted.since:
        parts.append(table.c.at >= datetime.combine(wanted.since, time(), zone))
    if wanted.until:
        parts.append(table.c.at < datetime.combine(wanted.until + timedelta(days=1), time(), zone))
    for word in wanted.text.replace("\0", " ").split():
        columns = (table.c.actor, table.c.action, table.c.subject, type_coerce(table.c.detail, Text))
        parts.append(or_(*(column.icontains(word, autoescape=True) for column in columns)))
    return and_(true(), *parts)


def _of_link(conn: Connection, link: connections.Link) -> ColumnElement[bool]:
    """Everything but what belongs to other links and to their connections."""
    links = connections.all_links(conn)
    if len(links) == 1:
        return true()
    others = {side for each in links for side in (each.processor_id, each.ledger_id)}
    others -= {link.processor_id, link.ledger_id}
    foreign = or_(*(table.c.subject.startswith(f"{side}/", autoescape=True) for side in sorted(others)))
    mine = or_(table.c.link_id == link.id, table.c.link_id.is_(None))
    return and_(mine, not_(foreign)) if others else mine


def _distinct(conn: Connection, column: Any) -> tuple[str, ...]:
    """The values of an indexed column, each found behind the one before it."""
    first = select(func.min(column).label("value")).cte("known", recursive=True)
    following = select(func.min(column)).where(column > first.c.value).scalar_subquery()
    known = first.union_all(select(following).where(first.c.value.is_not(None)))
    return tuple(conn.execute(select(known.c.value).where(known.c.value.is_not(None))).scalars())


def _view(row: Row[Any]) -> EntryView:
    return EntryView(
        id=row.id,
        at=row.at,
        actor=row.actor,
        action=row.action,
        subject=row.subject,
        object_id=object_of(row.subject),
        detail=row.detail,
        hash=row.hash,
    )
