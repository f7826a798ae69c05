"""What an invoice of the books becomes at Stripe, and whether Stripe can take it.

Stripe is told of lines with whole amounts only: discounts and tax are lines of their own, so that its total is that of
the books to the last minor unit, whatever either side rounds.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from reconcile.money import THREE_DECIMAL, to_decimal
from reconcile.records import Document

# The smallest amount Stripe charges, in minor units (its documentation, "Supported currencies": "Minimum and maximum
# charge amounts"). It counts in the currency of settlement; what is converted is held to the same table, as Stripe's
# rate is not known beforehand.
MINIMUM = {
    "AED": 200, "AUD": 50, "BGN": 100, "BRL": 50, "CAD": 50, "CHF": 50, "CZK": 1_500, "DKK": 250, "EUR": 50,
    "GBP": 30, "HKD": 400, "HUF": 17_500, "INR": 50, "JPY": 50, "MXN": 1_000, "MYR": 200, "NOK": 300, "NZD": 50,
    "PLN": 200, "RON": 200, "SEK": 300, "SGD": 50, "THB": 1_000, "USD": 50,
}  # fmt: skip
MAXIMUM = 99_999_999
WITHOUT_CENTS = frozenset(("ISK", "UGX"))  # two decimals at Stripe, but only whole units can be paid
LINES_MAX = 250  # of one invoice
TEXT_MAX = 500
REVISION_KEY, DIGEST_KEY = "tieout_revision", "tieout_digest"  # by these a Stripe invoice is known as ours
INVOICE_KEY = "qbo_invoice_id"
CREDIT_KEY = "tieout_credit"  # by this a Stripe credit note is: the document of the books that it was given for


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceLine:
    """One line as the books compute it: `amount_minor` is signed (a discount is below zero)."""

    amount_minor: int
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceContent:
    """What an invoice of the books says beyond its Document.

    `linked` are the documents that were applied to it ("payment:12"); `has_pay_link`: QuickBooks offers its own way to
    pay it.
    """

    lines: tuple[InvoiceLine, ...] = ()
    has_pay_link: bool = False
    linked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """An invoice as it is to be made at Stripe. `digest` names everything about it that a customer sees."""

    invoice_id: str
    customer_id: str
    currency: str
    total_minor: int
    number: str | None
    due_at: datetime
    description: str
    lines: tuple[InvoiceLine, ...]
    metadata: dict[str, str]
    digest: str


def compose(
    invoice: Document,
    content: InvoiceContent,
    payer_id: str,
    *,
    realm_id: str,
    revision: int,
    spent: int,
    due: datetime,
) -> Outgoing:
    """The invoice for one Stripe customer. `spent`: how many of its numbers Stripe keeps on voided invoices."""
    description = f"Invoice {invoice.doc_number or invoice.ledger_id} of {invoice.dated.isoformat()}"
    lines = tuple(
        InvoiceLine(amount_minor=line.amount_minor, description=line.description[:TEXT_MAX]) for line in content.lines
    )
    metadata = {
        "qbo_realm_id": realm_id,
        INVOICE_KEY: invoice.ledger_id,
        "qbo_customer_id": invoice.customer_id or "",
        "qbo_sync_token": invoice.version,
        REVISION_KEY: f"{revision} {spent}",
        DIGEST_KEY: digest_of(invoice, content, payer_id),
    }
    return Outgoing(
        invoice_id=invoice.id,
        customer_id=payer_id,
        currency=invoice.currency,
        total_minor=invoice.amount_minor,
        number=number_of(invoice, spent),
        due_at=due,
        description=description,
        lines=lines,
        metadata={key: value for key, value in metadata.items() if value},
        digest=digest_of(invoice, content, payer_id),
    )


def number_of(invoice: Document, spent: int) -> str | None:
    """The books' number. A voided Stripe invoice keeps its number, so its replacement has one of its own."""
    if not invoice.doc_number:
        return None
    return f"{invoice.doc_number}-R{spent + 1}" if spent else invoice.doc_number


def digest_of(invoice: Document, content: InvoiceContent, payer_id: str) -> str:
    """Equal for invoices that a customer could not tell apart; a payment does not change it."""
    seen = [
        payer_id,
        invoice.currency,
        invoice.amount_minor,
        invoice.doc_number,
        invoice.dated.isoformat(),
        invoice.due_date.isoformat() if invoice.due_date else None,
        [(line.amount_minor, line.description[:TEXT_MAX]) for line in content.lines],
    ]
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()


def due_at(invoice: Document, zone: str, now: datetime) -> datetime:
    """The end of the day it is due on the link's clock; of an overdue one, of today: Stripe takes no time gone by."""
    soon = now + timedelta(hours=1)
    day = max(invoice.due_date or invoice.dated, soon.astimezone(ZoneInfo(zone)).date())
    return datetime.combine(day, time(23, 59, 59), ZoneInfo(zone)).astimezone(UTC)


def trouble(invoice: Document, content: InvoiceContent, today: date) -> tuple[str, str] | None:
    """Why Stripe could not take it as it is: a reason and the sentence that says what to do; None if it can."""
    name = f"Invoice {invoice.doc_number or invoice.ledger_id}"
    if invoice.dated > today:
        return "dated_later", f"{name} is dated {invoice.dated}. It is sent on that day."
    total = sum(line.amount_minor for line in content.lines)
    if total != invoice.amount_minor:
        sums = f"{_shown(total, invoice.currency)} instead of {_shown(invoice.amount_minor, invoice.currency)}"
        return "lines_differ", f"The lines of {name} make {sums}. Save it again in QuickBooks, or send it by hand."
    if not 0 < len(content.lines) <= LINES_MAX:
        return "too_many_lines", f"{name} has {len(content.lines)} lines; Stripe takes 1 to {LINES_MAX}. Split it."
    return _amount_trouble(name, invoice.open_minor, invoice.currency)


def _amount_trouble(name: str, amount: int, currency: str) -> tuple[str, str] | None:
    """Of what is to be collected."""
    shown = _shown(amount, currency)
    if currency not in MINIMUM:
        return "unknown_minimum", f"Tieout does not know the least Stripe charges in {currency}. Send {name} by hand."
    if amount < MINIMUM[currency]:
        least = _shown(MINIMUM[currency], currency)
        return "below_minimum", f"{shown} is open on {name}; Stripe charges {least} or more. Collect it otherwise."
    if amount > MAXIMUM:
        return "above_maximum", f"{shown} is open on {name}, more than Stripe charges at once. Split the invoice."
    if (currency in THREE_DECIMAL and amount % 10) or (currency in WITHOUT_CENTS and amount % 100):
        return "odd_amount", f"Nobody can pay exactly {shown} at Stripe. Round {name} in QuickBooks."
    return None


def _shown(amount: int, currency: str) -> str:
    return f"{to_decimal(amount, currency):,} {currency}"
