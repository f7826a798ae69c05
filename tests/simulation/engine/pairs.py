"""Every pair of crash points of a short scenario: the process ends at one, and whoever goes on ends at another."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.simulation.engine.run import Outcome, Simulation
from tests.simulation.engine.schedule import Round, Schedule

RESTART_S = 200  # past the lease, so that what was begun is taken up, and not only done again
SCENARIOS = {
    "a payment": ("pays",),
    "a refund and a payout": ("pays", "refund part", "payout"),
}


@dataclass
class Enumeration:
    """How far it got: pairs run, the crash points of a first run, and what was broken."""

    points: int = 0
    pairs: int = 0
    failed: list[str] = field(default_factory=list)


def scenario(name: str, *crash_at: int) -> Schedule:
    acts = Round(60, SCENARIOS[name], "in order", (), RESTART_S, crash_at=crash_at)
    return Schedule(world=1, rounds=(acts,), forgets=False, small_pages=False, jump_s=0)


def points_of(simulation: Simulation, name: str) -> int:
    """How many crash points a run has when nothing goes wrong."""
    return simulation.run(0, schedule=scenario(name)).points


def run_pair(simulation: Simulation, name: str, first: int, second: int) -> Outcome:
    """With fewer than two crashes the second point lies beyond the end."""
    return simulation.run(0, schedule=scenario(name, first, second))


def enumerate_pairs(
    simulation: Simulation, name: str, first: int = 0, until: int | None = None
) -> Iterator[Enumeration]:
    """All pairs whose first point is from `first` on (and before `until`); tells after each of them."""
    found = Enumeration(points=points_of(simulation, name))
    for one in range(first, min(found.points, until or found.points)):
        two = 0
        while (outcome := run_pair(simulation, name, one, two)).crashes == 2:
            found.pairs += 1
            if outcome.problems:
                found.failed.append(f"{name}: crashes at {one} and then {two}: {'; '.join(outcome.problems)}")
            two += 1
        yield found
