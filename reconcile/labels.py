"""By what item, class, location and payment method documents are recorded: the accountant's rules, the first that fits.

A rule's conditions must all hold; one that is None is no condition. What a rule leaves open is taken from the defaults.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Ids in the books. `item_id` is that of sales without an invoice, which decides their income account."""

    item_id: str | None = None
    class_id: str | None = None
    location_id: str | None = None
    payment_method_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRule:
    """What is recorded otherwise, and when.

    `currency` is what the customer paid in; `metadata_value` None means any value of `metadata_key`; `product` is the
    id of a Stripe product on the invoice paid; `text` is in the charge's description, whatever its case.
    """

    currency: str | None = None
    metadata_key: str | None = None
    metadata_value: str | None = None
    product: str | None = None
    text: str | None = None
    labels: Labels = field(default_factory=Labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFacts:
    """What rules look at: of a charge and of the Stripe invoice it pays."""

    currency: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    products: tuple[str, ...] = ()
    text: str = ""


def fits(rule: LabelRule, facts: PaymentFacts) -> bool:
    """A rule without any condition fits nothing: the defaults are for that."""
    conditions = [
        (rule.currency, rule.currency == facts.currency),
        (rule.metadata_key, rule.metadata_key in facts.metadata),
        (rule.metadata_value, facts.metadata.get(rule.metadata_key or "") == rule.metadata_value),
        (rule.product, rule.product in facts.products),
        (rule.text, (rule.text or "").casefold() in facts.text.casefold()),
    ]
    asked = [holds for wanted, holds in conditions if wanted]
    return bool(asked) and all(asked)


def choose(rules: Sequence[LabelRule], default: Labels, facts: PaymentFacts) -> tuple[Labels, int | None]:
    """The labels, and the place of the rule they come from; None if none fits."""
    names = [each.name for each in fields(Labels)]
    for place, rule in enumerate(rules):
        if fits(rule, facts):
            return Labels(**{name: getattr(rule.labels, name) or getattr(default, name) for name in names}), place
    return default, None
