"""Customers of both sides: linked, never doubled; a person decides what is not certain."""

import pytest

from storage import sending_view
from storage.models import cursors
from sync import dispatch
from sync.commands import RefusedError
from tests.integration.conftest import Company, link
from tests.integration.test_sending import (
    accountant,
    books_customer,
    customers,
    on_sqlite,
    sender,
    standing,
    switch,
    there,
)


def test_customers_are_linked_not_doubled(company: Company) -> None:
    """Equal in e-mail and name: linked, and both sides told. Equal in one of them: a person decides."""
    same, customer = company.customer()
    alike = company.stripe.request("POST", "/v1/customers", {"name": "Red Foods", "email": "red@foods.example"})
    doubtful = books_customer(company, "Red Foods Ltd", "red@foods.example", Notes="Pays late.")
    for number, each in enumerate((customer, doubtful), start=1):
        company.invoice(each, 10_000, f"INV-{number}")
    switch(company, "finalize")
    company.sync()
    assert [(each["customer"], each["number"]) for each in there(company)] == [(same, "INV-1")]
    found = {each["id"]: each["metadata"].get("qbo_customer_id") for each in customers(company)}
    assert found == {same: customer, alike["id"]: None}
    assert same in company.qbo.read("Customer", customer)["Notes"]
    assert standing(company, company.books("Invoice")[1]).reason == "customer_doubtful"


@on_sqlite
def test_a_person_says_who_is_who(company: Company) -> None:
    """Accepted: the invoice goes to that customer. Rejected: a new one is made. Only at Stripe: made in QuickBooks."""
    ids = [
        company.stripe.request("POST", "/v1/customers", {"name": name, "email": f"{name}@foods.example"})["id"]
        for name in ("red", "green", "lone")
    ]
    books = [books_customer(company, f"{name} Ltd", f"{name}@foods.example") for name in ("red", "green")]
    for number, each in enumerate(books, start=1):
        company.invoice(each, 10_000, f"INV-{number}")
    switch(company, "finalize")
    company.sync()
    assert there(company) == []
    database, clock, link_id = company.environment.database, company.environment.clock, link(company).id
    person = accountant(company)
    shown = sending_view.view(database, link_id)
    assert {each.customer.id: [c.id for c in each.candidates] for each in shown.doubts} == {
        books[0]: [ids[0]],
        books[1]: [ids[1]],
    }
    assert [each.id for each in shown.lone] == [ids[2]]
    assert dispatch.accept_counterpart(database, clock, person, link_id, books[0], ids[0])
    assert dispatch.reject_counterparts(database, clock, person, link_id, books[1], [ids[1]])
    assert dispatch.make_customer(database, clock, person, link_id, ids[2])
    with pytest.raises(RefusedError):
        dispatch.accept_counterpart(database, clock, person, link_id, books[0], ids[1])
    company.sync()
    found = {each["number"]: each["customer"] for each in there(company)}
    assert found["INV-1"] == ids[0]
    assert found["INV-2"] not in ids
    (made,) = [each for each in company.books("Customer") if each["DisplayName"] == "lone"]
    assert ids[2] in made["Notes"]
    company.sync()
    metadata = {each["id"]: each["metadata"].get("qbo_customer_id") for each in customers(company)}
    assert (metadata[ids[0]], metadata[ids[2]]) == (books[0], made["Id"])
    assert sending_view.view(database, link_id).lone[0].id == ids[1]  # nobody's, since it was kept apart

    switch(company, "finalize", create_customers=True)
    company.sync()
    company.sync()
    assert [each["DisplayName"] for each in company.books("Customer")].count("green") == 1
    assert sending_view.view(database, link_id).lone == ()


@on_sqlite
def test_an_answer_lost_while_a_customer_is_made_in_quickbooks_makes_no_second_one(company: Company) -> None:
    company.stripe.request("POST", "/v1/customers", {"name": "Lone Star", "email": "lone@foods.example"})
    company.sync()
    switch(company, "finalize", create_customers=True)
    company.qbo.faults.set({"lost_answer": 1.0})
    with company.environment.database.write() as conn:
        conn.execute(cursors.delete().where(cursors.c.stream == "counterparts"))
    sender(company).send()
    company.qbo.faults.set({"lost_answer": 0.0})
    company.qbo.switch(forget_request_ids=True)
    sender(company).send()
    assert [each["DisplayName"] for each in company.books("Customer")] == ["Lone Star"]
    company.sync()
    company.sync()
    assert len(customers(company)) == len(company.books("Customer")) == 1


@on_sqlite
def test_a_merged_customer_keeps_its_counterpart(company: Company) -> None:
    old = books_customer(company)
    invoice = company.invoice(old, 10_000, "INV-1")
    switch(company, "finalize")
    company.sync()
    survivor = books_customer(company, "Blue Foods Group", "group@blue.example")
    company.qbo.merge_customers(old, survivor)
    company.sync()
    company.sync()
    assert standing(company, invoice).reason == "open"
    (sent,) = there(company)
    assert sent["status"] == "open"
    assert [each["id"] for each in customers(company)] == [sent["customer"]]
    assert customers(company)[0]["metadata"]["qbo_customer_id"] == survivor


