"""How alike the two sides of a pair are: agreement levels and integer points, field by field.

The points rank candidates of one item; they are no probabilities.
"""

import re

import polars as pl
from rapidfuzz import fuzz

from reconcile.rules import Rules

IDENTITY, LINK, REFERENCE, AMOUNT = 10_000, 9_000, 4_000, 3_000
CUSTOMER = {"linked": 2_500, "email": 2_500, "name": 2_000, "similar": 500, "unknown": 0, "differs": -2_000}
DAY_MAX, DAY_STEP = 500, 25

# Words that say what a company is, not which one.
LEGAL_FORMS = r"\b(?:inc|llc|ltd|limited|gmbh|ag|corp|corporation|co|company|plc|sa|sarl|bv|srl|pty|the)\b"

AGREES = ("linked", "email", "name")

EVIDENCE_SCHEMA = pl.Schema(
    {
        "match_id": pl.String(),
        "processor_id": pl.String(),
        "ledger_id": pl.String(),
        "field": pl.String(),
        "processor_value": pl.String(),
        "ledger_value": pl.String(),
        "processor_normal": pl.String(),
        "ledger_normal": pl.String(),
        "level": pl.String(),
        "weight": pl.Int64(),
        "competitors": pl.Int64(),
    }
)


def person_key(text: pl.Expr) -> pl.Expr:
    """A name without case, punctuation and legal form; null if nothing is left."""
    bare = (
        text.str.to_lowercase()
        .str.replace_all(r"[^\p{L}\p{N}]+", " ")
        .str.replace_all(LEGAL_FORMS, " ")
        .str.replace_all(r"\s+", " ")
        .str.strip_chars()
    )
    return pl.when(bare != "").then(bare)


def email_key(text: pl.Expr) -> pl.Expr:
    bare = text.str.to_lowercase().str.strip_chars()
    return pl.when(bare != "").then(bare)


def compare(
    pairs: pl.DataFrame, processor: pl.DataFrame, ledger: pl.DataFrame, known: pl.DataFrame, rules: Rules
) -> pl.DataFrame:
    """The pairs with both sides' fields and their agreement: `customer` (a level), `days`, `amount_weight`, `weight`.

    `known` (`processor_id, customer_key`) says which customers of the books an item belongs to, from ids and links.
    """
    wide = (
        pairs.join(
            processor.select(
                processor_id="id",
                item_kind="kind",
                company="company",
                item_currency="currency",
                item_minor="amount_minor",
                settled_currency="settled_currency",
                settled_minor="settled_minor",
                day=pl.col("occurred_at").dt.date(),
                item_name="customer_name",
                item_email="customer_email",
                reference="reference",
                description="description",
            ),
            on="processor_id",
        )
        .join(
            ledger.select(
                ledger_id="id",
                doc_kind="kind",
                doc_currency="currency",
                doc_minor="amount_minor",
                open_minor=pl.col("open_minor").fill_null(0),
                date="date",
                doc_customer="customer_id",
                doc_name="customer_name",
                doc_email="customer_email",
                doc_number="doc_number",
            ),
            on="ledger_id",
        )
        .join(
            known.select("processor_id", doc_customer="customer_key", is_known=pl.lit(True)),
            on=["processor_id", "doc_customer"],
            how="left",
        )
        .with_columns(
            item_name_key=person_key(pl.col("item_name")),
            doc_name_key=person_key(pl.col("doc_name")),
            item_email_key=email_key(pl.col("item_email")),
            doc_email_key=email_key(pl.col("doc_email")),
            days=(pl.col("date") - pl.col("day")).dt.total_days(),
        )
    )
    return _weigh(wide.join(_name_scores(wide), on=["item_name_key", "doc_name_key"], how="left"), rules).sort(
        "processor_id", "ledger_id"
    )


