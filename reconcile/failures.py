"""What came back: refunds that failed, bank debits that failed after they had succeeded (rows 9 and 10).

If what failed was never in the books, the two movements cancel out and no document is made.
"""

from collections.abc import Sequence

from reconcile.currencies import over_bridge
from reconcile.days import before_cutover
from reconcile.draft import Draft, common_problem, cover_by_opening, share, unknown_customer, without_place
from reconcile.entries import book_entry
from reconcile.fees import book_costs
from reconcile.legs import fees_of, gross_of
from reconcile.postings import Leg
from reconcile.receivables import give_back, link, missing_receivable
from reconcile.records import Movement

NEVER = "It came back before it was in the books; the two entries of Stripe's cancel out."


def plan_failed_charge(draft: Draft, charge_id: str, movements: Sequence[Movement]) -> None:
    """A charge that is not in the books yet, with its failure."""
    taken = [movement for movement in movements if movement.category != "charge_failure"]
    returned = [movement for movement in movements if movement.category == "charge_failure"]
    own, back = draft.undecided(taken), draft.undecided(returned)
    if draft.is_answered(charge_id, gross_of(own)):
        draft.place_recorded(charge_id)
        book_costs(draft, charge_id, taken, fees_of(own))
        plan_charge_failure(draft, charge_id, returned)
        return
    draft.cancel_out(gross_of([*own, *back]), charge_id, NEVER)
    book_costs(draft, charge_id, taken, fees_of(own))
    book_costs(draft, charge_id, returned, fees_of(back))


def plan_charge_failure(draft: Draft, charge_id: str, movements: list[Movement]) -> None:
    """The customer owes it again: an expense to receivables, to which the payment is moved from the invoice (10)."""
    snapshot, charge = draft.snapshot, draft.snapshot.charges[charge_id]
    legs = draft.undecided(movements)
    if before_cutover(snapshot, movements):
        cover_by_opening(draft, legs, charge_id)
        return
    gross, place = gross_of(legs), draft.place(charge_id)
    if gross and draft.is_answered(movements[0].id, gross):
        book_costs(draft, charge_id, movements, fees_of(legs))
        return
    problem = common_problem(snapshot, movements, charge.currency) or missing_receivable(snapshot, charge.currency)
    if place is None:
        problem = without_place(snapshot, charge_id)
    elif place.customer_id is None:
        problem = unknown_customer(place)
    if problem:
        draft.wait(gross, charge_id, *problem)
    elif gross and place and place.customer_id:
        settled = -sum(leg.amount_minor for leg in gross)
        amount = settled if charge.currency == movements[0].currency else charge.captured_minor
        posting = give_back(
            snapshot, "failure", charge_id, movements, charge.currency, amount, settled, place.customer_id, place.marker
        )
        booked = over_bridge(snapshot, posting, movements, -settled)
        if place.marker and place.is_payment:
            booked.append((link(snapshot, "failure", charge_id, movements, posting, place.marker, "move"), 0))
        draft.post(share(booked, gross), gross, charge_id)
    book_costs(draft, charge_id, movements, fees_of(legs))


def plan_refund_failure(draft: Draft, refund_id: str, movement: Movement, gross: Sequence[Leg]) -> None:
    """The customer is still owed it: a person decides how they get it (row 9)."""
    if gross and not draft.is_answered(movement.id, gross):
        book_entry(draft, movement, gross, refund_id, "refund_failure", {"gross": "refunds_owed"})
