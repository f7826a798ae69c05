"""Puts the accountant's rules on a plan's postings: each gets what the rule says of the payment it belongs to."""

from collections.abc import Iterable
from dataclasses import replace

from reconcile.fees import fee_account
from reconcile.labels import Labels, PaymentFacts, PostingRule, RuleKind, WithoutInvoice, choose, first
from reconcile.postings import LegDecision, Posting
from reconcile.records import Charge
from reconcile.snapshot import Snapshot

BY_ITEM = "sales_receipt"
PLAIN = ("transfer",)  # money between balance sheet accounts carries no label
PAID = ("payment", "sales_receipt", "refund_receipt", "ar_refund")
KINDS: dict[str, RuleKind] = {
    "payment": "payment",
    "sales_receipt": "sale",
    "invoice": "sale",
    "refund_receipt": "refund",
    "credit_memo": "refund",
    "ar_refund": "refund",
}


def label(snapshot: Snapshot, postings: Iterable[Posting], decisions: Iterable[LegDecision]) -> list[Posting]:
    """The same postings in the same order. An opening entry is nobody's payment and stays as it is."""
    source_of = {decision.leg.id: decision.source_id for decision in decisions}
    found: dict[tuple[str, RuleKind | None], tuple[Labels, PostingRule | None]] = {}
    labelled = []
    for posting in postings:
        source = source_of.get(posting.shares[0].leg_id, "") if posting.shares else ""
        if posting.kind in PLAIN or not posting.shares or posting.target:
            labelled.append(posting)
            continue
        kind = _kind_of(posting, source)
        if (source, kind) not in found:
            found[source, kind] = _said_of(snapshot, source, kind)
        labelled.append(_with(snapshot, posting, kind, *found[source, kind]))
    return labelled


def without_invoice(snapshot: Snapshot, charge: Charge) -> WithoutInvoice:
    """What becomes of a payment for which there is no invoice: as the first rule that fits it says, else the policy."""
    rules = snapshot.mappings.rules
    facts = facts_of(snapshot, charge.id, "sale") if rules else None
    found = first(rules, facts) if facts else None
    return (found[1].how if found else None) or snapshot.policies.charge_without_invoice


def _kind_of(posting: Posting, source_id: str) -> RuleKind | None:
    if posting.kind in ("purchase", "deposit"):
        return "fee" if posting.payee == "vendor" else "refund"
    return "dispute" if source_id.startswith(("dp_", "du_")) else KINDS.get(posting.kind)


def _said_of(snapshot: Snapshot, source_id: str, kind: RuleKind | None) -> tuple[Labels, PostingRule | None]:
    mappings = snapshot.mappings
    facts = facts_of(snapshot, source_id, kind) if mappings.rules else None
    if facts is None:
        return mappings.labels, None
    found = first(mappings.rules, facts)
    return choose(mappings.rules, mappings.labels, facts)[0], found[1] if found else None


def facts_of(snapshot: Snapshot, source_id: str, kind: RuleKind | None) -> PaymentFacts | None:
    """Of the charge behind a Stripe object, or of a bill of Stripe's; None if neither is in the snapshot."""
    refund, dispute = snapshot.refunds.get(source_id), snapshot.disputes.get(source_id)
    behind = refund.charge_id if refund else dispute.charge_id if dispute else source_id
    charge = snapshot.charges.get(behind or "")
    if charge is None:
        return _of_bill(snapshot, source_id) if kind == "fee" else None
    paid = [
        snapshot.processor_invoices[payment.invoice_id]
        for payment in snapshot.invoice_payments
        if payment.invoice_id in snapshot.processor_invoices
        and (payment.charge_id == charge.id or payment.payment_intent_id == (charge.payment_intent_id or charge.id))
    ]
    metadata = {key: value for invoice in paid for key, value in invoice.metadata.items()} | charge.metadata
    return PaymentFacts(
        currency=charge.currency,
        metadata=metadata,
        products=tuple(product for invoice in paid for product in invoice.products),
        text=charge.description,
        kind=kind,
        customer=f"{charge.customer_name or ''} {charge.customer_email or ''}",
        amount_minor=charge.captured_minor,
    )


def _of_bill(snapshot: Snapshot, movement_id: str) -> PaymentFacts | None:
    found = next((each for each in snapshot.movements if each.id == movement_id), None)
    if found is None:
        return None
    amount = abs(found.net_minor)
    return PaymentFacts(currency=found.currency, text=found.description, kind="fee", amount_minor=amount, is_bill=True)


def _with(
    snapshot: Snapshot, posting: Posting, kind: RuleKind | None, labels: Labels, rule: PostingRule | None
) -> Posting:
    lines = posting.lines
    if posting.kind == BY_ITEM and labels.item_id:
        lines = tuple(replace(line, item_id=labels.item_id) if line.item_id else line for line in lines)
    if kind == "fee" and rule and rule.account_id:
        fees, tax = (fee_account(snapshot.mappings, each) for each in ("stripe_fee", "tax"))
        kept = {tax} - {fees}  # tax goes on where tax goes, if that is another account
        lines = tuple(line if line.account_id in kept else replace(line, account_id=rule.account_id) for line in lines)
    return replace(
        posting,
        lines=lines,
        class_id=labels.class_id,
        location_id=labels.location_id,
        payment_method_id=labels.payment_method_id if posting.kind in PAID else None,
    )
