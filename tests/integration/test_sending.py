"""Books to Stripe: customers and invoices, over both wire formats, whatever is lost or killed on the way."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from reconcile.postings import Sending
from storage import connections, sending_view, users
from storage.models import customer_links, sendings, sent_invoices
from storage.records import to_json
from storage.users import User
from sync import dispatch
from sync.adapters import connect
from sync.commands import NotAllowedError, RefusedError
from sync.sending import Sender
from tests import laws
from tests.integration.conftest import Company, link

Body = dict[str, Any]
on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # what both databases do alike


def switch(company: Company, mode: Sending, **policies: Any) -> None:
    with company.environment.database.write() as conn:
        changed = replace(link(company).policies, sending=mode, **policies)
        connections.change_link(conn, link(company).id, policies=to_json(changed))


def there(company: Company, **filters: Any) -> list[Body]:
    """Stripe's invoices, oldest first."""
    found: list[Body] = company.stripe.request("GET", "/v1/invoices", {"limit": 100, **filters})["data"]
    return found[::-1]


def customers(company: Company) -> list[Body]:
    found: list[Body] = company.stripe.request("GET", "/v1/customers", {"limit": 100})["data"]
    return found


def standing(company: Company, invoice: Body) -> Any:
    with company.environment.database.read() as conn:
        wanted = sent_invoices.c.invoice_id == f"invoice:{invoice['Id']}"
        return conn.execute(select(sent_invoices).where(wanted)).one()


def books_customer(company: Company, name: str = "Blue Foods", email: str = "ap@blue.example", **more: Any) -> str:
    body = {"DisplayName": name, "PrimaryEmailAddr": {"Address": email}, **more}
    return str(company.qbo.create("Customer", body)["Id"])


def pay(company: Company, invoice_id: str, method: str = "pm_card_visa") -> None:
    company.stripe.request("POST", f"/v1/invoices/{invoice_id}/pay", {"payment_method": method})
    company.pass_time(minutes=1)


def check_laws(company: Company) -> None:
    laws.check(company.environment, company.stripe, company.qbo)


def test_an_invoice_goes_to_stripe_and_its_payment_comes_back(company: Company) -> None:
    invoice = company.invoice(books_customer(company), 10_000, "INV-1")
    company.sync()
    assert there(company) == []
    assert customers(company) == []
    assert (standing(company, invoice).kind, standing(company, invoice).reason) == ("do", "create_customer")

    switch(company, "send")
    company.sync()
    (sent,) = there(company)
    assert (sent["status"], sent["number"], sent["total"], sent["amount_remaining"]) == (
        "open",
        "INV-1",
        10_000,
        10_000,
    )
    assert sent["metadata"]["qbo_invoice_id"] == invoice["Id"]
    assert sent["metadata"]["qbo_realm_id"] == company.qbo.realm_id
    (customer,) = customers(company)
    assert (customer["name"], customer["email"]) == ("Blue Foods", "ap@blue.example")
    assert customer["metadata"]["qbo_customer_id"] == invoice["CustomerRef"]["value"]
    assert [event["type"] for event in events(company)].count("invoice.sent") == 1
    assert company.sync().get("sent", 0) == 0

    pay(company, sent["id"])
    assert company.sync()["posted"] == 2
    (payment,) = company.ours("Payment")
    assert payment["Line"][0]["LinkedTxn"] == [{"TxnId": invoice["Id"], "TxnType": "Invoice"}]
    assert company.qbo.read("Invoice", invoice["Id"])["Balance"] == 0
    assert company.sync().get("sent", 0) == 0
    assert (standing(company, invoice).kind, standing(company, invoice).reason) == ("rest", "paid")
    check_laws(company)


def events(company: Company) -> list[Body]:
    found: list[Body] = company.stripe.request("GET", "/v1/events", {"limit": 100})["data"]
    return found


def sender(company: Company, processor: Any = None) -> Sender:
    """The step that sends, alone: Stripe may be broken for it while all else has been read."""
    environment = company.environment
    adapters = connect(environment, link(company))
    return Sender(
        database=environment.database,
        clock=environment.clock,
        processor=processor or adapters.processor,
        ledger=adapters.ledger,
        people=adapters.people,
        link_id=link(company).id,
        progress=lambda *_: None,
    )


