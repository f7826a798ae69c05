"""Receipts: money in or out with an item line and no invoice."""

from collections.abc import Sequence

from reconcile.currencies import settle
from reconcile.days import day_of
from reconcile.draft import REFERENCE_LENGTH, memo
from reconcile.postings import Posting, PostingLine
from reconcile.records import Movement
from reconcile.snapshot import Snapshot
from reconcile.taxes import DOCUMENTS, Tax, has_input_tax


def receipt(  # noqa: PLR0913 - all of it is the document
    snapshot: Snapshot,
    kind: str,
    source_id: str,
    movements: Sequence[Movement],
    amount: int,
    customer_id: str,
    *,
    currency: str | None = None,
    settled: int = 0,
    tax: Tax | None = None,
    after: str | None = None,
) -> Posting:
    """`amount` in `currency`, which came to `settled` on the clearing account; without them in that account's own.

    `tax` says how much of it is tax; None: what its kind's tax code says.
    """
    tax = tax or mapped_tax(snapshot, kind)
    part = tax.part_of(amount) if tax else 0
    currency = currency or movements[0].currency
    place = settle(snapshot, movements, currency, amount, settled or amount)
    sale = kind == "sales_receipt"
    item = snapshot.mappings.sales_item if sale else snapshot.mappings.refund_item
    return Posting(
        marker=f"{movements[0].id}:{'charge' if sale else 'refund'}:r1:s1",
        kind="sales_receipt" if sale else "refund_receipt",
        dated=day_of(snapshot, movements),
        currency=currency,
        exchange_rate=place.exchange_rate,
        amount_minor=amount,
        account_id=place.account_id,
        memo=memo(source_id, movements),
        reference=source_id[-REFERENCE_LENGTH:],
        party_id=customer_id,
        tax_minor=part,
        tax_code=tax.code if tax else None,
        lines=(PostingLine(amount_minor=amount - part, item_id=item, description=f"Stripe {source_id}"),),
        after=after,
    )


def mapped_tax(snapshot: Snapshot, document: str) -> Tax | None:
    """What a document without tax of its own carries by the code of its kind; None in a company without input tax."""
    levy = snapshot.levies.get(snapshot.mappings.tax_codes.get(document, ""))
    return levy.on_sale() if levy else None


def tax_problem(snapshot: Snapshot, document: str) -> tuple[str, str] | None:
    if not has_input_tax(snapshot.levies) or mapped_tax(snapshot, document):
        return None
    return "unmapped_tax", f"No tax code is chosen for: {DOCUMENTS[document]}. Choose one."
