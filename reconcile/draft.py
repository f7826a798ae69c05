"""A plan in the making, and what the rules of every kind of movement share."""

from collections import ChainMap, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from reconcile.currencies import needs_bridge, rate_problem
from reconcile.days import closed_problem, day_of, out_of_closed
from reconcile.legs import fees_of, legs_of
from reconcile.matching import MatchResult, Proposal
from reconcile.money import Money, in_books
from reconcile.postings import ROLES, Leg, LegDecision, LegState, Posting, Share
from reconcile.records import Movement
from reconcile.snapshot import DisputeBooks, Place, Snapshot, recorded_place

REFERENCE_LENGTH = 21  # QuickBooks' limit for short reference fields


@dataclass
class Draft:
    """What the plan is so far."""

    snapshot: Snapshot
    matches: MatchResult
    postings: list[Posting] = field(default_factory=list)
    decisions: list[LegDecision] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)
    given_back: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # by payment, of its credit
    taken: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    openings: dict[str, str] = field(default_factory=dict)
    opened: dict[str, DisputeBooks] = field(default_factory=dict)  # disputes that were open at the cut-over
    disputed: dict[str, list[Posting]] = field(default_factory=lambda: defaultdict(list))
    settled_notes: list[str] = field(default_factory=list)
    exact: dict[str, Leg] = field(default_factory=dict)  # the legs as Stripe has them
    fee_sums: dict[str, list[str]] = field(default_factory=dict)  # by leg: what matching knows fees by
    net: dict[str, str] = field(default_factory=dict)  # by movement: the item whose record took its fee along, or may

    @cached_property
    def movements(self) -> dict[str, Movement]:
        return {each.id: each for each in self.snapshot.movements}

    def undecided(self, movements: Sequence[Movement]) -> list[Leg]:
        """The legs still to be decided, with the amounts that the books can keep of them."""
        legs = [leg for each in movements for leg in legs_of(each) if leg.id not in self.snapshot.decided_legs]
        self.exact.update((leg.id, leg) for leg in legs)
        return [replace(leg, amount_minor=in_books(leg.amount_minor, leg.currency)) for leg in legs]

    def decide(
        self,
        legs: Sequence[Leg],
        source_id: str,
        state: LegState,
        reason: str,
        detail: str,
        *,
        documents: Sequence[str] = (),
        markers: Sequence[str] = (),
    ) -> None:
        self.decisions += [
            LegDecision(
                leg=self.exact.get(leg.id, leg),
                state=state,
                reason=reason,
                detail=detail,
                source_id=source_id,
                document_ids=tuple(documents),
                markers=tuple(markers),
            )
            for leg in legs
        ]

    def wait(self, legs: Sequence[Leg], source_id: str, reason: str, detail: str) -> None:
        self.decide(legs, source_id, "waiting", reason, detail)

    def post(self, postings: Sequence[Posting], legs: Sequence[Leg], source_id: str) -> None:
        postings = [out_of_closed(self.snapshot, posting) for posting in postings]
        self.postings += postings
        markers = [posting.marker for posting in postings]
        reason = ("queued", "Goes into QuickBooks with the next posting.")
        if not self.snapshot.can_post:
            reason = ("to_record", "Not in these books yet. Record it in QuickBooks, then import its report again.")
        self.decide(legs, source_id, "waiting", *reason, markers=markers)

    def cancel_out(self, legs: Sequence[Leg], source_id: str, detail: str) -> None:
        """Legs of one source, none of them in the books: no document if they make nothing together, else they wait.

        What comes back at another exchange rate than it went is not the same amount.
        """
        rest = sum(self.exact.get(leg.id, leg).amount_minor for leg in legs)
        if rest and not any(leg.amount_minor for leg in legs):
            detail = "Less than QuickBooks can keep. It goes into the rounding entry of its month."
            self.wait(legs, source_id, "rounding", detail)
        elif rest:
            gap = Money(abs(rest), legs[0].currency)
            detail = f"What Stripe took and what it gave back differ by {gap}. Record both by hand."
            self.wait(legs, source_id, "came_back_in_part", detail)
        else:
            self.decide(legs, source_id, "matched", "cancels_out", detail)

    def is_answered(self, item_id: str, legs: Sequence[Leg]) -> bool:
        """Whether the matcher knows better than to post: recorded by somebody, or a question. That is then decided,
        under the name that matching knows it by: what people say of it is about that.
        """
        verdict = self.matches.verdict(item_id)
        if verdict.decision == "auto" and verdict.role == "already_recorded":
            documents = [allocation.ledger_id for allocation in verdict.allocations]
            self.decide(legs, item_id, "matched", "already_recorded", verdict.text, documents=documents)
        elif verdict.decision == "proposed":
            self.wait(legs, item_id, verdict.code or "proposed", verdict.text)
        else:
            return False
        taken = [each for each in verdict.proposals if verdict.decision != "auto" or each.match_id == verdict.match_id]
        if any(self._is_net(legs, proposal) for proposal in taken):
            self.net |= {leg.movement_id: item_id for leg in legs}
        return True

    def _is_net(self, legs: Sequence[Leg], proposal: Proposal) -> bool:
        """Whether documents took the fee along: they do to the clearing account what is left of the movements."""
        moved = {leg.movement_id for leg in legs if leg.kind == "gross"}
        taken = [leg for each in moved for leg in fees_of(legs_of(self.movements[each]))]
        fees = sum(in_books(leg.amount_minor, leg.currency) for leg in taken)
        documents = [self.snapshot.documents.get(part.ledger_id) for part in proposal.allocations]
        clearing = self.snapshot.mappings.clearing.get(legs[0].currency)
        effect = sum(
            leg.amount_minor
            for document in documents
            for leg in (document.legs if document and document.currency == legs[0].currency else ())
            if leg.account_id == clearing
        )
        return bool(fees) and proposal.role == "already_recorded" and effect == total(legs) + fees

    def open_fees(self, legs: Sequence[Leg]) -> list[Leg]:
        """Those of these fees that nobody may have typed in; the others are decided."""
        return [leg for leg in legs if not (self._is_taken_along(leg) or self._is_typed(leg))]

    def _is_taken_along(self, leg: Leg) -> bool:
        item_id = self.net.get(leg.movement_id)
        if item_id is None:
            return False
        verdict = self.matches.verdict(item_id)
        if verdict.decision == "auto":
            documents = [allocation.ledger_id for allocation in verdict.allocations]
            detail = f"{verdict.text} Stripe's fee was taken off there."
            self.decide([leg], item_id, "matched", "already_recorded", detail, documents=documents)
        else:
            detail = "What may be the record of this took Stripe's fee along; it is settled with it."
            self.wait([leg], item_id, "waits_with_charge", detail)
        return True

    def _is_typed(self, leg: Leg) -> bool:
        items = self.fee_sums.get(leg.id, ())
        certain = [each for each in items if self.matches.verdict(each).decision == "auto"]
        return any(self.is_answered(each, [leg]) for each in (*certain, *items))

    def place_recorded(self, charge_id: str) -> None:
        """Remembers where a charge is that somebody else has recorded, if that is certain."""
        verdict = self.matches.verdict(charge_id)
        if verdict.decision == "auto":
            known = self.snapshot.documents
            recorded = [known[part.ledger_id] for part in verdict.allocations if part.ledger_id in known]
            paid = ChainMap(known, self.snapshot.paid)
            self.places[charge_id] = recorded_place(recorded, paid, self.snapshot.given_back)

    def place(self, charge_id: str) -> Place | None:
        """Where a charge is in the books, with the credit that this plan has left of it."""
        found = self.places.get(charge_id) or self.snapshot.places.get(charge_id)
        if found is None:
            return None
        used = max((self.given_back[each] for each in found.credit_of), default=0)
        return replace(found, unapplied_minor=max(0, found.unapplied_minor - used))

    def give_back(self, place: Place, amount_minor: int) -> None:
        """Takes from the credit that a charge left, for every charge it is shared with."""
        assert place.credit_of or not amount_minor, "a credit is some payment's"
        for each in place.credit_of:
            self.given_back[each] += amount_minor


