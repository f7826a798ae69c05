"""The world of a seed: both systems in memory, our database copied from a template, a clock that only we move.

The template is a company that was connected and synced once; a copy of it takes a millisecond.
"""

import copy
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import create_engine, event
from sqlalchemy.pool import StaticPool

from reconcile.postings import Mappings, Policies
from storage import connections, users
from storage.engine import FILE_NAME, open_database
from storage.migrate import migrate
from storage.users import User
from storage.vault import Vault
from sync import hooks
from sync.clock import SeededRng
from sync.errors import Forbidden, Rejected, SyncError, Transient, Unclassified
from sync.ports import Request, Response
from sync.qbo import limits, reading
from sync.qbo.adapter import QuickBooksOnline
from sync.qbo.client import Client
from sync.worker import Adapters, Worker
from tests.simulation.engine.books import Books
from tests.simulation.engine.stripe import Stripe
from tests.simulation.engine.trouble import Crash, Trouble, Watched

START = datetime(2026, 11, 9, 15, tzinfo=UTC)
ZONE = "America/New_York"
LEASE_S, CALL_S = 150.0, 0.25  # how long a worker holds what it took, and how long a call takes
CALLS_MAX = 500  # of a seed: many times what any takes
PAGE, SMALL_PAGE = 40, 8  # rows QuickBooks gives at once: few, so that there is more than one page
CLEARING, BANK, FEES, EQUITY, HELD, LOSSES, DISPUTE_FEES, OWED = "41", "35", "60", "39", "42", "61", "62", "43"
ACCOUNTS = (
    ("4", "Accounts Receivable (A/R)", "Accounts Receivable"), ("7", "Services", "Income"),
    (BANK, "Checking", "Bank"), (EQUITY, "Opening Balance Equity", "Equity"), (CLEARING, "Stripe clearing", "Bank"),
    (HELD, "Disputes receivable", "Other Current Asset"), (OWED, "Refunds owed", "Other Current Liability"),
    (FEES, "Stripe fees", "Expense"), (LOSSES, "Dispute losses", "Expense"), (DISPUTE_FEES, "Dispute fees", "Expense"),
)  # fmt: skip
CUSTOMERS = (("Northern Logistics", "ap@northern.example"), ("Blue Foods Ltd", "ap@blue.example"))
WEBHOOK_SECRET = "whsec_simulated"
VAULT = Vault(["cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4="])  # nobody else's
MAPPINGS = Mappings(
    clearing={"USD": CLEARING}, bank={"USD": BANK}, fees={"stripe_fee": FEES}, fee_vendor="9", sales_item="1",
    refund_item="1", opening_account=EQUITY,
    accounts={
        "disputes_receivable": HELD, "dispute_losses": LOSSES, "dispute_fees": DISPUTE_FEES, "refunds_owed": OWED,
    },
)  # fmt: skip


@dataclass
class Relief:
    """A worker is held up past its lease, and another takes over what it held; nobody takes over from that one."""

    _is_at_work: bool = False

    def step_in(self, clock: "Clock", make_worker: Callable[[], Worker]) -> None:
        if self._is_at_work:
            return
        self._is_at_work = True
        try:
            clock.advance(LEASE_S + 5)
            other = make_worker()
            while other.work():
                pass
        except Crash:
            pass
        finally:
            self._is_at_work = False


@dataclass
class Clock:
    """The other companies' time, and ours, which may be off by `skew_s`. Waiting moves both."""

    true: datetime = START
    skew_s: float = 0.0
    passed_s: float = 0.0
    ticks: list[Callable[[], None]] = field(default_factory=list)

    def now(self) -> datetime:
        return self.true + timedelta(seconds=self.skew_s)

    def monotonic(self) -> float:
        return self.passed_s

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self.true += timedelta(seconds=seconds)
        self.passed_s += seconds
        for tick in self.ticks:
            tick()

    def theirs(self) -> datetime:
        return self.true


class Tokens:
    """The access to QuickBooks: one that was replaced is refused."""

    def __init__(self) -> None:
        self.good = 1
        self._held = 1

    def access_token(self) -> str:
        return str(self._held)

    def refresh(self, refused: str) -> str:
        self._held = self.good
        return str(self._held)


@dataclass
class Answer:
    """As much of a `requests.Response` as is looked at."""

    status_code: int
    text: str
    headers: dict[str, str] = field(default_factory=dict)


