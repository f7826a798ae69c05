"""By what item, class, location and payment method documents are recorded: the accountant's rules, the first that fits.

A rule's conditions must all hold; one that is None is no condition. What a rule leaves open is taken from the defaults.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Literal

WithoutInvoice = Literal["wait", "sales_receipt", "unapplied_payment"]
# What a document is for; what is none of these takes only rules that name no kind.
RuleKind = Literal["payment", "sale", "refund", "fee", "dispute"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Ids in the books. `item_id` is that of sales without an invoice, which decides their income account."""

    item_id: str | None = None
    class_id: str | None = None
    location_id: str | None = None
    payment_method_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PostingRule:
    """What is recorded otherwise, and when.

    `currency` is what the customer paid in; `metadata_value` None means any value of `metadata_key`; `product` is the
    id of a Stripe product on the invoice paid; `text` is in the charge's description, `customer` in the name or address
    of who paid, whatever their case; `least_minor` and `most_minor` are of what was paid, both included.

    `account_id` takes Stripe's fees instead of the accounts chosen for them; `how` is what becomes of a payment without
    an invoice.
    """

    currency: str | None = None
    metadata_key: str | None = None
    metadata_value: str | None = None
    product: str | None = None
    text: str | None = None
    kind: RuleKind | None = None
    customer: str | None = None
    least_minor: int | None = None
    most_minor: int | None = None
    labels: Labels = field(default_factory=Labels)
    account_id: str | None = None
    how: WithoutInvoice | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFacts:
    """What rules look at: of a charge and of the Stripe invoice it pays."""

    currency: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    products: tuple[str, ...] = ()
    text: str = ""
    kind: RuleKind | None = None
    customer: str = ""
    amount_minor: int = 0
    is_bill: bool = False  # Stripe's own, of no payment: only rules of fees are about it


def fits(rule: PostingRule, facts: PaymentFacts) -> bool:
    """A rule without any condition fits nothing: the defaults are for that."""
    conditions = [
        (rule.currency, rule.currency == facts.currency),
        (rule.metadata_key, rule.metadata_key in facts.metadata),
        (rule.metadata_value, facts.metadata.get(rule.metadata_key or "") == rule.metadata_value),
        (rule.product, rule.product in facts.products),
        (rule.text, (rule.text or "").casefold() in facts.text.casefold()),
        (rule.kind, rule.kind == facts.kind),
        (rule.customer, (rule.customer or "").casefold() in facts.customer.casefold()),
        (rule.least_minor, facts.amount_minor >= (rule.least_minor or 0)),
        (rule.most_minor, facts.amount_minor <= (rule.most_minor or 0)),
    ]
    asked = [holds for wanted, holds in conditions if wanted]
    return bool(asked) and all(asked) and (rule.kind == "fee" or not facts.is_bill)


def first(rules: Sequence[PostingRule], facts: PaymentFacts) -> tuple[int, PostingRule] | None:
    """The rule that counts, and its place."""
    return next(((place, rule) for place, rule in enumerate(rules) if fits(rule, facts)), None)


def choose(rules: Sequence[PostingRule], default: Labels, facts: PaymentFacts) -> tuple[Labels, int | None]:
    """The labels, and the place of the rule they come from; None if none fits."""
    found = first(rules, facts)
    if found is None:
        return default, None
    place, rule = found
    names = [each.name for each in fields(Labels)]
    return Labels(**{name: getattr(rule.labels, name) or getattr(default, name) for name in names}), place
