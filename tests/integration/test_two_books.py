"""One company with its books Online and in Desktop: tied out, both say the same, in other kinds of documents only where
the accounting table has two columns.
"""

import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from emulators.desktop import open_desktop_world
from emulators.qbd.desk import Desk
from emulators.qbo.money import WHOLE
from emulators.server import serve
from emulators.store import Store
from emulators.world import open_world
from reconcile.days import book_day
from reconcile.records import Document
from storage import audit, connections, fold, mirror, outbox, queries
from storage.engine import Database
from storage.models import legs
from storage.models import outbox as postings
from storage.proof import load as sides
from storage.proof import tie_out
from storage.records import DOCUMENT_KINDS
from storage.vault import open_vault
from sync import demo, desktop_demo
from sync.clock import SystemRng
from sync.environment import Environment
from sync.processes import make_worker
from sync.web import hooks_app
from tests import laws
from tests.conftest import opened
from tests.integration.conftest import HurriedClock

UNTIL = datetime(2026, 11, 20, 17, tzinfo=UTC)  # so that a seed is the same world on every day
SAMPLE = (1, 1, 28)
SEEDS = [SAMPLE, *(pytest.param((seed, 1, 60), marks=pytest.mark.soak) for seed in range(2, 8))]
ROUNDS = 2
IN_BOOKS = ("posted", "verified")
RECEIVABLE = "Accounts Receivable"
# What is another document in Desktop; of a refund receipt also the credit memo that the refund pays out.
KINDS = {"refund_receipt": "ar_refund"}
BESIDE = {"refund_receipt": ("credit_memo", ":refund:", ":refund-credit:")}

Story = dict[str, Any]


@dataclass
class Told:
    """What one of the two books says, in words that both know: names and numbers, never ids of either QuickBooks."""

    legs: Story
    kinds: dict[str, str]
    postings: Story
    days: list[Any]
    items: Counter[Any]
    balances: dict[Any, tuple[int, int]]
    findings: Counter[tuple[str, int]]


@pytest.fixture
def new_databases(tmp_path: Path, _sqlite_template: Path) -> Iterator[list[Database]]:
    """One for each; one kind is enough, nothing here is about SQL."""
    with ExitStack() as stack:
        paths = [shutil.copy(_sqlite_template, tmp_path / f"{name}.db") for name in ("online", "desktop")]
        yield [stack.enter_context(opened(f"sqlite:///{path}")) for path in paths]


@pytest.mark.parametrize("world", SEEDS, ids=lambda world: f"seed {world[0]}")
def test_both_books_tell_the_same(
    new_databases: Sequence[Database], tmp_path: Path, world: tuple[int, int, int]
) -> None:
    with online(new_databases[0], tmp_path / "online", world) as environment_and_store:
        there = tell(*environment_and_store)
    with on_desktop(new_databases[1], tmp_path / "desktop", world) as environment_and_store:
        here = tell(*environment_and_store)

    assert here.legs == there.legs
    beside = {
        marker.replace(*BESIDE[kind][1:]): BESIDE[kind][0] for marker, kind in there.kinds.items() if kind in BESIDE
    }
    assert here.kinds == {marker: KINDS.get(kind, kind) for marker, kind in there.kinds.items()} | beside
    assert {marker: here.postings[marker] for marker in there.postings} == there.postings
    assert here.days == there.days
    assert here.items == there.items
    assert here.balances == there.balances
    assert here.findings == there.findings
    if world == SAMPLE:
        accounts = {account for account, _, _ in here.balances}
        assert accounts >= {RECEIVABLE, f"{RECEIVABLE} - EUR", "Exchange Gain or Loss"}
        assert set(there.kinds.values()) >= {"payment", "purchase", "refund_receipt", "transfer", "journal_entry"}
        assert {row[0] for row in here.days} == {"JPY", "USD"}


# ---- the two


@contextmanager
def online(database: Database, folder: Path, world: tuple[int, int, int]) -> Iterator[tuple[Environment, Store]]:
    environment = make_environment(database, folder)
    with open_world(*world, until=UNTIL) as company:
        demo.connect_announced(environment, company.announcement, hooks_address=None)
        for _ in range(ROUNDS):
            make_worker(environment).enqueue_now("test")
            work(environment)
        yield environment, company.qbo.store


