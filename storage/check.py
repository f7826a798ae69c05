"""What `tieout check` finds wrong in what is stored, each in a sentence; it changes nothing.

The chain of the audit log is verified by sync.auditing, in short reads; days carried forward by storage.carried.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Text, and_, exists, func, not_, or_, select, text, type_coerce
from sqlalchemy.exc import SQLAlchemyError

from reconcile.legs import legs_of
from reconcile.proof import STATES
from storage import connections, fold, proof
from storage.connections import Link
from storage.engine import Database, tolerant
from storage.legs import SETTLED
from storage.models import audit, legs, links, outbox
from storage.models import mirror as records
from storage.proof import IN_BOOKS
from storage.records import DOCUMENT_KINDS, read_record

OUTBOX_STATES = ("planned", "withdrawn", "sending", "doubtful", *IN_BOOKS, "waiting", "spent")
RESTORE = "Restore the newest backup in which this is not so: docs/runbooks/backup.md. The next sync brings the rest."
UNREADABLE = "The database is damaged, or the disk is. Restore the newest backup: docs/runbooks/backup.md."
AGAIN = "If it is still so after the next sync, restore the newest backup in which it is not: docs/runbooks/backup.md."
PROOF = "Run `tieout proof`, or open Overview on that day, to see of which records it is."
LOOK = "Open both in QuickBooks and void or delete the one that is too much; Review has an entry about it."


@dataclass(frozen=True, slots=True)
class Wrong:
    """Sentences of one kind, and what a person does about them."""

    texts: tuple[str, ...]
    remedy: str


def run(database: Database) -> list[Wrong]:
    """Everything that is wrong; nothing if all is as it says. Each part is a read of its own."""
    found = []
    for part, said in PARTS:
        remedy = said
        texts: list[str] = []
        try:
            with database.read() as conn, tolerant(conn):
                texts += part(conn)
        except (SQLAlchemyError, msgspec.MsgspecError, ValueError, LookupError, TypeError, AssertionError) as error:
            what = str(part.__doc__).partition(":")[0]
            texts.append(f"{what}: this cannot be checked. {getattr(error, 'orig', None) or error}.")
            remedy = UNREADABLE
        if texts:
            found.append(Wrong(tuple(texts), remedy))
    return found


def integrity(conn: Connection) -> Iterator[str]:
    """The pages, indexes and references of the database."""
    if conn.dialect.name == "sqlite":
        for (line,) in conn.execute(text("PRAGMA integrity_check")):
            if line != "ok":
                yield f"The database file is damaged: {line}."
        for table, row_id, other, _ in conn.execute(text("PRAGMA foreign_key_check")):
            yield f"Row {row_id} of {table} belongs to a row of {other} that is not there."
        return
    failures = "SELECT coalesce(checksum_failures, 0) FROM pg_stat_database WHERE datname = current_database()"
    if number := conn.scalar(text(failures)):
        yield f"PostgreSQL found {number} damaged pages of this database."
    invalid = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid OR NOT indisready"
    for (name,) in conn.execute(text(invalid)):
        yield f"Index {name} is not valid: REINDEX it."
    for (name,) in conn.execute(text("SELECT conname FROM pg_constraint WHERE NOT convalidated")):
        yield f"Constraint {name} was never validated on all rows."


def proofs(conn: Connection) -> Iterator[str]:
    """Both balances and what is between them: law 1."""
    for link in connections.all_links(conn):
        if link.openings is None:
            continue
        last = link.balances_at.date() if link.balances_at else link.cutover
        sides = proof.load(conn, link)
        sides.prove(last)  # asserts that its parts make the difference
        for violation in sides.violations():
            yield f"{link.name}: {violation}"


def parts_of_movements(conn: Connection) -> Iterator[str]:
    """Every part of every movement, in exactly one state: law 2."""
    for link in connections.all_links(conn):
        yield from _parts(conn, link)


def _parts(conn: Connection, link: Link) -> Iterator[str]:
    stored = {row.id: row for row in conn.execute(select(legs).where(legs.c.link_id == link.id))}
    query = select(records.c.object_id, type_coerce(records.c.record, Text).label("text"), records.c.open)
    query = query.add_columns(records.c.version).where(records.c.deleted.is_(False))
    mine = (records.c.connection_id == link.processor_id, records.c.kind == "movement")
    expected: set[str] = set()
    for movement in conn.execute(query.where(*mine)).yield_per(1000):
        amounts = {leg.id: leg.amount_minor for leg in legs_of(read_record("movement", movement.text))}
        expected |= set(amounts)
        for said in _movement(link, movement, amounts, stored):
            yield f"{link.name}: {said}"
    for row in stored.values():
        yield from _part(row)
        if row.id not in expected:
            yield f"{link.name}: {row.id} is kept as a part of {row.movement_id}, but Stripe's record has no such part."


def _movement(link: Link, row: Row[Any], amounts: dict[str, int], stored: dict[str, Row[Any]]) -> Iterator[str]:
    """Its parts against those that are kept; what is still to be decided may differ until it is."""
    known = [stored[each] for each in amounts if each in stored]
    is_decided = link.openings is not None and link.decided_revision == link.revision
    if len(known) < len(amounts) and (known or is_decided):
        missing = ", ".join(each for each in amounts if each not in stored)
        yield f"nothing says where {missing} stands, a part of Stripe's {row.object_id}."
    if not is_decided or len(known) < len(amounts):
        return
    for each in known:
        if each.amount_minor != amounts[each.id]:
            yield f"{each.id} is kept with another amount than Stripe's {row.object_id} has."
    is_settled = all(each.state in SETTLED or each.markers for each in known)
    if not row.open and not is_settled:
        yield f"Stripe's {row.object_id} waits, but is marked as settled: nobody would match it."
    if row.open and is_settled and row.version == 1:  # one that changed since is looked at again
        yield f"Stripe's {row.object_id} is settled, but is marked as open."


def _part(row: Row[Any]) -> Iterator[str]:
    if row.state not in STATES:
        yield f"{row.id} is in no state that there is ({row.state})."
    if not row.reason or not row.detail:
        yield f"{row.id} is {row.state}, but nothing says why."


def claims(conn: Connection) -> Iterator[str]:
    """Marks of documents and payouts: used up by a match, itemised."""
    for link in connections.all_links(conn):
        matched: set[str] = set()
        of_legs = select(legs.c.document_ids).where(legs.c.link_id == link.id, legs.c.state == "matched")
        for ids in conn.execute(of_legs).scalars():
            matched.update(ids)
        used = select(records.c.kind, records.c.object_id).where(
            records.c.connection_id == link.ledger_id, records.c.claimed.is_(True)
        )
        for row in conn.execute(used).all():
            if row.object_id not in matched and not _was_named(conn, row.object_id):
                yield f"{_document(row.object_id)} is marked as used up by a match, but nothing is matched to it."
        yield from _itemised(conn, link)


def _was_named(conn: Connection, document_id: str) -> bool:
    """Whether the audit log has a match to a document, or a person's word about it."""
    named = type_coerce(audit.c.detail, Text).contains(f'"{document_id}"', autoescape=True)
    about = or_(audit.c.subject == document_id, and_(audit.c.link_id.is_not(None), named))
    return conn.execute(select(audit.c.id).where(about).limit(1)).first() is not None


