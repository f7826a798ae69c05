"""Law 1: whatever happened, the items make up the difference on every day, and every planted error shows."""

from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from reconcile.carried import carry
from reconcile.proof import CLEARING_SCHEMA, LEG_SCHEMA, OPENING_SCHEMA, Proof, prove

CUTOVER, THROUGH = date(2026, 1, 10), date(2026, 1, 25)
days = st.integers(-5, 14).map(lambda offset: CUTOVER + timedelta(days=offset))
amounts = st.integers(-500, 500)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Openings, legs and clearing documents in any relation to each other, sound or not."""
    legs = [
        {
            "leg_id": f"txn_{number}:gross",
            "movement_id": f"txn_{number}",
            "source_id": draw(st.sampled_from(["ch_", "po_"])) + str(number),
            "currency": (currency := draw(st.sampled_from(["USD", "KWD"]))),
            "day": (day := draw(days)),
            "amount_minor": draw(amounts),
            "before_cutover": day < CUTOVER,
            "state": draw(st.sampled_from(["matched", "posted", "waiting", "ignored"])),
            "reason": draw(st.sampled_from(["in_transit", "opening", "posted"])),
            "detail": "",
            "document_id": draw(st.sampled_from([None, f"a:{currency}", f"b:{currency}", f"c:{currency}"])),
            "booked_on": draw(st.none() | days),
            "booked_minor": draw(amounts),
            "undone": draw(st.sampled_from([False, False, True, None])),
        }
        for number in range(draw(st.integers(0, 8)))
    ]
    clearing = [
        {
            "document_id": f"{letter}:{currency}",
            "currency": currency,
            "day": draw(days),
            "amount_minor": draw(amounts),
            "marker": None,
            "opening": letter == "o",
        }
        for letter in draw(st.sets(st.sampled_from("abcdo")))
        for currency in ("USD", "KWD")
    ]
    openings = [{"currency": "USD", "cutover": CUTOVER, "stripe_minor": draw(amounts)}]
    return (
        pl.DataFrame(openings, schema=OPENING_SCHEMA),
        pl.DataFrame(legs, schema=LEG_SCHEMA),
        pl.DataFrame(clearing, schema=CLEARING_SCHEMA),
    )


def expected(openings: pl.DataFrame, legs: pl.DataFrame, clearing: pl.DataFrame, day: date, currency: str) -> int:
    """Stripe's balance less the clearing account at the end of a day, the slow way."""
    stripe = sum(row["stripe_minor"] for row in openings.to_dicts() if row["currency"] == currency)
    for row in legs.to_dicts():
        if row["currency"] == currency and not row["before_cutover"] and row["day"] <= day:
            stripe += row["amount_minor"]
    for row in clearing.to_dicts():
        if row["currency"] == currency and row["day"] <= day:
            stripe -= row["amount_minor"]
    return stripe


@settings(max_examples=100, deadline=None)
@given(worlds())
def test_items_sum_to_the_difference_on_every_day(world: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]) -> None:
    proof = prove(*world, THROUGH)
    for row in proof.days.to_dicts():
        difference = expected(*world, row["day"], row["currency"])
        assert row["difference_minor"] == difference
        assert proof.items_on(row["currency"], row["day"])["amount_minor"].sum() == difference
        assert (row["status"] == "tied") == proof.items_on(row["currency"], row["day"]).is_empty()


@settings(max_examples=50, deadline=None)
@given(worlds(), st.randoms(use_true_random=False))
def test_row_order_does_not_matter(world: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame], rng: object) -> None:
    def shuffled(frame: pl.DataFrame) -> pl.DataFrame:
        order = list(range(frame.height))
        rng.shuffle(order)  # type: ignore[attr-defined]
        return frame[order]

    first, second = prove(*world, THROUGH), prove(*(shuffled(frame) for frame in world), THROUGH)
    assert first.days.equals(second.days)
    assert first.items.equals(second.items)