class Carrier(Client):
    """The real client of QuickBooks Online down to its seam for transports; from there on, memory."""

    def __init__(self, *, world: "World") -> None:
        self.company_id = "9341453000"
        self.tokens, self.clock = world.tokens, world.clock
        self._world, self._purpose, self._what = world, "", ""

    def send(self, request: Request) -> Response:
        self._purpose = "read" if request.purpose == "rate" else request.purpose
        self._what = self._world.reach(self._purpose)
        return super().send(request)

    def process_request(  # type: ignore[override]
        self, request_type: str, url: str, headers: Any, params: dict[str, str], data: bytes
    ) -> Answer:
        what, self._what = self._what, ""  # one that goes again, with a newer token, goes well
        return self._world.carry(self._purpose, what, self._token, url.rpartition("/")[2], params, data.decode())


class Unlimited(limits.Limits):
    """QuickBooks' limits, but that reads are not counted: it would take a transaction each."""

    def note(self, request: Request, response: Response, error: SyncError | None) -> None:
        if error is not None and error.retry_after_s is not None:
            super().note(request, response, error)


class Processor:
    """The processor port on Stripe in memory, with trouble at every call."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def __getattr__(self, name: str) -> Any:
        action = getattr(self._world.stripe, name)
        if name in ("streams", "start_of"):
            return action
        return lambda *given: self._world.fetch(lambda: action(*given))


@dataclass
class World:
    """One seed's own. `meanwhile` is what happens while a call is under way."""

    database: Watched
    clock: Clock
    stripe: Stripe
    books: Books
    trouble: Trouble
    seed: int
    tokens: Tokens = field(default_factory=Tokens)
    meanwhile: Callable[[], None] = lambda: None
    jump_s: float = 0.0
    wrong: list[str] = field(default_factory=list)
    workers: int = 0
    calls: int = 0
    _relief: Relief = field(default_factory=Relief)

    def __post_init__(self) -> None:
        self.clock.ticks += [self.stripe.tick, self.books.tick]

    # ---- our side

    def worker(self) -> Worker:
        """A new process."""
        self.workers += 1
        rng = SeededRng(self.seed * 1_000 + self.workers)

        def connect(link: connections.Link) -> Adapters:
            with self.database.read() as conn:
                books = connections.connection(conn, link.ledger_id)
            ours = Unlimited(self.database, self.clock, books.id, books.settings)
            ledger = QuickBooksOnline(self.database, self.clock, rng, ours, lease_s=LEASE_S)
            carrier = Carrier(world=self)
            return Adapters(processor=Processor(self), ledger=ledger, carry=carrier.send, people=None)  # type: ignore[arg-type]

        return Worker(self.database, self.clock, rng, connect, lease_s=LEASE_S)

    def person(self) -> User:
        return User(id=1, email="accountant@example.com", name="Accountant", role="accountant")

    def step_in(self) -> None:
        self._relief.step_in(self.clock, self.worker)

    # ---- the way to the others

    def reach(self, place: str) -> str:
        """On the way to a call; gives what strikes it."""
        if self.database.is_busy:
            self.wrong.append(f"A {place} went out inside a transaction.")
        self.calls += 1
        assert self.calls <= CALLS_MAX, "It calls and calls, and comes to no end."
        self.clock.advance(CALL_S)
        what = self.trouble.at(place)
        self.trouble.point(place, "before", what)
        match what:
            case "slow":
                self.clock.advance(70)
            case "meanwhile":
                self.meanwhile()
            case "jump":
                self.clock.skew_s += self.jump_s
            case "pause":
                self.step_in()
        return what

    def fetch(self, action: Callable[[], Any]) -> Any:
        """A call of Stripe's client, which gives its answer as `sync.errors` or a value."""
        what = self.reach("fetch")
        match what:
            case "429" | "500" | "reset":
                raise Transient(f"Stripe: {what}")
            case "truncated":
                raise Unclassified("Stripe gave half an answer.")
            case "refused":
                raise Rejected("Stripe refused a request.")
            case "forbidden":
                raise Forbidden("The key may not read this.", code="rak_simulated_read")
        answer = action()
        self.trouble.point("fetch", "after", what)
        if what in ("slow", "meanwhile", "pause after"):  # what came meanwhile is not in it
            self.meanwhile()
        if what == "pause after":
            self.step_in()
        return answer

    def carry(self, place: str, what: str, token: str, path: str, params: dict[str, str], text: str) -> Answer:
        if what == "stall":
            self.step_in()
        early = self._before(what, place, path, params, text)
        if early is not None:
            return early
        if token != str(self.tokens.good):
            return Answer(401, "{}")
        status, body = self.books.answer(path, params, text)
        self.trouble.point(place, "after", what)
        match what:
            case "pause after":
                self.step_in()
            case "lost" | "slow" if place == "post":
                raise requests.exceptions.ReadTimeout("no answer")
            case "500 after":
                return Answer(500, "oops")
            case "truncated":
                return Answer(200, body[: len(body) // 2])
            case "garbage":
                return Answer(200, "<html>Be right back</html>")
        return Answer(status, body)

    def _before(self, what: str, place: str, path: str, params: dict[str, str], text: str) -> Answer | None:
        """What keeps a request from being worked on now."""
        match what:
            case "429":
                return Answer(429, "{}", {"retry-after": "60"})
            case "500":
                return Answer(503, "oops")
            case "reset":
                raise requests.exceptions.ConnectionError("reset")
            case "unsent":
                raise requests.exceptions.ConnectTimeout("unsent")
            case "late":
                self.books.apply_later(30 + self.jump_s % 80, path, params, text)
                raise requests.exceptions.ReadTimeout("no answer")
            case "expired":
                self.tokens.good += 1
        return None


# ---- the template


@dataclass(frozen=True)
class Template:
    """What every seed begins with."""

    image: bytes
    stripe: Stripe
    books: Books
    at: datetime


def open_memory(trouble: Trouble | None = None) -> Watched:
    """A database of one connection, in memory, with the product's own units of work."""
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"isolation_level": None, "check_same_thread": False}
    )
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys=ON"))
    event.listen(engine, "begin", lambda conn: conn.connection.driver_connection.execute("BEGIN"))
    return Watched(engine, "sqlite://", trouble=trouble or Trouble())


