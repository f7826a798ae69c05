"""What belongs to a posted document and what hangs on it: the ground for undoing it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, Row, Text, func, or_, select, type_coerce

from reconcile.discrepancy import name
from reconcile.money import Money
from reconcile.postings import POSTED
from reconcile.records import Company, Dispute, Document, Refund
from storage import legs, mirror, outbox
from storage.connections import Link
from storage.models import closes
from storage.models import mirror as mirror_table
from storage.models import outbox as table
from storage.outbox import UNSETTLED, Item
from storage.records import DOCUMENT_KINDS, from_json

IN_BOOKS = ("posted", "verified")
CHARGES = ("ch_", "py_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """All that books the same legs. `documents` come in the order they are undone: the last posted first.

    `linked` are changes of other documents, which go with these; `found` the documents as they are; `gone` those of
    them that are not in the books any more. `fee_minor` is the fee that other documents book.
    """

    source_id: str
    legs: tuple[Row[Any], ...]
    documents: tuple[Item, ...]
    linked: tuple[Item, ...]
    found: dict[str, Document]
    gone: tuple[str, ...]
    fee_minor: int

    @property
    def leg_ids(self) -> tuple[str, ...]:
        return tuple(row.id for row in self.legs)

    @property
    def currency(self) -> str:
        """That of the legs, in which the balance at Stripe is."""
        return self.legs[0].currency if self.legs else self.items[0].posting.currency

    @property
    def items(self) -> tuple[Item, ...]:
        return (*self.documents, *self.linked)

    @property
    def markers(self) -> list[str]:
        return [item.posting.marker for item in self.items]


def group_of(conn: Connection, link: Link, document_id: str, *, with_fee: bool = False) -> Group | None:
    """None if it is no document of ours that is in the books, or one that takes another one back."""
    these = (table.c.connection_id == link.ledger_id, table.c.document_id == document_id, table.c.undoes.is_(None))
    rows = conn.execute(select(table.c.id).where(*these, table.c.state.in_(IN_BOOKS))).scalars().all()
    own = [item for item in outbox.get_all(conn, rows).values() if item.link_id == link.id and not item.posting.target]
    if not own:
        return None
    items, rows_of = _together(conn, link, own)
    fees = _fees(conn, link, rows_of)
    if with_fee and fees:
        items, rows_of = _together(conn, link, [*items, *_of_markers(conn, link, fees)])
        fees = []
    items += _cents(conn, link, items)
    items.sort(key=lambda item: -item.id)
    documents = [item for item in items if not item.posting.target]
    found = load(conn, link, [item.document_id or "" for item in documents])
    is_there = {key for key, document in found.items() if not document.voided}
    return Group(
        source_id=rows_of[0].source_id if rows_of else own[0].posting.marker.partition(":")[0],
        legs=tuple(rows_of),
        documents=tuple(item for item in documents if item.document_id in is_there),
        linked=tuple(item for item in items if item.posting.target),
        found={key: found[key] for key in is_there},
        gone=tuple(item.document_id or item.posting.marker for item in documents if item.document_id not in is_there),
        fee_minor=-sum(row.amount_minor for row in fees),
    )


def _together(conn: Connection, link: Link, items: Sequence[Item]) -> tuple[list[Item], list[Row[Any]]]:
    """Everything that shares a leg with these, and the legs."""
    known = {item.posting.marker: item for item in items}
    rows: dict[str, Row[Any]] = {}
    while True:
        wanted = {share.leg_id for item in known.values() for share in item.posting.shares} - set(rows)
        rows |= {row.id: row for row in legs.of_ids(conn, link.id, sorted(wanted))}
        more = {marker for row in rows.values() for marker in row.markers} - set(known)
        if not more:
            return list(known.values()), [rows[leg_id] for leg_id in sorted(rows)]
        known |= outbox.by_marker(conn, link.ledger_id, sorted(more))


def _fees(conn: Connection, link: Link, rows: Sequence[Row[Any]]) -> list[Row[Any]]:
    """The posted fee legs of the same movements that other documents book."""
    known, movements = {row.id for row in rows}, {row.movement_id for row in rows}
    same = legs.of_sources(conn, link.id, sorted({row.source_id for row in rows}))
    return [
        row
        for row in same
        if row.id not in known and row.movement_id in movements and row.kind != "gross" and row.state == "posted"
    ]


def _of_markers(conn: Connection, link: Link, rows: Sequence[Row[Any]]) -> list[Item]:
    return list(outbox.by_marker(conn, link.ledger_id, sorted({each for row in rows for each in row.markers})).values())


def _cents(conn: Connection, link: Link, items: Sequence[Item]) -> list[Item]:
    """The entries that complete these by a cent and book no leg themselves."""
    known = [item.posting.marker for item in items]
    found = [item for item in _after(conn, link, known) if "-cent:" in item.posting.marker]
    return [item for item in found if item.posting.marker not in known]


def _after(conn: Connection, link: Link, markers: Sequence[str]) -> list[Item]:
    """Postings that came, or come, after these."""
    rows: list[int] = []
    for chunk in mirror.chunks(markers):
        these = (table.c.link_id == link.id, table.c.after.in_(chunk), table.c.undoes.is_(None))
        rows += conn.execute(select(table.c.id).where(*these, table.c.state.in_((*IN_BOOKS, *UNSETTLED)))).scalars()
    return list(outbox.get_all(conn, rows).values())


# ---- what keeps it from being undone


def obstacles(conn: Connection, link: Link, group: Group) -> Iterator[str]:
    if not link.posting_on:
        yield "Posting is switched off, so nothing is undone either. Switch it on under Dry run first."
    yield from _not_of_legs(group)
    for gone in group.gone:
        yield f"{_words(gone)} is not in QuickBooks any more. See the documents to look at, above what waits."
    for item in group.items:
        if item.state not in IN_BOOKS:
            yield f"{item.posting.marker} is still on its way into QuickBooks. Wait until the sync has ended."
    yield from _changes_under_way(conn, link, group)
    yield from dependents(conn, link, group)
    yield from _paid_by_others(conn, link, group)


def _not_of_legs(group: Group) -> Iterator[str]:
    if not group.legs:
        yield (
            "It books no payment of its own (an opening, the end of a dispute, a credit note, or something done about "
            "a document), so nothing would go back to Review. Put it right in QuickBooks by hand."
        )
    for row in group.legs:
        if row.state == "matched":
            yield "It goes with a document that somebody typed in. Delete it in QuickBooks by hand."
        elif row.reason == "undoing":
            yield f"It is being undone already. {row.detail}"
        elif row.reason == "undo_unclear":
            yield "Whether it was undone is not clear. Look at it in Review, then retry there."
        elif row.state != "posted" and row.reason != "undo_stopped":
            yield f"Not all of {row.source_id} is in QuickBooks yet. Wait until the sync has ended."
    if len({row.source_id for row in group.legs}) > 1:
        yield "It books several Stripe objects at once. Put it right in QuickBooks by hand."


def _changes_under_way(conn: Connection, link: Link, group: Group) -> Iterator[str]:
    """Something else is being done to one of the documents right now."""
    names = set(group.found) | {f"{POSTED}{marker}" for marker in group.markers}
    asked_for = or_(table.c.state != "planned", table.c.asked_by.is_not(None))
    these = (table.c.state.in_((*UNSETTLED, "planned")), table.c.undoes.is_(None), asked_for)
    # Of the company: asked for those of a link, SQLite would go through all that the link ever posted.
    rows = conn.execute(select(table.c.id).where(table.c.connection_id == link.ledger_id, *these)).scalars().all()
    for item in outbox.get_all(conn, rows).values():
        touched = {item.posting.target, *(part.id for part in item.posting.applied)}
        if touched & names and item.posting.marker not in group.markers:
            yield f"Another change of it is on its way ({item.posting.marker}). Wait until the sync has ended."


def dependents(conn: Connection, link: Link, group: Group) -> Iterator[str]:
    """What was made because of it: refunds, failures, the end of a dispute. That has to be undone first."""
    hanging = {item.posting.marker: item for item in _after(conn, link, group.markers)}
    hanging |= outbox.by_marker(conn, link.ledger_id, sorted(_later_markers(conn, link, group)))
    for marker, item in sorted(hanging.items()):
        if marker not in group.markers and item.state in (*IN_BOOKS, *UNSETTLED):
            yield _first(item)


def _later_markers(conn: Connection, link: Link, group: Group) -> set[str]:
    """Of what follows from the same Stripe object, whatever was posted after what."""
    if not group.legs or all(row.kind != "gross" for row in group.legs):
        return set()
    source, own = group.source_id, {row.movement_id for row in group.legs}
    closings = select(table.c.marker).where(table.c.link_id == link.id, table.c.marker.startswith(f"{source}:close:"))
    found = set(conn.execute(closings).scalars())
    sources = [source]
    if source.startswith(CHARGES):
        refunds: list[Refund] = mirror.load_children(conn, link.processor_id, "refund", [source])
        sources += [refund.id for refund in refunds]
    last = max((row.created_at, row.movement_id) for row in group.legs)
    for row in legs.of_sources(conn, link.id, sources):
        later = row.source_id != source or (row.created_at, row.movement_id) > last
        if later and row.kind == "gross" and row.movement_id not in own:
            found.update(row.markers)
    return found


def _first(item: Item) -> str:
    what = name(item.posting.kind, None, (item.document_id or "").partition(":")[2] or item.posting.marker)
    amount = Money(item.posting.amount_minor, item.posting.currency)
    cause = item.posting.memo.partition(" ")[0]
    if item.state in IN_BOOKS:
        return f"{what} of {amount} ({cause}) hangs on it. Undo that first."
    if item.state == "waiting":
        return f"{cause} hangs on it and was refused by QuickBooks. Settle that in Review first."
    return f"{cause} hangs on it and is on its way into QuickBooks. Wait until the sync has ended."


def _paid_by_others(conn: Connection, link: Link, group: Group) -> Iterator[str]:
    """QuickBooks voids no invoice that a payment is applied to."""
    for document in group.found.values():
        if document.kind == "invoice":
            for payment in naming(conn, link, "payment", document.id):
                if payment.id not in group.found and not payment.voided:
                    yield f"{named(payment)} pays {named(document)}. Take it off that invoice in QuickBooks first."


# ---- what else to know


def is_deposited(conn: Connection, link: Link, document_id: str) -> bool:
    """Whether a bank deposit holds it."""
    return bool(naming(conn, link, "deposit", document_id))


def remarks(conn: Connection, link: Link, group: Group) -> Iterator[str]:
    """What stays although it has to do with it."""
    if not group.source_id.startswith(CHARGES):
        return
    refunds: list[Refund] = mirror.load_children(conn, link.processor_id, "refund", [group.source_id])
    for row in legs.of_sources(conn, link.id, [refund.id for refund in refunds]):
        if row.state == "matched" and row.document_ids:
            yield f"Its refund {row.source_id}, recorded by {_words(row.document_ids[0])}, stays as it is."
    disputes: list[Dispute] = mirror.load_children(conn, link.processor_id, "dispute", [group.source_id])
    for dispute in disputes:
        yield f"What was posted for its dispute {dispute.id} stays as it is."


def closed_through(conn: Connection, link: Link) -> date | None:
    """The last day of which nothing changes any more: closed in QuickBooks, or signed off here."""
    company: Company | None = mirror.load(conn, link.ledger_id, "company", ["company"]).get("company")
    query = select(func.max(closes.c.last)).where(closes.c.link_id == link.id, closes.c.state == "signed")
    days = (company.closed_through if company else None, conn.execute(query).scalar())
    return max((day for day in days if day), default=None)


def load(conn: Connection, link: Link, document_ids: Iterable[str]) -> dict[str, Document]:
    """Documents by id, as far as they are in the books."""
    wanted = list(document_ids)
    found: dict[str, Document] = {}
    for kind in DOCUMENT_KINDS:
        found |= mirror.load(conn, link.ledger_id, kind, [each for each in wanted if each.startswith(f"{kind}:")])
    return found


def named(document: Document) -> str:
    return name(document.kind, document.doc_number, document.ledger_id)


def _words(document_id: str) -> str:
    kind, _, ledger_id = document_id.partition(":")
    return name(kind, None, ledger_id)


def naming(conn: Connection, link: Link, kind: str, document_id: str) -> list[Document]:
    """Documents of a kind that are applied to one. Reads all of them: for what a person asks, not for a sync."""
    text = type_coerce(mirror_table.c.record, Text).contains(f'"id":"{document_id}"}}', autoescape=True)
    rows = conn.execute(
        select(mirror_table.c.record).where(
            mirror_table.c.connection_id == link.ledger_id,
            mirror_table.c.kind == kind,
            mirror_table.c.deleted.is_(False),
            text,
        )
    ).scalars()
    return [from_json(record, Document) for record in rows]