def pass_a_day(company: Company) -> None:
    company.environment.clock.sleep(25 * 3600)
    company.pass_time(hours=25)


@on_sqlite
def test_an_answer_lost_after_something_was_made_makes_no_second_one(company: Company) -> None:
    """First while Stripe knows the key, then when it has forgotten it: found by its metadata."""
    first = company.invoice(books_customer(company), 10_000, "INV-1")
    company.sync()
    switch(company, "finalize")
    company.stripe.faults.set({"lost_answer": 1.0})
    sender(company).send()
    assert len(customers(company)) == 1
    assert standing(company, first).reason == "unclear"
    company.stripe.faults.set({"lost_answer": 0.0})
    pass_a_day(company)
    sender(company).send()
    assert len(customers(company)) == 1
    assert [each["status"] for each in there(company)] == ["open"]

    second = company.invoice(first["CustomerRef"]["value"], 20_000, "INV-2")
    switch(company, "off")
    company.sync()
    switch(company, "finalize")
    company.stripe.faults.set({"error_after": 1.0})
    sender(company).send()
    company.stripe.faults.set({"error_after": 0.0})
    assert standing(company, second).reason == "unclear"
    assert [each["status"] for each in there(company)] == ["open", "draft"]
    pass_a_day(company)
    company.sync()
    assert [(each["status"], each["total"]) for each in there(company)] == [("open", 10_000), ("open", 20_000)]
    assert standing(company, second).reason == "open"


class Mortal:
    """The processor, but the process dies right after its `life`th write: nothing of the answer is recorded."""

    def __init__(self, processor: Any, life: int) -> None:
        self._processor, self._life = processor, life

    def __getattr__(self, name: str) -> Any:
        return getattr(self._processor, name)

    def write(self, write: Any) -> Any:
        found = self._processor.write(write)
        self._life -= 1
        if not self._life:
            raise KilledError
        return found


class KilledError(BaseException):
    """Nothing catches it."""


def test_killed_after_any_write_it_goes_on_where_it_was(company: Company) -> None:
    customer = books_customer(company)
    for number in (1, 2):
        company.invoice(customer, 10_000 * number, f"INV-{number}")
    company.sync()
    switch(company, "send")
    kills = 0
    for number in range(20):  # from the second time on, the first write is the one that is settled
        mortal = Mortal(connect(company.environment, link(company)).processor, life=2 if number else 1)
        try:
            sender(company, mortal).send()
        except KilledError:
            kills += 1
            company.environment.clock.sleep(200)  # its lease ends
        else:
            break
    assert kills == 9  # the customer; draft, lines, finalize and send of each invoice
    assert len(customers(company)) == 1
    assert [(each["status"], each["total"]) for each in there(company)] == [("open", 10_000), ("open", 20_000)]
    assert [event["type"] for event in events(company)].count("invoice.sent") == 2
    company.sync()
    assert len(there(company)) == 2


@on_sqlite
def test_faults_neither_lose_nor_double_an_invoice(company: Company) -> None:
    customer = books_customer(company)
    for number in range(1, 5):
        company.invoice(customer, 1_000 * number, f"INV-{number}")
    switch(company, "finalize")
    faults = dict.fromkeys(("error_before", "error_after", "throttle", "lost_answer", "reset", "truncate"), 0.05)
    company.stripe.faults.set(faults)
    for _ in range(3):
        company.try_sync()
        company.environment.clock.sleep(600)
    company.stripe.faults.set(dict.fromkeys(faults, 0.0))
    company.sync()
    assert len(customers(company)) == 1
    assert sorted((each["total"], each["status"]) for each in there(company)) == [
        (1_000 * number, "open") for number in range(1, 5)
    ]


def change(company: Company, invoice: Body, **values: Any) -> Body:
    current = company.qbo.read("Invoice", invoice["Id"])
    return company.qbo.update("Invoice", {**current, **values})


def cents(amount: int) -> Body:
    return {
        "Amount": amount / 100,
        "DetailType": "SalesItemLineDetail",
        "SalesItemLineDetail": {"ItemRef": {"value": "1"}},
    }


