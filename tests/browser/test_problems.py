"""A posting that was refused, from the page Problems to the document in the books, and its way in Audit."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from sync.clock import SystemClock
from tests import factories
from tests.integration.conftest import Company, company, link
from tests.integration.test_problems import paid_invoice, run_queued, switch

__all__ = ["company"]  # a fixture
pytestmark = pytest.mark.browser


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_broken_account_is_mended_from_problems(
    company: Company,
    tmp_path: Path,
    open_app: Callable[..., str],
    page: Page,
    sign_in: Callable[..., None],
) -> None:
    charge_id, _ = paid_invoice(company)
    switch(company, "Account", link(company).mappings.fees["stripe_fee"], active=False)
    company.qbo.create("Account", {"Name": "Card fees", "AccountType": "Expense"})
    company.sync()
    assert [body["TotalAmt"] for body in company.ours("Payment")] == [100]
    assert company.ours("Purchase") == []
    factories.seed_user(company.environment.database, SystemClock().now())
    address = open_app(tmp_path)
    sign_in(page, address)
    page.goto(f"{address}/problems?cause=mapping:fees:stripe_fee")
    cause = page.locator(".st-key-cause-mapping-fees-stripe_fee")
    expect(cause.get_by_text("“Stripe fees” was made inactive in QuickBooks.")).to_be_visible(timeout=20_000)
    expect(cause.get_by_text("1 entry · (3.20) USD")).to_be_visible()
    cause.get_by_role("link", name="Choose another one").click()
    expect(page.get_by_text("What waits needs this")).to_be_visible(timeout=15_000)
    page.locator(".st-key-wanted").get_by_role("combobox").click()
    page.get_by_role("option", name="Card fees").click()
    expect(page.get_by_text("Saved.").first).to_be_visible(timeout=15_000)
    run_queued(company)
    (purchase,) = company.ours("Purchase")
    assert purchase["TotalAmt"] == 3.2
    assert len(company.ours("Payment")) == 1

    page.get_by_role("link", name="Back to Problems").click()
    expect(page.locator("h1", has_text="Problems")).to_be_visible(timeout=15_000)
    others = page.get_by_role("link", name="Choose another one")
    expect(others).to_have_count(2, timeout=15_000)  # the two kinds of fees left
    page.goto(f"{address}/audit?record={charge_id}")
    expect(page.get_by_text(f"Purchase {purchase['Id']}", exact=True)).to_be_visible(timeout=15_000)
    expect(page.get_by_text(f"posted as purchase:{purchase['Id']} after 1 attempt")).to_be_visible()
