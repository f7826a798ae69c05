"""What people decided, as constraints the matcher obeys before it looks at anything else."""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from enum import StrEnum

import polars as pl

from reconcile.frames import FrameError

DECISIONS_SCHEMA = pl.Schema(
    {"kind": pl.String(), "processor_id": pl.String(), "ledger_id": pl.String(), "amount_minor": pl.Int64()}
)
PAIR_SCHEMA = pl.Schema({"processor_id": pl.String(), "ledger_id": pl.String()})
ROWS_SCHEMA = pl.Schema({"item": pl.UInt32(), "document": pl.UInt32()})


class Choice(StrEnum):
    """What a person can say.

    MUST_LINK: these two belong together (`amount_minor` says how much of it, null: as much as fits).
    CANNOT_LINK: these two do not; un-matching leaves one.
    ACCEPTED_UNMATCHED: nothing on the other side belongs to this item, or to this document.
    IGNORE: this item, or this document, takes no part.
    A document that carries our own marker keeps recording its item whatever is said about it: only voiding it helps.
    """

    MUST_LINK = "MUST_LINK"
    CANNOT_LINK = "CANNOT_LINK"
    ACCEPTED_UNMATCHED = "ACCEPTED_UNMATCHED"
    IGNORE = "IGNORE"


@dataclass(frozen=True, slots=True)
class Constraints:
    """Decisions by what they do. `must` gives (ledger id, minor units or None) by item."""

    must: dict[str, list[tuple[str, int | None]]] = field(default_factory=dict)
    cannot: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=PAIR_SCHEMA))
    unmatched_items: frozenset[str] = frozenset()
    ignored_items: frozenset[str] = frozenset()
    idle_documents: frozenset[str] = frozenset()
    barred: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=ROWS_SCHEMA))  # `cannot`, as row numbers
    settled: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=ROWS_SCHEMA).select("item"))  # unmatched

    @classmethod
    def of(cls, decisions: pl.DataFrame | pl.LazyFrame | None) -> "Constraints":
        """From DECISIONS_SCHEMA, in any order; FrameError for a kind nobody knows or a pair without both ids."""
        if decisions is None:
            return cls()
        frame = (decisions.collect() if isinstance(decisions, pl.LazyFrame) else decisions).cast(
            dict(DECISIONS_SCHEMA.items())
        )
        unknown = set(frame["kind"]) - set(Choice)
        if unknown:
            raise FrameError(f"No decision is called {', '.join(sorted(map(str, unknown)))}.")
        paired = frame.filter(pl.col("kind").is_in([Choice.MUST_LINK, Choice.CANNOT_LINK]))
        if paired.select("processor_id", "ledger_id").null_count().sum_horizontal().item():
            raise FrameError("A decision about a pair lacks one of its ids.")
        cannot = paired.filter(pl.col("kind") == Choice.CANNOT_LINK).select(PAIR_SCHEMA.names()).unique().sort(pl.all())
        return cls(
            must=_must(paired.filter(pl.col("kind") == Choice.MUST_LINK).join(cannot, PAIR_SCHEMA.names(), how="anti")),
            cannot=cannot,
            unmatched_items=_ids(frame, Choice.ACCEPTED_UNMATCHED, "processor_id"),
            ignored_items=_ids(frame, Choice.IGNORE, "processor_id"),
            idle_documents=_ids(frame, Choice.ACCEPTED_UNMATCHED, "ledger_id")
            | _ids(frame, Choice.IGNORE, "ledger_id"),
        )

    def numbered(self, processor: pl.DataFrame, ledger: pl.DataFrame) -> "Constraints":
        """These constraints for `allow`: with the row numbers (`item`, `document`) of these frames."""
        if self.cannot.is_empty() and not self.unmatched_items:
            return self
        items, documents = processor.select("item", processor_id="id"), ledger.select("document", ledger_id="id")
        barred = self.cannot.join(items, on="processor_id").join(documents, on="ledger_id")
        settled = items.filter(pl.col("processor_id").is_in(sorted(self.unmatched_items)))
        return replace(self, barred=barred.select(ROWS_SCHEMA.names()), settled=settled.select("item"))

    def allow(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """The pairs nobody has ruled out. Ids (pairs with `marked`) outlive "nothing belongs to it"; our marks, all."""
        is_identity = "marked" in pairs.columns
        if self.settled.height and not is_identity:
            pairs = pairs.join(self.settled, on="item", how="anti")
        if self.barred.is_empty():
            return pairs
        allowed = pairs.join(self.barred, on=ROWS_SCHEMA.names(), how="anti")
        if not is_identity:
            return allowed
        return pl.concat([allowed, pairs.filter("marked").join(self.barred, on=ROWS_SCHEMA.names(), how="semi")])


def _must(frame: pl.DataFrame) -> dict[str, list[tuple[str, int | None]]]:
    must: dict[str, list[tuple[str, int | None]]] = defaultdict(list)
    rows = frame.group_by("processor_id", "ledger_id").agg(pl.col("amount_minor").max()).sort(pl.all())
    for processor_id, ledger_id, amount in rows.iter_rows():
        must[processor_id].append((ledger_id, amount))
    return dict(must)


def _ids(frame: pl.DataFrame, choice: Choice, column: str) -> frozenset[str]:
    return frozenset(frame.filter(pl.col("kind") == choice)[column].drop_nulls())
