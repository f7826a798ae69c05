"""Invoices whose number a charge names."""

from collections import defaultdict
from collections.abc import Mapping

import polars as pl

from reconcile import score
from reconcile.discrepancy import Code, listed, money
from reconcile.groupwise import alone_ppm
from reconcile.model import PPM
from reconcile.tiers.state import Answer, Found, Row, Sides, grouped, label, points, series

READ = (
    *("source", "item_currency", "item_minor", "item_name", "doc_currency", "open_minor", "doc_name", "customer"),
    *("email_level", "amount_weight", "known_weight", "name_weight", "email_weight", "date_weight", "reference_weight"),
)
TOLD = ("known", "name", "email", "date")  # beside the number


def match_named(sides: Sides, found: Found) -> None:
    """References: taken if exactly one charge and one open invoice agree on number, amount and currency."""
    if sides.references.is_empty():
        return
    named = found.unrecorded(sides.named["references"]).with_columns(
        reference_level=pl.lit("equal"), reference_weight=score.REFERENCE
    )
    found.evidence.append(named)
    named = _judge_lone(sides, found, named)
    groups = [(processor_id, rows, _open_rows(rows, found)) for processor_id, rows in grouped(named, READ)]
    equal: dict[str, list[str]] = defaultdict(list)
    same = [[row for row in is_open if _left(row, found) == row.item_minor] for _, _, is_open in groups]
    for each in same:
        for row in each:
            equal[row.ledger_id].append(row.processor_id)
    rest = []
    for (processor_id, rows, is_open), fits in zip(groups, same, strict=True):
        if len(is_open) == 1 and fits:
            _judge_equal(found, fits[0], equal[fits[0].ledger_id])
        elif fits:
            _propose_same_number(found, processor_id, fits)
        else:
            rest.append((processor_id, rows))
    asked: dict[str, tuple[int, int]] = {}
    for _, rows in rest:
        for row in _open_rows(rows, found):
            so_far, _ = asked.get(row.ledger_id, (0, 0))
            asked[row.ledger_id] = (so_far + row.item_minor, _left(row, found))
    for processor_id, rows in rest:
        _judge_difference(sides, found, processor_id, rows, asked)


def _judge_lone(sides: Sides, found: Found, named: pl.DataFrame) -> pl.DataFrame:
    """Most differences, in whole columns: a charge and an open invoice that only name each other, of one customer.

    What is found is what `_judge_difference` would find; gives the other pairs.
    """
    touched = series({*found.used, *found.held})
    is_lone = named.select(
        ~pl.col("item").is_duplicated()
        & ~pl.col("document").is_duplicated()
        & (pl.col("doc_currency") == pl.col("item_currency"))
        & (pl.col("open_minor") > 0)
        & (pl.col("open_minor") != pl.col("item_minor"))
        & pl.col("customer").is_in(score.AGREES)
        & ~pl.col("ledger_id").is_in(touched)
    ).to_series()
    lone = named.filter(is_lone)
    if lone.is_empty():
        return named
    judged = _differing(lone, sides, found)
    found.frames.append(judged)
    taken = judged["accepted"]
    found.used.update(judged.filter(taken).select("ledger_id", "least_minor").iter_rows())
    for ledger_id, processor_id in judged.filter(~taken).select("ledger_id", "processor_id").iter_rows():
        found.held[ledger_id].add(processor_id)
    for item, document, is_part, text in judged.select("processor_id", "ledger_id", "is_part", "text").iter_rows():
        found.differs(item, document, Code.PARTIAL if is_part else Code.OVERPAID, text)
    return named.filter(~is_lone)


