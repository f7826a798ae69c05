"""The plain case, decided for whole columns at once: one charge, one open invoice, one number, one amount.

What is taken here is exactly what the tiers would take one by one; everything else is left to them.
"""

from dataclasses import dataclass

import polars as pl

from reconcile import score
from reconcile.tiers.state import PAIR, Sides, label


@dataclass(frozen=True, slots=True)
class Plain:
    """Accepted pairs: those of references (`source`), and those of ids (compared, with `doc_label`).

    Both have `currency` and `amount_minor`.
    """

    pairs: pl.DataFrame
    recorded: pl.DataFrame

    def taken(self, row: str) -> pl.Series:
        """The numbers of the rows (`item` or `document`) that are decided."""
        return pl.concat([self.pairs[row], self.recorded[row]])


def exact_pairs(keys: pl.DataFrame, numbers: pl.DataFrame) -> pl.DataFrame:
    """Pairs of equal number, currency and amount that nothing else of either side's numbers competes with.

    `keys` are `item, company, key, currency, amount_minor`, `numbers` `document, company, key, currency, open_minor`;
    the same is decided as by `match_plain` where only numbers are looked at.
    """
    pairs = keys.join(numbers, on=["company", "key"])
    equal = (pl.col("amount_minor") == pl.col("open_minor")) & (pl.col("currency") == pl.col("currency_right"))
    return pairs.filter(_lone() & equal)


def _lone() -> pl.Expr:
    return ~pl.col("item").is_duplicated() & ~pl.col("document").is_duplicated()


def match_plain(sides: Sides) -> Plain:
    """References that name one open invoice nobody else names, links to or may have recorded, of equal amount."""
    pairs = sides.references.filter(_lone())
    items, documents = (side.select("currency", name) for side, name in zip(sides.whole, AMOUNTS, strict=True))
    left, right = items[pairs["item"]], documents[pairs["document"]]
    equal = (left["amount_minor"] == right["open_minor"]) & (left["currency"] == right["currency"])
    found = pairs.hstack(left).filter(equal & (right["open_minor"] > 0))
    must = sides.constraints.must
    decided = [ledger_id for parts in must.values() for ledger_id, _ in parts]
    waiting = [*must, *sides.constraints.unmatched_items]
    busy_items = [each.select("item") for each in (sides.identity, sides.typed, sides.links)]
    busy_items.append(_numbers(sides.whole[0], "item", waiting))
    busy_documents = [sides.links.select("document"), _numbers(sides.whole[1], "document", decided)]
    found = found.join(pl.concat(busy_items), on="item", how="anti")
    found = found.join(pl.concat(busy_documents), on="document", how="anti")
    # One comparison for both, for each has its price.
    alone = sides.identity.filter(_lone()).join(busy_items[-1], on="item", how="anti")
    alone = alone.join(pl.concat(busy_documents), on="document", how="anti")
    compared = sides.compare(pl.concat([alone, _unlike(found, sides)], how="diagonal"))
    is_recorded = compared["name"].is_not_null()
    contradicting = (pl.col("email_level") == "differs") & (pl.col("customer") == "differs")
    found = found.join(compared.filter(~is_recorded, contradicting), on="item", how="anti")
    return Plain(found, _recorded(compared.filter(is_recorded)))


AMOUNTS = ("amount_minor", "open_minor")


def _recorded(compared: pl.DataFrame) -> pl.DataFrame:
    """One document that names one item, of the same amount: as `reconcile.tiers.recorded` would find it."""
    return compared.filter(pl.col("is_equal") & (pl.col("target_minor") > 0)).with_columns(
        identity_level=pl.lit("equal"),
        identity_weight=pl.lit(score.IDENTITY, dtype=pl.Int64),
        currency="doc_currency",
        amount_minor="target_minor",
        doc_label=label("doc_kind", "doc_number", "ledger_id"),
    )


def _numbers(frame: pl.DataFrame, row: str, ids: list[str]) -> pl.DataFrame:
    """The row numbers of some ids."""
    return frame.filter(pl.col("id").is_in(ids)).select(row) if ids else frame.select(row).clear()


def _unlike(found: pl.DataFrame, sides: Sides) -> pl.DataFrame:
    """Pairs whose e-mail addresses differ and whose names do too: some of them contradict each other."""
    unlike = found.select(PAIR)
    for column in ("customer_email", "customer_name"):
        left, right = (side[column].gather(unlike[row]) for side, row in zip(sides.whole, PAIR, strict=True))
        unlike = unlike.filter((left != right).fill_null(False))
    return unlike
