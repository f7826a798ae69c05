"""Charges that pay several invoices, and invoices paid by several charges, of one customer: only unique sums."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import chain
from math import gcd

import polars as pl

from reconcile import blocking
from reconcile.discrepancy import Code
from reconcile.groupwise import alone_ppm
from reconcile.model import PPM, milli_bits
from reconcile.sums import ITEMS_MAX, choices, only_subset
from reconcile.tiers.candidates import open_invoices
from reconcile.tiers.state import PAIR, Answer, Found, Row, Sides, grouped, series

DAYS_MAX = 60
READ = ("one", "many", "told", "is_named", "item_minor")
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
    sums = [(each, _records(each)) for each in _sums(sides, found, candidates)]
    wanted = Counter(chain.from_iterable(records for _, records in sums))
    for each, records in sums:
        _propose(sides, found, each, contested=any(wanted[record_id] > 1 for record_id in records))


def _records(each: _Sum) -> set[str]:
    return {row.processor_id for row in each.rows} | {row.ledger_id for row in each.rows}


def _sums(sides: Sides, found: Found, candidates: pl.Series) -> list[_Sum]:
    charges = _unexplained(sides, found, candidates)
    if charges.is_empty():
        return []
    left = open_invoices(sides, found)
    pairs = blocking.by_customer(charges, left, sides.known, DAYS_MAX, sides.rules, sides.names)
    compared = sides.compare(sides.constraints.allow(pairs), sides.known).filter(
        pl.col("customer").is_in(["linked", "email"]) | (pl.col("name_level") == "equal")
    )
    compared = compared.join(left.select("left_minor", "document"), on="document")
    found.evidence.append(compared)
    named = sides.references.select(*PAIR, is_named=pl.lit(True))
    pairs = compared.join(named, on=PAIR, how="left").with_columns(
        pl.col("is_named").fill_null(False),
        told=pl.sum_horizontal("known_weight", "name_weight", "email_weight"),
    )
    smaller = pairs.filter(pl.col("left_minor") < pl.col("item_minor"))
    larger = pairs.filter(pl.col("left_minor") > pl.col("item_minor"))
    smaller = smaller.with_columns(one="item_minor", many="left_minor", dated="date")
    larger = larger.with_columns(one="left_minor", many="item_minor", dated="day")
    sums = [_only_sum(rows, "sum") for _, rows in _groups(smaller, "item", "processor_id")]
    sums += [_only_sum(rows, "sum_of_charges") for _, rows in _groups(larger, "document", "ledger_id")]
    return [each for each in sums if each]


def _unexplained(sides: Sides, found: Found, candidates: pl.Series) -> pl.DataFrame:
    """Charges without an answer, or whose only answer is that they exceed the invoice they name."""
    exceeding = {each.processor_id for each in found.discrepancies if each.code == Code.OVERPAID}
    gone = (found.answered() - exceeding) | found.recorded | sides.constraints.unmatched_items
    rest = sides.of_kind("charge").filter(~pl.col("id").is_in(series(gone)), ~pl.col("id").is_in(candidates.implode()))
    return rest.join(sides.links, on="item", how="anti")


def _groups(pairs: pl.DataFrame, side: str, side_id: str) -> list[tuple[str, list[Row]]]:
    """What may add up: `many` amounts, the oldest first, of each item or document (`side`, by `side_id`)."""
    several = pl.len().over(side).is_between(2, ITEMS_MAX) & (pl.col("many").sum().over(side) >= pl.col("one"))
    return grouped(pairs.filter(several).sort("dated", *PAIR), READ, side_id)


def _only_sum(rows: list[Row], tier: str) -> _Sum | None:
    """The only sum of the rows' many side that equals the one side, if a second clue speaks for it."""
    amounts = [row.many for row in rows]
    chosen = only_subset(rows[0].one, amounts)
    if chosen is None:
        return None
    parts = [rows[place] for place in chosen]
    clue, bonus = _clue(parts, rows, chosen)
    if not clue:
        return None
    # How many sums would be as large by chance: amounts are multiples of their common step.
    chance = milli_bits(sum(amounts), gcd(*amounts) * choices(len(rows)))
    return _Sum(parts, tier, clue, PRIOR + chance + bonus + min(row.told for row in parts) // 2)


def _clue(parts: list[Row], rows: list[Row], chosen: tuple[int, ...]) -> tuple[str, int]:
    if any(row.is_named for row in parts):
        return "one is named", NAMED
    if len(parts) == len(rows):
        return "they are all that is open", WHOLE
    if chosen == tuple(range(len(chosen))):
        return "they are the oldest", OLDEST_FIRST
    return "", 0


def _propose(sides: Sides, found: Found, each: _Sum, *, contested: bool) -> None:
    """One answer a charge; they are taken together or not at all."""
    if each.tier == "sum":
        names = " and ".join(row.doc_label for row in each.rows)
        reason = f"{names} of the same customer come to this charge exactly, as nothing else does, and {each.clue}."
    else:
        names = " and ".join(f"Charge {row.processor_id}" for row in each.rows)
        invoice = each.rows[0].doc_label
        reason = f"{names} of the same customer come to {invoice} exactly, as nothing else does, and {each.clue}."
    pairs: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for row in each.rows:
        pairs[row.processor_id].append((row.ledger_id, row.many))
    items = {row.processor_id: row.item_minor for row in each.rows}
    ppm = alone_ppm(each.weight)
    accepted = (
        not contested
        and ppm >= sides.model.thresholds.get(each.tier, PPM)
        and not any(found.is_held(row.ledger_id, row.processor_id) for row in each.rows)
        and not found.waiting.intersection(pairs)
    )
    for processor_id, parts in sorted(pairs.items()):
        answer = Answer(processor_id, each.tier, "pays_invoice", parts, reason, accepted, each.weight, ppm)
        if accepted:
            found.accept(answer, items[processor_id])
            found.explained.add(processor_id)
        else:
            found.answers.append(answer)
