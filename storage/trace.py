"""The way of one object through all steps, and the state of a link, as lines of text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, and_, func, or_, select

from reconcile.money import Money
from storage import connections
from storage.models import audit, decisions, inbox, legs, matches, mirror, outbox, sendings, sent_invoices
from storage.records import DOCUMENT_KINDS, TYPES

AUDITED_MAX = 200  # of one object, the oldest first
Name = Literal["event", "stored", "match", "decision", "leg", "posting", "to Stripe", "write", "audit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the way: what is known of it now. `at` is None where the step itself keeps no time."""

    name: Name
    at: datetime | None
    text: str
    object_id: str  # what it is about: an id of either side, or a marker
    document_id: str | None = None  # what came of it in the books


def trace(conn: Connection, object_id: str) -> list[str]:
    """Everything known of a Stripe object, a movement or a document ("payment:12"), in the order of the steps."""
    return [_line(step) for step in way(conn, object_id)]


def way(conn: Connection, object_id: str, link_id: int | None = None) -> list[Step]:
    """The same as steps; of one link, or of all."""
    about = _about(conn, object_id, link_id)
    ids, links, sides = about.ids, about.links, about.sides
    steps = [*_events(conn, ids, sides), *_mirrored(conn, ids, sides), *_matched(conn, ids, links)]
    steps += _decided(conn, ids, links)
    for row in about.legs:
        text = f"{row.kind} {Money(row.amount_minor, row.currency)} of {row.movement_id}: {row.state}. {row.detail}"
        documents = ", ".join(row.document_ids) or None
        steps.append(Step(name="leg", at=row.decided_at, text=text, object_id=row.id, document_id=documents))
    steps += [*_postings(conn, about), *_sent(conn, ids, links)]
    return steps + _audited(conn, about.subjects)


def subjects(conn: Connection, object_id: str, link_id: int | None = None) -> set[str]:
    """Everything the audit log may call an object, its movements, its legs and its postings."""
    return _about(conn, object_id, link_id).subjects


@dataclass(frozen=True, slots=True)
class _About:
    """An object with all that belongs to it, and where to look."""

    ids: set[str]
    legs: list[Row[Any]]
    links: list[int]
    sides: list[int]

    @property
    def markers(self) -> set[str]:
        return {marker for row in self.legs for marker in row.markers}

    @property
    def subjects(self) -> set[str]:
        stored = {f"{side}/{kind}/{each}" for side in self.sides for kind in _KINDS for each in self.ids}
        return stored | self.ids | self.markers | {row.id for row in self.legs} | {f"event {each}" for each in self.ids}


def _about(conn: Connection, object_id: str, link_id: int | None) -> _About:
    links = [link for link in connections.all_links(conn) if link_id in (None, link.id)]
    sides = sorted({side for link in links for side in (link.processor_id, link.ledger_id)})
    of_links = [link.id for link in links]
    ids = {object_id, *_relatives(conn, object_id, of_links, sides)}
    return _About(ids, _legs(conn, ids, of_links), of_links, sides)


_KINDS = (*TYPES, *DOCUMENT_KINDS)


def _line(step: Step) -> str:
    at = f"{step.at:%Y-%m-%d %H:%M:%S} " if step.at else ""
    return f"{step.name:9} {at}{step.text}"


def summary(conn: Connection, link_id: int) -> list[str]:
    """How many legs are in each state, and why those that wait do."""
    rows = conn.execute(
        select(legs.c.state, legs.c.reason, func.count().label("number"))
        .where(legs.c.link_id == link_id)
        .group_by(legs.c.state, legs.c.reason)
        .order_by(legs.c.state, legs.c.reason)
    )
    return [f"{row.state:8} {row.number:6} {row.reason}" for row in rows]


def _relatives(conn: Connection, object_id: str, links: Sequence[int], sides: Sequence[int]) -> set[str]:
    """The movements of a Stripe object, the source of a movement, what a document books, what an event names."""
    rows = conn.execute(
        select(legs.c.movement_id, legs.c.source_id).where(
            legs.c.link_id.in_(links), or_(legs.c.source_id == object_id, legs.c.movement_id == object_id)
        )
    )
    posted = conn.execute(
        select(outbox.c.marker).where(outbox.c.connection_id.in_(sides), outbox.c.document_id == object_id)
    ).scalars()
    named = conn.execute(
        select(inbox.c.object_id).where(inbox.c.connection_id.in_(sides), inbox.c.event_id == object_id)
    ).scalars()
    movements = {marker.partition(":")[0] for marker in posted}
    sources = conn.execute(
        select(legs.c.source_id).where(legs.c.link_id.in_(links), legs.c.movement_id.in_(movements))
    ).scalars()
    return {value for row in rows for value in row} | movements | set(named) | set(sources)


