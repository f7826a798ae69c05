"""Rows 19, 20 and 20b: money in other currencies, held against the emulated books."""

from dataclasses import replace

import pytest

from reconcile.postings import ROLES
from storage.engine import Database
from sync.connecting import add_currency
from tests.integration.conftest import Company, link
from tests.integration.test_rows import balance, sync_and_check, use, waiting

EUR_BANK = "Euro account"


@pytest.fixture
def database(sqlite_database: Database) -> Database:
    """One kind is enough: nothing here is about SQL."""
    return sqlite_database


@pytest.fixture
def euros(company: Company) -> Company:
    """A company of dollars that lets Stripe keep euros."""
    office = company.stripe.office
    office.account = replace(office.account, settlement_currencies=("usd", "eur"))
    company.qbo.create("Account", {"Name": EUR_BANK, "AccountType": "Bank", "CurrencyRef": {"value": "EUR"}})
    add_currency(company.environment, link(company).id, "EUR", "test")
    return company


def customer(company: Company, currency: str) -> tuple[str, str]:
    name, email = f"Atelier {currency}", f"ap@{currency.lower()}.example"
    there = company.stripe.request("POST", "/v1/customers", {"name": name, "email": email})
    body = {"DisplayName": name, "PrimaryEmailAddr": {"Address": email}, "CurrencyRef": {"value": currency}}
    return there["id"], company.qbo.create("Customer", body)["Id"]


def test_a_euro_balance_from_charge_to_payout(euros: Company) -> None:
    stripe_customer, here = customer(euros, "EUR")
    invoice = euros.invoice(here, 10_000, "INV-1")
    euros.qbo.create("ExchangeRate", {"SourceCurrencyCode": "EUR", "Rate": 1.1, "AsOfDate": invoice["TxnDate"]})
    intent = euros.pay(stripe_customer, 10_000, "Invoice INV-1", currency="eur")
    sync_and_check(euros)
    (payment,) = euros.ours("Payment")
    (fee,) = euros.ours("Purchase")
    assert (payment["CurrencyRef"]["value"], payment["TotalAmt"], payment["ExchangeRate"]) == ("EUR", 100, 1.1)
    assert (fee["CurrencyRef"]["value"], fee["EntityRef"]["name"], fee["ExchangeRate"]) == ("EUR", "Stripe (EUR)", 1.1)
    assert euros.qbo.read("Invoice", invoice["Id"])["Balance"] == 0

    euros.stripe.request("POST", "/v1/refunds", {"charge": intent["latest_charge"], "amount": 3_000})
    sync_and_check(euros, days=8)
    (receipt,) = euros.ours("RefundReceipt")
    assert (receipt["CurrencyRef"]["value"], receipt["TotalAmt"]) == ("EUR", 30)
    (transfer,) = euros.ours("Transfer")
    assert transfer["CurrencyRef"]["value"] == "EUR"
    assert balance(euros, "Stripe clearing (EUR)") == 0
    assert balance(euros, EUR_BANK) == 10_000 - 3_000 - round(fee["TotalAmt"] * 100)
    assert balance(euros, "Stripe clearing") == 0
    assert waiting(euros) == set()


def test_a_dispute_in_euros_leaves_its_rates_with_exchange_gains(euros: Company) -> None:
    stripe_customer, here = customer(euros, "EUR")
    euros.invoice(here, 10_000, "INV-1")
    euros.qbo.create("ExchangeRate", {"SourceCurrencyCode": "EUR", "Rate": 1.1})
    intent = euros.pay(stripe_customer, 10_000, "Invoice INV-1", currency="eur")
    sync_and_check(euros)
    dispute = use(euros, "disputes", charge=intent["latest_charge"])
    sync_and_check(euros)
    assert balance(euros, ROLES["disputes_receivable"]) == 11_000
    euros.pass_time(days=2)
    euros.qbo.create("ExchangeRate", {"SourceCurrencyCode": "EUR", "Rate": 1.2})
    use(euros, "dispute_wins", dispute=dispute["id"], amount=6_000)
    sync_and_check(euros)
    assert balance(euros, ROLES["disputes_receivable"]) == 0
    assert balance(euros, ROLES["dispute_losses"]) == 4_400  # 40.00 EUR at the rate they were taken at
    assert waiting(euros) == set()


@pytest.mark.parametrize("currency", ["GBP", "USD"])
def test_a_charge_settled_into_a_third_currency_goes_over_the_bridge(euros: Company, currency: str) -> None:
    """Also dollars that Stripe turned into euros: no document in dollars can touch a euro account."""
    office = euros.stripe.office
    office.account = replace(office.account, settlement_currencies=("eur",), default_currency="eur")
    stripe_customer, here = customer(euros, currency)
    invoice = euros.invoice(here, 12_345, "INV-1")
    intent = euros.pay(stripe_customer, 12_345, "Invoice INV-1", currency=currency.lower())
    sync_and_check(euros)
    (payment,) = euros.ours("Payment")
    assert (payment["CurrencyRef"]["value"], payment["TotalAmt"]) == (currency, 123.45)
    assert euros.qbo.read("Invoice", invoice["Id"])["Balance"] == 0
    assert len(euros.ours("JournalEntry")) == 1
    assert balance(euros, ROLES["bridge"]) == 0

    euros.stripe.request("POST", "/v1/refunds", {"charge": intent["latest_charge"], "amount": 3_333})
    sync_and_check(euros, days=8)
    assert balance(euros, ROLES["bridge"]) == 0
    assert balance(euros, "Stripe clearing (EUR)") == 0
    assert waiting(euros) == set()


def test_a_currency_nobody_added_waits_and_says_what_to_do(company: Company) -> None:
    company.stripe.office.account = replace(company.stripe.office.account, settlement_currencies=("usd", "eur"))
    stripe_customer, here = customer(company, "EUR")
    company.invoice(here, 10_000, "INV-1")
    company.pay(stripe_customer, 10_000, "Invoice INV-1", currency="eur")
    sync_and_check(company)
    assert waiting(company) == {"unmapped_account"}
    add_currency(company.environment, link(company).id, "EUR", "test")
    sync_and_check(company)
    assert waiting(company) == set()


def test_a_rate_that_quickbooks_shortens_is_made_good_to_the_cent(company: Company) -> None:
    company.qbo.switch(short_rates=True)
    stripe_customer, here = customer(company, "EUR")
    company.invoice(here, 1_234_567, "INV-1")
    company.stripe.office.rates.usd_ppm["eur"] = 1_083_477
    intent = company.pay(stripe_customer, 1_234_567, "Invoice INV-1", currency="eur")
    sync_and_check(company)
    (payment,) = company.ours("Payment")
    assert payment["ExchangeRate"] == 1.0835
    (entry,) = company.ours("JournalEntry")
    assert [line["JournalEntryLineDetail"]["AccountRef"]["name"] for line in entry["Line"]] == [
        "Stripe clearing",
        "Exchange Gain or Loss",
    ]
    company.stripe.request("POST", "/v1/refunds", {"charge": intent["latest_charge"], "amount": 345_678})
    sync_and_check(company, days=8)
    assert balance(company, "Stripe clearing") == 0
    assert waiting(company) == set()
