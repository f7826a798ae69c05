"""Deciding in pieces: the same as in one, and never much in memory at once."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from emulators.world import open_world
from reconcile.plan import plan
from reconcile.postings import Plan
from reconcile.snapshot import Snapshot
from storage import connections, snapshot, work
from storage.engine import FILE_NAME, Database, open_database
from storage.migrate import migrate
from storage.models import audit, legs, matches, mirror, outbox
from storage.vault import open_vault
from sync import deciding, worker
from sync.clock import SystemRng
from sync.demo import connect_announced
from sync.environment import Environment
from sync.processes import make_worker
from tests.integration.conftest import HurriedClock

SIZES = (3, 1_000_000)
SEEDS = [21, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(22, 28))]
SHOWN = {
    legs: ("id", "source_id", "state", "reason", "detail", "markers", "document_ids", "version"),
    outbox: ("marker", "kind", "dated", "posting", "after", "state"),
    matches: ("id", "decision", "tier", "role", "rank", "probability_ppm", "reasons", "allocations", "evidence"),
    mirror: ("connection_id", "kind", "object_id", "open", "claimed"),
    audit: ("action", "subject", "detail"),
}


@pytest.fixture(scope="module", params=SEEDS)
def fetched(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world that was read and not decided yet, as a database file."""
    folder = tmp_path_factory.mktemp("fetched")
    database = open_database(None, data_dir=folder)
    migrate(database)
    clock = HurriedClock()
    environment = Environment(
        data_dir=folder, demo=True, database=database, vault=open_vault(folder), clock=clock, rng=SystemRng()
    )
    with open_world(request.param, 1, 40, until=clock.now().replace(microsecond=0)) as world:
        connect_announced(environment, world.announcement, hooks_address=None)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(worker, "decide", lambda *_: {})
            made = make_worker(environment)
            made.enqueue_now("test")
            while made.work():
                assert made.problem is None
    database.close()
    return folder / FILE_NAME


def decided(source: Path, folder: Path, size: int) -> dict[str, list[Any]]:
    """Everything that deciding leaves, without times and numbers of rows."""
    folder.mkdir()
    shutil.copy(source, folder / FILE_NAME)
    database = open_database(None, data_dir=folder)
    counts = deciding.decide(database, HurriedClock(), link_of(database), size=size)
    with database.read() as conn:
        found = {
            table.name: sorted(str(tuple(row)) for row in conn.execute(select(*(table.c[name] for name in names))))
            for table, names in SHOWN.items()
        }
    database.close()
    return found | {"counts": [counts]}


def link_of(database: Database) -> int:
    with database.read() as conn:
        (link,) = connections.all_links(conn)
    return link.id


def test_pieces_of_any_size_decide_what_one_decides(fetched: Path, tmp_path: Path) -> None:
    pieces, whole = (decided(fetched, tmp_path / str(size), size) for size in SIZES)
    assert len(whole["outbox"]) > 40
    assert pieces == whole


def test_no_more_is_held_than_a_piece_needs(fetched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: dict[str, int] = {}

    def counted(found: Snapshot, *rest: Any, **more: Any) -> Plan:
        for name in ("movements", "charges", "documents", "customers", "invoice_payments", "places"):
            held[name] = max(held.get(name, 0), len(getattr(found, name)))
        return plan(found, *rest, **more)

    monkeypatch.setattr(deciding, "plan", counted)
    few, read = 10, set[int]()
    load_stripe = snapshot.load_stripe
    monkeypatch.setattr(
        snapshot, "load_stripe", lambda conn, link, ids: read.add(len(ids)) or load_stripe(conn, link, ids)
    )
    monkeypatch.setattr(work, "ROWS", few)
    left = decided(fetched, tmp_path / "few", few)
    assert len(left["legs"]) > 5 * few
    assert held["movements"] <= 2 * few  # the largest family of these worlds is smaller than that
    assert max(held.values()) <= 3 * few
    assert max(read) <= 2 * few
