"""The plan: which documents to write for the movements of a snapshot, and where every leg stands.

Pure. Each rule is a row of docs/ACCOUNTING.md; a movement without a rule waits, itemised by its category.
"""

from collections import defaultdict

from reconcile.charges import plan_charge
from reconcile.draft import Draft, before_cutover, cover_by_opening
from reconcile.matching import MatchResult
from reconcile.openings import plan_openings
from reconcile.payouts import plan_payout
from reconcile.postings import Plan
from reconcile.records import Movement
from reconcile.refunds import plan_refund
from reconcile.snapshot import Snapshot


def plan(snapshot: Snapshot, matches: MatchResult) -> Plan:
    """Decides every open leg of the snapshot; equal snapshots and matches give equal plans."""
    draft = Draft(snapshot, matches)
    plan_openings(draft)
    groups = _group(snapshot)
    for rule, planner in (("charge", plan_charge), ("refund", plan_refund), ("payout", plan_payout)):
        for source_id in sorted(groups[rule]):
            planner(draft, source_id, groups[rule][source_id])
    for source_id, movements in sorted(groups["other"].items()):
        _wait_unmapped(draft, source_id, movements)
    return Plan(postings=tuple(draft.postings), decisions=tuple(draft.decisions))


def _group(snapshot: Snapshot) -> dict[str, dict[str, list[Movement]]]:
    """Movements by rule and source: a charge together with the reversal of what was not captured."""
    groups: dict[str, dict[str, list[Movement]]] = defaultdict(lambda: defaultdict(list))
    for movement in sorted(snapshot.movements, key=lambda m: (m.created_at, m.id)):
        rule, source_id = _rule_of(movement, snapshot)
        groups[rule][source_id].append(movement)
    return groups


def _rule_of(movement: Movement, snapshot: Snapshot) -> tuple[str, str]:
    source = movement.source_id or movement.id
    if movement.balance_type != "payments":
        return "other", source
    match movement.category:
        case "charge" if source in snapshot.charges:
            return "charge", source
        case "partial_capture_reversal":
            refund = snapshot.refunds.get(source)
            charge = refund.charge_id if refund else source
            return ("charge", charge) if charge in snapshot.charges else ("other", source)
        case "refund" if source in snapshot.refunds:
            return "refund", source
        case "payout" if source in snapshot.payouts:
            return "payout", source
    return "other", source


def _wait_unmapped(draft: Draft, source_id: str, movements: list[Movement]) -> None:
    for movement in movements:
        legs = draft.undecided([movement])
        if before_cutover(draft.snapshot, [movement]):
            cover_by_opening(draft, legs, source_id)
        else:
            name = movement.category.replace("_", " ")
            detail = f"Tieout does not post entries of the kind “{name}” yet. Record it by hand."
            draft.wait(legs, source_id, "unmapped_category", detail)
