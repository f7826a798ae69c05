"""The app as a process of its own, and a browser page that forgives nothing.

Fixtures: `open_app(data_dir)` starts the app on a data directory and gives its address; `page` is a page of a fresh
browser that fails the test for an error in its console or a request to another host; `sign_in(page, address, token)`.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, expect

ROOT = Path(__file__).parents[2]
START_S = 60
LOOKS_MS = 60_000  # how long a page may take to show something: tests assert what it shows, never how fast
# Streamlit's frontend looks for its server under the address of the page first, and logs that it is not there.
EXPECTED = re.compile(r"/[a-z]+/_stcore/(health|host-config)$")
LOCAL = ("127.0.0.1", "localhost")

expect.set_options(timeout=LOOKS_MS)


@pytest.fixture
def open_app() -> Iterator[Callable[..., str]]:
    """Starts the app on a data directory, with more environment if need be; gives its address."""
    with ExitStack() as stack:
        yield lambda data_dir, **environment: stack.enter_context(running(data_dir, **environment))


@contextmanager
def running(data_dir: Path, **environment: str) -> Iterator[str]:
    """The app as a process on a data directory; gives its address."""
    port = free_port()
    own = {"TIEOUT_DATA_DIR": str(data_dir), "TIEOUT_DEMO": "1", "TIEOUT_PORT": str(port)}
    log = data_dir / "app.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "app"], cwd=ROOT, env=os.environ | own | environment, stdout=file, stderr=file
        )
    try:
        await_health(f"http://127.0.0.1:{port}", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_health(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(START_S * 10):
        with suppress(OSError), urllib.request.urlopen(f"{address}/_stcore/health", timeout=5) as answer:
            if answer.status == 200:
                return
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    pytest.fail(f"The app did not start:\n{log.read_text()}")


@pytest.fixture
def forgiven() -> list[str]:
    """What a console error may say without failing the test, which adds it here."""
    return []


@pytest.fixture
def page(browser: BrowserContext, forgiven: list[str]) -> Iterator[Page]:
    """A page on which every console error and every request to another host fails the test."""
    with watched(browser, forgiven) as page:
        yield page


@contextmanager
def watched(browser: BrowserContext, forgiven: Sequence[str] = ()) -> Iterator[Page]:
    """Such a page of any browser."""
    found: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if any(each in message.text for each in forgiven):
            return
        if message.type == "error" and not EXPECTED.search(str(message.location.get("url", ""))):
            found.append(f"{message.text} ({message.location.get('url')})")

    def see(request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname not in LOCAL:
            found.append(f"asked for {request.url}")

    page = browser.new_page()
    page.set_default_timeout(LOOKS_MS)
    page.on("console", hear)
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("request", see)
    yield page
    assert not found, "\n".join(found)


@pytest.fixture
def sign_in() -> Callable[..., None]:
    """Opens the sign-in link and waits for the first page."""

    def follow(page: Page, address: str, token: str = "let-me-in") -> None:
        page.goto(f"{address}/sign-in?token={token}")
        page.wait_for_selector("h1:has-text('Overview')")

    return follow
