"""Currencies with three decimals, of which QuickBooks keeps two: what is left of each leg, and its monthly entry."""

from dataclasses import replace
from datetime import timedelta

import pytest

from reconcile.money import in_books, to_minor
from reconcile.postings import ROLES
from storage.engine import Database
from storage.proof import tie_out
from sync.connecting import add_currency
from tests.integration.conftest import Company, link
from tests.integration.test_currencies import customer
from tests.integration.test_rows import balance, sync_and_check, waiting
from tests.laws import book_balance, legs_in_books


@pytest.fixture
def database(sqlite_database: Database) -> Database:
    """One kind is enough: nothing here is about SQL."""
    return sqlite_database


@pytest.fixture
def dinars(company: Company) -> Company:
    """A company of dollars that lets Stripe keep Kuwaiti dinars, of which a thousand fils make one."""
    company.environment.clock.sleep(40 * 86_400)  # so that a month may end
    office = company.stripe.office
    office.account = replace(office.account, settlement_currencies=("usd", "kwd"), payout_interval="manual")
    add_currency(company.environment, link(company).id, "KWD", "test")
    return company


def rounding_items(company: Company) -> int:
    with company.environment.database.read() as conn:
        proof = tie_out(conn, link(company), company.clock.now().date())
    return int(proof.items_on("KWD", company.clock.now().date()).filter(reason="rounding")["amount_minor"].sum())


def test_what_two_decimals_cannot_keep_goes_to_rounding_once_the_month_is_over(dinars: Company) -> None:
    stripe_customer, here = customer(dinars, "KWD")
    first_day = dinars.clock.now()
    for number, amount in enumerate((7_130, 12_340, 5_450), start=1):
        dinars.invoice(here, amount // 10, f"INV-{number}")
        dinars.pay(stripe_customer, amount, f"Invoice INV-{number}", currency="kwd")
    sync_and_check(dinars)
    fees = [leg for leg in legs_in_books(dinars.environment) if leg["kind"] == "stripe_fee"]
    left = sum(leg["amount_minor"] - in_books(leg["amount_minor"], "KWD") for leg in fees)
    assert in_books(left, "KWD"), "the fees do not come to whole hundredths"
    assert waiting(dinars) == set()
    assert rounding_items(dinars) == left

    next_month = (first_day.replace(day=1) + timedelta(days=32)).replace(day=2)
    dinars.pass_time(seconds=(next_month - first_day).total_seconds())
    dinars.sync()
    assert dinars.ours("JournalEntry") == [], "nothing of the new month is known yet"

    dinars.invoice(here, 100, "INV-9")
    dinars.pay(stripe_customer, 1_000, "Invoice INV-9", currency="kwd")
    sync_and_check(dinars)
    (entry,) = dinars.ours("JournalEntry")
    assert entry["TxnDate"][:7] == f"{first_day:%Y-%m}"
    posted = in_books(left, "KWD")
    clearing = link(dinars).mappings.clearing["KWD"]
    assert to_minor(str(entry["TotalAmt"]), "KWD") == abs(posted)
    assert balance(dinars, ROLES["rounding"]) != 0
    assert abs(rounding_items(dinars)) < 10
    assert waiting(dinars) == set()
    dinars.sync()
    assert len(dinars.ours("JournalEntry")) == 1, "once a month"
    assert book_balance(dinars.qbo, clearing, "KWD") % 10 == 0
