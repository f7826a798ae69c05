"""What tests stand on: databases, a browser, and what to do where PostgreSQL or Chromium is not installed.

Fixtures: `database` (migrated; runs the test on SQLite and on PostgreSQL), `empty_database` (the same, without
tables), `sqlite_database`, `postgres_url` (a server), `chromium` (its path), `browser` (a fresh browser), `specs`.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest
from playwright.sync_api import BrowserContext, sync_playwright
from sqlalchemy.engine import make_url

from storage.engine import Database, open_database
from storage.migrate import migrate
from sync.tether import tie_to_parent

hypothesis.settings.register_profile("tieout", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("tieout")

# A developer's own database, keys and sign-in are not for tests.
for name in [each for each in os.environ if each.startswith("TIEOUT_OIDC_")]:
    os.environ.pop(name)
for name in ("DATABASE_URL", "TIEOUT_KEYS", "TIEOUT_DATA_DIR", "TIEOUT_LOCAL_SIGN_IN"):
    os.environ.pop(name, None)

MEMORY = Path("/dev/shm")
if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 4 << 30:
    # Each commit waits for the disk, and tests commit some 100,000 times; none of them cuts the power.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

CHROMIUM_FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


# --- what may be missing -------------------------------------------------------------------------------------------


def find_postgres() -> Path | None:
    """The folder of the server's programs, which Debian keeps out of PATH; the newest one."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = shutil.which("initdb") or (installed[-1] if installed else None)
    return Path(found).parent if found else None


def find_chromium() -> str | None:
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def find_specs() -> Path | None:
    folder = Path(os.environ.get("TIEOUT_SPECS") or "/nonexistent")
    return folder if folder.is_dir() else None


