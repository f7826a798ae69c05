"""How alike the two sides of a pair are: a level and an integer weight (milli-bits) for every field."""

import polars as pl
from rapidfuzz import fuzz, process

from reconcile.model import Model
from reconcile.rules import Rules

# What is no matter of likeness but of fact: the weight only ranks such answers above the others.
IDENTITY, LINK, REFERENCE = 60_000, 50_000, 30_000
AMOUNT, KNOWN = 9_000, 10_000  # an equal amount, and a customer known from ids, where nothing is counted
CLOSE, NAME_CHUNK = 92, 1_000_000

# Words that say what a company is, not which one.
LEGAL_FORMS = r"\b(?:inc|llc|ltd|limited|gmbh|ag|corp|corporation|co|company|plc|sa|sarl|bv|srl|pty|the)\b"

# What is compared, and what it is called beside the other side's.
ITEM = {
    "processor_id": "id",
    "item_kind": "kind",
    "company": "company",
    "item_currency": "currency",
    "item_minor": "amount_minor",
    "settled_currency": "settled_currency",
    "settled_minor": "settled_minor",
    "day": "occurred_at",
    "item_name": "customer_name",
    "item_email": "customer_email",
}
DOCUMENT = {
    "ledger_id": "id",
    "doc_kind": "kind",
    "doc_currency": "currency",
    "doc_minor": "amount_minor",
    "open_minor": "open_minor",
    "date": "date",
    "doc_customer": "customer_id",
    "doc_name": "customer_name",
    "doc_email": "customer_email",
    "doc_number": "doc_number",
}

SIDES = ("item", "doc")
NAME_KEYS = ("name_key", "words", "digits")
# The fields that every comparison weighs.
COMPARED = ("prior", "amount", "known", "name", "email", "date")
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


def name_keys(*columns: pl.Series) -> pl.DataFrame:
    """Each name in these columns once: `name, name_key`, its `words` in alphabetical order, the `digits` in it."""
    key = pl.col("name_key")
    every = pl.concat([column.rename("name").drop_nulls() for column in columns]).unique().to_frame()
    names = every.with_columns(name_key=person_key(pl.col("name")))
    digits = key.str.extract_all(r"\d+").list.sort().list.join(" ")
    some = names["name_key"].str.contains(r"\d").any()
    return names.with_columns(
        words=key.str.split(" ").list.sort().list.join(" "),
        digits=digits if some else pl.when(key.is_not_null()).then(pl.lit("")),
    )


def with_name_keys(frame: pl.DataFrame, column: str, names: pl.DataFrame | None = None) -> pl.DataFrame:
    """The frame with the `name_keys` of a column; `names` are those of its names, if they are known."""
    known = name_keys(frame[column]) if names is None else names
    return frame.join(known, left_on=column, right_on="name", how="left", maintain_order="left")


