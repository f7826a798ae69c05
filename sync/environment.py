"""Where a process finds its data: the directory, the database, the vault. Children inherit it through the environment.

TIEOUT_DATA_DIR     the data directory (default: the user's)
DATABASE_URL        PostgreSQL instead of the SQLite file in the data directory; the demo ignores it
TIEOUT_DEMO         set for the demo, whose directory holds emulated connections only
TIEOUT_HOST         the address servers bind to (default 127.0.0.1)
"""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import platformdirs

from storage import connections
from storage.engine import Database, DatabaseError, open_database
from storage.migrate import migrate
from storage.vault import Vault, open_vault
from sync.clock import SystemClock, SystemRng
from sync.ports import Clock, Rng


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What every process of one installation shares."""

    data_dir: Path
    demo: bool
    database: Database
    vault: Vault
    clock: Clock
    rng: Rng


def data_dir() -> Path:
    """The demo's and the real one are never the same."""
    named = os.environ.get("TIEOUT_DATA_DIR")
    if named:
        return Path(named)
    return Path(platformdirs.user_data_dir("tieout-demo" if is_demo() else "tieout", appauthor=False))


def is_demo() -> bool:
    return os.environ.get("TIEOUT_DEMO") == "1"


def open_environment() -> Environment:
    """Opens and, if need be, migrates the database. Raises DatabaseError with a sentence for the user."""
    directory = data_dir()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    url = None if is_demo() else os.environ.get("DATABASE_URL")
    database = open_database(url, data_dir=directory)
    migrate(database)
    _check_kind(database)
    return Environment(
        data_dir=directory,
        demo=is_demo(),
        database=database,
        vault=open_vault(directory),
        clock=SystemClock(),
        rng=SystemRng(),
    )


@cache
def shared_environment() -> Environment:
    """This process's one environment, for code that nobody can hand it to: Streamlit runs its script by itself."""
    return open_environment()


def _check_kind(database: Database) -> None:
    """Emulated and real connections never share a database."""
    with database.read() as conn:
        modes = {connection.mode for connection in connections.all_connections(conn)}
    if is_demo() and modes - {"emulated"}:
        raise DatabaseError("This data directory holds real connections; the demo does not open it.")
    if not is_demo() and "emulated" in modes:
        raise DatabaseError("This data directory belongs to the demo. Start it with `make run`, or use another one.")
