"""The app in a real browser."""

import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from reconcile import closing
from storage import posted, queries, review, search
from storage.engine import Database
from storage.search import Filter
from sync.clock import SystemClock
from tests import factories

pytestmark = pytest.mark.browser
NAVIGATION = "[data-testid=stSidebarNav] a"
Start = Callable[..., str]
SignIn = Callable[..., None]


def open_page(page: Page, name: str) -> None:
    page.locator(NAVIGATION, has_text=name).click()
    expect(page.locator("h1", has_text=name)).to_be_visible()


def test_each_page_shows_the_company(
    sqlite_database: Database, tmp_path: Path, open_app: Start, page: Page, sign_in: SignIn
) -> None:
    factories.seed_company(sqlite_database, SystemClock().now())
    address = open_app(tmp_path)
    sign_in(page, address)
    expect(page.get_by_text("EMULATED")).to_be_visible()
    expect(page.locator(NAVIGATION, has_text="Review 41")).to_be_visible()
    expect(page.locator(".js-plotly-plot")).to_have_count(5)
    page.get_by_text("In transit to the bank · 1 ·").click()
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()
    bar = page.locator(".js-plotly-plot").nth(2).locator(".bars .point path").nth(1).bounding_box()
    assert bar is not None
    page.mouse.click(bar["x"] + bar["width"] / 2, bar["y"] + bar["height"] / 2)
    expect(page.locator("h1", has_text="Review")).to_be_visible()
    expect(page.get_by_role("columnheader", name="Stripe")).to_be_visible()
    assert "age=8-30" in page.url
    today = queries.links(sqlite_database)[0].today(SystemClock().now())
    _, first, last = closing.spans(today)[1]
    number = search.page(sqlite_database, 1, Filter(since=first, until=last)).total
    expect(page.get_by_text(f"1 to {number} of {number} ·")).to_be_visible()
    open_page(page, "Syncs")
    expect(page.get_by_text("QuickBooks Online")).to_be_visible()


def test_a_click_in_the_list_names_the_item_in_the_url(
    sqlite_database: Database, tmp_path: Path, open_app: Start, page: Page, sign_in: SignIn
) -> None:
    seeded = factories.seed_company(sqlite_database, SystemClock().now())
    items = search.page(sqlite_database, seeded.link_id).items
    sign_in(page, open_app(tmp_path))
    open_page(page, "Review")
    expect(page.get_by_text(items[0].source_id, exact=True)).to_be_visible()
    box = page.get_by_test_id("stDataFrame").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 16, box["y"] + 35 + 2.5 * 30)  # the cells are painted, so there is nothing to name
    expect(page.get_by_text(items[2].source_id, exact=True)).to_be_visible()
    assert page.url.endswith(f"?item={items[2].source_id}")
    page.reload()
    expect(page.get_by_text(items[2].source_id, exact=True)).to_be_visible()


def test_a_person_decides_what_waits(
    sqlite_database: Database, tmp_path: Path, open_app: Start, page: Page, sign_in: SignIn
) -> None:
    """One is accepted, with the key too; one recorded without an invoice, one ignored; the last is taken back."""
    seeded = factories.seed_company(sqlite_database, SystemClock().now())
    address = open_app(tmp_path)
    sign_in(page, address)

    def decided(source_id: str) -> list[str]:
        return [each.decision.kind for each in review.standing(sqlite_database, seeded.link_id, source_id)]

    partial = search.page(sqlite_database, seeded.link_id, Filter(reason="PARTIAL")).items
    page.goto(f"{address}/review?reason=PARTIAL")
    expect(page.get_by_text(partial[0].source_id, exact=True)).to_be_visible()
    expect(page.get_by_text("10.00 USD stays open on the invoice")).to_be_visible()
    page.get_by_role("button", name="Accept").click()
    expect(page.get_by_text(partial[1].source_id, exact=True)).to_be_visible()
    expect(page.get_by_test_id("stToast").get_by_text("Accepted: Invoice")).to_be_visible()
    page.keyboard.press("a")
    expect(page.get_by_text(partial[2].source_id, exact=True)).to_be_visible()
    assert [decided(item.source_id) for item in partial[:3]] == [["match"], ["match"], []]

    bare = search.page(sqlite_database, seeded.link_id, Filter(reason="no_invoice")).items
    page.goto(f"{address}/review?reason=no_invoice")
    page.get_by_role("button", name="Record without invoice").click()
    page.get_by_role("dialog").get_by_text("a credit of the customer").click()
    page.get_by_role("button", name="Record it").click()
    expect(page.get_by_text(bare[1].source_id, exact=True)).to_be_visible()
    page.get_by_role("button", name="Ignore").click()
    page.get_by_role("button", name="Ignore it").click()
    expect(page.get_by_role("dialog").get_by_text("Say why")).to_be_visible()
    page.get_by_label("Reason").last.fill("a test of the card")
    page.get_by_role("button", name="Ignore it").click()
    expect(page.get_by_text(bare[2].source_id, exact=True)).to_be_visible()
    assert [decided(item.source_id) for item in bare[:3]] == [["record_without_invoice"], ["ignore"], []]
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Taken back")).to_be_visible()
    assert decided(bare[1].source_id) == []