def compare(
    pairs: pl.DataFrame,
    processor: pl.DataFrame,
    ledger: pl.DataFrame,
    known: pl.DataFrame,
    rules: Rules,
    model: Model,
    names: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The pairs with both sides' fields, the level and weight of each field, and `customer`: how sure who it is.

    `item` and `document` of the pairs are row numbers of `processor` and `ledger`. `known` (`item, customer_key`) says
    which customers of the books an item belongs to, from ids and links; `names` are the `name_keys` of both sides, if
    they were made before.
    """
    if pairs.height:
        return _compare(pairs, processor, ledger, known, rules, model, names)
    # Of nothing, as it often is of a few rows, only the columns matter: they are found out once.
    schema = tuple(pairs.schema.items())
    if schema not in _NOTHING:
        _NOTHING[schema] = _compare(pairs, processor, ledger, known, rules, model, names)
    return _NOTHING[schema]


_NOTHING: dict[tuple[tuple[str, pl.DataType], ...], pl.DataFrame] = {}


def _compare(
    pairs: pl.DataFrame,
    processor: pl.DataFrame,
    ledger: pl.DataFrame,
    known: pl.DataFrame,
    rules: Rules,
    model: Model,
    names: pl.DataFrame | None,
) -> pl.DataFrame:
    ordered = pairs.sort("item", "document")
    items = processor.select(**ITEM)[ordered["item"]]
    documents = ledger.select(**DOCUMENT)[ordered["document"]]
    keys = (name_keys(items["item_name"], documents["doc_name"]) if names is None else names).lazy()
    wide = (
        pl.concat([ordered, items, documents], how="horizontal")
        .lazy()
        .with_columns(
            pl.col("day").dt.date(),
            pl.col("open_minor").fill_null(0),
            *(email_key(pl.col(f"{side}_email")).alias(f"{side}_email_key") for side in SIDES),
        )
        .join(keys.select(item_name="name", **_under("item")), on="item_name", how="left", maintain_order="left")
        .join(keys.select(doc_name="name", **_under("doc")), on="doc_name", how="left", maintain_order="left")
        .join(
            known.lazy().select("item", doc_customer="customer_key", is_known=pl.lit(True)),
            on=["item", "doc_customer"],
            how="left",
            maintain_order="left",
        )
        .with_columns(days=(pl.col("date") - pl.col("day")).dt.total_days())
        .collect(engine="in-memory")
    )
    scored = wide.with_columns(name_score=_name_scores(wide)).lazy()
    told = scored.drop(f"{side}_{part}" for side in SIDES for part in ("words", "digits"))
    return _weigh(_level(told, rules), model).collect(engine="in-memory")


def _under(side: str) -> dict[str, str]:
    """The columns of `name_keys` by what they are called of one side."""
    return {f"{side}_{name}": name for name in NAME_KEYS}


def _name_scores(wide: pl.DataFrame) -> pl.Series:
    """0 to 100, words in any order; null where a name is missing.

    Names that differ in a number ("Branch 12", "Branch 13") are different however alike they look.
    """
    both = pl.col("item_words").is_not_null() & pl.col("doc_words").is_not_null()
    same = both & (pl.col("item_digits") == pl.col("doc_digits"))
    judged = wide.select(
        score=pl.when(same).then(100).when(both).then(0).cast(pl.Int64),
        unlike=same & (pl.col("item_words") != pl.col("doc_words")),
    )
    scores, rows = judged["score"], judged["unlike"].arg_true()
    for start in range(0, len(rows), NAME_CHUNK):
        chunk = rows.slice(start, NAME_CHUNK)
        words = [wide[f"{side}_words"].gather(chunk).to_list() for side in SIDES]
        ratios = process.cpdist(*words, scorer=fuzz.ratio, score_cutoff=40)
        scores = scores.scatter(chunk, pl.Series(ratios.astype("float64")).floor().cast(pl.Int64))
    return scores


def _level(wide: pl.LazyFrame, rules: Rules) -> pl.LazyFrame:
    score, days = pl.col("name_score"), pl.col("days")
    name_level = (
        pl.when(pl.col("item_name_key") == pl.col("doc_name_key"))
        .then(pl.lit("equal"))
        .when(score >= CLOSE)
        .then(pl.lit("close"))
        .when(score >= rules.name_agrees)
        .then(pl.lit("similar"))
        .when(score >= rules.name_differs)
        .then(pl.lit("weak"))
        .when(score.is_not_null())
        .then(pl.lit("differs"))
    )
    same_email = pl.col("item_email_key") == pl.col("doc_email_key")
    email_level = pl.when(same_email).then(pl.lit("equal")).when(same_email.is_not_null()).then(pl.lit("differs"))
    date_level = (
        pl.when(days > 0)
        .then(pl.lit("before"))
        .when(days >= -3)
        .then(pl.lit("same days"))
        .when(days >= -35)
        .then(pl.lit("same month"))
        .otherwise(pl.lit("later"))
    )
    levels = wide.with_columns(name_level=name_level, email_level=email_level, date_level=date_level)
    customer = (
        pl.when(pl.col("is_known").fill_null(False))
        .then(pl.lit("linked"))
        .when(pl.col("email_level") == "equal")
        .then(pl.lit("email"))
        .when(pl.col("name_level").is_in(["equal", "close", "similar"]))
        .then(pl.lit("name"))
        .when(pl.col("name_level") == "weak")
        .then(pl.lit("similar"))
        .when(pl.col("name_level").is_null())
        .then(pl.lit("unknown"))
        .otherwise(pl.lit("differs"))
    )
    return levels.with_columns(customer=customer)


def _weigh(wide: pl.LazyFrame, model: Model) -> pl.LazyFrame:
    converted = (pl.col("doc_currency") != pl.col("item_currency")) & (
        pl.col("doc_currency") == pl.col("settled_currency")
    )
    compared = pl.when(converted).then(pl.col("settled_minor")).otherwise(pl.col("item_minor")).abs()
    target = pl.when(pl.col("doc_kind") == "invoice").then(pl.col("open_minor")).otherwise(pl.col("doc_minor").abs())
    comparable = (pl.col("doc_currency") == pl.col("item_currency")) | converted
    amounts = wide.with_columns(compared_minor=compared, target_minor=target, comparable=comparable).with_columns(
        is_equal=pl.col("comparable") & (pl.col("compared_minor") == pl.col("target_minor"))
    )
    return amounts.with_columns(
        amount_level=pl.when("is_equal").then(pl.lit("equal")).otherwise(pl.lit("differs")),
        amount_weight=pl.when("is_equal").then(AMOUNT).otherwise(0).cast(pl.Int64),
        known_level=pl.when("is_known").then(pl.lit("the same")),
        known_weight=pl.when("is_known").then(KNOWN).otherwise(0).cast(pl.Int64),
        **{f"{name}_weight": weight_of(name, model) for name in ("name", "email", "date")},
    )


def weight_of(name: str, model: Model) -> pl.Expr:
    """The milli-bits of a field's level; 0 where the level is missing."""
    level = pl.col(f"{name}_level")
    return level.replace_strict(model.weights(name), default=0, return_dtype=pl.Int64)


def evidence(pairs: pl.DataFrame) -> pl.DataFrame:
    """EVIDENCE_SCHEMA of compared pairs that carry `match_id`: one row per pair and field."""
    if pairs.is_empty():
        return pl.DataFrame(schema=EVIDENCE_SCHEMA)
    text = pl.String()
    fields = {
        "amount": ("compared_minor", "target_minor", None, None, "amount"),
        "customer": ("processor_id", "doc_customer", None, None, "known"),
        "customer name": ("item_name", "doc_name", "item_name_key", "doc_name_key", "name"),
        "customer e-mail": ("item_email", "doc_email", "item_email_key", "doc_email_key", "email"),
        "date": ("day", "date", None, None, "date"),
        "reference": ("named_in", "doc_number", "key", "key", "reference"),
        "other numbers": ("named_in", "doc_number", None, None, "text"),
        "Stripe id": ("processor_id", "name", None, None, "identity"),
        "chance of a partner": ("processor_id", "ledger_id", None, None, "prior"),
    }
    rows = []
    for field, (left, right, left_key, right_key, name) in fields.items():
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
                level=pl.col(f"{name}_level"),
                weight=pl.col(f"{name}_weight"),
                competitors=pl.col("competitors"),
            ).drop_nulls("level")
        )
    return pl.concat(rows).cast(EVIDENCE_SCHEMA).sort("match_id", "processor_id", "ledger_id", "field")
