"""One seed: rounds under faults, then everything works again and must come to rest; what the laws say of it."""

import gc
import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import select

from emulators.clock import Rng
from storage import connections
from storage.models import connections as connection_rows
from storage.models import inbox, outbox
from sync import retrying
from sync.qbo import reading
from sync.worker import Worker
from tests.simulation.engine import laws
from tests.simulation.engine.acts import Acts
from tests.simulation.engine.bugs import BUGS
from tests.simulation.engine.post import Post
from tests.simulation.engine.schedule import BY_PEOPLE, Round, Schedule, draw
from tests.simulation.engine.trouble import Crash
from tests.simulation.engine.world import PAGE, SMALL_PAGE, Copies, World
from tests.simulation.matches import KnownMatches

HEALING = 8  # syncs, at most, until nothing is left to do
RESTARTS = 4
MEANWHILE = ("pays", "pays later", "refund part", "bill", "payout")


@dataclass
class Outcome:
    """`problems`: broken laws, in words. `digest` is of the database and the books: of a seed, always the same."""

    seed: int
    problems: list[str] = field(default_factory=list)
    syncs: int = 0
    crashes: int = 0
    restored: bool = False  # an old copy of our database took its place
    digest: str = ""
    documents: dict[str, Any] = field(default_factory=dict)  # of ours in the books, by marker
    points: int = 0  # crash points of the first round
    reached: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)

    @property
    def ok(self) -> bool:
        return not self.problems


class Simulation:
    """Runs seeds, one after the other, on copies of one world."""

    def __init__(self) -> None:
        self._copies = Copies()
        self._runs, self._known = 0, KnownMatches()
        gc.collect()
        gc.freeze()
        gc.disable()  # it would look through everything again and again

    def close(self) -> None:
        self._copies.close()
        gc.enable()
        gc.unfreeze()

    def run(self, seed: int, bug: str | None = None, schedule: Schedule | None = None) -> Outcome:
        """`bug` is one of BUGS, planted for this run."""
        plan, outcome = schedule or draw(seed), Outcome(seed)
        world = self._copies.fresh(seed)
        before = reading.PAGE
        reading.PAGE = world.books.page = SMALL_PAGE if plan.small_pages else PAGE
        try:
            with Errors(outcome.problems) as errors, self._known.planted(), BUGS[bug]() if bug else nullcontext():
                _Run(world, plan, outcome, errors).run()
        finally:
            reading.PAGE = before
        outcome.reached, outcome.struck = +world.trouble.reached, +world.trouble.struck
        world.trouble.forget()
        self._runs += 1
        if self._runs % 50 == 0:
            gc.collect()
        return outcome


