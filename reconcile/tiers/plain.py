"""The plain case, decided for whole columns at once: one charge, one open invoice, one number, one amount.

What is taken here is exactly what the tiers would take one by one; everything else is left to them.
"""

from dataclasses import dataclass

import polars as pl

from reconcile import score
from reconcile.discrepancy import NOUNS
from reconcile.tiers.state import Sides


@dataclass(frozen=True, slots=True)
class Plain:
    """Accepted pairs: those of references (`source, key, currency, amount_minor, doc_number`), and those of ids.

    The latter are compared pairs with `currency`, `amount_minor` and `doc_label`.
    """

    pairs: pl.DataFrame
    recorded: pl.DataFrame

    def taken(self, column: str) -> pl.Series:
        return pl.concat([self.pairs[column], self.recorded[column]])


def exact_pairs(keys: pl.DataFrame, numbers: pl.DataFrame) -> pl.DataFrame:
    """Pairs of equal number, currency and amount that nothing else of either side's numbers competes with.

    `keys` are `processor_id, company, key, currency, amount_minor`, `numbers` `ledger_id, company, key, currency,
    open_minor`; the same is decided as by `match_plain` where only numbers are looked at.
    """
    pairs = keys.join(numbers, on=["company", "key"])
    lone = ~pl.col("processor_id").is_duplicated() & ~pl.col("ledger_id").is_duplicated()
    equal = (pl.col("amount_minor") == pl.col("open_minor")) & (pl.col("currency") == pl.col("currency_right"))
    return pairs.filter(lone & equal)


def match_plain(sides: Sides) -> Plain:
    """References that name one open invoice nobody else names, links to or may have recorded, of equal amount."""
    pairs = sides.references
    lone = ~pl.col("processor_id").is_duplicated() & ~pl.col("ledger_id").is_duplicated()
    items = sides.processor.select("currency", "amount_minor", "customer_name", "customer_email", processor_id="id")
    invoices = sides.ledger.select(
        "doc_number",
        "customer_id",
        ledger_id="id",
        doc_currency="currency",
        open_minor="open_minor",
        doc_name="customer_name",
        doc_email="customer_email",
    )
    found = (
        pairs.filter(lone)
        .join(items, on="processor_id")
        .join(invoices, on="ledger_id")
        .filter(
            (pl.col("amount_minor") == pl.col("open_minor"))
            & (pl.col("open_minor") > 0)
            & (pl.col("currency") == pl.col("doc_currency"))
        )
    )
    taken = [sides.identity, sides.typed, sides.links]
    busy_items = pl.concat([each.select("processor_id") for each in taken])
    must = sides.constraints.must
    decided = [ledger_id for parts in must.values() for ledger_id, _ in parts]
    busy_items = pl.concat([busy_items, _column("processor_id", [*must, *sides.constraints.unmatched_items])])
    busy_documents = pl.concat([sides.links.select("ledger_id"), _column("ledger_id", decided)])
    found = found.join(busy_items, on="processor_id", how="anti").join(busy_documents, on="ledger_id", how="anti")
    found = found.join(_contradicting(found, sides), on="processor_id", how="anti")
    columns = ("processor_id", "ledger_id", "source", "key", "currency", "amount_minor", "doc_number")
    return Plain(found.select(columns).sort("processor_id"), _recorded(sides, must))


def _recorded(sides: Sides, must: dict[str, list[tuple[str, int | None]]]) -> pl.DataFrame:
    """One document that names one item, of the same amount: as `reconcile.tiers.recorded` would find it."""
    lone = ~pl.col("processor_id").is_duplicated() & ~pl.col("ledger_id").is_duplicated()
    decided = _column("processor_id", [*must, *sides.constraints.unmatched_items])
    linked = sides.links.select("ledger_id")
    asked = _column("ledger_id", [ledger_id for parts in must.values() for ledger_id, _ in parts])
    pairs = sides.identity.filter(lone).join(decided, on="processor_id", how="anti")
    pairs = pairs.join(pl.concat([linked, asked]), on="ledger_id", how="anti")
    label = pl.col("doc_kind").replace_strict(
        {kind: noun.capitalize() for kind, noun in NOUNS.items()}, default=pl.col("doc_kind")
    )
    tail = pl.col("ledger_id").str.split(":").list.last()
    number = pl.when(pl.col("doc_number") != "").then("doc_number").otherwise(tail)
    return (
        sides.compare(pairs)
        .filter(pl.col("is_equal") & (pl.col("target_minor") > 0))
        .with_columns(
            identity_level=pl.lit("equal"),
            identity_weight=pl.lit(score.IDENTITY, dtype=pl.Int64),
            currency="doc_currency",
            amount_minor="target_minor",
            doc_label=pl.format("{} {}", label, number),
        )
    )


def _column(name: str, ids: list[str]) -> pl.DataFrame:
    return pl.DataFrame({name: ids}, schema={name: pl.String})


def _contradicting(found: pl.DataFrame, sides: Sides) -> pl.DataFrame:
    """Pairs whose e-mail addresses differ and whose names do not agree either."""
    emails = [score.email_key(pl.col(column)) for column in ("customer_email", "doc_email")]
    doubtful = found.filter(emails[0] != emails[1]).select("processor_id", "ledger_id")
    return sides.compare(doubtful).filter(pl.col("customer") == "differs").select("processor_id")
