"""Money at the Stripe stand-in: charges, refunds, disputes, payouts, and that none is ever lost or made."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulators.stripe import controls
from emulators.stripe.emulator import StripeEmulator
from emulators.stripe.errors import StripeError
from emulators.stripe.settings import Account
from tests.contract.stripe_bench import Bench, new_emulator, open_bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    with open_bench() as opened:
        yield opened


def fees(movement: Any) -> list[tuple[str, int]]:
    return [(detail.description, detail.amount) for detail in movement.fee_details]


def test_a_charge_has_its_balance_transaction_later_and_an_event_says_so(bench: Bench) -> None:
    customer = bench.customer(metadata={"qb": "58"})
    intent = bench.paid(10_000, customer=customer.id, metadata={"order": "7"}, expand=["latest_charge"])
    charge = intent.latest_charge
    assert (intent.status, charge.status, charge.balance_transaction) == ("succeeded", "succeeded", None)
    assert charge.metadata.to_dict() == {"order": "7"}
    assert charge.billing_details.email == "ada@example.com"
    bench.wait(seconds=3)
    charge = bench.api.charges.retrieve(charge.id, {"expand": ["balance_transaction", "customer"]})
    movement = charge.balance_transaction
    assert (movement.amount, movement.fee, movement.net, movement.status) == (10_000, 320, 9_680, "pending")
    assert (movement.type, movement.reporting_category, movement.source) == ("charge", "charge", charge.id)
    assert datetime.fromtimestamp(movement.available_on, UTC) == datetime(2026, 9, 3, tzinfo=UTC)
    assert bench.events() == [
        "customer.created",
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "charge.updated",
    ]
    update = bench.api.events.list({"type": "charge.updated"}).data[0]
    assert update.data.previous_attributes.to_dict() == {"balance_transaction": None}


def test_the_whole_way_of_a_payout(bench: Bench) -> None:
    bench.paid(10_000)
    bench.paid(5_000)
    bench.wait(seconds=5)
    balance = bench.api.balance.retrieve()
    assert (balance.available[0].amount, balance.pending[0].amount) == (0, 14_505)
    bench.wait(days=2)
    payout = bench.api.payouts.list().data[0]
    assert (payout.amount, payout.status, payout.reconciliation_status) == (14_505, "in_transit", "completed")
    assert datetime.fromtimestamp(payout.arrival_date, UTC) == datetime(2026, 9, 7, tzinfo=UTC)
    movements = bench.movements(payout=payout.id)
    assert [movement.type for movement in movements] == ["charge", "charge", "payout"]
    assert sum(movement.net for movement in movements) == 0
    bench.wait(days=6)
    payout = bench.api.payouts.retrieve(payout.id, {"expand": ["destination", "balance_transaction"]})
    assert (payout.status, payout.trace_id.status) == ("paid", "supported")
    bench.control("payout_failures", payout=payout.id)
    payout = bench.api.payouts.retrieve(payout.id, {"expand": ["failure_balance_transaction"]})
    assert (payout.status, payout.failure_balance_transaction.reporting_category) == ("failed", "payout_reversal")
    assert bench.api.balance.retrieve().available[0].amount == 14_505
    bench.wait(days=1)
    again = bench.api.payouts.list().data[0]
    assert [each.type for each in bench.movements(payout=again.id)] == ["payout_failure", "payout"]
    told = [name for name in bench.events() if name.startswith("payout")]
    assert told[:4] == ["payout.created", "payout.updated", "payout.reconciliation_completed", "payout.paid"]
    assert "payout.failed" in told


def test_manual_payouts_cannot_be_itemised(bench: Bench) -> None:
    bench.control("balance_transactions", amount=9_000, type="topup", category="topup")
    payout = bench.api.payouts.create({"amount": 4_000, "currency": "usd"})
    assert (payout.automatic, payout.reconciliation_status) == (False, "not_applicable")
    with pytest.raises(stripe.InvalidRequestError, match="automatic payouts"):
        bench.movements(payout=payout.id)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        bench.api.payouts.create({"amount": 6_000, "currency": "usd"})
    assert refused.value.code == "balance_insufficient"
    assert bench.api.payouts.cancel(payout.id).status == "canceled"


def test_a_part_is_captured_in_two_balance_transactions(bench: Bench) -> None:
    intent = bench.paid(10_000, capture_method="manual")
    assert (intent.status, intent.amount_capturable) == ("requires_capture", 10_000)
    bench.api.payment_intents.capture(intent.id, {"amount_to_capture": 6_000})
    bench.wait(seconds=3)
    charge = bench.api.charges.list({"payment_intent": intent.id}).data[0]
    assert (charge.amount, charge.amount_captured, charge.captured) == (10_000, 6_000, True)
    movements = bench.movements(source=charge.id)
    assert [(each.amount, each.fee, each.reporting_category) for each in movements] == [
        (10_000, 320, "charge"),
        (-4_000, -128, "partial_capture_reversal"),
    ]
    held = bench.paid(700, capture_method="manual")
    assert bench.api.payment_intents.cancel(held.id).status == "canceled"
    assert bench.movements(source=held.latest_charge) == []


def test_other_currencies_are_settled_in_dollars(bench: Bench) -> None:
    yen = bench.paid(5_000, "jpy", "pm_card_jp")
    euro = bench.paid(10_000, "eur", "pm_card_de")
    bench.wait(seconds=3)
    first, second = (bench.movements(source=intent.latest_charge)[0] for intent in (yen, euro))
    assert (first.currency, first.amount, first.exchange_rate) == ("usd", 3_356, 0.6712)
    assert (second.currency, second.amount, second.exchange_rate) == ("usd", 10_834, 1.0834)
    assert fees(second) == [("Stripe processing fees", 507), ("Stripe currency conversion fee", 108)]
    refund = bench.api.refunds.create({"charge": euro.latest_charge, "amount": 5_000})
    assert bench.movements(type="refund")[0].amount == -5_417
    bench.emulator.office.rates.usd_ppm["eur"] = 1_100_000  # what fails comes back at the rate of that day
    bench.control("refund_failures", refund=refund.id)
    assert bench.movements(type="refund_failure")[0].amount == 5_500


def test_a_refund_that_fails_comes_back(bench: Bench) -> None:
    intent = bench.paid(10_000)
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded"):
        bench.api.refunds.create({"payment_intent": intent.id, "amount": 10_001})
    refund = bench.api.refunds.create({"payment_intent": intent.id, "amount": 3_000, "reason": "duplicate"})
    charge = bench.api.charges.retrieve(intent.latest_charge, {"expand": ["refunds"]})
    assert (charge.amount_refunded, charge.refunded, charge.refunds.data[0].id) == (3_000, False, refund.id)
    bench.control("refund_failures", refund=refund.id, reason="expired_or_canceled_card")
    refund = bench.api.refunds.retrieve(refund.id, {"expand": ["failure_balance_transaction"]})
    assert (refund.status, refund.failure_reason) == ("failed", "expired_or_canceled_card")
    assert refund.failure_balance_transaction.reporting_category == "refund_failure"
    assert bench.api.charges.retrieve(intent.latest_charge).amount_refunded == 0
    told = {"refund.created", "charge.refunded", "refund.failed", "refund.updated", "charge.refund.updated"}
    assert told <= set(bench.events())


def test_disputes_won_and_lost_and_inquiries(bench: Bench) -> None:
    one, two, three = (bench.paid(10_000).latest_charge for _ in range(3))
    won, lost = bench.control("disputes", charge=one)["id"], bench.control("disputes", charge=two, amount=4_000)["id"]
    inquiry = bench.control("disputes", charge=three, inquiry=True)["id"]
    assert bench.api.disputes.update(won, {"evidence": {"receipt": "file_1"}}).status == "under_review"
    bench.control("dispute_wins", dispute=won)
    assert bench.api.disputes.close(lost).status == "lost"
    bench.control("dispute_losses", dispute=inquiry)
    with pytest.raises(stripe.InvalidRequestError, match="charged back"):
        bench.api.refunds.create({"charge": two})
    assert bench.api.refunds.create({"charge": one, "amount": 1}).status == "succeeded"
    moved = {
        dispute.id: [(each.amount, each.fee, each.reporting_category) for each in dispute.balance_transactions]
        for dispute in bench.api.disputes.list({"expand": ["data.charge"]}).data
    }
    assert moved == {
        won: [(-10_000, 1_500, "dispute"), (10_000, -1_500, "dispute_reversal")],
        lost: [(-4_000, 1_500, "dispute")],
        inquiry: [],
    }
    assert bench.api.disputes.retrieve(inquiry).status == "warning_closed"
    assert [name for name in bench.events() if name.startswith("charge.dispute.funds")] == [
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
    ]


def test_bank_debits_take_days_and_may_bounce(bench: Bench) -> None:
    good, bad = (bench.paid(40_000, method=f"pm_usBankAccount{end}") for end in ("_success", "_insufficientFunds"))
    assert (good.status, good.latest_charge[:3]) == ("processing", "py_")
    bench.wait(days=7)
    assert [bench.api.payment_intents.retrieve(each.id).status for each in (good, bad)] == [
        "succeeded",
        "requires_payment_method",
    ]
    bench.control("charge_failures", charge=good.latest_charge)
    movements = bench.movements(source=good.latest_charge)
    assert [(each.amount, each.type, each.reporting_category) for each in movements] == [
        (40_000, "payment", "charge"),
        (-40_000, "payment_failure_refund", "charge_failure"),
    ]
    assert bench.movements(source=bad.latest_charge) == []


def test_what_stripe_does_by_itself_known_or_not(bench: Bench) -> None:
    bench.control("balance_transactions", amount=-500, type="stripe_fee", category="fee", description="Radar")
    bench.control("balance_transactions", amount=-700, type="reserve_hold", category="risk_reserved_funds")
    bench.control(
        "balance_transactions", amount=700, type="reserve_hold", category="risk_reserved_funds",
        balance_type="risk_reserved",
    )  # fmt: skip
    assert bench.api.balance.retrieve().available[0].amount == -1_200
    bench.control("balance_transactions", amount=5, type="moon_fee", category="moon_fees")
    assert bench.movements(type="moon_fee")[0].reporting_category == "moon_fees"
    assert "'moon_fee' is none of" in bench.recorder.faults.pop()


# --- conservation ---


class Till:
    """Drives the stand-in in-process with random operations."""

    def __init__(self, emulator: StripeEmulator) -> None:
        self.emulator = emulator

    def all(self, kind: str, **filters: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            cursor = {"starting_after": found[-1]["id"]} if found else {}
            page = self.emulator.request("GET", f"/v1/{kind}", {"limit": 100, **filters, **cursor})
            found += page["data"]
            if not page["has_more"]:
                return found

    def act(self, name: str, amount: int, which: int, currency: str) -> None:
        charges, post = self.all("charges"), self.emulator.request
        charge = charges[which % len(charges)]["id"] if charges else None
        if name == "wait":
            self.emulator.office.clock.advance(timedelta(hours=which * 7))
            self.emulator.tick()
        elif name in ("pay", "hold"):
            method = ("pm_card_visa", "pm_card_gb", "pm_usBankAccount_success", "pm_usBankAccount_insufficientFunds")
            capture = "automatic" if name == "pay" else "manual"
            intent = {"amount": amount, "currency": currency, "payment_method": method[which % 4], "confirm": True}
            body = post("POST", "/v1/payment_intents", intent | {"capture_method": capture})
            if body["status"] == "requires_capture":
                part = {"amount_to_capture": amount - which}
                post("POST", f"/v1/payment_intents/{body['id']}/capture", part)
        elif name == "payout":
            post("POST", "/v1/payouts", {"amount": amount, "currency": currency})
        elif name == "refund":
            post("POST", "/v1/refunds", {"charge": charge, "amount": amount})
        elif name == "dispute":
            controls.use(self.emulator, "disputes", {"charge": charge})
        else:
            kind, parameter = {"fail_refund": ("refunds", "refund"), "fail_payout": ("payouts", "payout"),
                               "win": ("disputes", "dispute"), "bounce": ("charges", "charge")}[name]  # fmt: skip
            things = self.all(kind)
            control = {"fail_refund": "refund_failures", "fail_payout": "payout_failures", "win": "dispute_wins",
                       "bounce": "charge_failures"}[name]  # fmt: skip
            controls.use(self.emulator, control, {parameter: things[which % len(things)]["id"] if things else "none"})


ACTS = ("wait", "pay", "hold", "payout", "refund", "dispute", "fail_refund", "fail_payout", "win", "bounce")


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(ACTS), st.integers(100, 50_000), st.integers(0, 20), st.sampled_from(("usd", "eur", "jpy"))
        ),
        max_size=40,
    ),
    st.booleans(),
)
def test_no_money_is_lost_or_made(acts: list[tuple[str, int, int, str]], debits: bool) -> None:
    account = Account(settlement_currencies=("usd", "eur"), debit_negative_balances=debits, fee_tax_bps=2_000)
    till = Till(new_emulator(account))
    for act in acts:
        try:
            till.act(*act)
        except StripeError as refused:
            assert refused.status in (400, 404), refused  # noqa: PT017
    movements = till.all("balance_transactions")
    assert all(each["net"] == each["amount"] - each["fee"] for each in movements)
    assert all(each["fee"] == sum(detail["amount"] for detail in each["fee_details"]) for each in movements)
    balance = till.emulator.request("GET", "/v1/balance")
    for currency in ("usd", "eur"):
        held = sum(each["amount"] for side in ("available", "pending") for each in balance[side]
                   if each["currency"] == currency)  # fmt: skip
        assert held == sum(each["net"] for each in movements if each["currency"] == currency)
    for payout in till.all("payouts"):
        if payout["automatic"]:
            listed = till.all("balance_transactions", payout=payout["id"])
            assert sum(each["net"] for each in listed) == 0
            assert [each["net"] for each in listed if each["source"] == payout["id"]][-1] == -payout["amount"]
