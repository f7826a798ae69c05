"""Puts the labels on a plan's postings: each gets those of the payment it belongs to."""

from collections.abc import Iterable
from dataclasses import replace

from reconcile.labels import Labels, PaymentFacts, choose
from reconcile.postings import LegDecision, Posting
from reconcile.snapshot import Snapshot

BY_ITEM = "sales_receipt"
PLAIN = ("transfer",)  # money between balance sheet accounts carries no label
PAID = ("payment", "sales_receipt", "refund_receipt", "ar_refund")


def label(snapshot: Snapshot, postings: Iterable[Posting], decisions: Iterable[LegDecision]) -> list[Posting]:
    """The same postings in the same order. An opening entry is nobody's payment and stays as it is."""
    source_of = {decision.leg.id: decision.source_id for decision in decisions}
    found: dict[str, Labels] = {}
    labelled = []
    for posting in postings:
        source = source_of.get(posting.shares[0].leg_id, "") if posting.shares else ""
        if posting.kind in PLAIN or not posting.shares or posting.target:
            labelled.append(posting)
            continue
        if source not in found:
            found[source] = _labels_of(snapshot, source)
        labelled.append(_with(posting, found[source]))
    return labelled


def _labels_of(snapshot: Snapshot, source_id: str) -> Labels:
    mappings = snapshot.mappings
    facts = _facts(snapshot, source_id)
    return mappings.labels if facts is None else choose(mappings.rules, mappings.labels, facts)[0]


def _facts(snapshot: Snapshot, source_id: str) -> PaymentFacts | None:
    """Of the charge behind a Stripe object; None if there is none in the snapshot."""
    refund, dispute = snapshot.refunds.get(source_id), snapshot.disputes.get(source_id)
    behind = refund.charge_id if refund else dispute.charge_id if dispute else source_id
    charge = snapshot.charges.get(behind or "")
    if charge is None:
        return None
    paid = [
        snapshot.processor_invoices[payment.invoice_id]
        for payment in snapshot.invoice_payments
        if payment.invoice_id in snapshot.processor_invoices
        and (payment.charge_id == charge.id or payment.payment_intent_id == (charge.payment_intent_id or charge.id))
    ]
    metadata = {key: value for invoice in paid for key, value in invoice.metadata.items()} | charge.metadata
    products = tuple(product for invoice in paid for product in invoice.products)
    return PaymentFacts(currency=charge.currency, metadata=metadata, products=products, text=charge.description)


def _with(posting: Posting, labels: Labels) -> Posting:
    lines = posting.lines
    if posting.kind == BY_ITEM and labels.item_id:
        lines = tuple(replace(line, item_id=labels.item_id) if line.item_id else line for line in lines)
    return replace(
        posting,
        lines=lines,
        class_id=labels.class_id,
        location_id=labels.location_id,
        payment_method_id=labels.payment_method_id if posting.kind in PAID else None,
    )
