"""The rules of a link that an accountant edits: how records are matched, and what is recorded otherwise, and when."""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from reconcile.labels import PostingRule
from reconcile.rules import Rules

# The longest windows, in days: what matching reads of the books reaches 60 days beyond what is open.
DAYS_MAX = {
    "invoice_days_before": 730,
    "invoice_days_after": 365,
    "record_days_before": 60,
    "record_days_after": 60,
    "payout_days_before": 60,
    "payout_days_after": 60,
    "fees_days": 60,
}
# Tiers that may take by themselves once they are certified.
TIERS = {
    "amount": "Equal amount, same customer",
    "reference_difference": "Number named, amount differs",
    "reference_parts": "Several numbers named, in parts",
    "reference_sum": "Several numbers named, equal sum",
    "sum": "Several invoices of a customer that sum up",
    "sum_of_charges": "Several payments that sum up to an invoice",
    "may_be_recorded": "Typed in by hand already",
}
NAMES_MAX, NAME_MAX, RULES_MAX = 20, 40, 200
PATTERN = re.compile(r"[A-Za-z0-9 ._/#-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleBook:
    """All rules; of `posting` the first that fits counts."""

    matching: Rules = field(default_factory=Rules)
    posting: tuple[PostingRule, ...] = ()


def wrong(book: RuleBook) -> Iterator[str]:
    """What cannot be, in sentences."""
    yield from _wrong_matching(book.matching)
    if len(book.posting) > RULES_MAX:
        yield f"There can be {RULES_MAX} posting rules at most."
    for number, rule in enumerate(book.posting, start=1):
        for text in _wrong_rule(rule):
            yield f"Rule {number} {text}"


def _wrong_matching(rules: Rules) -> Iterator[str]:
    days = asdict(rules)
    for name, most in DAYS_MAX.items():
        if not 0 <= days[name] <= most:
            yield f"{name.replace('_', ' ').capitalize()}: choose 0 to {most}."
    if not 50 <= rules.name_differs < rules.name_agrees <= 100:
        yield "Names agree from a higher score on than they differ below, both from 50 to 100."
    for names, what in ((rules.reference_fields, "metadata key"), (rules.reference_patterns, "pattern")):
        if len(names) > NAMES_MAX or any(not 0 < len(each) <= NAME_MAX for each in names):
            yield f"Name {NAMES_MAX} {what}s at most, of up to {NAME_MAX} characters each."
    for each in rules.reference_patterns:
        if "#" not in each or not PATTERN.fullmatch(each):
            yield f"“{each}” is no pattern of a number: write it like INV-#, where # stands for the digits."
    if set(rules.only_propose) - set(TIERS):
        yield "There is no such way of matching. Look at the page again."


def _wrong_rule(rule: PostingRule) -> Iterator[str]:
    conditions = (rule.currency, rule.metadata_key, rule.product, rule.text, rule.kind, rule.customer)
    amounts = (rule.least_minor, rule.most_minor)
    if not any(conditions) and not any(amounts):
        yield "has no condition. Say when it applies, or change the default instead."
    if not any((*asdict(rule.labels).values(), rule.account_id, rule.how)):
        yield "chooses nothing. Say what is to be recorded otherwise."
    if any(amounts) and not rule.currency:
        yield "compares amounts without a currency. Say in which currency they are."
    if rule.least_minor and rule.most_minor and rule.least_minor > rule.most_minor:
        yield "has a smallest amount that is above its largest. Exchange the two."
    if any(each is not None and each < 0 for each in amounts):
        yield "compares with an amount below 0. Amounts are without a sign."
    if rule.account_id and rule.kind != "fee":
        yield "chooses an account of fees, but is not about fees alone. Choose the kind Fees, or an item instead."
    if rule.how and rule.kind not in (None, "sale"):
        yield "says what becomes of payments without an invoice, but is about another kind. Choose the kind Sales."
