"""Labelled books: what happened in Stripe, what stands in QuickBooks, and which belongs to which.

One seed gives one world. It is made to be hard in the ways real books are: plan prices that repeat, names that collide
and are mistyped, references that are missing or wrong, parts, sums, duplicates, and payments somebody recorded by hand.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

# Shares of deals; the rest is an exact reference.
SHARES = {
    "missing": 0.075,
    "partial": 0.020,
    "one_many": 0.008,
    "many_one": 0.008,
    "linked": 0.010,
    "unmatched": 0.008,
    "unpaid": 0.020,
    "wrong_reference": 0.002,
    "duplicate_charge": 0.003,
    "duplicate_invoice": 0.002,
    "hand_recorded": 0.004,
}
REFUNDS, TYPED_REFUNDS, DISPUTES, CONVERTED, TYPOS = 0.012, 0.25, 0.002, 0.02, 0.18
PRICES = np.array([900, 1200, 1900, 2900, 3900, 4900, 5900, 7900, 9900, 14900, 19900, 24900, 29900, 49900])
CURRENCIES = np.array(["USD", "EUR", "GBP", "CAD", "JPY", "KWD"])
MIDDLES = ["r", "nn", "v", "l", "t"]
START = datetime(2025, 1, 1)  # noqa: DTZ001  a day, given its zone below
Columns = dict[str, Any]


@dataclass(frozen=True)
class World:
    """`processor` and `ledger` as `reconcile.frames` describes them; `truth`: `processor_id, ledger_id, category`."""

    processor: pl.DataFrame
    ledger: pl.DataFrame
    truth: pl.DataFrame
    categories: pl.DataFrame  # processor_id, category: of every item

    @property
    def rows(self) -> int:
        return self.processor.height + self.ledger.height


def world(rows: int, seed: int, companies: int | None = None) -> World:
    """About `rows` rows a side."""
    rng = np.random.default_rng(seed)
    deals = _deals(rng, max(20, int(rows * 0.97)), companies)
    invoices = _invoices(rng, deals)
    totals = invoices.filter(pl.col("category") == "one_many").group_by("deal").agg(total=pl.col("amount").sum())
    charges = _charges(rng, deals.join(totals, on="deal", how="left", maintain_order="left"))
    truth = _truth(charges, invoices)
    refunds, refund_books = _refunds(rng, charges)
    payouts, payout_books = _payouts(rng, charges)
    hand = _hand_recorded(rng, charges)
    processor = pl.concat([_items(charges), refunds, payouts], how="diagonal_relaxed")
    books = pl.concat([_documents(invoices), refund_books, payout_books, hand], how="diagonal_relaxed")
    pairs = [
        truth.filter(pl.col("category") != "hand_recorded"),
        _labels(refund_books),
        _labels(payout_books),
        _labels(hand),
    ]
    drop = ["record_of", "category"]
    return World(
        processor=processor.drop("category").sort("id"),
        ledger=books.drop(drop, strict=False).sort("id"),
        truth=pl.concat(pairs).sort("processor_id", "ledger_id"),
        categories=processor.select(processor_id="id", category="category"),
    )


def _deals(rng: np.random.Generator, count: int, companies: int | None) -> pl.DataFrame:
    """One row a deal: who, how much, when, and what kind of trouble it makes."""
    companies = companies or max(6, count // 2_500)
    share = 1 / np.arange(1, companies + 1)
    company = rng.choice(companies, count, p=share / share.sum())
    main = rng.choice(len(CURRENCIES), companies, p=[0.6, 0.15, 0.1, 0.05, 0.05, 0.05])
    currency = np.where(rng.random(count) < 0.9, main[company], rng.integers(0, len(CURRENCIES), count))
    sizes = np.bincount(company, minlength=companies)
    customer = (rng.random(count) * np.maximum(3, sizes[company] // 6)).astype(np.int64)
    person = (company * 7_919 + customer * 104_729) % 14_040
    plan = rng.random(count) < 0.6
    amount = np.where(plan, rng.choice(PRICES, count), np.exp(rng.normal(9.2, 1.3, count)).astype(np.int64) + 100)
    names = np.array(["exact", *SHARES])
    kind = rng.choice(len(names), count, p=[1 - sum(SHARES.values()), *SHARES.values()])
    number = pl.DataFrame({"c": company}).select(pl.int_range(pl.len()).over("c")).to_series().to_numpy() + 1_001
    lag = rng.choice([0, 1, 3, 8, 20, 40, 75], count, p=[0.45, 0.15, 0.12, 0.1, 0.1, 0.06, 0.02])
    lag = np.where(rng.random(count) < 0.02, -rng.integers(1, 6, count), lag + rng.integers(0, 2, count) * (lag > 0))
    return pl.DataFrame(
        {
            "deal": np.arange(count),
            "company": company,
            "currency": CURRENCIES[currency],
            "customer": company * 1_000_000 + customer,
            "person": person,
            "amount": amount.astype(np.int64),
            "category": names[kind],
            "number": number,
            "day": rng.integers(0, 365, count),
            "lag": lag,
        }
    )


def _people(deals: pl.DataFrame) -> pl.DataFrame:
    """Names and addresses: 120 first names by 117 last ones, a quarter of them firms; every customer has an address."""
    starts, middles, ends = ["Ka", "Mi", "Jo", "An", "Be", "Lu", "Sa", "Do"], MIDDLES, ["a", "en", "is"]
    first = [a + b + c for a in starts for b in middles for c in ends]
    roots = ["Stein", "Wood", "Brook", "Lam", "Fern", "Hart", "Wells", "Crow", "Nor", "Black", "Mont", "Ash", "Rus"]
    last = [a + b for a in roots for b in ["berg", "son", "field", "er", "ley", "man", "ton", "worth", "mark"]]
    names = [f"{f} {n}" if (i + j) % 4 else f"{n} {f} LLC" for i, f in enumerate(first) for j, n in enumerate(last)]
    table = pl.DataFrame({"name": names}).with_row_index("person").with_columns(pl.col("person").cast(pl.Int64))
    people = deals.select("deal", "person", "customer").join(table, on="person", maintain_order="left")
    address = pl.format("{}.{}@mail.test", pl.col("name").str.to_lowercase().str.replace_all(" ", "."), "customer")
    return people.select("deal", "name", email=address)


def _numbered(company: pl.Expr, number: pl.Expr) -> pl.Expr:
    """Every company writes its numbers in its own way."""
    return (
        pl.when(company % 3 == 0)
        .then(pl.format("INV-{}", number))
        .when(company % 3 == 1)
        .then(pl.format("{}", number))
        .otherwise(pl.format("SO-{}", number))
    )


def _invoices(rng: np.random.Generator, deals: pl.DataFrame) -> pl.DataFrame:
    base = deals.filter(pl.col("category") != "unmatched").with_columns(part=pl.lit(0))
    more = base.filter(pl.col("category") == "one_many")
    times = rng.integers(1, 5, more.height)
    extra = more[np.repeat(np.arange(more.height), times)].with_columns(part=pl.int_range(1, pl.len() + 1).over("deal"))
    dice, other = rng.random(extra.height), rng.integers(500, 90_000, extra.height)
    extra = extra.with_columns(
        amount=pl.Series(np.where(dice < 0.5, rng.choice(PRICES, extra.height), other)),
        number=pl.col("number") * 10 + 9_000_000 + pl.col("part"),
        day=pl.col("day") - pl.Series(rng.integers(0, 20, extra.height)),
    )
    twin = base.filter(pl.col("category") == "duplicate_invoice").with_columns(
        part=pl.lit(9), number=pl.col("number") + 7_000_000
    )
    frame = pl.concat([base, extra, twin], how="vertical_relaxed")
    known = rng.random(frame.height)
    number = _numbered(pl.col("company"), pl.col("number"))
    frame = frame.join(_people(deals), on="deal", maintain_order="left").with_columns(
        doc_number=number, seen=pl.Series(known)
    )
    order = rng.permutation(frame.height)
    return frame.with_columns(
        id=pl.format("invoice:{}", pl.Series(order) + 10_000_000),
        email=pl.when(pl.col("seen") > 0.15).then("email"),
        is_open=pl.when(pl.col("category") == "hand_recorded").then(0).otherwise("amount"),
    )


def _charges(rng: np.random.Generator, deals: pl.DataFrame) -> pl.DataFrame:
    frame = deals.filter(pl.col("category") != "unpaid").with_columns(part=pl.lit(0))
    parts = frame.filter(pl.col("category") == "many_one")
    times = rng.integers(2, 5, parts.height)
    parts = parts[np.repeat(np.arange(parts.height), times)].with_columns(
        part=pl.int_range(pl.len()).over("deal"), parts=pl.len().over("deal").cast(pl.Int64)
    )
    each = pl.col("amount") // (pl.col("parts") + 1)
    parts = parts.with_columns(
        paid=pl.when(pl.col("part") == pl.col("parts") - 1)
        .then(pl.col("amount") - each * (pl.col("parts") - 1))
        .otherwise(each)
    )
    rest = frame.filter(pl.col("category") != "many_one").with_columns(
        paid=pl.coalesce("total", "amount"), parts=pl.lit(1, dtype=pl.Int64)
    )
    rest = rest.with_columns(
        paid=pl.when(pl.col("category") == "partial")
        .then((pl.col("paid") * pl.Series(rng.integers(20, 90, rest.height)) // 100).clip(1))
        .otherwise("paid")
    )
    again = rest.filter(pl.col("category") == "duplicate_charge").with_columns(part=pl.lit(1), lag=pl.col("lag") + 1)
    frame = pl.concat([rest, parts.select(rest.columns), again.select(rest.columns)], how="vertical_relaxed")
    return _worded(rng, frame.join(_people(deals), on="deal", maintain_order="left"))


def _worded(rng: np.random.Generator, frame: pl.DataFrame) -> pl.DataFrame:
    """What the payer and the shop wrote: references, descriptions, names with typos, addresses."""
    count = frame.height
    dice, other, seen, mail = (pl.Series(rng.random(count)) for _ in range(4))
    number = _numbered(pl.col("company"), pl.col("number"))
    stranger = _numbered(pl.col("company"), pl.Series(rng.integers(1_001, 1_400, count)))
    digits = pl.col("number").cast(pl.String)
    written = (
        pl.when(dice < 0.70)
        .then(number)
        .when(dice < 0.85)
        .then(number.str.to_lowercase())
        .when((dice < 0.95) & (pl.col("company") % 3 == 0))
        .then(digits)
        .otherwise(number)
    )
    category = pl.col("category")
    plain = category.is_in(["exact", "duplicate_charge", "duplicate_invoice", "hand_recorded"])
    partly = (category == "partial") & (other < 0.6) | (category == "many_one") & (other < 0.7)
    noisy = (category == "missing") & (other < 0.12)
    loose = (category == "missing") & (other >= 0.12) & (other < 0.45)
    frame = frame.with_columns(
        reference=pl.when(plain & (dice < 0.95) | partly)
        .then(written)
        .when(category == "wrong_reference")
        .then(stranger)
        .when(loose)
        .then(pl.lit("thank you")),
        description=pl.when(plain & (dice >= 0.95))
        .then(pl.format("Payment for Invoice #{}", number))
        .when(noisy)
        .then(pl.format("pmt inv #{} thx", number))
        .when(dice < 0.2)
        .then(pl.lit("Subscription update"))
        .when(dice < 0.23)
        .then(pl.lit("Order of 2 seats")),
        email=pl.when(mail < 0.02).then(pl.format("me{}@home.test", "deal")).when(seen > 0.4).then("email"),
        settled_currency=pl.when(pl.Series(rng.random(count)) < CONVERTED).then(pl.lit("USD")).otherwise("currency"),
    )
    frame = _joint_reference(frame, number)
    wrong = np.flatnonzero(rng.random(count) < TYPOS)
    names = frame["name"].to_list()
    for position, how, at in zip(wrong, rng.integers(0, 5, len(wrong)), rng.random(len(wrong)), strict=True):
        names[position] = _mistyped(names[position], int(how), float(at))
    order = rng.permutation(count)
    return frame.with_columns(
        name=pl.Series(names), id=pl.format("ch_{}", pl.Series(order) + 10_000_000), day=pl.col("day") + pl.col("lag")
    )


def _joint_reference(frame: pl.DataFrame, number: pl.Expr) -> pl.DataFrame:
    """Half of the charges for several invoices name the first of them, a quarter all (see `_truth` for the rest)."""
    joint = pl.col("category") == "one_many"
    return frame.with_columns(
        reference=pl.when(joint & (pl.col("deal") % 2 == 0)).then(number).otherwise("reference"),
    )


def _mistyped(name: str, how: int, at: float) -> str:
    place = 1 + int(at * (len(name) - 2))
    if how == 0:
        return name[:place] + name[place + 1 :]
    if how == 1:
        return name[:place] + name[place] + name[place:]
    if how == 2:
        return " ".join(reversed(name.split(" ")))
    if how == 3:
        return name.upper()
    return name[:place] + "x" + name[place + 1 :]


def _truth(charges: pl.DataFrame, invoices: pl.DataFrame) -> pl.DataFrame:
    paid = charges.filter(~((pl.col("category") == "duplicate_charge") & (pl.col("part") == 1)))
    meant = invoices.filter(pl.col("part") != 9)
    return (
        paid.select("deal", "category", processor_id="id")
        .join(meant.select("deal", ledger_id="id"), on="deal")
        .select("processor_id", "ledger_id", "category")
    )


def _labels(books: pl.DataFrame) -> pl.DataFrame:
    return books.select(processor_id="record_of", ledger_id="id", category="category")


def _moment(day: str = "day") -> pl.Expr:
    return (pl.lit(START) + pl.duration(days=pl.col(day), hours=12)).dt.replace_time_zone("UTC")


def _items(charges: pl.DataFrame) -> pl.DataFrame:
    linked = pl.col("category") == "linked"
    return charges.select(
        "id",
        "currency",
        "settled_currency",
        "reference",
        "description",
        "category",
        kind=pl.lit("charge"),
        company=pl.format("company-{}", "company"),
        amount_minor="paid",
        settled_minor=pl.when(pl.col("settled_currency") != pl.col("currency"))
        .then(pl.col("paid") * 109 // 100)
        .otherwise("paid"),
        occurred_at=_moment(),
        customer_id=pl.format("cus_{}", "customer"),
        customer_name="name",
        customer_email="email",
        links=pl.when(linked).then(
            pl.concat_list(pl.struct(target=pl.format("in_{}", "deal"), amount_minor=pl.lit(None, dtype=pl.Int64)))
        ),
    )


def _documents(invoices: pl.DataFrame) -> pl.DataFrame:
    return invoices.select(
        "id",
        "currency",
        "doc_number",
        kind=pl.lit("invoice"),
        company=pl.format("company-{}", "company"),
        amount_minor="amount",
        open_minor="is_open",
        date=_moment().dt.date(),
        customer_id=pl.format("{}", "customer"),
        customer_name="name",
        customer_email="email",
        external_ids=pl.when(pl.col("category") == "linked").then(pl.concat_list(pl.format("in_{}", "deal"))),
    )


def _refunds(rng: np.random.Generator, charges: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Refunds, and disputes lost: each recorded, three in four with the Stripe id."""
    exact = charges.filter(pl.col("category") == "exact")
    dice = rng.random(exact.height)
    some = exact.filter(pl.Series(dice < REFUNDS + DISPUTES)).with_columns(
        dispute=pl.Series(dice[dice < REFUNDS + DISPUTES] < DISPUTES)
    )
    some = some.with_columns(typed=pl.Series(rng.random(some.height) < TYPED_REFUNDS) & ~pl.col("dispute"))
    kind = pl.when("dispute").then(pl.lit("journal_entry")).otherwise(pl.lit("refund_receipt"))
    prefix = pl.when("dispute").then(pl.lit("dp_")).otherwise(pl.lit("re_"))
    some = some.with_columns(
        record_of=pl.concat_str(prefix, pl.col("id").str.slice(3)),
        day=pl.col("day") + 5,
        category=pl.when("dispute").then(pl.lit("dispute")).otherwise(pl.lit("refund")),
    )
    items = some.select(
        "currency",
        "category",
        id="record_of",
        settled_currency="currency",
        kind="category",
        company=pl.format("company-{}", "company"),
        amount_minor=-pl.col("paid"),
        settled_minor=-pl.col("paid"),
        occurred_at=_moment(),
        customer_name="name",
        customer_email="email",
    )
    books = some.select(
        "currency",
        "category",
        "record_of",
        id=pl.format("{}:{}", kind, pl.col("id").str.slice(3)),
        kind=kind,
        company=pl.format("company-{}", "company"),
        amount_minor="paid",
        date=_moment().dt.date(),
        customer_name="name",
        external_ids=pl.when(~pl.col("typed")).then(pl.concat_list("record_of")),
    )
    return items, books


