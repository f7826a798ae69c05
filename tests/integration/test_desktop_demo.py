"""`tieout demo --desktop`: the demo company with its books in QuickBooks Desktop."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from storage.engine import Database
from sync.errors import Rejected
from sync.processes import World, start
from tests import factories
from tests.browser.conftest import ROOT, free_port

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
PATIENCE_S = 240


def test_books_that_are_online_stay_there(
    sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.seed_link(sqlite_database, NOW)
    monkeypatch.setenv("TIEOUT_DEMO", "1")
    monkeypatch.setenv("TIEOUT_DATA_DIR", str(tmp_path))
    with pytest.raises(Rejected, match=r"keeps its books in QuickBooks Online.*demo-reset"):
        start(port=free_port(), interval_s=60, single=True, world=World(seed=7, months=1, on_desktop=True))


@pytest.mark.soak
@pytest.mark.parametrize("more", [(), ("--single",)], ids=["three processes", "one process"])
def test_the_command_ties_the_company_out_by_visits(tmp_path: Path, more: tuple[str, ...]) -> None:
    folder, log = tmp_path / "data", tmp_path / "demo.log"
    environment = os.environ | {"TIEOUT_DATA_DIR": str(folder), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "sync.cli", "demo", "--desktop", "--months", "1", "--port", str(free_port())]
    with log.open("wb") as file:
        process = subprocess.Popen([*command, *more], cwd=ROOT, env=environment, stdout=file, stderr=file)
    try:
        await_all_posted(folder / "tieout.db", process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, log.read_text()


def await_all_posted(path: Path, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        time.sleep(1)
        if path.exists() and is_all_posted(path):
            return
    pytest.fail(log.read_text())


def is_all_posted(path: Path) -> bool:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        try:
            states = dict(connection.execute("SELECT state, count(*) FROM outbox GROUP BY state").fetchall())
        except sqlite3.OperationalError:  # not made yet
            return False
    return states.get("posted", 0) + states.get("verified", 0) > 100 and not states.keys() & {"planned", "sending"}
