"""Killed at any moment and started again: nothing lost, nothing twice."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from emulators.world import World, open_world
from storage import connections
from storage.engine import Database
from storage.models import outbox, sendings
from storage.records import to_json
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
        with environment.database.write() as conn:
            (link,) = connections.all_links(conn)
            connections.change_link(conn, link.id, policies=to_json(replace(link.policies, sending="send")))
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
        check_sent(environment.database, world)
        linked = [charge for charge in world.truth.charges if charge.category == "linked"]
        paid = {marker.partition(":")[0] for _, marker in laws.marked(world.qbo) if ":charge:" in marker}
        assert {charge.movement for charge in linked} <= paid


def check_sent(database: Database, world: World) -> None:
    """Each invoice of the books is at Stripe at most once, with its total; every write was settled."""
    with database.read() as conn:
        assert conn.execute(select(sendings).where(sendings.c.state != "done")).all() == []
    made = [
        invoice
        for invoice in world.stripe.office.store.find("invoice", where={"status": "open"})
        if "tieout_revision" in invoice["metadata"]
    ]
    named = [invoice["metadata"]["qbo_invoice_id"] for invoice in made]
    assert len(named) == len(set(named)) > 0
    totals = {body["Id"]: round(body["TotalAmt"] * 100) for body in all_invoices(world)}
    assert {name: invoice["total"] for name, invoice in zip(named, made, strict=True)}.items() <= totals.items()
    mailed = world.stripe.office.store.find("event", where={"type": "invoice.sent"})
    assert len(mailed) == len(made)


def all_invoices(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.qbo.query("SELECT * FROM Invoice MAXRESULTS 1000")["Invoice"]
    return found


def test_fifty_kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kill_and_restart(tmp_path, monkeypatch, kills=50, months=2, charges=200, seed=11, longest_ms=600, lease_ms=300)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(20, 25))
def test_kills_on_the_demo_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    # Its stand-ins work longer on a request than those of the small world.
    kill_and_restart(tmp_path, monkeypatch, kills=50, months=3, charges=None, seed=seed, longest_ms=1_600, lease_ms=800)
