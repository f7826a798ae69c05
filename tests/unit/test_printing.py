"""What the commands print, and their exit status."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from storage import connections
from storage.engine import Database
from storage.vault import open_vault
from sync import printing
from sync.clock import FixedClock, SeededRng
from sync.environment import Environment
from tests import factories

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)


def test_a_proof_that_proves_nothing_or_contradicts_a_balance_fails(
    sqlite_database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = Environment(
        data_dir=tmp_path,
        demo=False,
        database=sqlite_database,
        vault=open_vault(tmp_path),
        clock=FixedClock(NOW),
        rng=SeededRng(),
    )
    assert printing.proof(environment, None, all_days=False) == 1
    assert "connected" in capsys.readouterr().err

    seeded = factories.seed_company(sqlite_database, NOW)
    with sqlite_database.write() as conn:
        balances = connections.link(conn, seeded.link_id).balances
        connections.record_balances(conn, seeded.link_id, {"USD": balances["USD"] + 1}, NOW)
    assert printing.proof(environment, None, all_days=False) == 1
    assert "0.01 USD is missing here" in capsys.readouterr().out