def cover_by_opening(draft: Draft, legs: Sequence[Leg], source_id: str) -> None:
    """A movement from before the cut-over is in the opening balance: listed, never posted again."""
    if not legs:
        return
    marker = draft.openings.get(legs[0].currency)
    if marker is None:
        detail = "Made before the cut-over; the opening balance that covers it is not posted yet."
        draft.wait(legs, source_id, "opening", detail)
    else:
        detail = "Made before the cut-over: part of the opening balance."
        draft.decide(legs, source_id, "posted", "opening", detail, markers=[marker])


def common_problem(
    snapshot: Snapshot, movements: Sequence[Movement], currency: str | None = None
) -> tuple[str, str] | None:
    """Why nothing can be posted of movements that settled together, in documents of `currency` (None: their own)."""
    settled, day = movements[0].currency, day_of(snapshot, movements)
    if settled not in snapshot.mappings.clearing:
        return "unmapped_account", no_clearing(snapshot, settled)
    problem = rate_problem(snapshot, settled, day) or closed_problem(snapshot, day)
    if currency and needs_bridge(snapshot, currency, settled):
        problem = problem or missing_account(snapshot, "bridge")
    return problem


def no_clearing(snapshot: Snapshot, currency: str) -> str:
    start = f"No clearing account is chosen for {currency}."
    if currency == snapshot.home_currency:
        return f"{start} Choose one."
    return f"{start} Switch {currency} on in QuickBooks if it is not, then add the currency to this link."


