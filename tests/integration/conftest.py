"""A company on the stand-ins, connected to Tieout, without a browser."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from emulators.clock import Clock, Rng
from emulators.qbo.emulator import QboEmulator
from emulators.server import serve
from emulators.store import Store
from emulators.stripe.emulator import StripeEmulator
from storage import connections
from storage.engine import Database
from storage.vault import open_vault
from sync.clock import SystemClock, SystemRng
from sync.demo import connect_announced
from sync.environment import Environment
from sync.processes import make_worker
from sync.qbo.limits import OFF
from sync.worker import Worker

START = Clock().now().replace(hour=15, minute=0, second=0, microsecond=0) - timedelta(days=10)


class HurriedClock(SystemClock):
    """Real time that has gone by as soon as anybody waits for it."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self._ahead

    def sleep(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)


@dataclass
class Company:
    """Both stand-ins, held at one moment of `clock`, and Tieout connected to them."""

    clock: Clock
    stripe: StripeEmulator
    qbo: QboEmulator
    environment: Environment

    def sync(self) -> dict[str, int]:
        """One sync from start to end; what it counted. Fails if it failed."""
        worker = self.try_sync()
        assert worker.problem is None, worker.problem
        return worker.counts

    def worker(self) -> Worker:
        return make_worker(self.environment)

    def try_sync(self) -> Worker:
        worker = self.worker()
        worker.enqueue_now("test")
        while worker.work():
            pass
        return worker

    def pass_time(self, **step: float) -> None:
        """Lets time go by at the other companies, tick by tick."""
        end = self.clock.now() + timedelta(**step)
        while self.clock.now() < end:
            self.clock.set(min(end, self.clock.now() + timedelta(hours=6)))
            self.stripe.tick()
            self.qbo.tick()

    def customer(self, name: str = "Blue Foods", email: str = "ap@blue.example") -> tuple[str, str]:
        """The same customer at Stripe and in the books."""
        there = self.stripe.request("POST", "/v1/customers", {"name": name, "email": email})
        here = self.qbo.create("Customer", {"DisplayName": name, "PrimaryEmailAddr": {"Address": email}})
        return there["id"], here["Id"]

    def invoice(self, customer_id: str, amount: int, number: str) -> dict[str, Any]:
        line = {
            "Amount": amount / 100,
            "DetailType": "SalesItemLineDetail",
            "SalesItemLineDetail": {"ItemRef": {"value": "1"}},
        }
        body = {"CustomerRef": {"value": customer_id}, "DocNumber": number, "Line": [line]}
        return self.qbo.create("Invoice", body)

    def pay(self, stripe_customer: str, amount: int, description: str = "", **more: Any) -> dict[str, Any]:
        """A card payment that succeeds; its balance transaction arrives some seconds later."""
        params = {
            "amount": amount,
            "currency": "usd",
            "customer": stripe_customer,
            "payment_method": "pm_card_visa",
            "confirm": True,
            "description": description,
        }
        return self.stripe.request("POST", "/v1/payment_intents", params | more)

    def books(self, entity: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.qbo.query(f"SELECT * FROM {entity} MAXRESULTS 1000").get(entity, [])
        return found

    def ours(self, entity: str) -> list[dict[str, Any]]:
        """Documents that carry our marker."""
        return [body for body in self.books(entity) if "[tieout " in body.get("PrivateNote", "")]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What a company goes through runs on SQLite; a quarter of it on PostgreSQL too, always the same, the rest as soak.

    What the two do differently has tests of its own, which all run on both.
    """
    for item in items:
        is_company = "company" in getattr(item, "fixturenames", ()) and "postgres" in item.name
        if is_company and crc32(item.nodeid.encode()) % 4:
            item.add_marker(pytest.mark.soak)


@pytest.fixture
def company(database: Database, tmp_path: Path) -> Iterator[Company]:
    with founded(database, tmp_path) as made:
        yield made


@contextmanager
def founded(database: Database, data_dir: Path) -> Iterator[Company]:
    """A company with nothing in it yet, connected."""
    clock = Clock(START)
    stripe = StripeEmulator(Store(), clock, Rng(1))
    qbo = QboEmulator(Store(), clock, Rng(2))
    environment = Environment(
        data_dir=data_dir,
        demo=True,
        database=database,
        vault=open_vault(data_dir),
        clock=HurriedClock(),
        rng=SystemRng(),
    )
    with ExitStack() as stack:
        stripe_address, qbo_address = stack.enter_context(serve(stripe.app)), stack.enter_context(serve(qbo.app))
        announced = {
            "stripe": {"api": stripe_address, "key": stripe.key},
            "quickbooks": {
                "api": f"{qbo_address}/v3",
                "discovery": f"{qbo_address}/.well-known/openid_configuration",
                "realm_id": qbo.realm_id,
                "company_name": "Test company",
                "client_id": qbo.client_id,
                "client_secret": qbo.client_secret,
                "refresh_token": qbo.issue_tokens()["refresh_token"],
                "verifier_token": "verifier",
                "limits": OFF,  # a test that is about them switches them on
            },
            "cutover": date.isoformat(START.date() - timedelta(days=1)),
        }
        connect_announced(environment, announced, hooks_address=None)
        yield Company(clock, stripe, qbo, environment)


def link(company: Company) -> connections.Link:
    """The only link there is."""
    with company.environment.database.read() as conn:
        return connections.all_links(conn)[0]
