"""Where a process finds its data: the directory, the database, the vault. Children inherit it through the environment.

TIEOUT_DATA_DIR     the data directory (default: the user's)
DATABASE_URL        PostgreSQL instead of the SQLite file in the data directory; the demo ignores it
TIEOUT_DEMO         set for the demo, whose directory holds emulated connections only
TIEOUT_HOST         the address servers bind to (default 127.0.0.1)
TIEOUT_URL          where browsers, Stripe and Intuit reach us, as https://tieout.example.com, if it is public
TIEOUT_INTUIT_CLIENT_ID, TIEOUT_INTUIT_CLIENT_SECRET
                    the Intuit app to connect with; without them the pages ask for it
TIEOUT_OIDC_...     people may sign in with a provider, see sync.oidc
TIEOUT_STRIPE_API, TIEOUT_INTUIT
                    addresses of stand-ins, both or none: every connection is then an emulated one
"""

import json
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

ANNOUNCEMENT = "emulators.json"  # where the demo's stand-ins write their addresses


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIns:
    """The addresses that take the place of Stripe's and Intuit's own."""

    stripe: str
    intuit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What every process of one installation shares."""

    data_dir: Path
    demo: bool
    database: Database
    vault: Vault
    clock: Clock
    rng: Rng

    def stand_ins(self) -> StandIns | None:
        """None where the real Stripe and Intuit are meant. Nobody types these addresses into a page."""
        announced = self.data_dir / ANNOUNCEMENT
        if not self.demo:
            return _named_stand_ins()
        if not announced.exists():
            return None
        found = json.loads(announced.read_text())
        return StandIns(stripe=found["stripe"]["api"], intuit=found["quickbooks"]["api"].removesuffix("/v3"))


def data_dir() -> Path:
    """The demo's and the real one are never the same."""
    named = os.environ.get("TIEOUT_DATA_DIR")
    if named:
        return Path(named)
    return Path(platformdirs.user_data_dir("tieout-demo" if is_demo() else "tieout", appauthor=False))


def is_demo() -> bool:
    return os.environ.get("TIEOUT_DEMO") == "1"


def _named_stand_ins() -> StandIns | None:
    stripe, intuit = os.environ.get("TIEOUT_STRIPE_API"), os.environ.get("TIEOUT_INTUIT")
    if bool(stripe) != bool(intuit):
        raise DatabaseError("Set both TIEOUT_STRIPE_API and TIEOUT_INTUIT, or neither: modes are never mixed.")
    return StandIns(stripe=stripe, intuit=intuit) if stripe and intuit else None


def public_url() -> str | None:
    """Where others reach us, without a slash at the end; None on a machine of one's own."""
    return os.environ.get("TIEOUT_URL", "").rstrip("/") or None


def hooks_url() -> str | None:
    """Where Stripe can send webhooks to: our public address, or for stand-ins this machine's own."""
    emulated = is_demo() or _named_stand_ins() is not None
    return public_url() or (os.environ.get("TIEOUT_HOOKS") if emulated else None)


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
    is_emulated = is_demo() or _named_stand_ins() is not None
    if is_emulated and modes - {"emulated"}:
        raise DatabaseError("This data directory holds real connections; the demo does not open it.")
    if not is_emulated and "emulated" in modes:
        raise DatabaseError("This data directory belongs to the demo. Start it with `make run`, or use another one.")
