"""Several workers share one PostgreSQL: each company's runs are one worker's at a time, and nothing is posted twice."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from emulators.clock import Clock, Rng
from emulators.qbo.emulator import QboEmulator
from emulators.server import serve
from emulators.store import Store
from emulators.stripe.emulator import StripeEmulator
from emulators.stripe.settings import Account
from reconcile.postings import Policies
from storage import audit, connections
from storage.engine import Database
from storage.models import outbox, runs
from storage.vault import open_vault
from sync.clock import SystemClock, SystemRng
from sync.connecting import QuickBooksAccess, connect_quickbooks, connect_stripe, make_link
from sync.environment import Environment
from sync.qbo.limits import OFF
from tests import laws
from tests.integration.conftest import START, Company

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.parametrize("database", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)


@contextmanager
def companies(environment: Environment, number: int) -> Iterator[list[Company]]:
    """So many companies with a few payments each, connected and never synced."""
    clock, made = Clock(START), []
    for place in range(number):
        account = Account(id=f"acct_1Fleet{place:04}", name=f"Company {place}")
        stripe = StripeEmulator(Store(), clock, Rng(f"{place} stripe"), account=account)
        qbo = QboEmulator(Store(), clock, Rng(f"{place} qbo"), realm_id=f"93414600000{place:05}")
        made.append(Company(clock, stripe, qbo, environment))
    with ExitStack() as stack:
        for place, each in enumerate(made):
            _fill(each, charges=2 + place % 3)
        clock.set(clock.now() + timedelta(days=3))
        for each in made:
            each.stripe.tick()
            each.qbo.tick()
            # Connected only now: of a process killed while Intuit replaces a refresh token, a day old, the new one is
            # lost, and a person has to connect again (docs/RELIABILITY.md).
            addresses = [stack.enter_context(serve(app)) for app in (each.stripe.app, each.qbo.app)]
            _connect(environment, each, *addresses)
        yield made


def _connect(environment: Environment, company: Company, stripe: str, books: str) -> None:
    access = QuickBooksAccess(
        realm_id=company.qbo.realm_id,
        client_id=company.qbo.client_id,
        client_secret=company.qbo.client_secret,
        refresh_token=company.qbo.issue_tokens()["refresh_token"],
        webhook_secret="verifier",
        settings={"api": f"{books}/v3", "discovery": f"{books}/.well-known/openid_configuration", "limits": OFF},
    )
    ledger_id = connect_quickbooks(environment, access, "emulated")
    processor_id, _ = connect_stripe(environment, company.stripe.key, "emulated", {"api": stripe})
    make_link(
        environment,
        processor_id=processor_id,
        ledger_id=ledger_id,
        cutover=START.date() - timedelta(days=1),
        time_zone="America/New_York",
        policies=Policies(),
        posting_on=True,
        actor="test",
    )


def _fill(company: Company, charges: int) -> None:
    stripe_customer, customer = company.customer()
    for number in range(charges):
        company.invoice(customer, 1_000 * (number + 1), f"INV-{number}")
        company.pay(stripe_customer, 1_000 * (number + 1), f"Invoice INV-{number}")


@pytest.mark.parametrize(
    ("number", "workers", "kills"),
    [(6, 3, 4), pytest.param(100, 4, 60, marks=pytest.mark.soak)],
)
def test_workers_that_are_killed_share_the_companies(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, workers: int, kills: int
) -> None:
    environment = Environment(
        data_dir=tmp_path,
        demo=False,
        database=database,
        vault=open_vault(tmp_path),
        clock=SystemClock(),
        rng=SystemRng(),
    )
    monkeypatch.setenv("TIEOUT_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", database.url)
    monkeypatch.setenv("TIEOUT_STRIPE_API", "http://127.0.0.1:9")  # each connection has its own address
    monkeypatch.setenv("TIEOUT_INTUIT", "http://127.0.0.1:9")
    with companies(environment, number) as made:
        command = [sys.executable, "-m", "tests.fleet", *map(str, (workers, kills, 7, 1_500))]
        done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) == kills
        with database.read() as conn:
            links = connections.all_links(conn)
            asked = Counter(conn.execute(select(runs.c.link_id).where(runs.c.cause == "schedule")).scalars())
            states = Counter(conn.execute(select(outbox.c.state)).scalars())
            assert audit.verify(conn) == []
        assert asked == Counter({link.id: 1 for link in links})
        assert set(states) == {"verified"}
        by_realm = {each.qbo.realm_id: each for each in made}
        for link in links:
            with database.read() as conn:
                company = by_realm[connections.connection(conn, link.ledger_id).external_id]
            laws.check_balances(environment, link, company.stripe, partial(laws.book_balance, company.qbo))
            laws.check_legs(environment, link)
            laws.check_markers(company.qbo)
