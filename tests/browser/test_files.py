"""Reports are imported in a real browser: what was understood, what was refused, and that it ties out."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from storage.engine import Database
from sync.clock import SystemClock
from tests import factories

pytestmark = pytest.mark.browser

BALANCE = """\
balance_transaction_id,created_utc,created,currency,gross,fee,net,reporting_category,source_id,description,invoice_number
txn_001Aaaaaaaa,2026-09-14 15:00:00,2026-09-14 11:00:00,usd,100.00,3.20,96.80,charge,ch_001Aaaaaaaa,Invoice 1042,1042
txn_001Bbbbbbbb,2026-09-15 15:00:00,2026-09-15 11:00:00,usd,12.345,0.00,12.345,charge,ch_001Bbbbbbbb,=oops,
"""
INVOICES = """\
Blue Foods Supplies
Invoice List
September 2026

Date,Transaction Type,Num,Name,Memo/Description,Due Date,Amount,Open Balance
09/10/2026,Invoice,1042,Blue Foods,,09/24/2026,100.00,100.00
TOTAL,,,,,,$100.00,
"""


def test_reports_are_imported(
    sqlite_database: Database,
    tmp_path: Path,
    open_app: Callable[..., str],
    page: Page,
    sign_in: Callable[..., None],
) -> None:
    factories.seed_user(sqlite_database, SystemClock().now())
    address = open_app(tmp_path, TIEOUT_DEMO="", TIEOUT_SINGLE="1")
    sign_in(page, address)
    page.goto(f"{address}/files")
    (tmp_path / "balance.csv").write_text(BALANCE)
    (tmp_path / "invoices.csv").write_text(INVOICES)
    chooser = page.locator("input[type=file]")
    chooser.set_input_files([tmp_path / "invoices.csv", tmp_path / "balance.csv"])
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("Stripe balance, itemised: 2 rows: 1 new, 1 refused.")).to_be_visible()
    expect(page.get_by_text("QuickBooks transaction list: 1 row: 1 new.")).to_be_visible()
    expect(page.get_by_text("FILES", exact=True)).to_be_visible()
    expect(page.get_by_text("The account that stands for the Stripe balance is missing")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_text("Download refused rows").click()
    refused = Path(download.value.path()).read_text()
    assert "3,gross,12.345,USD has 2 decimals" in refused
    page.get_by_text("Does it tie out?").click()
    expect(page.get_by_text("to be recorded in QuickBooks")).not_to_have_count(0)
    page.get_by_text("Syncs").click()
    expect(page.get_by_text("QuickBooks, from files")).to_be_visible()
    for title in ("Mapping", "Go-live", "Dry run", "To Stripe"):  # nothing is posted or sent, nothing to set up
        expect(page.get_by_role("link", name=title, exact=True)).to_have_count(0)
