"""Whose an item is in the books, as far as ids say so."""

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True, slots=True)
class Customers:
    """`direct`: item and customer of the documents and invoices ids lead to. `aliases`: Stripe's customer and ours.

    A Stripe customer counts only if all that is known of it leads to one customer in the books.
    """

    direct: pl.DataFrame  # item, customer_key
    aliases: pl.DataFrame  # company, customer_id, customer_key

    @classmethod
    def of(cls, processor: pl.DataFrame, ledger: pl.DataFrame, named: pl.DataFrame) -> "Customers":
        """`named` are pairs of items and documents that ids prove."""
        direct = customers_of(named, ledger).unique()
        people = processor.select("company", "customer_id")[direct["item"]]
        aliases = (
            pl.concat([people, direct.select("customer_key")], how="horizontal")
            .drop_nulls("customer_id")
            .unique()
            .filter(pl.struct("company", "customer_id").is_unique())
        )
        return cls(direct, aliases)

    def of_items(self, items: pl.DataFrame) -> pl.DataFrame:
        """`item, customer_key` of these rows: through their documents, or their Stripe customer's other charges."""
        direct = self.direct.join(items.select("item"), on="item", how="semi")
        people = items.select("item", "company", "customer_id")
        return pl.concat(
            [direct, people.join(self.aliases, on=["company", "customer_id"]).select("item", "customer_key")]
        ).unique()


def customers_of(named: pl.DataFrame, ledger: pl.DataFrame) -> pl.DataFrame:
    """`item, customer_key`: the customers of the documents in pairs."""
    return named.select("item", customer_key=ledger["customer_id"].gather(named["document"])).drop_nulls()
