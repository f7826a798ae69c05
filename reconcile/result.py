"""What matching gives back: frames for storage and screens, and one verdict an item for the planner."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """How much of an item (minor units of the document's currency) belongs to one document."""

    ledger_id: str
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One possible answer. Equal ranks are equally good; 1 is the best."""

    match_id: str
    tier: str
    role: Role
    rank: int
    allocations: tuple[Allocation, ...]
    reasons: tuple[str, ...]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchResult:
    """Frames: `matches` (one row per answer), `allocations` (per pair), `discrepancies`, `evidence` (per field)."""

    matches: pl.DataFrame
    allocations: pl.DataFrame
    discrepancies: pl.DataFrame
    evidence: pl.DataFrame
    rule_version: str
    model_version: str | None
    block_digests: Mapping[tuple[str, str], str]
    verdicts: Mapping[str, Verdict] = field(repr=False)

    def verdict(self, processor_id: str) -> Verdict:
        """What was decided of one item; an item nobody knows has no match and no discrepancy."""
        return self.verdicts.get(processor_id) or Verdict(processor_id=processor_id)

    for_processor = verdict
