"""From an invitation to one's own password, in a real browser."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from storage import users
from storage.engine import Database
from sync.clock import SystemClock
from tests import factories
from tests.browser.test_app import open_page

pytestmark = pytest.mark.browser
SOON = 15_000  # ms
PASSWORD = "a few good words"


def test_somebody_is_let_in_sets_a_password_and_comes_back_with_it(
    sqlite_database: Database, tmp_path: Path, open_app: Callable[..., str], page: Page, sign_in: Callable[..., None]
) -> None:
    factories.seed_company(sqlite_database, SystemClock().now())
    address = open_app(tmp_path)
    sign_in(page, address)
    link = invite(page, "rita@example.com")
    open_page(page, "Your account")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in", timeout=SOON)

    page.goto(link)
    expect(page.get_by_text("rita@example.com")).to_be_visible(timeout=SOON)
    expect(page.get_by_role("link", name="Users")).to_have_count(0)
    open_page(page, "Your account")
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_role("button", name="Set password").click()
    expect(page.get_by_text("The password is set.")).to_be_visible(timeout=SOON)
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in", timeout=SOON)

    page.goto(f"{address}/payouts")
    assert "Payouts" not in page.content(), "nothing is shown before the sign-in"
    page.get_by_label("E-mail").fill("Rita@example.com")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("do not fit together")).to_be_visible(timeout=SOON)
    page.get_by_label("E-mail").fill("rita@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("h1", has_text="Payouts")).to_be_visible(timeout=SOON)

    with sqlite_database.write() as conn:  # an admin takes the access away while the page is open
        rita = users.find(conn, email="rita@example.com")
        assert rita is not None
        users.change(conn, rita.id, left_at=SystemClock().now())
    page.get_by_role("link", name="Syncs").click()
    page.wait_for_url("**/sign-in", timeout=SOON)


def invite(page: Page, email: str) -> str:
    """Adds a viewer, the role offered first, and gives the link to hand over."""
    open_page(page, "Users")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Name").fill("Rita")
    page.get_by_role("button", name="Add", exact=True).click()
    shown = page.locator("code", has_text="/sign-in?token=")
    expect(shown).to_be_visible(timeout=SOON)
    return shown.inner_text().strip()