def missing_account(snapshot: Snapshot, *roles: str) -> tuple[str, str] | None:
    missing = [ROLES[role] for role in roles if role not in snapshot.mappings.accounts]
    return ("unmapped_account", f"No account is chosen for {' and '.join(missing)}. Choose it.") if missing else None


def unknown_customer(place: Place) -> tuple[str, str]:
    """Why what comes back of a charge cannot be posted by itself."""
    if place.in_books:
        return "unknown_customer", "Its charge is of several customers in QuickBooks, or of none. Record it by hand."
    return "charge_before_cutover", "Its charge is from before the cut-over. Choose the customer it belongs to."


def without_place(snapshot: Snapshot, charge_id: str) -> tuple[str, str]:
    """Why what comes back of a charge waits while the charge itself is nowhere in the books."""
    aside = snapshot.decision(charge_id, "ignore")
    if aside is None:
        return "waits_with_charge", "Its charge is not in the books yet; settle the charge first."
    detail = (
        f"Its charge {charge_id} was set aside by {aside.actor} ({aside.reason}). Ignore this too, or undo that and "
        f"settle the charge; this follows it then."
    )
    return "charge_set_aside", detail


def memo(source_id: str, movements: Sequence[Movement]) -> str:
    return " ".join([source_id, *(movement.id for movement in movements)])


def share(booked: Sequence[tuple[Posting, int]], legs: Sequence[Leg]) -> list[Posting]:
    """Says which part of which leg each posting books, each leg to the last cent.

    `booked` gives with each posting what it does to the clearing account. The first leg is divided among them; the
    others (the reversal of what was not captured) are the first posting's.
    """
    first, *others = legs
    rest = sum(leg.amount_minor for leg in others)
    shared = []
    for number, (posting, amount) in enumerate(booked):
        shares = [Share(leg_id=first.id, amount_minor=amount if number else amount - rest)]
        shares += [Share(leg_id=leg.id, amount_minor=leg.amount_minor) for leg in others if number == 0]
        shared.append(replace(posting, shares=tuple(shares)))
    return shared


def total(legs: Sequence[Leg]) -> int:
    """What legs do to the clearing account together."""
    return sum(leg.amount_minor for leg in legs)


def divide(settled: int, parts: Sequence[int], unit: int = 1) -> list[int]:
    """`settled` in proportion to `parts`, to the last `unit`, of which it is made."""
    left, whole, divided = settled // unit, sum(parts), []
    for part in parts:
        amount = (2 * left * part + whole) // (2 * whole) if whole else left
        divided.append(amount * unit)
        left, whole = left - amount, whole - part
    return divided
