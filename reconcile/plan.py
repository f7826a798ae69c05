"""The plan: which documents to write for the movements of a snapshot, and where every leg stands.

Pure. Each rule is a row of docs/ACCOUNTING.md; a movement without a rule waits, itemised by its category.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from reconcile.charges import plan_charge
from reconcile.choices import PersonDecision
from reconcile.credit_notes import plan_credit_notes
from reconcile.days import before_cutover
from reconcile.disputes import plan_closings, plan_dispute
from reconcile.draft import Draft, cover_by_opening
from reconcile.failures import plan_charge_failure
from reconcile.fees import plan_bill
from reconcile.labelling import label
from reconcile.legs import legs_of
from reconcile.mapping import MORE
from reconcile.matching import MatchResult
from reconcile.openings import plan_openings
from reconcile.payouts import plan_payout, plan_topup
from reconcile.postings import Leg, LegDecision, Plan
from reconcile.records import Movement
from reconcile.refunds import plan_refund
from reconcile.renewal import renew
from reconcile.reserves import HOLDS, plan_holds, plan_reserve
from reconcile.short_payments import explained
from reconcile.snapshot import Snapshot
from reconcile.typed_fees import FeeSum, by_leg, fee_sums

UNMAPPED = ("unmapped_account", "unmapped_item", "unmapped_tax")

RULES: tuple[tuple[str, Callable[[Draft, str, list[Movement]], None]], ...] = (
    ("charge", plan_charge),  # first, for the others ask where their charge is
    ("charge_failure", plan_charge_failure),
    ("refund", plan_refund),
    ("dispute", plan_dispute),
    ("payout", plan_payout),
    ("topup", plan_topup),
    ("bill", plan_bill),
    ("reserve", plan_reserve),
    ("hold", plan_holds),
)


def plan(
    snapshot: Snapshot,
    matches: MatchResult,
    *,
    sums: tuple[FeeSum, ...] | None = None,
    taken: Mapping[str, int] | None = None,
) -> Plan:
    """Decides every open leg of the snapshot; equal snapshots and matches give equal plans.

    Of a snapshot of some of the open movements, `sums` are the fees that matching knows of all of them, and `taken` is
    what was planned to be taken of documents before (`Plan.taken`).
    """
    aside, known = _set_aside(snapshot), by_leg(fee_sums(snapshot) if sums is None else sums)
    snapshot = _without(snapshot, aside)
    draft = Draft(snapshot, matches, decisions=aside, fee_sums=known, taken=defaultdict(int, taken or {}))
    plan_openings(draft)
    groups = _group(snapshot)
    for rule, planner in RULES:  # what closes an invoice in full comes after all that pays it
        for source_id in sorted(groups[rule], key=lambda each: (explained(snapshot, each) is not None, each)):
            planner(draft, source_id, groups[rule][source_id])
    plan_closings(draft)
    plan_credit_notes(draft)
    for source_id, movements in sorted(groups["other"].items()):
        _wait_unmapped(draft, source_id, movements)
    for source_id, movements in sorted(groups["unread"].items()):
        _wait_unread(draft, source_id, movements)
    postings = label(snapshot, draft.postings, draft.decisions)
    decisions = [_explained(snapshot, each) for each in draft.decisions]
    postings, decisions = renew(postings, decisions, snapshot.spent)
    return Plan(
        postings=tuple(postings),
        decisions=tuple(decisions),
        settled_notes=tuple(draft.settled_notes),
        taken=dict(draft.taken),
    )


def _group(snapshot: Snapshot) -> dict[str, dict[str, list[Movement]]]:
    """Movements by rule and source: a charge together with the reversal of what was not captured."""
    groups: dict[str, dict[str, list[Movement]]] = defaultdict(lambda: defaultdict(list))
    undecided = {each.id for each in snapshot.movements if f"{each.id}:gross" not in snapshot.decided_legs}
    for movement in sorted(snapshot.movements, key=lambda m: (m.created_at, m.id)):
        rule, source_id = _rule_of(movement, snapshot, undecided)
        groups[rule][source_id].append(movement)
    return groups


def _rule_of(movement: Movement, snapshot: Snapshot, undecided: set[str]) -> tuple[str, str]:
    """Which rule, and the id of what its movements are planned together by."""
    source = movement.source_id or movement.id
    if movement.balance_type not in ("payments", "risk_reserved"):
        return "other", source
    if movement.type in HOLDS:
        return "hold", movement.currency
    if movement.category in ALONE:
        return ALONE[movement.category], movement.id
    rule, known = _objects(snapshot).get(movement.category, ("other", {}))
    if movement.category == "partial_capture_reversal" and source in snapshot.refunds:
        source = snapshot.refunds[source].charge_id or source
    if source not in known:
        return "other" if rule == "other" else "unread", source
    if movement.category == "charge_failure" and snapshot.charges[source].movement_id not in undecided:
        rule = "charge_failure"  # its charge is in the books; else the two are planned together
    return rule, source


ALONE = {
    "topup": "topup",
    "topup_reversal": "topup",
    "fee": "bill",
    "network_cost": "bill",
    "tax": "bill",
    "risk_reserved_funds": "reserve",
}


def _objects(snapshot: Snapshot) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """By category: the rule, and the Stripe objects one of which must be behind a movement."""
    return {
        "charge": ("charge", snapshot.charges),
        "charge_failure": ("charge", snapshot.charges),
        "partial_capture_reversal": ("charge", snapshot.charges),
        "refund": ("refund", snapshot.refunds),
        "refund_failure": ("refund", snapshot.refunds),
        "dispute": ("dispute", snapshot.disputes),
        "dispute_reversal": ("dispute", snapshot.disputes),
        "payout": ("payout", snapshot.payouts),
        "payout_reversal": ("payout", snapshot.payouts),
    }


def _set_aside(snapshot: Snapshot) -> list[LegDecision]:
    """The legs of which a person said that nothing is posted for them: for good, or until they decide anew."""
    said = {
        leg_id: one
        for each in snapshot.decisions.values()
        for one in each
        if one.kind in ("ignore", "undone")
        for leg_id in one.leg_ids
    }
    return [
        _as_said(leg, said[leg.id])
        for movement in snapshot.movements
        for leg in legs_of(movement)
        if leg.id in said and leg.id not in snapshot.decided_legs
    ]


def _as_said(leg: Leg, said: PersonDecision) -> LegDecision:
    if said.kind == "ignore":
        detail = f"Set aside by {said.actor}: {said.reason}"
        return LegDecision(leg=leg, state="ignored", reason="ignored", detail=detail, source_id=said.source_id)
    detail = f"Undone by {said.actor}: {said.reason} Accept what it belongs to, or post it again."
    return LegDecision(leg=leg, state="waiting", reason="undone", detail=detail, source_id=said.source_id)


def _without(snapshot: Snapshot, aside: list[LegDecision]) -> Snapshot:
    """The snapshot as it will be once these are settled."""
    decided = snapshot.decided_legs | {decision.leg.id for decision in aside}
    still_open = (each for each in snapshot.movements if any(leg.id not in decided for leg in legs_of(each)))
    return replace(snapshot, decided_legs=decided, movements=tuple(still_open)) if aside else snapshot


def _explained(snapshot: Snapshot, decision: LegDecision) -> LegDecision:
    """What waits for a choice says what is wrong with the choices made, and where to make them."""
    if decision.reason not in UNMAPPED:
        return decision
    return replace(decision, detail=" ".join([decision.detail, *snapshot.broken, MORE]))


def _wait_unmapped(draft: Draft, source_id: str, movements: list[Movement]) -> None:
    for movement in movements:
        legs = draft.undecided([movement])
        if before_cutover(draft.snapshot, [movement]):
            cover_by_opening(draft, legs, source_id)
        else:
            name = movement.category.replace("_", " ")
            detail = f"Tieout does not post entries of the kind “{name}” yet. Record it by hand."
            draft.wait(legs, source_id, "unmapped_category", detail)


def _wait_unread(draft: Draft, source_id: str, movements: list[Movement]) -> None:
    """Stripe lists a movement before it tells of what is behind it, or while we read."""
    for movement in movements:
        legs = draft.undecided([movement])
        if before_cutover(draft.snapshot, [movement]):
            cover_by_opening(draft, legs, source_id)
        else:
            detail = f"Tieout has not read {source_id} from Stripe yet, which is behind this; the next sync does."
            draft.wait(legs, source_id, "source_unread", detail)
