"""Writes go out in batches within Intuit's limits, and a batch whose answer is unclear doubles nothing."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from emulators.qbo import QboFault
from storage import budgets, connections
from storage.budgets import Limit
from storage.connections import Link
from storage.engine import Database
from storage.models import outbox
from sync.errors import Ambiguous, Rejected
from sync.qbo import faults
from tests import laws
from tests.integration.conftest import Company, link
from tests.integration.test_storage import link as stored_link

bare_link = stored_link  # a link without any company behind it
NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)


def payments(company: Company, number: int) -> list[str]:
    """Customers, each with a charge that pays an invoice: two postings each. Gives their ids in the books."""
    ids = []
    for n in range(1, number + 1):
        stripe_customer, customer = company.customer(f"Customer {n}", f"{n}@foods.example")
        company.invoice(customer, 1_000 * n, f"INV-{n}")
        company.pay(stripe_customer, 1_000 * n, f"Invoice INV-{n}")
        ids.append(customer)
    company.pass_time(minutes=1)
    return ids


def watch(company: Company, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts the writes that reach the books, by the request they come in."""
    seen: Counter[str] = Counter()

    def watched(name: str) -> Callable[..., Any]:
        real = getattr(company.qbo.api, name)

        def call(*args: Any) -> Any:
            seen[name] += 1
            return real(*args)

        return call

    for name in ("write", "batch"):
        monkeypatch.setattr(company.qbo.api, name, watched(name))
    return seen


def states(company: Company) -> Counter[str]:
    with company.environment.database.read() as conn:
        return Counter(conn.execute(select(outbox.c.state)).scalars())


