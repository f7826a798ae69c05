"""The demo world: the same from the same seed, its books in order, its mess as small as promised."""

import json
import signal
import subprocess
import sys
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from emulators.truth import CLEAN, MESSY, read
from emulators.world import World, counts_of, cutover_of, open_world

UNTIL = datetime(2026, 11, 18, 16, 20, tzinfo=UTC)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with open_world(7, 3, None, until=UNTIL) as found:
        yield found


def movements(world: World) -> list[dict[str, Any]]:
    return world.stripe.office.store.find("balance_transaction", oldest_first=True)


def test_the_same_seed_gives_the_same_world() -> None:
    truths = []
    for seed in (7, 7, 8):
        with open_world(seed, 1, 200, until=UNTIL) as found:
            truths.append(found.truth)
    assert truths[0] == truths[1]
    assert {charge.id for charge in truths[0].charges}.isdisjoint(charge.id for charge in truths[2].charges)


def test_the_stripe_balance_is_the_sum_of_its_movements(world: World) -> None:
    total: dict[str, int] = defaultdict(int)
    for body in movements(world):
        if body["balance_type"] == "payments":
            total[body["currency"]] += body["net"]
    balance = world.stripe.request("GET", "/v1/balance")
    for currency in ("usd", "jpy"):
        sides = (each for side in ("available", "pending") for each in balance[side])
        assert total[currency] == sum(each["amount"] for each in sides if each["currency"] == currency)
    assert set(total) == {"usd", "jpy"}


def test_payouts_are_what_they_hold(world: World) -> None:
    payouts = world.stripe.office.store.find("payout")
    assert {body["status"] for body in payouts} == {"paid", "in_transit"}
    for payout in payouts:
        held = world.stripe.office.store.find("balance_transaction", where={"_payout": payout["id"]})
        assert sum(body["net"] for body in held) == 0
        assert datetime.fromtimestamp(payout["created"], UTC).weekday() < 5


def test_the_books_balance(world: World) -> None:
    for day in (None, date.fromisoformat(world.truth.cutover), UNTIL.date()):
        assert sum(world.qbo.trial_balance(day).values()) == 0


def test_most_charges_can_be_matched_and_the_rest_has_a_reason(world: World) -> None:
    counts = Counter(charge.category for charge in world.truth.charges)
    assert set(counts) == {*CLEAN, *MESSY, "before_cutover", "failed"}
    clean, messy = (sum(counts[name] for name in names) for names in (CLEAN, MESSY))
    assert 0.85 <= clean / (clean + messy) <= 0.9
    assert 330 <= clean + messy <= 480
    assert 0.5 <= counts["linked"] / (clean + messy) <= 0.65
    outcomes = Counter(outcome for charge in world.truth.charges for outcome in charge.disputes.values())
    assert set(outcomes) == {"won", "lost", "needs_response"}
    refunds = [charge for charge in world.truth.charges if charge.refunds]
    assert len(refunds) >= 5


def test_what_tieout_is_to_post_is_open_in_the_books(world: World) -> None:
    open_now = {body["Id"]: body["Balance"] for body in world.qbo.store.find("Invoice")}
    by_hand = ("hand_recorded", "recorded_by_id", "before_cutover")
    for charge in world.truth.charges:
        for paid in charge.pays:
            assert (open_now[paid.invoice_id] == 0) == (charge.category in by_hand), charge


def test_every_charge_that_succeeded_has_moved_money(world: World) -> None:
    for charge in world.truth.charges:
        body = world.stripe.request("GET", f"/v1/charges/{charge.id}")
        assert (body["status"] == "failed") == (charge.category == "failed")
        assert (charge.movement is None) == (body["status"] != "succeeded")
        assert body["amount_captured"] == (0 if charge.movement is None else charge.amount_minor)


def test_linked_charges_are_linked_by_stripe(world: World) -> None:
    """Through invoice payments, whose invoices carry the Id and the number of those in the books."""
    for charge in world.truth.of("linked", "several", "partial", "foreign_eur", "foreign_jpy"):
        intent = world.stripe.request("GET", f"/v1/charges/{charge.id}")["payment_intent"]
        payment = {"type": "payment_intent", "payment_intent": intent}
        links = world.stripe.request("GET", "/v1/invoice_payments", {"payment": payment, "status": "paid"})["data"]
        found = set()
        for link in links:
            invoice = world.stripe.request("GET", f"/v1/invoices/{link['invoice']}")
            found.add((invoice["metadata"]["qbo_invoice_id"], invoice["number"], link["amount_paid"]))
        assert found == {(paid.invoice_id, paid.doc_number, paid.amount_minor) for paid in charge.pays}


