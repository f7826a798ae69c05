"""Reads snapshots: everything that planning some movements needs, so many at a time as anybody wants to hold."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
    ProcessorInvoice,
    Refund,
)
from reconcile.snapshot import Place, Snapshot, credit_left, recorded_place
from reconcile.taxes import tax_of
from reconcile.typed_fees import PREFIX
from storage import (
    chart,
    connections,
    counterparts,
    credit_notes,
    decisions,
    given_back,
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
from storage.records import LINK_KEY

Named = TypeVar("Named", Charge, ProcessorInvoice)
KEPT = ("not_match", "ignore", "undone")  # decisions that count whatever of the object is decided


def ground(conn: Connection, link: Link) -> Snapshot:
    """What is the same for everything of a link: a snapshot without any movement."""
    company: Company | None = mirror.load(conn, link.ledger_id, "company", ["company"]).get("company")
    account = connections.connection(conn, link.processor_id)
    wrong = chart.check(conn, link) if account.mode != "files" else []
    home = mirror.home_currency(conn, link.ledger_id)
    return Snapshot(
        account_id=account.external_id,
        can_post=account.mode != "files",
        on_desktop=connections.is_desktop(conn, link.ledger_id),
        home_currency=home,
        time_zone=link.time_zone,
        cutover=link.cutover,
        closed_through=company.closed_through if company else None,
        mappings=usable(link.mappings, wrong),
        policies=link.policies,
        receivables=receivables(conn, link.ledger_id),
        rates=rates.load(conn, link, home, ()),
        busy=frozenset(part.id for item in outbox.unsettled(conn, link.id) for part in item.posting.applied),
        openings=link.openings or (),
        opening_markers=_opening_markers(conn, link),
        closed_otherwise=settled.credited(conn, link.ledger_id),
        levies=chart.taxes(conn, link.ledger_id),
        spent=markers.spent(conn, link.ledger_id),
        broken=tuple(each.text for each in wrong if not each.missing),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stripe:
    """Some movements with everything at Stripe that is behind them, and what is decided about them."""

    movements: list[Movement]
    charges: dict[str, Charge]
    refunds: dict[str, Refund]
    disputes: dict[str, Dispute]
    payouts: dict[str, Payout]
    invoice_payments: list[InvoicePayment]
    processor_invoices: dict[str, ProcessorInvoice]
    customers: dict[str, Customer]
    decided: dict[str, bool]  # by leg
    decisions: dict[str, tuple[PersonDecision, ...]]  # by Stripe object


def load_stripe(conn: Connection, link: Link, movement_ids: Iterable[str]) -> Stripe:
    """Those of these movements that exist, by id."""
    processor = link.processor_id
    found: dict[str, Movement] = mirror.load(conn, processor, "movement", movement_ids)
    movements = [found[key] for key in sorted(found)]
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
    realm_id = connections.connection(conn, link.ledger_id).external_id
    decided = legs.decided(conn, link.id, [movement.id for movement in movements])
    return Stripe(
        movements=movements,
        charges={each.id: _of_realm(each, realm_id) for each in charges.values()},
        refunds=refunds,
        disputes=mirror.load(conn, processor, "dispute", _starting(sources, "du_", "dp_")),
        payouts=mirror.load(conn, processor, "payout", _starting(sources, "po_")),
        invoice_payments=paying,
        processor_invoices={each.id: _of_realm(each, realm_id) for each in invoices.values()},
        customers=mirror.load(conn, processor, "customer", [charge.customer_id or "" for charge in charges.values()]),
        decided=decided,
        decisions=_decisions(conn, link.id, movements, decided, charge_ids),
    )


def load(
    conn: Connection, link: Link, common: Snapshot, movement_ids: Iterable[str], document_ids: Iterable[str]
) -> Snapshot:
    """Some movements, and what planning them needs: `document_ids` are those that the matcher found for them.

    `common` is the link's `ground`. Run it inside a single `read()`.
    """
    found = load_stripe(conn, link, movement_ids)
    documents = load_documents(conn, link.ledger_id, {*document_ids, *named_by(found)})
    payments = [each for each in documents.values() if each.kind == "payment"]
    charge_ids = set(found.charges) | {refund.charge_id or "" for refund in found.refunds.values()}
    people = {charge.customer_id or "" for charge in found.charges.values()}
    home = common.home_currency
    return replace(
        common,
        movements=tuple(found.movements),
        charges=found.charges,
        refunds=found.refunds,
        disputes=found.disputes,
        dispute_books=dispute_books.load(conn, link, found.disputes.values(), home),
        rates=common.rates | rates.load(conn, link, home, found.movements),
        payouts=found.payouts,
        invoice_payments=tuple(found.invoice_payments),
        processor_invoices=found.processor_invoices,
        customers=found.customers,
        counterparts=counterparts.of_processor(conn, link.id, people),
        documents=documents,
        closed_otherwise=common.closed_otherwise & _closed(documents.values()),
        paid=_paid_by(conn, link.ledger_id, payments),
        given_back=given_back.of_documents(conn, link, payments if found.refunds else ()),
        decided_legs=frozenset(leg_id for leg_id, done in found.decided.items() if done),
        places=_places(conn, link, charge_ids),
        opening_markers=_opening_markers(conn, link),
        decisions=found.decisions,
    )


def load_disputes(conn: Connection, link: Link, common: Snapshot, disputes: Iterable[Dispute]) -> Snapshot:
    """Disputes none of whose movements is open: all that can be left to do of them is to close them."""
    known = {each.id: each for each in disputes}
    books = dispute_books.load(conn, link, known.values(), common.home_currency)
    return replace(common, disputes=known, dispute_books=books, opening_markers=_opening_markers(conn, link))


def load_notes(conn: Connection, link: Link, common: Snapshot) -> Snapshot:
    """The credit notes that are not settled."""
    realm_id = connections.connection(conn, link.ledger_id).external_id
    noted = mirror.load(conn, link.processor_id, "processor_invoice", credit_notes.invoice_ids(conn, link))
    common = replace(common, opening_markers=_opening_markers(conn, link))
    return credit_notes.add(conn, link, common, {each.id: _of_realm(each, realm_id) for each in noted.values()})


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


def named_by(found: Stripe) -> set[str]:
    """The invoices in the books that Stripe's side names."""
    behind: list[Any] = [*found.charges.values(), *found.processor_invoices.values()]
    return {f"invoice:{each.metadata[LINK_KEY]}" for each in behind if LINK_KEY in each.metadata}


