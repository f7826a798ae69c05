"""Charges that pay several invoices, and invoices paid by several charges, of one customer: only unique sums."""

from collections import defaultdict
from dataclasses import dataclass
from math import gcd

import polars as pl

from reconcile import blocking
from reconcile.discrepancy import Code
from reconcile.groupwise import alone_ppm
from reconcile.model import PPM, milli_bits
from reconcile.sums import ITEMS_MAX, choices, only_subset
from reconcile.tiers.candidates import open_invoices
from reconcile.tiers.state import Answer, Found, Row, Sides, grouped

DAYS_MAX = 60
READ = ("item_minor", "left_minor", "day", "date", "known_weight", "name_weight", "email_weight")
# Odds (milli-bits) that a charge nothing else explains pays several invoices, before any look.
PRIOR, NAMED, OLDEST_FIRST, WHOLE = -2_000, 10_000, 2_000, 3_000


@dataclass(frozen=True, slots=True)
class _Sum:
    """The only pairs that come to one amount: one charge with several invoices, or one invoice with several charges."""

    rows: list[Row]
    tier: str
    clue: str
    weight: int


def match_sums(sides: Sides, found: Found, candidates: pl.Series) -> None:
    """Charges that nothing else explains; `candidates` are the ids of those that fit an invoice by amount.

    A unique sum needs a second clue: the charge names one of the invoices, they are the oldest ones, or all there are.
    """
    sums = _sums(sides, found, candidates)
    wanted: dict[str, int] = defaultdict(int)
    for each in sums:
        for record_id in _records(each):
            wanted[record_id] += 1
    for each in sums:
        _propose(sides, found, each, contested=any(wanted[record_id] > 1 for record_id in _records(each)))


def _records(each: _Sum) -> set[str]:
    return {row[side] for row in each.rows for side in ("processor_id", "ledger_id")}


def _sums(sides: Sides, found: Found, candidates: pl.Series) -> list[_Sum]:
    charges, left = _unexplained(sides, found, candidates), open_invoices(sides, found)
    pairs = blocking.by_customer(charges, left, sides.known, DAYS_MAX, sides.rules)
    compared = sides.compare(sides.constraints.allow(pairs), sides.known).filter(
        pl.col("customer").is_in(["linked", "email"]) | (pl.col("name_level") == "equal")
    )
    compared = compared.join(left.select("left_minor", "document"), on="document")
    found.evidence.append(compared)
    named = set(sides.ids(sides.references).iter_rows())
    smaller = compared.filter(pl.col("left_minor") < pl.col("item_minor"))
    larger = compared.filter(pl.col("left_minor") > pl.col("item_minor"))
    sums = [_only_sum(rows, "sum", named) for _, rows in grouped(smaller, READ)]
    sums += [_only_sum(rows, "sum_of_charges", named) for _, rows in grouped(larger, READ, "ledger_id")]
    return [each for each in sums if each]


def _unexplained(sides: Sides, found: Found, candidates: pl.Series) -> pl.DataFrame:
    """Charges without an answer, or whose only answer is that they exceed the invoice they name."""
    exceeding = {each.processor_id for each in found.discrepancies if each.code == Code.OVERPAID}
    answered = {each.processor_id for each in found.answers if each.role == "pays_invoice"} - exceeding
    gone = answered | found.recorded | set(candidates) | sides.constraints.unmatched_items
    rest = sides.of_kind("charge").filter(~pl.col("id").is_in(sorted(gone)))
    return rest.join(sides.links, on="item", how="anti")


def _only_sum(rows: list[Row], tier: str, named: set[tuple[str, str]]) -> _Sum | None:
    """The only sum of the rows' many side that equals the one side, if a second clue speaks for it."""
    if not 2 <= len(rows) <= ITEMS_MAX:
        return None
    one, many, day = ("item_minor", "left_minor", "date") if tier == "sum" else ("left_minor", "item_minor", "day")
    rows = sorted(rows, key=lambda row: (row[day], row["processor_id"], row["ledger_id"]))
    amounts = [row[many] for row in rows]
    chosen = only_subset(rows[0][one], amounts)
    if chosen is None:
        return None
    parts = [rows[place] for place in chosen]
    clue, bonus = _clue(parts, rows, chosen, named)
    if not clue:
        return None
    # How many sums would be as large by chance: amounts are multiples of their common step.
    chance = milli_bits(sum(amounts), gcd(*amounts) * choices(len(rows)))
    told = min(sum(row[f"{name}_weight"] for name in ("known", "name", "email")) for row in parts)
    return _Sum(parts, tier, clue, PRIOR + chance + bonus + told // 2)


def _clue(parts: list[Row], rows: list[Row], chosen: tuple[int, ...], named: set[tuple[str, str]]) -> tuple[str, int]:
    if any((row["processor_id"], row["ledger_id"]) in named for row in parts):
        return "one is named", NAMED
    if len(parts) == len(rows):
        return "they are all that is open", WHOLE
    if chosen == tuple(range(len(chosen))):
        return "they are the oldest", OLDEST_FIRST
    return "", 0


def _propose(sides: Sides, found: Found, each: _Sum, *, contested: bool) -> None:
    """One answer a charge; they are taken together or not at all."""
    if each.tier == "sum":
        names = " and ".join(sides.document_name(row["ledger_id"]) for row in each.rows)
        reason = f"{names} of the same customer come to this charge exactly, as nothing else does, and {each.clue}."
    else:
        names = " and ".join(sides.item_name(row["processor_id"]) for row in each.rows)
        invoice = sides.document_name(each.rows[0]["ledger_id"])
        reason = f"{names} of the same customer come to {invoice} exactly, as nothing else does, and {each.clue}."
    amount = "left_minor" if each.tier == "sum" else "item_minor"
    pairs: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for row in each.rows:
        pairs[row["processor_id"]].append((row["ledger_id"], row[amount]))
    ppm = alone_ppm(each.weight)
    accepted = (
        not contested
        and ppm >= sides.model.thresholds.get(each.tier, PPM)
        and not any(found.is_held(row["ledger_id"], row["processor_id"]) for row in each.rows)
        and not found.waiting.intersection(pairs)
    )
    for processor_id, parts in sorted(pairs.items()):
        answer = Answer(processor_id, each.tier, "pays_invoice", parts, reason, accepted, each.weight, ppm)
        if accepted:
            found.accept(answer)
            found.explained.add(processor_id)
        else:
            found.answers.append(answer)
