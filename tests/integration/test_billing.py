"""Row 6: invoices Stripe wrote that are not in the books, made there by policy, held against the books."""

from dataclasses import replace

import pytest

from storage import connections
from storage.engine import Database
from storage.records import to_json
from tests.integration.conftest import Company, link
from tests.integration.test_rows import balance, linked, sync_and_check, waiting


@pytest.fixture
def database(sqlite_database: Database) -> Database:
    """One kind is enough: nothing here is about SQL."""
    return sqlite_database


@pytest.fixture
def billed(company: Company) -> str:
    """A company that has Stripe's invoices made in the books; one of two lines and tax is paid there. Its charge."""
    with company.environment.database.write() as conn:
        policies = to_json(replace(link(company).policies, stripe_invoice="create"))
        connections.change_link(conn, link(company).id, policies=policies)
    stripe_customer, _ = company.customer()
    more = {"customer": stripe_customer, "currency": "usd", "collection_method": "charge_automatically"}
    draft = company.stripe.request("POST", "/v1/invoices", more)
    tax = [{"amount": 825, "taxable_amount": 10_000, "tax_rate_data": {"percentage": "8.25", "display_name": "Tax"}}]
    lines = [
        {"amount": 12_500, "description": "Plan, monthly", "tax_amounts": tax},
        {"amount": -2_500, "description": "Unused time on the old plan"},
    ]
    company.stripe.request("POST", f"/v1/invoices/{draft['id']}/add_lines", {"lines": lines})
    company.stripe.request("POST", f"/v1/invoices/{draft['id']}/pay", {"payment_method": "pm_card_visa"})
    return str(company.stripe.request("GET", "/v1/charges")["data"][0]["id"])


def test_a_stripe_invoice_is_made_in_the_books_and_paid(company: Company, billed: str) -> None:
    sync_and_check(company)
    (invoice,) = company.ours("Invoice")
    assert (invoice["TotalAmt"], invoice["Balance"], invoice["TxnTaxDetail"]["TotalTax"]) == (108.25, 0, 8.25)
    assert [line["Amount"] for line in invoice["Line"]] == [125, -25, 100]
    (payment,) = company.ours("Payment")
    assert linked(payment) == {"Invoice": 108.25}
    assert balance(company, "Accounts Receivable (A/R)") == 0
    assert balance(company, "Sales Tax Payable") == -825
    assert waiting(company) == set()

    company.stripe.request("POST", "/v1/refunds", {"charge": billed})
    sync_and_check(company)
    assert balance(company, "Sales Tax Payable") == 0
    assert len(company.ours("Invoice")) == 1


def test_tax_without_a_code_for_it_waits(company: Company, billed: str) -> None:
    assert billed
    with company.environment.database.write() as conn:
        mappings = to_json(replace(link(company).mappings, sales_tax_code=None))
        connections.change_link(conn, link(company).id, mappings=mappings)
    sync_and_check(company)
    assert company.ours("Invoice") == company.ours("Payment") == []
    assert waiting(company) == {"unmapped_tax", "waits_with_charge"}  # its fee too
