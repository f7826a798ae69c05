"""Invoices that Stripe says a charge paid."""

from collections import defaultdict
from collections.abc import Mapping

import polars as pl

from reconcile import score
from reconcile.discrepancy import INFORMATIVE, Code, Discrepancy, listed, money
from reconcile.tiers.state import Answer, Found, Row, Sides, grouped, problem

READ = ("linked_minor", "item_currency", "item_minor", "doc_currency", "open_minor", "comparable")


def match_linked(sides: Sides, found: Found) -> None:
    """Explicit links, as long as what they ask of an invoice together is open."""
    if sides.links.is_empty():
        return
    used = pl.col("ledger_id").replace_strict(dict(found.used), default=0, return_dtype=pl.Int64)
    compared = found.unrecorded(sides.named["links"]).with_columns(
        identity_level=pl.lit("linked"),
        identity_weight=score.LINK,
        open_minor=pl.col("open_minor") - (used if found.used else 0),
    )
    found.evidence.append(compared)
    groups = grouped(compared, READ)
    wants = {processor_id: _wanted(rows) for processor_id, rows in groups}
    asked: dict[str, dict[str, int]] = defaultdict(dict)
    for processor_id, parts in wants.items():
        for ledger_id, amount in parts.items():
            asked[ledger_id][processor_id] = amount
    for processor_id, rows in groups:
        problems = _link_problems(processor_id, rows, asked)
        is_open = [
            row for row in rows if row.open_minor > 0 and row.comparable and row.doc_currency == row.item_currency
        ]
        shares = [(row.ledger_id, min(wants[processor_id][row.ledger_id], row.open_minor)) for row in is_open]
        open_pairs = [(ledger_id, amount) for ledger_id, amount in shares if amount > 0]
        found.discrepancies += problems
        names = listed([row.doc_label for row in is_open])
        reason = f"Stripe says this charge paid {names}."
        blocking_codes = {problem.code for problem in problems} - INFORMATIVE - {Code.OVERPAID}
        accepted = not blocking_codes and len(open_pairs) == len(rows)
        if not open_pairs:
            continue
        answer = Answer(processor_id, "linked", "pays_invoice", open_pairs, reason, accepted, score.LINK)
        if accepted:
            found.accept(answer, rows[0].item_minor)
        else:
            found.hold(answer)


def _wanted(rows: list[Row]) -> dict[str, int]:
    """How much of a charge goes to each linked invoice: what Stripe says, else what is left, oldest id first."""
    wanted = {row.ledger_id: row.linked_minor for row in rows if row.linked_minor is not None}
    left = rows[0].item_minor - sum(wanted.values())
    silent = [row for row in rows if row.linked_minor is None]
    for row in silent[:-1]:
        wanted[row.ledger_id] = max(0, min(left, row.open_minor))
        left -= wanted[row.ledger_id]
    return wanted | {row.ledger_id: max(0, left) for row in silent[-1:]}


def _link_problems(processor_id: str, rows: list[Row], asked: Mapping[str, Mapping[str, int]]) -> list[Discrepancy]:
    whole, currency = rows[0].item_minor, rows[0].item_currency
    fixed = sum(row.linked_minor or 0 for row in rows)
    problems = []
    if fixed > whole:
        text = f"Stripe says this charge paid {money(fixed, currency)}, more than the charge itself."
        problems.append(problem(processor_id, rows[0].ledger_id, Code.AMOUNT_DIFF, text))
    silent = [row for row in rows if row.linked_minor is None]
    if len(silent) > 1 and sum(row.open_minor for row in silent) != whole - fixed:
        text = f"Charge {processor_id} is linked to several invoices without saying how much paid each."
        problems.append(problem(processor_id, silent[0].ledger_id, Code.SPLIT_AMBIGUOUS, text))
    for row in rows:
        problems += _open_problem(row, asked[row.ledger_id])
    return problems


def _open_problem(row: Row, asked: Mapping[str, int]) -> list[Discrepancy]:
    """What is wrong between one charge and one invoice it is linked to."""
    invoice, is_open = row.doc_label, row.open_minor
    pair = (row.processor_id, row.ledger_id)
    currency, want = row.doc_currency, asked[row.processor_id]
    if currency != row.item_currency:
        text = f"The charge is {money(row.item_minor, row.item_currency)}, {invoice} {money(is_open, currency)}."
        return [problem(*pair, Code.CURRENCY_DIFF, text)]
    if is_open <= 0:
        return [problem(*pair, Code.OVERPAID, f"{invoice}, which this charge paid, has nothing open in the books.")]
    if want <= 0:
        text = f"Stripe links this charge to {invoice} too, but other invoices take all of it."
        return [problem(*pair, Code.SPLIT_AMBIGUOUS, text)]
    if len(asked) > 1 and sum(asked.values()) > is_open:
        others = [f"Charge {each}" for each in sorted(asked) if each != row.processor_id]
        text = f"{listed(others)} also paid {invoice}; together they exceed the {money(is_open, currency)} open on it."
        is_twin = any(amount == want for each, amount in asked.items() if each != row.processor_id)
        code = Code.DUPLICATE_CHARGE if is_twin else Code.AMOUNT_DIFF
        return [problem(*pair, code, text)]
    if want > is_open:
        over = money(want - is_open, currency)
        return [problem(*pair, Code.OVERPAID, f"The charge is {over} more than what is open on {invoice}.")]
    if want < is_open and sum(asked.values()) < is_open:
        left = money(is_open - sum(asked.values()), currency)
        return [problem(*pair, Code.PARTIAL, f"The charge pays part of {invoice}; {left} stays open.")]
    return []
