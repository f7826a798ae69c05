"""What a QuickBooks invoice asks of its customer: its lines as whole amounts, and what has lowered it."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from reconcile.money import to_minor
from reconcile.outgoing import InvoiceContent, InvoiceLine
from sync.qbo.wire import KIND, decode

PAY_LINKS = ("AllowIPNPayment", "AllowOnlinePayment", "AllowOnlineCreditCardPayment", "AllowOnlineACHPayment")
LOWERING = ("Payment", "CreditMemo", "JournalEntry", "Deposit")  # an estimate or a time activity does not


def content(raw: str, currency: str) -> InvoiceContent:
    """From the invoice's own JSON. Raises ValueError (MoneyError too) for what cannot be read."""
    body = decode(raw)
    try:
        lines = list(_lines(body.get("Line", []), currency))
        total = to_minor(body["TotalAmt"], currency)
        tax = to_minor((body.get("TxnTaxDetail") or {}).get("TotalTax") or 0, currency)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"This invoice cannot be read ({error!r}).") from None
    if tax and sum(line.amount_minor for line in lines) != total:  # else the lines contain it already
        lines.append(InvoiceLine(amount_minor=tax, description="Tax"))
    return InvoiceContent(
        lines=tuple(lines),
        has_pay_link=any(body.get(name) for name in PAY_LINKS),
        linked=tuple(_linked(body)),
    )


def _lines(lines: list[Mapping[str, Any]], currency: str) -> Iterator[InvoiceLine]:
    for line in lines:
        match line.get("DetailType"):
            case "SalesItemLineDetail":
                amount = to_minor(line.get("Amount") or 0, currency)
                yield InvoiceLine(amount_minor=amount, description=_description(line))
            case "DiscountLineDetail":
                amount = to_minor(line.get("Amount") or 0, currency)
                yield InvoiceLine(amount_minor=-amount, description=line.get("Description") or "Discount")
            case "GroupLineDetail":
                yield from _lines((line.get("GroupLineDetail") or {}).get("Line", []), currency)


def _description(line: Mapping[str, Any]) -> str:
    """The text of a line, with quantity and price where there is more than one."""
    detail = line.get("SalesItemLineDetail") or {}
    text = line.get("Description") or (detail.get("ItemRef") or {}).get("name") or "Item"
    quantity, price = detail.get("Qty"), detail.get("UnitPrice")
    if quantity in (None, 0, 1) or price is None:
        return str(text)
    return f"{text} ({_plain(quantity)} x {_plain(price)})"


def _plain(value: Any) -> str:
    return f"{Decimal(value).normalize():f}"


def _linked(body: Mapping[str, Any]) -> Iterator[str]:
    for each in body.get("LinkedTxn", []):
        if each.get("TxnType") in LOWERING:
            kind = KIND.get(each["TxnType"], "")
            yield f"{kind}:{each['TxnId']}"
