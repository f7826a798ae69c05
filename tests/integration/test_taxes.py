"""A company registered for value added tax: codes are chosen before posting, and every document has one."""

from dataclasses import replace
from typing import Any

import pytest

from reconcile.postings import Mappings
from storage import chart, connections, users
from storage.engine import Database
from storage.records import to_json
from storage.users import User
from sync import commands, mapping
from sync.commands import RefusedError
from tests.integration.conftest import Company, link
from tests.integration.test_rows import balance, sync_and_check, waiting


@pytest.fixture
def database(sqlite_database: Database) -> Database:
    """One kind is enough: nothing here is about SQL."""
    return sqlite_database


@pytest.fixture
def codes(company: Company) -> dict[str, str]:
    """Stripe charges the company 20% on its fees."""
    office = company.stripe.office
    office.account = replace(office.account, fee_tax_bps=2_000)
    found = company.qbo.register_for_vat()
    mapping.read_lists(company.environment, link(company).ledger_id)
    return found


def choose(company: Company, **changes: Any) -> None:
    with company.environment.database.write() as conn:
        mappings = to_json(replace(link(company).mappings, **changes))
        connections.change_link(conn, link(company).id, mappings=mappings)


def choose_all(company: Company, codes: dict[str, str], fees: str) -> None:
    kinds = ("stripe_fee", "payment_method_passthrough_fee")
    choose(
        company,
        sales_tax_code=codes["20.0% S"],
        tax_codes=dict.fromkeys(("invoice", "refund_receipt"), codes["Exempt"]) | {"sales_receipt": codes["20.0% S"]},
        fee_tax_codes=dict.fromkeys(kinds, codes[fees]) | {"tax": codes["No VAT"]},
    )


def invoice(company: Company, customer: str, amount: float, code: str) -> dict[str, Any]:
    detail = {"ItemRef": {"value": "1"}, "TaxCodeRef": {"value": code}}
    line = {"Amount": amount, "DetailType": "SalesItemLineDetail", "SalesItemLineDetail": detail}
    return company.qbo.create("Invoice", {"CustomerRef": {"value": customer}, "DocNumber": "INV-1", "Line": [line]})


@pytest.mark.parametrize(("fees", "reclaimed"), [("20.0% S", True), ("20.0% RC SG", False)])
def test_fees_have_the_code_that_was_chosen_and_stripe_s_own_tax(
    company: Company, codes: dict[str, str], fees: str, reclaimed: bool
) -> None:
    """Domestic: the tax Stripe took is reclaimed. Reverse charge, exempt: what it took all the same is a cost."""
    choose_all(company, codes, fees)
    stripe_customer, customer = company.customer()
    assert invoice(company, customer, 100, codes["20.0% S"])["TotalAmt"] == 120
    intent = company.pay(stripe_customer, 12_000, "Invoice INV-1")
    sync_and_check(company)
    (purchase,) = company.ours("Purchase")
    taken = company.stripe.request("GET", "/v1/balance_transactions")["data"][0]
    tax = next(each["amount"] for each in taken["fee_details"] if each["type"] == "tax")
    lines = [line["AccountBasedExpenseLineDetail"]["TaxCodeRef"]["value"] for line in purchase["Line"]]
    assert round(purchase["TotalAmt"] * 100) == taken["fee"]
    assert round(purchase["TxnTaxDetail"]["TotalTax"] * 100) == (tax if reclaimed else 0)
    assert lines == [codes[fees]] if reclaimed else [codes[fees], codes["No VAT"]]
    assert balance(company, "VAT Control") == (tax if reclaimed else 0) - 2_000

    company.stripe.request("POST", "/v1/refunds", {"charge": intent["latest_charge"], "amount": 6_000})
    sync_and_check(company)
    (receipt,) = company.ours("RefundReceipt")
    assert (receipt["TotalAmt"], receipt["TxnTaxDetail"]["TotalTax"]) == (60, 10)
    assert waiting(company) == set()


def test_a_sale_without_an_invoice_contains_the_tax_of_its_code(company: Company, codes: dict[str, str]) -> None:
    choose_all(company, codes, "Exempt")
    with company.environment.database.write() as conn:
        policies = to_json(replace(link(company).policies, charge_without_invoice="sales_receipt"))
        connections.change_link(conn, link(company).id, policies=policies)
    stripe_customer, _ = company.customer()
    intent = company.pay(stripe_customer, 12_000)
    sync_and_check(company)
    (receipt,) = company.ours("SalesReceipt")
    assert (receipt["TotalAmt"], receipt["TxnTaxDetail"]["TotalTax"]) == (120, 20)
    company.stripe.request("POST", "/v1/refunds", {"charge": intent["latest_charge"]})
    sync_and_check(company)
    (refund,) = company.ours("RefundReceipt")
    assert (refund["TotalAmt"], refund["TxnTaxDetail"]["TotalTax"]) == (120, 20)
    assert balance(company, "VAT Control") == 0
    assert waiting(company) == set()


def test_an_exempt_invoice_is_refunded_exempt(company: Company, codes: dict[str, str]) -> None:
    choose_all(company, codes, "Exempt")
    stripe_customer, customer = company.customer()
    invoice(company, customer, 120, codes["No VAT"])
    intent = company.pay(stripe_customer, 12_000, "Invoice INV-1")
    sync_and_check(company)
    company.stripe.request("POST", "/v1/refunds", {"charge": intent["latest_charge"]})
    sync_and_check(company)
    (receipt,) = company.ours("RefundReceipt")
    assert receipt["Line"][0]["SalesItemLineDetail"]["TaxCodeRef"]["value"] == codes["No VAT"], "not the mapped one"
    assert receipt["TxnTaxDetail"]["TotalTax"] == 0
    assert waiting(company) == set()


def test_without_a_code_nothing_is_posted_and_posting_cannot_be_switched_on(
    company: Company, codes: dict[str, str]
) -> None:
    database, clock = company.environment.database, company.environment.clock
    stripe_customer, customer = company.customer()
    invoice(company, customer, 100, codes["20.0% S"])
    company.pay(stripe_customer, 12_000, "Invoice INV-1")
    sync_and_check(company)
    assert waiting(company) == {"unmapped_tax"}
    with database.write() as conn:
        connections.switch_posting(conn, link(company).id, False)
        connections.record_dry_run(conn, link(company).id, "a@example.com", clock.now())
    accountant = accountant_of(company)
    with pytest.raises(RefusedError, match="needs a tax code"):
        commands.switch_posting(database, clock, accountant, link(company).id, True)
    choose_all(company, codes, "Exempt")
    assert [role.id for role in chart.view(database, link(company).id).missing] == []
    assert commands.switch_posting(database, clock, accountant, link(company).id, True)
    sync_and_check(company)
    assert waiting(company) == set()


def accountant_of(company: Company) -> User:
    with company.environment.database.write() as conn:
        user_id = users.ensure_user(conn, email="a@example.com", name="A", role="accountant")
    return User(id=user_id, email="a@example.com", name="A", role="accountant")


def test_a_company_without_input_tax_is_asked_for_nothing(company: Company) -> None:
    mapping.read_lists(company.environment, link(company).ledger_id)
    view = chart.view(company.environment.database, link(company).id)
    assert {role.id for role in view.roles if role.entity == "tax_code"} == {"sales_tax_code"}
    assert Mappings().fee_tax_codes == {}
    assert view.missing == ()
