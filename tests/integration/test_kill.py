"""Killed at any moment and started again: nothing lost, nothing twice."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from emulators.world import open_world
from storage.models import outbox
from sync.demo import connect_announced
from sync.environment import open_environment
from sync.qbo.limits import OFF
from tests import laws

ROOT = Path(__file__).parents[2]


def kill_and_restart(data_dir: Path, monkeypatch: pytest.MonkeyPatch, *, kills: int, months: int, charges: int | None,
                     seed: int, longest_ms: int, lease_ms: int) -> None:  # fmt: skip
    monkeypatch.setenv("TIEOUT_DATA_DIR", str(data_dir))
    monkeypatch.setenv("TIEOUT_DEMO", "1")
    with open_world(seed, months, charges) as world:
        environment = open_environment()
        world.announcement["quickbooks"]["limits"] = OFF  # a child is killed before it would have waited
        connect_announced(environment, world.announcement, None)
        environment.database.close()
        command = [sys.executable, "-m", "tests.zygote", *map(str, (kills, seed, longest_ms, lease_ms))]
        done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) >= kills * 0.9, "the syncs were over before they could be killed"
        laws.check(environment, world.stripe, world.qbo)
        with environment.database.read() as conn:
            columns = (outbox.c.document_id, outbox.c.marker, outbox.c.state, outbox.c.attempt, outbox.c.problem)
            rows = conn.execute(select(*columns)).all()
        assert [row for row in rows if row.state != "verified"] == []
        assert sorted((row.document_id, row.marker) for row in rows) == sorted(laws.marked(world.qbo))
        linked = [charge for charge in world.truth.charges if charge.category == "linked"]
        paid = {marker.partition(":")[0] for _, marker in laws.marked(world.qbo) if ":charge:" in marker}
        assert {charge.movement for charge in linked} <= paid


def test_fifty_kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kill_and_restart(tmp_path, monkeypatch, kills=50, months=2, charges=200, seed=11, longest_ms=600, lease_ms=300)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(20, 25))
def test_kills_on_the_demo_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    # Its stand-ins work longer on a request than those of the small world.
    kill_and_restart(tmp_path, monkeypatch, kills=50, months=3, charges=None, seed=seed, longest_ms=1_600, lease_ms=800)
