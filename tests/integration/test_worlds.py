"""Seeded worlds: a month of a company's business, synced, with the laws held on every day of it."""

from pathlib import Path

import pytest

from emulators.world import open_world
from storage import connections
from storage.engine import Database
from storage.vault import open_vault
from sync.clock import SystemRng
from sync.demo import connect_announced
from sync.environment import Environment
from sync.processes import make_worker
from tests import laws
from tests.integration.conftest import HurriedClock

SEEDS = [1, 2, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(3, 13))]
UNFINISHED = {
    "queued",
    "undecided",
    "refused",
    "unmapped_category",
    "unmapped_account",
    "closed_period",
    "FX_RATE_MISSING",
}
POSTED = {"dispute", "dispute_reversal", "fee", "risk_reserved_funds"}  # of these nothing waits for a person


@pytest.mark.parametrize("seed", SEEDS)
def test_the_laws_hold_on_every_day_of_a_world(database: Database, tmp_path: Path, seed: int) -> None:
    environment = Environment(
        data_dir=tmp_path,
        demo=True,
        database=database,
        vault=open_vault(tmp_path),
        clock=HurriedClock(),
        rng=SystemRng(),
    )
    with open_world(seed, 1, 40, until=environment.clock.now().replace(microsecond=0)) as world:
        connect_announced(environment, world.announcement, hooks_address=None)
        for _ in range(2):
            worker = make_worker(environment)
            worker.enqueue_now("test")
            while worker.work():
                assert worker.problem is None
        laws.check(environment, world.stripe, world.qbo)
        with database.read() as conn:
            (link,) = connections.all_links(conn)
        waiting = laws.waiting_legs(environment)
        assert not {row["reason"] for row in waiting} & UNFINISHED
        assert not [row for row in waiting if row["category"] in POSTED]
        assert {leg["currency"] for leg in laws.legs_in_books(environment)} == {"USD", "JPY"}
        assert link.openings is not None
