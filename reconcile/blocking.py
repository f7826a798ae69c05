"""Which pairs are worth looking at: joins on ids, references and amounts, never everything with everything.

Every function gives a frame of pairs: `processor_id`, `ledger_id` and what the join learned. The sides are canonical
frames (see `reconcile.frames`).
"""

import polars as pl

from reconcile.rules import Rules
from reconcile.score import email_key, person_key

# A number written in one piece: "1042", "INV-1042", "SO42".
PLAIN_NUMBER = r"^[a-z]*-?[0-9]+$"
STRIPE_ID = r"\b(?:ch|py|pi|re|pyr|po|dp|du|txn|in|cus|tu|tr)_[A-Za-z0-9]+"

# Which documents can record which movement. The second list counts only for documents people made: our own marker
# on a journal entry or a deposit names a later step (a fee, a cent of exchange), not the movement itself.
RECORDS = {
    "charge": (("payment", "sales_receipt"), ("deposit", "journal_entry")),
    "refund": (("refund_receipt", "credit_memo", "ar_refund"), ("purchase", "journal_entry")),
    "dispute": (("journal_entry",), ("purchase", "refund_receipt", "credit_memo")),
    "payout": (("transfer", "deposit"), ("journal_entry",)),
    "fee": (("purchase", "deposit", "journal_entry"), ()),
    "adjustment": (("purchase", "deposit", "journal_entry", "transfer"), ()),
}
# What people type in by hand without leaving a Stripe id.
TYPED = {
    "charge": ("payment", "sales_receipt", "deposit"),
    "refund": ("refund_receipt", "credit_memo", "ar_refund"),
    "payout": ("transfer", "deposit"),
}


def names_of_processor(processor: pl.DataFrame, among: pl.Series) -> pl.DataFrame:
    """`processor_id, kind, company, name`: each item's own id and the other ids it is known by, of those in `among`."""
    wanted = pl.DataFrame({"name": among}).unique()
    own = processor.select("kind", "company", processor_id="id", name="id").join(wanted, on="name", how="semi")
    others = (
        processor.select("kind", "company", "links", processor_id="id")
        .filter(pl.col("links").list.len() > 0)
        .explode("links", empty_as_null=False, keep_nulls=False)
        .with_columns(name=pl.col("links").struct.field("target"))
        .join(wanted, on="name", how="semi")
        # A refund's link to its charge is a relation, not another name of the refund.
        .filter((pl.col("kind") == "charge") | pl.col("name").str.starts_with("txn_"))
        .filter(~pl.col("name").str.starts_with("invoice:"))
    )
    return pl.concat([own, others.select(own.columns)]).unique(maintain_order=False)


def names_in_ledger(ledger: pl.DataFrame) -> pl.DataFrame:
    """`ledger_id, name`: the Stripe ids a document carries in its fields or in our marker."""
    return (
        ledger.filter(pl.col("marker").is_not_null() | (pl.col("external_ids").list.len() > 0))
        .select(
            "kind",
            "company",
            ledger_id="id",
            marked=pl.col("marker").is_not_null(),
            is_container=(pl.col("kind") == "deposit") & (pl.col("applied").list.len() > 0),
            # The marker of our own document is the one statement that counts: its memo may name more.
            name=pl.when(pl.col("marker").is_not_null())
            .then(pl.col("marker").fill_null("").str.extract_all(STRIPE_ID))
            .otherwise(pl.col("external_ids")),
        )
        .explode("name", empty_as_null=False, keep_nulls=False)
        .unique()
    )


def by_identity(processor: pl.DataFrame, ledger: pl.DataFrame) -> pl.DataFrame:
    """Items and the documents that say they record them."""
    kinds = pl.DataFrame(
        [
            {"kind": kind, "ledger_kind": each, "primary": primary}
            for kind, (first, second) in RECORDS.items()
            for primary, group in ((True, first), (False, second))
            for each in group
        ],
        schema={"kind": pl.String, "ledger_kind": pl.String, "primary": pl.Boolean},
    )
    documents = names_in_ledger(ledger).rename({"kind": "ledger_kind"})
    pairs = (
        names_of_processor(processor, documents["name"])
        .join(documents, on=["company", "name"])
        .join(kinds, on=["kind", "ledger_kind"])
        .filter(pl.col("primary") | ~pl.col("marked"))
        # A deposit that gathers payments records the payout; its payments record the charges.
        .filter(~(pl.col("is_container") & (pl.col("kind") == "charge")))
        .group_by("processor_id", "ledger_id")
        .agg(pl.col("name").min(), pl.col("marked").first(), pl.col("primary").first())
    )
    return pairs.filter(pl.col("primary") | ~pl.col("primary").any().over("processor_id")).drop("primary")