def _differing(lone: pl.DataFrame, sides: Sides, found: Found) -> pl.DataFrame:
    """The answers (see `reconcile.answers.ANSWERS_SCHEMA`), with what else there is to say."""
    told = sides.model.prior + lone.select(pl.sum_horizontal(f"{name}_weight" for name in TOLD)).to_series()
    gaps = map(money, lone["item_minor"] - lone["open_minor"], lone["doc_currency"])
    threshold = sides.model.thresholds.get("reference_difference", PPM)
    waits = pl.col("processor_id").is_in(series(found.waiting))
    reason = "{} is named in the {} and the customer agrees, but the amounts differ by {}."
    lone = lone.with_columns(
        probability_ppm=pl.Series(map(alone_ppm, told), dtype=pl.Int64),
        weight=told + score.REFERENCE,
        gap=pl.Series(gaps, dtype=pl.String),
        doc_label=label("doc_kind", "doc_number", "ledger_id"),
        least_minor=pl.min_horizontal("item_minor", "open_minor"),
        is_part=pl.col("item_minor") < pl.col("open_minor"),
    )
    more = pl.when("is_part").then(pl.lit("less")).otherwise(pl.lit("more"))
    return lone.select(
        *("item", "processor_id", "probability_ppm", "weight", "ledger_id", "least_minor", "is_part"),
        tier=pl.lit("reference_difference"),
        role=pl.lit("pays_invoice"),
        accepted=pl.col("is_part") & (pl.col("probability_ppm") >= threshold) & ~waits,
        reason=pl.format(reason, "doc_label", "source", "gap"),
        currency="doc_currency",
        ledger_ids=pl.concat_list("ledger_id"),
        amounts=pl.concat_list("least_minor"),
        text=pl.format("The charge is {} {} than what is open on {}.", "gap", more, "doc_label"),
    )


def _left(row: Row, found: Found) -> int:
    """What is still open on the invoice, in its minor units."""
    left: int = row.open_minor - found.used.get(row.ledger_id, 0)
    return left


def _open_rows(rows: list[Row], found: Found) -> list[Row]:
    """The pairs whose invoice has something left in the charge's currency."""
    used = found.used.get
    return [row for row in rows if row.doc_currency == row.item_currency and row.open_minor > used(row.ledger_id, 0)]


def _judge_equal(found: Found, row: Row, rivals: list[str]) -> None:
    processor_id, ledger_id = row.processor_id, row.ledger_id
    invoice = row.doc_label
    reason = f"{invoice} is named in the {row.source} and its open balance equals the charge."
    answer = Answer(
        processor_id, "reference", "pays_invoice", [(ledger_id, row.item_minor)], reason, True, score.REFERENCE
    )
    others = [f"Charge {each}" for each in rivals if each != processor_id]
    if others:
        text = f"{listed(others)} names {invoice} too and has the same amount; only one of them can have paid it."
        found.differs(processor_id, ledger_id, Code.DUPLICATE_CHARGE, text)
    elif _contradicts(row):
        text = f"{invoice} belongs to {row.doc_name}, but the charge was paid by {row.item_name}."
        found.differs(processor_id, ledger_id, Code.WRONG_REFERENCE, text)
    elif found.is_held(ledger_id):
        text = f"Other charges are linked to {invoice}; decide about them first."
        found.differs(processor_id, ledger_id, Code.SPLIT_AMBIGUOUS, text)
    else:
        found.accept(answer, row.item_minor)
        return
    answer.accepted = False
    found.answers.append(answer)


def _contradicts(row: Row) -> bool:
    """Both the names and the e-mail addresses are known and neither agrees."""
    return bool(row.customer == "differs" and row.email_level == "differs")


def _propose_same_number(found: Found, processor_id: str, same: list[Row]) -> None:
    """Several invoices could be meant: a person chooses."""
    for row in same:
        reason = f"{row.doc_label} is named in the {row.source} and its open balance equals the charge."
        pairs = [(row.ledger_id, row.item_minor)]
        found.hold(Answer(processor_id, "reference", "pays_invoice", pairs, reason, False, points(row)))
    names = [row.doc_label for row in same]
    if len(names) > 1:
        text = f"{listed(names)} fit this charge equally well by number and amount."
        found.differs(processor_id, same[0].ledger_id, Code.DUPLICATE_INVOICE, text)


