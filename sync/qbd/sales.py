"""What a QuickBooks Desktop invoice asks of its customer: its lines as whole amounts, and what has lowered it."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from reconcile.money import to_minor
from reconcile.outgoing import InvoiceContent, InvoiceLine
from sync.qbd.markup import local, parse
from sync.qbd.qbxml import value
from sync.qbd.wire import KIND

LOWERING = ("ReceivePayment", "CreditMemo", "JournalEntry", "Deposit")


def content(raw: str, currency: str) -> InvoiceContent:
    """From the invoice's own InvoiceRet. Raises ValueError (MoneyError too) for what cannot be read."""
    invoice = parse(raw.encode())
    lines = list(_lines(invoice, currency))
    tax = to_minor(value(invoice, "SalesTaxTotal") or "0", currency)
    if tax:
        lines.append(InvoiceLine(amount_minor=tax, description="Tax"))
    return InvoiceContent(lines=tuple(lines), has_pay_link=False, linked=tuple(_linked(invoice)))


def _lines(element: Any, currency: str) -> Iterator[InvoiceLine]:
    for line in element:
        if local(line) == "InvoiceLineGroupRet":
            yield from _lines(line, currency)
        elif local(line) == "InvoiceLineRet" and value(line, "Amount"):
            yield InvoiceLine(
                amount_minor=to_minor(value(line, "Amount") or "0", currency), description=_description(line)
            )


def _description(line: Any) -> str:
    """The text of a line, with quantity and price where there is more than one."""
    text = value(line, "Desc") or value(line, "ItemRef", "FullName") or "Item"
    quantity, price = value(line, "Quantity"), value(line, "Rate")
    if quantity is None or price is None or Decimal(quantity) == 1:
        return text
    return f"{text} ({_plain(quantity)} x {_plain(price)})"


def _plain(number: str) -> str:
    return f"{Decimal(number).normalize():f}"


def _linked(invoice: Any) -> Iterator[str]:
    for each in invoice.findall("LinkedTxn"):
        if value(each, "TxnType") in LOWERING:
            yield f"{KIND.get(value(each, 'TxnType') or '', '')}:{value(each, 'TxnID')}"
