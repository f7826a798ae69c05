"""The matcher's laws, on small worlds crowded enough that everything competes with everything."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconcile import MatchResult, match, matching
from reconcile.frames import LEDGER_SCHEMA, PROCESSOR_SCHEMA
from reconcile.model import Model
from reconcile.tiers.plain import Plain, match_plain
from reconcile.tiers.state import Sides

START = datetime(2026, 1, 10, 12, tzinfo=UTC)
amounts = st.sampled_from([40, 60, 100])
currencies = st.sampled_from(["USD", "USD", "USD", "EUR"])
people = st.sampled_from([None, "Acme Inc", "Zed Quux"])
moments = st.integers(0, 20).map(lambda offset: START + timedelta(days=offset))
numbers = st.integers(1, 4)


@st.composite
def items(draw: st.DrawFn, number: int) -> dict[str, Any]:
    kind = draw(st.sampled_from(["charge", "charge", "charge", "refund", "payout"]))
    sign = 1 if kind == "charge" else -1
    targets = draw(st.sets(numbers, max_size=2)) if kind == "charge" else ()
    return {
        "id": f"{ {'charge': 'ch', 'refund': 're', 'payout': 'po'}[kind] }_{number}",
        "kind": kind,
        "company": "c",
        "currency": draw(currencies),
        "amount_minor": sign * draw(amounts),
        "occurred_at": draw(moments),
        "customer_name": draw(people),
        "description": draw(st.none() | numbers.map(lambda each: f"for INV-{each}")),
        "links": [{"target": f"invoice:{each}", "amount_minor": draw(st.none() | amounts)} for each in targets],
    }


@st.composite
def documents(draw: st.DrawFn, number: int) -> dict[str, Any]:
    kind = draw(st.sampled_from(["invoice", "invoice", "invoice", "payment", "deposit", "refund_receipt", "transfer"]))
    amount = draw(amounts)
    ids = st.sampled_from(["ch_1", "ch_2", "re_3", "po_4"])
    return {
        "id": f"{kind}:{number}",
        "kind": kind,
        "company": "c",
        "currency": draw(currencies),
        "amount_minor": amount,
        "open_minor": draw(st.sampled_from([0, amount])),
        "date": draw(moments).date(),
        "customer_id": draw(st.none() | st.sampled_from(["4", "5"])),
        "customer_name": draw(people),
        "doc_number": draw(st.just(str(number)) | numbers.map(str)),
        "external_ids": draw(st.lists(ids, max_size=1)) if kind != "invoice" else [],
        "marker": draw(st.none() | st.none() | st.just("txn_1:charge:r1:s1")) if kind != "invoice" else None,
    }


@st.composite
def worlds(draw: st.DrawFn) -> tuple[pl.DataFrame, pl.DataFrame]:
    left = [draw(items(number)) for number in range(1, draw(st.integers(0, 6)) + 1)]
    right = [draw(documents(number)) for number in range(1, draw(st.integers(0, 7)) + 1)]
    return pl.DataFrame(left, schema=PROCESSOR_SCHEMA), pl.DataFrame(right, schema=LEDGER_SCHEMA)


TIERS = (
    "may_be_recorded",
    "amount",
    "reference_difference",
    "reference_parts",
    "reference_sum",
    "sum",
    "sum_of_charges",
)
# Nothing certified, as shipped; and everything, which must not break a law either.
models = st.sampled_from([Model(), Model(gate=1).certified(dict.fromkeys(TIERS, 0))])


def frames(result: MatchResult) -> list[list[dict[str, Any]]]:
    return [part.to_dicts() for part in (result.matches, result.allocations, result.discrepancies, result.evidence)]


@settings(max_examples=60, deadline=None)
@given(worlds(), st.randoms(use_true_random=False))
def test_the_answer_does_not_depend_on_the_order_of_rows(world: tuple[pl.DataFrame, pl.DataFrame], rng: Any) -> None:
    def shuffled(frame: pl.DataFrame) -> pl.DataFrame:
        order = list(range(frame.height))
        rng.shuffle(order)
        return frame[order]

    first, second = match(*world), match(*(shuffled(frame) for frame in world))
    assert frames(first) == frames(second)
    assert first.verdicts == second.verdicts
    assert first.block_digests == second.block_digests


@settings(max_examples=60, deadline=None)
@given(worlds(), models)
def test_what_is_taken_is_never_more_than_there_is(world: tuple[pl.DataFrame, pl.DataFrame], model: Model) -> None:
    result = match(*world, model=model)
    items = {row["id"]: row for row in world[0].to_dicts()}
    documents = {row["id"]: row for row in world[1].to_dicts()}
    taken: dict[str, int] = defaultdict(int)
    for verdict in result.verdicts.values():
        paid = [each for each in verdict.allocations if verdict.role == "pays_invoice"]
        item = items[verdict.processor_id]
        assert sum(each.amount_minor for each in paid) <= abs(item["amount_minor"])
        for each in paid:
            assert each.amount_minor > 0
            assert documents[each.ledger_id]["currency"] == item["currency"]
            taken[each.ledger_id] += each.amount_minor
    assert all(amount <= documents[ledger_id]["open_minor"] for ledger_id, amount in taken.items())


@settings(max_examples=60, deadline=None)
@given(worlds(), models)
def test_nothing_that_may_be_in_the_books_already_is_posted(
    world: tuple[pl.DataFrame, pl.DataFrame], model: Model
) -> None:
    """Checked the slow way: an accepted payment of an invoice has no unclaimed twin typed in by hand.

    A twin that was taken as the record of one movement is nobody else's.
    """
    processor, ledger = world
    result = match(processor, ledger, model=model)
    known = set(processor["id"])
    records = [
        each.ledger_id
        for verdict in result.verdicts.values()
        if verdict.tier == "may_be_recorded" and verdict.decision == "auto"
        for each in verdict.allocations
    ]
    assert len(records) == len(set(records))
    twins = [
        row
        for row in ledger.to_dicts()
        if row["kind"] in ("payment", "deposit")
        and row["marker"] is None
        and not known.intersection(row["external_ids"])
        and row["customer_name"] is None
        and row["id"] not in records
    ]
    for item in processor.filter(pl.col("kind") == "charge").to_dicts():
        near = [
            row
            for row in twins
            if row["amount_minor"] == item["amount_minor"]
            and row["currency"] == item["currency"]
            and -7 <= (row["date"] - item["occurred_at"].date()).days <= 14
        ]
        verdict = result.verdict(item["id"])
        if near and verdict.role == "pays_invoice":
            assert verdict.decision != "auto"
        if near and verdict.decision != "auto" and verdict.tier != "recorded":
            assert "MAY_BE_RECORDED" in [each.code for each in verdict.discrepancies]


@settings(max_examples=60, deadline=None)
@given(worlds(), models)
def test_every_item_is_answered_once_and_every_silence_has_a_reason(
    world: tuple[pl.DataFrame, pl.DataFrame], model: Model
) -> None:
    result = match(*world, model=model)
    accepted = result.matches.filter(pl.col("decision") == "auto")["processor_ids"].list.first()
    assert accepted.n_unique() == len(accepted)
    for item_id, kind in world[0].select("id", "kind").iter_rows():
        verdict = result.verdict(item_id)
        assert (verdict.decision == "auto") == bool(verdict.allocations)
        assert (verdict.decision == "none") == (not verdict.proposals)
        assert not verdict.proposals or verdict.match_id in {each.match_id for each in verdict.proposals}
        assert verdict.text or kind != "charge"
    assert result.matches["match_id"].n_unique() == result.matches.height


@settings(max_examples=60, deadline=None)
@given(worlds(), models)
def test_what_is_plain_is_what_the_tiers_would_take_one_by_one(
    world: tuple[pl.DataFrame, pl.DataFrame], model: Model
) -> None:
    """Whole columns and single rows: two ways, one answer."""
    fast = match(*world, model=model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "match_plain", _nothing_plain)
        slow = match(*world, model=model)
    assert frames(fast)[:3] == frames(slow)[:3]
    assert fast.verdicts == slow.verdicts


def _nothing_plain(sides: Sides) -> Plain:
    plain = match_plain(sides)
    return Plain(plain.pairs.clear(), plain.recorded.clear())
