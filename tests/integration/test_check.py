"""What `tieout check` finds: damage anywhere in the audit log and the mirror, and what contradicts itself elsewhere."""

import random  # noqa: TID251  a seeded one
import shutil
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from storage import check, fold
from storage.engine import FILE_NAME, Database, open_database, rehearse
from storage.migrate import migrate
from sync import printing
from sync.environment import Environment
from tests import factories, planting

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)


def environment(database: Database, folder: Path) -> Environment:
    return factories.still_environment(database, folder, NOW)


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A company's database, which each try copies."""
    folder = tmp_path_factory.mktemp("company")
    database = open_database(None, data_dir=folder)
    migrate(database)
    factories.seed_claims(database, factories.seed_company(database, NOW), NOW)
    assert printing.check(environment(database, folder)) == 0
    database.close()
    return folder / FILE_NAME


@pytest.mark.parametrize("number", [20, pytest.param(500, marks=pytest.mark.soak)])
def test_damage_in_the_audit_log_and_the_mirror_is_found(
    company: Path, tmp_path: Path, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    rng, missed = random.Random(20261102), []
    where: Counter[str] = Counter()
    for _ in range(number):
        shutil.copy(company, tmp_path / FILE_NAME)
        file = planting.open_file(tmp_path / FILE_NAME)
        planted = planting.plant(file, rng, planting.cells(file))
        file.close()
        database = open_database(None, data_dir=tmp_path)
        if printing.check(environment(database, tmp_path)) == 0:
            missed.append(planted)
        database.close()
        where[planted.table] += 1
    capsys.readouterr()
    with capsys.disabled():
        print(f"\nfound {number - len(missed)} of {number} edits planted in {dict(where)}; missed: {missed}")
    assert len(missed) <= number // 100


COLUMNS = (
    "connection_id, kind, object_id, record, raw, digest, version, deleted, open, claimed, dated, parent_id, number, "
    "updated_at"
)
HARMS = (
    ("UPDATE legs SET state = 'lost' WHERE id = '{leg}'", "{leg} is in no state that there is (lost)"),
    ("UPDATE legs SET detail = '' WHERE id = '{leg}'", "but nothing says why"),
    ("UPDATE legs SET amount_minor = amount_minor + 1 WHERE id = '{leg}'", "{leg} is kept with another amount"),
    ("UPDATE legs SET markers = '[\"x:charge:r1:s1\"]' WHERE id = '{leg}'", "booked by a posting that there is not"),
    ("UPDATE legs SET document_ids = '[\"payment:1\"]' WHERE id = '{leg}'", "payment 1, which is not stored"),
    ("DELETE FROM legs WHERE id = '{leg}'", "nothing says where {leg} stands"),
    ("INSERT INTO mirror ({columns}) SELECT connection_id, kind, 'payment:99999', record, raw, digest, version, "
     "deleted, open, claimed, dated, parent_id, number, updated_at FROM mirror WHERE object_id = '{document}'",
     "payment 99999 both carry the marker {marker}"),
    ("UPDATE outbox SET body = '{{}} ' WHERE marker = '{marker}'", "what was to be sent is not what was frozen"),
    ("UPDATE outbox SET document_id = NULL WHERE marker = '{marker}'", "nothing says as which document"),
    ("UPDATE outbox SET document_id = 'payment:1' WHERE marker = '{marker}'", "became payment 1, which is not stored"),
    ("UPDATE outbox SET after = 'x' WHERE marker = '{marker}'", "Posting {marker} comes after x, which there is not"),
    ("UPDATE outbox SET undoes = 'x' WHERE marker = '{marker}'", "Posting {marker} takes back x, which there is not"),
    ("UPDATE outbox SET state = 'waiting' WHERE marker = '{marker}'", "{leg} is said to be in QuickBooks"),
    ("UPDATE links SET balances = '{{\"USD\": 1}}'", "Tideway Trading: "),
)  # fmt: skip


def test_what_contradicts_itself_is_named(database: Database) -> None:
    """Each of these by itself, in a trial that nobody else sees."""
    factories.seed_company(database, NOW)
    assert check.run(database) == []
    with database.read() as conn:
        query = "SELECT marker, document_id FROM outbox WHERE state = 'posted' AND kind = 'payment' ORDER BY id LIMIT 1"
        marker, document = conn.execute(text(query)).one()
        leg = conn.scalar(text("SELECT id FROM legs WHERE markers LIKE :one"), {"one": f'["{marker}"]'})
    names = {"marker": marker, "document": document, "leg": leg, "columns": COLUMNS}
    for harm, said in HARMS:
        with rehearse(database) as trial:
            with trial.write() as conn:
                conn.execute(text(harm.format(**names)))
            texts = [line for wrong in check.run(trial) for line in wrong.texts]
        assert any(said.format(**names) in line for line in texts), (harm, texts)


CELLS = (
    ("UPDATE mirror SET record = replace(record, '\"currency\"', '\"curency\"')", "its content"),
    ("UPDATE mirror SET raw = raw || ' '", "its digest, or the other side's text of it"),
    ("UPDATE mirror SET version = version + 1", "how often it was stored"),
    ("UPDATE mirror SET updated_at = '2026-01-01 00:00:00.000000'", "when it was stored"),
    ("UPDATE mirror SET claimed = 2", "a mark that is neither yes nor no"),
    ("UPDATE mirror SET dated = '2026-01-01'", "its day"),
    ("UPDATE mirror SET dated = NULL", "its day"),
    ("UPDATE mirror SET parent_id = 'x'", "what it belongs to"),
    ("UPDATE mirror SET number = 'x'", "its number"),
    ("UPDATE mirror SET open = 1 - open", "whether it is open"),
    ("UPDATE mirror SET number = 'x', parent_id = 'x'", "what it belongs to, its number"),
    ("UPDATE mirror SET deleted = 1 - deleted", "its content"),
)


def test_each_cell_of_a_record_is_held_to_the_audit_log_by_itself(company: Path, tmp_path: Path) -> None:
    shutil.copy(company, tmp_path / FILE_NAME)
    database = open_database(None, data_dir=tmp_path)
    with database.read() as conn:
        object_id = conn.scalar(text("SELECT object_id FROM mirror WHERE kind = 'payment' ORDER BY object_id LIMIT 1"))
        assert fold.verify(conn) == []
    one, subject = {"one": object_id}, "What is stored of payment {} is not what the audit log says was stored: {}."
    for harm, cells in CELLS:
        assert _folded(database, f"{harm} WHERE object_id = :one", one) == [subject.format(object_id, cells)], harm
    gone = _folded(database, "DELETE FROM mirror WHERE object_id = :one", one)
    assert [line.partition(" knows ")[2] for line in gone] == [
        f"{_connection(database)}/payment/{object_id}, but it is not stored."
    ]
    copied = COLUMNS.replace("object_id", "'payment:0'")
    more = _folded(database, f"INSERT INTO mirror ({COLUMNS}) SELECT {copied} FROM mirror WHERE object_id = :one", one)
    assert more == ["payment payment:0 is stored, but the audit log does not know it."]
    database.close()


def _folded(database: Database, harm: str, values: dict[str, str]) -> list[str]:
    with rehearse(database) as trial, trial.write() as conn:
        conn.execute(text(harm), values)
        return fold.verify(conn)


def _connection(database: Database) -> int:
    with database.read() as conn:
        return int(conn.execute(text("SELECT ledger_id FROM links")).scalar_one())


def test_a_damaged_file_is_said_to_be_damaged(
    company: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A few bytes in the middle of it: part of an index, or of a table."""
    content = bytearray(company.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 16] = bytes(range(16))
    (tmp_path / FILE_NAME).write_bytes(content)
    database = open_database(None, data_dir=tmp_path)
    assert printing.check(environment(database, tmp_path)) == 1
    assert "The database is damaged, or the disk is. Restore" in capsys.readouterr().err
    database.close()
