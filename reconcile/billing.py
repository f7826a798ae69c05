"""Invoices Stripe wrote (subscriptions) that are not in the books: made there by policy, then paid (row 6).

Only if one charge paid one whole invoice, and what Stripe says of it makes its total to the last unit.
"""

from collections.abc import Sequence

from reconcile.days import day_of
from reconcile.draft import REFERENCE_LENGTH, Draft, memo
from reconcile.postings import Posting, PostingLine
from reconcile.receipts import tax_problem
from reconcile.records import Charge, Movement, ProcessorInvoice
from reconcile.snapshot import Snapshot
from reconcile.taxes import Tax

TEXT_MAX = 1000


def billed(draft: Draft, charge: Charge) -> ProcessorInvoice | None:
    """The Stripe invoice a charge paid, if it is to be made in the books."""
    snapshot = draft.snapshot
    if snapshot.policies.stripe_invoice != "create":
        return None
    names = {charge.id, charge.payment_intent_id}
    parts = [
        each
        for each in snapshot.invoice_payments
        if each.status == "paid" and {each.charge_id, each.payment_intent_id} & names - {None}
    ]
    if len(parts) != 1 or parts[0].paid_minor != charge.captured_minor:
        return None
    invoice = snapshot.processor_invoices.get(parts[0].invoice_id)
    if invoice is None or "qbo_invoice_id" in invoice.metadata:
        return None
    return invoice


def billing_problem(snapshot: Snapshot, charge: Charge, invoice: ProcessorInvoice) -> tuple[str, str] | None:
    name = f"Stripe invoice {invoice.number or invoice.id}"
    content = invoice.content
    if content is None:
        return "no_invoice", f"{name} has more lines than Stripe shows at once. Write the invoice by hand."
    total = sum(amount for amount, _ in content.lines) - content.discount_minor + content.tax_minor
    if not total == invoice.total_minor == charge.captured_minor:
        detail = f"{name} is more than lines, discount and tax, or this charge did not pay just it. Write it by hand."
        return "AMOUNT_DIFF", detail
    if snapshot.mappings.sales_item is None:
        return "unmapped_item", "No item is chosen for sales without an invoice. Choose one."
    if content.tax_minor and snapshot.mappings.sales_tax_code is None:
        return "unmapped_tax", f"{name} carries tax, and no tax code is chosen for it. Choose one."
    return None if content.tax_minor else tax_problem(snapshot, "invoice")


def billing(
    snapshot: Snapshot, charge: Charge, movements: Sequence[Movement], invoice: ProcessorInvoice, customer_id: str
) -> tuple[Posting, Tax | None]:
    """The invoice as Stripe wrote it, dated the day it did, but not before the cut-over."""
    content = invoice.content
    assert content is not None, "looked at before"
    mappings = snapshot.mappings
    code = mappings.sales_tax_code if content.tax_minor else mappings.tax_codes.get("invoice")
    day = day_of(snapshot, movements)
    posting = Posting(
        marker=f"{invoice.id}:invoice:r1:s1",
        kind="invoice",
        dated=max(snapshot.cutover, min(day, invoice.created_at.date())),
        currency=charge.currency,
        amount_minor=invoice.total_minor,
        account_id=snapshot.receivables.get(charge.currency, ""),
        memo=memo(invoice.id, ()),
        reference=(invoice.number or invoice.id)[-REFERENCE_LENGTH:],
        party_id=customer_id,
        tax_minor=content.tax_minor,
        tax_code=code,
        discount_minor=content.discount_minor,
        lines=tuple(
            PostingLine(amount_minor=amount, item_id=snapshot.mappings.sales_item, description=text[:TEXT_MAX])
            for amount, text in content.lines
        ),
    )
    tax = Tax(tax_minor=content.tax_minor, total_minor=invoice.total_minor, code=code) if code else None
    return posting, tax
