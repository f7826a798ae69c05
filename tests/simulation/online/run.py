"""One seed at the level of the adapters: rounds under faults, then all is healed and must come to rest."""

import hashlib
import traceback
from collections import Counter
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import select

from emulators.clock import Rng
from storage.models import inbox, outbox
from sync.worker import Worker
from tests import laws
from tests.simulation.engine.bugs import BUGS
from tests.simulation.engine.run import Errors
from tests.simulation.engine.trouble import Crash
from tests.simulation.online.schedule import Round, Schedule, draw
from tests.simulation.online.world import Copies, World

HEALING, RESTARTS = 8, 4
UNSETTLED = ("planned", "sending", "doubtful", "waiting")
SERVICE = {"DetailType": "SalesItemLineDetail", "SalesItemLineDetail": {"ItemRef": {"value": "1"}}}


@dataclass
class Outcome:
    """`problems`: broken laws, in words. `digest` is of the books: of a seed, always the same."""

    seed: int
    problems: list[str] = field(default_factory=list)
    syncs: int = 0
    crashes: int = 0
    digest: str = ""
    struck: Counter[str] = field(default_factory=Counter)

    @property
    def ok(self) -> bool:
        return not self.problems


class Simulation:
    """Runs seeds, one after the other, on copies of one world."""

    def __init__(self, directory: Path) -> None:
        self._copies = Copies(directory)

    def close(self) -> None:
        self._copies.close()

    def run(self, seed: int, bug: str | None = None) -> Outcome:
        """`bug` is one of the engine's BUGS, planted for this run."""
        outcome, world = Outcome(seed), self._copies.fresh(seed)
        world.trouble.forget()
        with world.at_work(), Errors(outcome.problems), BUGS[bug]() if bug else nullcontext():
            _Run(world, draw(seed), outcome, self._copies.template.customers).run()
        outcome.struck = +world.trouble.struck
        return outcome


