"""The legs of a movement: its gross and each kind of its fee."""

from collections import Counter
from collections.abc import Sequence

from reconcile.postings import Leg
from reconcile.records import Movement


def legs_of(movement: Movement) -> list[Leg]:
    """Every leg that is not zero, gross first, fees by kind. Together they make the movement's net."""
    amounts = Counter({"gross": movement.gross_minor})
    for fee in movement.fees:
        amounts[fee.kind] -= fee.amount_minor
    unexplained = movement.net_minor - sum(amounts.values())
    if unexplained:  # Stripe's own details do not add up to its fee: shown, never hidden
        amounts["unexplained_fee"] += unexplained
    kinds = [kind for kind, amount in amounts.items() if amount] or ["gross"]
    return [
        Leg(
            id=f"{movement.id}:{kind}",
            movement_id=movement.id,
            kind=kind,
            category=movement.category,
            currency=movement.currency,
            amount_minor=amounts[kind],
        )
        for kind in kinds
    ]


def gross_of(legs: Sequence[Leg]) -> list[Leg]:
    return [leg for leg in legs if leg.kind == "gross"]


def fees_of(legs: Sequence[Leg]) -> list[Leg]:
    return [leg for leg in legs if leg.kind != "gross"]
