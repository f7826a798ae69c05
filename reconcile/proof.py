"""The proof: on every day Stripe's balance equals the clearing account plus items that say why it does not.

For one link. Stripe's side is the opening plus the legs of its movements; the books' side is what the documents really
do to the clearing account, read back. Between them stand the items: each leg until its document counts, each document
nobody of ours made, each document that is not what was booked. All amounts are minor units of their `currency`, signed
as Stripe's balance and the clearing account move; all days are calendar days in the link's zone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from reconcile.discrepancy import called, money
from reconcile.money import books_unit

# `stripe_minor` is the balance at the start of the cut-over day.
OPENING_SCHEMA = pl.Schema({"currency": pl.String(), "cutover": pl.Date(), "stripe_minor": pl.Int64()})

# A leg that several documents book has one row for each, its amount divided among them. `booked_minor` is the effect
# on the clearing account (0 if none) of `document_id` as far as it is this leg's, from `booked_on` on. `undone` rows
# are of a document that was undone by an opposite one, and of that one: nothing of the amount, but what each books.
LEG_SCHEMA = pl.Schema(
    {
        "leg_id": pl.String(),
        "movement_id": pl.String(),
        "source_id": pl.String(),
        "currency": pl.String(),
        "day": pl.Date(),
        "amount_minor": pl.Int64(),
        "before_cutover": pl.Boolean(),
        "state": pl.String(),
        "reason": pl.String(),
        "detail": pl.String(),
        "document_id": pl.String(),
        "booked_on": pl.Date(),
        "booked_minor": pl.Int64(),
        "undone": pl.Boolean(),
    }
)
# What each document in the books really does to the clearing account; `opening` marks our opening entry.
CLEARING_SCHEMA = pl.Schema(
    {
        "document_id": pl.String(),
        "currency": pl.String(),
        "day": pl.Date(),
        "amount_minor": pl.Int64(),
        "marker": pl.String(),
        "opening": pl.Boolean(),
    }
)
# What legs and documents that are each other's come to on a day, on both sides (see `reconcile.carried`): `count`
# documents of a kind. Without a kind nothing happened but that the currency was there.
SETTLED_SCHEMA = pl.Schema(
    {
        "currency": pl.String(),
        "day": pl.Date(),
        "kind": pl.String(),
        "count": pl.Int64(),
        "amount_minor": pl.Int64(),
    }
)
DAY_SCHEMA = pl.Schema(
    {
        "currency": pl.String(),
        "day": pl.Date(),
        "stripe_minor": pl.Int64(),
        "clearing_minor": pl.Int64(),
        "difference_minor": pl.Int64(),
        "explained_minor": pl.Int64(),
        "unexplained_minor": pl.Int64(),
        "status": pl.String(),
    }
)
# An item counts from `from_day` up to the day before `until_day`; without one it still stands.
ITEM_SCHEMA = pl.Schema(
    {
        "currency": pl.String(),
        "from_day": pl.Date(),
        "until_day": pl.Date(),
        "amount_minor": pl.Int64(),
        "reason": pl.String(),
        "leg_id": pl.String(),
        "document_id": pl.String(),
        "source_id": pl.String(),
        "text": pl.String(),
    }
)
# Reasons that need nobody: time passes, or a person has decided. The others keep a day open.
SETTLED_REASONS = ("in_transit", "date_moved", "recorded_elsewhere", "ignored", "rounding")
STATES = ("matched", "posted", "waiting", "ignored")
IS_PAYOUT = pl.col("source_id").str.starts_with("po_")
# A payout from before the cut-over that was in transit then, so that the opening holds it.
IS_TRANSIT = pl.col("before_cutover") & IS_PAYOUT & (pl.col("reason") != "opening")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """`days` (DAY_SCHEMA): both sides and their difference, a row a currency and day. `items` (ITEM_SCHEMA): its parts.

    A day's `status` is "tied" (no items), "explained" (all of them settle by themselves or were decided) or "open".
    """

    days: pl.DataFrame
    items: pl.DataFrame

    def items_on(self, currency: str, day: date) -> pl.DataFrame:
        """The items that make the difference of one day."""
        stands = pl.col("until_day").is_null() | (pl.col("until_day") > day)
        return self.items.filter(pl.col("currency") == currency, pl.col("from_day") <= day, stands)


def prove(
    openings: pl.DataFrame,
    legs: pl.DataFrame,
    clearing: pl.DataFrame,
    through: date,
    accepted: Sequence[str] = (),
    settled: pl.DataFrame | None = None,
) -> Proof:
    """Proves every day from the cut-over to `through`. A currency without an opening opens with nothing.

    `accepted` are documents of ours that somebody left changed, or gone, as they are. `settled` (SETTLED_SCHEMA) stands
    for legs and documents that are left out of the other frames.
    """
    legs = legs.select(LEG_SCHEMA.names()).cast(LEG_SCHEMA)
    clearing = clearing.select(CLEARING_SCHEMA.names()).cast(CLEARING_SCHEMA)
    settled = pl.DataFrame(schema=SETTLED_SCHEMA) if settled is None else settled
    starts = _starts(openings, legs, clearing, settled)
    events = _events(starts, _participating(legs, starts), clearing)
    is_left = (pl.col("reason") == "drift") & pl.col("document_id").is_in(list(accepted))
    reason = pl.when(is_left).then(pl.lit("ignored")).otherwise("reason").alias("reason")
    items = _items(events).filter(pl.col("from_day") <= through).with_columns(reason)
    days = _days(starts, _changes(legs, clearing, settled), items, through)
    assert (days["unexplained_minor"] == 0).all(), "the items do not make the difference"
    return Proof(days=days, items=items)


def _starts(openings: pl.DataFrame, *sides: pl.DataFrame) -> pl.DataFrame:
    """OPENING_SCHEMA with every currency that occurs."""
    openings = openings.select(OPENING_SCHEMA.names()).cast(OPENING_SCHEMA)
    seen = pl.concat([side.select("currency", "day") for side in sides])
    first = openings["cutover"].min() or seen["day"].min()
    others = seen.select("currency").unique().join(openings, on="currency", how="anti")
    return pl.concat(
        [openings, others.select("currency", cutover=pl.lit(first, pl.Date), stripe_minor=pl.lit(0, pl.Int64))]
    ).sort("currency")


def _participating(legs: pl.DataFrame, starts: pl.DataFrame) -> pl.DataFrame:
    """Legs that the proof itemises, with `cutover`, `is_transit` and `counts` (the leg changes Stripe's balance after
    the opening).

    Other legs from before the cut-over are inside the opening, unless a document books them again later.
    """
    return (
        legs.join(starts.select("currency", "cutover"), on="currency")
        .with_columns(
            booked_on=pl.when(pl.col("booked_minor").fill_null(0) != 0).then("booked_on"),
            booked_minor=pl.col("booked_minor").fill_null(0),
            is_payout=IS_PAYOUT,
            is_transit=IS_TRANSIT,
        )
        .with_columns(counts=~pl.col("before_cutover") | pl.col("is_transit"))
        .filter(pl.col("counts") | (pl.col("booked_on") >= pl.col("cutover")).fill_null(False))
    )


# ---- events: each changes the running difference of one group on one day

EVENT_COLUMNS = ("group", "currency", "day", "amount_minor")


def _events(starts: pl.DataFrame, legs: pl.DataFrame, clearing: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Frames `group, currency, day, amount_minor` plus what describes a group, by kind of group.

    Added up over all groups they are Stripe's balance less the clearing account.
    """
    legs = _grouped(legs)
    clearing = clearing.join(starts.select("currency", "cutover"), on="currency").with_columns(
        opening=pl.col("opening").fill_null(False)
    )
    claimed = legs.filter(pl.col("booked_on").is_not_null()).select("claim", "currency").unique()
    ours = clearing.filter(~pl.col("opening")).join(
        claimed, left_on=["document_id", "currency"], right_on=["claim", "currency"], how="semi"
    )
    others = clearing.join(ours, on=["document_id", "currency"], how="anti")
    is_early = pl.col("opening") | (pl.col("day") < pl.col("cutover"))
    return {
        "leg": _leg_events(legs),
        "document": _document_events(legs, ours),
        "foreign": _at_least(
            others.filter(~is_early).with_columns(group="document_id"), "day", -pl.col("amount_minor")
        ),
        "opening": _opening_events(starts, legs, others.filter(is_early)),
    }


