"""From which probability on a tier may accept by itself: proved with labels a person has reviewed.

A threshold is certified if, with the confidence asked for, no more than the target share of the matches it lets through
are false. Without enough labels nothing is certified: a target of 1 in 1,000 needs about 3,000 without any error.
"""

import math
from collections.abc import Sequence

PPM = 1_000_000
STEPS = 50


def upper_bound(errors: int, labels: int, confidence: float = 0.95) -> float:
    """The one-sided Clopper-Pearson bound: the largest share of errors that `errors` of `labels` do not contradict."""
    if labels == 0 or errors >= labels:
        return 1.0
    low, high = errors / labels, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _at_most(errors, labels, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def _at_most(errors: int, labels: int, share: float) -> float:
    """The probability of no more than `errors` errors among `labels`."""
    if share in (0.0, 1.0):
        return 1.0 - share
    logs = [
        math.lgamma(labels + 1)
        - math.lgamma(each + 1)
        - math.lgamma(labels - each + 1)
        + each * math.log(share)
        + (labels - each) * math.log1p(-share)
        for each in range(errors + 1)
    ]
    top = max(logs)
    return math.exp(top) * sum(math.exp(each - top) for each in logs)


def threshold(labels: Sequence[tuple[int, bool]], target: float, confidence: float = 0.95) -> int | None:
    """The lowest certified probability (per million), or None. `labels` are (probability per million, is it right).

    Thresholds are tried from the highest down, and the first that fails ends the search: trying many would otherwise
    find one that passes by luck.
    """
    ordered = sorted(labels, reverse=True)
    least = math.ceil(math.log(1 - confidence) / math.log1p(-target))
    found, errors, done = None, 0, 0
    for count in _sizes(least, len(ordered)):
        while count < len(ordered) and ordered[count][0] == ordered[count - 1][0]:
            count += 1  # noqa: PLW2901  a threshold lets all of an equal probability through
        errors += sum(not right for _, right in ordered[done:count])
        done = count
        if upper_bound(errors, count, confidence) > target:
            break
        found = ordered[count - 1][0]
    return found


def _sizes(least: int, total: int) -> list[int]:
    """How many of the best labels to look at, step by step."""
    if total < least:
        return []
    step = max(1, (total - least) // STEPS)
    return sorted({*range(least, total, step), total})
