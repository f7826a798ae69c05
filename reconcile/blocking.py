"""Which pairs are worth looking at: joins on ids, references and amounts, never everything with everything.

Every function gives a frame of pairs, `item` and `document`, and what the join learned. Those are row numbers, which
stand beside the columns of both sides (see `reconcile.tiers.state`): numbers are joined, compared and sorted many times
faster than ids, and in the same order.
"""

import re

import polars as pl

from reconcile.joins import join_texts
from reconcile.rules import Rules
from reconcile.score import email_key, with_name_keys

NO_PAIRS = pl.DataFrame(schema={"item": pl.UInt32, "document": pl.UInt32})
NO_NAMES = pl.DataFrame(schema={"kind": pl.String, "company": pl.String, "item": pl.UInt32, "name": pl.String})
WHO = ("company", "currency", "customer_name", "customer_email")
WAYS = 5  # by which a customer can be found, see `person_keys`
# The texts that may name an invoice, the one that counts more last.
SOURCE = pl.Enum(["description", "reference"])
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
# What people type in by hand without leaving a Stripe id: of the same amount, wherever it lies.
TYPED = {
    "charge": ("payment", "sales_receipt", "deposit"),
    "refund": ("refund_receipt", "credit_memo", "ar_refund"),
    "payout": ("transfer", "deposit"),
}
# The same, where only what it does to the clearing account can tell: by kinds of which a company has very many.
ON_CLEARING = {
    "charge": ("journal_entry",),
    "refund": ("purchase", "journal_entry"),
    "dispute": ("purchase", "refund_receipt", "journal_entry"),
    "payout": ("journal_entry",),
    "fee": ("purchase", "deposit", "journal_entry"),
    "fees": ("purchase", "deposit", "journal_entry"),
    "adjustment": ("purchase", "refund_receipt", "deposit", "transfer", "journal_entry"),
}


