"""Invoices of the same customer and amount: probabilities over all that compete, and one choice for all together."""

import polars as pl

from reconcile import blocking, score
from reconcile.assign import assign
from reconcile.discrepancy import Code
from reconcile.groupwise import as_milli_bits, probability_ppm
from reconcile.model import PPM, Model
from reconcile.tiers.state import Found, Sides, series

PROPOSALS_MAX = 10  # of one charge; a person does not read more
LIKELY_PPM = 10_000  # names that are only similar are proposed from here on
# Frequencies are counted over the open invoices of a block, on top of so many imagined ones of the model's rate.
IMAGINED, AMOUNT_RATE = 1_000, 1_000
# A pair this unlikely does not count as a choice.
IDLE_PPM = 100
INVOICE = (
    *("document", "id", "kind", "company", "currency", "open_minor", "date"),
    *("customer_id", "customer_name", "customer_email"),
)


def match_candidates(sides: Sides, found: Found) -> pl.DataFrame:
    """The answers (see `reconcile.answers.ANSWERS_SCHEMA`), closest first; accepted only if the tier is certified."""
    charges, invoices = _open_charges(sides, found), open_invoices(sides, found)
    pairs, limited = blocking.by_open_amount(charges, invoices, sides.known, sides.rules, sides.names)
    pairs = sides.constraints.allow(pairs)
    compared = sides.compare(pairs, sides.known).filter(pl.col("customer").is_in([*score.AGREES, "similar"]))
    weighed = weigh(compared, _counts(invoices, sides), sides.model, sides.references.select("item").unique())
    limited_ids = sides.whole[0]["id"].gather(limited)
    judged = _judge(weighed, sides, found, limited_ids)
    found.evidence.append(judged)
    for processor_id in limited_ids.sort():
        text = "So many invoices fit this charge that they were not all compared. Choose one by hand."
        found.differs(processor_id, None, Code.COMPONENT_LIMIT, text)
    for ledger_id, amount in judged.filter("accepted").select("ledger_id", "item_minor").rows():
        found.used[ledger_id] += amount
    return _answers(judged)


def _open_charges(sides: Sides, found: Found) -> pl.DataFrame:
    gone = found.answered() | found.recorded | sides.constraints.unmatched_items
    rest = sides.of_kind("charge").filter(~pl.col("id").is_in(series(gone)))
    return rest.join(sides.links, on="item", how="anti")


def open_invoices(sides: Sides, found: Found) -> pl.DataFrame:
    """Invoices with `left_minor` still open."""
    used = pl.DataFrame(
        {"id": list(found.used), "used_minor": list(found.used.values())},
        schema={"id": pl.String, "used_minor": pl.Int64},
    )
    return (
        sides.ledger.select(*INVOICE)
        .filter(pl.col("kind") == "invoice")
        .join(used, on="id", how="left")
        .with_columns(left_minor=pl.col("open_minor").fill_null(0) - pl.col("used_minor").fill_null(0))
        .filter(pl.col("left_minor") > 0)
    )


def _counts(invoices: pl.DataFrame, sides: Sides) -> pl.DataFrame:
    """By document how many are open in its block (`pool`), and how often its amount and name occur among them."""
    block = ["company", "currency"]
    counted = ("company", "currency", "document", "left_minor", "customer_name")
    named = score.with_name_keys(invoices.select(counted), "customer_name", names=sides.names)
    return named.select(
        "document",
        pool=pl.len().over(block).cast(pl.Int64),
        same_amount=pl.len().over([*block, "left_minor"]).cast(pl.Int64),
        same_name=pl.len().over([*block, "name_key"]).cast(pl.Int64),
    )


def weigh(compared: pl.DataFrame, counts: pl.DataFrame, model: Model, named: pl.DataFrame) -> pl.DataFrame:
    """Compared pairs with `weight`: the sum of what each field tells and of the chance that there is a partner.

    A frequent amount or name tells less than a rare one (`counts`). `named` are items that name another invoice.
    """
    wide = compared.join(counts, on="document", how="left", maintain_order="left")
    pool = wide["pool"] - 1 + IMAGINED
    m_name, u_name = model.rates["name"]["equal"]
    amount = as_milli_bits(pool, wide["same_amount"] - 1 + IMAGINED * AMOUNT_RATE // PPM)
    name = as_milli_bits(pool * m_name, (wide["same_name"] - 1) * PPM + IMAGINED * u_name)
    ones = pl.Series([1], dtype=pl.Int64).new_from_index(0, wide.height)
    return (
        wide.with_columns(
            amount_weight=amount,
            name_weight=pl.when(pl.col("name_level") == "equal").then(name).otherwise("name_weight"),
            text_level=pl.when(pl.col("item").is_in(named["item"].implode()))
            .then(pl.lit("names another"))
            .otherwise(pl.lit("silent")),
            prior_level=pl.lit("before any look"),
            prior_weight=model.prior - as_milli_bits(wide["pool"], ones),
        )
        .with_columns(text_weight=score.weight_of("text", model))
        .with_columns(
            weight=pl.sum_horizontal(
                f"{field}_weight" for field in ("prior", "amount", "known", "name", "email", "date", "text")
            )
        )
    )


def _judge(weighed: pl.DataFrame, sides: Sides, found: Found, limited: pl.Series) -> pl.DataFrame:
    """The pairs worth showing, with `probability_ppm`, `rank` and `accepted`."""
    threshold = sides.model.thresholds.get("amount", PPM)
    edges = weighed.with_columns(probability_ppm=probability_ppm(weighed, "item", "document"))
    choices = assign(
        edges.select("weight", "probability_ppm", left="item", right="document")
        .filter(pl.col("probability_ppm") >= IDLE_PPM)
        .drop("probability_ppm"),
        sides.model.gate,
    ).rename({"left": "item", "right": "document"})
    judged = edges.join(choices.drop("weight"), on=["item", "document"], how="left", maintain_order="left")
    certain = pl.col("chosen").fill_null(False) & (pl.col("probability_ppm") >= threshold)
    accepted = (
        certain
        & ~pl.col("processor_id").is_in(series(found.waiting))
        & ~pl.col("processor_id").is_in(limited.implode())
    )
    likely = pl.col("customer").is_in(score.AGREES) | (pl.col("probability_ppm") >= LIKELY_PPM)
    shown = judged.with_columns(accepted=accepted).filter(likely)
    many = pl.len().over("item") > PROPOSALS_MAX
    rank = pl.col("weight").rank("min", descending=True).over("item")
    return pl.concat([shown.filter(~many), shown.filter(many).filter(rank <= PROPOSALS_MAX)]).sort("item", "document")


def _answers(judged: pl.DataFrame) -> pl.DataFrame:
    tail = pl.col("ledger_id").str.split(":").list.last()
    number = pl.when(pl.col("doc_number") != "").then("doc_number").otherwise(tail)
    text = "Invoice {} has the same customer and its open balance equals the charge ({} days apart)."
    return judged.select(
        "item",
        "processor_id",
        "accepted",
        "weight",
        "probability_ppm",
        tier=pl.lit("amount"),
        role=pl.lit("pays_invoice"),
        reason=pl.format(text, number, pl.col("days").abs()),
        currency="doc_currency",
        ledger_ids=pl.concat_list("ledger_id"),
        amounts=pl.concat_list("item_minor"),
    )
