"""A backup of the SQLite database while others work on it: one file, as of one moment, that nobody else can read.

In one step, so that it comes to its end however much is written meanwhile (SQLite begins a copy in several steps anew
whenever another process has written). Without WAL a commit waits for it, as for any reader.
"""

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from storage.engine import Database, DatabaseError
from storage.models import audit


@dataclass(frozen=True, slots=True)
class Backup:
    """What was written: how many bytes, and the newest entry of the audit log in it (0: none)."""

    bytes: int
    entry_id: int


def back_up(database: Database, file: Path) -> Backup:
    """Writes `file`, whole and verified or not at all; raises DatabaseError if it is there or cannot be written."""
    if database.dialect != "sqlite":
        raise DatabaseError(
            "This backs up SQLite files. Tieout's database is in PostgreSQL, which has its own: "
            "pg_dump --format=custom --file=tieout.dump, with the address that DATABASE_URL names."
        )
    if file.exists():
        raise DatabaseError(f"{file} is there already, and a backup is never written over. Name another file.")
    draft = file.with_name(f"{file.name}.part")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        raise DatabaseError(f"Another backup is writing {draft}, or was stopped: then remove it.") from None
    try:
        entry_id = _copy(database, draft)
        _settle(draft)
        os.link(draft, file)  # whole or not at all, and never over another
    finally:
        draft.unlink()
    _settle(file.parent)
    return Backup(file.stat().st_size, entry_id)


def _copy(database: Database, draft: Path) -> int:
    target = sqlite3.connect(draft, isolation_level=None)
    try:
        with database.read() as conn:
            entry_id = conn.scalar(select(func.max(audit.c.id))) or 0
            source = conn.connection.driver_connection
            assert isinstance(source, sqlite3.Connection)
            source.backup(target)
        target.execute("PRAGMA journal_mode=DELETE")  # of one file, also if the database keeps a second one beside it
        if (said := target.execute("PRAGMA integrity_check(1)").fetchone()[0]) != "ok":
            raise DatabaseError(f"The backup is damaged, so it was removed. `tieout check` says what is wrong: {said}")
    finally:
        target.close()
    return int(entry_id)


def _settle(path: Path) -> None:
    """Safely on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