@on_sqlite
def test_an_invoice_changed_while_unpaid_is_voided_and_replaced(company: Company) -> None:
    invoice = company.invoice(books_customer(company), 10_000, "INV-1")
    switch(company, "finalize")
    company.sync()
    change(company, invoice, Line=[cents(12_000)])
    company.sync()
    found = [(each["status"], each["number"], each["total"]) for each in there(company)]
    assert found == [("void", "INV-1", 10_000), ("open", "INV-1-R2", 12_000)]
    pay(company, there(company)[1]["id"])
    company.sync()
    assert company.qbo.read("Invoice", invoice["Id"])["Balance"] == 0
    change(company, invoice, Line=[cents(13_000)])
    company.sync()
    assert (standing(company, invoice).kind, standing(company, invoice).reason) == ("wait", "changed_after_payment")
    assert len(there(company)) == 2
    check_laws(company)


@on_sqlite
def test_an_invoice_being_paid_is_never_voided(company: Company) -> None:
    """A bank debit takes days; the void in QuickBooks waits for its end, and then for a person."""
    customer = books_customer(company)
    gone, debited, deleted = (company.invoice(customer, 10_000 * n, f"INV-{n}") for n in (1, 2, 3))
    switch(company, "finalize")
    company.sync()
    pay(company, there(company)[1]["id"], "pm_usBankAccount_success")
    for invoice in (gone, debited):
        current = company.qbo.read("Invoice", invoice["Id"])
        company.qbo.void("Invoice", {"Id": current["Id"], "SyncToken": current["SyncToken"]})
    company.qbo.delete("Invoice", {"Id": deleted["Id"], "SyncToken": deleted["SyncToken"]})
    company.sync()
    assert [each["status"] for each in there(company)] == ["void", "open", "void"]
    assert standing(company, gone).reason == "nothing_owed"
    assert (standing(company, debited).kind, standing(company, debited).reason) == ("wait", "payment_processing")
    company.pass_time(days=7)
    company.sync()
    assert [each["status"] for each in there(company)] == ["void", "paid", "void"]
    assert standing(company, debited).reason == "voided_after_payment"


@on_sqlite
def test_nothing_is_finalized_that_would_collect_another_amount(company: Company) -> None:
    stripe_customer, customer = company.customer()
    company.stripe.request("POST", f"/v1/customers/{stripe_customer}", {"balance": -2_000})
    credited = company.invoice(customer, 10_000, "INV-1")
    small = company.invoice(customer, 49, "INV-2")
    switch(company, "finalize")
    company.sync()
    assert there(company) == []
    assert standing(company, credited).reason == "customer_balance"
    assert standing(company, small).reason == "below_minimum"
    company.stripe.request("POST", f"/v1/customers/{stripe_customer}", {"balance": 0})
    company.sync()
    assert [(each["status"], each["amount_due"]) for each in there(company)] == [("open", 10_000)]


@on_sqlite
def test_what_was_paid_elsewhere_is_taken_off_at_stripe(company: Company) -> None:
    """A cheque before it was sent, another one after; never a payment that may have come through Stripe."""
    customer = books_customer(company)
    invoice = company.invoice(customer, 10_000, "INV-1")
    cheque(company, customer, invoice, 2_500)
    switch(company, "send")
    company.sync()
    (sent,) = there(company)
    assert (sent["status"], sent["total"], sent["amount_remaining"]) == ("open", 10_000, 7_500)
    cheque(company, customer, invoice, 1_500)
    cheque(company, customer, invoice, 1_000, DepositToAccountRef={"value": link(company).mappings.clearing["USD"]})
    company.sync()
    assert there(company)[0]["amount_remaining"] == 7_500
    assert (standing(company, invoice).kind, standing(company, invoice).reason) == ("wait", "paid_otherwise")
    (suspect,) = [body for body in company.books("Payment") if body["TotalAmt"] == 10]
    company.qbo.delete("Payment", {"Id": suspect["Id"], "SyncToken": suspect["SyncToken"]})
    company.sync()
    assert there(company)[0]["amount_remaining"] == 6_000
    assert company.qbo.read("Invoice", invoice["Id"])["Balance"] == 60
    assert company.sync().get("sent", 0) == 0


def cheque(company: Company, customer: str, invoice: Body, amount: int, **more: Any) -> None:
    """A payment that somebody types in."""
    line = {"Amount": amount / 100, "LinkedTxn": [{"TxnId": invoice["Id"], "TxnType": "Invoice"}]}
    body = {"CustomerRef": {"value": customer}, "TotalAmt": amount / 100, "Line": [line], **more}
    company.qbo.create("Payment", body)