def by_link(charges: pl.DataFrame, invoices: pl.DataFrame) -> pl.DataFrame:
    """Charges and the invoices Stripe says they paid; `linked_minor` is how much of them, null if it does not say."""
    known = pl.concat(
        [
            invoices.select("company", ledger_id="id", target="id"),
            invoices.select("company", ledger_id="id", target="external_ids")
            .filter(pl.col("target").list.len() > 0)
            .explode("target", empty_as_null=False, keep_nulls=False),
        ]
    )
    return (
        charges.select("company", "links", processor_id="id")
        .filter(pl.col("links").list.len() > 0)
        .explode("links", empty_as_null=False, keep_nulls=False)
        .select(
            "company",
            "processor_id",
            target=pl.col("links").struct.field("target"),
            linked_minor=pl.col("links").struct.field("amount_minor"),
        )
        .join(known, on=["company", "target"])
        .group_by("processor_id", "ledger_id")
        .agg(pl.col("linked_minor").max())
    )


def reference_key(text: pl.Expr) -> pl.Expr:
    """A reference without what people write differently: case, '#', 'inv', spaces, punctuation, leading zeros."""
    return (
        text.str.to_lowercase()
        .str.replace_all(r"[^a-z0-9]", "")
        .str.replace(r"^(?:invoice|inv)(?:number|no|nr)?", "")
        .str.replace(r"^0+", "")
    )


def numbers_of(frame: pl.DataFrame, id_column: str, column: str) -> pl.DataFrame:
    """`<id_column>, company, key`: the reference key of a column, where it has a digit."""
    text = pl.col(column).str.to_lowercase()
    every = frame.select("company", pl.col("id").alias(id_column), text=text).drop_nulls("text")
    plain = pl.col("text").str.contains(PLAIN_NUMBER)
    # Most numbers need no more than these; they give what `reference_key` gives, faster.
    quick = (
        pl.col("text")
        .str.replace("-", "", literal=True)
        .str.replace(r"^inv(?:oice)?(?:number|no|nr)?", "")
        .str.strip_chars_start("0")
    )
    keyed = pl.concat(
        [
            every.filter(plain).with_columns(key=quick),
            every.filter(~plain)
            .with_columns(key=reference_key(pl.col("text")))
            .filter(pl.col("key").str.contains(r"\d")),
        ]
    )
    return keyed.filter(pl.col("key") != "").drop("text")


