"""Pictures of every page: `make screenshots`. They show the demo company, or nothing yet with `--empty`.

A picture is as high as its page, up to HEIGHT_MAX. Palette PNG: what is drawn has few colours, so that docs/images
stays small. `--data DIR` keeps the company for the next time; it is made anew in a temporary folder otherwise.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from storage import payouts, queries, users
from storage.engine import open_database
from storage.migrate import migrate
from sync.clock import SystemClock, SystemRng
from tests.browser.conftest import ROOT, await_health, free_port
from tests.conftest import CHROMIUM_FLAGS, find_chromium

IMAGES = ROOT / "docs" / "images"
WIDTHS = (1440, 1024)
HEIGHT, HEIGHT_MAX = 900, 1_500
COLORS = 256  # with fewer, the few green ones of the logo turn blue
# By the name of the picture, the address.
PAGES = {
    "overview": "/",
    "review": "/review?reason=proposed",
    "review-posted": "/review?show=posted",
    "problems": "/problems",
    "payouts": "/payouts",
    "payout": "/payouts?payout={payout}",
    "sending": "/sending",
    "syncs": "/syncs",
    "close": "/close",
    "audit": "/audit",
    "connections": "/connections",
    "files": "/files",
    "mapping": "/mapping",
    "rules": "/rules",
    "go-live": "/go-live",
    "dry-run": "/dry-run",
    "users": "/users",
    "account": "/account",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--empty", action="store_true")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--months", type=int, default=2)
    parser.add_argument("--out", type=Path, default=IMAGES)
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS[:1])
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--only", nargs="+", choices=PAGES, default=list(PAGES))
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tieout-pictures-") as temporary:
        data = asked.data or Path(temporary)
        data.mkdir(parents=True, exist_ok=True)
        months = None if asked.empty else asked.months
        with started(data, months) as link, signed_in(link, asked.dark) as page:
            address, payout = link.partition("/sign-in")[0], _arrived(data)
            for width in asked.widths:
                for name in asked.only:
                    path = asked.out / (f"{name}.png" if width == WIDTHS[0] else f"{name}-{width}.png")
                    take(page, address + PAGES[name].format(payout=payout), width, path)
                    print(path, f"{path.stat().st_size / 1000:.0f} kB")


@contextmanager
def started(data: Path, months: int | None) -> Iterator[str]:
    """The app on a data directory, with the demo company synced to its end unless `months` is None; a sign-in link."""
    port = free_port()
    environment = os.environ | {"TIEOUT_DATA_DIR": str(data), "TIEOUT_PORT": str(port)}
    demo = ["-m", "sync.cli", "demo", "--months", str(months), "--port", str(port), "--interval", "86400"]
    log = data / "pictures.log"
    with log.open("wb") as file:
        command = [sys.executable, *(["-m", "app"] if months is None else demo)]
        if months is None:
            _prepare(data)
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=file)
    try:
        await_health(f"http://127.0.0.1:{port}", process, log)
        if months is not None:
            _await_sync(data)
        yield f"http://127.0.0.1:{port}/sign-in?token={_invite(data)}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _prepare(data: Path) -> None:
    database = open_database(None, data_dir=data)
    migrate(database)
    database.close()


def _invite(data: Path) -> str:
    """The token of a sign-in link for an owner."""
    token = SystemRng().token(32)
    database = open_database(None, data_dir=data)
    with database.write() as conn:
        user_id = users.ensure_user(conn, email="owner@localhost", name="Owner", role="admin")
        users.create_sign_in_link(conn, user_id, token, SystemClock().now())
    database.close()
    return token


def _arrived(data: Path) -> str:
    """The id of the newest payout that is in the bank; "" if there is none."""
    database = open_database(None, data_dir=data)
    links = queries.links(database)
    found = payouts.page(database, links[0].id, bank="arrived", size=1).rows if links else ()
    database.close()
    return found[0].payout.id if found else ""


def _await_sync(data: Path) -> None:
    database = open_database(None, data_dir=data)
    while True:
        links = queries.links(database)
        pulse = queries.pulse(database, links[0].id) if links else None
        if pulse is not None and pulse.current is None and pulse.last is not None:
            assert pulse.last.state == "done", pulse.last.problem
            break
        time.sleep(1)
    database.close()


@contextmanager
def signed_in(link: str, is_dark: bool) -> Iterator[Page]:
    chromium = find_chromium()
    assert chromium is not None, "sudo apt install chromium"
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=[*CHROMIUM_FLAGS, *sandbox])
        page = browser.new_page(color_scheme="dark" if is_dark else "light")
        page.goto(link)
        page.wait_for_selector("h1:has-text('Overview')", timeout=60_000)
        yield page
        browser.close()


def take(page: Page, address: str, width: int, path: Path) -> None:
    page.set_viewport_size({"width": width, "height": HEIGHT})
    page.goto(address)
    page.wait_for_selector("h1", timeout=60_000)
    _settle(page)
    drawn = int(page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight"))
    if drawn > HEIGHT:
        page.set_viewport_size({"width": width, "height": min(drawn, HEIGHT_MAX)})
        _settle(page)
    picture = Image.open(BytesIO(page.screenshot()))
    picture.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE).save(path, optimize=True)


def _settle(page: Page) -> None:
    """Until the script has run to its end, and what it drew stands still."""
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]", timeout=60_000)
    page.wait_for_timeout(700)


if __name__ == "__main__":
    main()
