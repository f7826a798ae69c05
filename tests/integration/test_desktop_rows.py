"""Rows of the accounting table in QuickBooks Desktop, where they are other documents than Online, held against the
company file.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from emulators.qbd.money import wire
from emulators.stripe import controls
from reconcile.money import to_minor
from reconcile.postings import Policies
from storage import audit, chart, connections, fold, legs, queries
from storage.engine import Database
from storage.records import to_json
from tests import laws
from tests.integration.desktop import Desktop, open_desktop

RECEIVABLE = "Accounts Receivable"


@pytest.fixture
def company(sqlite_database: Database, tmp_path: Path) -> Iterator[Desktop]:
    with open_desktop(sqlite_database, tmp_path) as opened:
        yield opened


def check(company: Desktop, visits: int = 2, **step: float) -> None:
    """Time goes by, visits are made, and the books and the proof agree on every day."""
    company.pass_time(**(step or {"minutes": 1}))
    company.settle(visits)
    environment, file = company.environment, company.file
    with environment.database.read() as conn:
        (link,) = connections.all_links(conn)

    def balance_of(account: str, currency: str, day: date | None) -> int:
        return to_minor(wire(file.company.books.balance(account, day)[0]), currency)

    laws.check_balances(environment, link, company.stripe, balance_of)
    laws.check_legs(environment, link)
    with environment.database.read() as conn:
        assert audit.verify(conn) == []
        assert fold.verify(conn) == []
    markers = company.markers()
    assert len(markers) == len(set(markers))
    assert sum(file.trial_balance().values()) == 0


def waiting(company: Desktop) -> set[str]:
    return {row["reason"] for row in laws.waiting_legs(company.environment)}


def refund(company: Desktop, intent: dict[str, Any], cents: int) -> None:
    company.stripe.request("POST", "/v1/refunds", {"charge": intent["latest_charge"], "amount": cents})


def choose(company: Desktop, policies: Policies) -> None:
    with company.environment.database.write() as conn:
        (link,) = connections.all_links(conn)
        connections.change_link(conn, link.id, policies=to_json(policies))


def applied(payment: dict[str, Any]) -> dict[str, str]:
    return {each["TxnType"]: each["Amount"] for each in payment["AppliedToTxnRet"]}


def test_refunds_use_the_credit_first_and_the_rest_is_a_credit_memo_paid_out(company: Desktop) -> None:
    """Rows 8 and 8c; then 19b: in euros at the rate of the refund."""
    stripe_customer, customer = company.customer()
    invoice = company.invoice(customer, 8_000, "INV-1")
    link = {"metadata": {"qbo_invoice_id": invoice["TxnID"]}}
    intent = company.pay(stripe_customer, 10_000, "Invoice INV-1", **link)
    paris, moreau = company.customer("Atelier Moreau", "Euro")
    company.invoice(moreau, 12_345, "INV-2")
    abroad = company.pay(paris, 12_345, "Invoice INV-2", currency="eur")
    check(company)
    company.stripe.office.rates.usd_ppm["eur"] = 1_101_700
    refund(company, intent, 3_000)
    refund(company, abroad, 3_333)
    check(company)

    (back,) = [body for body in company.ours("Check") if body["PayeeEntityRef"]["ListID"] == customer["ListID"]]
    assert (back["Amount"], back["ExpenseLineRet"][0]["AccountRef"]["FullName"]) == ("20.00", RECEIVABLE)
    payments = {body["CustomerRef"]["ListID"]: body for body in company.ours("ReceivePayment")}
    assert applied(payments[customer["ListID"]]) == {"Invoice": "80.00", "Check": "20.00"}
    assert payments[customer["ListID"]]["UnusedPayment"] == "0.00"
    memos = {body["CustomerRef"]["ListID"]: body for body in company.ours("CreditMemo")}
    refunds = {body["CustomerRef"]["ListID"]: body for body in company.ours("ARRefundCreditCard")}
    for payer, amount in ((customer, "10.00"), (moreau, "33.33")):
        memo, paid = memos[payer["ListID"]], refunds[payer["ListID"]]
        assert (memo["TotalAmount"], memo["CreditRemaining"], paid["TotalAmount"]) == (amount, "0.00", amount)
        assert memo["ExchangeRate"] == paid["ExchangeRate"]
    assert refunds[moreau["ListID"]]["TotalAmountInHomeCurrency"] == "36.72"  # 33.33 at 1.1017
    assert payments[moreau["ListID"]]["ExchangeRate"] != refunds[moreau["ListID"]]["ExchangeRate"]
    assert (company.balance(RECEIVABLE), company.balance(f"{RECEIVABLE} - EUR")) == (0, 0)
    company.file.set(auto_apply=True)  # read with the next visit; what we applied ourselves is not taken for it
    check(company, days=8)
    assert company.balance("Stripe Clearing") == 0
    assert waiting(company) == set()
    (finding,) = queries.odd(company.environment.database, 1)
    assert finding.code == "applies_by_itself"
    assert "Preferences, Payments" in finding.text


def test_a_refund_gives_back_its_part_of_the_sales_tax_and_none_where_there_was_none(company: Desktop) -> None:
    """Row 8 in a company that charges sales tax on whatever does not say otherwise; and row 6 with Stripe's tax."""
    tax_item = company.file.add("ItemSalesTax", {"Name": "New York", "TaxRate": "8.875"})["ListID"]
    company.file.set(sales_tax=tax_item)
    stripe_customer, customer = company.customer()
    taxed = company.invoice(customer, 10_000, "INV-1")
    assert taxed["SalesTaxTotal"] == "8.88"
    line = {"ItemRef": {"FullName": "Services"}, "Amount": "70.00", "SalesTaxCodeRef": {"FullName": "Non"}}
    head = {"CustomerRef": {"ListID": customer["ListID"]}, "RefNumber": "INV-2", "InvoiceLineAdd": [line]}
    company.file.add("Invoice", head)
    charges = [
        company.pay(stripe_customer, cents, f"Invoice {number}")
        for number, cents in (("INV-1", 10_888), ("INV-2", 7_000))
    ]
    check(company)
    refund(company, charges[0], 3_333)
    refund(company, charges[1], 1_000)
    check(company)

    memos = {body["TotalAmount"]: body for body in company.ours("CreditMemo")}
    assert {total: body["CreditRemaining"] for total, body in memos.items()} == {"33.33": "0.00", "10.00": "0.00"}
    assert (memos["33.33"]["SalesTaxTotal"], memos["10.00"]["SalesTaxTotal"]) == ("2.72", "0.00")
    assert sorted(body["TotalAmount"] for body in company.ours("ARRefundCreditCard")) == ["10.00", "33.33"]
    assert company.balance("Sales Tax Payable") == -888 + 272
    assert company.balance(RECEIVABLE) == 0

    assert [each.name for each in chart.view(company.environment.database, 1).chart.tax_codes.values()] == ["New York"]
    bill(company, stripe_customer, 20_000, tax=1_775)
    choose(company, replace(Policies(), stripe_invoice="create"))
    with company.environment.database.write() as conn:
        (link,) = connections.all_links(conn)
        connections.change_link(conn, link.id, mappings=to_json(replace(link.mappings, sales_tax_code=tax_item)))
    check(company)
    (made,) = company.ours("Invoice")
    assert (made["Subtotal"], made["SalesTaxTotal"], made["BalanceRemaining"]) == ("200.00", "17.75", "0.00")
    assert company.balance("Sales Tax Payable") == -888 + 272 - 1_775
    assert waiting(company) == set()


