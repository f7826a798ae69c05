"""The opening balance of a clearing account (rows 21 and 22)."""

from reconcile.currencies import rate_on, rate_problem
from reconcile.days import closed_problem, out_of_closed
from reconcile.draft import Draft
from reconcile.money import Money
from reconcile.postings import Posting, PostingLine
from reconcile.snapshot import Opening, Snapshot


def plan_openings(draft: Draft) -> None:
    draft.openings.update(draft.snapshot.opening_markers)
    for opening in draft.snapshot.openings:
        problem = _opening_problem(draft.snapshot, opening)
        if not problem and opening.currency not in draft.openings:
            draft.openings[opening.currency] = _opening_marker(draft.snapshot, opening.currency)
            draft.postings += _opening_posting(draft.snapshot, opening)


def _opening_problem(snapshot: Snapshot, opening: Opening) -> str | None:
    if opening.currency not in snapshot.mappings.clearing or not snapshot.mappings.opening_account:
        return "unmapped_account"
    problem = rate_problem(snapshot, opening.currency, snapshot.cutover) or closed_problem(snapshot, snapshot.cutover)
    return problem[0] if problem else None


def _opening_posting(snapshot: Snapshot, opening: Opening) -> list[Posting]:
    """Brings the clearing account to Stripe's balance plus what was on its way to the bank; nothing if it is there."""
    amount = opening.stripe_minor + opening.in_transit_minor - opening.existing_minor
    clearing, other = snapshot.mappings.clearing[opening.currency], snapshot.mappings.opening_account
    if not amount:
        return []
    memo = (
        f"Stripe balance at the start of {snapshot.cutover}: {Money(opening.stripe_minor, opening.currency)}; "
        f"payouts on their way then: {Money(opening.in_transit_minor, opening.currency)}; "
        f"already in this account: {Money(opening.existing_minor, opening.currency)}"
    )
    entry = Posting(
        marker=_opening_marker(snapshot, opening.currency),
        kind="journal_entry",
        dated=snapshot.cutover,
        currency=opening.currency,
        amount_minor=abs(amount),
        account_id=clearing,
        exchange_rate=rate_on(snapshot, opening.currency, snapshot.cutover),
        memo=memo,
        reference=f"TIEOUT-OPENING-{opening.currency}",
        lines=(
            PostingLine(amount_minor=amount, account_id=clearing, description="Stripe opening balance"),
            PostingLine(amount_minor=-amount, account_id=other, description="Stripe opening balance"),
        ),
    )
    return [out_of_closed(snapshot, entry)]


def _opening_marker(snapshot: Snapshot, currency: str) -> str:
    return f"{snapshot.account_id}:opening-{currency.lower()}:r1:s1"
