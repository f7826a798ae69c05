"""Documents typed in by hand that may record a movement already: then it waits, so that nothing is posted twice.

Where it is certified for that, the tier takes the likeliest of them: the document records this movement and no other.
"""

import polars as pl

from reconcile import blocking, score
from reconcile.assign import assign
from reconcile.discrepancy import Code, listed
from reconcile.groupwise import as_milli_bits, probability_ppm
from reconcile.model import PPM
from reconcile.tiers.candidates import AMOUNT_RATE, IMAGINED
from reconcile.tiers.state import Answer, Found, Row, Sides, grouped, series

TIER = "may_be_recorded"
READ = ("date", "is_equal", "customer", "compared_minor", "target_minor", "weight", "probability_ppm", "item_kind")
CERTIFIED = ("charge", "refund", "payout")  # of other kinds nothing is taken without being asked about
# People note a payment on its day or soon after: milli-bits of up to DAYS_NEAR days apart, and of more.
DAYS_NEAR, NEAR, FAR = 3, 1_500, -2_700


def match_typed(sides: Sides, found: Found) -> None:
    """What may be recorded already is never taken for anything else."""
    several = set(sides.whole[1]["id"].gather(blocking.summaries(sides.whole[1])["document"]))
    compared = found.unrecorded(sides.typed).filter(~pl.col("ledger_id").is_in(series(found.claimed - several)))
    if compared.is_empty():
        return
    weighed = _weigh(compared, sides)
    weighed = weighed.with_columns(probability_ppm(weighed, "item", "document"))
    threshold = sides.model.thresholds.get(TIER, PPM)
    edges = weighed.select("weight", left="item", right="document")
    certain = assign(edges, sides.model.gate)["chosen"] & weighed["is_equal"] & weighed["item_kind"].is_in(CERTIFIED)
    taken = certain & (weighed["probability_ppm"] >= threshold) & ~weighed["processor_id"].is_in(series(found.waiting))
    for _, (row,) in grouped(weighed.filter(taken), READ):
        _take(found, row)
    gone = weighed.filter(taken)
    found.evidence.append(weighed)
    rest = weighed.join(gone, on="item", how="anti", maintain_order="left")
    rest = rest.join(gone, on="document", how="anti", maintain_order="left")
    for processor_id, rows in grouped(rest, READ):
        _judge_typed(found, processor_id, rows)


def _weigh(compared: pl.DataFrame, sides: Sides) -> pl.DataFrame:
    """With `weight`: what speaks for each pair. An amount tells the more, the fewer movements of its kind have it."""
    block = ["company", "item_kind", "item_currency"]
    names = {"company": "company", "item_kind": "kind", "item_currency": "currency"}
    kin = sides.whole[0].select(item_minor="amount_minor", **names)
    alike = kin.join(compared.select("item_minor").unique(), on="item_minor", how="semi")
    counts = [kin.group_by(block).len("pool"), alike.group_by(*block, "item_minor").len("same")]
    wide = compared.join(counts[0], on=block, how="left", maintain_order="left").join(
        counts[1], on=[*block, "item_minor"], how="left", maintain_order="left"
    )
    pool, same = (wide[name].cast(pl.Int64) for name in ("pool", "same"))
    amount = as_milli_bits(pool - 1 + IMAGINED, same - 1 + IMAGINED * AMOUNT_RATE // PPM)
    partner = sides.model.prior - as_milli_bits(pool, pool * 0 + 1)
    near = pl.col("days").abs() <= DAYS_NEAR
    return (
        wide.with_columns(
            amount_weight=pl.when("is_equal").then(amount).otherwise(0),
            date_level=pl.when(near).then(pl.lit("near")).otherwise(pl.lit("far")),
            date_weight=pl.when(near).then(NEAR).otherwise(FAR).cast(pl.Int64),
            prior_level=pl.lit("before any look"),
            prior_weight=partner,
        )
        .with_columns(weight=pl.sum_horizontal(f"{name}_weight" for name in score.COMPARED))
        .drop("pool", "same")
    )


def _take(found: Found, row: Row) -> None:
    """The document records the movement: it is in the books."""
    processor_id, ledger_id = row.processor_id, row.ledger_id
    reason = f"{_likeness(row)}: it is already in the books."
    pairs = [(ledger_id, row.compared_minor)]
    found.answers.append(
        Answer(processor_id, TIER, "already_recorded", pairs, reason, True, row.weight, row.probability_ppm)
    )
    found.recorded.add(processor_id)
    found.claimed.add(ledger_id)


def _judge_typed(found: Found, processor_id: str, rows: list[Row]) -> None:
    noun = rows[0].item_kind
    found.waiting.add(processor_id)
    names = []
    for row in sorted(rows, key=lambda each: (-each.weight, each.ledger_id)):
        pairs = [(row.ledger_id, min(row.compared_minor, row.target_minor))]
        reason, ppm = f"{_likeness(row)}.", row.probability_ppm
        found.answers.append(Answer(processor_id, TIER, "already_recorded", pairs, reason, False, row.weight, ppm))
        names.append(row.doc_label)
    same = "of the same amount " if all(row.is_equal for row in rows) else ""
    text = (
        f"Typed in by hand {same}and in the books already: {listed(names)}. It may record this {noun}. "
        "Confirm it, or say that it is another one."
    )
    found.differs(processor_id, rows[0].ledger_id, Code.MAY_BE_RECORDED, text)


def _likeness(row: Row) -> str:
    amount = "the same amount" if row.is_equal else "paid the invoice named"
    who = " and customer" if row.customer in score.AGREES else ""
    return f"{row.doc_label} of {row.date}, typed in by hand, has {amount}{who}"
