"""What the commands print, and their exit status."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, text

from storage import carried, connections
from storage.engine import Database
from storage.models import carried_days, tallied_days
from sync import printing
from sync.environment import Environment
from tests import factories

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)


@pytest.fixture
def environment(sqlite_database: Database, tmp_path: Path) -> Environment:
    return factories.still_environment(sqlite_database, tmp_path, NOW)


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


@pytest.mark.parametrize(
    ("table", "values"), [(carried_days, {"sums": {"USD": {"payment": [1, 1]}}}), (tallied_days, {"entries": []})]
)
def test_sums_that_were_changed_behind_are_found_and_dropped(
    environment: Environment,
    sqlite_database: Database,
    capsys: pytest.CaptureFixture[str],
    table: Table,
    values: dict[str, Any],
) -> None:
    seeded = factories.seed_company(sqlite_database, NOW)
    assert carried.refresh(sqlite_database, seeded.link_id) > 0
    assert printing.check(environment) == 0
    with sqlite_database.write() as conn:
        conn.execute(table.update().values(values))
    assert printing.check(environment) == 1
    assert "the sums of its settled days" in capsys.readouterr().err
    assert printing.check(environment) == 0
