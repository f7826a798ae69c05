"""What failed is shown by cause, mended and tried again; what was read is read again; nothing is there twice."""

from datetime import timedelta
from typing import Any

import pytest

from emulators.stripe import controls
from storage import again, audit_view, connections, problem_records, problems, users
from storage.again import Asked, Scope
from storage.problem_records import Record
from storage.problems import Cause
from storage.users import User
from sync import commands, mapping, retrying
from tests import laws
from tests.integration.conftest import Company, link


def person(company: Company, role: str = "accountant") -> User:
    with company.environment.database.write() as conn:
        user_id = users.ensure_user(conn, email=f"{role}@example.com", name=role, role=role)
    return User(id=user_id, email=f"{role}@example.com", name=role, role=role)


def causes(company: Company) -> list[Cause]:
    return problems.causes(company.environment.database, link(company).id, company.environment.clock.now())


def records(company: Company, cause: Cause) -> tuple[Record, ...]:
    now = company.environment.clock.now()
    return problem_records.records(company.environment.database, link(company).id, cause, now).rows


def head(company: Company, role: str = "accountant") -> tuple[Any, ...]:
    environment = company.environment
    return environment.database, environment.clock, person(company, role), link(company).id


def paid_invoice(company: Company, name: str = "Blue Foods", number: str = "INV-1") -> tuple[str, str]:
    """An invoice paid at Stripe; gives the charge and the customer in the books."""
    there, here = company.customer(name, f"{number}@foods.example")
    company.invoice(here, 10_000, number)
    intent = company.pay(there, 10_000, f"Invoice {number}")
    company.pass_time(minutes=1)
    return intent["latest_charge"], here


def switch(company: Company, entity: str, object_id: str, active: bool) -> None:
    body = company.qbo.read(entity, object_id)
    company.qbo.update(entity, {"Id": object_id, "SyncToken": body["SyncToken"], "sparse": True, "Active": active})


def run_queued(company: Company) -> None:
    worker = company.worker()
    while worker.work():
        assert worker.problem is None, worker.problem


def latest(company: Company) -> Asked:
    asked = again.latest(company.environment.database, link(company).id)
    assert asked is not None
    return asked


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_what_waits_for_an_account_is_mended_at_its_role(company: Company) -> None:
    charge_id, _ = paid_invoice(company)
    fees = link(company).mappings.fees["stripe_fee"]
    switch(company, "Account", fees, active=False)
    company.sync()
    wanted = [cause for cause in causes(company) if cause.count]
    assert [(cause.id, cause.count) for cause in wanted] == [("mapping:fees:stripe_fee", 1)]
    assert "“Stripe fees” was made inactive in QuickBooks." in wanted[0].text
    (record,) = records(company, wanted[0])
    assert (record.source_id, wanted[0].sums) == (charge_id, (record.amount,))

    other = company.qbo.create("Account", {"Name": "Card fees", "AccountType": "Expense"})["Id"]
    mapping.read_chart(company.environment, person(company), link(company).id)
    roles = dict.fromkeys(("fees:stripe_fee", "fees:payment_method_passthrough_fee", "fees:tax"), other)
    assert mapping.choose(company.environment, person(company), link(company).id, roles)
    run_queued(company)
    assert causes(company) == []
    assert [body["TotalAmt"] for body in company.ours("Purchase")] == [3.2]
    laws.check(company.environment, company.stripe, company.qbo)


