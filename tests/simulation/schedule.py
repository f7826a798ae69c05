"""What happens in a run, drawn from its seed: faults at requests, and what people do at the PC between visits."""

from collections.abc import Sequence
from dataclasses import dataclass

from emulators.clock import Rng
from emulators.qbd.company import Switches

# (a) to (g) of what can go wrong, each as likely; some more that are cheap.
AT_REQUESTS = (
    "crash_before", "crash_after", "answer_lost_inside", "error_before", "error_after", "response_twice",
    "reply_lost", "request_lost", "restart_before", "restart_after", "restore", "truncate", "busy",
)  # fmt: skip
IN_SESSIONS = ("no_close", "swap")
BY_PEOPLE = ("older backup", "newer backup", "types a payment in", "types much in", "deletes")
PAUSES_S = (20, 150, 400, 700, 3_600, 90_000)  # within and beyond what a visit, a lease or a mark lasts
REQUESTS_MAX = 11
STEPS = (1, 1, 2, 2, 3)


@dataclass(frozen=True)
class Step:
    """Before a visit: how long nothing happened, then what somebody did; during it: faults."""

    pause_s: int
    person: str
    script: tuple[str, ...]
    session: str  # a fault of the whole visit, or ""

    def __str__(self) -> str:
        at = [f"{name} at {number}" for number, name in enumerate(self.script) if name]
        return f"{self.pause_s} s; " + ", ".join(filter(None, [self.person, self.session, *at]))


@dataclass(frozen=True)
class Schedule:
    """`posts_again`: afterwards the accountant has everything posted again that is gone."""

    steps: tuple[Step, ...]
    switches: Switches
    posts_again: bool

    @property
    def restores(self) -> bool:
        """Whether the company file is ever an older one than before."""
        return any("restore" in step.script or "backup" in step.person for step in self.steps)


def draw(seed: int) -> Schedule:
    chance = Rng(f"desktop {seed}")
    switches = Switches(
        payments_touch_invoices=chance.chance(0.5),
        current_in_stale=chance.chance(0.5),
        newest_first=chance.chance(0.5),
        message_sets_kept=chance.pick([None, 1]),
    )
    steps = tuple(_step(chance) for _ in range(chance.pick(STEPS)))
    return Schedule(steps, switches, posts_again=chance.chance(0.5))


def _step(chance: Rng) -> Step:
    script = [""] * chance.between(0, REQUESTS_MAX)
    script += [_pick(chance, AT_REQUESTS)]
    if chance.chance(0.3):  # two in a row: the answer to the first is a part of the second
        script += [_pick(chance, AT_REQUESTS)]
    person = _pick(chance, BY_PEOPLE) if chance.chance(0.5) else ""
    session = _pick(chance, IN_SESSIONS) if chance.chance(0.15) else ""
    return Step(chance.pick(PAUSES_S), person, tuple(script), session)


def _pick(chance: Rng, names: Sequence[str]) -> str:
    return chance.pick(names)
