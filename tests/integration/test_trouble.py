"""What goes wrong waits with its reason, stops nothing else, and can be mended."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Row, select

from storage import connections, mirror, users
from storage import inbox as storage_inbox
from storage.models import inbox, runs
from storage.models import legs as legs_table
from storage.models import outbox as outbox_table
from storage.users import User
from sync import commands, processes, retrying, scheduler
from sync.adapters import connect
from sync.ports import Request, Response
from sync.worker import Adapters
from tests import laws
from tests.integration.conftest import Company, link

DAY_S = 86_400  # no test runs long enough to see two of them begin


def two_payments(company: Company) -> tuple[str, str]:
    """Two customers, each with a charge that pays an invoice; their ids in the books."""
    ids = []
    for number, name in ((1, "Blue Foods"), (2, "Red Foods")):
        stripe_customer, customer = company.customer(name, f"{number}@foods.example")
        company.invoice(customer, 10_000 * number, f"INV-{number}")
        company.pay(stripe_customer, 10_000 * number, f"Invoice INV-{number}")
        ids.append(customer)
    company.pass_time(minutes=1)
    return ids[0], ids[1]


def waiting_postings(company: Company) -> list[Row[Any]]:
    with company.environment.database.read() as conn:
        return list(conn.execute(select(outbox_table).where(outbox_table.c.state == "waiting")))


def test_a_customer_made_inactive_holds_up_only_its_own_payment(company: Company) -> None:
    blue, _ = two_payments(company)
    body = company.qbo.read("Customer", blue)
    company.qbo.update("Customer", {"Id": blue, "SyncToken": body["SyncToken"], "sparse": True, "Active": False})
    company.sync()
    assert [payment["TotalAmt"] for payment in company.ours("Payment")] == [200]
    (row,) = waiting_postings(company)
    assert "QuickBooks refused this document" in row.problem
    assert "inactive" in row.problem
    with company.environment.database.read() as conn:
        (leg,) = conn.execute(select(legs_table).where(legs_table.c.reason == "refused"))
    assert leg.state == "waiting"

    body = company.qbo.read("Customer", blue)
    company.qbo.update("Customer", {"Id": blue, "SyncToken": body["SyncToken"], "sparse": True, "Active": True})
    assert leg.markers == [row.marker]
    environment = company.environment
    assert commands.retry_posting(environment.database, environment.clock, accountant(company), row.id)
    company.sync()
    assert sorted(payment["TotalAmt"] for payment in company.ours("Payment")) == [100, 200]
    laws.check(company.environment, company.stripe, company.qbo)


def test_an_account_made_inactive_is_named(company: Company) -> None:
    two_payments(company)
    fees = link(company).mappings.fees["stripe_fee"]
    body = company.qbo.read("Account", fees)
    company.qbo.update("Account", {"Id": fees, "SyncToken": body["SyncToken"], "sparse": True, "Active": False})
    company.sync()
    assert len(company.ours("Payment")) == 2
    assert waiting_postings(company) == [], "it is seen before anything is sent"
    waiting = [row["detail"] for row in laws.waiting_legs(company.environment)]
    assert len(waiting) == 2
    assert all("“Stripe fees” was made inactive in QuickBooks. Open the page Mapping." in each for each in waiting)
    laws.check(company.environment, company.stripe, company.qbo)


def test_a_refused_connection_waits_for_a_person_and_loses_nothing(company: Company) -> None:
    two_payments(company)
    company.qbo.oauth.expire_access_tokens()
    environment, ledger_id = company.environment, link(company).ledger_id
    with environment.database.write() as conn:
        good = connections.secret(conn, environment.vault, ledger_id, "refresh_token")
        connections.store_secret(
            conn, environment.vault, ledger_id, "refresh_token", "revoked", environment.clock.now()
        )
    worker = company.try_sync()
    assert worker.problem is not None
    assert "Connect to QuickBooks again" in worker.problem
    with environment.database.read() as conn:
        assert connections.connection(conn, ledger_id).state == "reconnect"
    assert company.ours("Payment") == []
    assert company.try_sync().problem == worker.problem  # no run on old figures passes for a good one

    with environment.database.write() as conn:
        connections.store_secret(
            conn, environment.vault, ledger_id, "refresh_token", str(good), environment.clock.now()
        )
        connections.set_state(conn, ledger_id, "ready", None, environment.clock.now())
    company.sync()
    assert len(company.ours("Payment")) == 2


def test_an_object_that_cannot_be_read_waits_and_the_others_go_on(company: Company) -> None:
    two_payments(company)
    broken = company.qbo.create(
        "Customer", {"DisplayName": "Odd", "PrimaryEmailAddr": {"Address": "odd@foods.example"}}
    )
    invoice = company.invoice(broken["Id"], 5_000, "INV-9")
    stored = company.qbo.store.get("Invoice", invoice["Id"])
    assert stored is not None
    del stored["TxnDate"]
    company.qbo.store.put("Invoice", invoice["Id"], stored, created=0)
    company.sync()
    assert len(company.ours("Payment")) == 2
    with company.environment.database.read() as conn:
        (row,) = conn.execute(select(inbox).where(inbox.c.state == "waiting"))
    assert row.object_id == invoice["Id"]
    assert "cannot read this Invoice" in row.problem

    retry_received(company, row.id)
    company.sync()
    assert waiting_received(company) == [row.id]  # it still cannot be read

    company.qbo.store.put("Invoice", invoice["Id"], stored | {"TxnDate": "2026-11-01"}, created=0)
    retry_received(company, row.id)
    company.sync()
    assert waiting_received(company) == []
    with company.environment.database.read() as conn:
        assert mirror.load(conn, link(company).ledger_id, "invoice", [f"invoice:{invoice['Id']}"])


def waiting_received(company: Company) -> list[int]:
    with company.environment.database.read() as conn:
        return list(conn.execute(select(inbox.c.id).where(inbox.c.state == "waiting")).scalars())


def retry_received(company: Company, *inbox_ids: int) -> None:
    head = (company.environment.database, company.environment.clock, accountant(company), link(company).id)
    assert retrying.retry_received(*head, inbox_ids) == 1


def accountant(company: Company) -> User:
    with company.environment.database.write() as conn:
        user_id = users.ensure_user(conn, email="a@example.com", name="A", role="accountant")
    return User(id=user_id, email="a@example.com", name="A", role="accountant")


def test_what_was_never_sent_is_decided_anew_after_a_long_stop(company: Company) -> None:
    """Killed with a posting in hand; before the next start somebody records that payment."""
    stripe_customer, customer = company.customer()
    invoice = company.invoice(customer, 10_000, "INV-1")
    company.pay(stripe_customer, 10_000, "Invoice INV-1")
    company.pass_time(minutes=1)
    worker = company.worker()
    worker.connect = lambda its_link: _dying(connect(company.environment, its_link))
    worker.enqueue_now("test")
    assert worker.work()
    assert worker.problem is not None
    company.environment.clock.sleep(DAY_S)

    line = {"Amount": 100, "LinkedTxn": [{"TxnId": invoice["Id"], "TxnType": "Invoice"}]}
    company.qbo.create("Payment", {"CustomerRef": {"value": customer}, "TotalAmt": 100, "Line": [line]})
    company.sync()
    assert len(company.books("Payment")) == 1
    assert company.ours("Payment") == []
    assert [row.reason for row in leg_rows(company) if row.kind == "gross"] == ["MAY_BE_RECORDED"]
    laws.check(company.environment, company.stripe, company.qbo)


def leg_rows(company: Company) -> list[Row[Any]]:
    with company.environment.database.read() as conn:
        return list(conn.execute(select(legs_table)))


def _dying(adapters: Adapters) -> Adapters:
    """The process ends instead of sending a write."""

    def carry(request: Request) -> Response:
        if request.kind == "write":
            raise RuntimeError("killed")
        return adapters.carry(request)

    return replace(adapters, carry=carry)


def test_one_run_a_due_time_however_many_clocks_tick(company: Company) -> None:
    environment = company.environment
    queued = [scheduler.enqueue_due(environment.database, environment.clock, DAY_S) for _ in range(5)]
    assert sum(queued) == 1
    while company.worker().work():
        pass
    assert scheduler.enqueue_due(environment.database, environment.clock, DAY_S) == 0  # the same day again
    environment.clock.sleep(DAY_S)
    assert scheduler.enqueue_due(environment.database, environment.clock, DAY_S) == 1
    with environment.database.read() as conn:
        assert {row.cause for row in conn.execute(select(runs))} == {"schedule"}


def test_after_a_failure_a_webhook_waits_for_the_next_due_time(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = company.environment
    hint = {"event_id": "e1", "type": "x", "kind": "books:x", "object_id": "1", "occurred_at": environment.clock.now()}
    with environment.database.write() as conn:
        storage_inbox.receive(conn, link(company).ledger_id, [hint], channel="webhook", at=environment.clock.now())
    monkeypatch.setattr("sync.worker.decide", lambda *_: 1 // 0)
    assert scheduler.enqueue_due(environment.database, environment.clock, DAY_S) == 1
    assert company.worker().work()
    with environment.database.write() as conn:
        storage_inbox.receive(
            conn, link(company).ledger_id, [hint | {"event_id": "e2"}], channel="webhook", at=environment.clock.now()
        )
    queued = [scheduler.enqueue_due(environment.database, environment.clock, DAY_S) for _ in range(3)]
    assert sum(queued) == 1
    assert company.worker().work()
    assert scheduler.enqueue_due(environment.database, environment.clock, DAY_S) == 0


def test_an_error_of_our_own_fails_the_run_and_not_the_worker(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_payments(company)
    with monkeypatch.context() as broken:
        broken.setattr("sync.worker.decide", lambda *_: 1 // 0)
        worker = company.try_sync()
    assert worker.problem is not None
    assert "error of its own" in worker.problem
    company.sync()
    assert len(company.ours("Payment")) == 2


def test_workers_of_one_database_share_the_work(company: Company) -> None:
    """Several at once, as on several machines: each run is taken by one, each document is posted once."""
    two_payments(company)
    first = company.worker()
    first.enqueue_now("test")
    with ThreadPoolExecutor(3) as pool:
        workers = [company.worker() for _ in range(3)]
        assert sorted(pool.map(lambda worker: worker.work(), workers)) == [False, False, True]
    assert len(company.ours("Payment")) == 2
    laws.check(company.environment, company.stripe, company.qbo)


def test_the_answer_to_a_page_that_was_read_already_moves_nothing(company: Company) -> None:
    """Two workers may ask for the same page; the second answer is not the page after it."""
    ledger_id, adapters = link(company).ledger_id, connect(company.environment, link(company))
    adapters.ledger.request_read(ledger_id)
    request = adapters.ledger.next_request(ledger_id)
    assert request is not None
    answer, positions = adapters.carry(request), []
    for _ in range(2):
        adapters.ledger.accept_response(ledger_id, request, answer)
        with company.environment.database.read() as conn:
            positions.append(mirror.cursor(conn, ledger_id, "reading"))
    assert positions[0] == positions[1]


def test_events_that_stripe_has_forgotten_are_made_up_for(company: Company) -> None:
    company.sync()
    for _ in range(4):  # nothing happens for so long that Stripe forgets the last event we know
        company.pass_time(days=10)
        company.environment.clock.sleep(10 * DAY_S)
        company.sync()
    two_payments(company)
    company.pass_time(days=40)  # now nobody asks for so long that the events of these are forgotten
    company.environment.clock.sleep(40 * DAY_S)
    company.sync()
    assert len(company.ours("Payment")) == 2
    laws.check(company.environment, company.stripe, company.qbo)


def test_a_worker_in_the_pages_process_that_fails_ends_the_process(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the pages would go on without anybody who syncs."""
    ended: list[int] = []
    monkeypatch.setattr(processes, "work", lambda *_: 1 // 0)
    monkeypatch.setattr(processes.os, "kill", lambda _pid, number: ended.append(number))
    with processes.in_background(company.environment, DAY_S):
        while not ended:
            time.sleep(0.01)
    assert ended == [signal.SIGTERM]


def test_a_movement_that_cannot_be_read_is_not_taken_for_a_part_of_the_opening(company: Company) -> None:
    two_payments(company)
    environment, processor_id = company.environment, link(company).processor_id
    now = environment.clock.now()
    with environment.database.write() as conn:
        storage_inbox.hold(conn, processor_id, "movement", "txn_odd", raw="{}", problem="cannot be read", at=now)
    company.sync()
    assert link(company).openings is None
    retry_received(company, *waiting_received(company))
    company.sync()
    assert link(company).openings is not None
