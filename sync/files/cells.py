"""What single cells say: amounts, days and instants. What cannot be read for certain raises CellError."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from reconcile.money import MoneyError, exponent, to_minor
from sync.files.table import Cell

DateOrder = Literal["mdy", "dmy"]
DecimalMark = Literal[".", ","]

SYMBOLS = {"€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR"}  # $ is the sign of too many currencies to mean one
# Grouped as 1,234,567 (or 12,34,567), or not at all; signed before or behind, or in brackets.
DIGITS = {
    ".": r"(?:\d+|\d{1,3}(?:[, '\u00a0\u202f]\d{2,3})*[, '\u00a0\u202f]\d{3})?(?:\.\d+)?",
    ",": r"(?:\d+|\d{1,3}(?:[. '\u00a0\u202f]\d{2,3})*[. '\u00a0\u202f]\d{3})?(?:,\d+)?",
}
SIGN, UNIT = r"[-\u2212]?", r"(?:[A-Z]{0,3}[$€£¥₹]?)"
AMOUNT = {
    mark: re.compile(
        rf"(?P<sign>{SIGN})\s*{UNIT}\s*(?P<open>\(?){UNIT}\s*(?P<inner>{SIGN})"
        rf"(?P<digits>{digits})\s*{UNIT}(?P<close>\)?)(?P<behind>{SIGN})"
    )
    for mark, digits in DIGITS.items()
}
PLAIN = re.compile(r"-?\d+(?:[.,]\d+)?")
SLASHED = re.compile(r"(\d{1,2})[/-](\d{1,2})[/-](\d{4}|\d{2})(?:[ T](.+))?")
DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")
WORDED = ("%b %d, %Y", "%B %d, %Y", "%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%d-%b-%y")
TIMES = ("%H:%M:%S", "%H:%M", "%I:%M %p", "%I:%M:%S %p")


class CellError(ValueError):
    """Why a cell cannot be taken, and what to do about it."""


@dataclass(frozen=True, slots=True)
class Style:
    """How one file writes numbers and days; `dates` is None while that cannot be told."""

    decimal_mark: DecimalMark = "."
    dates: DateOrder | None = None


# ---- amounts


def decimal_mark(cells: Iterable[Cell]) -> DecimalMark:
    """What stands before the cents in a column of amounts. Three digits behind a mark can be thousands, so they do
    not tell; where nothing tells, it is a point.
    """
    tails = {found[1] for cell in cells if isinstance(cell, str) and (found := re.search(r"([.,])\d{1,2}\D*$", cell))}
    return "," if tails == {","} else "."


def amount(cell: Cell, currency: str, mark: DecimalMark = ".") -> int:
    """Minor units of an amount as reports write it: 1,234.56, $1,234.56, (12.00), -12, 12-."""
    if isinstance(cell, Decimal):
        return _minor(cell, currency)
    text = _text(cell, "an amount")
    found = AMOUNT[mark].fullmatch(text)
    if not found or not re.search(r"\d", found["digits"]) or bool(found["open"]) != bool(found["close"]):
        raise CellError("This is not an amount. Correct it, or leave the row out.")
    marked = {means for symbol, means in SYMBOLS.items() if symbol in text} | set(re.findall(r"[A-Z]{3}", text))
    if marked - {currency}:
        raise CellError(f"It is marked as another currency than {currency}. Say the right currency, or leave it out.")
    figure = Decimal(re.sub(r"[^\d" + re.escape(mark) + "]", "", found["digits"]).replace(mark, "."))
    is_negative = any(found[name] for name in ("open", "sign", "inner", "behind"))
    return _minor(-figure if is_negative else figure, currency)


def plain_amount(cell: Cell, currency: str) -> int:
    """Minor units of an amount as Stripe writes it: no grouping, a point or (if asked for) a comma."""
    if isinstance(cell, Decimal):
        return _minor(cell, currency)
    text = _text(cell, "an amount")
    if not PLAIN.fullmatch(text):
        raise CellError("This is not an amount as Stripe writes it. Export the report again.")
    return _minor(Decimal(text.replace(",", ".")), currency)


def _minor(figure: Decimal, currency: str) -> int:
    try:
        minor = to_minor(figure, currency)
    except MoneyError:
        places = exponent(currency)
        raise CellError(f"{currency} has {places} decimals. Correct the amount; nothing is rounded here.") from None
    if abs(minor) >= 2**53:
        raise CellError("This amount is too large to be one.")
    return minor


def currency_code(cell: Cell) -> str:
    """As USD. Stripe writes it in lower case."""
    text = _text(cell, "a currency").upper()
    if not re.fullmatch(r"[A-Z]{3}", text):
        raise CellError("This is not a currency code such as USD.")
    return text


# ---- days and instants


def date_order(cells: Iterable[Cell]) -> DateOrder | None:
    """Whether months or days come first, if any day of the column tells; None if all could be either.

    Raises CellError if some tell the one and some the other.
    """
    orders: set[DateOrder] = set()
    for cell in cells:
        found = SLASHED.fullmatch(cell) if isinstance(cell, str) else None
        if found and int(found[1]) > 12:
            orders.add("dmy")
        elif found and int(found[2]) > 12:
            orders.add("mdy")
    if len(orders) > 1:
        raise CellError("Some dates of this file begin with the day, others with the month. Export it again.")
    return orders.pop() if orders else None


def needs_order(cells: Iterable[Cell]) -> bool:
    """Whether any date of a column is written so that its order matters."""
    return any(isinstance(cell, str) and SLASHED.fullmatch(cell) for cell in cells)


def day(cell: Cell, order: DateOrder | None) -> date:
    return _day_and_time(cell, order).date()


def instant(cell: Cell, zone: ZoneInfo, order: DateOrder | None = None) -> datetime:
    """An instant whose clock is that of `zone`; in UTC."""
    return _day_and_time(cell, order).replace(tzinfo=zone).astimezone(UTC)


def wall_clock(cell: Cell) -> datetime | None:
    """What a clock showed, without saying where; None if it cannot be read."""
    try:
        return _day_and_time(cell, None)
    except CellError:
        return None


def _day_and_time(cell: Cell, order: DateOrder | None) -> datetime:
    """Without a zone."""
    if isinstance(cell, datetime):
        return cell.replace(tzinfo=None)
    if isinstance(cell, date):
        return datetime.combine(cell, time.min)
    text = _text(cell, "a date")
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return _localised(text, order)
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found


def _localised(text: str, order: DateOrder | None) -> datetime:
    problem = CellError("This is not a date. Write it as 2026-09-14.")
    try:
        if dotted := DOTTED.fullmatch(text):
            return datetime.combine(date(int(dotted[3]), int(dotted[2]), int(dotted[1])), time.min)
        if slashed := SLASHED.fullmatch(text):
            if order is None:
                raise CellError("This could be day or month first. Say which.")
            first, second, year = int(slashed[1]), int(slashed[2]), int(slashed[3])
            month, number = (first, second) if order == "mdy" else (second, first)
            clock = _parsed(slashed[4], TIMES).time() if slashed[4] else time.min
            return datetime.combine(date(year if year > 99 else 2000 + year, month, number), clock)
        return _parsed(text, WORDED)
    except CellError:
        raise
    except ValueError:
        raise problem from None


def _parsed(text: str, formats: tuple[str, ...]) -> datetime:
    for form in formats:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007 - a wall clock; the zone is put on by whoever knows it
        except ValueError:
            continue
    raise ValueError(text)


# ---- text


def text(cell: Cell) -> str:
    """A cell as people see it; a whole number without its point."""
    if cell is None:
        return ""
    if isinstance(cell, Decimal):
        return str(int(cell)) if cell == cell.to_integral_value() else str(cell)
    return str(cell)


def _text(cell: Cell, what: str) -> str:
    if cell is None:
        raise CellError(f"There should be {what} here. Fill it in, or leave the row out.")
    return text(cell).strip()
