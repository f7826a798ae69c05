"""Matching block by block: a block is everything of one company, and no match ever crosses two of them.

`match_block` is pure; who runs it where is decided in `sync.blocks`. Blocks matched apart, anywhere, in any order, and
joined give what one run over everything gives. A block whose digest has not changed need not be matched again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import polars as pl

from reconcile.answers import Verdicts, allocations_of, matches_of
from reconcile.decisions import DECISIONS_SCHEMA
from reconcile.digest import block_digests
from reconcile.frames import LEDGER_SCHEMA, PROCESSOR_SCHEMA, canonical
from reconcile.matching import match
from reconcile.model import Model
from reconcile.result import MatchResult
from reconcile.rules import Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """All of one company that the matcher looks at: PROCESSOR_SCHEMA, LEDGER_SCHEMA, DECISIONS_SCHEMA."""

    company: str
    processor: pl.DataFrame
    ledger: pl.DataFrame
    decisions: pl.DataFrame
    aliases: pl.DataFrame | None = None
    rules: Rules = field(default_factory=Rules)
    model: Model = field(default_factory=Model)

    @property
    def rows(self) -> int:
        return self.processor.height + self.ledger.height


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """What matching a block gave, as plain data that another process can send back."""

    company: str
    ids: pl.Series
    answers: pl.DataFrame
    discrepancies: pl.DataFrame
    evidence: pl.DataFrame
    notes: Mapping[str, tuple[str, str]]
    customers: Mapping[str, str]
    digests: Mapping[tuple[str, str], str]
    rule_version: str
    model_version: str | None


def split(
    processor: pl.DataFrame,
    ledger: pl.DataFrame,
    decisions: pl.DataFrame | None = None,
    rules: Rules | None = None,
    model: Model | None = None,
) -> list[Block]:
    """The blocks of two frames, by company."""
    left, right = canonical(processor, PROCESSOR_SCHEMA, "processor"), canonical(ledger, LEDGER_SCHEMA, "ledger")
    said = pl.DataFrame(schema=DECISIONS_SCHEMA) if decisions is None else decisions
    sides = [frame.partition_by("company", as_dict=True) for frame in (left, right)]
    companies = sorted({key for side in sides for key in side})
    blocks = []
    for key in companies:
        items, documents = sides[0].get(key, left.clear()), sides[1].get(key, right.clear())
        ours = pl.col("processor_id").is_in(items["id"].implode()) | pl.col("ledger_id").is_in(
            documents["id"].implode()
        )
        blocks.append(
            Block(
                company=str(key[0]),
                processor=items,
                ledger=documents,
                decisions=said.filter(ours.fill_null(False)) if said.height else said,
                rules=rules or Rules(),
                model=model or Model(),
            )
        )
    return blocks


def changed(before: Mapping[tuple[str, str], str], after: Mapping[tuple[str, str], str]) -> set[str]:
    """The companies whose digests differ, or that are there only once."""
    keys = set(before) | set(after)
    return {company for company, currency in keys if before.get((company, currency)) != after.get((company, currency))}


def digests(block: Block) -> dict[tuple[str, str], str]:
    """SHA-256 of the rows of each currency; decisions, rules and models are not part of it."""
    return block_digests(block.processor, block.ledger)


def match_block(block: Block) -> Matched:
    """Matches one block."""
    result = match(block.processor, block.ledger, block.rules, block.decisions, block.model, block.aliases)
    verdicts = cast("Verdicts", result.verdicts)
    return Matched(
        company=block.company,
        ids=verdicts.ids,
        answers=verdicts.answers,
        discrepancies=result.discrepancies,
        evidence=result.evidence,
        notes=verdicts.notes,
        customers=verdicts.customers_of(),
        digests=result.block_digests,
        rule_version=result.rule_version,
        model_version=result.model_version,
    )


def joined(parts: Sequence[Matched]) -> MatchResult:
    """One result of all blocks, whatever the order they come in. There must be one block at least."""
    assert parts, "there is always a block"
    answers = pl.concat([part.answers for part in parts]).sort(
        "processor_id", "rank", "match_id"
    )  # row numbers are of each part
    order = [pl.col("processor_id").fill_null(""), pl.col("ledger_id").fill_null(""), "code", "text"]
    discrepancies = pl.concat([part.discrepancies for part in parts]).sort(order)
    evidence = pl.concat([part.evidence for part in parts]).sort("match_id", "processor_id", "ledger_id", "field")
    customers = {item: customer for part in parts for item, customer in part.customers.items()}
    return MatchResult(
        matches=matches_of(answers),
        allocations=allocations_of(answers),
        discrepancies=discrepancies,
        evidence_of=lambda ids: (
            evidence if ids is None else evidence.filter(pl.col("processor_id").is_in(ids.implode()))
        ),
        rule_version=parts[0].rule_version,
        model_version=parts[0].model_version,
        digests_of=lambda: {key: value for part in parts for key, value in sorted(part.digests.items())},
        verdicts=Verdicts(
            ids=pl.concat([part.ids for part in parts]).sort(),
            answers=answers,
            problems=discrepancies.filter(pl.col("processor_id").is_not_null()),
            notes={item: note for part in parts for item, note in part.notes.items()},
            customers_of=lambda: customers,
        ),
    )
