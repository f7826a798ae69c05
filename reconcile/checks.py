"""Independent checks of the books and of the proof's own input: violations as sentences, none if all is well."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from reconcile.money import Money
from reconcile.proof import STATES
from reconcile.records import Movement, PayoutItems


def check_balances(
    openings: pl.DataFrame,
    legs: pl.DataFrame,
    clearing: pl.DataFrame,
    stripe_now: Mapping[str, int] | None = None,
    ledger_now: Mapping[str, int] | None = None,
    settled: pl.DataFrame | None = None,
) -> tuple[str, ...]:
    """Our sums against what Stripe (/v1/balance, available and pending) and QuickBooks (the account) say themselves.

    Minor units by currency; `settled` is as in `reconcile.proof.prove`. All documents count, later dated ones too:
    QuickBooks' own balance holds them as well.
    """
    carried = [] if settled is None else [settled]
    opened = openings.select("currency", amount_minor="stripe_minor")
    ours = _totals(opened, legs.filter(~pl.col("before_cutover")), *carried)
    booked = _totals(clearing, *carried)
    violations = []
    for currency, actual in sorted((stripe_now or {}).items()):
        if (sum_minor := ours.get(currency, 0)) != actual:
            violations.append(
                f"Stripe's balance is {Money(actual, currency)}, but the opening and all movements since come to "
                f"{Money(sum_minor, currency)}: {Money(actual - sum_minor, currency)} is missing here."
            )
    for currency, actual in sorted((ledger_now or {}).items()):
        if (sum_minor := booked.get(currency, 0)) != actual:
            violations.append(
                f"QuickBooks' clearing account is at {Money(actual, currency)}, but its documents known here come to "
                f"{Money(sum_minor, currency)}: {Money(actual - sum_minor, currency)} is missing here."
            )
    return tuple(violations)


def _totals(*frames: pl.DataFrame) -> dict[str, int]:
    rows = pl.concat([frame.select("currency", pl.col("amount_minor").cast(pl.Int128)) for frame in frames])
    return dict(rows.group_by("currency").agg(pl.col("amount_minor").sum()).iter_rows())


def check_legs(
    movements: Iterable[Movement], legs: pl.DataFrame, payout_items: Iterable[PayoutItems] = ()
) -> tuple[str, ...]:
    """Law 2: every leg of every movement stands in exactly one state, and the legs are all of the movement.

    Also that the fees of a movement add up, and that all movements of an automatic payout (PayoutItems) sum to zero.
    """
    by_movement: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in legs.sort("movement_id", "leg_id").to_dicts():
        by_movement[row["movement_id"]].append(row)
    known = {movement.id: movement for movement in movements}
    violations = [
        f"Legs are listed for {each}, which Stripe does not know." for each in sorted(by_movement.keys() - known)
    ]
    for movement in sorted(known.values(), key=lambda each: each.id):
        violations += _check_movement(movement, by_movement.get(movement.id, []))
    for items in sorted(payout_items, key=lambda each: each.id):
        violations += _check_payout(items, known)
    return tuple(violations)


def _check_movement(movement: Movement, rows: list[dict[str, Any]]) -> list[str]:
    if not rows:
        return [f"{movement.id} ({Money(movement.net_minor, movement.currency)}) has no legs: it is in no state."]
    states: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        states[row["leg_id"]].add(row["state"])
    found = [
        f"{leg_id} is in the state {' and '.join(sorted(each))}." for leg_id, each in states.items() if len(each) > 1
    ]
    strange = sorted({state for each in states.values() for state in each} - set(STATES))
    found += [f"{movement.id} has a leg in the unknown state {state}." for state in strange]
    total = sum(row["amount_minor"] for row in rows)
    fees = -sum(row["amount_minor"] for row in rows if not row["leg_id"].endswith(":gross"))
    if total != movement.net_minor:
        amounts = Money(total, movement.currency), Money(movement.net_minor, movement.currency)
        found.append(f"The legs of {movement.id} come to {amounts[0]}, its net is {amounts[1]}.")
    if fees != movement.fee_minor:
        amounts = Money(fees, movement.currency), Money(movement.fee_minor, movement.currency)
        found.append(f"The fee legs of {movement.id} come to {amounts[0]}, its fee is {amounts[1]}.")
    return found


def _check_payout(items: PayoutItems, known: Mapping[str, Movement]) -> list[str]:
    parts = [known[each] for each in items.movement_ids if each in known]
    missing = sorted(set(items.movement_ids) - known.keys())
    if missing:
        return [f"Payout {items.id} pays out {', '.join(missing)}, which is not known here."]
    total = sum(part.net_minor for part in parts)
    return (
        [f"What payout {items.id} paid out leaves {Money(total, parts[0].currency)}; it must be zero."] if total else []
    )
