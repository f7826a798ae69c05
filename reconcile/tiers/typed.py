"""Documents typed in by hand that may record a movement already: then it waits, so that nothing is posted twice."""

from typing import Any

import polars as pl

from reconcile import score
from reconcile.discrepancy import Code, listed
from reconcile.tiers.state import Answer, Found, Sides, grouped, points


def match_typed(sides: Sides, found: Found) -> None:
    """What may be recorded already is never taken for anything else."""
    compared = found.unrecorded(sides.typed).filter(~pl.col("ledger_id").is_in(sorted(found.claimed)))
    found.evidence.append(compared)
    for processor_id, rows in grouped(compared):
        _judge_typed(sides, found, processor_id, rows)


def _judge_typed(sides: Sides, found: Found, processor_id: str, rows: list[dict[str, Any]]) -> None:
    noun = sides.items[processor_id]["kind"]
    found.waiting.add(processor_id)
    names = []
    for row in sorted(rows, key=lambda each: (-points(each), each["ledger_id"])):
        document = sides.document_name(row["ledger_id"])
        amount = "the same amount" if row["is_equal"] else "paid the invoice named"
        who = " and customer" if row["customer"] in score.AGREES else ""
        reason = f"{document} of {row['date']}, typed in by hand, has {amount}{who}."
        pairs = [(row["ledger_id"], min(row["compared_minor"], row["target_minor"]))]
        found.answers.append(
            Answer(processor_id, "may_be_recorded", "already_recorded", pairs, reason, False, points(row))
        )
        names.append(document)
    text = f"This {noun} may already be in the books as {listed(names)}. Confirm it, or say that it is another one."
    found.differs(processor_id, rows[0]["ledger_id"], Code.MAY_BE_RECORDED, text)
