"""A plan in the making, and what the rules of every kind of movement share."""

from collections import ChainMap, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Context, Decimal
from zoneinfo import ZoneInfo

from reconcile.legs import legs_of
from reconcile.matching import MatchResult
from reconcile.money import Money, exponent
from reconcile.postings import ROLES, Leg, LegDecision, LegState, Posting, Share
from reconcile.records import Movement
from reconcile.snapshot import Place, Snapshot, recorded_place

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
    disputed: dict[str, list[Posting]] = field(default_factory=lambda: defaultdict(list))

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

    def cancel_out(self, legs: Sequence[Leg], source_id: str, detail: str) -> None:
        """Legs of one source, none of them in the books: no document if they make nothing together, else they wait.

        What comes back at another exchange rate than it went is not the same amount.
        """
        if rest := sum(leg.amount_minor for leg in legs):
            gap = Money(abs(rest), legs[0].currency)
            detail = f"What Stripe took and what it gave back differ by {gap}. Record both by hand."
            self.wait(legs, source_id, "came_back_in_part", detail)
        else:
            self.decide(legs, source_id, "matched", "cancels_out", detail)

    def is_answered(self, item_id: str, legs: Sequence[Leg], source_id: str) -> bool:
        """Whether the matcher knows better than to post: recorded by somebody, or a question. That is then decided."""
        verdict = self.matches.verdict(item_id)
        if verdict.decision == "auto" and verdict.role == "already_recorded":
            documents = [allocation.ledger_id for allocation in verdict.allocations]
            self.decide(legs, source_id, "matched", "already_recorded", verdict.text, documents=documents)
        elif verdict.decision == "proposed":
            self.wait(legs, source_id, verdict.code or "proposed", verdict.text)
        else:
            return False
        return True

    def place_recorded(self, charge_id: str) -> None:
        """Remembers where a charge is that somebody else has recorded, if that is certain."""
        verdict = self.matches.verdict(charge_id)
        if verdict.decision == "auto":
            document = self.snapshot.documents.get(verdict.allocations[0].ledger_id)
            books = ChainMap(self.snapshot.documents, self.snapshot.paid)
            self.places[charge_id] = recorded_place(document, books)


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


def common_problem(snapshot: Snapshot, movements: Sequence[Movement]) -> tuple[str, str] | None:
    """Why nothing can be posted of movements that settled together; what was paid may be in any currency."""
    settled = movements[0].currency
    if settled != snapshot.home_currency:
        return foreign(settled)
    if settled not in snapshot.mappings.clearing:
        return "unmapped_account", f"No clearing account is chosen for {settled}. Choose one."
    return closed_problem(snapshot, book_day(movements[0].created_at, snapshot.time_zone))


def missing_account(snapshot: Snapshot, *roles: str) -> tuple[str, str] | None:
    missing = [ROLES[role] for role in roles if role not in snapshot.mappings.accounts]
    return ("unmapped_account", f"No account is chosen for {' and '.join(missing)}. Choose it.") if missing else None


def unknown_customer(place: Place) -> tuple[str, str]:
    """Why what comes back of a charge cannot be posted by itself."""
    if place.in_books:
        return "unknown_customer", "Its charge is of several customers in QuickBooks, or of none. Record it by hand."
    return "charge_before_cutover", "Its charge is from before the cut-over. Choose the customer it belongs to."


def foreign(currency: str) -> tuple[str, str]:
    detail = (
        f"Stripe keeps this money in {currency}; entries of a balance in {currency} are not posted. Record it by hand."
    )
    return "foreign_currency", detail


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


def share(postings: list[Posting], legs: Sequence[Leg], amounts: Sequence[int] | None = None) -> list[Posting]:
    """Says which part of which leg each posting books, each leg to the last cent.

    `amounts` are what the postings do to the clearing account. The first leg is divided among them; the others (the
    reversal of what was not captured) are the first posting's.
    """
    first, *others = legs
    rest = sum(leg.amount_minor for leg in others)
    if amounts is None:
        amounts = [first.amount_minor + rest] if len(postings) == 1 else [each.amount_minor for each in postings]
    shared = []
    for number, (posting, amount) in enumerate(zip(postings, amounts, strict=True)):
        shares = [Share(leg_id=first.id, amount_minor=amount if number else amount - rest)]
        shares += [Share(leg_id=leg.id, amount_minor=leg.amount_minor) for leg in others if number == 0]
        shared.append(replace(posting, shares=tuple(shares)))
    return shared


RATE_DIGITS = Context(prec=12)  # enough for a cent of any amount Stripe moves; a JSON number keeps 15


def rate(snapshot: Snapshot, currency: str, amount: int, settled: int) -> str | None:
    """Home units for one of `currency`, so that `amount` of it comes to `settled`; None in home currency."""
    if currency == snapshot.home_currency:
        return None
    shift = exponent(currency) - exponent(snapshot.home_currency)
    return str(RATE_DIGITS.divide(Decimal(settled).scaleb(shift), Decimal(amount)))


def divide(settled: int, parts: Sequence[int]) -> list[int]:
    """`settled` in proportion to `parts`, to the last unit."""
    left, whole, divided = settled, sum(parts), []
    for part in parts:
        amount = (2 * left * part + whole) // (2 * whole) if whole else left
        divided.append(amount)
        left, whole = left - amount, whole - part
    return divided