@on_sqlite
def test_a_forgetful_database_finds_its_own_invoices(company: Company) -> None:
    invoice = company.invoice(books_customer(company), 10_000, "INV-1")
    switch(company, "finalize")
    company.sync()
    with company.environment.database.write() as conn:
        for table in (sendings, sent_invoices, customer_links):
            conn.execute(table.delete())
        connections.change_link(conn, link(company).id)
    pass_a_day(company)
    company.sync()
    assert len(there(company)) == len(customers(company)) == 1
    assert standing(company, invoice).reason == "open"


def accountant(company: Company, role: str = "accountant") -> User:
    with company.environment.database.write() as conn:
        user_id = users.ensure_user(conn, email=f"{role}@example.com", name="A", role=role)
    return User(id=user_id, email=f"{role}@example.com", name="A", role=role)


@on_sqlite
def test_only_what_an_accountant_has_seen_is_switched_on(company: Company) -> None:
    customer = books_customer(company)
    company.invoice(customer, 10_000, "INV-1")
    company.sync()
    database, clock, link_id = company.environment.database, company.environment.clock, link(company).id
    seen = sending_view.view(database, link_id)
    assert [(each.kind, each.count, each.open_minor) for each in seen.totals] == [("do", 1, 10_000)]
    with pytest.raises(NotAllowedError):
        dispatch.switch_sending(database, clock, accountant(company, "reviewer"), link_id, "finalize", seen.seen)
    company.invoice(customer, 20_000, "INV-2")
    company.sync()
    with pytest.raises(RefusedError, match="changed"):
        dispatch.switch_sending(database, clock, accountant(company), link_id, "finalize", seen.seen)
    seen = sending_view.view(database, link_id)
    assert dispatch.switch_sending(database, clock, accountant(company), link_id, "draft", seen.seen)
    company.sync()
    assert [each["status"] for each in there(company)] == ["draft", "draft"]
    assert dispatch.switch_sending(database, clock, accountant(company), link_id, "finalize", "")
    company.sync()
    assert [each["status"] for each in there(company)] == ["open", "open"]
    assert dispatch.switch_sending(database, clock, accountant(company), link_id, "off", "")
    company.invoice(customer, 30_000, "INV-3")
    company.sync()
    assert len(there(company)) == 2


@on_sqlite
def test_what_somebody_ended_at_stripe_waits_and_can_be_sent_again(company: Company) -> None:
    invoice = company.invoice(books_customer(company), 10_000, "INV-1")
    switch(company, "finalize")
    company.sync()
    company.stripe.request("POST", f"/v1/invoices/{there(company)[0]['id']}/void")
    company.sync()
    assert standing(company, invoice).reason == "gone_at_stripe"
    environment, link_id = company.environment, link(company).id
    dispatch.retry_invoice(
        environment.database, environment.clock, accountant(company), link_id, f"invoice:{invoice['Id']}"
    )
    company.sync()
    found = [(each["status"], each["number"]) for each in there(company)]
    assert found == [("void", "INV-1"), ("open", "INV-1-R2")]


@on_sqlite
def test_lines_discount_and_tax_make_the_total_of_the_books(company: Company) -> None:
    detail = {"ItemRef": {"value": "1"}, "Qty": 3, "UnitPrice": 33.35}
    lines = [
        {"Amount": 100.05, "Description": "Design", "DetailType": "SalesItemLineDetail", "SalesItemLineDetail": detail},
        {"DetailType": "DescriptionOnly", "Description": "Thank you."},
        {"DetailType": "DiscountLineDetail", "DiscountLineDetail": {"PercentBased": True, "DiscountPercent": 10}},
    ]
    body = {"CustomerRef": {"value": books_customer(company)}, "Line": lines, "TxnTaxDetail": {"TotalTax": 7.43}}
    invoice = company.qbo.create("Invoice", body | {"AllowOnlineACHPayment": True})
    company.sync()
    assert standing(company, invoice).warnings == ["pay_link", "new_customer"]
    switch(company, "finalize")
    company.sync()
    (sent,) = there(company)
    assert sent["total"] == round(invoice["TotalAmt"] * 100)
    shown = [(line["description"], line["amount"]) for line in sent["lines"]["data"]]
    assert shown == [("Design (3 x 33.35)", 10_005), ("Discount", -1_001), ("Tax", 743)]
