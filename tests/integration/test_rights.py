"""A Stripe key that may not read one of the lists: it is said which, and the others go on."""

import pytest

from storage import connections, mirror
from storage.connections import Connection
from tests.integration.conftest import Company, link
from tests.integration.test_trouble import two_payments


def stripe_side(company: Company) -> Connection:
    with company.environment.database.read() as conn:
        return connections.connection(conn, link(company).processor_id)


def count(company: Company, kind: str) -> int:
    with company.environment.database.read() as conn:
        return mirror.count(conn, link(company).processor_id, kind)


def test_without_one_right_the_others_go_on_and_it_is_named(company: Company) -> None:
    two_payments(company)
    company.stripe.forbidden = {"credit_notes"}
    company.sync()
    side = stripe_side(company)
    assert side.state == "limited"
    assert "may not read credit notes (rak_credit_note_read)" in str(side.problem)
    assert len(company.ours("Payment")) == 2

    invoice = company.stripe.request("GET", "/v1/customers")["data"][0]["id"]
    made = company.stripe.request("POST", "/v1/invoices", {"customer": invoice})
    line = {"customer": invoice, "invoice": made["id"], "amount": 5_000, "currency": "usd"}
    company.stripe.request("POST", "/v1/invoiceitems", line)
    company.stripe.request("POST", f"/v1/invoices/{made['id']}/finalize")
    company.stripe.request("POST", "/v1/credit_notes", {"invoice": made["id"], "amount": 1_000})
    company.pass_time(minutes=1)
    company.sync()
    assert count(company, "credit_note") == 0

    company.stripe.forbidden = set()
    company.sync()
    assert stripe_side(company).state == "ready"
    assert count(company, "credit_note") == 1, "its event came while nobody could read it"


@pytest.mark.parametrize("resource", ["invoice_payments", "events"])
def test_without_what_says_which_invoice_was_paid_nothing_is_posted(company: Company, resource: str) -> None:
    two_payments(company)
    company.stripe.forbidden = {resource}
    worker = company.try_sync()
    may_go_on = resource == "events"
    assert (worker.problem is None) is may_go_on
    assert len(company.ours("Payment")) == (2 if may_go_on else 0)
    assert count(company, "charge") == 2, "the other lists are read"
    assert resource.replace("_", " ") in str(stripe_side(company).problem)
    company.stripe.forbidden = set()
    company.sync()
    assert stripe_side(company).state == "ready"
    assert len(company.ours("Payment")) == 2
