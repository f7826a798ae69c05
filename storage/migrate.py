"""Brings a database to the newest schema. There is no way down: a mistake is mended by the next revision.

After a change of storage/models.py, `python -m storage.migrate "words that say what changed"` writes the revision
into storage/migrations/versions. Read it, format it (`ruff format storage/migrations`) and commit it with the change;
tests/integration/test_migrations.py proves that the revisions give what the models say.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from storage.engine import Database, DatabaseError, open_database

LOCK = 7_140_523_001  # any number that nobody else locks in this PostgreSQL database
WAIT_MS = 60_000


def migrate(database: Database) -> None:
    """To the newest revision. Any number of processes may call it at once: one does it, the others wait."""
    script = ScriptDirectory.from_config(_config())
    if _is_newest(database, script):
        return
    with _alone(database) as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def check_newest(database: Database) -> None:
    """Raises DatabaseError if the schema is another one than ours, for whoever may not change it."""
    if not _is_newest(database, ScriptDirectory.from_config(_config())):
        raise DatabaseError(
            "This database is of an older Tieout, or empty. Start Tieout once: that brings it up to date."
        )


def _is_newest(database: Database, script: ScriptDirectory) -> bool:
    with database.read() as connection:
        present = set(MigrationContext.configure(connection).get_current_heads())
    unknown = present - {revision.revision for revision in script.walk_revisions()}
    if unknown:
        raise DatabaseError("A newer Tieout has used this database. Install that version, or restore a backup.")
    return present == set(script.get_heads())


@contextmanager
def _alone(database: Database) -> Iterator[Connection]:
    """One transaction that only one process can be in. SQLite copies tables, so their references rest meanwhile."""
    with database.engine.connect() as connection:
        if database.dialect == "postgresql":
            with connection.begin():
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
                yield connection
            return
        driver = connection.connection.driver_connection
        assert driver is not None
        connection.detach()  # closed afterwards, with these settings; they do nothing once a transaction has begun
        driver.execute(f"PRAGMA busy_timeout={WAIT_MS}")
        driver.execute("PRAGMA foreign_keys=OFF")
        connection.execution_options(writes=True)
        with connection.begin():
            yield connection
            broken = connection.execute(text("PRAGMA foreign_key_check")).first()
            assert broken is None, f"the migration broke a reference of table {broken[0]}"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config


def write_revision(words: str) -> None:
    """The difference between the newest revision and the models, as the next revision."""
    import storage.web_connectors  # noqa: F401 - it has a table of its own
    from storage.models import metadata

    with tempfile.TemporaryDirectory() as folder:
        database = open_database(None, data_dir=Path(folder))
        migrate(database)
        config = _config()
        number = 1 + len(list(ScriptDirectory.from_config(config).walk_revisions()))
        with database.write() as connection:
            config.attributes |= {"connection": connection, "metadata": metadata}
            command.revision(config, words, autogenerate=True, rev_id=f"{number:04d}")
        database.close()


if __name__ == "__main__":
    write_revision(" ".join(sys.argv[1:]) or "schema")
