"""Whatever way the news of Stripe come, or fail to come: the mirror ends with the latest state, and few requests."""

import json
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
import stripe
from sqlalchemy import select

from emulators.stripe import controls, routes
from emulators.stripe.errors import invalid
from storage import mirror
from storage.models import inbox
from sync.adapters import connect
from sync.reader import Reader
from sync.relisting import ROUND
from sync.stripe.events import EVENT_TYPES
from tests import laws
from tests.integration.conftest import Company, link
from tests.integration.test_web import Hooks, hooks

__all__ = ["hooks"]


def mute(company: Company, *, on: bool = True) -> None:
    controls.use(company.stripe, "hooks", {"mute": on})


def rename(company: Company, customer_id: str, name: str) -> None:
    company.stripe.request("POST", f"/v1/customers/{customer_id}", {"name": name})


def held(company: Company, kind: str, object_id: str) -> Any:
    """What the mirror says of a Stripe object; None if nothing."""
    with company.environment.database.read() as conn:
        return mirror.load(conn, link(company).processor_id, kind, [object_id]).get(object_id)


def rows(company: Company, **values: str) -> list[Any]:
    with company.environment.database.read() as conn:
        return list(conn.execute(select(inbox).filter_by(**values)))


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts what is asked of Stripe, by the name of the list."""
    seen: Counter[str] = Counter()
    real = stripe.RequestsClient.request

    def request(client: Any, method: str, url: str, *rest: Any, **more: Any) -> Any:
        seen[url.partition("/v1/")[2].partition("?")[0].partition("/")[0]] += 1
        return real(client, method, url, *rest, **more)

    monkeypatch.setattr(stripe.RequestsClient, "request", request)
    return seen


def test_a_thin_event_is_the_same_row_as_its_classic_one(hooks: Hooks) -> None:
    company = hooks.company
    customer_id, _ = company.customer()
    company.sync()
    rename(company, customer_id, "Blue Foods Ltd")
    event = company.stripe.request("GET", "/v1/events", {"limit": 1})["data"][0]
    related = {"id": customer_id, "type": "customer", "url": f"/v1/customers/{customer_id}"}
    thin = {"id": "evt_test_65", "object": "v2.core.event", "type": "v1.customer.updated", "livemode": False}
    thin |= {"created": "2026-11-20T10:11:12.345Z", "related_object": related}
    named = json.dumps(thin | {"snapshot_event": event["id"]})
    assert hooks.stripe(named, secret="whsec_other") == 400
    assert [hooks.stripe(body) for body in (named, json.dumps(event), named)] == [200, 200, 200]
    assert hooks.stripe(json.dumps(thin)) == 200  # of this one nobody said which classic event it is
    assert [row.event_id for row in hooks.stored()] == [event["id"], "evt_test_65"]
    assert {(row.type, row.kind, row.object_id) for row in hooks.stored()} == {
        ("customer.updated", "customer", customer_id)
    }
    company.sync()
    assert held(company, "customer", customer_id).name == "Blue Foods Ltd"
    assert {row.state for row in hooks.stored()} == {"done"}


def test_an_event_in_an_old_version_only_says_where_to_look(company: Company) -> None:
    """A charge as of 2020 names an invoice and lacks what ours has."""
    stripe_customer, customer = company.customer()
    company.invoice(customer, 10_000, "INV-1")
    company.sync()
    mute(company)
    intent = company.pay(stripe_customer, 10_000, "Invoice INV-1")
    company.pass_time(minutes=1)
    mute(company, on=False)
    old = {"id": intent["latest_charge"], "object": "charge", "amount": 1, "invoice": "in_old", "refunds": {"data": []}}
    controls.use(company.stripe, "events", {"type": "charge.succeeded", "object": old, "api_version": "2020-08-27"})
    company.sync()
    assert held(company, "charge", intent["latest_charge"]).amount_minor == 10_000
    assert len(company.ours("Payment")) == 1


def test_a_subscription_event_brings_its_invoices(company: Company) -> None:
    stripe_customer, _ = company.customer()
    company.sync()
    mute(company)
    post = company.stripe.request
    draft = post("POST", "/v1/invoices", {"customer": stripe_customer, "currency": "usd"})
    post("POST", "/v1/invoiceitems", {"customer": stripe_customer, "invoice": draft["id"], "amount": 4_900})
    controls.use(company.stripe, "subscription_invoices", {"invoice": draft["id"], "subscription": "sub_1"})
    post("POST", f"/v1/invoices/{draft['id']}/pay", {"payment_method": "pm_card_visa"})
    mute(company, on=False)
    renewed = {"id": "sub_1", "object": "subscription", "status": "active"}
    controls.use(company.stripe, "events", {"type": "customer.subscription.updated", "object": renewed})
    company.sync()
    assert held(company, "processor_invoice", draft["id"]).status == "paid"
    (paid,) = post("GET", "/v1/invoice_payments", {"invoice": draft["id"]})["data"]
    assert held(company, "invoice_payment", paid["id"]).paid_minor == 4_900
    assert held(company, "subscription", "sub_1") is None


def object_of(event_type: str) -> str:
    """What Stripe calls the object that events of a type are about."""
    inner = {"charge.refund": "refund", "charge.dispute": "dispute", "customer.subscription": "subscription"}
    return inner.get(event_type.rpartition(".")[0], event_type.partition(".")[0])


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # nothing about it is of a database
def test_every_event_we_listen_to_brings_its_object(company: Company) -> None:
    """Told of by these alone: what happened itself made no event."""
    stripe_customer, _ = company.customer()
    company.sync()
    mute(company)
    post, terms = company.stripe.request, {"collection_method": "send_invoice", "days_until_due": 30}
    draft = post("POST", "/v1/invoices", {"customer": stripe_customer, "currency": "usd", **terms})["id"]
    post("POST", f"/v1/invoices/{draft}/add_lines", {"lines": [{"amount": 9_000, "description": "Design"}]})
    controls.use(company.stripe, "subscription_invoices", {"invoice": draft, "subscription": "sub_1"})
    post("POST", f"/v1/invoices/{draft}/finalize")
    note = post("POST", "/v1/credit_notes", {"invoice": draft, "amount": 1_000})["id"]
    post("POST", f"/v1/invoices/{draft}/pay", {"payment_method": "pm_card_visa"})
    (paid,) = post("GET", "/v1/invoice_payments", {"invoice": draft})["data"]
    charge = post("GET", f"/v1/payment_intents/{paid['payment']['payment_intent']}")["latest_charge"]
    refund = post("POST", "/v1/refunds", {"charge": charge, "amount": 500})["id"]
    dispute = controls.use(company.stripe, "disputes", {"charge": charge, "amount": 700})["id"]
    company.pass_time(days=8)
    (payout, *_) = post("GET", "/v1/payouts")["data"]
    mute(company, on=False)
    ids = {"charge": charge, "refund": refund, "dispute": dispute, "payout": payout["id"], "credit_note": note}
    ids |= {"invoice": draft, "invoice_payment": paid["id"], "customer": stripe_customer, "subscription": "sub_1"}
    for each in EVENT_TYPES:
        name = object_of(each)
        about = {"object": name} if name == "subscription" else company.stripe.office.get(name, ids[name])
        controls.use(company.stripe, "events", {"type": each, "object": about | {"id": ids[name]}})
    company.sync()
    told = {row.type: (row.object_id, row.state) for row in rows(company) if row.type in EVENT_TYPES}
    assert told == {each: (ids[object_of(each)], "done") for each in EVENT_TYPES}
    kinds = {"processor_invoice": draft} | {kind: ids[kind] for kind in ids if kind not in ("invoice", "subscription")}
    assert [kind for kind, object_id in kinds.items() if held(company, kind, object_id) is None] == []


def test_what_no_event_told_is_found_by_the_rolling_re_list(company: Company, requests: Counter[str]) -> None:
    customer_id, _ = company.customer()
    company.sync()
    mute(company)
    rename(company, customer_id, "Blue Foods Ltd")
    mute(company, on=False)
    company.sync()
    assert held(company, "customer", customer_id).name == "Blue Foods"
    company.environment.clock.sleep(ROUND.total_seconds())
    for _ in range(4):
        requests.clear()
        company.sync()
        assert requests.total() < 20  # a slice a sync, not everything at once
    assert held(company, "customer", customer_id).name == "Blue Foods Ltd"


def test_after_a_month_of_silence_nothing_is_missed(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stripe's events and QuickBooks' changes of that time are gone; both sides are listed and compared again."""
    monkeypatch.setattr("sync.relisting.PAGES", 40)
    stripe_customer, customer = company.customer()
    company.invoice(customer, 10_000, "INV-1")
    unpaid = company.invoice(customer, 70_000, "INV-7")
    company.pay(stripe_customer, 10_000, "Invoice INV-1")
    company.pass_time(minutes=1)
    company.sync()
    company.qbo.delete("Invoice", unpaid)
    rename(company, stripe_customer, "Blue Foods Ltd")
    company.pass_time(days=2)
    company.invoice(customer, 20_000, "INV-2")
    company.pay(stripe_customer, 20_000, "Invoice INV-2")
    company.pass_time(days=33)
    company.environment.clock.sleep(timedelta(days=35).total_seconds())
    company.sync()
    assert held(company, "customer", stripe_customer).name == "Blue Foods Ltd"
    with company.environment.database.read() as conn:
        assert mirror.load(conn, link(company).ledger_id, "invoice", [f"invoice:{unpaid['Id']}"]) == {}
    assert sorted(payment["TotalAmt"] for payment in company.ours("Payment")) == [100, 200]
    laws.check(company.environment, company.stripe, company.qbo)


