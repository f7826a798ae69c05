"""What no tier could explain."""

import polars as pl

from reconcile import blocking
from reconcile.discrepancy import Code, listed
from reconcile.tiers.state import Found, Sides


def list_unmatched(sides: Sides, found: Found, proposed: pl.Series, processor: pl.DataFrame) -> None:
    """Charges nothing fits, and documents of ours whose movement Stripe does not know."""
    spoken = {answer.processor_id for answer in found.answers} | {each.processor_id for each in found.discrepancies}
    spoken |= sides.constraints.unmatched_items | set(proposed)
    known = pl.Series(sorted(filter(None, spoken)), dtype=pl.String)
    for processor_id in sides.of_kind("charge").filter(~pl.col("id").is_in(known.implode()))["id"]:
        text = "No invoice in the books is named by this charge, and none fits its customer and amount."
        found.differs(processor_id, None, Code.UNMATCHED_STRIPE, text)
    idle = sorted(sides.constraints.idle_documents)
    ours = sides.ledger.filter(pl.col("marker").is_not_null(), ~pl.col("id").is_in(idle))
    carried = blocking.names_in_ledger(ours)
    names = set(blocking.names_of_processor(processor.with_row_index("item"), carried["name"])["name"])
    carried = carried.with_columns(ledger_id=sides.whole[1]["id"].gather(carried["document"]))
    for (ledger_id,), group in carried.sort("ledger_id", "name").group_by(["ledger_id"], maintain_order=True):
        if not names.intersection(group["name"]):
            missing = listed(group["name"].to_list())
            text = f"{sides.document_name(ledger_id)} carries our mark, but Stripe has no {missing}."
            found.differs(None, ledger_id, Code.UNMATCHED_QBO, text)
