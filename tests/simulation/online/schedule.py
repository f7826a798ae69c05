"""What happens in a seed at the level of the adapters: business and faults, drawn beforehand."""

from collections.abc import Mapping
from dataclasses import dataclass

from emulators.clock import Rng
from tests.simulation.engine.trouble import CRASHES, Fault

ACTS = ("pays", "pays", "pays", "refund", "refund part", "types in")
# By place: how many times it is reached at least in a sync, and what may strike there. Not a write that is held up on
# the wire past its lease: that is a risk which is told of (docs/RELIABILITY.md), not one that is covered.
AT: Mapping[str, tuple[int, tuple[str, ...]]] = {
    "commit": (60, (*CRASHES, "disk full")),
    "fetch": (12, (*CRASHES, "429", "500", "reset", "lost", "truncated", "slow", "pause", "pause after")),
    "read": (16, (*CRASHES, "429", "500", "reset", "lost", "truncated", "slow", "expired", "pause after")),
    "post": (
        2,
        (
            *CRASHES, "429", "500", "500 after", "reset", "unsent", "lost", "truncated", "expired", "garbage",
            "pause after",
        ),
    ),
    "token": (1, ("500", "reset", *CRASHES)),
    "webhook": (3, (*CRASHES, "disk full")),
}  # fmt: skip
THEMES = (("post",), ("post", "commit"), ("read", "post", "token"), ("fetch", "webhook"), tuple(AT))


@dataclass(frozen=True)
class Round:
    """What happened, whether webhooks come (twice, out of order), then a sync with faults."""

    acts: tuple[str, ...]
    webhooks: str
    faults: tuple[Fault, ...]
    restart_s: int

    def __str__(self) -> str:
        return ", ".join([*self.acts, f"webhooks {self.webhooks}", *map(str, self.faults), f"up in {self.restart_s} s"])


@dataclass(frozen=True)
class Schedule:
    """`forgets`: QuickBooks keeps no request ids. `rotates`: each refresh replaces the refresh token."""

    rounds: tuple[Round, ...]
    forgets: bool
    rotates: bool


def draw(seed: int) -> Schedule:
    chance = Rng(f"online {seed}")
    rounds = tuple(_round(chance, number) for number in range(chance.pick((1, 1, 2))))
    return Schedule(rounds, forgets=chance.chance(0.2), rotates=chance.chance(0.5))


def _round(chance: Rng, number: int) -> Round:
    acts = [chance.pick(ACTS) for _ in range(chance.between(1, 2))]
    theme = chance.pick(THEMES)
    places = [chance.pick(theme) for _ in range(chance.between(1, 3))]
    faults = {Fault(place, chance.between(0, AT[place][0] - 1), chance.pick(AT[place][1])) for place in places}
    return Round(
        acts=("pays", *acts) if number == 0 else tuple(acts),
        webhooks=chance.pick(("once", "twice", "late", "never")),
        faults=tuple(sorted(faults)),
        restart_s=chance.pick((1, 200, 1_000)),
    )
