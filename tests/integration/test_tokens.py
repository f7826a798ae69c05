"""One refresher a company at a time, whatever Intuit does with its tokens; and keys that can be replaced."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from emulators.clock import Clock, Rng
from emulators.qbo.emulator import QboEmulator
from emulators.server import serve
from emulators.store import Store
from storage import audit, connections
from storage.engine import Database, open_database
from storage.migrate import migrate
from storage.vault import FILE_NAME, VaultError, open_vault
from sync.cli import main
from sync.clock import SystemClock, SystemRng
from sync.connecting import QuickBooksAccess, connect_quickbooks
from sync.environment import Environment
from sync.errors import Unauthorized
from sync.qbo.limits import OFF
from sync.qbo.tokens import VaultTokens
from tests.integration.conftest import Company, link


@pytest.mark.parametrize("refreshes", [100, pytest.param(1_000, marks=pytest.mark.soak)])
def test_two_workers_refresh_one_rotating_token(database: Database, tmp_path: Path, refreshes: int) -> None:
    qbo = QboEmulator(Store(), Clock(), Rng(3))
    qbo.switch(rotate_always=True)
    answered: list[str] = []
    real = qbo.oauth.refresh
    qbo.oauth.refresh = lambda token: answered.append(token) or real(token)  # type: ignore[method-assign, func-returns-value]
    with serve(qbo.app) as address:
        discovery = f"{address}/.well-known/openid_configuration"
        access = QuickBooksAccess(
            realm_id=qbo.realm_id,
            client_id=qbo.client_id,
            client_secret=qbo.client_secret,
            refresh_token=qbo.issue_tokens()["refresh_token"],
            settings={"api": f"{address}/v3", "discovery": discovery, "limits": OFF},
        )
        vault = open_vault(tmp_path)
        environment = Environment(
            data_dir=tmp_path, demo=True, database=database, vault=vault, clock=SystemClock(), rng=SystemRng()
        )
        connection_id = connect_quickbooks(environment, access, "emulated")
        answered.clear()
        start = threading.Barrier(2)

        def work(_: int) -> None:
            tokens = VaultTokens(database, vault, environment.clock, environment.rng, connection_id, discovery)
            start.wait()
            while len(answered) < refreshes:
                token = tokens.refresh(tokens.access_token())
                assert qbo.oauth.valid(token)

        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(work, range(2))) == [None, None]
    assert len(answered) >= refreshes
    assert len(set(answered)) == len(answered)  # no token was ever used twice


def test_a_refused_refresh_says_what_to_do(company: Company) -> None:
    environment, ledger_id = company.environment, link(company).ledger_id
    tokens = VaultTokens(
        environment.database,
        environment.vault,
        environment.clock,
        environment.rng,
        ledger_id,
        f"{address_of(company)}/.well-known/openid_configuration",
    )
    assert company.qbo.oauth.valid(tokens.refresh("another"))
    for purpose, words in (("refresh_token", "no longer accepts"), ("client_secret", "client id or secret")):
        with environment.database.write() as conn:
            connections.store_secret(conn, environment.vault, ledger_id, purpose, "wrong", environment.clock.now())
        with pytest.raises(Unauthorized, match=words) as refused:
            tokens.refresh(tokens.access_token())
        assert "Connect to QuickBooks again" in refused.value.plain


def address_of(company: Company) -> str:
    with company.environment.database.read() as conn:
        settings = connections.connection(conn, link(company).ledger_id).settings
    return str(settings["api"]).removesuffix("/v3")


def test_the_end_of_the_consent_is_known_and_warned_of(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Intuit states it, which is less than five years from now where somebody consented long ago."""
    environment = company.environment
    company.sync()
    with environment.database.read() as conn:
        ends = connections.connection(conn, link(company).ledger_id).consent_ends_at
    assert ends is not None
    assert abs(ends - environment.clock.now() - timedelta(days=5 * 365)) < timedelta(days=1)
    monkeypatch.setattr("sync.cli.open_environment", lambda: environment)
    assert f"consent until {ends:%Y-%m-%d}" in CliRunner().invoke(main, ["status"]).output
    with environment.database.write() as conn:
        soon = environment.clock.now() + timedelta(days=20)
        connections.record_consent(conn, link(company).ledger_id, soon)
    output = CliRunner().invoke(main, ["status"]).output
    assert f"The consent ends on {soon:%Y-%m-%d}: connect again before." in output
    assert "reads that QuickBooks counts" in output


def test_a_new_key_seals_everything_and_old_ones_can_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIEOUT_DATA_DIR", str(tmp_path))
    database, old = open_database(None, data_dir=tmp_path), open_vault(tmp_path)
    migrate(database)
    now = SystemClock().now()
    with database.write() as conn:
        connection_id = connections.add_connection(
            conn, system="qbo", external_id="1", name="x", mode="test", settings={}, at=now
        )
        connections.store_secret(conn, old, connection_id, "refresh_token", "RT1-secret", now)
        audit.record_check(conn, old, audit.BEGIN, now, "test", None)
    done = CliRunner().invoke(main, ["rotate-key"])
    assert done.exit_code == 0, done.output
    assert "1 secrets" in done.output
    newest = (tmp_path / FILE_NAME).read_text().split()[0]
    (tmp_path / FILE_NAME).write_text(newest)
    with database.read() as conn:
        assert connections.secret(conn, open_vault(tmp_path), connection_id, "refresh_token") == "RT1-secret"
        with pytest.raises(VaultError):
            connections.secret(conn, old, connection_id, "refresh_token")
        found = audit.last_check(conn, open_vault(tmp_path))
        assert found is not None
        assert found.is_ours
    database.close()