def _closed(documents: Iterable[Document]) -> set[str]:
    """The invoices with nothing open."""
    return {each.id for each in documents if each.kind == "invoice" and not each.open_minor and not each.voided}


def load_documents(conn: Connection, ledger: int, document_ids: Iterable[str]) -> dict[str, Document]:
    """By id, with the customers' names and addresses."""
    return with_customers(conn, ledger, _load_documents(conn, ledger, document_ids).values())


def with_customers(conn: Connection, ledger: int, documents: Iterable[Document]) -> dict[str, Document]:
    """By id, with their customers' names and addresses."""
    documents = list(documents)
    customers: dict[str, Customer] = mirror.load(
        conn, ledger, "customer", {document.customer_id for document in documents if document.customer_id}
    )
    return {document.id: with_customer(document, customers) for document in documents}


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
    used = given_back.of_charges(conn, link, charge_ids)
    used |= given_back.of_documents(conn, link, [documents[each] for each in {*matched} if each in documents])
    places = {row.source_id: _place(row, items, documents, used) for row in gross}
    return {source_id: place for source_id, place in places.items() if place is not None}


def _place(
    row: Row[Any], items: dict[str, Item], documents: dict[str, Document], used: Mapping[str, int]
) -> Place | None:
    """`used`: what refunds took from the credit that charges and typed payments left."""
    if row.before_cutover:
        return Place(customer_id=None, in_books=False)
    if row.reason in legs.UNDOING:  # nothing may hang on what is about to go
        return None
    if row.document_ids or row.state == "matched":  # somebody else's document, even if we moved its money
        recorded = [documents[each] for each in row.document_ids if each in documents]
        return recorded_place(recorded, documents, used)
    if not row.markers:
        return None
    booked = [items[marker] for marker in row.markers]
    own = (each for each in booked if each.posting.kind in ("payment", "sales_receipt") and not each.posting.target)
    item = next(own, booked[0])  # an invoice made for it, an entry over the bridge: they stand beside it
    posting, written, taken = item.posting, documents.get(item.document_id or ""), used.get(row.source_id, 0)
    customers = {items[marker].posting.party_id for marker in row.markers if items[marker].posting.party_id}
    rest = posting.amount_minor - sum(part.amount_minor for part in posting.applied) - taken
    if written is not None:  # its credit may be used by now; or be more, since its invoice was lowered or is gone
        rest = credit_left([written], taken)
    made = {f"{POSTED}{each.posting.marker}": each.document_id or "" for each in booked}
    paid = [made.get(part.id, part.id) for part in posting.applied]
    receipts = [written] if written is not None and written.kind == "sales_receipt" else []
    tax = tax_of([documents[each] for each in paid if each in documents] or receipts)
    customer_id = (written.customer_id if written else None) or posting.party_id  # it may have been merged since
    return Place(
        customer_id=customer_id if len(customers) == 1 else None,
        marker=posting.marker,
        credit_of=(posting.marker,),
        unapplied_minor=max(0, rest) if posting.kind == "payment" else 0,
        is_payment=posting.kind == "payment",
        tax=tax,
    )


def _paid_by(conn: Connection, ledger: int, payments: Iterable[Document]) -> dict[str, Document]:
    """The invoices that payments have paid."""
    return mirror.load(conn, ledger, "invoice", {part.id for payment in payments for part in payment.applied})


def stream_documents(conn: Connection, ledger: int, document_ids: Iterable[str]) -> Iterator[list[Document]]:
    """Of any kinds, some at a time, without their customers' addresses."""
    by_kind: dict[str, list[str]] = defaultdict(list)
    for document_id in document_ids:
        by_kind[document_id.partition(":")[0]].append(document_id)
    for kind, ids in by_kind.items():
        for chunk in mirror.chunks(ids):
            yield list(mirror.load(conn, ledger, kind, chunk).values())


def _load_documents(conn: Connection, ledger: int, document_ids: Iterable[str]) -> dict[str, Document]:
    return {each.id: each for page in stream_documents(conn, ledger, sorted(set(document_ids))) for each in page}


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
