"""Refunds of charges that are in the books (rows 8, 8c and 19b), and refunds that fail (row 9)."""

from collections.abc import Sequence
from dataclasses import replace

from reconcile.currencies import over_bridge
from reconcile.days import before_cutover
from reconcile.draft import Draft, common_problem, cover_by_opening, divide, share, unknown_customer, without_place
from reconcile.failures import NEVER, plan_refund_failure
from reconcile.fees import book_costs
from reconcile.legs import fees_of, gross_of
from reconcile.money import books_unit
from reconcile.postings import POSTED, Leg, Posting
from reconcile.receipts import receipt, tax_problem
from reconcile.receivables import give_back, link, missing_receivable
from reconcile.records import Applied, Movement, Refund
from reconcile.snapshot import Place, Snapshot

Booked = list[tuple[Posting, int]]  # documents, and what each does to the clearing account


def plan_refund(draft: Draft, refund_id: str, movements: list[Movement]) -> None:
    refund = draft.snapshot.refunds[refund_id]
    open_: dict[str, list[Leg]] = {}
    fees: list[tuple[Movement, list[Leg]]] = []
    for movement in movements:
        legs = draft.undecided([movement])
        if before_cutover(draft.snapshot, [movement]):
            cover_by_opening(draft, legs, refund_id)
        else:
            open_[movement.category] = gross_of(legs)
            fees.append((movement, fees_of(legs)))
    taken, returned = open_.get("refund", []), open_.get("refund_failure", [])
    made = [movement for movement in movements if movement.category == "refund"]
    failed = [movement for movement in movements if movement.category == "refund_failure"]
    if taken and returned and not draft.is_answered(refund_id, taken):
        draft.cancel_out([*taken, *returned], refund_id, NEVER)
    elif returned:
        plan_refund_failure(draft, refund_id, failed[0], returned)
    elif taken and refund.failure_movement_id:
        draft.wait(taken, refund_id, "awaiting_reversal", "This refund failed; Stripe's entry for that is awaited.")
    elif taken and not draft.is_answered(refund_id, taken):
        _book_refund(draft, refund, made, taken)
    for movement, legs in fees:
        book_costs(draft, refund_id, [movement], legs)


def _book_refund(draft: Draft, refund: Refund, movements: Sequence[Movement], gross: list[Leg]) -> None:
    """First from what the charge left with the customer, the rest as a refund receipt, or what stands for one."""
    snapshot, charge_id = draft.snapshot, refund.charge_id or ""
    place = draft.place(charge_id)
    settled = -sum(leg.amount_minor for leg in gross)
    amount = settled if refund.currency == movements[0].currency else refund.amount_minor
    problem = common_problem(snapshot, movements, refund.currency) or _refund_problem(snapshot, refund, place, amount)
    if problem or place is None or place.customer_id is None:
        draft.wait(gross, refund.id, *(problem or ("waits_with_charge", "Its charge is not in the books.")))
        return
    credit = min(amount, place.unapplied_minor)
    moved = divide(settled, [credit, amount - credit], books_unit(movements[0].currency))
    booked = [
        *_credit(snapshot, refund, movements, place, credit, moved[0]),
        *_rest(snapshot, refund, movements, place, amount - credit, moved[1]),
    ]
    draft.give_back(place, credit)
    draft.post(share(booked, gross), gross, refund.id)


def _credit(
    snapshot: Snapshot, refund: Refund, movements: Sequence[Movement], place: Place, amount: int, settled: int
) -> Booked:
    """Out of what the charge left with the customer (row 8c); the payment that left it is applied to it."""
    if not amount:
        return []
    customer, currency = place.customer_id or "", refund.currency
    paid = give_back(snapshot, "credit", refund.id, movements, currency, amount, settled, customer, after=place.marker)
    booked = over_bridge(snapshot, paid, movements, -settled)
    if place.marker and place.is_payment:
        booked.append((link(snapshot, "credit", refund.id, movements, paid, place.marker, "link"), 0))
    return booked


def _rest(
    snapshot: Snapshot, refund: Refund, movements: Sequence[Movement], place: Place, amount: int, settled: int
) -> Booked:
    if not amount:
        return []
    made = _receipt(snapshot, refund, movements, place, amount, settled)
    if snapshot.on_desktop:
        memo_, paid = _credit_paid_out(made)
        return [(memo_, 0), *over_bridge(snapshot, paid, movements, -settled)]
    if snapshot.policies.refund == "receivables" and refund.currency == movements[0].currency:
        return _through_receivables(snapshot, refund, movements, made, settled)
    return over_bridge(snapshot, made, movements, -settled)


def _through_receivables(
    snapshot: Snapshot, refund: Refund, movements: Sequence[Movement], receipt: Posting, settled: int
) -> Booked:
    """Row 8b: a credit memo of the same lines, an expense that pays it out, a payment of nothing that links the two."""
    amount, customer = receipt.amount_minor, receipt.party_id or ""
    head, (memo_, _) = f"{movements[0].id}:refund", _credit_paid_out(receipt)
    paid = give_back(
        snapshot, "refund", refund.id, movements, refund.currency, amount, settled, customer, after=memo_.marker
    )
    parts = tuple(Applied(id=f"{POSTED}{each}", amount_minor=amount) for each in (memo_.marker, paid.marker))
    linked = replace(
        paid,
        marker=f"{head}-link:r1:s1",
        kind="payment",
        amount_minor=0,
        lines=(),
        applied=parts,
        after=paid.marker,
    )
    return [(memo_, 0), (paid, -settled), (linked, 0)]


def _credit_paid_out(receipt: Posting) -> tuple[Posting, Posting]:
    """What stands for a refund receipt where there is none: a credit memo of the same lines, and what pays it out."""
    source, kind, revision, step = receipt.marker.rsplit(":", 3)
    memo_ = replace(receipt, marker=f"{source}:{kind}-credit:{revision}:{step}", kind="credit_memo")
    credit = Applied(id=f"{POSTED}{memo_.marker}", amount_minor=receipt.amount_minor)
    paid = replace(
        receipt, kind="ar_refund", tax_minor=0, tax_code=None, lines=(), applied=(credit,), after=memo_.marker
    )
    return memo_, paid


def _receipt(
    snapshot: Snapshot, refund: Refund, movements: Sequence[Movement], place: Place, amount: int, settled: int
) -> Posting:
    return receipt(
        snapshot,
        "refund_receipt",
        refund.id,
        movements,
        amount,
        place.customer_id or "",
        currency=refund.currency,
        settled=settled,
        tax=place.tax,
        after=place.marker,
    )


def _refund_problem(snapshot: Snapshot, refund: Refund, place: Place | None, amount: int) -> tuple[str, str] | None:
    if place is None:
        return without_place(snapshot, refund.charge_id or "")
    if place.customer_id is None:
        return unknown_customer(place)
    through = snapshot.policies.refund == "receivables" and refund.currency in snapshot.mappings.clearing
    if place.unapplied_minor or (through and not snapshot.on_desktop):
        problem = missing_receivable(snapshot, refund.currency)
        if problem or amount <= place.unapplied_minor:
            return problem
    if place.tax and place.tax.code is None:
        detail = "What it refunds carries tax by several codes, or by none. Record the refund by hand."
        return "refund_with_tax", detail
    if snapshot.mappings.refund_item is None:
        return "unmapped_item", "No item is chosen for refunds. Choose one."
    return None if place.tax else tax_problem(snapshot, "refund_receipt")