def _grouped(legs: pl.DataFrame) -> pl.DataFrame:
    """A document that was undone and its opposite stand in the leg's group, so that days before keep their proof."""
    cancels = pl.col("reason") == "cancels_out"  # such legs of one source are nothing together: one group
    legs = legs.with_columns(
        group=pl.when(cancels)
        .then(pl.format("{} cancels", "source_id"))
        .otherwise(pl.format("{} {}", "leg_id", pl.col("document_id").fill_null(""))),
        claim=pl.coalesce("document_id", pl.format("leg {}", "leg_id")),
        undone=pl.col("undone").fill_null(False),
    )
    own = legs.filter(~pl.col("undone")).group_by("leg_id").agg(own_group=pl.col("group").min())
    ends = legs.filter("undone").group_by("leg_id").agg(undone_on=pl.col("booked_on").max())
    legs = legs.join(own, on="leg_id", how="left").join(ends, on="leg_id", how="left")
    return legs.with_columns(group=pl.when("undone").then(pl.coalesce("own_group", "group")).otherwise("group"))


def _at_least(frame: pl.DataFrame, day: str, amount: pl.Expr) -> pl.DataFrame:
    """Events of a frame, none earlier than the cut-over."""
    return frame.select("group", "currency", day=pl.max_horizontal(day, "cutover"), amount_minor=amount)


