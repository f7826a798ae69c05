"""What was settled without a Stripe payment or without a payment in the books (rows 25 and 27), and what QuickBooks
applied by itself.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import date

from sqlalchemy import Connection, Text, and_, or_, select, type_coerce

from reconcile.days import book_day
from reconcile.postings import POSTED, Posting
from reconcile.records import Document, ProcessorInvoice
from storage import mirror, outbox
from storage.connections import Link
from storage.mirror import chunks
from storage.models import mirror as mirror_table
from storage.models import outbox as rows
from storage.models import sent_invoices
from storage.records import DOCUMENT_KINDS, LINK_KEY, from_json

IN_BOOKS = ("posted", "verified")


def outside(conn: Connection, link: Link) -> Iterator[tuple[ProcessorInvoice, Document | None, int]]:
    """Stripe invoices settled in part or whole without a Stripe payment, that QuickBooks does not show as paid: with
    its invoice, if there is one, and the amount in minor units. Not what we reported to Stripe ourselves.
    """
    found: list[ProcessorInvoice] = mirror.load_open(conn, link.processor_id, ["processor_invoice"])
    found = [each for each in found if book_day(each.created_at, link.time_zone) >= link.cutover]
    reported = _reported(conn, link, [each.id for each in found])
    named = {each.id: f"invoice:{each.metadata[LINK_KEY]}" for each in found if LINK_KEY in each.metadata}
    made = outbox.by_marker(conn, link.ledger_id, [f"{each.id}:invoice:r1:s1" for each in found])
    named |= {marker.partition(":")[0]: item.document_id or "" for marker, item in made.items()}
    documents: dict[str, Document] = mirror.load(conn, link.ledger_id, "invoice", named.values())
    for each in sorted(found, key=lambda invoice: invoice.id):
        document = documents.get(named.get(each.id, ""))
        amount = each.settled_outside_minor - reported.get(each.id, 0)
        is_known = document is not None and not document.open_minor
        if amount > 0 and not is_known:
            yield each, document, amount


def unasked(conn: Connection, link: Link, since: date) -> Iterator[tuple[Document, str, int]]:
    """Payments and credit memos of ours that are on invoices we did not ask for: with our marker, and how much."""
    beside = and_(
        mirror_table.c.connection_id == rows.c.connection_id,
        mirror_table.c.object_id == rows.c.document_id,
        mirror_table.c.kind.in_(DOCUMENT_KINDS),  # else it is looked for in all there is
    )
    found = conn.execute(
        select(rows.c.marker, rows.c.posting, mirror_table.c.record)
        .join(mirror_table, beside)
        .where(
            rows.c.link_id == link.id,
            rows.c.state.in_(IN_BOOKS),
            rows.c.kind.in_(("payment", "credit_memo", "ar_refund")),
            rows.c.dated >= since,
            mirror_table.c.deleted.is_(False),
        )
    ).all()
    postings = {row.marker: from_json(row.posting, Posting) for row in found}
    asked = _asked(conn, link, postings)
    for row in found:
        document, posting = from_json(row.record, Document), postings[row.marker]
        amount = _used(document, posting) - asked[document.id]
        if posting.target is None and not document.voided and amount > 0:
            yield document, row.marker, amount


def credited(conn: Connection, ledger_id: int) -> frozenset[str]:
    """Invoices to which a credit was applied that somebody typed in, and no money.

    QuickBooks Online keeps a payment of nothing of that; Desktop shows it with the credit memo.
    """
    record = mirror_table.c.record
    credited_by = conn.execute(
        select(record).where(
            mirror_table.c.connection_id == ledger_id,
            mirror_table.c.parent_id.is_(None),
            mirror_table.c.deleted.is_(False),
            or_(
                and_(mirror_table.c.kind == "payment", type_coerce(record, Text).contains('"amount_minor":0,')),
                and_(mirror_table.c.kind == "credit_memo", type_coerce(record, Text).contains('"id":"invoice:')),
            ),
        ),
        execution_options={"yield_per": mirror.STREAMED},
    ).scalars()
    found: set[str] = set()
    for body in credited_by:
        credit = from_json(body, Document)
        if not credit.amount_minor or credit.kind == "credit_memo":
            found |= {part.id for part in credit.applied if part.id.startswith("invoice:")}
    return frozenset(found)


def _reported(conn: Connection, link: Link, ids: list[str]) -> dict[str, int]:
    """By Stripe invoice, what we told Stripe was paid elsewhere."""
    found: dict[str, int] = {}
    for chunk in chunks(ids):
        stored = conn.execute(
            select(sent_invoices.c.processor_invoice_id, sent_invoices.c.reported).where(
                sent_invoices.c.link_id == link.id, sent_invoices.c.processor_invoice_id.in_(chunk)
            )
        )
        for row in stored:
            found[row.processor_invoice_id] = sum(each["amount_minor"] for each in row.reported)
    return found


def _used(document: Document, posting: Posting) -> int:
    """What is on invoices beyond what was asked for; of a credit memo, what is used of it."""
    if document.kind == "credit_memo":
        return document.amount_minor - document.open_minor
    asked = sum(part.amount_minor for part in posting.applied)
    return sum(part.amount_minor for part in document.applied if part.id.startswith("invoice:")) - asked


def _asked(conn: Connection, link: Link, postings: dict[str, Posting]) -> Counter[str]:
    """By document, what later postings of ours apply of it."""
    made = outbox.by_marker(conn, link.ledger_id, list(postings))
    documents = {f"{POSTED}{marker}": item.document_id or "" for marker, item in made.items()}
    found: Counter[str] = Counter()
    for posting in postings.values():
        invoices = [part for part in posting.applied if part.id.startswith("invoice:")]
        for part in posting.applied:
            found[documents.get(part.id, part.id)] += part.amount_minor
        if posting.target is not None:
            found[documents.get(posting.target, posting.target)] += sum(part.amount_minor for part in invoices)
    return found
