"""What the commands print, and their exit status."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from storage import connections
from storage.engine import Database
from storage.vault import open_vault
from sync import printing
from sync.clock import FixedClock, SeededRng
from sync.environment import Environment
from tests import factories

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)


@pytest.fixture
def environment(sqlite_database: Database, tmp_path: Path) -> Environment:
    return Environment(
        data_dir=tmp_path,
        demo=False,
        database=sqlite_database,
        vault=open_vault(tmp_path),
        clock=FixedClock(NOW),
        rng=SeededRng(),
    )


def test_a_proof_that_proves_nothing_or_contradicts_a_balance_fails(
    environment: Environment, sqlite_database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    assert printing.proof(environment, None, all_days=False) == 1
    assert "connected" in capsys.readouterr().err

    seeded = factories.seed_company(sqlite_database, NOW)
    with sqlite_database.write() as conn:
        balances = connections.link(conn, seeded.link_id).balances
        connections.record_balances(conn, seeded.link_id, {"USD": balances["USD"] + 1}, NOW)
    assert printing.proof(environment, None, all_days=False) == 1
    assert "0.01 USD is missing here" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("UPDATE mirror SET record = '{}' WHERE kind = 'charge'", "is not what the audit log says was stored"),
        ("DELETE FROM audit WHERE id = 3", "an entry was removed or put in"),
        ("UPDATE audit SET actor = 'nobody' WHERE id = 3", "was changed after it was written"),
    ],
)
def test_what_was_changed_behind_the_audit_log_is_found(
    environment: Environment, sqlite_database: Database, capsys: pytest.CaptureFixture[str], harm: str, said: str
) -> None:
    factories.seed_company(sqlite_database, NOW)
    assert printing.check(environment) == 0
    with sqlite_database.write() as conn:
        conn.execute(text(harm))
    assert printing.check(environment) == 1
    assert said in capsys.readouterr().err
