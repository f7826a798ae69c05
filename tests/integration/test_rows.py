"""Rows of the accounting table through both wire formats, each held against the laws in the emulated books."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from emulators.stripe import controls
from reconcile.postings import ROLES
from tests import laws
from tests.integration.conftest import Company


def use(company: Company, control: str, **arguments: Any) -> dict[str, Any]:
    return controls.use(company.stripe, control, arguments)


def paid_charge(company: Company, amount: int = 10_000, **more: Any) -> str:
    """A charge that is in the books."""
    stripe_customer, customer = company.customer()
    company.invoice(customer, amount, "INV-1")
    intent = company.pay(stripe_customer, amount, "Invoice INV-1", **more)
    company.pass_time(minutes=1)
    company.sync()
    return str(intent["latest_charge"])


def balance(company: Company, name: str) -> int:
    """What is on an account, debits above zero."""
    (account,) = [each for each in company.books("Account") if each["Name"] == name]
    return company.qbo.account_balance(account["Id"])


def sync_and_check(company: Company, **step: float) -> None:
    company.pass_time(**(step or {"minutes": 1}))
    company.sync()
    laws.check(company.environment, company.stripe, company.qbo)


def linked(payment: dict[str, Any]) -> dict[str, float]:
    """What a payment is applied to, by kind of document."""
    found: Counter[str] = Counter()
    for line in payment["Line"]:
        found[line["LinkedTxn"][0]["TxnType"]] += line["Amount"]
    return dict(found)


def waiting(company: Company) -> set[str]:
    return {row["reason"] for row in laws.waiting_legs(company.environment)}


def test_a_dispute_that_is_lost(company: Company) -> None:
    charge = paid_charge(company)
    dispute = use(company, "disputes", charge=charge)
    sync_and_check(company)
    assert balance(company, ROLES["disputes_receivable"]) == 10_000
    assert balance(company, ROLES["dispute_fees"]) == 1_500

    use(company, "dispute_losses", dispute=dispute["id"])
    sync_and_check(company, days=2)
    assert balance(company, ROLES["disputes_receivable"]) == 0
    assert balance(company, ROLES["dispute_losses"]) == 10_000
    company.sync()
    assert len(company.ours("JournalEntry")) == 2


@pytest.mark.parametrize(("returned", "kept"), [(True, 0), (False, 1_500)])
def test_a_dispute_that_is_won(company: Company, returned: bool, kept: int) -> None:
    company.stripe.office.account = replace(company.stripe.office.account, dispute_fee_returned=returned)
    dispute = use(company, "disputes", charge=paid_charge(company))
    sync_and_check(company)
    use(company, "dispute_wins", dispute=dispute["id"])
    sync_and_check(company)
    assert balance(company, ROLES["disputes_receivable"]) == 0
    assert balance(company, ROLES["dispute_losses"]) == 0
    assert balance(company, ROLES["dispute_fees"]) == kept


def test_disputes_that_are_won_in_part_one_after_another(company: Company) -> None:
    charge = paid_charge(company)
    first = use(company, "disputes", charge=charge, amount=4_000)
    use(company, "dispute_wins", dispute=first["id"], amount=3_000)
    second = use(company, "disputes", charge=charge, amount=5_000)
    sync_and_check(company)
    assert balance(company, ROLES["disputes_receivable"]) == 5_000
    use(company, "dispute_losses", dispute=second["id"])
    sync_and_check(company)
    assert balance(company, ROLES["disputes_receivable"]) == 0
    assert balance(company, ROLES["dispute_losses"]) == 6_000


def test_an_appeal_that_is_won_after_the_dispute_was_lost(company: Company) -> None:
    dispute = use(company, "disputes", charge=paid_charge(company))
    use(company, "dispute_losses", dispute=dispute["id"])
    sync_and_check(company)
    assert balance(company, ROLES["dispute_losses"]) == 10_000
    more = {"type": "adjustment", "category": "dispute_reversal", "source": dispute["id"]}
    use(company, "balance_transactions", amount=10_000, **more)
    sync_and_check(company)
    assert balance(company, ROLES["disputes_receivable"]) == 0
    assert balance(company, ROLES["dispute_losses"]) == 0


def test_an_inquiry_moves_nothing_and_counter_fees_are_fees(company: Company) -> None:
    charge = paid_charge(company)
    dispute = use(company, "disputes", charge=charge, inquiry=True)
    sync_and_check(company)
    assert company.ours("JournalEntry") == []
    use(company, "dispute_escalations", dispute=dispute["id"])
    more = {"type": "adjustment", "category": "dispute", "source": dispute["id"]}
    counter = use(company, "balance_transactions", amount=0, fee=1_500, **more)
    stored = company.stripe.office.get("dispute", dispute["id"])
    stored["balance_transactions"] = [*stored["balance_transactions"], counter["id"]]
    company.stripe.office.save(stored)
    sync_and_check(company)
    assert balance(company, ROLES["disputes_receivable"]) == 10_000
    assert balance(company, ROLES["dispute_fees"]) == 3_000
    use(company, "dispute_losses", dispute=dispute["id"])
    sync_and_check(company)
    assert balance(company, ROLES["dispute_losses"]) == 10_000


def test_bills_and_credits_of_stripe(company: Company) -> None:
    company.sync()
    use(company, "balance_transactions", amount=-4_000, type="stripe_fee", category="fee", description="Billing")
    use(company, "balance_transactions", amount=-50, type="stripe_fx_fee", category="fee")
    use(company, "balance_transactions", amount=-300, type="network_cost", category="network_cost")
    use(company, "balance_transactions", amount=-60, type="tax_fee", category="tax")
    use(company, "balance_transactions", amount=0, fee=25, fee_type="tax", type="stripe_fee", category="fee")
    use(company, "balance_transactions", amount=1_000, type="stripe_fee", category="fee", description="Goodwill")
    sync_and_check(company)
    assert sorted(body["TotalAmt"] for body in company.ours("Purchase")) == [0.25, 0.5, 0.6, 3, 40]
    assert [body["TotalAmt"] for body in company.ours("Deposit")] == [10]
    assert balance(company, "Stripe fees") == 3_435
    assert waiting(company) == set()


def test_a_payout_that_fails_after_it_was_paid(company: Company) -> None:
    paid_charge(company)
    sync_and_check(company, days=8)
    (transfer,) = company.ours("Transfer")
    (payout,) = company.stripe.request("GET", "/v1/payouts")["data"]
    use(company, "payout_failures", payout=payout["id"])
    sync_and_check(company)
    back = next(body for body in company.ours("Transfer") if body["Id"] != transfer["Id"])
    assert back["Amount"] == transfer["Amount"]
    assert (back["FromAccountRef"], back["ToAccountRef"]) == (transfer["ToAccountRef"], transfer["FromAccountRef"])
    sync_and_check(company, days=8)  # the next one takes the money with it
    assert balance(company, "Stripe clearing") == 0


def test_a_payout_that_fails_before_it_was_paid_leaves_no_trace(company: Company) -> None:
    paid_charge(company)
    while not company.stripe.request("GET", "/v1/payouts")["data"]:
        company.pass_time(hours=6)
    (payout,) = company.stripe.request("GET", "/v1/payouts")["data"]
    sync_and_check(company)
    use(company, "payout_failures", payout=payout["id"])
    sync_and_check(company)
    assert company.ours("Transfer") == []
    assert waiting(company) == set()


def test_a_negative_payout_and_topups(company: Company) -> None:
    account = replace(company.stripe.office.account, debit_negative_balances=True)
    company.stripe.office.account = account
    company.sync()
    use(company, "balance_transactions", amount=-4_000, type="stripe_fee", category="fee")
    sync_and_check(company, days=8)
    (transfer,) = company.ours("Transfer")
    assert (transfer["Amount"], transfer["FromAccountRef"]["name"]) == (40, "Checking")
    use(company, "balance_transactions", amount=9_000, type="topup", category="topup", source="tu_1Emulated000001")
    use(
        company,
        "balance_transactions",
        amount=-2_000,
        type="topup_reversal",
        category="topup_reversal",
        source="tu_1Emulated000001",
    )
    sync_and_check(company)
    assert balance(company, "Stripe clearing") == 7_000


def test_a_refund_that_fails(company: Company) -> None:
    charge = paid_charge(company)
    refund = company.stripe.request("POST", "/v1/refunds", {"charge": charge, "amount": 3_000})
    sync_and_check(company)
    assert len(company.ours("RefundReceipt")) == 1
    use(company, "refund_failures", refund=refund["id"])
    sync_and_check(company, days=1)
    assert balance(company, ROLES["refunds_owed"]) == -3_000


def test_a_refund_that_fails_before_it_is_in_the_books(company: Company) -> None:
    charge = paid_charge(company)
    refund = company.stripe.request("POST", "/v1/refunds", {"charge": charge, "amount": 3_000})
    use(company, "refund_failures", refund=refund["id"])
    sync_and_check(company)
    assert company.ours("RefundReceipt") == company.ours("JournalEntry") == []
    assert waiting(company) == set()


def test_a_bank_debit_that_fails_after_it_succeeded(company: Company) -> None:
    debit = {"payment_method": "pm_usBankAccount_success", "payment_method_types": None}
    del debit["payment_method_types"]
    stripe_customer, customer = company.customer()
    invoice = company.invoice(customer, 10_000, "INV-1")
    intent = company.pay(stripe_customer, 10_000, "Invoice INV-1", **debit)
    sync_and_check(company, days=8)
    assert len(company.ours("Payment")) == 1
    use(company, "charge_failures", charge=intent["latest_charge"])
    sync_and_check(company)
    assert balance(company, "Accounts Receivable (A/R)") == 10_000
    assert company.qbo.read("Customer", customer)["Balance"] == 100
    assert company.qbo.read("Invoice", invoice["Id"])["Balance"] == 100
    assert linked(company.ours("Payment")[0]) == {"Expense": 100}
    assert waiting(company) == set()


def test_a_reserve_and_a_minimum_balance(company: Company) -> None:
    paid_charge(company, 100_000)
    for balance_type, sign in (("payments", -1), ("risk_reserved", 1)):
        more = {"type": "reserve_hold", "category": "risk_reserved_funds", "balance_type": balance_type}
        use(company, "balance_transactions", amount=sign * 50_000, **more)
    use(company, "balance_transactions", amount=-700, type="payout_minimum_balance_hold", category="other_adjustment")
    sync_and_check(company)
    assert balance(company, ROLES["reserve"]) == 50_000
    assert waiting(company) == {"minimum_balance"}
    for balance_type, sign in (("payments", 1), ("risk_reserved", -1)):
        more = {"type": "reserve_release", "category": "risk_reserved_funds", "balance_type": balance_type}
        use(company, "balance_transactions", amount=sign * 50_000, **more)
    use(company, "balance_transactions", amount=700, type="payout_minimum_balance_release", category="other_adjustment")
    sync_and_check(company, days=1)
    assert balance(company, ROLES["reserve"]) == 0
    assert waiting(company) == set()


def test_a_refund_of_an_overpayment_uses_the_credit_first(company: Company) -> None:
    stripe_customer, customer = company.customer()
    invoice = company.invoice(customer, 8_000, "INV-1")
    link = {"metadata": {"qbo_invoice_id": invoice["Id"]}}
    intent = company.pay(stripe_customer, 10_000, "Invoice INV-1", **link)
    company.pass_time(minutes=1)
    company.sync()
    for amount in (1_500, 1_500):
        company.stripe.request("POST", "/v1/refunds", {"charge": intent["latest_charge"], "amount": amount})
        sync_and_check(company)
    to_customer = [body for body in company.ours("Purchase") if body["EntityRef"]["type"] == "Customer"]
    assert sorted(body["TotalAmt"] for body in to_customer) == [5, 15]
    assert [body["TotalAmt"] for body in company.ours("RefundReceipt")] == [10]
    assert company.qbo.read("Customer", customer)["Balance"] == 0
    (payment,) = company.ours("Payment")
    assert payment["UnappliedAmt"] == 0
    assert linked(payment) == {"Invoice": 80, "Expense": 20}
    assert waiting(company) == set()


def euro_customer(company: Company) -> tuple[str, str]:
    there = company.stripe.request("POST", "/v1/customers", {"name": "Atelier Brun", "email": "ap@brun.example"})
    name = {"DisplayName": "Atelier Brun", "PrimaryEmailAddr": {"Address": "ap@brun.example"}}
    here = company.qbo.create("Customer", name | {"CurrencyRef": {"value": "EUR"}})
    return there["id"], here["Id"]


def test_a_euro_invoice_settled_in_dollars_and_refunded(company: Company) -> None:
    stripe_customer, customer = euro_customer(company)
    invoice = company.invoice(customer, 12_345, "INV-1")
    intent = company.pay(stripe_customer, 12_345, "Invoice INV-1", currency="eur")
    sync_and_check(company)
    (payment,) = company.ours("Payment")
    assert (payment["CurrencyRef"]["value"], payment["TotalAmt"]) == ("EUR", 123.45)
    assert company.qbo.read("Invoice", invoice["Id"])["Balance"] == 0

    company.stripe.office.rates.usd_ppm["eur"] = 1_101_700
    company.stripe.request("POST", "/v1/refunds", {"charge": intent["latest_charge"], "amount": 3_333})
    sync_and_check(company)
    (receipt,) = company.ours("RefundReceipt")
    assert (receipt["CurrencyRef"]["value"], receipt["TotalAmt"]) == ("EUR", 33.33)
    sync_and_check(company, days=8)
    assert balance(company, "Stripe clearing") == 0
    assert waiting(company) == set()


def test_a_refund_of_a_taxed_invoice(company: Company) -> None:
    stripe_customer, customer = company.customer()
    item = {"ItemRef": {"value": "1"}, "TaxCodeRef": {"value": "TAX"}}
    line = {"Amount": 100, "DetailType": "SalesItemLineDetail", "SalesItemLineDetail": item}
    body = {"CustomerRef": {"value": customer}, "DocNumber": "INV-1", "Line": [line]}
    company.qbo.create("Invoice", body | {"TxnTaxDetail": {"TotalTax": 8.25}})
    intent = company.pay(stripe_customer, 10_825, "Invoice INV-1")
    sync_and_check(company)
    assert balance(company, "Sales Tax Payable") == -825
    company.stripe.request("POST", "/v1/refunds", {"charge": intent["latest_charge"]})
    sync_and_check(company)
    assert [body["TotalAmt"] for body in company.ours("RefundReceipt")] == [108.25]
    assert balance(company, "Sales Tax Payable") == 0
    assert waiting(company) == set()
