"""Joining on texts: polars joins one column of numbers several times faster than columns of text."""

from collections.abc import Sequence
from functools import reduce
from operator import add, and_

import polars as pl

ROWS_MIN = 20_000  # for fewer, on either side, numbers do not pay


def join_texts(left: pl.DataFrame, right: pl.DataFrame, on: Sequence[str]) -> pl.DataFrame:
    """Both sides' other columns where the texts in `on` are equal (nulls never are), in the order of `left`.

    The number is polars' hash of the texts, which is stored nowhere; every pair it suggests is held against the texts.
    """
    if min(left.height, right.height) < ROWS_MIN:
        return left.join(right, on=on, maintain_order="left").drop(on)
    number = reduce(add, (pl.col(name).hash(seed) for seed, name in enumerate(on)))
    sides = [
        side.select(pl.exclude(on), number.alias("number")).with_row_index(name)
        for name, side in (("left", left), ("right", right))
    ]
    pairs = sides[0].join(sides[1], on="number", maintain_order="left").drop("number")
    equal = reduce(and_, (left[name].gather(pairs["left"]) == right[name].gather(pairs["right"]) for name in on))
    return pairs.filter(equal).drop("left", "right")
