"""A plan in the making, and what the rules of every kind of movement share."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from reconcile.legs import legs_of
from reconcile.matching import MatchResult
from reconcile.postings import Leg, LegDecision, LegState, Posting, Share
from reconcile.records import Movement
from reconcile.snapshot import Place, Snapshot

REFERENCE_LENGTH = 21  # QuickBooks' limit for short reference fields


@dataclass
class Draft:
    """What the plan is so far."""

    snapshot: Snapshot
    matches: MatchResult
    postings: list[Posting] = field(default_factory=list)
    decisions: list[LegDecision] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)
    taken: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    openings: dict[str, str] = field(default_factory=dict)

    def undecided(self, movements: Sequence[Movement]) -> list[Leg]:
        return [leg for movement in movements for leg in legs_of(movement) if leg.id not in self.snapshot.decided_legs]

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
                leg=leg,
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
        self.postings += postings
        markers = [posting.marker for posting in postings]
        self.decide(
            legs, source_id, "waiting", "queued", "Goes into QuickBooks with the next posting.", markers=markers
        )


def book_day(instant: datetime, time_zone: str) -> date:
    """The calendar day of an instant where the books are kept."""
    return instant.astimezone(ZoneInfo(time_zone)).date()


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


def common_problem(snapshot: Snapshot, paid_currency: str, movements: Sequence[Movement]) -> tuple[str, str] | None:
    settled = movements[0].currency
    for currency in (paid_currency, settled):
        if currency != snapshot.home_currency:
            return foreign(currency)
    if settled not in snapshot.mappings.clearing:
        return "unmapped_account", f"No clearing account is chosen for {settled}. Choose one."
    return closed_problem(snapshot, book_day(movements[0].created_at, snapshot.time_zone))


def foreign(currency: str) -> tuple[str, str]:
    return "foreign_currency", f"Entries in {currency} are not posted yet. Record it by hand."


def is_closed(snapshot: Snapshot, day: date) -> bool:
    return snapshot.closed_through is not None and day <= snapshot.closed_through


def closed_problem(snapshot: Snapshot, day: date) -> tuple[str, str] | None:
    if not is_closed(snapshot, day):
        return None
    detail = (
        f"The books are closed through {snapshot.closed_through}, and this belongs to {day}. Reopen them, then retry."
    )
    return "closed_period", detail


def before_cutover(snapshot: Snapshot, movements: Sequence[Movement]) -> bool:
    return book_day(movements[0].created_at, snapshot.time_zone) < snapshot.cutover


def memo(source_id: str, movements: Sequence[Movement]) -> str:
    return " ".join([source_id, *(movement.id for movement in movements)])


def share(postings: list[Posting], legs: Sequence[Leg]) -> list[Posting]:
    """Says which part of which leg each posting books: legs are used up in order, each to the last cent."""
    rest = [(leg.id, leg.amount_minor) for leg in legs]
    shared = []
    for posting in postings:
        if len(postings) == 1:
            shares = tuple(Share(leg_id=leg_id, amount_minor=amount) for leg_id, amount in rest)
        else:  # several payments of one gross leg
            shares = (Share(leg_id=rest[0][0], amount_minor=posting.amount_minor),)
        shared.append(replace(posting, shares=shares))
    return shared
