"""Amounts: integers of minor units inside, JSON numbers on the wire, never arithmetic on a float."""

from decimal import ROUND_HALF_UP, Decimal

from emulators.qbo.fault import invalid

# Currencies that have no cents. Every other one is kept to two decimals, as QuickBooks does, also dinars of three.
WHOLE = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"}
)
Number = int | float | str | Decimal


def decimal(value: Number) -> Decimal:
    """A number of a body; a float only carries the text it was written with."""
    return value if isinstance(value, Decimal) else Decimal(str(value))


def minor(value: Number, currency: str) -> int:
    """An amount somebody sent. What QuickBooks cannot keep is refused: whether it would round it is not documented."""
    amount = rounded(value, currency)
    if _units(amount, currency) != decimal(value):
        raise invalid("Amount", f"{value} {currency} has more decimals than are kept of {currency}")
    return amount


def rounded(value: Number, currency: str) -> int:
    """An amount that is worked out here: a product, a conversion."""
    scaled = decimal(value) if currency in WHOLE else decimal(value) * 100
    return int(scaled.quantize(Decimal(1), ROUND_HALF_UP))


def _units(amount: int, currency: str) -> Decimal:
    return Decimal(amount) if currency in WHOLE else Decimal(amount) / 100


def wire(amount: int, currency: str) -> int | float:
    """The JSON number of an amount: the shortest one that reads back as exactly that decimal."""
    return number(_units(amount, currency))


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
    return rounded(_units(amount, currency) * rate, home)


def share(whole: int, part: int, total: int) -> int:
    """What belongs to `part` of `total`; all of it when the part is the total."""
    return whole if part == total else int((Decimal(whole) * part / total).quantize(Decimal(1), ROUND_HALF_UP))