class Errors(logging.Handler):
    """What the worker takes for an error of its own: a full disk is one, anything else is a finding."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._problems = problems

    def __enter__(self) -> "Errors":
        logging.getLogger("sync.worker").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("sync.worker").removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and "disk is full" not in str(error):
            self._problems.append(f"An error of our own: {type(error).__name__}: {error}"[:300])


class _Run:
    def __init__(self, world: World, schedule: Schedule, outcome: Outcome, errors: Errors) -> None:
        self._world, self._schedule, self._outcome = world, schedule, outcome
        self._acts = Acts(world, Rng(f"world {schedule.world}"))
        self._post = Post(world)
        world.books.forgets, world.jump_s = schedule.forgets, float(schedule.jump_s)
        world.meanwhile, world.trouble.rival = self._meanwhile, self._rival
        world.trouble.back_up_at = schedule.back_up_at

    def run(self) -> None:
        for number, each in enumerate(self._schedule.rounds):
            self._round(each)
            if number == 0:
                self._outcome.points = self._world.trouble.points
        self._heal()
        self._outcome.problems += laws.judge(self._world, self._acts, is_posting=self._acts.is_posting)
        self._outcome.digest = laws.digest(self._world)
        self._outcome.documents = laws.outcome(self._world)

    def _round(self, each: Round) -> None:
        world = self._world
        world.clock.advance(each.pause_s)
        with world.trouble.resting():
            for act in each.acts:
                self._acts.do(act)
                world.clock.advance(each.gap_s)
        world.trouble.begin(each.faults, each.crash_at)
        self._post.deliver(each.delivery)
        self._work(each.restart_s)

    def _work(self, restart_s: int) -> None:
        """A sync, and what is left of it after each crash."""
        for _ in range(RESTARTS):
            worker = self._world.worker()
            try:
                worker.enqueue_now("simulated")
                self._drain(worker)
            except Crash:
                self._outcome.crashes += 1
                self._watch()
                self._world.clock.advance(restart_s)
                continue
            except Exception as error:
                if "disk is full" not in str(error):  # the process ends, and is started again
                    raise
                self._world.clock.advance(restart_s)
                continue
            return

    def _drain(self, worker: Worker) -> None:
        while worker.work():
            self._outcome.syncs += 1
            self._watch()

    def _watch(self) -> None:
        for problem in laws.never_twice(self._world):
            if problem not in self._outcome.problems:
                self._outcome.problems.append(problem)

    def _meanwhile(self) -> None:
        """Somebody does something while a call is under way."""
        with self._world.trouble.resting():
            names: Sequence[str] = MEANWHILE
            if self._schedule.people:
                names = (*MEANWHILE, *(each for each in BY_PEOPLE if not each.startswith("switches")))
            self._acts.do(self._acts.chance.pick(names))

    def _rival(self) -> None:
        """Another process takes over, or a person does something at our pages."""
        if self._schedule.people and self._acts.chance.chance(0.5):
            with self._world.trouble.resting():
                self._acts.do(self._acts.chance.pick(("ignores", "undoes")))
        else:
            self._meanwhile()
            self._world.step_in()

    # ---- then everything works again

    def _heal(self) -> None:
        world = self._world
        world.trouble.begin()
        world.clock.skew_s = 0
        if any(name.endswith("jump") for name in world.trouble.struck):  # what was leased until then is free by then
            world.clock.advance(3 * 3_600)
        self._post.deliver("in order")
        self._restore()
        for _ in range(HEALING):
            world.clock.advance(world.stripe.next_later_s() + 900)
            self._mend()
            worker, problem = world.worker(), None
            worker.enqueue_now("healing")
            while worker.work():
                self._outcome.syncs += 1
                problem = worker.problem
            self._watch()
            rest = laws.left(world, is_posting=self._acts.is_posting)
            if not (problem or rest or world.stripe.next_later_s()) and self._is_calm():
                return
        self._outcome.problems.append(f"It does not come to rest: {problem or ''} {'; '.join(rest)}")

    def _restore(self) -> None:
        """An old copy of our database takes its place. What was at work in it counts as so until its lease ends."""
        backup = self._world.trouble.backup
        if backup is not None:
            self._world.database.driver.deserialize(backup)
            self._world.clock.advance(3_600)
            self._outcome.restored = True

    def _is_calm(self) -> bool:
        with self._world.database.read() as conn:
            waits = conn.execute(select(outbox.c.id).where(outbox.c.state == "waiting")).first()
            unread = conn.execute(select(inbox.c.id).where(inbox.c.state == "waiting")).first()
        return waits is None and unread is None

    def _mend(self) -> None:
        """What a person does when things are said to wait: connect again, retry."""
        world = self._world
        with world.database.write() as conn:
            for each in conn.execute(
                select(connection_rows.c.id).where(connection_rows.c.state == "reconnect")
            ).scalars():
                connections.set_state(conn, each, "ready", None, world.clock.now())
            refused = conn.execute(select(outbox.c.id).where(outbox.c.state == "waiting")).scalars().all()
            unread = conn.execute(select(inbox.c.id).where(inbox.c.state == "waiting")).scalars().all()
        if refused:
            retrying.retry_postings(world.database, world.clock, world.person(), 1, refused)
        if unread:
            retrying.retry_received(world.database, world.clock, world.person(), 1, unread)


def as_json(outcome: Outcome) -> dict[str, Any]:
    return asdict(outcome)
