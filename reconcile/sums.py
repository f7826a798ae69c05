"""Which of a few amounts add up to a target: told only if there is exactly one way."""

from collections.abc import Sequence

ITEMS_MAX, PARTS_MAX = 16, 6


def only_subset(target: int, amounts: Sequence[int]) -> tuple[int, ...] | None:
    """The positions of the 2 to PARTS_MAX positive amounts that come to `target`, if only one choice does; else None.

    More than ITEMS_MAX amounts are too many for a sum to mean anything.
    """
    if len(amounts) > ITEMS_MAX or target <= 0 or any(amount <= 0 for amount in amounts):
        return None
    order = sorted(range(len(amounts)), key=lambda position: (-amounts[position], position))
    found = _search([amounts[position] for position in order], target)
    return tuple(sorted(order[place] for place in found[0])) if len(found) == 1 else None


def _search(amounts: list[int], target: int) -> list[tuple[int, ...]]:
    """The first two choices that reach the target; amounts come largest first."""
    rest = [0] * (len(amounts) + 1)
    for place in range(len(amounts) - 1, -1, -1):
        rest[place] = rest[place + 1] + amounts[place]
    found: list[tuple[int, ...]] = []
    stack: list[tuple[int, int, tuple[int, ...]]] = [(0, target, ())]
    while stack and len(found) < 2:
        place, left, chosen = stack.pop()
        if left == 0:
            if len(chosen) > 1:
                found.append(chosen)
            continue
        if place == len(amounts) or left < 0 or left > rest[place] or len(chosen) == PARTS_MAX:
            continue
        stack.append((place + 1, left, chosen))
        stack.append((place + 1, left - amounts[place], (*chosen, place)))
    return found


def choices(items: int) -> int:
    """How many subsets of 2 to PARTS_MAX there are of so many items."""
    total, ways = 0, 1
    for size in range(1, min(items, PARTS_MAX) + 1):
        ways = ways * (items - size + 1) // size
        total += ways if size > 1 else 0
    return total
