"""Fees that somebody may have typed in by hand: an expense or entry for one payment, a payout, a day or a month.

Matching knows a charge, not its fee. So fees become rows of their own, each movement's and the sums people make of
them, but only those that come to exactly what a document typed in by hand does to the clearing account. Mostly there is
no such document, and nothing is added up.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from reconcile.choices import PersonDecision
from reconcile.days import before_cutover, book_day
from reconcile.frames import on_clearing
from reconcile.legs import fees_of, legs_of
from reconcile.money import in_books
from reconcile.postings import Leg
from reconcile.records import Document, Movement
from reconcile.snapshot import Snapshot

PREFIX = "fees:"  # before what the fees belong to: a movement, a payout, a day or a month
BILLS = ("fee", "network_cost", "tax")  # categories whose gross is a cost: Stripe's own bills


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeSum:
    """Fees of one currency that one document may record together; `amount_minor` as the Stripe balance changes."""

    id: str
    leg_ids: tuple[str, ...]
    currency: str
    amount_minor: int
    at: datetime  # of the last movement
    is_single: bool


@dataclass(slots=True)
class _Pile:
    """Fees of one currency: the ids of the legs, and what each comes to in the books."""

    currency: str
    at: datetime
    parts: list[tuple[str, int]] = field(default_factory=list)
    movements: int = 0


Wanted = set[tuple[str, int]]  # currency and minor units


def fee_sums(snapshot: Snapshot) -> tuple[FeeSum, ...]:
    """Those that a document may record, and those that somebody decided about; the narrower first."""
    wanted = wanted_of(snapshot.documents.values(), snapshot.mappings.clearing)
    if not wanted and not any(source.startswith(PREFIX) for source in snapshot.decisions):
        return ()
    return add_up([snapshot], wanted)


def wanted_of(documents: Iterable[Document], clearing: Mapping[str, str]) -> Wanted:
    """What these documents do to the clearing accounts, if others made them."""
    typed = typed_costs(documents, clearing)
    return {(document.currency, amount) for document in typed for amount in on_clearing(document, clearing)}


def add_up(parts: Iterable[Snapshot], wanted: Wanted) -> tuple[FeeSum, ...]:
    """The sums over snapshots that have the open movements between them; one at a time is enough to hold."""
    said: dict[str, tuple[PersonDecision, ...]] = {}
    singles: dict[str, _Pile] = {}
    several: dict[str, _Pile] = {}
    for part in parts:
        for source, decisions in part.decisions.items():
            if source.startswith(PREFIX) and len(decisions) > len(said.get(source, ())):
                said[source] = decisions
        _pile_up(part, singles, several)
    wide = {name: pile for name, pile in sorted(several.items(), key=_width) if pile.movements > 1}
    found: dict[tuple[str, ...], FeeSum] = {}
    for name, pile in (singles | wide).items():
        each = _sum(said.get(name, ()), name, pile)
        if each is not None and (each.id in said or (each.currency, each.amount_minor) in wanted):
            found.setdefault(each.leg_ids, each)
    return tuple(found.values())


def typed_costs(documents: Iterable[Document], clearing: Mapping[str, str]) -> list[Document]:
    """Expenses and entries on a clearing account that others made."""
    kinds = ("purchase", "deposit", "journal_entry")
    return [each for each in documents if each.marker is None and each.kind in kinds and on_clearing(each, clearing)]


def fee_rows(sums: tuple[FeeSum, ...]) -> list[dict[str, Any]]:
    """Rows of PROCESSOR_SCHEMA."""
    return [
        {
            "id": each.id,
            "kind": "fee" if each.is_single else "fees",
            "currency": each.currency,
            "amount_minor": each.amount_minor,
            "settled_currency": each.currency,
            "settled_minor": each.amount_minor,
            "occurred_at": each.at,
            "links": [],
        }
        for each in sums
    ]


def object_of(source_id: str) -> str:
    """The Stripe object that a name is about: of fees, what they were taken for (a day or a month is none)."""
    return source_id.removeprefix(PREFIX).partition(":")[0]


def by_leg(sums: tuple[FeeSum, ...]) -> dict[str, list[str]]:
    """The ids of the sums each leg is in."""
    found: dict[str, list[str]] = defaultdict(list)
    for each in sums:
        for leg_id in each.leg_ids:
            found[leg_id].append(each.id)
    return dict(found)


def _pile_up(snapshot: Snapshot, singles: dict[str, _Pile], several: dict[str, _Pile]) -> None:
    """By id: the fees of each movement, and those of each payout, day and month, without and with Stripe's bills."""
    payout_of = {each: payout for payout, inside in snapshot.payout_items.items() for each in inside}
    for movement, legs, is_bill in _costs(snapshot):
        parts = [(leg.id, in_books(leg.amount_minor, leg.currency)) for leg in legs]
        if not is_bill:  # matching knows a bill by itself
            _add(singles, f"{PREFIX}{movement.id}", movement, parts)
        day = book_day(movement.created_at, snapshot.time_zone)
        for period in filter(None, (payout_of.get(movement.id), f"{day}", f"{day:%Y-%m}")):
            name = f"{PREFIX}{period}:{movement.currency}"
            _add(several, f"{name}:bills", movement, parts)
            if not is_bill:
                _add(several, name, movement, parts)


def _width(named: tuple[str, _Pile]) -> tuple[int, str]:
    return named[1].movements, named[0]


def _add(piles: dict[str, _Pile], name: str, movement: Movement, parts: list[tuple[str, int]]) -> None:
    pile = piles.setdefault(name, _Pile(movement.currency, movement.created_at))
    pile.parts += parts
    pile.movements += 1
    pile.at = max(pile.at, movement.created_at)


def _costs(snapshot: Snapshot) -> Iterator[tuple[Movement, list[Leg], bool]]:
    """What Stripe took for itself in movements of which it is all undecided. A movement's fees stay together."""
    said = (one for each in snapshot.decisions.values() for one in each)
    aside = {leg_id for one in said if one.kind == "ignore" for leg_id in one.leg_ids}
    for movement in snapshot.movements:
        if movement.balance_type != "payments" or before_cutover(snapshot, [movement]):
            continue
        is_bill = movement.category in BILLS
        legs = legs_of(movement) if is_bill else fees_of(legs_of(movement))
        if legs and not any(leg.id in snapshot.decided_legs or leg.id in aside for leg in legs):
            yield movement, legs, is_bill


def _sum(said: Iterable[PersonDecision], name: str, pile: _Pile) -> FeeSum | None:
    """What somebody decided about stays what it was then, whatever has come since."""
    decided = next((each for each in said if each.kind == "match"), None)
    parts = [each for each in pile.parts if decided is None or each[0] in decided.leg_ids]
    if not parts:
        return None
    return FeeSum(
        id=name,
        leg_ids=tuple(sorted(leg_id for leg_id, _ in parts)),
        currency=pile.currency,
        amount_minor=sum(amount for _, amount in parts),
        at=pile.at,
        is_single=pile.movements == 1,
    )
