"""What is settled for good: legs and documents that are each other's, to the cent and the day.

They add the same to both sides of the proof and make no item, so that a day's sum may stand for all of them, and be
carried forward. A proof of the sums and the rest is the proof of everything (a property test says so).
"""

from dataclasses import dataclass

import polars as pl

from reconcile.proof import IS_TRANSIT, SETTLED_SCHEMA

BOOK = ["document_id", "currency"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """`settled` (SETTLED_SCHEMA), and the `legs` (LEG_SCHEMA) and `clearing` (CLEARING_SCHEMA) that are not."""

    settled: pl.DataFrame
    legs: pl.DataFrame
    clearing: pl.DataFrame


def carry(legs: pl.DataFrame, clearing: pl.DataFrame) -> Carried:
    """Divides LEG_SCHEMA and CLEARING_SCHEMA. A document settles nothing if any leg it books is not here.

    Legs matched to documents that somebody else made never settle: more of them may come to the same document.
    """
    legs = legs.with_columns(idle=_is_idle(), square=_is_square())
    good = legs.group_by("leg_id").agg(pl.col("square").all()).filter("square").select("leg_id")
    while True:
        documents = _square_documents(legs, clearing, good)
        booked = legs.join(good, on="leg_id", how="semi")
        odd = booked.join(documents, on=BOOK, how="anti").select("leg_id")
        if odd.is_empty():
            break
        good = good.join(odd, on="leg_id", how="anti")
    rest = legs.filter(~pl.col("idle")).join(good, on="leg_id", how="anti").drop("idle", "square")
    return Carried(
        settled=_settled(clearing.join(documents, on=BOOK, how="semi"), legs.filter("idle")),
        legs=rest,
        clearing=clearing.join(documents, on=BOOK, how="anti"),
    )


def _settled(documents: pl.DataFrame, idle: pl.DataFrame) -> pl.DataFrame:
    """SETTLED_SCHEMA."""
    kind = pl.col("document_id").str.split(":").list.first()
    group = ["currency", "day", "kind"]
    sums = documents.group_by("currency", "day", kind=kind).agg(
        count=(pl.col("amount_minor") != 0).sum(), amount_minor=pl.col("amount_minor").sum()
    )
    nothing = {"kind": pl.lit(""), "count": pl.lit(0), "amount_minor": pl.lit(0)}
    seen = idle.select("currency", "day", **nothing).unique()
    return pl.concat([each.cast(SETTLED_SCHEMA) for each in (sums.select(SETTLED_SCHEMA.names()), seen)]).sort(group)


def _is_idle() -> pl.Expr:
    """Inside the opening, and of no document: the proof leaves such a leg out."""
    is_booked = pl.col("booked_minor").fill_null(0) != 0
    return pl.col("before_cutover") & ~is_booked & ~IS_TRANSIT


def _is_square() -> pl.Expr:
    """All of this part of a leg was posted as one document on its own day."""
    whole = (pl.col("booked_minor") == pl.col("amount_minor")) & (pl.col("booked_on") == pl.col("day"))
    posted = (pl.col("state") == "posted") & (pl.col("reason") != "cancels_out") & ~pl.col("undone").fill_null(False)
    counts = (pl.col("amount_minor") != 0) & ~pl.col("before_cutover") & pl.col("document_id").is_not_null()
    return (whole & posted & counts).fill_null(False)


def _square_documents(legs: pl.DataFrame, clearing: pl.DataFrame, good: pl.DataFrame) -> pl.DataFrame:
    """`document_id, currency` of those that do to the clearing account what good legs, and only they, booked on it."""
    one_day = pl.col("booked_on").n_unique() == 1
    # Joined: a list of the good ones, asked for by group, would be held as often as there are groups.
    marked = legs.join(good.with_columns(is_good=pl.lit(value=True)), on="leg_id", how="left")
    booked = marked.group_by(BOOK).agg(
        is_square=pl.col("is_good").fill_null(value=False).all() & one_day,
        booked_minor=pl.col("booked_minor").sum(),
        booked_on=pl.col("booked_on").min(),
    )
    is_plain = ~pl.col("opening").fill_null(False).any() & (pl.col("day").n_unique() == 1)
    done = clearing.group_by(BOOK).agg(
        is_plain=is_plain, amount_minor=pl.col("amount_minor").sum(), day=pl.col("day").min()
    )
    square = (
        booked.filter("is_square")
        .join(done.filter("is_plain"), on=BOOK)
        .filter(pl.col("booked_minor") == pl.col("amount_minor"), pl.col("booked_on") == pl.col("day"))
        .select(BOOK)
    )
    # What one moves in several currencies is read together, so that it settles together or not at all.
    return square.join(clearing.join(square, on=BOOK, how="anti"), on="document_id", how="anti")
