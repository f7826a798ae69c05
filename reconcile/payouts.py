"""Payouts to the bank (row 14)."""

from collections.abc import Sequence

from reconcile.draft import REFERENCE_LENGTH, Draft, closed_problem, cover_by_opening, foreign, memo, share
from reconcile.legs import fees_of, gross_of
from reconcile.postings import Posting
from reconcile.records import Movement, Payout
from reconcile.snapshot import Snapshot


def plan_payout(draft: Draft, payout_id: str, movements: list[Movement]) -> None:
    snapshot, payout = draft.snapshot, draft.snapshot.payouts[payout_id]
    legs = draft.undecided(movements)
    if payout.arrives_on < snapshot.cutover:
        cover_by_opening(draft, legs, payout_id)
        return
    gross, fees = gross_of(legs), fees_of(legs)
    problem = _payout_problem(snapshot, payout)
    verdict = draft.matches.verdict(payout_id)
    if verdict.decision == "auto" and verdict.role == "already_recorded":
        documents = [allocation.ledger_id for allocation in verdict.allocations]
        draft.decide(gross, payout_id, "matched", "already_recorded", verdict.text, documents=documents)
    elif verdict.decision == "proposed":
        draft.wait(gross, payout_id, verdict.code or "proposed", verdict.text)
    elif problem:
        draft.wait(gross, payout_id, *problem)
    elif gross:
        draft.post(share([_transfer(snapshot, payout, movements)], gross), gross, payout_id)
    draft.wait(fees, payout_id, "unmapped_category", "Fees of payouts are not posted yet; record this one by hand.")


def _payout_problem(snapshot: Snapshot, payout: Payout) -> tuple[str, str] | None:
    if payout.status in ("pending", "in_transit"):
        return "in_transit", f"On its way to the bank; expected on {payout.arrives_on}."
    if payout.status != "paid":
        return "payout_failed", f"Stripe says this payout is {payout.status}; nothing is posted for it."
    if payout.amount_minor <= 0:
        return "unmapped_category", "Stripe took money from the bank; such payouts are not posted yet."
    if payout.currency != snapshot.home_currency:
        return foreign(payout.currency)
    if payout.currency not in snapshot.mappings.bank or payout.currency not in snapshot.mappings.clearing:
        return "unmapped_account", f"No bank account is chosen for payouts in {payout.currency}. Choose one."
    return closed_problem(snapshot, payout.arrives_on)


def _transfer(snapshot: Snapshot, payout: Payout, movements: Sequence[Movement]) -> Posting:
    return Posting(
        marker=f"{movements[0].id}:payout:r1:s1",
        kind="transfer",
        dated=payout.arrives_on,
        currency=payout.currency,
        amount_minor=payout.amount_minor,
        account_id=snapshot.mappings.clearing[payout.currency],
        other_account_id=snapshot.mappings.bank[payout.currency],
        memo=memo(payout.id, movements),
        reference=payout.id[-REFERENCE_LENGTH:],
    )
