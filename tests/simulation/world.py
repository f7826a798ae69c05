"""The world a schedule of faults runs in: a Desktop company with charges that are decided, but not yet in the books.

It is made once, the whole way (Stripe, our service, the Web Connector), and copied for each seed. From then on
everything happens in one process and thread, at a clock and with chances of its own, so that a seed is a whole run.
"""

import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from emulators.clock import Clock
from emulators.clock import Rng as Chance
from emulators.qbd import CompanyFile, Faults, WebConnector
from emulators.qbd.company import Switches
from emulators.qbd.soap import Line, Reply
from emulators.server import serve
from emulators.store import Store
from emulators.stripe.emulator import StripeEmulator
from storage.engine import FILE_NAME, open_database
from storage.migrate import migrate
from storage.vault import open_vault
from sync import desktop, passwords
from sync.clock import FixedClock, SeededRng
from sync.environment import Environment
from sync.qbd import web
from sync.qbd.visits import Visits
from sync.worker import Worker
from tests.contract.qbd_file import new_file
from tests.integration.desktop import Desktop, join

START = datetime(2026, 11, 9, 15, tzinfo=UTC)
ADDRESS = "http://localhost/qbwc"
CHARGES = 2
PASSWORD_COST = {"n": 2, "r": 1, "p": 1}  # a hash as strong as a real one would take as long as all the rest


@dataclass
class InProcess(Line):
    """Calls the web service without a network. It has no support page: the application is there already."""

    visits: Visits

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        answer = web.answer(self.visits, body)
        named = {name.lower(): value for name, value in answer.headers.items()}
        return Reply(answer.status_code, named, bytes(answer.body))


@dataclass(frozen=True)
class Template:
    """What every run begins with."""

    database: Path
    books: Store
    other_books: Store
    qwc: str
    password: str
    at: datetime


@dataclass
class World:
    """One run's own copy. `ours` and `pc` show the same time."""

    environment: Environment
    ours: FixedClock
    pc: Clock
    file: CompanyFile
    connector: WebConnector

    def advance(self, seconds: float) -> None:
        self.ours.advance(seconds)
        self.pc.set(self.ours.now())

    def work(self) -> None:
        """What Stripe says is known; there is only to decide."""
        environment = self.environment
        worker = Worker(environment.database, environment.clock, environment.rng, connect=lambda _: None)
        while worker.work():
            assert worker.problem is None, worker.problem

    def wait(self, seconds: float) -> None:
        """The Web Connector waits, and our worker works."""
        self.advance(seconds)
        self.work()


def make_template(directory: Path) -> Template:
    """Two charges for two of three invoices, planned; nothing is posted yet."""
    passwords.COST = PASSWORD_COST
    pc, ours = Clock(START), FixedClock(START)
    stripe, file = StripeEmulator(Store(), pc, Chance(1)), new_file(pc)
    file.inspect = None
    file.add("Vendor", {"Name": "Stripe"})
    for name, kind in (("Disputes receivable", "OtherCurrentAsset"), ("Dispute losses", "Expense")):
        file.add("Account", {"Name": name, "AccountType": kind})
    file.add("Account", {"Name": "Dispute fees", "AccountType": "Expense"})
    database = open_database(None, data_dir=directory)
    migrate(database)
    environment = Environment(
        data_dir=directory, demo=True, database=database, vault=open_vault(directory), clock=ours, rng=SeededRng(1)
    )
    with serve(stripe.app) as stripe_address:
        company = _connect(environment, stripe, file, pc, stripe_address)
        _trade(company, ours)
        company.visit()
        company.work()
        company.switch_posting(True)
    database.close()
    return Template(
        database=directory / FILE_NAME,
        books=file.backup(),
        other_books=new_file(pc, name="Another company").backup(),
        qwc=desktop.qwc_file(environment, company.sign_in.connection_id, "http://localhost:8000").decode(),
        password=company.sign_in.password,
        at=ours.now(),
    )


def _connect(environment: Environment, stripe: StripeEmulator, file: CompanyFile, pc: Clock, address: str) -> Desktop:
    sign_in = join(environment, stripe, address, START, posting_on=False)
    company = Desktop(pc, stripe, file, environment, sign_in, address, None)  # type: ignore[arg-type]
    qwc = desktop.qwc_file(environment, sign_in.connection_id, "http://localhost:8000").decode()

    def sleep(seconds: float) -> None:
        environment.clock.sleep(seconds)
        company.work()

    line = InProcess(Visits(environment))
    company.connector = WebConnector(qwc, file, password=sign_in.password, line=line, sleep=sleep)
    company.connector._mark_file(file)
    company.connector.is_added = True
    company.map_accounts()
    return company


def _trade(company: Desktop, ours: FixedClock) -> None:
    payer, customer = company.customer()
    for number in range(1, CHARGES + 2):
        company.invoice(customer, 1_000 * number, f"INV-{number}")
        company.pass_time(hours=2)
    for number in range(1, CHARGES + 1):
        company.pay(payer, 1_000 * number, f"Invoice INV-{number}")
    company.pass_time(minutes=30)
    ours.advance((company.clock.now() - ours.now()).total_seconds())


class Copies:
    """Runs, one after the other: each begins with the template's database and books."""

    def __init__(self, template: Template, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        self._template, self._directory = template, directory
        shutil.copyfile(template.database, directory / FILE_NAME)
        self._database = open_database(None, data_dir=directory)

    def close(self) -> None:
        self._database.close()

    def fresh(self, faults: Faults, switches: Switches) -> World:
        """The one before is over: they share a database, whose statements are compiled once."""
        template, file_name = self._template, self._directory / FILE_NAME
        with closing(sqlite3.connect(template.database)) as source, closing(sqlite3.connect(file_name)) as target:
            source.backup(target)
        pc, ours = Clock(template.at), FixedClock(template.at)
        file = CompanyFile(pc, store=_copy(template.books), switches=switches)
        other = CompanyFile(pc, name="Another company", store=_copy(template.other_books))
        environment = Environment(
            data_dir=self._directory,
            demo=True,
            database=self._database,
            vault=None,  # type: ignore[arg-type]  # nobody signs in at Stripe
            clock=ours,
            rng=SeededRng(2),
        )
        line = InProcess(visits=Visits(environment))
        connector = WebConnector(template.qwc, file, password=template.password, faults=faults, line=line)
        connector.is_added, connector.other_file = True, other
        world = World(environment, ours, pc, file, connector)
        connector.sleep = world.wait
        return world


def _copy(store: Store) -> Store:
    copy = Store()
    store.copy_to(copy)
    return copy