def test_refused_postings_are_grouped_named_and_tried_again_once_each(company: Company) -> None:
    customers = [paid_invoice(company, f"Customer {number}", f"INV-{number}")[1] for number in (1, 2, 3)]
    for customer in customers:
        switch(company, "Customer", customer, active=False)
    company.sync()
    (cause,) = causes(company)
    assert (cause.id, cause.count, cause.sums) == ("refused:reference", 3, (("USD", 30_000),))
    shown = records(company, cause)
    assert sorted(each.text[-31:] for each in shown) == [
        f"“Customer {number}” is inactive there." for number in (1, 2, 3)
    ]
    assert shown[0].technical

    assert retrying.retry_postings(*head(company), [int(shown[0].row_id)]) == 1, "too early: it is refused again"
    run_queued(company)
    assert [(each.id, each.count) for each in causes(company)] == [("refused:reference", 3)]
    for customer in customers:
        switch(company, "Customer", customer, active=True)
    assert retrying.retry_cause(*head(company), cause.key) == 3
    assert retrying.retry_cause(*head(company), cause.key) == 0
    run_queued(company)
    assert causes(company) == []
    assert len(company.ours("Payment")) == 3
    laws.check(company.environment, company.stripe, company.qbo)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_books_closed_for_a_day(company: Company) -> None:
    paid_invoice(company)
    preferences = company.qbo.query("SELECT * FROM Preferences")["Preferences"][0]
    today = company.clock.now().date() + timedelta(days=1)
    close(company, today.isoformat())
    company.sync()
    assert {cause.id for cause in causes(company)} == {"closed"}
    close(company, preferences["AccountingInfoPrefs"].get("BookCloseDate"))
    assert commands.run_now(*head(company))
    run_queued(company)
    assert causes(company) == []
    assert len(company.ours("Payment")) == 1


def close(company: Company, day: str | None) -> None:
    body = company.qbo.store.get("Preferences", "1")
    assert body is not None
    prefs = {name: value for name, value in body["AccountingInfoPrefs"].items() if name != "BookCloseDate"}
    prefs |= {"BookCloseDate": day} if day else {}
    company.qbo.store.put("Preferences", "1", body | {"AccountingInfoPrefs": prefs}, created=0)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_connection_that_is_refused_is_the_first_cause(company: Company) -> None:
    company.sync()
    with company.environment.database.write() as conn:
        now = company.environment.clock.now()
        connections.set_state(conn, link(company).ledger_id, "reconnect", "QuickBooks no longer accepts it.", now)
    assert company.try_sync().problem is not None
    assert [cause.kind for cause in causes(company)] == ["reconnect", "sync"]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_event_of_an_unknown_kind_is_left_and_an_unreadable_object_is_not(company: Company) -> None:
    company.sync()
    paid_invoice(company)
    (invoice,) = company.books("Invoice")
    stored = company.qbo.store.get("Invoice", invoice["Id"])
    assert stored is not None
    without = {name: value for name, value in stored.items() if name != "TxnDate"}
    company.qbo.store.put("Invoice", invoice["Id"], without, created=0)
    controls.use(company.stripe, "events", {"type": "customer.created", "object": {"object": "moon", "id": "moon_1"}})
    company.sync()
    found = {cause.kind: cause for cause in causes(company)}
    assert set(found) == {"unreadable", "unknown"}
    assert retrying.leave_all_received(*head(company), link(company).ledger_id) == 0
    assert retrying.leave_all_received(*head(company), link(company).processor_id) == 1
    assert [cause.kind for cause in causes(company)] == ["unreadable"]
    (record,) = records(company, found["unreadable"])
    assert record.object_id == invoice["Id"]

    company.qbo.store.put("Invoice", invoice["Id"], stored, created=0)
    assert retrying.retry_all_received(*head(company), "unreadable", link(company).ledger_id) == 1
    run_queued(company)
    assert causes(company) == []
    assert len(company.ours("Payment")) == 1
    laws.check(company.environment, company.stripe, company.qbo)