@on_sqlite
def test_a_name_that_quickbooks_has_already_is_said_and_can_be_tried_again(company: Company) -> None:
    """A vendor has the name: QuickBooks takes none twice, over all of its lists."""
    company.stripe.request("POST", "/v1/customers", {"name": "Stripe", "email": "lone@foods.example"})
    switch(company, "finalize", create_customers=True)
    company.sync()
    database, clock, link_id = company.environment.database, company.environment.clock, link(company).id
    ((customer, problem),) = sending_view.view(database, link_id).refused
    assert "somebody else of this name" in problem
    company.stripe.request("POST", f"/v1/customers/{customer.id}", {"name": "Stripe Lone"})
    assert dispatch.make_customer(database, clock, accountant(company), link_id, customer.id)
    company.sync()
    assert [each["DisplayName"] for each in company.books("Customer")] == ["Stripe Lone"]
    assert sending_view.view(database, link_id).refused == ()


def rename(company: Company, customer_id: str, **values: object) -> None:
    current = company.qbo.read("Customer", customer_id)
    company.qbo.update("Customer", current | values)


def address(text: str) -> dict[str, str]:
    return {"Address": text}


@on_sqlite
def test_a_new_name_or_address_goes_to_stripe_but_not_over_what_was_changed_there(
    company: Company,
) -> None:
    linked, customer = company.customer()
    made = books_customer(company, "Red Foods", "red@foods.example")
    company.invoice(made, 10_000, "INV-1")
    switch(company, "finalize")
    company.sync()
    (created,) = [each["id"] for each in customers(company) if each["id"] != linked]
    rename(company, made, DisplayName="Red Foods Ltd", PrimaryEmailAddr=address("pay@red.example"))
    rename(company, customer, DisplayName="Blue Foods Ltd")
    company.sync()
    names = {each["id"]: (each["name"], each["email"]) for each in customers(company)}
    assert names == {
        created: ("Red Foods Ltd", "pay@red.example"),
        linked: ("Blue Foods Ltd", "ap@blue.example"),
    }

    company.stripe.request("POST", f"/v1/customers/{created}", {"email": "boss@red.example"})
    rename(company, made, DisplayName="Red Foods Inc", PrimaryEmailAddr=address("new@red.example"))
    company.sync()
    now = {each["id"]: (each["name"], each["email"]) for each in customers(company)}[created]
    assert now == ("Red Foods Inc", "boss@red.example"), "only what nobody had changed there"
    database, clock, link_id = company.environment.database, company.environment.clock, link(company).id
    (shown,) = sending_view.view(database, link_id).differing
    assert shown.differing == (("email", "new@red.example", "boss@red.example"),)
    assert dispatch.leave_contact(database, clock, accountant(company), link_id, made)
    assert not dispatch.leave_contact(database, clock, accountant(company), link_id, made)
    company.sync()
    assert sending_view.view(database, link_id).differing == ()
    assert {each["email"] for each in customers(company)} == {"boss@red.example", "ap@blue.example"}

    rename(company, made, PrimaryEmailAddr=address("at the desk"))
    company.sync()
    (shown,) = sending_view.view(database, link_id).differing
    assert "Stripe did not take what was changed in QuickBooks" in (shown.problem or "")
    assert "Invalid email address: at the desk" in (shown.problem or "")
    rename(company, made, PrimaryEmailAddr=address("desk@red.example"))
    switch(company, "off")
    company.sync()
    switch(company, "finalize")
    company.stripe.faults.set({"lost_answer": 1.0})
    sender(company).send()
    company.stripe.faults.set({"lost_answer": 0.0})
    assert len(sending_view.view(database, link_id).differing) == 1, "nobody knows yet"
    company.sync()
    assert sending_view.view(database, link_id).differing == ()
    assert {each["email"] for each in customers(company)} == {"desk@red.example", "ap@blue.example"}


@on_sqlite
def test_who_pays_in_a_second_currency_is_a_second_customer_of_quickbooks(company: Company) -> None:
    stripe_customer, _ = company.customer()
    company.invoice(company.books("Customer")[0]["Id"], 10_000, "INV-1")
    company.pay(stripe_customer, 5_000, "from the fair", currency="eur")
    company.pass_time(minutes=1)
    switch(company, "finalize", charge_without_invoice="sales_receipt")
    company.sync()
    database, clock, link_id = company.environment.database, company.environment.clock, link(company).id
    (second,) = sending_view.view(database, link_id).second
    assert (second.id, second.currency) == (stripe_customer, "EUR")
    assert dispatch.make_customer(database, clock, accountant(company), link_id, second.id, "EUR")
    assert not dispatch.make_customer(database, clock, accountant(company), link_id, second.id, "EUR")
    company.sync()
    company.sync()
    found = {each["DisplayName"]: each["CurrencyRef"]["value"] for each in company.books("Customer")}
    assert found == {"Blue Foods": "USD", "Blue Foods (EUR)": "EUR"}
    assert sending_view.view(database, link_id).second == ()
    (receipt,) = company.ours("SalesReceipt")
    assert (receipt["CurrencyRef"]["value"], receipt["TotalAmt"]) == ("EUR", 50)
    metadata = customers(company)[0]["metadata"]
    assert len({metadata["qbo_customer_id"], metadata["qbo_customer_id_eur"]}) == 2
    assert customers(company)[0]["name"] == "Blue Foods", "the one in our currency speaks for both"
