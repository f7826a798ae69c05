"""Whose an item is in the books, as far as ids say so."""

from dataclasses import dataclass

import polars as pl

from reconcile.score import email_key

# `payer` is Stripe's customer or, of a guest, the e-mail address; `customer_key` the customer in the books.
ALIASES_SCHEMA = pl.Schema({"company": pl.String(), "payer": pl.String(), "customer_key": pl.String()})


@dataclass(frozen=True, slots=True)
class Customers:
    """`direct`: item and customer of the documents and invoices ids lead to. `aliases`: who pays, and our customer.

    A payer counts only if all that is known of it leads to one customer in the books.
    """

    direct: pl.DataFrame  # item, customer_key
    aliases: pl.DataFrame  # ALIASES_SCHEMA
    guests: bool  # whether an alias is of an e-mail address

    @classmethod
    def of(
        cls, processor: pl.DataFrame, ledger: pl.DataFrame, named: pl.DataFrame, said: pl.DataFrame | None = None
    ) -> "Customers":
        """`named` are pairs of items and documents that ids prove, `said` aliases that people confirmed."""
        direct = customers_of(named, ledger).unique()
        people = processor.select("company", payer="customer_id")[direct["item"]]
        told = pl.concat([people, direct.select("customer_key")], how="horizontal").drop_nulls("payer")
        if said is not None:
            told = pl.concat([told, said.select(ALIASES_SCHEMA.names()).cast(dict(ALIASES_SCHEMA.items()))])
        aliases = told.unique().filter(pl.struct("company", "payer").is_unique())
        return cls(direct, aliases, guests=said is not None and aliases["payer"].str.contains("@").any())

    def of_items(self, items: pl.DataFrame) -> pl.DataFrame:
        """`item, customer_key` of these rows: through their documents, or their Stripe customer's other charges."""
        direct = self.direct.lazy().join(items.lazy().select("item"), on="item", how="semi")
        payer = pl.col("customer_id")
        if self.guests:
            payer = pl.coalesce(payer, email_key(pl.col("customer_email")))
        people = items.lazy().select("item", "company", payer=payer)
        known = people.join(self.aliases.lazy(), on=["company", "payer"]).select("item", "customer_key")
        return pl.concat([direct, known]).unique().collect(engine="in-memory")


def customers_of(named: pl.DataFrame, ledger: pl.DataFrame) -> pl.DataFrame:
    """`item, customer_key`: the customers of the documents in pairs."""
    return named.select("item", customer_key=ledger["customer_id"].gather(named["document"])).drop_nulls()
