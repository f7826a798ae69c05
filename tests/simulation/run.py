"""One run: a schedule of faults, then everything works again; what the laws say of the books after each visit."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select

from emulators.clock import Rng
from emulators.qbd import Faults
from emulators.store import Body, Store
from reconcile.names import MARKER
from storage import audit, findings, fold, mirror, users
from storage.findings import Finding
from storage.models import audit as audit_log
from storage.models import legs, outbox
from sync import mending
from sync.qbd import reading
from tests.simulation.bugs import BUGS
from tests.simulation.matches import KnownMatches
from tests.simulation.schedule import Schedule, Step, draw
from tests.simulation.world import Copies, Template, World, make_template

# Of what is read only this is ever there, and little of it a page: the rest would only take time.
ENTITIES = ("Invoice", "ReceivePayment", "Check", "TxnDeleted", "ListDeleted", reading.AGAIN)
PAGE = 2
HEALING = 9  # visits, at most, until nothing is left to do
KINDS = {"ReceivePayment": "payment", "Check": "purchase", "Invoice": "invoice"}
SET_ID = re.compile(r'(new|old)MessageSetID="([^"]*)"')


@dataclass
class Outcome:
    """`problems`: broken laws, in words. `digest` is of the books: the same seed always gives the same."""

    seed: int
    problems: list[str] = field(default_factory=list)
    visits: int = 0
    once: int = 0
    parked: int = 0
    digest: str = ""

    @property
    def ok(self) -> bool:
        return not self.problems


class Simulation:
    """Runs seeds, one after the other, on copies of one world."""

    def __init__(self, directory: Path) -> None:
        (directory / "template").mkdir()
        self._template: Template = make_template(directory / "template")
        self._copies = Copies(self._template, directory / "copy")
        self._known = KnownMatches()

    def close(self) -> None:
        self._copies.close()

    def run(self, seed: int, bug: str | None = None) -> Outcome:
        """`bug` is one of BUGS, planted for this run."""
        schedule, outcome = draw(seed), Outcome(seed)
        faults = Faults(Rng(f"faults {seed}"))
        world = self._copies.fresh(faults, schedule.switches)
        with _small_pages(), self._known.planted(), BUGS[bug]() if bug else nullcontext():
            _Run(world, faults, schedule, outcome).run()
        return outcome


@contextmanager
def _small_pages() -> Iterator[None]:
    before = reading.ENTITIES, reading.PAGE
    reading.ENTITIES, reading.PAGE = ENTITIES, PAGE
    try:
        yield
    finally:
        reading.ENTITIES, reading.PAGE = before


class _Run:
    def __init__(self, world: World, faults: Faults, schedule: Schedule, outcome: Outcome) -> None:
        self._world, self._faults, self._schedule, self._outcome = world, faults, schedule, outcome
        self._backups: list[Store] = [world.file.backup()]
        self._newest: Store | None = None  # what an older backup took the place of
        self._typed = 0
        world.file.inspect = self._see

    def run(self) -> None:
        for step in self._schedule.steps:
            self._step(step)
        self._faults.heal()
        self._settle()
        if self._schedule.posts_again and self._post_again():
            self._settle()
        self._judge()

    # ---- what happens

    def _step(self, step: Step) -> None:
        self._world.advance(step.pause_s)
        self._act(step.person)
        self._faults.script = list(step.script)
        if step.session:
            self._faults.set({step.session: 1.0})
        self._visit()
        self._faults.heal()
        self._backups.append(self._world.file.backup())

    def _settle(self) -> None:
        """Visits until nothing is on its way."""
        for _ in range(HEALING):
            self._world.advance(900)
            self._visit()
            if not self._left():
                return
        self._complain(f"After {HEALING} visits without a fault something is still on its way.")

    def _visit(self) -> None:
        self._outcome.visits += 1
        self._world.connector.run_once()
        self._world.work()
        self._never_twice()

    def _act(self, person: str) -> None:
        file = self._world.file
        match person:
            case "older backup":
                self._newest = file.backup()
                file.restore(self._backups[0])
            case "newer backup":
                if self._newest is not None:
                    file.restore(self._newest)
            case "types a payment in":
                self._type_in()
            case "types much in":
                self._type_much_in()
            case "deletes":
                self._delete()

    def _type_in(self) -> None:
        """Somebody records the money of a charge that the books do not show yet."""
        (invoice,) = (each for each in self._world.file.all("Invoice") if each["RefNumber"] == "INV-1")
        if invoice["IsPaid"] == "false":
            self._pay(invoice, "Stripe Clearing")

    def _type_much_in(self) -> None:
        """Invoices over some hours: more than a page, and more than the overlap of two readings."""
        customer = self._world.file.all("Customer")[0]
        for _ in range(5):
            self._typed += 1
            line = {"ItemRef": {"FullName": "Services"}, "Amount": f"{900 + self._typed}.00"}
            head = {"CustomerRef": {"ListID": customer["ListID"]}, "RefNumber": f"T-{self._typed}"}
            self._world.file.add("Invoice", head | {"InvoiceLineAdd": [line]})
            self._world.advance(2_700)

    def _delete(self) -> None:
        """The newest check, or payment, is taken out; QuickBooks will tell."""
        file = self._world.file
        kind = "Check" if self._typed % 2 == 0 else "ReceivePayment"
        self._typed += 1
        newest = file.store.find(kind, limit=1)
        if newest:
            file.delete(kind, newest[0]["TxnID"])

    def _pay(self, invoice: Body, account: str) -> None:
        amount = invoice["BalanceRemaining"]
        body = {"CustomerRef": invoice["CustomerRef"], "TotalAmount": amount}
        applied = [{"TxnID": invoice["TxnID"], "PaymentAmount": amount}]
        into = {"DepositToAccountRef": {"FullName": account}}
        self._world.file.add("ReceivePayment", body | into | {"AppliedToTxnAdd": applied})

    def _post_again(self) -> bool:
        environment, done = self._world.environment, False
        with environment.database.write() as conn:
            user_id = users.ensure_user(conn, email="a@example.com", name="A", role="accountant")
        person = users.User(id=user_id, email="a@example.com", name="A", role="accountant")
        for each in self._gone():
            offer = next(offer for offer in each.offers if offer.action == "post_again")
            database, clock = environment.database, environment.clock
            done |= mending.mend(database, clock, person, 1, each.id, each.version, offer)
        return done

    # ---- the laws

    def _see(self, text: str) -> None:
        """What is not known to be in the books may be asked about yet: QuickBooks must not forget its message set."""
        ids = dict(SET_ID.findall(text)) if "QBXMLMsgsRq" in text else {}
        cleared = ids.get("old")
        if cleared is None or cleared == ids.get("new"):
            return
        with self._world.environment.database.read() as conn:
            row = conn.execute(select(outbox).where(outbox.c.request_id == cleared)).first()
        if row is not None and row.state not in ("posted", "verified"):
            self._complain(f"The message set of {row.marker} was cleared while it was {row.state}.")

    def _never_twice(self) -> None:
        for name, number in self._counts().items():
            if number > 1:
                self._complain(f"{name} is in the company file {number} times.")

    def _judge(self) -> None:
        with self._world.environment.database.read() as conn:
            rows = conn.execute(select(outbox).where(outbox.c.state != "withdrawn")).all()
            waiting = {row.id: row for row in conn.execute(select(legs).where(legs.c.state == "waiting"))}
            mine = {kind: mirror.ids_of(conn, 2, kind) for kind in KINDS.values()}
            alarms = conn.execute(select(audit_log.c.id).where(audit_log.c.action == "older file")).all()
            for problem in [*audit.verify(conn), *fold.verify(conn)]:
                self._complain(problem)
        if alarms and not self._schedule.restores:
            self._complain("The company file was taken for an older one, which it never was.")
        for kind, mirrored in KINDS.items():
            there = {f"{mirrored}:{body['TxnID']}" for body in self._world.file.all(kind)}
            for each in sorted(there - mine[mirrored]):
                self._complain(f"{each} is in the company file, and Tieout does not know it.")
            for each in sorted(mine[mirrored] - there):
                self._complain(f"{each} is not in the company file, and Tieout thinks it is.")
        counts, gone = self._counts(), {str(each.marker) for each in self._gone()}
        reasons = {_name(marker) for marker in gone}
        reasons |= {_name(row.marker) for row in rows if row.state == "waiting" and row.problem}
        reasons |= {row.id.replace(":gross", ":charge") for row in waiting.values() if row.reason}
        for name in self._names():
            self._outcome.once += counts[name] == 1
            self._outcome.parked += counts[name] == 0
            if not counts[name] and not any(each.startswith(name.partition(":")[0]) for each in reasons):
                self._complain(f"{name} is not in the company file, and nothing says why.")
        self._outcome.digest = hashlib.sha256(repr((sorted(counts.items()), self._state())).encode()).hexdigest()[:16]

    def _complain(self, problem: str) -> None:
        if problem not in self._outcome.problems:
            self._outcome.problems.append(problem)

    # ---- what is there

    def _counts(self) -> Counter[str]:
        """How often each thing of ours is in the books: by its marker, whatever its revision, or typed in by hand."""
        found: Counter[str] = Counter()
        for kind in ("ReceivePayment", "Check"):
            for body in self._world.file.all(kind):
                marker = MARKER.search(body.get("Memo", ""))
                if marker is not None:
                    found[_name(marker[1])] += 1
                elif kind == "ReceivePayment":
                    found[self._charge_of(body)] += 1
        return found

    def _charge_of(self, payment: Body) -> str:
        """Whose money it is: nobody types in the same amount for anything else."""
        with self._world.environment.database.read() as conn:
            rows = conn.execute(select(outbox.c.marker, outbox.c.posting).where(outbox.c.kind == "payment"))
            amounts = {f"{row.posting['amount_minor'] / 100:.2f}": row.marker for row in rows}
        return _name(amounts[payment["TotalAmount"]])

    def _names(self) -> list[str]:
        with self._world.environment.database.read() as conn:
            return sorted({_name(marker) for marker in conn.execute(select(outbox.c.marker)).scalars()})

    def _gone(self) -> list[Finding]:
        with self._world.environment.database.write() as conn:
            findings.refresh(conn, 1, self._world.environment.clock.now())
            return [each for each in findings.standing(conn, 1) if each.code == "gone"]

    def _state(self) -> list[Any]:
        with self._world.environment.database.read() as conn:
            query = select(outbox.c.marker, outbox.c.state, outbox.c.attempt, outbox.c.document_id)
            return [tuple(row) for row in conn.execute(query.order_by(outbox.c.id))]

    def _left(self) -> bool:
        return any(state in ("planned", "sending", "doubtful") for _, state, *_ in self._state())


def _name(marker: str) -> str:
    """The movement and what is recorded of it: "txn_1:charge", whichever revision."""
    source, kind, _, _ = marker.rsplit(":", 3)
    return f"{source}:{kind}"


def as_json(outcome: Outcome) -> dict[str, Any]:
    return asdict(outcome)