def test_a_refused_document_leaves_its_neighbours_alone(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    customers = payments(company, 20)
    seen = watch(company, monkeypatch)
    body = company.qbo.read("Customer", customers[7])
    company.qbo.update(
        "Customer", {"Id": customers[7], "SyncToken": body["SyncToken"], "sparse": True, "Active": False}
    )
    seen.clear()
    company.sync()
    assert seen == {"batch": 2}
    assert states(company) == {"verified": 39, "waiting": 1}
    assert len(company.ours("Payment")) == 19
    laws.check(company.environment, company.stripe, company.qbo)


@pytest.mark.parametrize("fault", ["error_after", "truncate"])
def test_an_unclear_batch_is_looked_for_and_only_what_is_missing_goes_again(
    company: Company, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """Even of a QuickBooks that forgets which requests it has seen, and that did one half of the batch."""
    customers = payments(company, 5)
    company.qbo.switch(forget_request_ids=True)
    seen, real = watch(company, monkeypatch), company.qbo.api.batch

    def half_done(params: Any, body: Any) -> Any:
        company.qbo.faults.set({fault: 0.0})
        return real(params, {"BatchItemRequest": body["BatchItemRequest"][:4]})

    def fail_next_batch(*_: Any) -> None:
        company.qbo.faults.set({fault: 1.0})

    monkeypatch.setattr(company.qbo.api, "batch", half_done)
    monkeypatch.setattr("sync.qbo.writing._batch_id", lambda items: fail_next_batch() or f"b{items[0].id}")
    before = company.environment.clock.now()
    company.sync()
    assert company.environment.clock.now() - before > timedelta(seconds=120)  # until the batch had certainly ended
    assert seen == {"batch": 1, "write": 6}
    assert states(company) == {"verified": 10}
    assert len(customers) == len(company.ours("Payment")) == len(company.ours("Purchase"))
    laws.check(company.environment, company.stripe, company.qbo)


@pytest.mark.parametrize("fault", ["error_after", "lost_answer"])
def test_faults_double_nothing_even_if_request_ids_are_forgotten(company: Company, fault: str) -> None:
    payments(company, 12)
    company.qbo.switch(forget_request_ids=True)
    company.qbo.faults.set({fault: 0.3})
    for _ in range(4):
        company.try_sync()
    company.qbo.faults.set({fault: 0.0})
    company.sync()
    company.sync()
    assert states(company) == {"verified": 24}
    laws.check(company.environment, company.stripe, company.qbo)


def test_payments_of_one_invoice_do_not_go_together(company: Company) -> None:
    stripe_customer, customer = company.customer()
    company.invoice(customer, 10_000, "INV-1")
    for _ in range(2):
        company.pay(stripe_customer, 5_000, "Invoice INV-1")
    company.pass_time(minutes=1)
    company.sync()
    with company.environment.database.read() as conn:
        rows = conn.execute(select(outbox.c.kind, outbox.c.batch_id)).all()
    batches = [row.batch_id for row in rows if row.kind == "payment"]
    assert len(batches) == len(set(batches))


def test_asked_to_slow_down_everybody_waits_a_minute(company: Company) -> None:
    payments(company, 2)
    limit(company)
    company.qbo.faults.set({"throttle": 1.0})
    clock, real = company.environment.clock, company.environment.clock.sleep

    def sleep(seconds: float) -> None:
        company.qbo.faults.set({"throttle": 0.0})
        real(seconds)

    clock.sleep = sleep  # type: ignore[method-assign]
    before = clock.now()
    company.sync()
    assert timedelta(seconds=60) <= clock.now() - before < timedelta(seconds=80)
    assert states(company) == {"verified": 4}


def limit(company: Company, **numbers: int) -> None:
    with company.environment.database.write() as conn:
        settings = connections.connection(conn, link(company).ledger_id).settings
        connections.change_settings(conn, link(company).ledger_id, settings | {"limits": numbers})


def test_within_the_limits_nobody_is_asked_to_slow_down(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in throttles by a clock that goes by with ours."""
    payments(company, 8)
    limit(company)
    company.qbo.switch(throttle=True)
    held, real_throttle, clock = [], company.qbo.api.throttle, company.environment.clock
    behind = clock.now() - company.clock.now()

    def throttle(*, batch: bool) -> None:
        company.clock.set(clock.now() - behind)
        try:
            real_throttle(batch=batch)
        except QboFault as fault:
            held.append(fault)
            raise

    monkeypatch.setattr(company.qbo.api, "throttle", throttle)
    company.sync()
    company.sync()
    assert states(company) == {"verified": 16}
    assert held == []
    with company.environment.database.read() as conn:
        reads = budgets.reads_in_month(conn, link(company).ledger_id, company.environment.clock.now())
    assert reads > 20


@pytest.mark.parametrize(("number", "window_s"), [(500, 60), (10, 1), (40, 60)])
def test_no_window_holds_more_than_the_limit(database: Database, bare_link: Link, number: int, window_s: float) -> None:
    taken: list[float] = []
    at, limits = NOW, [Limit("x", number, window_s)]
    with database.write() as conn:
        while len(taken) < 2 * number + 20:
            pause = budgets.take(conn, bare_link.ledger_id, limits, at)
            if not pause:
                taken.append((at - NOW).total_seconds())
            at += timedelta(seconds=pause + 1e-6)
    assert all(later - first > window_s for first, later in zip(taken, taken[number:], strict=False))
    assert len(taken) / taken[-1] * window_s >= 0.9 * number


def test_a_hold_stops_everybody(database: Database, bare_link: Link) -> None:
    limits = [Limit("x", 500, 60), Limit("y", 10, 1)]
    with database.write() as conn:
        assert budgets.take(conn, bare_link.ledger_id, limits, NOW) == 0
        budgets.hold(conn, bare_link.ledger_id, limits, NOW + timedelta(seconds=60))
        assert budgets.take(conn, bare_link.ledger_id, limits, NOW) == pytest.approx(60)
        assert budgets.take(conn, bare_link.ledger_id, limits, NOW + timedelta(seconds=60)) == 0
        assert budgets.take(conn, bare_link.ledger_id, limits, NOW + timedelta(seconds=60)) > 0


def test_trouble_of_their_own_with_one_document_is_no_refusal() -> None:
    """An item of a batch fails with status 200: a SystemFault says nothing about whether it was written."""
    error = {"Message": "An application error has occurred", "code": "10000"}
    assert isinstance(faults.of_item({"Fault": {"Error": [error], "type": "SystemFault"}}), Ambiguous)
    assert isinstance(faults.of_item({"Fault": {"Error": [error], "type": "ValidationFault"}}), Rejected)