NEEDS: dict[str, tuple[Callable[[], object], str]] = {
    "postgres": (lambda: os.environ.get("TIEOUT_TEST_DATABASE_URL") or find_postgres(), "sudo apt install postgresql"),
    "browser": (find_chromium, "sudo apt install chromium"),
    "specs": (find_specs, "set TIEOUT_SPECS to the folder of the vendors' schemas"),
}
MISSING = {marker: remedy for marker, (find, remedy) in NEEDS.items() if not find()}
REQUIRED = set(filter(None, os.environ.get("TIEOUT_REQUIRE", "").split(",")))


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, remedy in MISSING.items():
        if item.get_closest_marker(marker) is None:
            continue
        if marker in REQUIRED:
            pytest.fail(f"TIEOUT_REQUIRE names {marker}: {remedy}", pytrace=False)
        pytest.skip(f"{marker}: {remedy}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Asks the reports: the tests themselves ran in other processes."""
    reasons = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    skipped = {marker for marker in MISSING if any(f"{marker}: {MISSING[marker]}" in reason for reason in reasons)}
    if skipped:
        remedies = "; ".join(f"{marker} ({MISSING[marker]})" for marker in sorted(skipped))
        terminalreporter.write_line(f"Skipped tests that need: {remedies}", yellow=True)


# --- databases -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server in which databases can be created: TIEOUT_TEST_DATABASE_URL, or one of our own."""
    if url := os.environ.get("TIEOUT_TEST_DATABASE_URL"):
        yield url
        return
    with throw_away_cluster() as url:
        yield url


@contextmanager
def throw_away_cluster() -> Iterator[str]:
    """A server on a Unix socket in a temporary folder. It refuses to be root, so root runs it as somebody else."""
    programs = find_postgres()
    assert programs is not None
    folder = tempfile.mkdtemp(prefix="tieout-pg-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT"))
    run_as = _not_root(folder)
    options = ["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync"]
    initdb = [str(programs / "initdb"), "-D", f"{folder}/data", *options]
    subprocess.run(initdb, check=True, cwd=folder, stdout=subprocess.DEVNULL, **run_as)
    fast = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "listen_addresses=", "max_connections=200")
    command = [str(programs / "postgres"), "-D", f"{folder}/data", "-k", folder, *(f"-c{setting}" for setting in fast)]
    with open(f"{folder}/log", "wb") as log:
        tie = partial(tie_to_parent, os.getpid())  # so that a killed test run leaves no server behind
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, preexec_fn=tie, **run_as)  # noqa: PLW1509
    try:
        url = f"postgresql://postgres@/postgres?host={folder}"
        await_server(url, server, Path(folder, "log"))
        yield url
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def _not_root(folder: str) -> dict[str, Any]:
    """How subprocess runs what refuses to be root: as the user that Debian's package made, who gets `folder`."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def await_server(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        with suppress(psycopg.OperationalError):
            psycopg.connect(url).close()
            return
        assert server.poll() is None, log.read_text()
        time.sleep(0.1)
    pytest.fail(f"PostgreSQL did not start:\n{log.read_text()}")


numbers = count(1)


@contextmanager
def postgres_database(server_url: str, template: str = "template1") -> Iterator[str]:
    """The address of a fresh copy of `template`, dropped afterwards."""
    name = f"tieout_test_{os.getpid()}_{next(numbers)}"
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture(scope="session")
def _postgres_template(postgres_url: str) -> Iterator[str]:
    """The name of a migrated database: copying it is quicker than migrating for each test."""
    with postgres_database(postgres_url) as url:
        migrate_at(url)
        yield str(make_url(url).database)


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "tieout.db"
    migrate_at(f"sqlite:///{path}")
    return path


def migrate_at(url: str) -> None:
    with opened(url) as database:
        migrate(database)


@contextmanager
def opened(url: str) -> Iterator[Database]:
    database = open_database(url, data_dir=Path("/nonexistent"))
    try:
        yield database
    finally:
        database.close()


DIALECTS = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture
def sqlite_database(tmp_path: Path, _sqlite_template: Path) -> Iterator[Database]:
    """A migrated SQLite database in `tmp_path`, under the name that a data directory has for it."""
    shutil.copy(_sqlite_template, tmp_path / "tieout.db")
    with opened(f"sqlite:///{tmp_path / 'tieout.db'}") as database:
        yield database


@pytest.fixture(params=DIALECTS)
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A migrated, empty database; the test runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_database")
        return
    server, template = request.getfixturevalue("postgres_url"), request.getfixturevalue("_postgres_template")
    with postgres_database(server, template) as url, opened(url) as database:
        yield database


@pytest.fixture(params=DIALECTS)
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without tables, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        with opened(f"sqlite:///{tmp_path / 'tieout.db'}") as database:
            yield database
        return
    with postgres_database(request.getfixturevalue("postgres_url")) as url, opened(url) as database:
        yield database


# --- the browser ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the installed browser. A test that uses it is marked `browser`."""
    path = find_chromium()
    assert path is not None
    return path


@pytest.fixture(scope="session")
def chromium_flags() -> list[str]:
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # the sandbox refuses to be root
    return [*CHROMIUM_FLAGS, *sandbox]


@pytest.fixture
def new_browser(chromium: str, chromium_flags: list[str], tmp_path: Path) -> Iterator[Callable[[str], BrowserContext]]:
    """Opens fresh browsers by name, one a person. The driver lives as long: its event loop would disturb asyncio."""
    with sync_playwright() as driver, ExitStack() as stack:

        def launch(name: str) -> BrowserContext:
            context = driver.chromium.launch_persistent_context(
                tmp_path / name,
                executable_path=chromium,
                args=chromium_flags,
                headless=True,
                viewport={"width": 1440, "height": 900},
            )
            stack.callback(context.close)
            return context

        yield launch


@pytest.fixture
def browser(new_browser: Callable[[str], BrowserContext]) -> BrowserContext:
    """A fresh browser: `page = browser.new_page()`."""
    return new_browser("chromium")


@pytest.fixture(scope="session")
def specs() -> Path:
    """The folder of the vendors' schemas. A test that uses it is marked `specs`."""
    folder = find_specs()
    assert folder is not None
    return folder