def bill(company: Desktop, stripe_customer: str, cents: int, tax: int) -> None:
    """An invoice that Stripe wrote, and that is paid."""
    terms = {"customer": stripe_customer, "collection_method": "charge_automatically"}
    draft = company.stripe.request("POST", "/v1/invoices", terms)["id"]
    rate = {"percentage": "8.875", "display_name": "Tax"}
    taxes = [{"amount": tax, "taxable_amount": cents, "tax_rate_data": rate}]
    lines = [{"amount": cents, "description": "Plan, monthly", "tax_amounts": taxes}]
    company.stripe.request("POST", f"/v1/invoices/{draft}/add_lines", {"lines": lines})
    company.stripe.request("POST", f"/v1/invoices/{draft}/pay", {"payment_method": "pm_card_visa"})


@pytest.mark.parametrize("takes", [True, pytest.param(False, marks=pytest.mark.soak)], ids=["moved", "refused"])
def test_a_bank_debit_that_fails_opens_the_invoice_again(company: Desktop, takes: bool) -> None:
    """Row 10. Where QuickBooks will not set a payment against a check, the check stays open, with the reason shown."""
    company.file.switches.checks_take_credits = takes
    stripe_customer, customer = company.customer()
    invoice = company.invoice(customer, 10_000, "INV-1")
    intent = company.pay(stripe_customer, 10_000, "Invoice INV-1", payment_method="pm_usBankAccount_success")
    check(company, days=8)
    assert company.now("Invoice", invoice)["BalanceRemaining"] == "0.00"
    controls.use(company.stripe, "charge_failures", {"charge": intent["latest_charge"]})
    check(company, visits=2 if takes else 4)

    (payment,) = company.ours("ReceivePayment")
    assert applied(payment) == ({"Check": "100.00"} if takes else {"Invoice": "100.00"})
    assert company.now("Invoice", invoice)["BalanceRemaining"] == ("100.00" if takes else "0.00")
    assert company.balance(RECEIVABLE) == 10_000
    assert waiting(company) == (set() if takes else {"refused"})


