"""Amounts: integers of hundredths inside (of every currency: QuickBooks Desktop writes yen with two decimals too)."""

from decimal import ROUND_HALF_UP, Decimal

ONE = Decimal(1)


def cents(text: str | None) -> int:
    """Hundredths of an AMTTYPE, "12.30" or "12"."""
    return int((Decimal(text or "0") * 100).quantize(ONE, ROUND_HALF_UP))


def wire(amount: int) -> str:
    return f"{Decimal(amount) / 100:.2f}"


def times(amount: int, rate: Decimal) -> int:
    """`amount` in another currency, or taken so many times; rounded half up."""
    return int((amount * rate).quantize(ONE, ROUND_HALF_UP))


def share(whole: int, part: int, total: int) -> int:
    """What belongs to `part` of `total`; all of it when the part is the total."""
    return whole if part == total else times(whole, Decimal(part) / total)
