"""Dividing the open movements into pieces small enough to hold: what must be planned together stays together.

Together are a charge with all that comes back of it, every charge that pays the same documents, and all holds. Matching
itself is not divided: every charge competes with every other.
"""

from collections.abc import Iterable, Iterator
from typing import cast

import polars as pl

from reconcile.answers import Verdicts, allocations_of, matches_of
from reconcile.assign import components
from reconcile.result import MatchResult

# Open movements, what is behind each (itself, if nothing is), what it must be planned with, and its day.
OUTLINE_SCHEMA = pl.Schema(
    {"movement_id": pl.String(), "source_id": pl.String(), "family": pl.String(), "dated": pl.Date()}
)


def divide(outline: pl.DataFrame, size: int, matches: MatchResult | None = None) -> Iterator[pl.DataFrame]:
    """Pieces (OUTLINE_SCHEMA) of about `size` movements; one family is never divided, however large.

    With `matches`, families that pay the same documents are one.
    """
    if outline.height <= size:
        yield from [outline] if outline.height else []
        return
    if matches is not None:
        outline = outline.join(_joined(matches), on="family", how="left").with_columns(
            together=pl.coalesce("together", "family")
        )
    else:
        outline = outline.with_columns(together="family")
    ordered = outline.sort("together", "movement_id")
    sizes = ordered.group_by("together", maintain_order=True).len()
    sizes = sizes.with_columns(piece=(pl.col("len").cum_sum() - pl.col("len")) // size).select("together", "piece")
    pieces = ordered.join(sizes, on="together", maintain_order="left")
    yield from pieces.drop("together").partition_by("piece", maintain_order=True, include_key=False)


def _joined(matches: MatchResult) -> pl.DataFrame:
    """`family, together` of the charges that take from a document another one takes from too."""
    answers = cast("Verdicts", matches.verdicts).answers
    paid = (
        answers.filter("accepted", pl.col("role") == "pays_invoice")
        .select(family="processor_id", document="ledger_ids")
        .explode("document")
        .filter(pl.col("document").is_duplicated())
        .with_columns(left=pl.col("family").rank("dense"), right=pl.col("document").rank("dense"))
    )
    groups = components([(left, right, 0) for left, right in paid.select("left", "right").iter_rows()])
    rows = [(left, number) for number, group in enumerate(groups) for left in {edge[0] for edge in group}]
    numbered = pl.DataFrame(rows, schema={"left": paid.schema["left"], "group": pl.UInt32}, orient="row")
    return (
        paid.select("family", "left")
        .unique()
        .join(numbered, on="left")
        .select("family", together=pl.col("family").min().over("group"))
    )


def part_of(matches: MatchResult, ids: Iterable[str]) -> MatchResult:
    """What was found for some items."""
    whole, wanted = cast("Verdicts", matches.verdicts), pl.Series(sorted(set(ids)), dtype=pl.String)
    if whole.ids.is_in(wanted.implode()).all():
        return matches
    mine = pl.col("processor_id").is_in(wanted.implode())
    answers = whole.answers.filter(mine)
    discrepancies = matches.discrepancies.filter(mine.fill_null(False))
    return MatchResult(
        matches=matches_of(answers),
        allocations=allocations_of(answers),
        discrepancies=discrepancies,
        evidence_of=lambda _: matches.evidence_of(wanted),
        rule_version=matches.rule_version,
        model_version=matches.model_version,
        digests_of=matches.digests_of,
        verdicts=Verdicts(
            ids=whole.ids.filter(whole.ids.is_in(wanted.implode())),
            answers=answers,
            problems=discrepancies,
            notes=whole.notes,
            customers_of=lambda: whole.customers,
        ),
    )


def documents_of(matches: MatchResult) -> set[str]:
    """The documents of all answers."""
    return set(cast("Verdicts", matches.verdicts).answers["ledger_ids"].explode().drop_nulls())
