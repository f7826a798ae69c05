"""Rows 25 and 27, and what QuickBooks applies by itself: settled, but not by a Stripe payment that pays the invoice."""

from typing import Any

import pytest

from storage import findings
from storage.engine import Database
from tests.integration.conftest import Company, link
from tests.integration.test_credit_notes import invoiced
from tests.integration.test_findings import found
from tests.integration.test_rows import balance, sync_and_check, waiting


@pytest.fixture
def database(sqlite_database: Database) -> Database:
    """One kind is enough: nothing here is about SQL."""
    return sqlite_database


def apply_by_itself(company: Company, **switches: bool) -> None:
    preferences = company.books("Preferences")[0]
    head = {"Id": preferences["Id"], "SyncToken": preferences["SyncToken"], "sparse": True}
    company.qbo.update("Preferences", head | {"SalesFormsPrefs": switches})


def credit_memo(company: Company, customer: str, amount: int) -> dict[str, Any]:
    line = {
        "Amount": amount,
        "DetailType": "SalesItemLineDetail",
        "SalesItemLineDetail": {"ItemRef": {"value": "1"}},
    }
    return company.qbo.create("CreditMemo", {"CustomerRef": {"value": customer}, "Line": [line]})


def close_with(company: Company, invoice: dict[str, Any], memo: dict[str, Any]) -> None:
    lines = [
        {"Amount": memo["TotalAmt"], "LinkedTxn": [{"TxnId": each["Id"], "TxnType": kind}]}
        for each, kind in ((memo, "CreditMemo"), (invoice, "Invoice"))
    ]
    company.qbo.create("Payment", {"CustomerRef": invoice["CustomerRef"], "TotalAmt": 0, "Line": lines})


def test_what_was_paid_outside_of_stripe_is_shown_until_quickbooks_knows_of_it(company: Company) -> None:
    """Two invoices: one that QuickBooks has, one that it has not. A third is from before the cut-over."""
    invoice, there, customer = invoiced(company)
    terms = {"collection_method": "send_invoice", "days_until_due": 30}
    person = company.stripe.request("POST", "/v1/customers", {"name": "Red Foods", "email": "ap@red.example"})["id"]
    alone = company.stripe.request("POST", "/v1/invoices", terms | {"customer": person})["id"]
    company.stripe.request("POST", f"/v1/invoices/{alone}/add_lines", {"lines": [{"amount": 900, "description": "A"}]})
    company.stripe.request("POST", f"/v1/invoices/{alone}/finalize")
    company.sync()
    assert found(company) == {}
    for each in (there, alone):
        company.stripe.request("POST", f"/v1/invoices/{each}/pay", {"paid_out_of_band": "true"})
    sync_and_check(company)
    with company.environment.database.read() as conn:
        shown = {each.id: each for each in findings.standing(conn, link(company).id)}
    assert set(shown) == {f"settled_outside:{there}", f"settled_outside:{alone}"}
    assert "100.00 USD of invoice INV-1" in shown[f"settled_outside:{there}"].text
    assert "no such invoice" in shown[f"settled_outside:{alone}"].text
    assert balance(company, "Stripe clearing") == 0
    assert company.ours("Payment") == []

    line = {"Amount": 100, "LinkedTxn": [{"TxnId": invoice["Id"], "TxnType": "Invoice"}]}
    company.qbo.create("Payment", {"CustomerRef": {"value": customer}, "TotalAmt": 100, "Line": [line]})
    sync_and_check(company)
    assert {each.document_id for each in found(company).values()} == {f"processor_invoice:{alone}"}


def test_an_invoice_paid_from_the_customer_s_balance_is_shown(company: Company) -> None:
    stripe_customer, customer = company.customer()
    invoice = company.invoice(customer, 10_000, "INV-1")
    company.stripe.request("POST", f"/v1/customers/{stripe_customer}", {"balance": -10_000})
    terms = {"customer": stripe_customer, "collection_method": "send_invoice", "days_until_due": 30}
    draft = company.stripe.request("POST", "/v1/invoices", terms | {"metadata": {"qbo_invoice_id": invoice["Id"]}})
    lines = {"lines": [{"amount": 10_000, "description": "Design"}]}
    company.stripe.request("POST", f"/v1/invoices/{draft['id']}/add_lines", lines)
    final = company.stripe.request("POST", f"/v1/invoices/{draft['id']}/finalize")
    assert (final["status"], final["amount_due"]) == ("paid", 0)
    sync_and_check(company)
    (finding,) = found(company).values()
    assert (finding.code, finding.amount_minor) == ("settled_outside", 10_000)
    assert company.ours("Payment") == []


def test_money_for_an_invoice_that_was_written_off_waits_as_a_recovery(company: Company) -> None:
    invoice, there, customer = invoiced(company)
    close_with(company, invoice, credit_memo(company, customer, 100))
    company.sync()
    company.stripe.request("POST", f"/v1/invoices/{there}/pay", {"payment_method": "pm_card_visa"})
    sync_and_check(company)
    assert "written_off" in waiting(company)
    assert company.ours("Payment") == []


def test_what_quickbooks_applies_by_itself_is_shown_and_a_refund_uses_only_what_is_left(company: Company) -> None:
    apply_by_itself(company, AutoApplyPayments=True)
    stripe_customer, customer = company.customer()
    invoice = company.invoice(customer, 10_000, "INV-1")
    other = company.invoice(customer, 2_000, "INV-2")
    intent = company.pay(stripe_customer, 13_000, metadata={"qbo_invoice_id": invoice["Id"]})
    sync_and_check(company)
    assert company.qbo.read("Invoice", other["Id"])["Balance"] == 0, "nobody asked for that"
    assert company.ours("Payment")[0]["UnappliedAmt"] == 10
    unasked = found(company)["applied_unasked"]
    assert "20.00 USD" in unasked.text

    company.stripe.request("POST", "/v1/refunds", {"charge": intent["latest_charge"], "amount": 3_000})
    sync_and_check(company)
    assert [body["TotalAmt"] for body in company.ours("RefundReceipt")] == [20]
    assert sorted(body["TotalAmt"] for body in company.ours("Purchase"))[-1] == 10
    assert waiting(company) == set()


def test_a_credit_note_whose_credit_quickbooks_used_elsewhere_waits_and_says_so(company: Company) -> None:
    apply_by_itself(company, AutoApplyCredit=True)
    _, there, customer = invoiced(company)
    company.qbo.update("Invoice", company.invoice(customer, 5_000, "INV-0") | {"TxnDate": "2026-01-02"})
    company.stripe.request("POST", "/v1/credit_notes", {"invoice": there, "amount": 2_500})
    company.sync()
    company.sync()
    (memo,) = company.ours("CreditMemo")
    assert memo["RemainingCredit"] == 0
    unasked = found(company)["applied_unasked"]
    assert unasked.document_id == f"credit_memo:{memo['Id']}"
