"""Refunds of charges that are in the books (row 8)."""

from collections.abc import Sequence

from reconcile.draft import Draft, before_cutover, common_problem, cover_by_opening, share
from reconcile.legs import fees_of, gross_of
from reconcile.matching import Verdict
from reconcile.postings import Leg
from reconcile.receipts import receipt
from reconcile.records import Movement, Refund
from reconcile.snapshot import Place, Snapshot


def plan_refund(draft: Draft, refund_id: str, movements: list[Movement]) -> None:
    snapshot, refund = draft.snapshot, draft.snapshot.refunds[refund_id]
    legs = draft.undecided(movements)
    if before_cutover(snapshot, movements):
        cover_by_opening(draft, legs, refund_id)
        return
    gross, fees = gross_of(legs), fees_of(legs)
    problem = common_problem(snapshot, refund.currency, movements)
    if problem:
        draft.wait(legs, refund_id, *problem)
        return
    if gross:
        _book_refund(draft, refund, movements, gross)
    draft.wait(fees, refund_id, "unmapped_category", "Fees of refunds are not posted yet; record this one by hand.")


def _book_refund(draft: Draft, refund: Refund, movements: Sequence[Movement], gross: list[Leg]) -> None:
    verdict = draft.matches.verdict(refund.id)
    if verdict.decision == "auto" and verdict.role == "already_recorded":
        documents = [allocation.ledger_id for allocation in verdict.allocations]
        draft.decide(gross, refund.id, "matched", "already_recorded", verdict.text, documents=documents)
        return
    place = draft.places.get(refund.charge_id or "") or draft.snapshot.places.get(refund.charge_id or "")
    problem = _refund_problem(draft.snapshot, verdict, place)
    if problem or place is None or place.customer_id is None:
        draft.wait(gross, refund.id, *(problem or ("waits_with_charge", "Its charge is not in the books.")))
        return
    amount = -sum(leg.amount_minor for leg in gross)
    posting = receipt(
        draft.snapshot, "refund_receipt", refund.id, movements, amount, place.customer_id, after=place.marker
    )
    draft.post(share([posting], gross), gross, refund.id)


def _refund_problem(snapshot: Snapshot, verdict: Verdict, place: Place | None) -> tuple[str, str] | None:
    if verdict.decision == "proposed":
        return verdict.code or "proposed", verdict.text
    if place is None:
        return "waits_with_charge", "Its charge is not in the books yet; settle the charge first."
    if place.customer_id is None:
        return (
            "charge_before_cutover",
            "It refunds a charge from before the cut-over. Choose the customer it belongs to.",
        )
    if place.unapplied_minor:
        return "refund_of_credit", "The charge left a credit with the customer: decide whether this gives that back."
    if place.taxed:
        return (
            "refund_with_tax",
            "The invoice carries tax; the refund's share of it is not posted yet. Record it by hand.",
        )
    if snapshot.mappings.refund_item is None:
        return "unmapped_item", "No item is chosen for refunds. Choose one."
    return None