def test_a_person_runs_a_sync_and_sees_it_end(
    sqlite_database: Database, tmp_path: Path, open_app: Start, page: Page, sign_in: SignIn
) -> None:
    """The worker's part is played here; the page must follow by itself."""
    clock = SystemClock()
    seeded = factories.seed_company(sqlite_database, clock.now())
    sign_in(page, open_app(tmp_path))
    open_page(page, "Syncs")
    page.get_by_role("button", name="Run now").click()
    expect(page.get_by_text("Waiting for the worker to take it up")).to_be_visible()
    page.get_by_role("button", name="Run now").click()
    expect(page.get_by_text("A sync is under way already.")).to_be_visible()
    factories.take_run(sqlite_database, clock.now(), step="Reading payouts from Stripe", done=2, total=5)
    expect(page.get_by_text("Reading payouts from Stripe · 2 of 5")).to_be_visible()
    factories.finish_run(sqlite_database, seeded.link_id, clock.now())
    expect(page.get_by_text("Reading payouts from Stripe · 2 of 5")).to_be_hidden()
    assert queries.history(sqlite_database, seeded.link_id)[0].cause == "admin@example.com"


def test_the_address_of_a_page_works_right_after_a_restart(
    sqlite_database: Database, tmp_path: Path, open_app: Start, page: Page
) -> None:
    """Streamlit would run pages/review.py by itself then, without asking app.py, and show nothing."""
    factories.seed_company(sqlite_database, SystemClock().now())
    address = open_app(tmp_path)
    page.goto(f"{address}/sign-in?token=let-me-in", wait_until="commit")
    page.goto(f"{address}/review?reason=proposed")
    expect(page.locator("h1", has_text="Review")).to_be_visible()
    expect(page.get_by_label("Reason")).to_have_value("Match proposed (10)")


def test_without_a_link_nothing_is_shown(sqlite_database: Database, tmp_path: Path, open_app: Start) -> None:
    factories.seed_company(sqlite_database, SystemClock().now())
    address = open_app(tmp_path)
    for path in ("/", "/review", "/_stcore/host-config", "/_stcore/stream"):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{address}{path}", timeout=10)


def test_a_new_user_is_told_how_to_begin(
    sqlite_database: Database, tmp_path: Path, open_app: Start, page: Page, sign_in: SignIn
) -> None:
    factories.seed_user(sqlite_database, SystemClock().now())
    sign_in(page, open_app(tmp_path))
    expect(page.get_by_text("Nothing is connected yet")).to_be_visible()
    factories.seed_link(sqlite_database, SystemClock().now(), token="another")
    expect(page.get_by_text("EMULATED")).to_be_visible()  # by itself: it was connected meanwhile


def test_an_accountant_undoes_what_was_posted(
    sqlite_database: Database, tmp_path: Path, open_app: Start, page: Page, sign_in: SignIn
) -> None:
    """The question about the bank statement has no answer of its own; then it is asked for, and called off again."""
    seeded = factories.seed_company(sqlite_database, SystemClock().now())
    first = next(each for each in posted.page(sqlite_database, seeded.link_id) if each.kind == "purchase")
    address = open_app(tmp_path)
    sign_in(page, address)
    page.goto(f"{address}/review?show=posted&document={first.document_id}")
    expect(page.get_by_text("goes back to Review")).to_be_visible()
    page.get_by_role("button", name="Undo…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Undo it")).to_be_disabled()
    dialog.get_by_text("Yes, it is marked R in the register").click()
    expect(dialog.get_by_text("an opposite journal entry is made")).to_be_visible()
    dialog.get_by_text("No, or not yet").click()
    expect(dialog.get_by_text("is deleted")).to_be_visible()
    dialog.get_by_label("Why").fill("The wrong customer")
    dialog.get_by_role("button", name="Undo it").click()
    expect(page.get_by_text("It is being undone")).to_be_visible()
    listed = posted.page(sqlite_database, seeded.link_id, text=first.cause)
    assert [each.is_being_undone for each in listed if each.document_id == first.document_id] == [True]
    page.get_by_role("button", name="Leave it posted").click()
    expect(page.get_by_role("button", name="Undo…")).to_be_enabled()