def make_template() -> Template:
    """A company with accounts, customers and a link that posts; nothing has been sold yet."""
    database, clock = open_memory(), Clock()
    database.driver.deserialize(migrated())
    stripe, books = Stripe(clock.theirs), Books(clock.theirs, PAGE)
    found(books)
    for name, email in CUSTOMERS:
        stripe.add_customer(name, email)
    with database.write() as conn:
        users.ensure_user(conn, email="accountant@example.com", name="Accountant", role="accountant")
        ids = [
            connections.add_connection(
                conn, system=system, external_id=name, name=name, mode="emulated", settings={"limits": limits.OFF},
                at=clock.now(),
            )
            for system, name in (("stripe", "acct_1Sim"), ("qbo", "9341453000"))
        ]  # fmt: skip
        connections.store_secret(conn, VAULT, ids[0], hooks.CURRENT, WEBHOOK_SECRET, clock.now())
        connections.add_link(
            conn, processor_id=ids[0], ledger_id=ids[1], name="Simulated", cutover=(START - timedelta(days=1)).date(),
            time_zone=ZONE, mappings=MAPPINGS, policies=Policies(), posting_on=True,
        )  # fmt: skip
    world = World(database, clock, stripe, books, Trouble(), 0)
    reading.PAGE = books.page
    worker = world.worker()
    worker.enqueue_now("first")
    while worker.work():
        assert worker.problem is None, worker.problem
    clock.advance(900)
    clock.ticks.clear()
    return Template(database.driver.serialize(), stripe, books, clock.true)


def migrated() -> bytes:
    """An empty database of the newest schema. A migration wants a connection of its own, so it is made in a file."""
    with tempfile.TemporaryDirectory() as directory:
        on_disk = open_database(None, data_dir=Path(directory))
        migrate(on_disk)
        on_disk.close()
        with closing(sqlite3.connect(Path(directory) / FILE_NAME)) as connection:
            return connection.serialize()


def found(books: Books) -> None:
    books.add("Preferences", CurrencyPrefs={"HomeCurrency": {"value": "USD"}}, AccountingInfoPrefs={})
    for number, name, kind in ACCOUNTS:
        body = {"Id": number, "Name": name, "AccountType": kind, "Active": True}
        books.objects["Account"][number] = body | {"SyncToken": "0", "MetaData": {"LastUpdatedTime": START.isoformat()}}
    for entity, number, name in (("Vendor", "9", "Stripe"), ("Item", "1", "Services")):
        body = {"Id": number, "Name": name, "DisplayName": name, "Active": True, "SyncToken": "0"}
        books.objects[entity][number] = body | {"MetaData": {"LastUpdatedTime": START.isoformat()}}
    for name, email in CUSTOMERS:
        books.add("Customer", DisplayName=name, PrimaryEmailAddr={"Address": email}, Active=True)


class Copies:
    """Worlds, one after the other, in one database whose statements are compiled once."""

    def __init__(self) -> None:
        self.template = make_template()
        self._database = open_memory()

    def fresh(self, seed: int) -> World:
        trouble = self._database.trouble
        self._database.driver.deserialize(self.template.image)
        clock = Clock(self.template.at)
        stripe, books = copy.deepcopy((self.template.stripe, self.template.books))
        stripe._now = books._now = clock.theirs
        reading.PAGE = books.page
        return World(self._database, clock, stripe, books, trouble, seed)

    def close(self) -> None:
        self._database.close()
