"""The matcher: which document in the books belongs to which movement, decided only where nothing else is as good.

`match` is pure and takes canonical frames (see `reconcile.frames`); equal rows in any order give equal results. The
tiers (`reconcile.tiers`), strongest first:

- decided: what a person decided, while it can be carried out;
- recorded: a document in the books names the Stripe id, so the movement is already recorded;
- linked: Stripe says which invoices the charge paid;
- reference: the charge names one open invoice whose balance equals it;
- reference_difference, reference_sum, amount: proposed to a person; taken only from a certified probability on;
- may_be_recorded: a document typed in by hand looks like the movement. It turns every other answer into a proposal,
  so that nothing is recorded twice. If the tier is certified, the likeliest such document is taken as its record.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import polars as pl

from reconcile import answers, score
from reconcile.answers import Verdicts
from reconcile.blocking import SOURCE, reference_key, telling
from reconcile.decisions import Constraints
from reconcile.digest import block_digests
from reconcile.frames import LEDGER_SCHEMA, PROCESSOR_SCHEMA, canonical
from reconcile.model import Model
from reconcile.result import Allocation, MatchResult, Proposal, Verdict
from reconcile.rules import Rules
from reconcile.tiers.candidates import match_candidates
from reconcile.tiers.decided import match_decided
from reconcile.tiers.left import list_unmatched
from reconcile.tiers.linked import match_linked
from reconcile.tiers.plain import Plain, match_plain
from reconcile.tiers.recorded import match_recorded
from reconcile.tiers.referenced import match_named
from reconcile.tiers.state import Found, Sides
from reconcile.tiers.summed import match_sums
from reconcile.tiers.typed import match_typed

__all__ = ["Allocation", "MatchResult", "Proposal", "Verdict", "match"]

# What single tiers learn of a pair, beyond what every comparison tells.
LEARNT = pl.DataFrame(
    schema={
        "source": SOURCE,
        "name": pl.String(),
        **{f"{field}_level": pl.String() for field in ("identity", "reference", "text", "prior")},
        **{f"{field}_weight": pl.Int64() for field in ("identity", "reference", "text", "prior")},
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What all tiers found together; the `answers` are ranked."""

    sides: Sides
    plain: Plain
    found: Found
    answers: pl.DataFrame


def match(
    processor: pl.DataFrame | pl.LazyFrame,
    ledger: pl.DataFrame | pl.LazyFrame,
    rules: Rules | None = None,
    decisions: pl.DataFrame | pl.LazyFrame | None = None,
    model: Model | None = None,
    aliases: pl.DataFrame | None = None,
) -> MatchResult:
    """Matches PROCESSOR_SCHEMA against LEDGER_SCHEMA, bound by DECISIONS_SCHEMA. Ids must be unique in each frame.

    `aliases` (ALIASES_SCHEMA of `reconcile.tiers.customers`) are payers of whom people said which customer they are.
    Raises FrameError for frames that lack a required column or name an id twice.
    """
    with _uncollected():
        left, right = canonical(processor, PROCESSOR_SCHEMA, "processor"), canonical(ledger, LEDGER_SCHEMA, "ledger")
        rules, model = rules or Rules(), model or Model()
        certain = {tier: ppm for tier, ppm in model.thresholds.items() if tier not in rules.only_propose}
        return _match(
            (telling(left, rules), right), rules, model.certified(certain), Constraints.of(decisions), aliases
        )


def _match(
    inputs: tuple[pl.DataFrame, pl.DataFrame],
    rules: Rules,
    model: Model,
    constraints: Constraints,
    aliases: pl.DataFrame | None,
) -> MatchResult:
    processor, ledger = _taking_part(inputs[0], constraints), _not_idle(inputs[1], constraints)
    decided = _decide(Sides.of(processor, ledger, rules, model, constraints, aliases), inputs[0])
    return _result(decided, inputs, constraints)


def _decide(sides: Sides, processor: pl.DataFrame) -> Decided:
    """Every tier; `processor` are all items, also those that take no part."""
    plain = match_plain(sides)
    rest = sides.without(plain.taken("item"), plain.taken("document"))
    found = Found()
    candidates = _match_one_by_one(rest, found, processor)
    for answer in found.answers:
        answer.accepted &= answer.processor_id not in found.waiting or answer.tier == "recorded"
    names = answers.ANSWERS_SCHEMA.names()
    found_apart = (answers.from_python(rest, found.answers), *found.frames, candidates)
    several = pl.concat([frame.select(names) for frame in found_apart])
    ranked = answers.ranked(answers.from_plain(sides, plain).select(names), several)
    return Decided(sides=sides, plain=plain, found=found, answers=ranked)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without garbage collection: it would look through everything again and again, and there are no cycles here."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _taking_part(processor: pl.DataFrame, constraints: Constraints) -> pl.DataFrame:
    """The items that people did not take out."""
    if not constraints.ignored_items:
        return processor
    return processor.filter(~pl.col("id").is_in(sorted(constraints.ignored_items)))


