"""What a person chose to belong together: how much of each payment pays how much of each invoice."""

from collections.abc import Sequence
from dataclasses import dataclass

from reconcile.choices import Part, Short
from reconcile.money import Money, books_unit


class DivisionError(ValueError):
    """What was chosen does not fit together, with a sentence for the person who chose it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payable:
    """A payment with what it paid, or an invoice with what is open on it, in minor units."""

    id: str
    amount_minor: int
    customer_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """Parts of invoices by payment. At most one of the two is not 0: what no invoice takes, or what stays open."""

    parts: dict[str, tuple[Part, ...]]
    left_minor: int
    open_minor: int


def difference(payments: Sequence[Payable], invoices: Sequence[Payable]) -> int:
    """What was paid beyond what the invoices ask for; below 0: what is missing."""
    return sum(each.amount_minor for each in payments) - sum(each.amount_minor for each in invoices)


def divide(
    payments: Sequence[Payable], invoices: Sequence[Payable], currency: str, short: Short | None = None
) -> Division:
    """Several invoices for one payment, in their order, or several payments for one invoice. With `short`, what is
    missing is closed against its account, on the invoice with most open. Raises DivisionError.
    """
    if not payments or not invoices:
        raise DivisionError("Choose at least one invoice.")
    if len(payments) > 1 and len(invoices) > 1:
        raise DivisionError("Choose several invoices for one payment, or several payments for one invoice, not both.")
    gap = difference(payments, invoices)
    if gap > 0 and len(payments) > 1:
        over = Money(gap, currency)
        raise DivisionError(f"Together they are {over} more than the invoice asks for. Choose fewer payments.")
    if gap > 0 and len({each.customer_id for each in invoices}) > 1:
        over = Money(gap, currency)
        raise DivisionError(
            f"{over} would be left, and the invoices are of several customers: nobody can say whose credit that is. "
            "Choose others, or those of one customer."
        )
    if short and gap >= 0:
        raise DivisionError("Nothing is missing, so there is nothing to explain. Look again.")
    if short and gap % books_unit(currency):
        raise DivisionError("What is missing has more decimals than QuickBooks keeps. Leave it open on the invoice.")
    missing = max(0, -gap)
    if len(payments) == 1:
        parts = _of_one(payments[0], invoices, currency, missing, short)
    else:
        parts = _of_several(payments, invoices[0], missing, short)
    return Division(parts=parts, left_minor=max(0, gap), open_minor=0 if short else missing)


def _of_one(
    payment: Payable, invoices: Sequence[Payable], currency: str, missing: int, short: Short | None
) -> dict[str, tuple[Part, ...]]:
    """What is missing is missing on the last; to be closed, it is missing on the one with most open."""
    last = max(invoices, key=lambda each: each.amount_minor) if short else invoices[-1]
    if missing >= last.amount_minor:
        more = Money(missing, currency)
        raise DivisionError(
            f"Difference {more}: these invoices ask for so much more than was paid that nothing is left for one of "
            "them. Leave it out, or choose another."
        )
    found = []
    for each in invoices:
        amount = each.amount_minor - (missing if each is last else 0)
        part = Part(ledger_id=each.id, amount_minor=amount)
        found.append(_shortened(part, missing, short) if short and each is last else part)
    gap = payment.amount_minor - sum(part.amount_minor or 0 for part in found)
    assert gap >= 0, "more is missing than is missing"
    return {payment.id: tuple(found)}


def _of_several(
    payments: Sequence[Payable], invoice: Payable, missing: int, short: Short | None
) -> dict[str, tuple[Part, ...]]:
    """The last of them closes the invoice."""
    found = {each.id: Part(ledger_id=invoice.id, amount_minor=each.amount_minor) for each in payments}
    if short:
        found[payments[-1].id] = _shortened(found[payments[-1].id], missing, short)
    return {source_id: (part,) for source_id, part in found.items()}


def _shortened(part: Part, missing: int, short: Short) -> Part:
    return Part(ledger_id=part.ledger_id, amount_minor=part.amount_minor, short_minor=missing, short_as=short)
