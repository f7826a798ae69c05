"""Payouts to the bank, those that come back or that Stripe draws from the bank, and top-ups (rows 14 to 16)."""

from collections.abc import Sequence
from datetime import date

from reconcile.currencies import rate_on, rate_problem
from reconcile.days import before_cutover, closed_problem, day_of
from reconcile.draft import REFERENCE_LENGTH, Draft, cover_by_opening, memo, no_clearing, share, total
from reconcile.failures import NEVER
from reconcile.fees import book_costs
from reconcile.legs import fees_of, gross_of
from reconcile.postings import Leg, Posting
from reconcile.records import Movement, Payout
from reconcile.snapshot import Snapshot


def plan_payout(draft: Draft, payout_id: str, movements: list[Movement]) -> None:
    """A payout counts on the day it arrives; its return on the day Stripe booked that."""
    payout = draft.snapshot.payouts[payout_id]
    taken = [movement for movement in movements if movement.category == "payout"]
    returned = [movement for movement in movements if movement.category == "payout_reversal"]
    if returned and before_cutover(draft.snapshot, returned):  # made and given back before: all in the opening
        cover_by_opening(draft, draft.undecided(movements), payout_id)
        return
    if taken and before_cutover(draft.snapshot, taken) and payout.arrives_on < draft.snapshot.cutover:
        cover_by_opening(draft, draft.undecided(taken), payout_id)
        taken = []
    own, back = draft.undecided(taken), draft.undecided(returned)
    gross, gross_back = gross_of(own), gross_of(back)
    answered = bool(gross) and draft.is_answered(payout_id, gross)
    if gross and gross_back and not answered:
        draft.cancel_out([*gross, *gross_back], payout_id, NEVER)
    else:
        if gross and not answered:
            # East of Greenwich an instant payout may arrive on the UTC day before the one it was made on.
            day = max(payout.arrives_on, draft.snapshot.cutover)
            _move(draft, payout_id, taken, gross, day, _not_paid(payout))
        if gross_back and not draft.is_answered(returned[0].id, gross_back):
            day = day_of(draft.snapshot, returned)
            _move(draft, payout_id, returned, gross_back, day, None)
    for group, legs in ((taken, own), (returned, back)):
        book_costs(draft, payout_id, group, fees_of(legs))


def plan_topup(draft: Draft, movement_id: str, movements: list[Movement]) -> None:
    """Money from the bank into the Stripe balance, or such money back."""
    legs, source = draft.undecided(movements), movements[0].source_id or movement_id
    if before_cutover(draft.snapshot, movements):
        cover_by_opening(draft, legs, source)
        return
    gross = gross_of(legs)
    if gross and not draft.is_answered(movement_id, gross):
        day = day_of(draft.snapshot, movements)
        _move(draft, source, movements, gross, day, None)
    book_costs(draft, source, movements, fees_of(legs))


def _not_paid(payout: Payout) -> tuple[str, str] | None:
    if payout.status in ("pending", "in_transit"):
        return "in_transit", f"On its way to the bank; expected on {payout.arrives_on}."
    if payout.status != "paid":
        return "payout_failed", f"Stripe says this payout is {payout.status}; its entry for that is awaited."
    return None


def _move(
    draft: Draft,
    source_id: str,
    movements: Sequence[Movement],
    gross: Sequence[Leg],
    day: date,
    problem: tuple[str, str] | None,
) -> None:
    problem = problem or _transfer_problem(draft.snapshot, movements[0].currency, day)
    if problem:
        draft.wait(gross, source_id, *problem)
    else:
        amount = total(gross)
        posting = _transfer(draft.snapshot, source_id, movements, amount, day)
        draft.post(share([(posting, amount)], gross), gross, source_id)


def _transfer_problem(snapshot: Snapshot, currency: str, day: date) -> tuple[str, str] | None:
    """Money only goes between accounts of the same currency."""
    if currency not in snapshot.mappings.clearing:
        return "unmapped_account", no_clearing(snapshot, currency)
    if currency not in snapshot.mappings.bank:
        return "unmapped_account", f"No bank account is chosen for payouts in {currency}. Choose one."
    return rate_problem(snapshot, currency, day) or closed_problem(snapshot, day)


def _transfer(snapshot: Snapshot, source_id: str, movements: Sequence[Movement], amount: int, day: date) -> Posting:
    """`amount` is what it does to the clearing account."""
    currency = movements[0].currency
    clearing, bank = snapshot.mappings.clearing[currency], snapshot.mappings.bank[currency]
    return Posting(
        marker=f"{movements[0].id}:{movements[0].category}:r1:s1",
        kind="transfer",
        dated=day,
        currency=currency,
        exchange_rate=rate_on(snapshot, currency, day),
        amount_minor=abs(amount),
        account_id=clearing if amount < 0 else bank,
        other_account_id=bank if amount < 0 else clearing,
        memo=memo(source_id, movements),
        reference=source_id[-REFERENCE_LENGTH:],
    )