class _Run:
    def __init__(self, world: World, schedule: Schedule, outcome: Outcome, customers: tuple[str, str]) -> None:
        self._world, self._schedule, self._outcome = world, schedule, outcome
        self._there, self._here = customers
        self._chance = Rng(f"acts {outcome.seed}")
        self._charges: list[tuple[str, int, str]] = []  # with what is left of it, and the invoice it pays
        self._typed: set[str] = set()
        self._number = 0
        world.qbo.switch(forget_request_ids=schedule.forgets, rotate_always=schedule.rotates)

    def run(self) -> None:
        for each in self._schedule.rounds:
            self._round(each)
        self._heal()
        self._judge()

    # ---- what happens

    def _round(self, each: Round) -> None:
        world = self._world
        with world.trouble.resting():
            for act in each.acts:
                self._act(act)
                world.clock.advance(self._chance.pick((1, 40, 400)))
        world.stripe.office.hooks = replace(
            world.stripe.office.hooks,
            duplicates=float(each.webhooks == "twice"),
            disorder=0.5 * (each.webhooks == "late"),
        )
        world.qbo.webhooks.duplicates = float(each.webhooks == "twice")
        world.delivers = each.webhooks != "never"
        world.trouble.begin(each.faults)
        world.deliver()
        self._work(each.restart_s)

    def _act(self, name: str) -> None:
        match name:
            case "pays":
                self._pay()
            case "refund" | "refund part":
                self._refund(part=name == "refund part")
            case "types in":
                self._type_in()

    def _pay(self) -> None:
        self._number += 1
        amount = 1_000 + 100 * self._number + self._chance.between(1, 99)
        line = SERVICE | {"Amount": amount / 100}
        head = {"CustomerRef": {"value": self._here}, "DocNumber": f"INV-{self._number}"}
        invoice = self._world.qbo.create("Invoice", head | {"Line": [line]})
        paid = {
            "amount": amount, "currency": "usd", "customer": self._there, "payment_method": "pm_card_visa",
            "confirm": True, "description": f"Invoice INV-{self._number}",
        }  # fmt: skip
        intent = self._world.stripe.request("POST", "/v1/payment_intents", paid)
        self._charges.append((intent["latest_charge"], amount, invoice["Id"]))

    def _refund(self, *, part: bool) -> None:
        if self._charges:
            charge, left, invoice = self._charges.pop(0)
            amount = left // 3 if part else left
            self._world.stripe.request("POST", "/v1/refunds", {"charge": charge, "amount": amount})
            if part:
                self._charges.append((charge, left - amount, invoice))

    def _type_in(self) -> None:
        """Somebody records a payment that the books do not show yet, with Stripe's id."""
        qbo = self._world.qbo
        for charge, _, invoice_id in self._charges:
            invoice = qbo.read("Invoice", invoice_id)
            if invoice["Balance"] and charge not in self._typed:
                clearing = qbo.query("SELECT * FROM Account WHERE Name = 'Stripe clearing'")["Account"][0]["Id"]
                line = {"Amount": invoice["Balance"], "LinkedTxn": [{"TxnId": invoice_id, "TxnType": "Invoice"}]}
                head = {"CustomerRef": {"value": self._here}, "TotalAmt": invoice["Balance"], "Line": [line]}
                into = {"DepositToAccountRef": {"value": clearing}, "PrivateNote": f"by card, {charge}"}
                qbo.create("Payment", head | into)
                self._typed.add(charge)
                return

    def _work(self, restart_s: int) -> None:
        """A sync, and what is left of it after each crash."""
        for _ in range(RESTARTS):
            try:
                self._drain(self._world.worker())
            except Crash:
                self._outcome.crashes += 1
            except Exception as error:
                if "disk is full" not in str(error):  # the process ends, and is started again
                    raise
            else:
                return
            self._world.clock.advance(restart_s)

    def _drain(self, worker: Worker) -> str | None:
        problem = None
        worker.enqueue_now("simulated")
        while worker.work():
            self._outcome.syncs += 1
            problem = worker.problem
        self._never_twice()
        return problem

    def _heal(self) -> None:
        world, problem = self._world, None
        world.trouble.begin()
        world.delivers = True
        for _ in range(HEALING):
            world.clock.advance(900)
            world.deliver()
            problem = self._drain(world.worker())
            if problem is None and not self._left():
                return
        self._complain(f"It does not come to rest: {problem or ''} {self._left()}")

    def _left(self) -> list[str]:
        with self._world.database.read() as conn:
            rows = conn.execute(select(outbox.c.marker, outbox.c.state).where(outbox.c.state.in_(UNSETTLED)))
            found = [f"{row.marker} is {row.state}" for row in rows]
            events = conn.execute(select(inbox.c.event_id).where(inbox.c.state.in_(("new", "waiting"))))
            return found + [f"event {each}" for each in events.scalars()]

    # ---- the laws

    def _complain(self, problem: str) -> None:
        if problem not in self._outcome.problems:
            self._outcome.problems.append(problem)

    def _never_twice(self) -> None:
        """Whatever its revision, a thing of ours is in the books once."""
        found = Counter(marker.rsplit(":", 2)[0] + marker[-3:] for _, marker in laws.marked(self._world.qbo))
        for name, number in found.items():
            if number > 1:
                self._complain(f"{name} is in the books {number} times.")

    def _judge(self) -> None:
        world = self._world
        for problem in world.wrong:
            self._complain(problem)
        try:
            laws.check(world.environment, world.stripe, world.qbo)
        except AssertionError as error:
            (*_, last) = traceback.extract_tb(error.__traceback__)
            self._complain(f"A law is broken: {last.line} {error}"[:500])
        waiting = laws.waiting_legs(world.environment)
        if not self._typed:  # else what comes back of it may wait for a person
            for each in waiting:
                self._complain(f"{each['id']} waits: {each['reason']}: {each['detail']}")
        documents = sorted(marker for _, marker in laws.marked(world.qbo))
        state = (documents, sorted(world.qbo.trial_balance().items()), sorted(each["id"] for each in waiting))
        self._outcome.digest = hashlib.sha256(repr(state).encode()).hexdigest()[:16]


def as_json(outcome: Outcome) -> dict[str, Any]:
    return asdict(outcome)
