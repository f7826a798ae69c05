"""Receipts: money in or out with an item line and no invoice."""

from collections.abc import Sequence

from reconcile.currencies import settle
from reconcile.days import day_of
from reconcile.draft import REFERENCE_LENGTH, memo
from reconcile.postings import Posting, PostingLine
from reconcile.records import Movement
from reconcile.snapshot import Snapshot, Tax


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

    `tax` says how much of it is tax.
    """
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
