"""The revisions give what the models say, on both databases, however many processes run them at once."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, inspect, text

import storage.web_connectors  # noqa: F401 - it has a table of its own
from storage.engine import Database, DatabaseError, open_database
from storage.migrate import migrate
from storage.models import metadata


def schema(engine: Engine) -> dict[str, Any]:
    """Everything the database itself says about its tables."""
    found = inspect(engine)
    return {
        table: {
            "columns": {
                column["name"]: (str(column["type"]), column["nullable"], column["default"])
                for column in found.get_columns(table)
            },
            "key": found.get_pk_constraint(table),
            "references": sorted(found.get_foreign_keys(table), key=repr),
            "unique": sorted(found.get_unique_constraints(table), key=repr),
            "indexes": sorted(map(plain_index, found.get_indexes(table)), key=repr),
            "checks": sorted(found.get_check_constraints(table), key=repr),
        }
        for table in sorted(found.get_table_names())
        if table != "alembic_version"
    }


def plain_index(index: Any) -> dict[str, Any]:
    """An index as data: its condition is an expression object, equal only to itself."""
    options = {name: str(value) for name, value in index.get("dialect_options", {}).items()}
    return {**index, "dialect_options": options}


def test_migrated_schema_is_that_of_the_models(empty_database: Database) -> None:
    migrate(empty_database)
    migrated = schema(empty_database.engine)
    with empty_database.write() as connection:
        for table in (*migrated, "alembic_version"):
            connection.execute(text(f'DROP TABLE "{table}"' + " CASCADE" * (empty_database.dialect == "postgresql")))
        metadata.create_all(connection)
    assert migrated == schema(empty_database.engine)


MIGRATE = """
import sys
from pathlib import Path
from storage.engine import open_database
from storage.migrate import migrate
migrate(open_database(sys.argv[1], data_dir=Path()))
"""


def test_racing_processes_all_end_at_the_newest(empty_database: Database) -> None:
    command = [sys.executable, "-c", MIGRATE, empty_database.url]
    racers = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    errors = [racer.communicate(timeout=60)[1].decode() for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0, 0], errors
    assert set(metadata.tables) <= set(schema(empty_database.engine))


def test_migrating_again_changes_nothing(database: Database) -> None:
    before = schema(database.engine)
    migrate(database)
    assert schema(database.engine) == before


def test_a_database_of_a_newer_version_is_refused(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'from the future'"))
    with pytest.raises(DatabaseError, match="newer Tieout"):
        migrate(database)


def test_references_hold_again_after_migrating(tmp_path: Path) -> None:
    database = open_database(None, data_dir=tmp_path)
    migrate(database)
    with database.read() as connection:
        assert connection.scalar(text("PRAGMA foreign_keys")) == 1
    database.close()