def keys_in_text(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """`processor_id, company, key, source`: every reference a text may contain; `source` is the column's name."""
    frame = frame.filter(pl.col(column).str.contains(r"[0-9]"))
    marked = (
        pl.col(column)
        .str.to_lowercase()
        .str.replace_all(r"\b(?:invoice|inv)\b[\s.:#-]*(?:\b(?:number|no|nr)\b[\s.:#-]*)?|#\s*", " inv")
    )
    words = frame.select(
        "company", processor_id="id", word=marked.str.extract_all(r"[a-z0-9]+(?:[-_/.][a-z0-9]+)*")
    ).explode("word", empty_as_null=False, keep_nulls=False)
    # "SO 1042" is one reference written with a space.
    joined = words.with_columns(
        word=pl.when(pl.col("word").str.contains(r"^[a-z]+$")).then(
            pl.col("word") + pl.col("word").shift(-1).over("processor_id")
        )
    ).drop_nulls("word")
    whole = frame.select("company", processor_id="id", word=pl.col(column).str.to_lowercase())
    every = pl.concat([words, joined, whole]) if column == "reference" else pl.concat([words, joined])
    key = reference_key(pl.col("word"))
    # In free text a short number means nothing ("2 seats") unless it is called an invoice.
    telling = (key.str.len_chars() >= 3) | pl.col("word").str.starts_with("inv") | (pl.lit(column) == "reference")
    return (
        every.filter(telling)
        .select("processor_id", "company", key=key, source=pl.lit(column))
        .filter(pl.col("key").str.contains(r"\d"))
        .unique()
    )


def reference_keys(charges: pl.DataFrame) -> pl.DataFrame:
    """`processor_id, company, key, source`: everything the charges name, in the reference or the description."""
    columns = ["processor_id", "company", "key", "source"]
    one = pl.col("reference").str.to_lowercase().str.contains(PLAIN_NUMBER)
    simple = numbers_of(charges.filter(one), "processor_id", "reference").with_columns(source=pl.lit("reference"))
    return pl.concat(
        [
            simple.select(columns),
            keys_in_text(charges.filter(~one), "reference").select(columns),
            keys_in_text(charges, "description").select(columns),
        ]
    )


def by_reference(charges: pl.DataFrame, invoices: pl.DataFrame) -> pl.DataFrame:
    """Charges and the invoices whose number they name; `source` is where ("reference" before "description")."""
    pairs = reference_keys(charges).join(
        numbers_of(invoices, "ledger_id", "doc_number"), on=["company", "key"], maintain_order="none"
    )
    columns = ["processor_id", "ledger_id", "source", "key"]
    several = pl.col("processor_id").is_duplicated()
    # One pair may have been found in both texts.
    more = (
        pairs.filter(several)
        .group_by("processor_id", "ledger_id")
        .agg(pl.col("source").max(), pl.col("key").min())  # "reference" > "description"
    )
    return pl.concat([pairs.filter(~several).select(columns), more.select(columns)])


def by_typed_amount(items: pl.DataFrame, documents: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """Items and the unmarked, unclaimed documents of the same amount and currency within the window.

    The amount may be the item's own or, if Stripe converted it, the settled one.
    """
    kinds = pl.DataFrame(
        [{"kind": kind, "ledger_kind": each} for kind, group in TYPED.items() for each in group],
        schema={"kind": pl.String, "ledger_kind": pl.String},
    )
    is_payout = pl.col("kind") == "payout"
    before = pl.when(is_payout).then(rules.payout_days_before).otherwise(rules.record_days_before)
    after = pl.when(is_payout).then(rules.payout_days_after).otherwise(rules.record_days_after)
    # Documents people typed are few: each is written down for every day of its window, and the days must be equal.
    typed = (
        documents.filter(pl.col("marker").is_null())
        .select(
            "company",
            "currency",
            "date",
            ledger_id="id",
            ledger_kind="kind",
            total_minor=pl.col("amount_minor").abs(),
            is_container=(pl.col("kind") == "deposit") & (pl.col("applied").list.len() > 0),
        )
        .join(kinds, on="ledger_kind")
        .filter(~(pl.col("is_container") & ~is_payout))
        .with_columns(day=pl.date_ranges(_days(-after), _days(before)))
        .explode("day", empty_as_null=False, keep_nulls=False)
    )
    wanted = items.select(
        "company",
        "kind",
        "currency",
        "settled_currency",
        "settled_minor",
        processor_id="id",
        total_minor=pl.col("amount_minor").abs(),
        day=pl.col("occurred_at").dt.date(),
    )
    settled = wanted.filter(pl.col("settled_currency") != pl.col("currency")).with_columns(
        currency="settled_currency", total_minor=pl.col("settled_minor").abs()
    )
    return (
        pl.concat([wanted, settled])
        .join(typed, on=["company", "currency", "total_minor", "kind", "day"])
        .select("processor_id", "ledger_id")
        .unique()
    )


def _days(offset: pl.Expr) -> pl.Expr:
    return pl.col("date") + pl.duration(days=offset)


def by_paid_invoice(named: pl.DataFrame, charges: pl.DataFrame, ledger: pl.DataFrame) -> pl.DataFrame:
    """Charges and the unmarked payments that paid the very invoice the charge names (pairs in `named`).

    They are candidates whatever their date if the amount is equal, and whatever their amount if nothing is open.
    """
    applied = (
        ledger.filter(pl.col("marker").is_null(), pl.col("kind") == "payment")
        .select("applied", payment_id="id", paid_minor="amount_minor", payment_currency="currency")
        .explode("applied", empty_as_null=False, keep_nulls=False)
        .with_columns(
            ledger_id=pl.col("applied").struct.field("id"), part=pl.col("applied").struct.field("amount_minor")
        )
        .drop("applied")
    )
    return (
        named.select("processor_id", "ledger_id")
        .join(applied, on="ledger_id")
        .join(charges.select("amount_minor", "currency", processor_id="id"), on="processor_id")
        .join(ledger.select("open_minor", ledger_id="id"), on="ledger_id")
        .filter(
            (pl.col("payment_currency") == pl.col("currency"))
            & (
                (pl.col("open_minor").fill_null(0) <= 0)
                | pl.any_horizontal(pl.col("paid_minor", "part") == pl.col("amount_minor"))
            )
        )
        .select("processor_id", ledger_id="payment_id")
        .unique()
    )


def person_keys(frame: pl.DataFrame, row_column: str, known: pl.DataFrame) -> pl.DataFrame:
    """`row, key`: what a customer can be found by: the customer in the books, the e-mail, the name, either end of it.

    Names are taken with their words in order; one with a typo at one end is still found by the other.
    """
    name = person_key(pl.col("customer_name")).str.split(" ").list.sort().list.join(" ")
    named = frame.select(row_column, name=name).drop_nulls("name")
    keys = [
        frame.select(row_column, key=pl.format("email {}", email_key(pl.col("customer_email")))),
        named.select(row_column, key=pl.format("is {}", "name")),
        named.select(row_column, key=pl.format("starts {}", pl.col("name").str.slice(0, 4))),
        named.select(row_column, key=pl.format("ends {}", pl.col("name").str.slice(-4))),
        known.select(row_column, key=pl.format("customer {}", "customer_key")),
    ]
    return pl.concat(keys).drop_nulls()


def by_open_amount(
    charges: pl.DataFrame, invoices: pl.DataFrame, known: pl.DataFrame, rules: Rules
) -> tuple[pl.DataFrame, set[str]]:
    """Charges and the invoices whose open balance (`left_minor`) equals them, within the window of days.

    Only pairs that share a key of their customers; `known` (`processor_id, customer_key`) are the charges' customers.
    A key shared by more than `rules.pairs_max` pairs of one amount is not followed; the second result are the charges
    that has happened to.
    """
    if charges.is_empty() or invoices.is_empty():
        return pl.DataFrame(schema={"processor_id": pl.String, "ledger_id": pl.String}), set()
    block = ["company", "currency", "total_minor"]
    left = charges.select(
        "id", "company", "currency", "customer_name", "customer_email", "occurred_at", total_minor="amount_minor"
    )
    right = invoices.select(
        "id", "company", "currency", "customer_name", "customer_email", "date", "customer_id", total_minor="left_minor"
    )
    # Amounts only one side has cannot meet: most rows go here.
    left = left.join(right, on=block, how="semi").with_row_index("item")
    right = right.join(left, on=block, how="semi").with_row_index("document")
    owners = right.select("document", customer_key="customer_id")
    customers = left.select("item", processor_id="id").join(known, on="processor_id").select("item", "customer_key")
    keyed = [
        left.select("item", *block, day=pl.col("occurred_at").dt.date()).join(
            person_keys(left, "item", customers), on="item"
        ),
        right.select("document", "date", *block).join(person_keys(right, "document", owners), on="document"),
    ]
    sizes = [side.group_by(*block, "key").len(name) for side, name in zip(keyed, ("items", "documents"), strict=True)]
    hot = (
        sizes[0]
        .join(sizes[1], on=[*block, "key"])
        .filter(pl.col("items").cast(pl.Int64) * pl.col("documents") > rules.pairs_max)
    )
    limited = keyed[0].join(hot, on=[*block, "key"], how="semi").select("item").unique()
    days = (pl.col("date") - pl.col("day")).dt.total_days()
    pairs = (
        keyed[0]
        .join(hot, on=[*block, "key"], how="anti")
        .join(keyed[1], on=[*block, "key"])
        .filter(days.is_between(-rules.invoice_days_before, rules.invoice_days_after))
        .select("item", "document")
        .unique()
    )
    found = pairs.select(processor_id=left["id"].gather(pairs["item"]), ledger_id=right["id"].gather(pairs["document"]))
    return found, set(left["id"].gather(limited["item"]))


def by_customer(
    charges: pl.DataFrame, invoices: pl.DataFrame, known: pl.DataFrame, days_max: int, rules: Rules
) -> pl.DataFrame:
    """Charges and the invoices of one customer (known, by e-mail or by name) not older than `days_max`."""
    block = ["company", "currency"]
    left = charges.select("id", *block, "customer_name", "customer_email", "occurred_at", "amount_minor")
    right = invoices.select("id", *block, "customer_name", "customer_email", "date", "customer_id", "left_minor")
    left, right = left.with_row_index("item"), right.with_row_index("document")
    customers = left.select("item", processor_id="id").join(known, on="processor_id").select("item", "customer_key")
    owners = right.select("document", customer_key="customer_id")
    whole = ~pl.col("key").str.contains("^(?:starts|ends) ")
    keyed = left.select("item", *block, "amount_minor", day=pl.col("occurred_at").dt.date()).join(
        person_keys(left, "item", customers).filter(whole), on="item"
    )
    books = right.select("document", "date", "left_minor", *block).join(
        person_keys(right, "document", owners).filter(whole), on="document"
    )
    # A key of very many invoices is no customer a sum could be told of.
    crowded = pl.len().over([*block, "key"]) <= rules.pairs_max // 1_000
    pairs = (
        keyed.join(books.filter(crowded), on=[*block, "key"])
        .filter((pl.col("date") - pl.col("day")).dt.total_days().is_between(-days_max, rules.invoice_days_after))
        .select("item", "document")
        .unique()
    )
    return pairs.select(processor_id=left["id"].gather(pairs["item"]), ledger_id=right["id"].gather(pairs["document"]))
