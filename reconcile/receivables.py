"""Money that goes back to a customer's account: an expense out of clearing to receivables (rows 8c and 10)."""

from collections.abc import Sequence

from reconcile.currencies import settle
from reconcile.days import day_of
from reconcile.draft import REFERENCE_LENGTH, memo
from reconcile.postings import POSTED, Change, Posting, PostingLine
from reconcile.records import Applied, Movement
from reconcile.snapshot import Snapshot


def missing_receivable(snapshot: Snapshot, currency: str) -> tuple[str, str] | None:
    if currency in snapshot.receivables:
        return None
    return "unmapped_account", f"QuickBooks has no account receivable in {currency}. Create it."


def give_back(  # noqa: PLR0913, PLR0917 - all of it is the document
    snapshot: Snapshot,
    kind: str,
    source_id: str,
    movements: Sequence[Movement],
    currency: str,
    amount: int,
    settled: int,
    customer_id: str,
    after: str | None,
) -> Posting:
    """The customer owes `amount` (again), which came to `settled` on the clearing account."""
    place = settle(snapshot, movements, currency, amount, settled)
    return Posting(
        marker=f"{movements[0].id}:{kind}:r1:s1",
        kind="purchase",
        dated=day_of(snapshot, movements),
        currency=currency,
        amount_minor=amount,
        account_id=place.account_id,
        memo=memo(source_id, movements),
        reference=source_id[-REFERENCE_LENGTH:],
        party_id=customer_id,
        payee="customer",
        exchange_rate=place.exchange_rate,
        lines=(
            PostingLine(
                amount_minor=amount, account_id=snapshot.receivables[currency], description=f"Stripe {source_id}"
            ),
        ),
        after=after,
    )


def link(
    snapshot: Snapshot,
    kind: str,
    source_id: str,
    movements: Sequence[Movement],
    paid: Posting,
    payment: str,
    change: Change,
) -> Posting:
    """Applies a payment of ours (by marker) to what went back to the customer, so that neither stays open."""
    return Posting(
        marker=f"{movements[0].id}:{kind}-link:r1:s1",
        kind="payment",
        dated=day_of(snapshot, movements),
        currency=paid.currency,
        amount_minor=0,
        account_id=paid.account_id,
        memo=memo(source_id, movements),
        party_id=paid.party_id,
        applied=(Applied(id=f"{POSTED}{paid.marker}", amount_minor=paid.amount_minor),),
        after=paid.marker,
        target=f"{POSTED}{payment}",
        change=change,
    )
