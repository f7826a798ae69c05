"""Documents that name the movement: it is in the books already."""

from collections.abc import Mapping

import polars as pl

from reconcile import score
from reconcile.discrepancy import Code, listed, money
from reconcile.tiers.state import Answer, Found, Row, Sides, grouped

READ = (
    *("name", "marked", "comparable", "compared_minor", "target_minor", "is_equal", "doc_currency"),
    *("item_kind", "item_currency"),
)


def match_recorded(sides: Sides, found: Found) -> None:
    if sides.identity.is_empty():
        return
    compared = found.unrecorded(sides.named["identity"]).with_columns(
        identity_level=pl.lit("equal"), identity_weight=score.IDENTITY
    )
    found.evidence.append(compared)
    shared = _shared_documents(compared)
    for processor_id, rows in grouped(compared, READ):
        found.recorded.add(processor_id)
        found.claimed.update(row.ledger_id for row in rows)
        _judge_recorded(sides, found, processor_id, rows, shared)


def _shared_documents(compared: pl.DataFrame) -> dict[str, int]:
    """Documents that name several items, and what those items come to together, in minor units."""
    several = compared.group_by("ledger_id").agg(pl.len().alias("items"), pl.col("compared_minor").sum())
    return dict(several.filter(pl.col("items") > 1).select("ledger_id", "compared_minor").iter_rows())


def _judge_recorded(sides: Sides, found: Found, processor_id: str, rows: list[Row], shared: Mapping[str, int]) -> None:
    amount = rows[0].compared_minor
    names = listed([row.doc_label for row in rows])
    noun = rows[0].item_kind
    parts = [(row.ledger_id, amount if row.ledger_id in shared else min(row.target_minor, amount)) for row in rows]
    total = sum(shared.get(row.ledger_id, row.target_minor) for row in rows)
    expected = sum(shared.get(row.ledger_id, 0) for row in rows) or amount
    booked = sum(row.target_minor for row in rows)
    ours = all(row.marked for row in rows)
    agrees = True
    if not all(row.comparable for row in rows):
        text = f"{names} names {processor_id} but is not in {rows[0].item_currency}, the currency of this {noun}."
        found.differs(processor_id, rows[0].ledger_id, Code.CURRENCY_DIFF, text)
        agrees = False
    elif len(rows) > 1 and all(row.is_equal for row in rows):
        text = f"{names} each record the whole {noun} {processor_id}: it is in the books more than once."
        found.differs(processor_id, rows[1].ledger_id, Code.RECORDED_TWICE, text)
        agrees, parts = False, parts[:1]
    elif booked != expected or total != expected:
        text = (
            f"{names} names {processor_id} but comes to {money(booked, rows[0].doc_currency)}, "
            f"not {money(expected, rows[0].doc_currency)}."
        )
        found.differs(processor_id, rows[0].ledger_id, Code.AMOUNT_DIFF, text)
        agrees = False
    reason = f"{names} carries the id of this {noun} ({rows[0].name}): it is already in the books."
    if processor_id in sides.constraints.unmatched_items and not ours:
        text = f"Somebody decided that nothing in the books belongs to this {noun}, but now {names} names it."
        found.differs(processor_id, rows[0].ledger_id, Code.STALE_DECISION, text)
        agrees = False
    answer = Answer(processor_id, "recorded", "already_recorded", parts, reason, agrees or ours, score.IDENTITY)
    found.answers.append(answer)
