"""What matching gives back: frames for storage and screens, and one verdict an item for the planner."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import polars as pl

from reconcile.discrepancy import Discrepancy

Decision = Literal["auto", "proposed", "none"]
Role = Literal["", "already_recorded", "pays_invoice"]

MATCHES_SCHEMA = pl.Schema(
    {
        "match_id": pl.String(),
        "processor_ids": pl.List(pl.String()),
        "ledger_ids": pl.List(pl.String()),
        "currency": pl.String(),
        "amount_minor": pl.Int64(),
        "tier": pl.String(),
        "role": pl.String(),
        "decision": pl.String(),
        "rank": pl.Int64(),
        "probability": pl.Float64(),
        "reasons": pl.List(pl.String()),
    }
)
ALLOCATIONS_SCHEMA = pl.Schema(
    {
        "match_id": pl.String(),
        "processor_id": pl.String(),
        "ledger_id": pl.String(),
        "amount_minor": pl.Int64(),
        "role": pl.String(),
    }
)
DISCREPANCIES_SCHEMA = pl.Schema(
    {"processor_id": pl.String(), "ledger_id": pl.String(), "code": pl.String(), "text": pl.String()}
)
TOLD = ("ledger_id", "field", "level", "weight", "competitors")


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """How much of an item (minor units of the document's currency) belongs to one document."""

    ledger_id: str
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One possible answer. Equal ranks are equally good; 1 is the best. A probability is per million."""

    match_id: str
    tier: str
    role: Role
    rank: int
    allocations: tuple[Allocation, ...]
    reasons: tuple[str, ...]
    probability_ppm: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was decided of one item.

    `allocations` are those of the accepted match, none unless `decision` is "auto"; `match_id` is its id, else that of
    the best proposal. `proposals` are all answers, the best first, the accepted one among them. `code` is the
    discrepancy that matters most ("" if there is none), `text` the sentences for a person. `customer_id` is the
    customer in the books the item certainly belongs to, None if that is not certain.
    """

    processor_id: str
    decision: Decision = "none"
    role: Role = ""
    tier: str = ""
    match_id: str = ""
    allocations: tuple[Allocation, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    discrepancies: tuple[Discrepancy, ...] = ()
    code: str = ""
    text: str = ""
    customer_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class MatchResult:
    """Frames: `matches` (one row per answer), `allocations` (per pair), `discrepancies`, `evidence` (per field).

    Evidence and the digests of the blocks (see `reconcile.digest`) are made when they are asked for.
    """

    matches: pl.DataFrame
    allocations: pl.DataFrame
    discrepancies: pl.DataFrame
    rule_version: str
    model_version: str | None
    verdicts: Mapping[str, Verdict] = field(repr=False)
    evidence_of: Callable[[pl.Series | None], pl.DataFrame] = field(repr=False)  # of these items, or of all
    digests_of: Callable[[], Mapping[tuple[str, str], str]] = field(repr=False)

    @cached_property
    def evidence(self) -> pl.DataFrame:
        """EVIDENCE_SCHEMA (see `reconcile.score`): what every field of every pair of an answer told."""
        return self.evidence_of(None)

    @cached_property
    def told(self) -> Mapping[str, list[dict[str, Any]]]:
        """Of each match what every field told, without the records' own values: for storage."""
        by_match: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for match_id, *row in self.evidence.select("match_id", *TOLD).iter_rows():
            by_match[match_id].append(dict(zip(TOLD, row, strict=True)))
        return by_match

    @cached_property
    def block_digests(self) -> Mapping[tuple[str, str], str]:
        """SHA-256 of the rows of each (company, currency)."""
        return self.digests_of()

    def verdict(self, processor_id: str) -> Verdict:
        """What was decided of one item; an item nobody knows has no match and no discrepancy."""
        return self.verdicts.get(processor_id) or Verdict(processor_id=processor_id)
