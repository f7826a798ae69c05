"""Links between documents that are changed after they were posted (rows 8b, 8c and 10), held against the books."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from emulators.qbo import documents
from storage import connections
from storage.engine import Database
from storage.models import outbox
from storage.records import to_json
from sync import commands
from tests import laws
from tests.integration.conftest import Company, link
from tests.integration.test_rows import balance, linked, paid_charge, sync_and_check, waiting
from tests.integration.test_trouble import accountant


@pytest.fixture
def database(sqlite_database: Database) -> Database:
    """One kind is enough: nothing here is about SQL."""
    return sqlite_database


def overpaid(company: Company) -> str:
    """A charge of 100.00 on an invoice of 80.00, in the books."""
    stripe_customer, customer = company.customer()
    invoice = company.invoice(customer, 8_000, "INV-1")
    intent = company.pay(stripe_customer, 10_000, "INV-1", metadata={"qbo_invoice_id": invoice["Id"]})
    company.pass_time(minutes=1)
    company.sync()
    return str(intent["latest_charge"])


def test_a_payment_somebody_edited_meanwhile_is_read_again_before_it_is_linked(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change is built of what the books say when it is sent; a stale one writes nothing and is built anew."""
    charge = overpaid(company)
    (payment,) = company.ours("Payment")
    create = documents.create

    def interfere(*arguments: Any, **more: Any) -> dict[str, Any]:
        made = create(*arguments, **more)
        if arguments[1] == "Purchase" and made["EntityRef"]["type"] == "Customer":
            head = {"Id": payment["Id"], "SyncToken": payment["SyncToken"], "sparse": True}
            documents.update(company.qbo.company, "Payment", head | {"PaymentRefNum": "changed"})
        return made

    monkeypatch.setattr(documents, "create", interfere)
    company.stripe.request("POST", "/v1/refunds", {"charge": charge, "amount": 1_500})
    sync_and_check(company)
    monkeypatch.undo()
    sync_and_check(company)
    (payment,) = company.ours("Payment")
    assert linked(payment) == {"Invoice": 80, "Expense": 15}
    assert payment["PaymentRefNum"] == "changed"
    assert waiting(company) == set()


def test_a_link_that_quickbooks_refuses_stays_open_and_is_shown(company: Company) -> None:
    charge = overpaid(company)
    company.qbo.switch(expense_links=False)
    company.stripe.request("POST", "/v1/refunds", {"charge": charge, "amount": 1_500})
    sync_and_check(company)
    assert balance(company, "Stripe clearing") == laws.stripe_balance(company.stripe)["USD"]
    assert waiting(company) == {"refused"}
    company.qbo.switch(expense_links=True)
    environment = company.environment
    with environment.database.read() as conn:
        (row_id,) = conn.execute(select(outbox.c.id).where(outbox.c.state == "waiting")).scalars()
    assert commands.retry_posting(environment.database, environment.clock, accountant(company), row_id)
    sync_and_check(company)
    assert waiting(company) == set()


def test_a_refund_through_receivables(company: Company) -> None:
    with company.environment.database.write() as conn:
        policies = to_json(replace(link(company).policies, refund="receivables"))
        connections.change_link(conn, link(company).id, policies=policies)
    charge = paid_charge(company)
    company.stripe.request("POST", "/v1/refunds", {"charge": charge, "amount": 3_000})
    sync_and_check(company)
    (memo,) = company.ours("CreditMemo")
    assert (memo["TotalAmt"], memo["Balance"]) == (30, 0)
    zero = next(body for body in company.ours("Payment") if not body["TotalAmt"])
    assert linked(zero) == {"CreditMemo": 30, "Expense": 30}
    assert balance(company, "Accounts Receivable (A/R)") == 0
    assert company.ours("RefundReceipt") == []