def _events(conn: Connection, ids: set[str], sides: Sequence[int]) -> Iterator[Step]:
    these = (inbox.c.connection_id.in_(sides), inbox.c.object_id.in_(ids))
    for row in conn.execute(select(inbox).where(*these).order_by(inbox.c.id)):
        text = f"{row.type} by {row.channel}: {row.state}{f'. {row.problem}' if row.problem else ''}"
        yield Step(name="event", at=row.received_at, text=text, object_id=row.object_id)


def _mirrored(conn: Connection, ids: set[str], sides: Sequence[int]) -> Iterator[Step]:
    these = (mirror.c.connection_id.in_(sides), mirror.c.kind.in_(_KINDS), mirror.c.object_id.in_(ids))
    for row in conn.execute(select(mirror).where(*these).order_by(mirror.c.kind, mirror.c.object_id)):
        text = f"{row.kind} {row.object_id}, version {row.version}{' (deleted)' if row.deleted else ''}"
        yield Step(name="stored", at=row.updated_at, text=text, object_id=row.object_id)


def _matched(conn: Connection, ids: set[str], links: Sequence[int]) -> Iterator[Step]:
    these = (matches.c.link_id.in_(links), matches.c.source_id.in_(ids))
    for row in conn.execute(select(matches).where(*these).order_by(matches.c.rank)):
        documents = ", ".join(part["ledger_id"] for part in row.allocations)
        text = f"{row.decision} with {documents}: {' '.join(row.reasons)}"
        yield Step(name="match", at=row.decided_at, text=text, object_id=row.source_id, document_id=documents or None)


def _decided(conn: Connection, ids: set[str], links: Sequence[int]) -> Iterator[Step]:
    """What people said."""
    these = (decisions.c.link_id.in_(links), decisions.c.source_id.in_(ids))
    for row in conn.execute(select(decisions).where(*these).order_by(decisions.c.id)):
        what = row.kind.replace("_", " ")
        undone = f", undone by {row.undone_by}" if row.state == "undone" else ""
        text = f"{what} by {row.actor}{f': {row.reason}' if row.reason else ''}{undone}"
        yield Step(name="decision", at=row.at, text=text, object_id=row.source_id)


def _legs(conn: Connection, ids: set[str], links: Sequence[int]) -> list[Row[Any]]:
    these = and_(legs.c.link_id.in_(links), or_(legs.c.source_id.in_(ids), legs.c.movement_id.in_(ids)))
    return list(conn.execute(select(legs).where(these).order_by(legs.c.id)))


def _postings(conn: Connection, about: _About) -> Iterator[Step]:
    by_marker = and_(outbox.c.link_id.in_(about.links), outbox.c.marker.in_(about.markers | about.ids))
    by_document = and_(outbox.c.connection_id.in_(about.sides), outbox.c.document_id.in_(about.ids))
    for row in conn.execute(select(outbox).where(or_(by_marker, by_document)).order_by(outbox.c.id)):
        tries = f"after {row.attempt} {'attempt' if row.attempt == 1 else 'attempts'}"
        text = (
            f"{row.marker} {row.kind} dated {row.dated}: {row.state}"
            f"{f' as {row.document_id}' if row.document_id else ''} {tries}"
            f"{f'. {row.problem}' if row.problem else ''}"
        )
        at = row.posted_at or row.planned_at
        yield Step(name="posting", at=at, text=text, object_id=row.marker, document_id=row.document_id)


def _sent(conn: Connection, ids: set[str], links: Sequence[int]) -> Iterator[Step]:
    """Where an invoice stands on its way to Stripe, and each write of it, or of a customer."""
    standing = conn.execute(
        select(sent_invoices).where(
            sent_invoices.c.link_id.in_(links),
            or_(sent_invoices.c.invoice_id.in_(ids), sent_invoices.c.processor_invoice_id.in_(ids)),
        )
    ).all()
    for row in standing:
        text = f"{row.invoice_id} as {row.processor_invoice_id or '-'}: {row.detail}"
        yield Step(name="to Stripe", at=row.decided_at, text=text, object_id=row.invoice_id)
    subjects = ids | {row.invoice_id for row in standing}
    these = (sendings.c.link_id.in_(links), sendings.c.subject.in_(subjects))
    for row in conn.execute(select(sendings).where(*these).order_by(sendings.c.id)):
        done = row.result_id or row.problem or ""
        text = f"{row.step.replace('_', ' ')} of {row.subject}: {row.state}, attempt {row.attempt}, {done}"
        yield Step(name="write", at=row.first_at, text=text, object_id=row.subject)


def _audited(conn: Connection, subjects: set[str]) -> list[Step]:
    rows = conn.execute(select(audit).where(audit.c.subject.in_(subjects)).order_by(audit.c.id).limit(AUDITED_MAX))
    return [
        Step(name="audit", at=row.at, text=f"{row.actor} {row.action} {row.subject}", object_id=row.subject)
        for row in rows
    ]
