"""The notebooks, run as an analyst would, on a company that ties out and on what it exports."""

import json
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import nbformat
import polars as pl
import pytest
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient
from sqlalchemy import text

import reconcile
from pages import close
from pages.workbook import workbook
from reconcile.money import to_decimal
from storage import analysis
from storage.engine import DatabaseError, open_database
from storage.vault import open_vault
from sync import closing
from sync.clock import FixedClock, SeededRng
from sync.environment import Environment
from tests import factories
from tests.conftest import migrate_at, opened

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
LAST = date(2026, 10, 31)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a company in it, and beside it what the page Close exports of the days before."""
    folder = tmp_path_factory.mktemp("analyst")
    url = f"sqlite:///{folder / 'tieout.db'}"
    migrate_at(url)
    with opened(url) as database:
        seeded = factories.seed_company(database, NOW)
        factories.seed_claims(database, seeded, NOW)
        vault = open_vault(folder, {})
        environment = Environment(
            data_dir=folder, demo=False, database=database, vault=vault, clock=FixedClock(NOW), rng=SeededRng()
        )
        pack = closing.whole(environment, seeded.link_id, LAST)
    (folder / "close-2026-09-23-2026-10-31.csv").write_text(close._csv(pack))
    (folder / "close-2026-09-23-2026-10-31.xlsx").write_bytes(workbook(pack))
    return folder


@pytest.fixture(scope="module")
def kernel(folder: Path) -> Iterator[KernelManager]:
    """One for all: most of what a notebook takes is importing the same."""
    here = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"TIEOUT_DATA_DIR": str(folder), "PYTHONPATH": here}
    manager = KernelManager()
    manager.start_kernel(env=environment, cwd=str(folder), stderr=subprocess.DEVNULL)
    yield manager
    manager.shutdown_kernel(now=True)


def run(name: str, kernel: KernelManager) -> str:
    """Everything that a notebook prints or shows, as text; it finds nothing of the one before."""
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell("%reset -f"))
    NotebookClient(notebook, km=kernel, timeout=120).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return "\n".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs)


def test_tie_out_a_month(folder: Path, kernel: KernelManager) -> None:
    shown = run("tie_out_a_month", kernel)
    database = analysis.open_read_only(data_dir=folder)
    (row,) = analysis.proof(database, 1, LAST).days.filter(day=LAST).to_dicts()
    apart = to_decimal(row["difference_minor"], "USD")
    assert f"USD on 2026-10-31: {apart:,} USD apart, all of it explained" in shown
    exported = analysis.read_clearing(folder / "close-2026-09-23-2026-10-31.csv")
    assert f"close-2026-09-23-2026-10-31.csv [{{'currency': 'USD', 'documents': {exported.height}" in shown
    assert "close-2026-09-23-2026-10-31.xlsx Differences" in shown


def test_why_did_these_two_match(kernel: KernelManager) -> None:
    shown = run("why_did_these_two_match", kernel)
    assert "Atelier Brun" in shown
    assert "times likelier than two records" in shown


def test_write_your_own_rule(kernel: KernelManager) -> None:
    shown = run("write_your_own_rule", kernel)
    assert "10 decided by the rule: 10 newly matched, 0 no longer matched" in shown


def test_explore_fees_and_disputes(kernel: KernelManager) -> None:
    shown = run("explore_fees_and_disputes", kernel)
    assert "fraudulent" in shown
    assert "requested_by_" in shown


def test_what_is_committed_has_no_outputs() -> None:
    assert len(NOTEBOOKS) == 4
    for path in NOTEBOOKS:
        cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
        assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells), path.name


def test_frames_are_as_documented_and_agree_with_each_other(folder: Path) -> None:
    database = analysis.open_read_only(data_dir=folder)
    schemas = {
        analysis.processor: analysis.PROCESSOR_SCHEMA,
        analysis.ledger: analysis.LEDGER_SCHEMA,
        analysis.movements: analysis.MOVEMENTS_SCHEMA,
        analysis.fees: analysis.FEES_SCHEMA,
        analysis.refunds: analysis.CLAIMS_SCHEMA,
        analysis.disputes: analysis.CLAIMS_SCHEMA,
        analysis.entries: analysis.ENTRIES_SCHEMA,
    }
    frames: dict[Any, pl.DataFrame] = {read: read(database, 1) for read in schemas}
    assert {read.__name__: frame.schema for read, frame in frames.items()} == {
        read.__name__: schema for read, schema in schemas.items()
    }
    assert analysis.links(database).schema == analysis.LINKS_SCHEMA
    moved = frames[analysis.movements]
    assert frames[analysis.entries]["amount_minor"].sum() == moved["net_minor"].sum()
    assert frames[analysis.processor]["net_minor"].sum() == moved["net_minor"].sum()
    assert frames[analysis.fees]["amount_minor"].sum() == moved["fee_minor"].sum()
    claims = [
        frames[read].select("amount_minor", "customer", "charged_on").row(0)
        for read in (analysis.refunds, analysis.disputes)
    ]
    assert claims == [(2_500, "Atelier Brun", date(2026, 9, 29)), (4_900, "Atelier Brun", date(2026, 10, 3))]


def test_exports_say_what_the_database_says(folder: Path) -> None:
    """To the cent: what both clearing accounts did in the period, from the CSV and from the workbook."""
    database = analysis.open_read_only(data_dir=folder)
    days = analysis.proof(database, 1, LAST).days
    (closing_minor,) = days.filter(day=LAST)["clearing_minor"]
    exported = analysis.read_clearing(folder / "close-2026-09-23-2026-10-31.csv")
    assert exported.schema == analysis.EXPORTED_SCHEMA
    assert exported["amount_minor"].sum() == closing_minor - 812_40, "less what it held before"
    sheets = analysis.read_workbook(folder / "close-2026-09-23-2026-10-31.xlsx")
    assert sheets["Clearing account"]["Clearing account_minor"].to_list() == exported["amount_minor"].to_list()
    (row,) = days.filter(day=LAST).to_dicts()
    assert sheets["Differences"]["Amount_minor"].sum() == row["difference_minor"]


def test_nothing_can_be_written(database: Any, tmp_path: Path) -> None:
    reading = analysis.open_read_only(database.url)
    with pytest.raises(Exception, match=r"read-?only"), reading.write() as conn:
        conn.execute(text("DELETE FROM links"))
    reading.close()
    with pytest.raises(DatabaseError, match="cannot be opened"):
        analysis.open_read_only(data_dir=tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()
    empty = open_database(None, data_dir=tmp_path / "old")
    empty.close()
    with pytest.raises(DatabaseError, match="Start Tieout once"):
        analysis.open_read_only(data_dir=tmp_path / "old")


def test_every_function_is_documented() -> None:
    documented = (ROOT / "docs" / "NOTEBOOKS.md").read_text()
    assert [name for name in (*analysis.__all__, *reconcile.__all__) if f"`{name}" not in documented] == []