def _itemised(conn: Connection, link: Link) -> Iterator[str]:
    mine = (records.c.connection_id == link.processor_id, records.c.deleted.is_(False))
    known = set(conn.execute(select(records.c.object_id).where(*mine, records.c.kind == "payout_items")).scalars())
    query = select(records.c.object_id, type_coerce(records.c.record, Text).label("text"))
    closed = query.where(*mine, records.c.kind == "payout", records.c.open.is_(False))
    for row in conn.execute(closed).yield_per(1000):
        if read_record("payout", row.text).automatic and row.object_id not in known:
            yield f"Payout {row.object_id} is marked as itemised, but what it holds is not stored."


def markers(conn: Connection) -> Iterator[str]:
    """Markers: one, at most one document (law 3)."""
    in_books = (records.c.kind.in_(DOCUMENT_KINDS), records.c.deleted.is_(False), records.c.parent_id.is_not(None))
    which = (records.c.connection_id, records.c.parent_id)
    several = select(*which).where(*in_books).group_by(*which).having(func.count() > 1)
    for connection_id, marker in conn.execute(several).all():
        same = (records.c.connection_id == connection_id, records.c.parent_id == marker)
        query = select(records.c.kind, records.c.object_id, type_coerce(records.c.record, Text)).where(*in_books, *same)
        rows = conn.execute(query).all()
        standing = sorted(object_id for kind, object_id, body in rows if not read_record(kind, body).voided)
        if len(standing) > 1:
            yield f"{' and '.join(map(_document, standing))} both carry the marker {marker}."


