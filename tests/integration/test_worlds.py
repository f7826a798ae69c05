"""Seeded worlds: a month of a company's business, synced, with the laws held on every day of it."""

from pathlib import Path
from typing import Any

import pytest

from emulators.crediting import KINDS
from emulators.world import World, open_world
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
    end = environment.clock.now().replace(microsecond=0)
    with open_world(seed, 1, 40, until=end, notes=len(KINDS)) as world:
        connect_announced(environment, world.announcement, hooks_address=None)
        for _ in range(2):
            worker = make_worker(environment)
            worker.enqueue_now("test")
            while worker.work():
                assert worker.problem is None
        laws.check(environment, world.stripe, world.qbo)
        check_notes(world)
        with database.read() as conn:
            (link,) = connections.all_links(conn)
        waiting = laws.waiting_legs(environment)
        assert not {row["reason"] for row in waiting} & UNFINISHED
        assert not [row for row in waiting if row["category"] in POSTED]
        assert {leg["currency"] for leg in laws.legs_in_books(environment)} == {"USD", "JPY"}
        assert link.openings is not None


def check_notes(world: World) -> None:
    """Row 26, from what Stripe says alone: each part of a note in one credit memo, and both ask for the same then."""
    found = world.stripe.request("GET", "/v1/credit_notes", {"limit": 100})["data"]
    assert {(each["status"], each["type"]) for each in found} == {
        ("issued", "pre_payment"),
        ("issued", "post_payment"),
        ("void", "pre_payment"),
    }
    expected = sorted((each["number"], part) for each in found for part in memos_of(each))
    memos = world.qbo.query("SELECT * FROM CreditMemo MAXRESULTS 1000")["CreditMemo"]
    assert sorted((body["DocNumber"], round(body["TotalAmt"] * 100)) for body in memos) == expected
    for each in found:
        there = world.stripe.request("GET", f"/v1/invoices/{each['invoice']}")
        here = world.qbo.read("Invoice", there["metadata"]["qbo_invoice_id"])
        assert round(here["Balance"] * 100) == there["amount_remaining"], each["number"]


def memos_of(note: dict[str, Any]) -> list[int]:
    """The amounts of a Stripe credit note that belong into the books as credit memos: no refunds, nothing outside."""
    if note["status"] == "void":
        return []
    back = sum(each["amount_refunded"] for each in note["refunds"]) + (note["out_of_band_amount"] or 0)
    return [part for part in (note["pre_payment_amount"], note["post_payment_amount"] - back) if part]
