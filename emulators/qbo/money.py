"""Amounts: integers of minor units inside, JSON numbers on the wire, never arithmetic on a float."""

from decimal import ROUND_HALF_UP, Decimal

# Currencies that have no cents. Every other one is kept to two decimals, as QuickBooks does.
WHOLE = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"}
)
Number = int | float | str | Decimal


def decimal(value: Number) -> Decimal:
    """A number of a body; a float only carries the text it was written with."""
    return value if isinstance(value, Decimal) else Decimal(str(value))


def minor(value: Number, currency: str) -> int:
    scaled = decimal(value) if currency in WHOLE else decimal(value) * 100
    return int(scaled.quantize(Decimal(1), ROUND_HALF_UP))


def wire(amount: int, currency: str) -> int | float:
    """The JSON number of an amount: the shortest one that reads back as exactly that decimal."""
    return amount if currency in WHOLE else number(Decimal(amount) / 100)


def number(value: Number) -> int | float:
    exact = decimal(value)
    if exact == exact.to_integral_value():
        return int(exact)
    shortest = float(exact)
    if Decimal(repr(shortest)) != exact:
        raise ValueError(f"{exact} has more digits than a JSON number keeps.")
    return shortest


def converted(amount: int, currency: str, rate: Decimal, home: str) -> int:
    """`amount` in home currency, `rate` being home units for one unit."""
    units = Decimal(amount) if currency in WHOLE else Decimal(amount) / 100
    return minor(units * rate, home)


def share(whole: int, part: int, total: int) -> int:
    """What belongs to `part` of `total`; all of it when the part is the total."""
    return whole if part == total else int((Decimal(whole) * part / total).quantize(Decimal(1), ROUND_HALF_UP))
