"""The proof on cases an accountant would draw on paper (row numbers: docs/ACCOUNTING.md)."""

from datetime import UTC, date, datetime

import polars as pl

from reconcile.checks import check_balances, check_legs
from reconcile.proof import CLEARING_SCHEMA, LEG_SCHEMA, OPENING_SCHEMA, Proof, prove
from reconcile.records import Fee, Movement, PayoutItems

CUTOVER, THROUGH = date(2026, 1, 10), date(2026, 1, 14)


def day(number: int) -> date:
    return date(2026, 1, number)


def leg(
    movement: str, source: str, on: date, amount: int, state: str, reason: str, **booked: object
) -> dict[str, object]:
    return {
        "leg_id": f"{movement}:gross",
        "movement_id": movement,
        "source_id": source,
        "currency": "USD",
        "day": on,
        "amount_minor": amount,
        "before_cutover": on < CUTOVER,
        "state": state,
        "reason": reason,
        "detail": "",
        "document_id": None,
        "booked_on": None,
        "booked_minor": 0,
    } | booked


def frames(
    stripe: int, legs: list[dict[str, object]], documents: list[tuple[str, date, int, bool]]
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    rows = [(name, "USD", on, amount, None, opening) for name, on, amount, opening in documents]
    return (
        pl.DataFrame([("USD", CUTOVER, stripe)], schema=OPENING_SCHEMA, orient="row"),
        pl.DataFrame(legs, schema=LEG_SCHEMA),
        pl.DataFrame(rows, schema=CLEARING_SCHEMA, orient="row"),
    )


def story(proof: Proof) -> list[tuple[str, date, date | None, int]]:
    return list(proof.items.select("reason", "from_day", "until_day", "amount_minor").iter_rows())


def test_a_payout_in_transit_at_the_cutover_is_in_the_opening_until_it_arrives() -> None:
    """Rows 21 and 22: Stripe held 50, a payout of 98 was on its way; the opening entry is 148."""
    legs = [
        leg("txn_0", "ch_0", day(5), 9800, "posted", "opening"),
        leg("txn_9", "po_9", day(2), -4000, "posted", "opening"),  # arrived before the cut-over
        leg("txn_9", "po_9", day(2), -4000, "posted", "opening"),  # arrived before the cut-over
        leg(
            "txn_1", "po_1", day(8), -9800, "posted", "posted", document_id="t:1", booked_on=day(12), booked_minor=-9800
        ),
    ]
    proof = prove(*frames(5000, legs, [("je:1", CUTOVER, 14800, True), ("t:1", day(12), -9800, False)]), THROUGH)
    assert story(proof) == [("in_transit", CUTOVER, day(12), -9800)]
    assert proof.days["status"].to_list() == ["explained", "explained", "tied", "tied", "tied"]
    assert proof.days["stripe_minor"].to_list() == [5000] * 5


def test_what_the_books_held_before_the_cutover_belongs_to_the_opening() -> None:
    documents = [("deposit:1", day(3), 2000, False), ("je:1", CUTOVER, 3000, True)]
    assert story(prove(*frames(5000, [], documents), THROUGH)) == []


def test_a_missing_opening_entry_shows_as_such() -> None:
    proof = prove(*frames(5000, [], []), THROUGH)
    assert story(proof) == [("opening", CUTOVER, None, 5000)]
    assert "opening balance differs by 50.00 USD" in proof.items["text"][0]


def test_each_state_of_a_leg_is_itemised_under_its_own_reason() -> None:
    legs = [
        leg("txn_1", "ch_1", day(10), 100, "waiting", "no_invoice"),
        leg("txn_2", "ch_2", day(11), 200, "ignored", "ignored"),
        leg("txn_3", "ch_3", day(11), 300, "matched", "already_recorded", document_id="payment:3"),
        leg("txn_4", "po_4", day(12), -250, "waiting", "in_transit"),
        leg("txn_5", "ch_5", day(12), 500, "posted", "posted", document_id="p:5", booked_on=day(13), booked_minor=500),
        leg("txn_6", "ch_6", day(12), 60, "posted", "posted"),
    ]
    proof = prove(*frames(0, legs, [("p:5", day(13), 500, False)]), THROUGH)
    assert story(proof) == [
        ("waiting", day(10), None, 100),
        ("ignored", day(11), None, 200),
        ("recorded_elsewhere", day(11), None, 300),
        ("date_moved", day(12), day(13), 500),
        ("drift", day(12), None, 60),
        ("in_transit", day(12), None, -250),
    ]
    assert proof.items["source_id"].null_count() == 0


def test_days_that_cancel_out_are_not_called_tied() -> None:
    """A surplus and a shortage of the same size are two findings, not agreement."""
    legs = [leg("txn_1", "ch_1", day(10), 100, "waiting", "no_invoice")]
    proof = prove(*frames(0, legs, [("deposit:9", day(10), 100, False)]), THROUGH)
    assert proof.days["difference_minor"].to_list() == [0] * 5
    assert set(proof.days["status"]) == {"open"}


def test_a_later_document_for_something_the_opening_holds_is_named() -> None:
    late = {"document_id": "payment:7", "booked_on": day(11), "booked_minor": 100}
    legs = [leg("txn_1", "ch_1", day(8), 100, "matched", "already_recorded", **late)]
    documents = [("je:1", CUTOVER, 100, True), ("payment:7", day(11), 100, False)]
    assert story(prove(*frames(100, legs, documents), THROUGH)) == [("books_only", day(11), None, -100)]


def test_the_vendors_own_balances_are_compared_with_ours() -> None:
    world = frames(0, [leg("txn_1", "ch_1", day(10), 100, "waiting", "no_invoice")], [("p:1", day(10), 70, False)])
    assert check_balances(*world, stripe_now={"USD": 100}, ledger_now={"USD": 70}) == ()
    stripe, books = check_balances(*world, stripe_now={"USD": 130, "EUR": 0}, ledger_now={"USD": 69})
    assert "Stripe's balance is 1.30 USD" in stripe
    assert "0.30 USD is missing" in stripe
    assert "-0.01 USD is missing" in books


def movement(movement_id: str, gross: int, fee: int) -> Movement:
    return Movement(
        id=movement_id,
        created_at=datetime(2026, 1, 10, tzinfo=UTC),
        currency="USD",
        gross_minor=gross,
        fee_minor=fee,
        net_minor=gross - fee,
        fees=(Fee(kind="stripe_fee", amount_minor=fee),) if fee else (),
        category="charge",
        type="charge",
        source_id="ch_1",
        status="available",
    )


def test_every_leg_is_in_exactly_one_state_and_the_legs_are_the_whole_movement() -> None:
    charge, payout = movement("txn_1", 100, 3), movement("txn_2", -97, 0)
    gross = leg("txn_1", "ch_1", day(10), 100, "posted", "posted")
    fee = gross | {"leg_id": "txn_1:stripe_fee", "amount_minor": -3}
    paid = leg("txn_2", "po_1", day(10), -97, "posted", "posted")
    items = [PayoutItems(id="po_1", movement_ids=("txn_1", "txn_2"))]

    def problems(*rows: dict[str, object]) -> tuple[str, ...]:
        return check_legs([charge, payout], pl.DataFrame(list(rows), schema=LEG_SCHEMA), items)

    assert problems(gross, fee, paid) == ()
    assert problems(gross, paid) == (
        "The legs of txn_1 come to 1.00 USD, its net is 0.97 USD.",
        "The fee legs of txn_1 come to 0.00 USD, its fee is 0.03 USD.",
    )
    assert problems(gross, fee) == ("txn_2 (-0.97 USD) has no legs: it is in no state.",)
    halves = gross | {"amount_minor": 50}, gross | {"amount_minor": 50, "state": "waiting"}
    assert problems(*halves, fee, paid) == ("txn_1:gross is in the state posted and waiting.",)
    short = [PayoutItems(id="po_2", movement_ids=("txn_1",))]
    assert "leaves 0.97 USD" in check_legs([charge], pl.DataFrame([gross, fee], schema=LEG_SCHEMA), short)[0]