def test_the_bank_s_reference_of_a_payout_arrives_without_an_event(company: Company) -> None:
    stripe_customer, _ = company.customer()
    company.pay(stripe_customer, 10_000)
    company.pass_time(days=6)
    company.sync()
    (payout,) = company.stripe.request("GET", "/v1/payouts")["data"]
    assert held(company, "payout", payout["id"]).trace_id is None
    company.pass_time(days=2)
    company.sync()
    assert held(company, "payout", payout["id"]).trace_id.startswith("TRACE")


def test_many_changes_take_few_requests(company: Company, requests: Counter[str]) -> None:
    """Payments of Stripe invoices, each of a customer of its own; then all of these once more, changed."""
    company.customer()
    company.sync()
    customers = []
    for number in range(40):
        customer_id, _ = company.customer(f"Customer {number}", f"{number}@foods.example")
        draft = company.stripe.request("POST", "/v1/invoices", {"customer": customer_id, "currency": "usd"})
        item = {"customer": customer_id, "invoice": draft["id"], "amount": 1_000 + number}
        company.stripe.request("POST", "/v1/invoiceitems", item)
        company.stripe.request("POST", f"/v1/invoices/{draft['id']}/pay", {"payment_method": "pm_card_visa"})
        customers.append(customer_id)
    company.pass_time(minutes=1)
    requests.clear()
    company.sync()
    assert requests.total() <= 20
    for customer_id in customers:
        rename(company, customer_id, "Renamed")
    requests.clear()
    company.sync()
    assert requests["customers"] == 1
    assert {held(company, "customer", customer_id).name for customer_id in customers} == {"Renamed"}
    with company.environment.database.read() as conn:
        assert len(mirror.load_all(conn, link(company).processor_id, ["invoice_payment"])) == 40


