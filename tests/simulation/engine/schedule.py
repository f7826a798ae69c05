"""What happens in a seed: rounds of business, people's work and faults, drawn beforehand; then all is healed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from emulators.clock import Rng
from tests.simulation.engine.trouble import AT, CRASHES, Fault

AT_STRIPE = (
    "pays", "pays", "pays", "pays later", "pays unknown", "pays twice the same", "refund", "refund part",
    "refund fails", "dispute", "dispute won", "dispute lost", "payout", "payout fails", "bill",
)  # fmt: skip
BY_PEOPLE = ("types in", "edits", "deletes", "edits invoice", "switches off", "switches on", "ignores", "undoes")
WORLDS = 200
# How the webhooks of a round arrive.
DELIVERIES = ("in order", "reversed", "twice", "late", "never", "in order", "out of date", "forged", "replayed")
PAUSES_S = (5, 60, 200, 900, 5_000)
GAPS_S = (0, 1, 1, 40, 1_300)  # between two things that happen: in one second, within what is read twice, and beyond
RESTARTS_S = (1, 30, 200, 1_000)
# Not far back: until our clock has caught up with what is stored, it is fetched again and again (docs/RELIABILITY.md).
JUMPS_S = (-3, -1, 3, 200, 7_200)
# How far into a round its faults lie: about as many times is each place reached.
REACH = {"commit": 60, "fetch": 14, "read": 7, "look up": 2, "post": 2, "webhook": 3}
RESTORED, BACK_UP_AT = 0.15, (1, 150)  # how often an old database is restored, and after how many commits it was copied
# What the trouble of a round is about: places as often as they are named.
THEMES = (
    ("commit", "fetch", "read", "post", "look up", "webhook"),
    ("commit",),
    ("fetch", "commit"),
    ("post", "post", "look up"),
    ("post", "look up", "commit"),
    ("read", "post"),
    ("webhook",),
)


@dataclass(frozen=True)
class Round:
    """A while, what happened meanwhile, how its webhooks came, then a sync with faults.

    `crash_at`: the process ends at this of all crash points, and at that of those after; used to enumerate them.
    """

    pause_s: int
    acts: tuple[str, ...]
    delivery: str
    faults: tuple[Fault, ...]
    restart_s: int = 30
    gap_s: int = 1
    crash_at: tuple[int, ...] = ()

    def __str__(self) -> str:
        parts = [
            f"{self.pause_s} s",
            f"every {self.gap_s} s",
            *self.acts,
            f"webhooks {self.delivery}",
            *map(str, self.faults),
        ]
        if self.crash_at:
            parts.append(f"crash at points {self.crash_at}")
        return ", ".join(parts)


@dataclass(frozen=True)
class Schedule:
    """`forgets`: QuickBooks keeps no request ids. `jump_s`: how far our clock jumps when it does.

    `back_up_at`: after so many commits our database is copied, and that copy takes its place when all is healed.
    """

    world: int
    rounds: tuple[Round, ...]
    forgets: bool
    small_pages: bool
    jump_s: int
    back_up_at: int = 0

    @property
    def people(self) -> bool:
        return any(act in BY_PEOPLE for each in self.rounds for act in each.acts)


def draw(seed: int) -> Schedule:
    """The business of a seed is one of WORLDS; what goes wrong is its own."""
    world = seed % WORLDS
    business, chance = Rng(f"business {world}"), Rng(f"engine {seed}")
    forgets = chance.chance(0.15)
    with_people = business.chance(0.4)
    rounds = tuple(
        _round(business, chance, number, forgets=forgets, with_people=with_people)
        for number in range(business.pick((1, 1, 1, 2, 2, 3)))
    )
    drawn = Schedule(
        world=world,
        rounds=rounds,
        forgets=forgets,
        small_pages=chance.chance(0.1),
        jump_s=chance.pick(JUMPS_S),
    )
    restored = Rng(f"backup {seed}")
    if drawn.people or not restored.chance(RESTORED):  # what people decided since a backup they are asked again
        return drawn
    return replace(drawn, back_up_at=restored.between(*BACK_UP_AT))


def _round(business: Rng, chance: Rng, number: int, *, forgets: bool, with_people: bool) -> Round:
    acts = [business.pick(AT_STRIPE) for _ in range(business.between(1, 2))]
    if number == 0:
        acts = ["pays", *acts]
    if with_people and business.chance(0.7):
        acts.insert(business.between(0, len(acts)), business.pick(BY_PEOPLE))
    theme = chance.pick(THEMES)
    faults = {_fault(chance, chance.pick(theme)) for _ in range(chance.pick((0, 1, 1, 2, 2, 3, 4)))}
    if forgets:  # what it applies late it would then apply twice: a risk that is told of, not one that is covered
        faults = {fault for fault in faults if fault.what != "late"}
    return Round(
        pause_s=business.pick(PAUSES_S),
        gap_s=business.pick(GAPS_S),
        acts=tuple(acts),
        delivery=chance.pick(DELIVERIES),
        faults=tuple(sorted(faults)),
        restart_s=chance.pick(RESTARTS_S),
    )


def _fault(chance: Rng, place: str) -> Fault:
    kinds: Sequence[str] = AT[place]
    what = chance.pick(CRASHES) if chance.chance(0.35) else chance.pick(kinds)
    return Fault(place, chance.between(0, REACH[place] - 1), what)