def outgoing(conn: Connection) -> Iterator[str]:
    """Postings: what was sent is kept as it was sent, and stands beside its document."""
    columns = [each for each in outbox.c if each.name not in ("posting", "look_up", "technical")]
    for row in conn.execute(select(*columns).order_by(outbox.c.id)).yield_per(1000):
        said = list(_row(row))
        if said:
            yield f"Posting {row.marker} ({row.state}): {'; '.join(said)}."
    yield from _unanswered(conn, "after", "comes after")
    yield from _unanswered(conn, "undoes", "takes back")
    beside = and_(records.c.connection_id == outbox.c.connection_id, records.c.object_id == outbox.c.document_id)
    stored = exists().where(beside)
    posted = select(outbox.c.marker, outbox.c.document_id).where(
        outbox.c.state.in_(IN_BOOKS), outbox.c.document_id.is_not(None), not_(stored)
    )
    for marker, document_id in conn.execute(posted):
        yield f"Posting {marker} became {_document(document_id)}, which is not stored."


def _row(row: Row[Any]) -> Iterator[str]:
    if row.state not in OUTBOX_STATES:
        yield "it is in no state that there is"
    if row.body is None and row.body_hash is not None:
        yield "what was to be sent is missing"
    if row.body is not None and row.body_hash != hashlib.sha256(row.body.encode()).hexdigest():
        yield "what was to be sent is not what was frozen"
    if row.state == "sending" and (row.body is None or row.lease_until is None):
        yield "it is being sent, but nothing says what or until when"
    if row.state in IN_BOOKS and not row.document_id:
        yield "it is in the books, but nothing says as which document"
    if row.attempt < 0:
        yield "its count of tries is below 0"


def _unanswered(conn: Connection, column: str, does: str) -> Iterator[str]:
    other = outbox.alias()
    there = exists().where(other.c.link_id == outbox.c.link_id, other.c.marker == outbox.c[column])
    query = select(outbox.c.marker, outbox.c[column]).where(outbox.c[column].is_not(None), not_(there))
    for marker, named in conn.execute(query):
        yield f"Posting {marker} {does} {named}, which there is not."


def orphans(conn: Connection) -> Iterator[str]:
    """Rows: each belongs to something that is there."""
    gone = audit.c.link_id.is_not(None) & audit.c.link_id.not_in(select(links.c.id))
    for number in conn.execute(select(audit.c.link_id).where(gone).distinct()).scalars():
        yield f"The audit log names link {number}, which there is not."
    for link in connections.all_links(conn):
        query = select(outbox.c.marker, outbox.c.state).where(outbox.c.link_id == link.id)
        state_of = {row.marker: row.state for row in conn.execute(query)}
        stored = select(records.c.object_id).where(
            records.c.connection_id == link.ledger_id, records.c.kind.in_(DOCUMENT_KINDS)
        )
        documents = set(conn.execute(stored).scalars())
        mine = select(legs.c.id, legs.c.state, legs.c.markers, legs.c.document_ids).where(legs.c.link_id == link.id)
        for row in conn.execute(mine).yield_per(1000):
            states = [state_of.get(each) for each in row.markers]
            if None in states:
                yield f"{row.id} is booked by a posting that there is not: {', '.join(row.markers)}."
            elif row.state == "posted" and not (states and set(states) <= set(IN_BOOKS)):
                yield f"{row.id} is said to be in QuickBooks, but its posting is not: {', '.join(row.markers)}."
            for each in row.document_ids:
                if each not in documents:
                    yield f"{row.id} is matched to {_document(each)}, which is not stored."


def _document(document_id: str) -> str:
    kind, _, number = document_id.partition(":")
    return f"{kind.replace('_', ' ')} {number}"


Part = Callable[[Connection], Any]
PARTS: tuple[tuple[Part, str], ...] = (
    (integrity, RESTORE),
    (fold.verify, RESTORE),
    (parts_of_movements, AGAIN),
    (claims, AGAIN),
    (markers, LOOK),
    (outgoing, AGAIN),
    (orphans, AGAIN),
    (proofs, PROOF),
)
