"""A new model from a company's own books, offline: nothing here changes how anything is matched until it is adopted.

u, how often random pairs agree, comes from random pairs: charges and invoices in the order of their ids' SHA-256, one
with the next. m, how often pairs agree that belong together, comes from the candidates by expectation maximisation with
u held fixed; left free, the two would swap their meaning.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

import polars as pl

from reconcile import blocking, score
from reconcile.frames import LEDGER_SCHEMA, PROCESSOR_SCHEMA, canonical
from reconcile.model import LEVELS, PPM, Model, Rates
from reconcile.rules import Rules

FITTED = ("name", "email", "date")
SAMPLE, ROUNDS = 50_000, 40
LEAST_PPM = 500  # no level is impossible, however few pairs showed it
NOBODY = pl.DataFrame(schema={"item": pl.UInt32, "customer_key": pl.String})

Pattern = tuple[str | None, ...]
Shares = Mapping[str, Mapping[str, int]]


def fit(processor: pl.DataFrame, ledger: pl.DataFrame, rules: Rules | None = None, base: Model | None = None) -> Model:
    """The model of these frames, with the gate of `base` and nothing certified.

    Raises ModelError if what comes out cannot be right.
    """
    rules, base = rules or Rules(), base or Model()
    charges = (
        canonical(processor, PROCESSOR_SCHEMA, "processor").filter(pl.col("kind") == "charge").with_row_index("item")
    )
    # As they were before anything was paid: books of the past teach as well as what is open.
    ledger = canonical(ledger, LEDGER_SCHEMA, "ledger").filter(
        (pl.col("kind") == "invoice"), pl.col("amount_minor") > 0
    )
    invoices = ledger.with_row_index("document")
    found, _ = blocking.by_open_amount(charges, invoices.with_columns(left_minor="amount_minor"), NOBODY, rules)
    random, candidates = (
        _patterns(score.compare(pairs, charges, invoices, NOBODY, rules, base))
        for pairs in (_random_pairs(charges, invoices), found)
    )
    u = {name: _shares(_counts(random, place), name) for place, name in enumerate(FITTED)}
    m = _maximise(candidates, u, base.rates)
    rates = {name: {level: (m[name][level], u[name][level]) for level in LEVELS[name]} for name in FITTED}
    return replace(base, rates={**base.rates, **rates}, thresholds={})


def _random_pairs(charges: pl.DataFrame, invoices: pl.DataFrame) -> pl.DataFrame:
    """Charges and invoices of one company in the order of their digests, the first with the first and so on."""
    sides = []
    for frame, name in ((charges, "item"), (invoices, "document")):
        order = pl.Series([sha256(each.encode()).hexdigest() for each in frame["id"]], dtype=pl.String)
        shuffled = frame.select("company", name, order=order).sort("order").head(SAMPLE)
        sides.append(shuffled.with_columns(place=pl.int_range(pl.len()).over("company")).drop("order"))
    return sides[0].join(sides[1], on=["company", "place"]).select("item", "document")


def _patterns(compared: pl.DataFrame) -> Counter[Pattern]:
    """How often each combination of levels occurs; None is a missing value."""
    counted = compared.group_by([f"{name}_level" for name in FITTED]).len().sort(pl.all())
    return Counter({row[:-1]: row[-1] for row in counted.iter_rows()})


def _counts(patterns: Mapping[Pattern, float], place: int) -> dict[str, float]:
    totals: dict[str, float] = {}
    for pattern, count in patterns.items():
        level = pattern[place]
        if level is not None:
            totals[level] = totals.get(level, 0) + count
    return totals


def _shares(counts: Mapping[str, float], name: str) -> dict[str, int]:
    """Per million, each level as if it had been seen once more."""
    total = sum(counts.values()) + len(LEVELS[name])
    return {level: max(LEAST_PPM, round(PPM * (counts.get(level, 0) + 1) / total)) for level in LEVELS[name]}


def _maximise(candidates: Mapping[Pattern, int], u: Shares, start: Rates) -> Shares:
    """m by expectation maximisation: how likely each pattern belongs together, and what those patterns show."""
    m: Shares = {name: {level: start[name][level][0] for level in LEVELS[name]} for name in FITTED}
    share, total = 0.5, sum(candidates.values())
    for _ in range(ROUNDS if total else 0):
        belongs: dict[Pattern, float] = {}
        for pattern, count in sorted(candidates.items(), key=lambda each: tuple(map(str, each[0]))):
            odds = share / (1 - share)
            for name, level in zip(FITTED, pattern, strict=True):
                odds *= m[name][level] / u[name][level] if level is not None else 1.0
            belongs[pattern] = count * odds / (1 + odds)
        share = min(0.999, max(0.001, sum(belongs.values()) / total))
        m = {name: _shares(_counts(belongs, place), name) for place, name in enumerate(FITTED)}
    return m
