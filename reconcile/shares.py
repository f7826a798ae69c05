"""All of some companies, for one thread: what polars does not do on every core by itself is done for several at once.

No pair crosses two companies, so shares decided apart give what all would give together (a property test says so).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

ROWS = 200_000  # of both sides in a share at least: for fewer a thread does not pay


@dataclass(frozen=True, slots=True)
class Share:
    """Canonical frames; `rows` are the places of `processor`'s rows among all."""

    processor: pl.DataFrame
    ledger: pl.DataFrame
    rows: pl.Series


def divide(processor: pl.DataFrame, ledger: pl.DataFrame, number: int | None = None) -> list[Share]:
    """So many shares of about one size, or as many as polars has threads if there are rows enough; one at least."""
    if number is None:
        number = min(pl.thread_pool_size(), (processor.height + ledger.height) // ROWS)
    if number < 2:
        return [Share(processor, ledger, pl.int_range(processor.height, dtype=pl.UInt32, eager=True))]
    return list(_shares(processor, ledger, number))


def _shares(processor: pl.DataFrame, ledger: pl.DataFrame, number: int) -> Iterator[Share]:
    """The largest companies first, each to the share that has least."""
    companies = pl.concat([processor.select("company"), ledger.select("company")])
    sizes = companies.group_by("company").len().sort("len", "company", descending=[True, False])
    held, share_of = [0] * number, []
    for size in sizes["len"]:
        least = held.index(min(held))
        held[least] += size
        share_of.append(least)
    shared = sizes.select("company", share=pl.Series(share_of, dtype=pl.UInt32))
    left, right = (
        side.select("company").join(shared, on="company", how="left", maintain_order="left")["share"]
        for side in (processor, ledger)
    )
    for share in range(number):
        mine = left == share
        yield Share(processor.filter(mine), ledger.filter(right == share), mine.arg_true())
