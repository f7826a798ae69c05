"""Money Stripe holds back: reserves (row 18) and the minimum balance it keeps from payouts (row 18b)."""

from reconcile.days import before_cutover
from reconcile.draft import Draft, cover_by_opening
from reconcile.entries import book_entry
from reconcile.records import Movement

HOLDS = ("payout_minimum_balance_hold", "payout_minimum_balance_release")


def plan_reserve(draft: Draft, movement_id: str, movements: list[Movement]) -> None:
    """The payments side is an entry; the other side only shows what Stripe holds."""
    (movement,) = movements
    legs = draft.undecided(movements)
    if before_cutover(draft.snapshot, movements):
        cover_by_opening(draft, legs, movement_id)
    elif movement.balance_type != "payments":
        detail = "Stripe's own count of what it holds in reserve; the entry on the payments balance is what is posted."
        draft.decide(legs, movement_id, "matched", "reserve_balance", detail)
    elif not draft.is_answered(movement_id, legs):
        book_entry(draft, movement, legs, movement_id, "reserve", {"gross": "reserve"})


def plan_holds(draft: Draft, _: str, movements: list[Movement]) -> None:
    """A hold and the release of the same amount cancel out, the oldest first; one alone waits."""
    waiting: list[Movement] = []
    for movement in movements:
        legs = draft.undecided([movement])
        if before_cutover(draft.snapshot, [movement]):
            cover_by_opening(draft, legs, movement.id)
            continue
        hold = next((each for each in waiting if each.net_minor == -movement.net_minor), None)
        if hold is None:
            waiting.append(movement)
            continue
        waiting.remove(hold)
        detail = "Held back from a payout by Stripe and let go again; no document is needed."
        draft.cancel_out([*draft.undecided([hold]), *legs], hold.id, detail)
    for movement in waiting:
        detail = "Held back from a payout by Stripe until the balance allows it; nothing is posted for it."
        draft.wait(draft.undecided([movement]), movement.id, "minimum_balance", detail)
