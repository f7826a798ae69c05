"""The opening balance of a clearing account, of disputes open and reserves held then (rows 21 and 22)."""

from reconcile.currencies import in_home, rate_on, rate_problem
from reconcile.days import closed_problem, out_of_closed
from reconcile.draft import Draft, missing_account
from reconcile.entries import entry
from reconcile.money import Money, in_books
from reconcile.postings import Posting, PostingLine
from reconcile.snapshot import DisputeBooks, OpenDispute, Opening, Snapshot


def plan_openings(draft: Draft) -> None:
    draft.openings.update(draft.snapshot.opening_markers)
    for opening in draft.snapshot.openings:
        problem = _opening_problem(draft.snapshot, opening)
        if not problem and opening.currency not in draft.openings:
            draft.openings[opening.currency] = _opening_marker(draft.snapshot, opening.currency)
            draft.postings += _opening_posting(draft.snapshot, opening)
        if not problem and draft.snapshot.policies.open_items == "post":
            _open_disputes(draft, opening)
            draft.postings += _reserve_opening(draft.snapshot, opening)


def _opening_problem(snapshot: Snapshot, opening: Opening) -> str | None:
    if opening.currency not in snapshot.mappings.clearing or not snapshot.mappings.opening_account:
        return "unmapped_account"
    problem = rate_problem(snapshot, opening.currency, snapshot.cutover) or closed_problem(snapshot, snapshot.cutover)
    return problem[0] if problem else None


def _opening_posting(snapshot: Snapshot, opening: Opening) -> list[Posting]:
    """Brings the clearing account to Stripe's balance plus what was on its way to the bank; nothing if it is there."""
    exact = opening.stripe_minor + opening.in_transit_minor - opening.existing_minor
    amount = in_books(exact, opening.currency)
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


def _open_disputes(draft: Draft, opening: Opening) -> None:
    """What open disputes had taken is receivable; the entry of each names it, so that its end closes it."""
    if missing_account(draft.snapshot, "disputes_receivable"):
        return  # their movements of later days wait for the same account
    for dispute in opening.disputes:
        posting, books = _dispute_opening(draft.snapshot, dispute, opening.currency)
        draft.postings.append(posting)  # planned once: markers are unique
        draft.opened[dispute.id] = books


def _reserve_opening(snapshot: Snapshot, opening: Opening) -> list[Posting]:
    """What Stripe held back then, so that its release finds it."""
    if not opening.reserved_minor or missing_account(snapshot, "reserve"):
        return []  # its release waits for the same account
    known = rate_on(snapshot, opening.currency, snapshot.cutover)
    held = in_home(in_books(opening.reserved_minor, opening.currency), opening.currency, known, snapshot.home_currency)
    reserve = snapshot.mappings.accounts["reserve"]
    amounts = {reserve: held, snapshot.mappings.opening_account or "": -held}
    marker = f"{snapshot.account_id}:reserve-{opening.currency.lower()}:r1:s1"
    shown = Money(opening.reserved_minor, opening.currency)
    text = f"Stripe held {shown} in reserve at the start of {snapshot.cutover}"
    reference = f"TIEOUT-RESERVE-{opening.currency}"
    posting = entry(snapshot, marker, snapshot.cutover, reserve, amounts, text, reference)
    return [out_of_closed(snapshot, posting)]


def _dispute_opening(snapshot: Snapshot, dispute: OpenDispute, currency: str) -> tuple[Posting, DisputeBooks]:
    known = rate_on(snapshot, currency, snapshot.cutover)
    held = in_home(dispute.taken_minor, currency, known, snapshot.home_currency)
    receivable = snapshot.mappings.accounts["disputes_receivable"]
    amounts = {receivable: held, snapshot.mappings.opening_account or "": -held}
    marker = f"{dispute.id}:opening:r1:s1"
    text = f"{dispute.id} was open at the start of {snapshot.cutover}; taken by then: {' '.join(dispute.movement_ids)}"
    posting = entry(snapshot, marker, snapshot.cutover, receivable, amounts, text, dispute.id)
    posting = out_of_closed(snapshot, posting)
    books = DisputeBooks(
        held_minor=held,
        taken=((dispute.taken_minor, held),),
        movement_ids=frozenset(dispute.movement_ids),
        last_day=posting.dated,
        last_marker=marker,
    )
    return posting, books
