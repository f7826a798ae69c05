"""Refunds of charges that are in the books (rows 8, 8c and 19b), and refunds that fail (row 9)."""

from collections.abc import Sequence
from dataclasses import replace

from reconcile.currencies import over_bridge
from reconcile.days import before_cutover
from reconcile.draft import Draft, common_problem, cover_by_opening, divide, share, unknown_customer
from reconcile.failures import NEVER, plan_refund_failure
from reconcile.fees import book_costs
from reconcile.legs import fees_of, gross_of
from reconcile.postings import Leg, Posting
from reconcile.receipts import receipt
from reconcile.receivables import give_back, missing_receivable
from reconcile.records import Movement, Refund
from reconcile.snapshot import Place, Snapshot


def plan_refund(draft: Draft, refund_id: str, movements: list[Movement]) -> None:
    refund = draft.snapshot.refunds[refund_id]
    open_: dict[str, list[Leg]] = {}
    for movement in movements:
        legs = draft.undecided([movement])
        if before_cutover(draft.snapshot, [movement]):
            cover_by_opening(draft, legs, refund_id)
        else:
            open_[movement.category] = gross_of(legs)
            book_costs(draft, refund_id, [movement], fees_of(legs))
    taken, returned = open_.get("refund", []), open_.get("refund_failure", [])
    made = [movement for movement in movements if movement.category == "refund"]
    failed = [movement for movement in movements if movement.category == "refund_failure"]
    if taken and returned and not draft.is_answered(refund_id, taken, refund_id):
        draft.cancel_out([*taken, *returned], refund_id, NEVER)
    elif returned:
        plan_refund_failure(draft, refund_id, failed[0], returned)
    elif taken and refund.failure_movement_id:
        draft.wait(taken, refund_id, "awaiting_reversal", "This refund failed; Stripe's entry for that is awaited.")
    elif taken and not draft.is_answered(refund_id, taken, refund_id):
        _book_refund(draft, refund, made, taken)


def _book_refund(draft: Draft, refund: Refund, movements: Sequence[Movement], gross: list[Leg]) -> None:
    """First from what the charge left with the customer, the rest as a refund receipt."""
    snapshot, charge_id = draft.snapshot, refund.charge_id or ""
    place = draft.places.get(charge_id) or snapshot.places.get(charge_id)
    settled = -sum(leg.amount_minor for leg in gross)
    amount = settled if refund.currency == movements[0].currency else refund.amount_minor
    problem = common_problem(snapshot, movements, refund.currency) or _refund_problem(snapshot, refund, place, amount)
    if problem or place is None or place.customer_id is None:
        draft.wait(gross, refund.id, *(problem or ("waits_with_charge", "Its charge is not in the books.")))
        return
    credit = min(amount, place.unapplied_minor)
    moved = divide(settled, [credit, amount - credit])
    postings = [
        *_credit(snapshot, refund, movements, place, credit, moved[0]),
        *_receipt(snapshot, refund, movements, place, amount - credit, moved[1]),
    ]
    booked = [
        pair
        for posting, part in zip(postings, filter(None, moved), strict=True)
        for pair in over_bridge(snapshot, posting, movements, -part)
    ]
    draft.places[charge_id] = replace(place, unapplied_minor=place.unapplied_minor - credit)
    draft.post(share(booked, gross), gross, refund.id)


def _credit(
    snapshot: Snapshot, refund: Refund, movements: Sequence[Movement], place: Place, amount: int, settled: int
) -> list[Posting]:
    if not amount:
        return []
    customer, currency = place.customer_id or "", refund.currency
    return [
        give_back(snapshot, "credit", refund.id, movements, currency, amount, settled, customer, after=place.marker)
    ]


def _receipt(
    snapshot: Snapshot, refund: Refund, movements: Sequence[Movement], place: Place, amount: int, settled: int
) -> list[Posting]:
    if not amount:
        return []
    customer, currency = place.customer_id or "", refund.currency
    return [
        receipt(
            snapshot,
            "refund_receipt",
            refund.id,
            movements,
            amount,
            customer,
            currency=currency,
            settled=settled,
            tax=place.tax,
            after=place.marker,
        )
    ]


def _refund_problem(snapshot: Snapshot, refund: Refund, place: Place | None, amount: int) -> tuple[str, str] | None:
    if place is None:
        return "waits_with_charge", "Its charge is not in the books yet; settle the charge first."
    if place.customer_id is None:
        return unknown_customer(place)
    if place.unapplied_minor:
        problem = missing_receivable(snapshot, refund.currency)
        if problem or amount <= place.unapplied_minor:
            return problem
    if place.tax and place.tax.code is None:
        detail = "What it refunds carries tax by several codes, or by none. Record the refund by hand."
        return "refund_with_tax", detail
    if snapshot.mappings.refund_item is None:
        return "unmapped_item", "No item is chosen for refunds. Choose one."
    return None