def test_numbers_of_invoices_are_unique(world: World) -> None:
    numbers = [body["DocNumber"] for body in world.qbo.store.find("Invoice")]
    assert len(set(numbers)) == len(numbers)


def test_money_is_under_way_over_the_cutover(world: World) -> None:
    assert world.truth.cutover == "2026-08-01"
    assert world.truth.payouts_over_cutover
    assert world.truth.mixed_payouts
    assert len(world.truth.of("before_cutover")) >= 4
    assert any(charge.refunds for charge in world.truth.of("before_cutover"))


def test_several_currencies_and_taxed_fees(world: World) -> None:
    assert {charge.currency for charge in world.truth.charges} == {"USD", "EUR", "JPY"}
    assert any(body["exchange_rate"] for body in movements(world))
    kinds = Counter(fee["type"] for body in movements(world) for fee in body["fee_details"])
    assert 0 < kinds["tax"] < kinds["stripe_fee"]
    categories = {body["reporting_category"] for body in movements(world)}
    assert categories >= {
        "charge",
        "refund",
        "payout",
        "fee",
        "dispute",
        "dispute_reversal",
        "partial_capture_reversal",
    }
    assert "risk_reserved_funds" in categories


def test_what_was_typed_in_by_hand(world: World) -> None:
    typed = Counter((made.entity, made.names_it) for made in world.truth.hand_recorded)
    assert all(typed[entity, names_it] for entity in ("Payment", "Transfer") for names_it in (True, False))
    for made in world.truth.hand_recorded:
        memo = world.qbo.read(made.entity, made.id).get("PrivateNote", "")
        assert (made.stripe_id in memo) == made.names_it


@pytest.mark.parametrize(
    ("until", "months", "expected"),
    [
        (UNTIL, 3, date(2026, 8, 1)),
        (UNTIL, 11, date(2025, 12, 1)),
        (datetime(2026, 3, 1, 2, tzinfo=UTC), 1, date(2026, 1, 1)),  # still February in New York
    ],
)
def test_cutover_is_the_first_of_a_month(until: datetime, months: int, expected: date) -> None:
    assert cutover_of(until, months) == expected


@pytest.mark.parametrize("number", [0, 1, 7, 40, 200, 371])
def test_counts_add_up(number: int) -> None:
    counts = counts_of({"linked": 90, "b": 7, "c": 3}, number)
    assert sum(counts.values()) == number
    assert min(counts.values()) >= (1 if number >= 40 else 0)


def start(tmp_path: Path) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    announcement = tmp_path / "emulators.json"
    announcement.unlink(missing_ok=True)
    command = [sys.executable, "-m", "emulators", "--months", "1", "--charges", "30", "--pace", "0.2"]
    command += ["--state", str(tmp_path / "emulators.db"), "--announce", str(announcement)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    give_up = monotonic() + 30
    while not announcement.exists():
        assert process.poll() is None, process.communicate()
        assert monotonic() < give_up
        sleep(0.05)
    return process, json.loads(announcement.read_text())


def charges(announced: dict[str, Any]) -> list[str]:
    stripe = announced["stripe"]
    request = urllib.request.Request(
        f"{stripe['api']}/v1/charges?limit=100", headers={"Authorization": f"Bearer {stripe['key']}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return [body["id"] for body in json.load(answer)["data"]]


def test_the_command_keeps_its_world(tmp_path: Path) -> None:
    """It serves until it is stopped; the world goes on; a restart knows the same things by the same keys."""
    seen: list[list[str]] = []
    announcements = []
    for end in (signal.SIGKILL, signal.SIGTERM):
        process, announced = start(tmp_path)
        sleep(1.5)
        seen.append(charges(announced))
        announcements.append(announced)
        process.send_signal(end)
        process.communicate(timeout=20)
        assert process.returncode == (-end if end == signal.SIGKILL else 0)
    assert set(seen[0]) < set(seen[1])
    assert announcements[0]["stripe"]["key"] == announcements[1]["stripe"]["key"]
    tokens = [announced["quickbooks"].pop("refresh_token") for announced in announcements]
    assert tokens[0] != tokens[1]
    for secret in ("client_secret", "verifier_token", "realm_id"):
        assert announcements[0]["quickbooks"][secret] == announcements[1]["quickbooks"][secret]
    truth = read(tmp_path / "emulators.db.truth.json")
    assert {charge.id for charge in truth.charges} <= set(seen[0])