def _leg_events(legs: pl.DataFrame) -> pl.DataFrame:
    booked = legs.filter(pl.col("booked_on").is_not_null())
    changes = pl.concat(
        [
            _at_least(legs.filter("counts"), "day", pl.col("amount_minor")),
            _at_least(booked, "booked_on", -pl.col("booked_minor")),
        ]
    )
    described = legs.rename({"day": "leg_day"}).drop("currency", "amount_minor", "cutover", "claim")
    order = ["group", "undone", "leg_day", "booked_on", "booked_minor", "state", "reason"]
    return changes.join(described.sort(order).unique("group", keep="first"), on="group")


def _document_events(legs: pl.DataFrame, ours: pl.DataFrame) -> pl.DataFrame:
    """What the legs booked, less what the documents really do: nothing, unless a document changed or vanished."""
    booked = legs.filter(pl.col("booked_on").is_not_null()).with_columns(group="claim")
    sources = booked.group_by("group").agg(
        source_id=pl.col("source_id").min(), source_count=pl.col("source_id").n_unique()
    )
    actual = ours.group_by(group="document_id").agg(actual_day=pl.col("day").min())
    changes = [
        _at_least(booked, "booked_on", pl.col("booked_minor")),
        _at_least(ours.with_columns(group="document_id"), "day", -pl.col("amount_minor")),
    ]
    return (
        pl.concat(changes)
        .join(
            sources.with_columns(source_id=pl.when(pl.col("source_count") == 1).then("source_id")).drop("source_count"),
            on="group",
            how="left",
        )
        .join(actual, on="group", how="left")
    )


def _opening_events(starts: pl.DataFrame, legs: pl.DataFrame, early: pl.DataFrame) -> pl.DataFrame:
    """Stripe's balance at the cut-over and the payouts then in transit, less what the books opened with."""
    group = pl.lit("opening")
    return pl.concat(
        [
            _at_least(starts.with_columns(group=group), "cutover", pl.col("stripe_minor")),
            _at_least(legs.filter("is_transit").with_columns(group=group), "cutover", -pl.col("amount_minor")),
            _at_least(early.with_columns(group=group), "day", -pl.col("amount_minor")),
        ]
    )


# ---- items: what is left of a group between two of its events


