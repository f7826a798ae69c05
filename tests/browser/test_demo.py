"""`tieout demo`, from the first start to a finished sync, as a new user sees it."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ROOT, free_port

pytestmark = pytest.mark.browser
SIGN_IN = re.compile(r"http://\S+/sign-in\?token=\S+")


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[str]:
    """The command as it is; gives the sign-in link it prints."""
    log = tmp_path / "demo.log"
    command = [sys.executable, "-m", "sync.cli", "demo", "--months", "1", "--port", str(free_port())]
    environment = os.environ | {"TIEOUT_DATA_DIR": str(tmp_path / "data"), "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as file:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=file)
    try:
        yield printed_link(process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, log.read_text()


def printed_link(process: "subprocess.Popen[bytes]", log: Path) -> str:
    for _ in range(300):
        found = SIGN_IN.search(log.read_text())
        if found:
            return found.group(0)
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    pytest.fail(log.read_text())


def test_a_new_user_sees_the_company_synced_and_runs_a_sync(demo: str, page: Page) -> None:
    for _ in range(100):  # the pages start a moment after the link is printed
        try:
            page.goto(demo)
            break
        except Exception:  # noqa: BLE001 - whatever the browser says of a port nobody listens on yet
            time.sleep(0.2)
    page.wait_for_selector("h1:has-text('Overview')")
    expect(page.get_by_text(re.compile("USD .*(open|tied out)")).first).to_be_visible(timeout=90_000)

    page.get_by_role("link", name=re.compile("Review")).click()
    expect(page.get_by_role("heading", name="Review")).to_be_visible()
    page.get_by_role("link", name="Syncs").click()
    expect(page.get_by_role("heading", name="Syncs")).to_be_visible()
    done = page.get_by_test_id("stDataFrame")
    expect(done).to_be_visible()
    page.get_by_role("button", name="Run now").click()
    expect(page.get_by_text("The sync starts in a moment.")).to_be_visible()
    expect(page.locator("td", has_text="owner@localhost").first).to_be_attached()
    expect(page.locator("tr", has_text="owner@localhost").filter(has_text="done").first).to_be_attached()
