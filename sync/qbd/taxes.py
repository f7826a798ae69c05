"""Sales tax in QuickBooks Desktop, which works it out by itself: lines are sent so that it comes to what is posted.

Where a company charges sales tax, a line without a tax code is taxed or not by its item; so each line says which.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from reconcile.money import exponent
from reconcile.postings import Posting, PostingLine
from sync.qbd.markup import local
from sync.qbd.qbxml import value

DECIMALS = 2  # of the amounts on which QuickBooks works a tax out
Lines = list[tuple[PostingLine, bool]]  # each with whether it is taxed


@dataclass(frozen=True, slots=True, kw_only=True)
class SalesTax:
    """Of a company that charges it: the ListIDs of its two default codes; the percent of each of its tax items, as far
    as QuickBooks tells it (of a group it does not).
    """

    taxable_id: str
    untaxed_id: str
    percents: Mapping[str, str]


def of_company(preferences: Any | None, percents: Mapping[str, str]) -> SalesTax | None:
    """From PreferencesRet, which names the codes only where sales tax is switched on."""
    if preferences is None:
        return None
    names = ("DefaultTaxableSalesTaxCodeRef", "DefaultNonTaxableSalesTaxCodeRef")
    taxable, untaxed = (value(preferences, "SalesTaxPreferences", name, "ListID") for name in names)
    return SalesTax(taxable_id=taxable, untaxed_id=untaxed, percents=percents) if taxable and untaxed else None


def percents_among(items: Iterable[Any]) -> dict[str, str]:
    """By ListID, of the tax items among what the list of items holds."""
    found = {}
    for each in items:
        list_id, percent = value(each, "ListID"), value(each, "TaxRate")
        if local(each) == "ItemSalesTaxRet" and list_id and percent:
            found[list_id] = percent
    return found


def lines_of(posting: Posting, percent: str | None) -> Lines:
    """Its lines, such that they and the tax on those that are taxed make its total. Raises ValueError if none do.

    `percent` None: it is not known, and whether QuickBooks came to the total shows when the document is read back.
    """
    if not posting.tax_minor:
        return [(line, False) for line in posting.lines]
    if exponent(posting.currency) != DECIMALS:
        raise ValueError(f"QuickBooks Desktop cannot work out a tax in {posting.currency}. Record it by hand there.")
    net = sum(line.amount_minor for line in posting.lines)
    if percent is None or net + tax_on(net, percent) == posting.amount_minor:
        return [(line, True) for line in posting.lines]
    if len(posting.lines) > 1:
        raise ValueError("QuickBooks Desktop would work out another tax than Stripe did. Record it by hand there.")
    (line,) = posting.lines
    guess = int(posting.amount_minor / (1 + Decimal(percent) / 100))
    fitting = [each for each in range(guess - 2, guess + 3) if each + tax_on(each, percent) <= posting.amount_minor]
    rest = posting.amount_minor - fitting[-1] - tax_on(fitting[-1], percent)
    kept: Lines = [(replace(line, amount_minor=fitting[-1]), True)]
    return kept + ([(replace(line, amount_minor=rest), False)] if rest else [])


def tax_on(net_minor: int, percent: str) -> int:
    """As QuickBooks works it out: to the cent, halves away from zero."""
    return int((net_minor * Decimal(percent) / 100).quantize(Decimal(1), ROUND_HALF_UP))