def test_stripe_s_invoices_and_credit_notes(company: Desktop) -> None:
    """Row 6: an invoice Stripe wrote, with what it took off; row 26: a credit note of an invoice of the books."""
    choose(company, replace(Policies(), stripe_invoice="create"))
    stripe_customer, customer = company.customer()
    invoice = company.invoice(customer, 10_000, "INV-1")
    terms = {"customer": stripe_customer, "collection_method": "send_invoice", "days_until_due": 30}
    ids = []
    for metadata, lines in (
        ({"qbo_invoice_id": invoice["TxnID"]}, [(10_000, "Design")]),
        ({}, [(12_500, "Plan, monthly"), (-2_500, "Unused time on the old plan")]),
    ):
        draft = company.stripe.request("POST", "/v1/invoices", terms | {"metadata": metadata})["id"]
        rows = [{"amount": amount, "description": text} for amount, text in lines]
        company.stripe.request("POST", f"/v1/invoices/{draft}/add_lines", {"lines": rows})
        company.stripe.request("POST", f"/v1/invoices/{draft}/finalize")
        ids.append(draft)
    note = company.stripe.request("POST", "/v1/credit_notes", {"invoice": ids[0], "amount": 2_500})
    company.stripe.request("POST", f"/v1/invoices/{ids[1]}/pay", {"payment_method": "pm_card_visa"})
    check(company)

    (made,) = company.ours("Invoice")
    assert [line["Amount"] for line in made["InvoiceLineRet"]] == ["125.00", "-25.00"]
    assert (made["Subtotal"], made["BalanceRemaining"]) == ("100.00", "0.00")
    (memo,) = company.ours("CreditMemo")
    assert (memo["TotalAmount"], memo["CreditRemaining"], memo["RefNumber"]) == ("25.00", "0.00", note["number"][-11:])
    assert company.now("Invoice", invoice)["BalanceRemaining"] == "75.00"
    assert company.balance(RECEIVABLE) == 7_500

    company.stripe.request("POST", f"/v1/invoices/{ids[0]}/pay", {"payment_method": "pm_card_visa"})
    check(company, days=8)
    assert company.balance(RECEIVABLE) == 0
    assert (len(company.ours("CreditMemo")), len(company.ours("Invoice"))) == (1, 1)
    assert waiting(company) == set()
    with company.environment.database.read() as conn:
        assert legs.any_undecided(conn, 1) is False


def test_money_for_an_invoice_that_a_credit_closed_waits_for_a_person(company: Desktop) -> None:
    """Row 27: applied in QuickBooks, which keeps no document of that; the credit memo shows it."""
    stripe_customer, customer = company.customer()
    invoice = company.invoice(customer, 10_000, "INV-1")
    head = {"CustomerRef": {"ListID": customer["ListID"]}}
    line = {"ItemRef": {"FullName": "Services"}, "Amount": "100.00"}
    memo = company.file.add("CreditMemo", head | {"CreditMemoLineAdd": [line]})
    credit = {"CreditTxnID": memo["TxnID"], "AppliedAmount": "100.00"}
    used = {"TotalAmount": "0.00", "AppliedToTxnAdd": [{"TxnID": invoice["TxnID"], "SetCredit": [credit]}]}
    company.file.add("ReceivePayment", head | used)
    assert company.now("Invoice", invoice)["BalanceRemaining"] == "0.00"
    company.pay(stripe_customer, 10_000, "Invoice INV-1", metadata={"qbo_invoice_id": invoice["TxnID"]})
    check(company, visits=1)
    assert waiting(company) >= {"written_off"}
    assert company.ours("ReceivePayment") == []
