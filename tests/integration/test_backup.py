"""A backup taken while a sync posts; and what happens when it is restored after the books have moved on."""

import shutil
import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from storage import backup, connections, review, users
from storage.engine import FILE_NAME, Database, DatabaseError, open_database
from storage.models import outbox
from storage.users import User
from storage.vault import FILE_NAME as KEY_FILE
from sync import commands, printing
from tests import laws
from tests.integration.conftest import Company, founded, link
from tests.integration.office import empty_environment

PAYMENTS = 36  # several batches


def sell(company: Company, numbers: range) -> None:
    there, here = company.customer(f"Foods {numbers.start}", f"ap{numbers.start}@foods.example")
    for number in numbers:
        company.invoice(here, 1_000 + number, f"INV-{number}")
        company.pay(there, 1_000 + number, f"Invoice INV-{number}")
    company.pass_time(minutes=1)


def back_up_during_a_sync(company: Company, folder: Path) -> Path:
    """One that has rows under way, the first of many."""
    syncing = threading.Thread(target=company.sync)
    syncing.start()
    found = []
    while syncing.is_alive():
        file = folder / f"backup-{len(found)}.db"
        backup.back_up(company.environment.database, file)
        found.append(file)
    syncing.join()
    return next(file for file in found if states(file).keys() >= {"posted", "sending"})


def states(file: Path) -> dict[str, int]:
    """How many postings are in each state in a backup, which is read as a file of its own."""
    connection = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)
    try:
        named = "CASE state WHEN 'verified' THEN 'posted' ELSE state END"
        return dict(connection.execute(f"SELECT {named}, count(*) FROM outbox GROUP BY 1").fetchall())
    finally:
        connection.close()


def consent_again(company: Company) -> None:
    """What Connections does when a person comes back from Intuit."""
    environment, ledger_id = company.environment, link(company).ledger_id
    now, token = environment.clock.now(), company.qbo.issue_tokens()["refresh_token"]
    with environment.database.write() as conn:
        connections.store_secret(conn, environment.vault, ledger_id, "refresh_token", token, now)
        connections.set_state(conn, ledger_id, "ready", None, now)


def restore(company: Company, file: Path) -> None:
    company.environment.database.close()
    restored = file.parent / "restored"
    restored.mkdir()
    shutil.copy(file, restored / FILE_NAME)
    company.environment = replace(company.environment, database=open_database(None, data_dir=restored))
    company.environment.clock.sleep(3_600)  # the sync in the backup is at work no more: its lease ends


def record_without_invoice(company: Company, charge: str, customer_id: str) -> None:
    """What an accountant chooses on Review."""
    environment, where = company.environment, link(company).id
    with environment.database.write() as conn:
        user_id = users.ensure_user(conn, email="rita@example.com", name="Rita", role="accountant")
    rita = User(id=user_id, email="rita@example.com", name="Rita", role="accountant")
    seen = review.detail(environment.database, where, charge)
    assert seen is not None
    how = ("unapplied_payment", customer_id, seen.version)
    commands.record_without_invoice(environment.database, environment.clock, rita, where, charge, *how)


def all_states(company: Company) -> set[str]:
    with company.environment.database.read() as conn:
        return set(conn.execute(select(outbox.c.state)).scalars())


def test_an_old_backup_converges_without_a_duplicate(sqlite_database: Database, tmp_path: Path) -> None:
    with founded(sqlite_database, tmp_path) as company:
        sell(company, range(1, PAYMENTS))
        file = back_up_during_a_sync(company, tmp_path)
        assert file.stat().st_mode & 0o777 == 0o600
        key = (tmp_path / KEY_FILE).read_text().strip()
        assert key.encode() not in file.read_bytes()

        sell(company, range(100, 106))
        company.pass_time(days=4)  # payouts too
        company.sync()
        before = sorted(laws.marked(company.qbo))
        assert len(before) > 2 * PAYMENTS

        restore(company, file)
        assert "Connect to QuickBooks again" in str(company.try_sync().problem), "its tokens were replaced since"
        consent_again(company)
        for _ in range(2):
            company.sync()
        assert sorted(laws.marked(company.qbo)) == before, "found by their markers: nothing is written again"
        assert all_states(company) <= {"posted", "verified"}
        assert laws.waiting_legs(company.environment) == []
        laws.check(company.environment, company.stripe, company.qbo)
        assert printing.check(company.environment) == 0
        company.environment.database.close()


def test_after_a_restore_only_what_is_certain_is_taken_up(sqlite_database: Database, tmp_path: Path) -> None:
    with founded(sqlite_database, tmp_path) as company:
        there, here = company.customer()
        paid = {}
        file = tmp_path / "backup.db"
        company.sync()
        backup.back_up(sqlite_database, file)
        for name in ("INV-1", "INV-2", "INV-3"):
            company.invoice(here, 1_000 + len(paid), name)
            paid[company.pay(there, 1_000 + len(paid), f"Invoice {name}")["latest_charge"]] = name
        alone = company.pay(there, 2_000, "Order from the shop")["latest_charge"]
        company.pass_time(minutes=1)
        company.sync()
        record_without_invoice(company, alone, here)
        company.sync()
        assert laws.waiting_legs(company.environment) == []

        payments = {each["PaymentRefNum"]: each for each in company.ours("Payment")}
        of = {name: next(payments[each] for each in payments if charge.endswith(each)) for charge, name in paid.items()}
        company.qbo.update("Payment", of["INV-2"] | {"TxnDate": "2030-01-01"})
        names = ("CustomerRef", "TotalAmt", "DepositToAccountRef", "PrivateNote", "TxnDate")
        company.qbo.create("Payment", {name: of["INV-3"][name] for name in names})
        before = company.books("Payment")

        restore(company, file)
        consent_again(company)
        for _ in range(2):
            company.sync()
        assert company.books("Payment") == before
        assert {paid[row["source_id"]] for row in laws.waiting_legs(company.environment)} == {"INV-2", "INV-3"}
        assert {row["reason"] for row in laws.waiting_legs(company.environment)} == {"no_invoice", "waits_with_charge"}


def test_the_command_says_what_is_not_in_a_backup_and_writes_over_nothing(
    sqlite_database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = empty_environment(sqlite_database, tmp_path)
    file = tmp_path / "backup.db"
    printing.back_up(environment, file)
    assert "is not in it. Keep a copy of" in capsys.readouterr().out
    written = file.read_bytes()
    with pytest.raises(DatabaseError, match="never written over"):
        printing.back_up(environment, file)
    assert file.read_bytes() == written
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.postgres
def test_postgresql_is_left_to_its_own_backup(database: Database, tmp_path: Path) -> None:
    if database.dialect == "postgresql":
        with pytest.raises(DatabaseError, match="pg_dump"):
            backup.back_up(database, tmp_path / "backup.db")