def _not_idle(ledger: pl.DataFrame, constraints: Constraints) -> pl.DataFrame:
    """Without documents people took out; our own stay, for they keep recording their items."""
    if not constraints.idle_documents:
        return ledger
    return ledger.filter(~pl.col("id").is_in(sorted(constraints.idle_documents)) | pl.col("marker").is_not_null())


def _match_one_by_one(sides: Sides, found: Found, processor: pl.DataFrame) -> pl.DataFrame:
    """Every tier on what was not plain; gives the answers that come as a frame."""
    match_decided(sides, found)
    match_recorded(sides, found)
    match_typed(sides, found)
    match_linked(sides, found)
    match_named(sides, found)
    candidates = match_candidates(sides, found)
    match_sums(sides, found, candidates["processor_id"])
    list_unmatched(sides, found, candidates["processor_id"], processor)
    return candidates


def _result(decided: Decided, inputs: tuple[pl.DataFrame, pl.DataFrame], constraints: Constraints) -> MatchResult:
    ranked, sides = decided.answers, decided.sides
    allocations = answers.allocations_of(ranked)
    discrepancies = answers.discrepancies_of(decided.found).unique().sort(pl.all())
    return MatchResult(
        matches=answers.matches_of(ranked),
        allocations=allocations,
        discrepancies=discrepancies,
        evidence_of=lambda ids: _evidence(decided, allocations, ids),
        rule_version=sides.rules.version,
        model_version=sides.model.version,
        digests_of=lambda: block_digests(*inputs),
        verdicts=Verdicts(
            ids=inputs[0]["id"],
            answers=ranked,
            problems=discrepancies.filter(pl.col("processor_id").is_not_null()),
            notes=_notes(decided, constraints),
            customers_of=lambda: _certain_customers(sides),
        ),
    )


def _notes(decided: Decided, constraints: Constraints) -> dict[str, tuple[str, str]]:
    """Code and text of the items that people took out; those that ids brought back in are not among them."""
    nothing = "Somebody decided that nothing in the books belongs to this."
    notes = dict.fromkeys(constraints.ignored_items, ("IGNORED", "Somebody decided to ignore this."))
    return notes | dict.fromkeys(constraints.unmatched_items - decided.found.recorded, ("", nothing))


def _evidence(decided: Decided, allocations: pl.DataFrame, ids: pl.Series | None) -> pl.DataFrame:
    """EVIDENCE_SCHEMA of every pair that became part of an answer; of some items only, if they are named."""
    sides, plain = decided.sides, decided.plain
    pairs, others = plain.pairs, [plain.recorded, *decided.found.evidence]
    if ids is not None:
        mine = pl.col("processor_id").is_in(ids.implode())
        allocations = allocations.filter(mine)
        numbers = sides.whole[0].filter(pl.col("id").is_in(ids.implode()))["item"]
        pairs, others = pairs.filter(pl.col("item").is_in(numbers.implode())), [each.filter(mine) for each in others]
    named = sides.compare(pairs.select("item", "document", "source")).with_columns(
        reference_level=pl.lit("equal"), reference_weight=score.REFERENCE
    )
    compared = pl.concat([LEARNT, named, *others], how="diagonal_relaxed")
    compared = compared.with_columns(
        named_in=pl.when(pl.col("source") == "reference").then(pl.lit("reference")).otherwise(pl.lit("description")),
        key=pl.when(pl.col("reference_level").is_not_null()).then(reference_key(pl.col("doc_number"))),
        competitors=pl.len().over("processor_id").cast(pl.Int64) - 1,
    ).unique(["processor_id", "ledger_id"], keep="first", maintain_order=True)
    pairs_taken = allocations.select("match_id", "processor_id", "ledger_id")
    return score.evidence(compared.join(pairs_taken, on=["processor_id", "ledger_id"]))


def _certain_customers(sides: Sides) -> dict[str, str]:
    """The one customer in the books an item belongs to: by ids and links, else by an e-mail only one customer has."""
    email = score.email_key(pl.col("customer_email"))
    known = sides.customers.of_items(sides.whole[0])
    people = sides.whole[1].select("company", "customer_id", email=email).drop_nulls().unique()
    by_email = (
        sides.whole[0]
        .select("company", "item", email=email)
        .drop_nulls("email")
        .join(people, on=["company", "email"])
        .select("item", customer_key="customer_id")
    )
    rest = by_email.join(known, on="item", how="anti")
    one = pl.concat([known, rest]).unique().filter(pl.col("item").is_unique())
    return dict(zip(sides.whole[0]["id"].gather(one["item"]), one["customer_key"], strict=True))
