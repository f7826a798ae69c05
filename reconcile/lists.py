"""Matching of two bare lists, for whoever has no more than ids, dates, amounts and texts."""

import polars as pl
from rapidfuzz import fuzz

from reconcile.score import person_key

LIST_SCHEMA = pl.Schema({"id": pl.String(), "date": pl.Date(), "amount_minor": pl.Int64(), "text": pl.String()})
PAIR_SCHEMA = pl.Schema(
    {
        "left_id": pl.String(),
        "right_id": pl.String(),
        "amount_minor": pl.Int64(),
        "days": pl.Int64(),
        "similarity": pl.Int64(),
        "probability": pl.Float64(),
        "rank": pl.Int64(),
    }
)

# Odds that a pair belongs together, against those that an item has no partner (1): they double with every
# DOUBLING points of likeness above EVEN. Not fitted to data.
EVEN, DOUBLING, DAY_POINTS, DAY_MAX = 40, 8, 4, 40


def match_lists(left: pl.DataFrame, right: pl.DataFrame, days_before: int = 7, days_after: int = 30) -> pl.DataFrame:
    """Pairs (PAIR_SCHEMA) of two lists (LIST_SCHEMA; `text` may be absent) with equal amounts in minor units.

    The right item is at most `days_before` days before and `days_after` days after the left one. `probability` takes
    the other candidates of both sides into account; equal `rank`s (1 is the best of a left item) are equally good.
    Both lists must be in one currency. All pairs are proposals.
    """
    sides = [_side(frame, name) for frame, name in ((left, "left"), (right, "right"))]
    days = (pl.col("right_date") - pl.col("left_date")).dt.total_days()
    pairs = (
        sides[0]
        .join(sides[1], on="amount_minor")
        .with_columns(days=days)
        .filter(pl.col("days").is_between(-days_before, days_after))
        .sort("left_id", "right_id")
    )
    points = [
        int(fuzz.token_set_ratio(row["left_text"], row["right_text"])) if row["left_text"] and row["right_text"] else 0
        for row in pairs.iter_rows(named=True)
    ]
    near = pl.max_horizontal(DAY_MAX - DAY_POINTS * pl.col("days").abs(), 0)
    scored = pairs.with_columns(similarity=pl.Series(points, dtype=pl.Int64)).with_columns(
        points=pl.col("similarity") + near
    )
    odds = [2.0 ** ((each - EVEN) / DOUBLING) for each in scored["points"]]
    scored = scored.with_columns(odds=pl.Series(odds, dtype=pl.Float64))
    share = [pl.col("odds") / (1 + pl.col("odds").sum().over(side)) for side in ("left_id", "right_id")]
    rank = pl.col("points").rank("dense", descending=True).over("left_id")
    return (
        scored.with_columns(probability=pl.min_horizontal(share).round(6), rank=rank)
        .select(PAIR_SCHEMA.names())
        .cast(PAIR_SCHEMA)
        .sort("left_id", "rank", "right_id")
    )


def _side(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    text = person_key(pl.col("text").cast(pl.String)) if "text" in frame.columns else pl.lit(None, dtype=pl.String)
    return frame.select(
        pl.col("amount_minor").cast(pl.Int64),
        pl.col("id").cast(pl.String).alias(f"{name}_id"),
        pl.col("date").cast(pl.Date).alias(f"{name}_date"),
        text.alias(f"{name}_text"),
    )
