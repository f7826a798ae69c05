"""Block by block, again only where something changed, or all at once: one answer."""

import sys
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconcile import MatchResult, match
from reconcile.blocks import changed, digests, joined, match_block, split
from reconcile.decisions import DECISIONS_SCHEMA, Choice
from reconcile.frames import LEDGER_SCHEMA, PROCESSOR_SCHEMA
from sync.blocks import InProcess, OnRay, Processes
from sync.errors import Rejected
from tests.property.test_matching_properties import documents, items

World = tuple[pl.DataFrame, pl.DataFrame]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Three companies; ids are nobody else's."""
    left: list[dict[str, Any]] = []
    right: list[dict[str, Any]] = []
    for company in ("a", "b", "c"):
        for number in range(draw(st.integers(0, 3))):
            row = draw(items(number))
            left.append(row | {"id": f"{row['id']}{company}", "company": company})
        for number in range(draw(st.integers(0, 4))):
            row = draw(documents(number))
            right.append(row | {"id": f"{row['id']}{company}", "company": company})
    return pl.DataFrame(left, schema=PROCESSOR_SCHEMA), pl.DataFrame(right, schema=LEDGER_SCHEMA)


@st.composite
def decisions(draw: st.DrawFn, world: World) -> pl.DataFrame:
    """What people said, also of rows of two companies and of rows that are gone."""
    items, documents = ([*side["id"], "gone"] for side in world)
    rows = [
        (kind, draw(st.sampled_from(items)), draw(st.sampled_from(documents)) if kind.endswith("LINK") else None, None)
        for kind in draw(st.lists(st.sampled_from(list(Choice)), max_size=4))
    ]
    return pl.DataFrame(rows, schema=DECISIONS_SCHEMA, orient="row")


def everything(result: MatchResult) -> list[Any]:
    parts = (result.matches, result.allocations, result.discrepancies, result.evidence)
    return [*(part.to_dicts() for part in parts), dict(result.verdicts), dict(result.block_digests)]


@settings(max_examples=25, deadline=None)
@given(worlds(), st.data())
def test_only_what_changed_is_matched_again_with_an_equal_result(world: World, data: st.DataObject) -> None:
    processor, ledger = world
    before = {block.company: block for block in split(processor, ledger)}
    known = {company: match_block(block) for company, block in before.items()}
    rows = ledger.to_dicts()
    if rows:
        rows[data.draw(st.integers(0, len(rows) - 1))]["amount_minor"] += 1
    later = pl.DataFrame(rows, schema=LEDGER_SCHEMA)
    after = {block.company: block for block in split(processor, later)}
    old, new = ({k: v for b in each.values() for k, v in digests(b).items()} for each in (before, after))
    dirty = changed(old, new)
    assert len(dirty) == bool(rows)
    parts = [match_block(block) if company in dirty else known[company] for company, block in after.items()]
    if parts:
        assert everything(joined(list(reversed(parts)))) == everything(match(processor, later))


@settings(max_examples=25, deadline=None)
@given(worlds(), st.data())
def test_blocks_with_decisions_give_what_all_give(world: World, data: st.DataObject) -> None:
    said = data.draw(decisions(world))
    parts = [match_block(block) for block in split(*world, said)]
    if parts:
        apart, whole = everything(joined(parts)), everything(match(*world, decisions=said))
        assert apart[:5] == whole[:5]  # all but the digests: decisions are in those of blocks


def test_processes_give_what_one_process_gives_and_decisions_go_to_their_block() -> None:
    def rows(company: str) -> tuple[dict[str, Any], dict[str, Any]]:
        base = {"company": company, "currency": "USD", "amount_minor": 100}
        item = base | {
            "id": f"ch_{company}",
            "kind": "charge",
            "occurred_at": pl.Series(["2026-01-10"]).str.to_datetime()[0],
        }
        paid = base | {"id": f"invoice:{company}", "kind": "invoice", "open_minor": 100, "doc_number": "77"}
        return item | {"reference": "77"}, paid | {"date": item["occurred_at"].date()}

    pairs = [rows(company) for company in ("a", "b", "c")]
    processor = pl.DataFrame([left for left, _ in pairs]).with_columns(
        pl.col("occurred_at").dt.replace_time_zone("UTC")
    )
    ledger = pl.DataFrame([right for _, right in pairs])
    said = pl.DataFrame([("CANNOT_LINK", "ch_b", "invoice:b", None)], schema=DECISIONS_SCHEMA, orient="row")
    blocks = split(processor, ledger, said)
    apart, together = joined(Processes(2).run(blocks)), joined(InProcess().run(blocks))
    assert everything(apart) == everything(together) == everything(match(processor, ledger, decisions=said))
    assert {each: apart.verdict(each).decision for each in ("ch_a", "ch_b", "ch_c")} == {
        "ch_a": "auto",
        "ch_b": "none",
        "ch_c": "auto",
    }


def test_without_ray_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(Rejected, match="pip install tieout"):
        OnRay("127.0.0.1:6379").run([])
