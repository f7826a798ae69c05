"""The probability of a decision: a pair against its competitors and against there being no partner at all.

Everything up to the last division is integers, so that neither the order of rows nor the number of threads can change
a digit.
"""

import math
from decimal import Decimal, localcontext
from functools import cache

import polars as pl

from reconcile.model import PPM

# Odds are fixed-point: 2 ** BITS stands for even odds. Weights beyond the limits tell nothing more.
BITS, LIMIT = 14, 28_000


def _powers() -> list[int]:
    """`2 ** (k / 1000)` for k below 1,000, in units of `2 ** -BITS`; from decimals, so equal on every machine."""
    with localcontext() as context:
        context.prec = 40
        root = (Decimal(2).ln() / 1_000).exp()
        return [int((root**k * 2**BITS).to_integral_value()) for k in range(1_000)]


POWER_LIST = _powers()
POWERS = pl.Series("power", POWER_LIST, dtype=pl.Int64)
EVEN: int = 2**BITS


def odds(weight: pl.Expr) -> pl.Expr:
    """Odds (fixed-point Int64) of a weight in milli-bits; the weight 0 is even odds."""
    held = weight.clip(-LIMIT, LIMIT) + LIMIT
    whole, part = held // 1_000 - LIMIT // 1_000, held % 1_000
    mantissa = pl.lit(POWERS).gather(part.cast(pl.UInt32))
    up = mantissa * pl.lit(2, dtype=pl.Int64).pow(whole.clip(0).cast(pl.UInt32))
    down = up // pl.lit(2, dtype=pl.Int64).pow((-whole).clip(0).cast(pl.UInt32))
    return down.cast(pl.Int64)


@cache
def alone_ppm(weight: int) -> int:
    """Per million: the probability of a pair without competitors."""
    held = max(-LIMIT, min(LIMIT, weight)) + LIMIT
    whole, part = held // 1_000 - LIMIT // 1_000, held % 1_000
    own: int = POWER_LIST[part] << max(0, whole) >> max(0, -whole)
    return min(PPM - 1, own * PPM // (EVEN + own))


def probability_ppm(pairs: pl.DataFrame, left: str, right: str) -> pl.Series:
    """Per million: the pair's odds over those of all pairs of its left, or of its right side, whichever is less.

    The column `weight` (Int64) already holds the chance of a partner; having none has even odds.
    """
    own = pl.col("own")
    shares = [(own * PPM) // (EVEN + own.sum().over(side)) for side in (left, right)]
    told = pairs.select(left, right, own=odds(pl.col("weight")))
    return told.select(pl.min_horizontal(shares).clip(0, PPM - 1).alias("probability_ppm")).to_series()


def as_milli_bits(numerator: pl.Series, denominator: pl.Series) -> pl.Series:
    """`log2` of ratios of positive integers, in thousandths; one Python logarithm for each ratio that occurs."""
    ratios = pl.DataFrame({"numerator": numerator, "denominator": denominator})
    known = ratios.unique()
    values = [round(1_000 * (math.log2(top) - math.log2(bottom))) for top, bottom in known.iter_rows()]
    weighed = known.with_columns(weight=pl.Series(values, dtype=pl.Int64))
    return ratios.join(weighed, on=["numerator", "denominator"], how="left", maintain_order="left")["weight"]