@contextmanager
def on_desktop(database: Database, folder: Path, world: tuple[int, int, int]) -> Iterator[tuple[Environment, Store]]:
    """Nothing is written while nobody visits; while somebody does, our worker works."""
    environment = make_environment(database, folder)

    def sleep(seconds: float) -> None:
        environment.clock.sleep(seconds)
        with database.read() as conn:
            assert all(sides(conn, link).is_moving for link in connections.all_links(conn))
        work(environment)

    with open_desktop_world(*world, until=UNTIL) as company, ExitStack() as stack:
        desk = Desk(company.file, sleep=sleep)
        company.announcement["desktop"] = {"desk": stack.enter_context(serve(desk.app))}
        ours = stack.enter_context(serve(hooks_app(environment)))
        desktop_demo.connect_announced(environment, company.announcement, ours)
        for _ in range(ROUNDS):
            environment.clock.sleep(900)
            make_worker(environment).enqueue_now("test")
            work(environment)
            (run,) = desk.update(all_now=True)
            assert run.outcome == "done", run.why
        yield environment, company.file.store


def make_environment(database: Database, folder: Path) -> Environment:
    folder.mkdir()
    vault, rng, clock = open_vault(folder), SystemRng(), HurriedClock()
    clock.sleep((UNTIL - clock.now()).total_seconds())
    return Environment(data_dir=folder, demo=True, database=database, vault=vault, clock=clock, rng=rng)


def work(environment: Environment) -> None:
    worker = make_worker(environment)
    while worker.work():
        assert worker.problem is None, worker.problem


# ---- what they say


def tell(environment: Environment, store: Store) -> Told:
    with environment.database.read() as conn:
        (link,) = connections.all_links(conn)
        documents = {each.id: each for each in mirror.load_all(conn, link.ledger_id, DOCUMENT_KINDS)}
        rows = conn.execute(select(postings.c.marker).where(postings.c.link_id == link.id)).scalars().all()
        posted = outbox.by_marker(conn, link.ledger_id, rows)
        assert sides(conn, link).violations() == ()
        proof = tie_out(conn, link, book_day(environment.clock.now(), link.time_zone))
        stands = conn.execute(select(legs).where(legs.c.link_id == link.id)).all()
        assert audit.verify(conn) == []
        assert fold.verify(conn) == []
    assert not [item for item in posted.values() if item.state not in (*IN_BOOKS, "withdrawn")]
    laws.check_legs(environment, link)
    posted = {marker: item for marker, item in posted.items() if item.state in IN_BOOKS}
    sums: Counter[Any] = Counter()
    for row in proof.items.iter_rows(named=True):
        sums[row["currency"], row["from_day"], row["until_day"], row["reason"]] += row["amount_minor"]
    return Told(
        legs={
            row.id: (
                row.state,
                row.reason,
                sorted(_shown(documents[each]) for each in row.document_ids if row.state == "matched"),
            )
            for row in stands
        },
        kinds={marker: item.posting.kind for marker, item in posted.items()},
        postings={
            marker: (
                item.posting.dated,
                item.posting.currency,
                item.posting.amount_minor,
                sorted(
                    (documents[part.id].doc_number, part.amount_minor)
                    for part in item.posting.applied
                    if part.id.startswith("invoice:")
                ),
            )
            for marker, item in posted.items()
        },
        days=sorted(
            proof.days.select("currency", "day", "stripe_minor", "clearing_minor", "unexplained_minor", "status").rows()
        ),
        items=Counter({key: amount for key, amount in sums.items() if amount}),
        balances=balances(store),
        findings=Counter((each.code, each.amount_minor) for each in queries.odd(environment.database, link.id)),
    )


def _shown(document: Document) -> tuple[str, int, str, str]:
    return document.kind, document.amount_minor, document.currency, document.dated.isoformat()


def balances(store: Store) -> dict[Any, tuple[int, int]]:
    """What every day did to each account, on receivables for each customer: hundredths of its currency, and of home."""
    accounts = {each.get("ListID") or each["Id"]: each for each in store.find("Account")}
    customers = {each.get("ListID") or each["Id"]: each for each in store.find("Customer")}
    moved: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
    for entry in store.find("legs"):
        for account_id, party, own, home in entry["rows"]:
            account = accounts[account_id]
            name = str(account["Name"]).replace(" (A/R)", "")
            name = "Income" if account["AccountType"] == "Income" else name  # each has items, and accounts, of its own
            is_whole = account["CurrencyRef"].get("value") in WHOLE
            owes = customers.get(party.rpartition(":")[2]) if name.startswith(RECEIVABLE) else None
            who = str(owes.get("DisplayName") or owes["Name"]) if owes else ""
            sums = moved[name, who, entry["day"]]
            sums[0] += own * 100 if is_whole else own
            sums[1] += home
    return {key: (own, home) for key, (own, home) in moved.items() if own or home}