def test_a_payout_is_itemised_once(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    stripe_customer, _ = company.customer()
    for _ in range(3):
        company.pay(stripe_customer, 10_000)
        company.pass_time(days=2)
    asked: list[str] = []
    real = stripe.RequestsClient.request

    def request(client: Any, method: str, url: str, *rest: Any, **more: Any) -> Any:
        asked.extend([url] if "payout=" in url else [])
        return real(client, method, url, *rest, **more)

    monkeypatch.setattr(stripe.RequestsClient, "request", request)
    for _ in range(6):
        company.sync()
        company.pass_time(days=1)
    company.sync()
    payouts = company.stripe.request("GET", "/v1/payouts")["data"]
    assert len(asked) == len(set(asked)) == len(payouts) >= 2


def test_an_older_fetch_never_overwrites_a_newer_one(company: Company) -> None:
    """A worker asked, and slept over the answer; meanwhile another one stored a later state."""
    customer_id, _ = company.customer()
    company.sync()
    environment, joined = company.environment, link(company)
    processor = connect(environment, joined).processor
    reader = Reader(environment.database, environment.clock, environment.rng, processor, joined)
    rename(company, customer_id, "Second")
    began, found = environment.clock.now(), processor.fetch("customer", {customer_id: None})
    rename(company, customer_id, "Third")
    company.sync()
    with environment.database.write() as conn:
        assert reader.keep(conn, found, began) == []
    assert held(company, "customer", customer_id).name == "Third"
    assert [row.object_id for row in rows(company, state="new", type="fetch again")] == [customer_id]
    rename(company, customer_id, "Fourth")  # within the same second, by Stripe's clock
    company.sync()
    assert held(company, "customer", customer_id).name == "Fourth"
    assert rows(company, state="new") == []


def test_stripe_s_troubles_are_waited_out(company: Company) -> None:
    """The library repeats nothing by itself, and after a 429 not even when asked to."""
    stripe_customer, customer = company.customer()
    company.invoice(customer, 10_000, "INV-1")
    company.pay(stripe_customer, 10_000, "Invoice INV-1")
    company.pass_time(minutes=1)
    for code in ("rate_limit", "lock_timeout", "conflict", "api_error"):
        controls.use(company.stripe, "next_errors", {"code": code, "should_retry": False})
    company.sync()
    assert len(company.ours("Payment")) == 1


def test_what_stripe_refuses_to_give_waits_and_the_rest_goes_on(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    stripe_customer, customer = company.customer()
    company.invoice(customer, 10_000, "INV-1")
    company.sync()

    def refuse(*_: Any) -> Any:
        raise invalid("This customer cannot be shown.")

    monkeypatch.setitem(routes.ROUTES, ("GET", "customers", "*"), routes.Route(refuse, frozenset({"expand"})))
    rename(company, stripe_customer, "Blue Foods Ltd")
    company.pay(stripe_customer, 10_000, "Invoice INV-1")
    company.pass_time(minutes=1)
    company.sync()
    assert len(company.ours("Payment")) == 1
    assert [(row.object_id, row.state) for row in rows(company, type="customer.updated")] == [
        (stripe_customer, "waiting")
    ]
    assert "This customer cannot be shown" in rows(company, type="customer.updated")[0].problem
    assert rows(company, state="new") == []