def test_days_read_again_change_nothing(company: Company) -> None:
    for number in (1, 2):
        paid_invoice(company, f"Customer {number}", f"INV-{number}")
    company.pass_time(days=4)
    company.sync()
    company.sync()
    documents = laws.marked(company.qbo)
    today = company.clock.now().date()
    scope = Scope(since=today - timedelta(days=10), until=today)
    assert retrying.look_again(*head(company), scope)
    run_queued(company)
    found = latest(company).found
    assert found is not None
    assert (found.number, found.changes, found.retried) == (0, (), 0)
    assert found.read > 3 * 3, "charges, movements, customers; invoices and payments of the books"
    assert found.kept == len(documents)

    assert retrying.sync_again(*head(company), scope)
    run_queued(company)
    assert latest(company).counts.get("fetched", 0) == 0
    assert sorted(laws.marked(company.qbo)) == sorted(documents)
    laws.check(company.environment, company.stripe, company.qbo)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_what_nobody_told_us_is_shown_before_it_is_taken_over(company: Company) -> None:
    """Changed on both sides without an event, a change, or a trace of it."""
    charge_id, _ = paid_invoice(company)
    company.sync()
    company.pass_time(hours=1)  # so that change data capture does not reach back to it any more
    company.sync()
    stored = company.stripe.office.store.get("charge", charge_id)
    assert stored is not None
    changed = stored | {"description": "Another text"}
    company.stripe.office.store.put("charge", charge_id, changed, created=stored["created"])
    invoice = company.books("Invoice")[0]
    kept = company.qbo.store.get("Invoice", invoice["Id"])
    assert kept is not None
    company.qbo.store.put("Invoice", invoice["Id"], kept | {"PrivateNote": "by hand"}, created=0)
    database, today = company.environment.database, company.clock.now().date()
    scope = Scope(since=today - timedelta(days=1), until=today + timedelta(days=1))
    assert retrying.look_again(*head(company), scope)
    run_queued(company)
    found = latest(company).found
    assert found is not None
    assert [(each.kind, each.id, each.what, each.fields) for each in found.changes] == [
        ("charge", charge_id, "changed", ("description",)),
        ("invoice", f"invoice:{invoice['Id']}", "changed", ("memo",)),
    ]
    steps = audit_view.way(database, link(company).id, charge_id)
    assert "version 1" in next(step.text for step in steps if step.text.startswith("charge ")), "a look stores nothing"

    for one in (charge_id, f"invoice:{invoice['Id']}"):
        assert retrying.sync_again(*head(company), retrying.scope_of(database, link(company).id, one))
        run_queued(company)
        assert latest(company).counts["fetched"] == 1
    assert retrying.look_again(*head(company), scope)
    run_queued(company)
    assert latest(company).found.number == 0  # type: ignore[union-attr]
    assert len(company.ours("Payment")) == 1


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_one_refused_posting_is_replayed_by_any_of_its_names(company: Company) -> None:
    charge_id, customer = paid_invoice(company)
    switch(company, "Customer", customer, active=False)
    company.sync()
    (cause,) = causes(company)
    (record,) = records(company, cause)
    database, link_id = company.environment.database, link(company).id
    for name in (
        charge_id,
        record.object_id,
        company.stripe.request("GET", f"/v1/charges/{charge_id}")["payment_intent"],
    ):
        scope = retrying.scope_of(database, link_id, name)
        assert ("charge", charge_id) in scope.objects
    switch(company, "Customer", customer, active=True)
    assert retrying.look_again(*head(company), scope)
    run_queued(company)
    assert latest(company).found.retried == 1  # type: ignore[union-attr]
    assert retrying.sync_again(*head(company), scope)
    run_queued(company)
    assert len(company.ours("Payment")) == 1
    assert causes(company) == []
    assert [each.actor for each in actions(company, "retried")] == ["accountant@example.com"]
    laws.check(company.environment, company.stripe, company.qbo)


def actions(company: Company, action: str) -> tuple[audit_view.EntryView, ...]:
    wanted = audit_view.Filter(action=action)
    return audit_view.page(company.environment.database, link(company).id, wanted).entries


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_what_cannot_be_read_again_is_said(company: Company) -> None:
    database, link_id = company.environment.database, link(company).id
    for name in ("", "ch", "evt_gone", "txn_1:fee:r1:s1", "payment:x", "invoice:1' OR '1"):
        with pytest.raises(commands.RefusedError, match="Nothing is known"):
            retrying.scope_of(database, link_id, name)
    today = company.clock.now().date()
    for scope, why in (
        (Scope(since=today, until=today - timedelta(days=1)), "before the first"),
        (Scope(since=today - timedelta(days=400), until=today), "more than 366 days"),
        (Scope(), "which record"),
    ):
        with pytest.raises(commands.RefusedError, match=why):
            retrying.sync_again(*head(company), scope)
    for role in ("viewer", "reviewer"):
        for command in (
            lambda who: retrying.retry_postings(*who, [1]),
            lambda who: retrying.retry_cause(*who, "reference"),
            lambda who: retrying.retry_received(*who, [1]),
            lambda who: retrying.leave_all_received(*who, 1),
            lambda who: retrying.look_again(*who, Scope(objects=(("charge", "ch_1"),))),
            lambda who: retrying.sync_again(*who, Scope(objects=(("charge", "ch_1"),))),
        ):
            with pytest.raises(commands.NotAllowedError, match="accountant"):
                command(head(company, role))