def evidence(pairs: pl.DataFrame) -> pl.DataFrame:
    """EVIDENCE_SCHEMA of compared pairs that carry `match_id`: one row per pair and field."""
    text = pl.String()
    fields = {
        "amount": ("compared_minor", "target_minor", None, None, "amount_level", "amount_weight"),
        "customer name": ("item_name", "doc_name", "item_name_key", "doc_name_key", "customer", "customer_weight"),
        "customer e-mail": ("item_email", "doc_email", "item_email_key", "doc_email_key", "email_level", None),
        "date": ("day", "date", None, None, "date_level", "date_weight"),
        "reference": ("named_in", "doc_number", "key", "key", "reference_level", "reference_weight"),
        "Stripe id": ("processor_id", "name", None, None, "identity_level", "identity_weight"),
    }
    rows = []
    for field, (left, right, left_key, right_key, level, weight) in fields.items():
        rows.append(
            pairs.select(
                "match_id",
                "processor_id",
                "ledger_id",
                field=pl.lit(field),
                processor_value=pl.col(left).cast(text),
                ledger_value=pl.col(right).cast(text),
                processor_normal=pl.col(left_key or left).cast(text),
                ledger_normal=pl.col(right_key or right).cast(text),
                level=pl.col(level),
                weight=pl.col(weight) if weight else pl.lit(0, dtype=pl.Int64),
                competitors=pl.col("competitors"),
            ).drop_nulls("level")
        )
    return pl.concat(rows).cast(EVIDENCE_SCHEMA).sort("match_id", "processor_id", "ledger_id", "field")


def _name_scores(wide: pl.DataFrame) -> pl.DataFrame:
    keys = ["item_name_key", "doc_name_key"]
    names = wide.select(keys).drop_nulls().unique().sort(keys)
    scores = [_name_score(left, right) for left, right in names.iter_rows()]
    return names.with_columns(name_score=pl.Series(scores, dtype=pl.Int64))


def _name_score(left: str, right: str) -> int:
    """0 to 100. Names that differ in a number ("Branch 12", "Branch 13") are different however alike they look."""
    if sorted(re.findall(r"\d+", left)) != sorted(re.findall(r"\d+", right)):
        return 0
    return int(fuzz.token_sort_ratio(left, right))


def _weigh(wide: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    score = pl.col("name_score")
    same_email = pl.col("item_email_key") == pl.col("doc_email_key")
    customer = (
        pl.when(pl.col("is_known").fill_null(False))
        .then(pl.lit("linked"))
        .when(same_email.fill_null(False))
        .then(pl.lit("email"))
        .when((score >= rules.name_agrees).fill_null(False))
        .then(pl.lit("name"))
        .when((score >= rules.name_differs).fill_null(False))
        .then(pl.lit("similar"))
        .when(score.is_null())
        .then(pl.lit("unknown"))
        .otherwise(pl.lit("differs"))
    )
    is_invoice = pl.col("doc_kind") == "invoice"
    converted = (pl.col("doc_currency") != pl.col("item_currency")) & (
        pl.col("doc_currency") == pl.col("settled_currency")
    )
    compared = pl.when(converted).then(pl.col("settled_minor")).otherwise(pl.col("item_minor")).abs()
    target = pl.when(is_invoice).then(pl.col("open_minor")).otherwise(pl.col("doc_minor").abs())
    is_equal = pl.col("compared_minor") == pl.col("target_minor")
    comparable = (pl.col("doc_currency") == pl.col("item_currency")) | converted
    distance = DAY_MAX - DAY_STEP * pl.col("days").abs()
    return (
        wide.with_columns(customer=customer, compared_minor=compared, target_minor=target, comparable=comparable)
        .with_columns(
            is_equal=pl.col("comparable") & is_equal,
            customer_weight=pl.col("customer").replace_strict(CUSTOMER, return_dtype=pl.Int64),
            date_weight=pl.max_horizontal(distance, 0).cast(pl.Int64),
            email_level=pl.when(same_email)
            .then(pl.lit("equal"))
            .when(same_email.is_not_null())
            .then(pl.lit("differs")),
            date_level=pl.format("{} days apart", pl.col("days").abs()),
        )
        .with_columns(
            amount_level=pl.when(pl.col("is_equal")).then(pl.lit("equal")).otherwise(pl.lit("differs")),
            amount_weight=pl.when(pl.col("is_equal")).then(AMOUNT).otherwise(0).cast(pl.Int64),
        )
    )
