"""Money: an integer of minor units with its currency. Decimal only where a figure enters or leaves; float never."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

# Stripe's table of currencies (its documentation, "Supported currencies"): how many decimals an API integer carries.
# All others carry two. ISK and UGX are two-decimal in the API although nobody pays in their cents.
ZERO_DECIMAL = frozenset(
    ("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF")
)
THREE_DECIMAL = frozenset(("BHD", "JOD", "KWD", "OMR", "TND"))

BOOKS_DECIMALS = 2  # QuickBooks keeps amounts of every currency to no more


class MoneyError(ValueError):
    """A figure that is not money: not a number, too many decimals, or of another currency."""


@dataclass(frozen=True, slots=True)
class Money:
    """An amount: `minor` units (cents) of `currency` (ISO code, upper case)."""

    minor: int
    currency: str

    def __add__(self, other: "Money") -> "Money":
        self._check(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        self._check(other)
        return Money(self.minor - other.minor, self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.minor, self.currency)

    def __str__(self) -> str:
        return f"{_figure(self.minor, exponent(self.currency))} {self.currency}"

    def _check(self, other: "Money") -> None:
        if self.currency != other.currency:
            raise MoneyError(f"{self} and {other} are of different currencies.")


def _figure(minor: int, decimals: int) -> str:
    """Major units with commas between thousands: "1,234.50"."""
    if not decimals:
        return f"{minor:,}"
    whole, part = divmod(abs(minor), 10**decimals)
    return f"{'-' if minor < 0 else ''}{whole:,}.{part:0{decimals}}"


def exponent(currency: str) -> int:
    """How many decimals `currency` has in minor units: 0, 2 or 3."""
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


def books_unit(currency: str) -> int:
    """The smallest amount the books can keep, in minor units: 10 of a currency with three decimals, else 1."""
    return int(10 ** max(0, exponent(currency) - BOOKS_DECIMALS))


def in_books(minor: int, currency: str) -> int:
    """The nearest amount the books can keep, in minor units, halves away from zero."""
    unit = books_unit(currency)
    size = (2 * abs(minor) + unit) // (2 * unit) * unit
    return size if minor >= 0 else -size


def to_minor(value: Decimal | int | str, currency: str) -> int:
    """A figure in major units as minor units. Raises MoneyError rather than round."""
    try:
        scaled = Decimal(value).scaleb(exponent(currency))
        minor = int(scaled)
    except (InvalidOperation, ValueError, OverflowError):
        raise MoneyError(f"{value!r} is not an amount of money.") from None
    if scaled != minor:
        raise MoneyError(f"{value} {currency} has more decimals than {currency} has.")
    return minor


def to_decimal(minor: int, currency: str) -> Decimal:
    """Minor units as an exact figure in major units: 1050 USD is Decimal('10.50')."""
    return Decimal(minor).scaleb(-exponent(currency))