def _items(events: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    described = {"leg": _leg_item, "document": _document_item, "foreign": _foreign_item, "opening": _opening_item}
    rows = [describe(row) for kind, describe in described.items() for row in _segments(events[kind])]
    order = ["currency", "from_day", "reason", "leg_id", "document_id", "amount_minor"]
    return pl.DataFrame(rows, schema=ITEM_SCHEMA, orient="row").sort(order)


def _segments(events: pl.DataFrame) -> list[dict[str, Any]]:
    """The stretches of days on which a group is not zero: `from_day`, `until_day` (or None), `amount_minor`."""
    rest = [name for name in events.columns if name not in EVENT_COLUMNS]
    return (
        events.group_by("group", "currency", "day")
        .agg(pl.col("amount_minor").sum(), pl.col(rest).first())
        .sort("group", "currency", "day")
        .with_columns(
            amount_minor=pl.col("amount_minor").cum_sum().over("group", "currency"),
            until_day=pl.col("day").shift(-1).over("group", "currency"),
        )
        .rename({"day": "from_day"})
        .filter(pl.col("amount_minor") != 0)
        .to_dicts()
    )


def _item(row: Mapping[str, Any], reason: str, text: str) -> dict[str, Any]:
    return {name: row.get(name) for name in ITEM_SCHEMA} | {"reason": reason, "text": text}


def _leg_item(row: Mapping[str, Any]) -> dict[str, Any]:
    amount, source = money(row["amount_minor"], row["currency"]), row["source_id"]
    booked_on, day = row["booked_on"], row["leg_day"]
    if not row["counts"]:
        text = f"{source} is part of the opening balance, but {row['document_id']} books {amount} of it again."
        return _item(row, "books_only", text)
    if booked_on is None:
        return _unbooked_item(row, amount)
    if row["undone_on"] is not None and row["from_day"] < row["undone_on"]:
        text = f"{amount} of {source} differs until {row['undone_on']}, when what was posted first was undone."
        return _item(row, "date_moved", text)
    if row["from_day"] < booked_on:
        if row["is_payout"] or row["reason"] == "in_transit":
            return _item(row, "in_transit", f"{amount} of {source} is on its way until {booked_on}.")
        return _item(row, "date_moved", f"{amount} of {source} happened on {day} and is in the books on {booked_on}.")
    if row["from_day"] < day:
        return _item(row, "date_moved", f"{amount} of {source} is in the books on {booked_on}, before {day}.")
    gap = f"{called(row['document_id'])} books {source} with a difference of {amount}."
    if row["reason"] == "rounding" or (abs(row["amount_minor"]) < books_unit(row["currency"])):
        return _item(row, "rounding", f"{gap} The books keep two decimals.")
    return _item(row, "recorded_elsewhere" if row["state"] == "matched" else "drift", gap)


def _unbooked_item(row: Mapping[str, Any], amount: str) -> dict[str, Any]:
    detail = row["detail"] or ""
    start = f"{amount} of {row['source_id']}"
    if row["reason"] == "in_transit":
        return _item(row, "in_transit", f"{start} is on its way. {detail}".strip())
    is_left = row["state"] == "posted" and abs(row["amount_minor"]) < books_unit(row["currency"])
    if row["reason"] == "rounding" or is_left:
        return _item(row, "rounding", f"{start}: the books keep two decimals. It goes into its month's rounding entry.")
    if row["reason"] == "cancels_out":
        return _item(row, "in_transit", f"{start} was on its way and came back. {detail}".strip())
    if row["state"] == "matched":
        where = called(row["document_id"])
        return _item(row, "recorded_elsewhere", f"{where} records {start}, outside the clearing account.")
    if row["state"] == "posted":
        return _item(row, "drift", f"{start} was posted, but its document is not in the books.")
    verb = "was set aside" if row["state"] == "ignored" else "waits"
    return _item(row, row["state"], f"{start} {verb}. {detail}".strip())


def _document_item(row: Mapping[str, Any]) -> dict[str, Any]:
    document, gap = row["group"], money(row["amount_minor"], row["currency"])
    row = {**row, "document_id": document}
    if row["actual_day"] is None:
        return _item(row, "drift", f"{called(document)} is no longer in the books; {gap} of it is missing.")
    if row["until_day"] is not None:
        return _item(row, "drift", f"{called(document)} is now dated {row['actual_day']}; until then {gap} differs.")
    return _item(row, "drift", f"{called(document)} was changed: it differs by {gap} from what was booked.")


def _foreign_item(row: Mapping[str, Any]) -> dict[str, Any]:
    document, amount = row["group"], money(row["amount_minor"], row["currency"])
    text = f"{called(document)} moves the clearing account by {amount}, but belongs to no Stripe movement."
    return _item({**row, "document_id": document}, "books_only", text)


def _opening_item(row: Mapping[str, Any]) -> dict[str, Any]:
    gap = money(row["amount_minor"], row["currency"])
    text = f"The clearing account's opening balance differs by {gap} from Stripe's balance at the cut-over."
    if abs(row["amount_minor"]) < books_unit(row["currency"]):
        return _item(row, "rounding", f"{text} The books keep two decimals.")
    return _item(row, "opening", text)


# ---- days


def _changes(legs: pl.DataFrame, clearing: pl.DataFrame, settled: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """`currency, day, amount_minor` by side: everything that changes its balance."""
    sides = {"stripe": legs.filter(~pl.col("before_cutover")), "clearing": clearing}
    names = ["currency", "day", "amount_minor"]
    return {name: pl.concat([side.select(names), settled.select(names)]) for name, side in sides.items()}


def _days(
    starts: pl.DataFrame, changes: Mapping[str, pl.DataFrame], items: pl.DataFrame, through: date
) -> pl.DataFrame:
    days = (
        starts.select("currency", day=pl.date_ranges("cutover", pl.lit(through, pl.Date)))
        .explode("day", empty_as_null=False)
        .sort("currency", "day")
    )
    ends = items.drop_nulls("until_day").select("currency", day="until_day", amount_minor=-pl.col("amount_minor"))
    explained = pl.concat([items.select("currency", "amount_minor", day="from_day").select(ends.columns), ends])
    for name, side in {**changes, "explained": explained}.items():
        days = days.join(_running(days, starts, side, f"{name}_minor"), on=["currency", "day"])
    days = days.join(starts.select("currency", opening_minor="stripe_minor"), on="currency").with_columns(
        stripe_minor=pl.col("stripe_minor") + pl.col("opening_minor")
    )
    difference = pl.col("stripe_minor") - pl.col("clearing_minor")
    return (
        days.with_columns(difference_minor=difference, unexplained_minor=difference - pl.col("explained_minor"))
        .join(_statuses(days, items), on=["currency", "day"], how="left")
        .with_columns(pl.col("status").fill_null("tied"))
        .select(DAY_SCHEMA.names())
        .sort("currency", "day")
    )


def _running(days: pl.DataFrame, starts: pl.DataFrame, changes: pl.DataFrame, name: str) -> pl.DataFrame:
    """The running total of changes on each day; what came before the cut-over counts on its first."""
    daily = (
        changes.join(starts.select("currency", "cutover"), on="currency")
        .group_by("currency", day=pl.max_horizontal("day", "cutover"))
        .agg(pl.col("amount_minor").sum())
    )
    return (
        days.select("currency", "day")
        .join(daily, on=["currency", "day"], how="left")
        .sort("currency", "day")
        .select("currency", "day", pl.col("amount_minor").fill_null(0).cum_sum().over("currency").alias(name))
    )


def _statuses(days: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    """`currency, day, status` of the days with items."""
    stands = pl.col("until_day").is_null() | (pl.col("day") < pl.col("until_day"))
    return (
        days.select("currency", "day")
        .join(items.select("currency", "from_day", "until_day", "reason").unique(), on="currency")
        .filter(pl.col("from_day") <= pl.col("day"), stands)
        .group_by("currency", "day")
        .agg(
            status=pl.when(pl.col("reason").is_in(SETTLED_REASONS).all())
            .then(pl.lit("explained"))
            .otherwise(pl.lit("open"))
        )
    )
