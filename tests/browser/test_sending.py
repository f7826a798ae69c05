"""What would go to Stripe is looked at, confirmed, and goes there."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from sync.clock import SystemClock
from tests import factories
from tests.integration.conftest import Company, company

__all__ = ["company"]  # a fixture
pytestmark = pytest.mark.browser


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_nothing_goes_to_stripe_before_it_is_confirmed(
    company: Company,
    tmp_path: Path,
    open_app: Callable[..., str],
    page: Page,
    sign_in: Callable[..., None],
) -> None:
    customer = company.qbo.create("Customer", {"DisplayName": "Blue Foods"})["Id"]
    company.invoice(customer, 10_000, "INV-1")
    company.sync()
    factories.seed_user(company.environment.database, SystemClock().now())
    address = open_app(tmp_path)
    sign_in(page, address)
    page.goto(f"{address}/sending")
    expect(page.get_by_text("1 invoice would go to Stripe: 100.00 USD.")).to_be_visible()
    expect(page.get_by_text("1 invoice for customers that Stripe does not know yet")).to_be_visible()
    assert company.stripe.request("GET", "/v1/invoices")["data"] == []

    page.get_by_test_id("stPopover").get_by_role("button").click()
    page.get_by_role("button", name="Confirm and switch on").click()
    expect(page.get_by_text("Invoices go to Stripe by themselves: finalized, not mailed.")).to_be_visible()
    while company.worker().work():
        pass
    page.reload()
    expect(page.get_by_text("open at Stripe").first).to_be_visible()
    (sent,) = company.stripe.request("GET", "/v1/invoices")["data"]
    assert (sent["status"], sent["number"], sent["total"]) == ("open", "INV-1", 10_000)