@st.composite
def sound_books(draw: st.DrawFn) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Every leg after the cut-over is booked by a document of its own, to the cent, some days apart."""
    legs, clearing = [], []
    for number in range(draw(st.integers(1, 6))):
        day = CUTOVER + timedelta(days=draw(st.integers(0, 5)))
        amount = draw(st.integers(1, 500))
        on = CUTOVER + timedelta(days=draw(st.integers(0, 8)))
        legs.append((f"txn_{number}:gross", f"txn_{number}", f"ch_{number}", "USD", day, amount, False))
        clearing.append((f"payment:{number}", "USD", on, amount, f"txn_{number}:charge:r1:s1", False))
    state = [("posted", "posted", "", each[0], each[2], each[3], False) for each in clearing]
    rows = [leg + rest for leg, rest in zip(legs, state, strict=True)]
    opening = ("journal_entry:1", "USD", CUTOVER, 700, "acct_1:opening-usd:r1:s1", True)
    return (
        pl.DataFrame([("USD", CUTOVER, 700)], schema=OPENING_SCHEMA, orient="row"),
        pl.DataFrame(rows, schema=LEG_SCHEMA, orient="row"),
        pl.DataFrame([*clearing, opening], schema=CLEARING_SCHEMA, orient="row"),
    )


@st.composite
def disturbed_books(draw: st.DrawFn) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Sound books, most of them on their own day, in which somebody changed a few things."""
    opening, legs, clearing = (frame.to_dicts() for frame in draw(sound_books()))
    for row, document in zip(legs, clearing, strict=False):
        if draw(st.integers(0, 3)):
            row["booked_on"] = document["day"] = row["day"]
    for changed in draw(st.lists(st.sampled_from(legs), max_size=2)):
        changed.update(
            draw(
                st.sampled_from(
                    [
                        {"document_id": "payment:0"},
                        {"state": "matched"},
                        {"before_cutover": True, "document_id": None, "booked_minor": 0},
                        {"undone": True, "amount_minor": 0},
                        {"amount_minor": 7},
                        {"booked_minor": 7},
                    ]
                )
            )
        )
    for changed in draw(st.lists(st.sampled_from(clearing[:-1]), max_size=2)):
        changed.update(draw(st.sampled_from([{"amount_minor": 7}, {"day": CUTOVER}, {"document_id": "payment:0"}])))
    if draw(st.booleans()):  # a leg that two documents book
        half = {"amount_minor": 3, "booked_minor": 3, "document_id": "payment:0"}
        legs.append(legs[-1] | half)
    return (
        pl.DataFrame(opening, schema=OPENING_SCHEMA),
        pl.DataFrame(legs, schema=LEG_SCHEMA),
        pl.DataFrame(clearing, schema=CLEARING_SCHEMA),
    )


@settings(max_examples=100, deadline=None)
@given(st.one_of(worlds(), disturbed_books()))
def test_what_is_settled_may_be_carried_forward_as_a_sum(
    world: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame],
) -> None:
    openings, legs, clearing = world
    rest = carry(legs, clearing)
    event("something is settled" if rest.settled.height else "nothing is settled")
    whole, quick = prove(*world, THROUGH), prove(openings, rest.legs, rest.clearing, THROUGH, settled=rest.settled)
    assert whole.days.equals(quick.days)
    assert whole.items.equals(quick.items)


def last_items(proof: Proof) -> list[tuple[str, int, str | None]]:
    return list(proof.items_on("USD", THROUGH).select("reason", "amount_minor", "document_id").iter_rows())


@settings(max_examples=40, deadline=None)
@given(sound_books())
def test_sound_books_tie_out(books: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]) -> None:
    proof = prove(*books, THROUGH)
    assert set(proof.items["reason"]) <= {"date_moved"}
    assert proof.days["status"].to_list()[-1] == "tied"


@pytest.mark.parametrize("error", ["changed", "missing", "extra", "opening", "moved"])
@settings(max_examples=25, deadline=None)
@given(books=sound_books())
def test_a_planted_error_shows(error: str, books: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]) -> None:
    openings, legs, clearing = books
    first, is_first = clearing.row(0, named=True), pl.col("document_id") == "payment:0"
    if error == "changed":
        clearing = clearing.with_columns(amount_minor=pl.col("amount_minor") + is_first.cast(pl.Int64))
        wanted = [("drift", -1, "payment:0")]
    elif error == "missing":
        clearing = clearing.filter(~is_first)
        wanted = [("drift", first["amount_minor"], "payment:0")]
    elif error == "extra":
        copy = clearing.filter(is_first).with_columns(document_id=pl.lit("payment:copy"))
        clearing = pl.concat([clearing, copy])
        wanted = [("books_only", -first["amount_minor"], "payment:copy")]
    elif error == "opening":
        clearing = clearing.with_columns(amount_minor=pl.col("amount_minor") - pl.col("opening").cast(pl.Int64))
        wanted = [("opening", 1, None)]
    else:
        late = THROUGH + timedelta(days=1)
        clearing = clearing.with_columns(day=pl.when(is_first).then(pl.lit(late)).otherwise("day"))
        wanted = [("drift", first["amount_minor"], "payment:0")]
    proof = prove(openings, legs, clearing, THROUGH)
    assert last_items(proof) == wanted
    assert proof.days["status"].to_list()[-1] == "open"
