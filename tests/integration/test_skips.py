"""Where a program is missing, tests that need it say so once, or fail when it was promised."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext

TEST = """
import pytest

@pytest.mark.browser
def test_one(): ...

@pytest.mark.browser
def test_two(): ...
"""


def run_without_chromium(tmp_path: Path, processes: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "test_in_a_browser.py").write_text(TEST)
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "pytest", "-q", "-n", str(processes)]
    return subprocess.run(
        [*command, "-p", "conftest", "-c", root / "pyproject.toml", tmp_path],
        env={**os.environ, "PATH": "", "PYTHONPATH": f"{root / 'tests'}:{root}", **environment},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("processes", [0, 2])
def test_one_line_names_the_package(tmp_path: Path, processes: int) -> None:
    done = run_without_chromium(tmp_path, processes, TIEOUT_REQUIRE="postgres")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 skipped" in done.stdout
    assert done.stdout.count("sudo apt install chromium") == 1


@pytest.mark.parametrize("required", ["browser", "postgres,browser"])
def test_what_was_promised_must_be_there(tmp_path: Path, required: str) -> None:
    done = run_without_chromium(tmp_path, TIEOUT_REQUIRE=required)
    assert done.returncode == 1
    assert "2 failed" in done.stdout or "2 errors" in done.stdout
    assert "sudo apt install chromium" in done.stdout


@pytest.mark.browser
def test_the_browser_shows_a_page(browser: BrowserContext) -> None:
    page = browser.new_page()
    page.set_content("<h1>Tieout</h1>")
    assert page.inner_text("h1") == "Tieout"