def names_of_processor(processor: pl.DataFrame, among: pl.Series) -> pl.DataFrame:
    """`item, kind, company, name`: each item's own id and the other ids it is known by, of those in `among`.

    `processor` is in the order of ids.
    """
    wanted = pl.DataFrame({"name": among}).unique()
    if wanted.is_empty() or processor.is_empty():
        return NO_NAMES
    # Rows come in the order of ids: a few are found faster than all are looked through.
    places = processor["id"].search_sorted(wanted["name"]).clip(0, processor.height - 1)
    own = processor.select("kind", "company", "item", name="id")[places].join(wanted, on="name", how="semi")
    others = (
        processor.select("kind", "company", "links", "item")
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
    """`document, name`: the Stripe ids a document carries in its fields or in our marker."""
    return (
        ledger.filter(pl.col("marker").is_not_null() | (pl.col("external_ids").list.len() > 0))
        .select(
            "kind",
            "company",
            "document",
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
        .group_by("item", "document")
        .agg(pl.col("name").min(), pl.col("marked").first(), pl.col("primary").first())
    )
    return pairs.filter(pl.col("primary") | ~pl.col("primary").any().over("item")).drop("primary")


def by_link(charges: pl.DataFrame, invoices: pl.DataFrame) -> pl.DataFrame:
    """Charges and the invoices Stripe says they paid; `linked_minor` is how much of them, null if it does not say."""
    links = (
        charges.filter(pl.col("links").list.len() > 0)
        .select("company", "links", "item")
        .explode("links", empty_as_null=False, keep_nulls=False)
        .select(
            "company",
            "item",
            target=pl.col("links").struct.field("target"),
            linked_minor=pl.col("links").struct.field("amount_minor"),
        )
    )
    named = (
        invoices.filter(pl.col("external_ids").list.len() > 0)
        .select("company", "document", target="external_ids")
        .explode("target", empty_as_null=False, keep_nulls=False)
    )
    own = invoices.select("company", "document", target="id").join(links, on="target", how="semi")
    return (
        links.join(pl.concat([own, named]), on=["company", "target"])
        .group_by("item", "document")
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


def telling(processor: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """The items with as much of their texts as may name an invoice by the rules."""
    texts = {name: pl.col(name) for name in ("reference", "description")}
    if rules.reference_patterns:
        found = rf"(?i)\b(?:{'|'.join(map(_pattern, rules.reference_patterns))})\b"
        texts = {name: text.str.extract_all(found).list.join(" ") for name, text in texts.items()}
    if not rules.reads_description:
        texts["description"] = pl.lit(None, pl.String)
    return processor if rules.reads_description and not rules.reference_patterns else processor.with_columns(**texts)


def _pattern(text: str) -> str:
    """ "INV-#" for a regular expression: # is any digits, everything else itself."""
    return "[0-9]+".join(re.escape(part) for part in text.split("#"))


def numbers_of(frame: pl.DataFrame, row_column: str, column: str) -> pl.DataFrame:
    """`company, <row_column>, key`: the reference key of a column, where it has a digit."""
    texts = frame.select("company", row_column, text=pl.col(column).str.to_lowercase()).drop_nulls("text")
    plain = texts["text"].str.contains(PLAIN_NUMBER)
    if plain.all():
        return _plain_keys(texts)
    other = texts.filter(~plain).select("company", row_column, key=reference_key(pl.col("text")))
    return pl.concat([_plain_keys(texts.filter(plain)), other.filter(pl.col("key").str.contains(r"\d"))])


def _plain_keys(texts: pl.DataFrame) -> pl.DataFrame:
    """With `key` in place of `text`, where that is a PLAIN_NUMBER: what `reference_key` gives, faster."""
    key = (
        pl.col("text")
        .str.replace("-", "", literal=True)
        .str.replace(r"^inv(?:oice)?(?:number|no|nr)?", "")
        .str.strip_chars_start("0")
    )
    return texts.select(pl.exclude("text"), key=key).filter(pl.col("key") != "")


def keys_in_text(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """`item, company, key, source`: every reference a text may contain; `source` is the column's name."""
    frame = frame.filter(pl.col(column).str.contains(r"[0-9]"))
    marked = (
        pl.col(column)
        .str.to_lowercase()
        .str.replace_all(r"\b(?:invoice|inv)\b[\s.:#-]*(?:\b(?:number|no|nr)\b[\s.:#-]*)?|#\s*", " inv")
    )
    words = frame.select("company", "item", word=marked.str.extract_all(r"[a-z0-9]+(?:[-_/.][a-z0-9]+)*")).explode(
        "word", empty_as_null=False, keep_nulls=False
    )
    # "SO 1042" is one reference written with a space.
    joined = words.with_columns(
        word=pl.when(pl.col("word").str.contains(r"^[a-z]+$"), pl.col("item") == pl.col("item").shift(-1)).then(
            pl.col("word") + pl.col("word").shift(-1)
        )
    ).drop_nulls("word")
    whole = frame.select("company", "item", word=pl.col(column).str.to_lowercase())
    every = pl.concat([words, joined, whole]) if column == "reference" else pl.concat([words, joined])
    keyed = every.filter(pl.col("word").str.contains(r"[0-9]")).with_columns(key=reference_key(pl.col("word")))
    # In free text a short number means nothing ("2 seats") unless it is called an invoice.
    is_long, is_named = pl.col("key").str.len_chars() >= 3, pl.col("word").str.starts_with("inv")
    telling = keyed if column == "reference" else keyed.filter(is_long | is_named)
    return (
        telling.filter(pl.col("key").str.contains(r"\d"))
        .select("item", "company", "key", source=pl.lit(column, SOURCE))
        .unique()
    )


def reference_keys(charges: pl.DataFrame) -> pl.DataFrame:
    """`item, company, key, source`: everything the charges name, in the reference or the description."""
    columns = ["item", "company", "key", "source"]
    texts = charges.select("item", "company", text=pl.col("reference").str.to_lowercase())
    one = texts["text"].str.contains(PLAIN_NUMBER).fill_null(False)
    simple = _plain_keys(texts.filter(one)).with_columns(source=pl.lit("reference", SOURCE))
    return pl.concat(
        [
            simple.select(columns),
            keys_in_text(charges.filter(~one), "reference").select(columns),
            keys_in_text(charges, "description").select(columns),
        ]
    )


def by_reference(charges: pl.DataFrame, invoices: pl.DataFrame) -> pl.DataFrame:
    """Charges and the invoices whose number they name; `source` is where ("reference" before "description")."""
    keys, numbers = reference_keys(charges), numbers_of(invoices, "document", "doc_number")
    pairs = join_texts(keys, numbers, ["company", "key"])
    several = pairs["item"].is_duplicated()
    # One pair may have been found in both texts.
    more = pairs.filter(several).group_by("item", "document").agg(pl.col("source").max())
    return pl.concat([pairs.filter(~several).select(more.columns), more])


def by_typed_amount(items: pl.DataFrame, documents: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """Items and those documents people typed in that are of the same amount and currency, within the window.

    The amount may be the item's own or, if Stripe converted it, the settled one.
    """
    typed = _on_each_day(
        documents.select(
            "company",
            "currency",
            "date",
            "document",
            ledger_kind="kind",
            total_minor=pl.col("amount_minor").abs(),
            is_container=(pl.col("kind") == "deposit") & (pl.col("applied").list.len() > 0),
        ),
        TYPED,
        rules,
    ).filter(~(pl.col("is_container") & (pl.col("kind") != "payout")))
    if typed.is_empty():
        return NO_PAIRS
    # Amounts and days are numbers: they sort out nearly everything before any text is looked at.
    told = items.select(
        "item",
        "settled_minor",
        is_other=pl.col("settled_currency") != pl.col("currency"),
        total_minor=pl.col("amount_minor").abs(),
        day=pl.col("occurred_at").dt.date(),
    )
    settled = told.filter("is_other").with_columns(total_minor=pl.col("settled_minor").abs())
    texts = items.select("company", "kind", "currency", "settled_currency")
    pairs = []
    # One number of both is looked up faster than two; should it ever stand for two pairs, the join below sees it.
    key = pl.col("total_minor") * 2**20 + pl.col("day").to_physical()
    wanted = typed.select(key.unique()).to_series().implode()
    for some, currency in ((told, "currency"), (settled, "settled_currency")):
        near = some.filter(key.is_in(wanted)).select("item", "total_minor", "day")
        named = texts.select("company", "kind", currency=currency)[near["item"]]
        block = ["company", "currency", "total_minor", "kind", "day"]
        pairs.append(near.hstack(named).join(typed, on=block).select("item", "document"))
    return pl.concat(pairs).unique()


def by_typed_effect(items: pl.DataFrame, documents: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """Items and those documents people typed in that do to the clearing account what Stripe did, with or without its
    fee.
    """
    effects = (
        documents.filter(pl.col("clearing").list.len() > 0)
        .select("company", "currency", "date", "document", ledger_kind="kind", minor="clearing")
        .explode("minor", empty_as_null=False, keep_nulls=False)
    )
    if effects.is_empty():
        return NO_PAIRS
    typed = _on_each_day(effects, ON_CLEARING, rules)
    moved = items.select(
        *("company", "kind", "item", "settled_minor", "net_minor"),
        currency="settled_currency",
        day=pl.col("occurred_at").dt.date(),
    )
    key = ["company", "currency", "minor", "kind", "day"]
    pairs = [
        moved.rename({name: "minor"}).join(typed, on=key).select("item", "document")
        for name in ("settled_minor", "net_minor")
    ]
    return pl.concat(pairs).unique()


def summaries(documents: pl.DataFrame) -> pl.DataFrame:
    """`document`: those with several lines on the clearing account. One of them may record many items."""
    return documents.filter(pl.col("clearing").list.len() > 1).select("document")


def _on_each_day(typed: pl.DataFrame, kinds: dict[str, tuple[str, ...]], rules: Rules) -> pl.DataFrame:
    """Documents people typed are few: each is written down for every kind of item (`kind`) it may record, and every
    `day` of its window, so that the days only need to be equal.
    """
    windows = {
        "payout": (rules.payout_days_before, rules.payout_days_after),
        "fees": (rules.fees_days, rules.fees_days),
    }
    usual = (rules.record_days_before, rules.record_days_after)
    rows = [(kind, each, *windows.get(kind, usual)) for kind, ledger_kinds in kinds.items() for each in ledger_kinds]
    schema = {"kind": pl.String, "ledger_kind": pl.String, "before": pl.Int64, "after": pl.Int64}
    return (
        typed.join(pl.DataFrame(rows, schema=schema, orient="row"), on="ledger_kind")
        .with_columns(day=pl.date_ranges(_days(-pl.col("after")), _days(pl.col("before"))))
        .explode("day", empty_as_null=False, keep_nulls=False)
    )


def _days(offset: pl.Expr) -> pl.Expr:
    return pl.col("date") + pl.duration(days=offset)


def by_paid_invoice(
    named: pl.DataFrame, processor: pl.DataFrame, ledger: pl.DataFrame, documents: pl.DataFrame
) -> pl.DataFrame:
    """Charges and the payments among `documents` that paid the very invoice the charge names (pairs in `named`).

    They are candidates whatever their date if the amount is equal, and whatever their amount if nothing is open.
    """
    applied = (
        documents.filter(pl.col("kind") == "payment", pl.col("applied").list.len() > 0)
        .select("applied", payment="document", paid_minor="amount_minor", payment_currency="currency")
        .explode("applied", empty_as_null=False, keep_nulls=False)
        .with_columns(id=pl.col("applied").struct.field("id"), part=pl.col("applied").struct.field("amount_minor"))
        .drop("applied")
        .join(ledger.select("id", "document", "open_minor"), on="id")
    )
    pairs = named.select("item", "document").join(applied, on="document")
    items = processor.select("amount_minor", "currency")[pairs["item"]]
    return (
        pl.concat([pairs, items], how="horizontal")
        .filter(
            (pl.col("payment_currency") == pl.col("currency"))
            & (
                (pl.col("open_minor").fill_null(0) <= 0)
                | pl.any_horizontal(pl.col("paid_minor", "part") == pl.col("amount_minor"))
            )
        )
        .select("item", document="payment")
        .unique()
    )


def person_keys(
    frame: pl.DataFrame, known: pl.DataFrame, names: pl.DataFrame | None, *, ends: bool = True
) -> pl.DataFrame:
    """All rows once for each thing a customer can be found by: `way` (and with it `block`) says which, `key` what.

    These are the customer in the books, the e-mail, the name and, if asked for, either `ends` of it: a name with a typo
    at one end is still found by the other. Names are taken with their words in order. `known` are the same rows, once
    for each `customer_key`; `names` are the `name_keys`, if they are known.
    """
    carried = [
        name for name in frame.columns if name not in ("block", "customer_name", "customer_email", "customer_id")
    ]
    named = with_name_keys(frame, "customer_name", names=names)
    words = pl.col("words")
    keys = [email_key(pl.col("customer_email")), words, *([words.str.slice(0, 4), words.str.slice(-4)] if ends else [])]
    ways = [(known, pl.col("customer_key")), *((named, key) for key in keys)]
    block = pl.col("block") * len(ways)
    rows = [side.select(*carried, block=block + way, key=key) for way, (side, key) in enumerate(ways)]
    return pl.concat(rows).drop_nulls("key")


def by_open_amount(
    charges: pl.DataFrame,
    invoices: pl.DataFrame,
    known: pl.DataFrame,
    rules: Rules,
    names: pl.DataFrame | None = None,
) -> tuple[pl.DataFrame, pl.Series]:
    """Charges and the invoices whose open balance (`left_minor`) equals them, within the window of days.

    Only pairs that share a key of their customers; `known` (`item, customer_key`) are the charges' customers.
    A key shared by more than `rules.pairs_max` pairs of one amount is not followed; the second result are the charges
    that has happened to.
    """
    if charges.is_empty() or invoices.is_empty():
        return NO_PAIRS, charges["item"].clear()
    block = ["company", "currency", "total_minor"]
    left = charges.with_columns(total_minor="amount_minor", day=pl.col("occurred_at").dt.date())
    right = invoices.with_columns(total_minor="left_minor")
    # Amounts only one side has cannot meet: most rows go here. Every amount both have gets a number.
    sizes = [side.group_by(block).len(name) for side, name in ((left, "items"), (right, "documents"))]
    blocks = sizes[0].join(sizes[1], on=block).with_row_index("block")
    crowded = pl.col("items").cast(pl.Int64) * pl.col("documents") > rules.pairs_max
    left, right = (
        side.join(blocks, on=block).select(*columns, "block", "customer_name", "customer_email")
        for side, columns in ((left, ("item", "day")), (right, ("document", "date", "customer_id")))
    )
    items = person_keys(left, left.join(known, on="item"), names)
    documents = person_keys(right, right.rename({"customer_id": "customer_key"}), names)
    limited = left["item"].clear()
    crowds = blocks.filter(crowded).select("block")
    if crowds.height:
        ways = pl.concat([crowds * WAYS + number for number in range(WAYS)])
        crowd = [side.join(ways, on="block", how="semi") for side in (items, documents)]
        hot = _hot_keys(crowd[0], crowd[1], rules.pairs_max)
        limited = items.join(hot, on=["block", "key"], how="semi")["item"].unique()
        items = items.join(hot, on=["block", "key"], how="anti")
    return _near(items, documents, rules.invoice_days_before, rules), limited


def _near(items: pl.DataFrame, documents: pl.DataFrame, days_before: int, rules: Rules) -> pl.DataFrame:
    """Pairs of one `block` and `key` in which the invoice is so many days older at most."""
    pairs = join_texts(items, documents, ["block", "key"])
    days = (pl.col("date") - pl.col("day")).dt.total_days()
    near = pairs.filter(days.is_between(-days_before, rules.invoice_days_after))
    return near.select("item", "document").unique()


def _hot_keys(items: pl.DataFrame, documents: pl.DataFrame, pairs_max: int) -> pl.DataFrame:
    """`block, key` that more pairs would share than are followed."""
    sizes = [side.group_by("block", "key").len(name) for side, name in ((items, "items"), (documents, "documents"))]
    many = pl.col("items").cast(pl.Int64) * pl.col("documents") > pairs_max
    return sizes[0].join(sizes[1], on=["block", "key"]).filter(many).select("block", "key")


def by_customer(
    charges: pl.DataFrame,
    invoices: pl.DataFrame,
    known: pl.DataFrame,
    days_max: int,
    rules: Rules,
    names: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Charges and the invoices of one customer (known, by e-mail or by name) not older than `days_max`."""
    if charges.is_empty() or invoices.is_empty():
        return NO_PAIRS
    blocks = charges.select("company", "currency").unique().with_row_index("block")
    left, right = (
        side.join(blocks, on=["company", "currency"]).drop("company", "currency")
        for side in (
            charges.select("item", *WHO, day=pl.col("occurred_at").dt.date()),
            invoices.select("document", "date", "customer_id", *WHO),
        )
    )
    items = person_keys(left, left.join(known, on="item"), names, ends=False)
    documents = person_keys(right, right.rename({"customer_id": "customer_key"}), names, ends=False)
    # A key of very many invoices is no customer a sum could be told of.
    few = pl.len().over("block", "key") <= rules.pairs_max // 1_000
    return _near(items, documents.filter(few), days_max, rules)
