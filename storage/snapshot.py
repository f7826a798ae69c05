"""Reads a snapshot: everything that may matter to the movements with a leg still to be decided."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection, Row

from reconcile.choices import PersonDecision
from reconcile.counterparts import REALM_KEY
from reconcile.legs import legs_of
from reconcile.mapping import usable
from reconcile.postings import POSTED
from reconcile.records import (
    Account,
    Charge,
    Company,
    Customer,
    Dispute,
    Document,
    InvoicePayment,
    Movement,
    Payout,
    PayoutItems,
    ProcessorInvoice,
    Refund,
)
from reconcile.snapshot import Place, Snapshot, credit_left, recorded_place
from reconcile.taxes import tax_of
from reconcile.typed_fees import PREFIX, typed_costs
from storage import (
    chart,
    connections,
    counterparts,
    credit_notes,
    decisions,
    legs,
    markers,
    mirror,
    outbox,
    rates,
    settled,
)
from storage import disputes as dispute_books
from storage.connections import Link
from storage.outbox import Item
from storage.records import DOCUMENT_KINDS, LINK_KEY

Named = TypeVar("Named", Charge, ProcessorInvoice)
WINDOW = timedelta(days=60)  # wider than any of the matcher's
KEPT = ("not_match", "ignore", "undone")  # decisions that count whatever of the object is decided


def load(conn: Connection, link: Link) -> Snapshot:
    """One consistent read of one link; run it inside a single `read()`."""
    processor, ledger = link.processor_id, link.ledger_id
    movements: list[Movement] = mirror.load_open(conn, processor, ["movement"])
    sources = [movement.source_id or "" for movement in movements]
    refunds = mirror.load(conn, processor, "refund", _starting(sources, "re_", "pyr_"))
    charge_ids = _starting(sources, "ch_", "py_") | {refund.charge_id or "" for refund in refunds.values()}
    charges: dict[str, Charge] = mirror.load(conn, processor, "charge", charge_ids)
    paying: list[InvoicePayment] = mirror.load_children(
        conn, processor, "invoice_payment", {charge.payment_intent_id or charge.id for charge in charges.values()}
    )
    invoices: dict[str, ProcessorInvoice] = mirror.load(
        conn, processor, "processor_invoice", {payment.invoice_id for payment in paying}
    )
    realm_id = connections.connection(conn, ledger).external_id
    charges = {each.id: _of_realm(each, realm_id) for each in charges.values()}
    invoices = {each.id: _of_realm(each, realm_id) for each in invoices.values()}
    disputes: dict[str, Dispute] = {each.id: each for each in mirror.load_all(conn, processor, ["dispute"])}
    company: Company | None = mirror.load(conn, ledger, "company", ["company"]).get("company")
    home = mirror.home_currency(conn, ledger)
    decided = legs.decided(conn, link.id, [movement.id for movement in movements])
    said = _decisions(conn, link.id, movements, decided, charge_ids)
    documents = _documents(conn, ledger, movements, charges.values(), invoices.values(), said)
    payments = [each for each in documents.values() if each.kind == "payment"] if refunds else []
    typed = typed_costs(documents.values(), link.mappings.clearing)
    account = connections.connection(conn, processor)
    wrong = chart.check(conn, link) if account.mode != "files" else []
    found = Snapshot(
        account_id=account.external_id,
        can_post=account.mode != "files",
        home_currency=home,
        time_zone=link.time_zone,
        cutover=link.cutover,
        closed_through=company.closed_through if company else None,
        mappings=usable(link.mappings, wrong),
        policies=link.policies,
        movements=tuple(movements),
        charges=charges,
        refunds=refunds,
        disputes=disputes,
        dispute_books=dispute_books.load(conn, link, disputes.values(), home),
        receivables=receivables(conn, ledger),
        rates=rates.load(conn, link, home),
        payouts=_payouts(conn, processor, sources),
        payout_items=_payout_items(conn, processor, typed),
        invoice_payments=tuple(paying),
        processor_invoices=invoices,
        customers=mirror.load(conn, processor, "customer", [charge.customer_id or "" for charge in charges.values()]),
        counterparts=counterparts.of_processor(
            conn, link.id, {charge.customer_id or "" for charge in charges.values()}
        ),
        documents=documents,
        paid=_paid_by(conn, ledger, payments),
        decided_legs=frozenset(leg_id for leg_id, done in decided.items() if done),
        places=_places(conn, link, charge_ids),
        busy=frozenset(part.id for item in outbox.unsettled(conn, link.id) for part in item.posting.applied),
        openings=link.openings or (),
        opening_markers=_opening_markers(conn, link),
        decisions=said,
        closed_otherwise=settled.closed_otherwise(conn, ledger, documents.values()),
        levies=chart.taxes(conn, ledger),
        spent=markers.spent(conn, ledger),
        broken=tuple(each.text for each in wrong if not each.missing),
    )
    noted = mirror.load(conn, processor, "processor_invoice", credit_notes.invoice_ids(conn, link))
    return credit_notes.add(conn, link, found, {each.id: _of_realm(each, realm_id) for each in noted.values()})


def _decisions(
    conn: Connection, link_id: int, movements: Sequence[Movement], decided: dict[str, bool], charge_ids: set[str]
) -> dict[str, tuple[PersonDecision, ...]]:
    """What people decided. A match that was carried out is left out: it must not take from its invoice again."""
    gross = [(movement, leg.id) for movement in movements for leg in legs_of(movement) if leg.kind == "gross"]
    undecided = {
        each for movement, leg_id in gross if not decided.get(leg_id) for each in (movement.source_id, movement.id)
    }
    sources = {each or "" for movement in movements for each in (movement.source_id, movement.id)} | charge_ids
    open_legs = {leg.id for each in movements for leg in legs_of(each) if not decided.get(leg.id)}
    of_fees = decisions.about(conn, link_id, PREFIX)
    undecided |= {one.decision.source_id for one in of_fees if open_legs.intersection(one.decision.leg_ids)}
    sources |= {one.decision.source_id for one in of_fees}
    return {
        source_id: tuple(each.decision for each in stored if each.decision.kind in KEPT or source_id in undecided)
        for source_id, stored in decisions.standing(conn, link_id, sources).items()
    }


def _of_realm(named: Named, realm_id: str) -> Named:
    """Without the invoice its metadata names, if that is one of another company."""
    if named.metadata.get(REALM_KEY, realm_id) == realm_id:
        return named
    return replace(named, metadata={key: value for key, value in named.metadata.items() if key != LINK_KEY})


def _starting(ids: Iterable[str], *prefixes: str) -> set[Any]:
    return {object_id for object_id in ids if object_id.startswith(prefixes)}


def _payouts(conn: Connection, processor: int, sources: list[str]) -> dict[str, Payout]:
    return mirror.load(conn, processor, "payout", _starting(sources, "po_"))


def _payout_items(conn: Connection, processor: int, typed: Sequence[Document]) -> dict[str, tuple[str, ...]]:
    """What is in the payouts whose fees these documents may record together."""
    if not typed:
        return {}
    days = [document.dated for document in typed]
    ids = mirror.ids_dated(conn, processor, "payout", min(days) - WINDOW, max(days) + WINDOW)
    found: dict[str, PayoutItems] = mirror.load(conn, processor, "payout_items", ids)
    return {payout_id: items.movement_ids for payout_id, items in found.items()}


def _documents(
    conn: Connection,
    ledger: int,
    movements: Sequence[Movement],
    charges: Iterable[Charge],
    invoices: Iterable[ProcessorInvoice],
    said: dict[str, tuple[PersonDecision, ...]],
) -> dict[str, Document]:
    """What may belong to the movements, with the customers' addresses: every open invoice, what others recorded
    around these days, the invoices that Stripe's side names even if they are paid, and what people chose.
    """
    others = [kind for kind in DOCUMENT_KINDS if kind != "invoice"]
    first = min((movement.created_at.date() for movement in movements), default=None)
    nearby = mirror.load_open(conn, ledger, others, since=first - WINDOW) if first else []
    found: dict[str, Document] = {
        document.id: document for document in [*mirror.load_open(conn, ledger, ["invoice"]), *nearby]
    }
    metadata = [*(charge.metadata for charge in charges), *(invoice.metadata for invoice in invoices)]
    named = {f"invoice:{body[LINK_KEY]}" for body in metadata if LINK_KEY in body}
    found |= mirror.load(conn, ledger, "invoice", named - set(found))
    chosen = {part.ledger_id for each in said.values() for one in each if one.kind == "match" for part in one.parts}
    found |= _load_documents(conn, ledger, sorted(chosen - set(found)))
    customers: dict[str, Customer] = mirror.load(
        conn, ledger, "customer", {document.customer_id for document in found.values() if document.customer_id}
    )
    return {document.id: with_customer(document, customers) for document in found.values()}


def with_customer(document: Document, customers: dict[str, Customer]) -> Document:
    customer = customers.get(document.customer_id or "")
    if customer is None:
        return document
    return replace(
        document,
        customer_name=customer.name,
        customer_email=document.customer_email or customer.email,
    )


def _places(conn: Connection, link: Link, charge_ids: set[str]) -> dict[str, Place]:
    """Where charges decided in earlier rounds are booked."""
    rows = legs.of_sources(conn, link.id, sorted(charge_ids - {""}))
    gross = [row for row in rows if row.kind == "gross" and row.category == "charge"]
    items = outbox.by_marker(conn, link.ledger_id, [marker for row in gross for marker in row.markers])
    written = [item.document_id or "" for item in items.values()]
    paid = [part.id for item in items.values() for part in item.posting.applied]
    matched = [document_id for row in gross for document_id in row.document_ids]
    documents = _load_documents(conn, link.ledger_id, [*written, *paid, *matched])
    documents |= _paid_by(conn, link.ledger_id, [documents[each] for each in matched if each in documents])
    used = _credit_given_back(conn, link, charge_ids)
    places = {row.source_id: _place(row, items, documents, used.get(row.source_id, 0)) for row in gross}
    return {source_id: place for source_id, place in places.items() if place is not None}


def _place(row: Row[Any], items: dict[str, Item], documents: dict[str, Document], given_back: int) -> Place | None:
    if row.before_cutover:
        return Place(customer_id=None, in_books=False)
    if row.reason in legs.UNDOING:  # nothing may hang on what is about to go
        return None
    if row.document_ids or row.state == "matched":  # somebody else's document, even if we moved its money
        recorded = [documents[each] for each in row.document_ids if each in documents]
        return recorded_place(recorded, documents, given_back)
    if not row.markers:
        return None
    booked = [items[marker] for marker in row.markers]
    own = (each for each in booked if each.posting.kind in ("payment", "sales_receipt") and not each.posting.target)
    item = next(own, booked[0])  # an invoice made for it, an entry over the bridge: they stand beside it
    posting, written = item.posting, documents.get(item.document_id or "")
    customers = {items[marker].posting.party_id for marker in row.markers if items[marker].posting.party_id}
    rest = posting.amount_minor - sum(part.amount_minor for part in posting.applied) - given_back
    if written is not None:  # somebody may have used the credit for another invoice since
        rest = min(rest, credit_left([written], given_back))
    made = {f"{POSTED}{each.posting.marker}": each.document_id or "" for each in booked}
    paid = [made.get(part.id, part.id) for part in posting.applied]
    receipts = [written] if written is not None and written.kind == "sales_receipt" else []
    tax = tax_of([documents[each] for each in paid if each in documents] or receipts)
    customer_id = (written.customer_id if written else None) or posting.party_id  # it may have been merged since
    return Place(
        customer_id=customer_id if len(customers) == 1 else None,
        marker=posting.marker,
        unapplied_minor=max(0, rest) if posting.kind == "payment" else 0,
        is_payment=posting.kind == "payment",
        tax=tax,
    )


def _credit_given_back(conn: Connection, link: Link, charge_ids: set[str]) -> dict[str, int]:
    """By charge, what earlier refunds took from the credit it left with its customer."""
    refunds: list[Refund] = mirror.load_children(conn, link.processor_id, "refund", charge_ids)
    rows = legs.of_sources(conn, link.id, [refund.id for refund in refunds])
    source_of = {marker: row.source_id for row in rows for marker in row.markers if ":credit:" in marker}
    charge_of = {refund.id: refund.charge_id or "" for refund in refunds}
    used: dict[str, int] = defaultdict(int)
    for marker, item in outbox.by_marker(conn, link.ledger_id, list(source_of)).items():
        used[charge_of[source_of[marker]]] += item.posting.amount_minor
    return used


def _paid_by(conn: Connection, ledger: int, payments: Iterable[Document]) -> dict[str, Document]:
    """The invoices that payments have paid."""
    return mirror.load(conn, ledger, "invoice", {part.id for payment in payments for part in payment.applied})


def _load_documents(conn: Connection, ledger: int, document_ids: list[str]) -> dict[str, Document]:
    by_kind: dict[str, set[str]] = defaultdict(set)
    for document_id in document_ids:
        by_kind[document_id.partition(":")[0]].add(document_id)
    return {
        document_id: document
        for kind, ids in by_kind.items()
        for document_id, document in mirror.load(conn, ledger, kind, ids).items()
    }


def receivables(conn: Connection, ledger: int) -> dict[str, str]:
    """The first account receivable of each currency."""
    accounts: list[Account] = mirror.load_all(conn, ledger, ["account"])
    found = [each for each in accounts if each.type == "Accounts Receivable" and each.active]
    return {each.currency: each.id for each in sorted(found, key=lambda each: (len(each.id), each.id), reverse=True)}


def _opening_markers(conn: Connection, link: Link) -> dict[str, str]:
    account = connections.connection(conn, link.processor_id).external_id
    wanted = {
        f"{account}:opening-{opening.currency.lower()}:r1:s1": opening.currency for opening in link.openings or ()
    }
    found = outbox.by_marker(conn, link.ledger_id, list(wanted))
    return {wanted[marker]: marker for marker, item in found.items() if item.state != "withdrawn"}
