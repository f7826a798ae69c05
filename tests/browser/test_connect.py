"""A connection made through the pages, from an empty installation to books that tie out."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from emulators.clock import Clock, Rng
from emulators.qbo.emulator import QboEmulator
from emulators.server import serve
from emulators.store import Store
from emulators.stripe.emulator import StripeEmulator
from storage.engine import Database
from sync.clock import SystemClock
from tests import factories, laws
from tests.integration.conftest import START, Company
from tests.integration.office import empty_environment

pytestmark = pytest.mark.browser
Start = Callable[..., str]
SignIn = Callable[..., None]


@pytest.fixture
def company(sqlite_database: Database, tmp_path: Path) -> Company:
    """Ten days of business: invoices in the books that customers paid at Stripe, and the payouts of that."""
    clock = Clock(START)
    stripe, qbo = StripeEmulator(Store(), clock, Rng(1)), QboEmulator(Store(), clock, Rng(2))
    company = Company(clock, stripe, qbo, empty_environment(sqlite_database, tmp_path))
    there, here = company.customer()
    for number in range(3):
        company.invoice(here, 10_000 + 1_234 * number, f"INV-{1001 + number}")
        company.pay(there, 10_000 + 1_234 * number, f"INV-{1001 + number}")
        company.pass_time(days=1)
    company.pass_time(days=6)
    return company


def test_both_sides_are_connected_mapped_looked_at_and_tied_out(
    company: Company, tmp_path: Path, open_app: Start, page: Page, sign_in: SignIn
) -> None:
    factories.seed_user(company.environment.database, SystemClock().now())
    with serve(company.stripe.app) as stripe_address, serve(company.qbo.app) as qbo_address:
        addresses = {"TIEOUT_STRIPE_API": stripe_address, "TIEOUT_INTUIT": qbo_address}
        address = open_app(tmp_path, TIEOUT_DEMO="0", TIEOUT_SINGLE="1", TIEOUT_INTERVAL_S="3600", **addresses)
        sign_in(page, address)
        page.get_by_role("link", name="Connect", exact=True).click()
        connect(page, company)
        join(page)
        choose(page)
        number = look(page)
        assert laws.marked(company.qbo) == [], "the dry run wrote nothing"

        switch_on(page)
        page.get_by_role("link", name="Overview").click()
        expect(page.get_by_text(re.compile("USD tied out"))).to_be_visible()
        expect(page.get_by_text("EMULATED")).to_be_visible()
        laws.check(company.environment, company.stripe, company.qbo)
        assert len(laws.marked(company.qbo)) == number
        assert {kind for kind, _, _ in map(parts, laws.marked(company.qbo))} >= {"payment", "purchase", "transfer"}
        log = (tmp_path / "app.log").read_text()
        assert not [secret for secret in (company.stripe.key, company.qbo.client_secret, "state=") if secret in log]


def parts(marked: tuple[str, str]) -> tuple[str, str, str]:
    kind, _, number = marked[0].partition(":")
    return kind, number, marked[1]


def connect(page: Page, company: Company) -> None:
    """A wrong key first; then both sides, with Intuit's own page in between."""
    expect(page.locator("h1", has_text="Connections")).to_be_visible()
    page.get_by_label("Secret or restricted key").fill("sk_test_of_nobody")
    page.get_by_role("button", name="Connect Stripe").click()
    expect(page.get_by_text("Stripe refused the key")).to_be_visible()
    expect(page.get_by_label("Secret or restricted key")).to_have_value("")
    page.get_by_label("Secret or restricted key").fill(company.stripe.key)
    page.get_by_role("button", name="Connect Stripe").click()
    expect(page.get_by_text("is connected.").first).to_be_visible()
    assert company.stripe.key not in page.content()

    page.get_by_label("Client id of your Intuit app").fill(company.qbo.client_id)
    page.get_by_label("Client secret").fill(company.qbo.client_secret)
    page.get_by_role("button", name="Connect QuickBooks").click()
    page.wait_for_url("**/oauth2/authorize**")
    page.get_by_role("button", name="Connect", exact=True).click()
    expect(page.get_by_text("QuickBooks is connected.")).to_be_visible()
    expect(page.get_by_text("Acme Incorporated").first).to_be_visible()


def join(page: Page) -> None:
    cutover = (datetime.now(UTC) - timedelta(days=12)).date()  # noqa: TID251 - the browser's own time
    page.locator("[data-type=year]").focus()
    page.keyboard.type(f"{cutover:%Y%m%d}")  # the field moves on by itself from year to month to day
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Join them").click()
    expect(page.get_by_text("Joined.")).to_be_visible()


def choose(page: Page) -> None:
    """Takes what is proposed, has the rest created, and chooses the bank account among two."""
    page.get_by_role("link", name="Mapping").click()
    page.get_by_role("button", name=re.compile("Take .* proposal")).click()
    expect(page.get_by_text("Taken. The next sync plans with it.")).to_be_visible()
    page.get_by_role("button", name=re.compile("Create .* missing")).click()
    expect(page.get_by_text("1 choice missing: Bank account")).to_be_visible()  # twelve are made
    page.get_by_label("Bank account of the payouts, USD").click()
    page.get_by_role("option", name="Checking").click()
    expect(page.get_by_text("Every choice is made")).to_be_visible()


def look(page: Page) -> int:
    """At the dry run, until the last choice is planned with; gives how many documents it shows."""
    page.get_by_role("link", name="Go-live").click()
    expect(page.get_by_text("Opening entry", exact=True)).to_be_visible()
    page.get_by_role("link", name="Dry run", exact=True).click()
    said = page.get_by_text(re.compile(r"\d+ documents would be written into Acme Incorporated"))
    expect(said).to_be_visible()
    expect(page.get_by_role("cell", name="Transfers")).to_be_visible()
    return int(str(said.inner_text()).split()[0])


def switch_on(page: Page) -> None:
    page.get_by_role("button", name="Posting is off").click()
    page.get_by_role("button", name="Switch posting on").click()
    expect(page.get_by_role("button", name="Posting is on")).to_be_visible()
    page.get_by_role("link", name="Syncs").click()
    page.get_by_role("button", name="Run now").click()
    said = re.compile("The sync starts in a moment|A sync is under way already")  # the switch itself asks for one
    expect(page.get_by_text(said)).to_be_visible()
