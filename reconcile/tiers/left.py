"""What no tier could explain."""

import polars as pl

from reconcile import blocking
from reconcile.discrepancy import Code, listed
from reconcile.tiers.state import Found, Sides, label, series


def list_unmatched(sides: Sides, found: Found, proposed: pl.Series, processor: pl.DataFrame) -> None:
    """Charges nothing fits, and documents of ours whose movement Stripe does not know.

    `processor` are all of Stripe's rows, also those that take no part.
    """
    spoken = {answer.processor_id for answer in found.answers} | {each.processor_id for each in found.discrepancies}
    gone = [series(filter(None, spoken)), series(sides.constraints.unmatched_items), proposed.implode()]
    for processor_id in sides.of_kind("charge").filter(*(~pl.col("id").is_in(each) for each in gone))["id"]:
        text = "No invoice in the books is named by this charge, and none fits its customer and amount."
        found.differs(processor_id, None, Code.UNMATCHED_STRIPE, text)
    idle = sorted(sides.constraints.idle_documents)
    ours = sides.ledger.filter(pl.col("marker").is_not_null(), ~pl.col("id").is_in(idle))
    carried = blocking.names_in_ledger(ours)
    known = blocking.names_of_processor(processor.with_row_index("item"), carried["name"])
    names = ours.select("document", ledger_id="id", said=label("kind", "doc_number", "id"))
    carried = carried.join(names, on="document")
    found_ids = carried.join(known, on=["company", "name"], how="semi")["ledger_id"].implode()
    lost = carried.filter(~pl.col("ledger_id").is_in(found_ids)).sort("ledger_id", "name")
    for (ledger_id,), group in lost.group_by(["ledger_id"], maintain_order=True):
        missing = listed(group["name"].to_list())
        text = f"{group['said'][0]} carries our mark, but Stripe has no {missing}."
        found.differs(None, ledger_id, Code.UNMATCHED_QBO, text)
