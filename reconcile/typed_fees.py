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
    legs: list[Leg] = field(default_factory=list)
    movements: list[Movement] = field(default_factory=list)


def fee_sums(snapshot: Snapshot) -> tuple[FeeSum, ...]:
    """Those that a document may record, and those that somebody decided about; the narrower first."""
    wanted = {
        (document.currency, amount)
        for document in typed_costs(snapshot.documents.values(), snapshot.mappings.clearing)
        for amount in on_clearing(document, snapshot.mappings.clearing)
    }
    said = {source for source in snapshot.decisions if source.startswith(PREFIX)}
    if not wanted and not said:
        return ()
    found: dict[tuple[str, ...], FeeSum] = {}
    for name, pile in _piles(snapshot).items():
        each = _sum(snapshot, name, pile)
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


def _piles(snapshot: Snapshot) -> dict[str, _Pile]:
    """By id: the fees of each movement, then those of each payout, day and month, without and with Stripe's bills."""
    payout_of = {each: payout for payout, inside in snapshot.payout_items.items() for each in inside}
    singles: dict[str, _Pile] = defaultdict(_Pile)
    several: dict[str, _Pile] = defaultdict(_Pile)
    for movement, legs, is_bill in _costs(snapshot):
        if not is_bill:  # matching knows a bill by itself
            _add(singles[f"{PREFIX}{movement.id}"], movement, legs)
        day = book_day(movement.created_at, snapshot.time_zone)
        for period in filter(None, (payout_of.get(movement.id), f"{day}", f"{day:%Y-%m}")):
            name = f"{PREFIX}{period}:{movement.currency}"
            _add(several[f"{name}:bills"], movement, legs)
            if not is_bill:
                _add(several[name], movement, legs)
    return singles | {name: pile for name, pile in sorted(several.items(), key=_width) if len(pile.movements) > 1}


def _width(named: tuple[str, _Pile]) -> tuple[int, str]:
    return len(named[1].movements), named[0]


def _add(pile: _Pile, movement: Movement, legs: list[Leg]) -> None:
    pile.legs += legs
    pile.movements.append(movement)


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


def _sum(snapshot: Snapshot, name: str, pile: _Pile) -> FeeSum | None:
    """What somebody decided about stays what it was then, whatever has come since."""
    decided = snapshot.decision(name, "match")
    legs = [leg for leg in pile.legs if decided is None or leg.id in decided.leg_ids]
    if not legs:
        return None
    return FeeSum(
        id=name,
        leg_ids=tuple(sorted(leg.id for leg in legs)),
        currency=legs[0].currency,
        amount_minor=sum(in_books(leg.amount_minor, leg.currency) for leg in legs),
        at=max(movement.created_at for movement in pile.movements),
        is_single=len(pile.movements) == 1,
    )