def _judge_difference(
    sides: Sides, found: Found, processor_id: str, rows: list[Row], asked: Mapping[str, tuple[int, int]]
) -> None:
    """The charge names invoices, but the amounts differ: proposed if the customer agrees or the invoices add up."""
    is_open = _open_rows(rows, found)
    if not is_open:
        _explain_closed(found, rows)
    elif len(is_open) > 1:
        names = listed([row.doc_label for row in is_open])
        if sum(_left(row, found) for row in is_open) == is_open[0].item_minor:
            pairs = [(row.ledger_id, _left(row, found)) for row in is_open]
            reason = f"{names} are named in the {is_open[0].source} and together equal the charge."
            _propose(sides, found, is_open, Answer(processor_id, "reference_sum", "pays_invoice", pairs, reason, False))
        else:
            found.differs(
                processor_id,
                is_open[0].ledger_id,
                Code.SPLIT_AMBIGUOUS,
                f"The charge names {names}, but their open balances do not add up to it.",
            )
    elif is_open[0].customer in score.AGREES:
        _propose_difference(sides, found, is_open[0], asked[is_open[0].ledger_id])
    else:
        row = is_open[0]
        left = money(_left(row, found), row.doc_currency)
        text = f"The charge names {row.doc_label}, but {left} is open on it and the customer is not certainly the same."
        found.differs(processor_id, row.ledger_id, Code.WRONG_REFERENCE, text)


def _propose(sides: Sides, found: Found, rows: list[Row], answer: Answer, *, fits: bool = True) -> None:
    """A proposal of no more than is open; taken if the tier is certified for its probability."""
    told = min(row.known_weight + row.name_weight + row.email_weight + row.date_weight for row in rows)
    told += sides.model.prior
    answer.weight = score.REFERENCE + told
    answer.probability_ppm = alone_ppm(told)
    threshold = sides.model.thresholds.get(answer.tier, PPM)
    answer.accepted = (
        fits
        and answer.probability_ppm >= threshold
        and answer.processor_id not in found.waiting
        and all(row.customer in score.AGREES for row in rows)
        and not any(found.is_held(row.ledger_id, answer.processor_id) for row in rows)
    )
    if answer.accepted:
        found.accept(answer, rows[0].item_minor)
    else:
        found.hold(answer)


def _propose_difference(sides: Sides, found: Found, row: Row, asked: tuple[int, int]) -> None:
    """`asked`: what all charges that name the invoice come to, and what was open on it before any of them."""
    processor_id, ledger_id, left = row.processor_id, row.ledger_id, _left(row, found)
    invoice, gap = row.doc_label, money(row.item_minor - left, row.doc_currency)
    reason = f"{invoice} is named in the {row.source} and the customer agrees, but the amounts differ by {gap}."
    pairs = [(ledger_id, min(left, row.item_minor))]
    tier = "reference_parts" if asked[0] == asked[1] else "reference_difference"
    answer = Answer(processor_id, tier, "pays_invoice", pairs, reason, False)
    _propose(sides, found, [row], answer, fits=asked[0] <= asked[1])
    if row.item_minor < left:
        found.differs(
            processor_id, ledger_id, Code.PARTIAL, f"The charge is {gap} less than what is open on {invoice}."
        )
    else:
        found.differs(
            processor_id, ledger_id, Code.OVERPAID, f"The charge is {gap} more than what is open on {invoice}."
        )


def _explain_closed(found: Found, rows: list[Row]) -> None:
    """Why the invoice a charge names cannot take it: another currency, paid, or taken by another charge."""
    row = rows[0]
    invoice, users = row.doc_label, found.users.get(row.ledger_id, [])
    if row.doc_currency != row.item_currency:
        values = money(row.item_minor, row.item_currency), money(row.open_minor, row.doc_currency)
        code, text = Code.CURRENCY_DIFF, f"The charge is {values[0]}, {invoice} {values[1]}."
    elif users:
        payers = listed([f"Charge {each}" for each, _ in users])
        text = f"{invoice}, which this charge names, is already paid by {payers}."
        twin = any(minor == row.item_minor for _, minor in users)
        code = Code.DUPLICATE_CHARGE if twin else Code.OVERPAID
    else:
        code, text = Code.OVERPAID, f"{invoice}, which this charge names, is already paid in the books."
    found.differs(row.processor_id, row.ledger_id, code, text)