def _payouts(rng: np.random.Generator, charges: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """One payout a fortnight of each company and currency; nine in ten transfers carry its id."""
    sums = (
        charges.group_by("company", "currency", half=pl.col("day") // 14)
        .agg(pl.col("paid").sum())
        .sort("company", "currency", "half")
        .with_row_index("n")
        .with_columns(day=pl.col("half") * 14 + 14, paid=pl.col("paid") * 97 // 100, category=pl.lit("payout"))
        .with_columns(record_of=pl.format("po_{}", "n"))
    )
    sums = sums.with_columns(typed=pl.Series(rng.random(sums.height) < 0.1), company=pl.format("company-{}", "company"))
    items = sums.select(
        "company",
        "currency",
        "category",
        id="record_of",
        kind=pl.lit("payout"),
        amount_minor=-pl.col("paid"),
        settled_currency="currency",
        settled_minor=-pl.col("paid"),
        occurred_at=_moment(),
    )
    books = sums.select(
        "company",
        "currency",
        "category",
        "record_of",
        id=pl.format("transfer:{}", "n"),
        kind=pl.lit("transfer"),
        amount_minor="paid",
        date=_moment().dt.date(),
        external_ids=pl.when(~pl.col("typed")).then(pl.concat_list("record_of")),
    )
    return items, books


def _hand_recorded(rng: np.random.Generator, charges: pl.DataFrame) -> pl.DataFrame:
    """Payments somebody typed in: no Stripe id, a day or two later, applied to nothing we are told of."""
    typed = charges.filter(pl.col("category") == "hand_recorded")
    later = pl.Series(rng.integers(0, 3, typed.height))
    return typed.with_columns(day=pl.col("day") + later).select(
        "currency",
        "category",
        record_of="id",
        id=pl.format("payment:{}", pl.col("id").str.slice(3)),
        kind=pl.lit("payment"),
        company=pl.format("company-{}", "company"),
        amount_minor="paid",
        date=_moment().dt.date(),
        customer_id=pl.format("{}", "customer"),
        customer_name="name",
    )
