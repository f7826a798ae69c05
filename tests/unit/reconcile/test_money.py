"""Money: Stripe's exponents, and refusing rather than rounding."""

import re
from decimal import Decimal

import pytest

from reconcile.money import Money, MoneyError, exponent, in_books, to_decimal, to_minor


@pytest.mark.parametrize(
    ("figure", "currency", "minor"),
    [("10.50", "USD", 1050), ("1050", "JPY", 1050), ("1.234", "KWD", 1234), ("5", "ISK", 500), ("-0.01", "EUR", -1)],
)
def test_figures_carry_as_many_decimals_as_stripe_says(figure: str, currency: str, minor: int) -> None:
    assert to_minor(figure, currency) == minor
    assert to_decimal(minor, currency) == Decimal(figure)


@pytest.mark.parametrize(
    ("figure", "currency"), [("0.001", "USD"), ("1.5", "JPY"), ("x", "USD"), ("NaN", "USD"), ("Infinity", "USD")]
)
def test_what_is_no_amount_is_refused(figure: str, currency: str) -> None:
    with pytest.raises(MoneyError, match=re.escape(figure)):
        to_minor(figure, currency)


def test_currencies_never_mix() -> None:
    assert Money(100, "USD") + Money(5, "USD") - Money(1, "USD") == -Money(-104, "USD")
    with pytest.raises(MoneyError, match="different currencies"):
        Money(1, "USD") + Money(1, "EUR")


def test_amounts_read_as_people_write_them() -> None:
    assert [str(Money(123456, currency)) for currency in ("USD", "JPY", "KWD")] == [
        "1,234.56 USD",
        "123,456 JPY",
        "123.456 KWD",
    ]
    assert exponent("XYZ") == 2


@pytest.mark.parametrize(
    ("minor", "currency", "booked"),
    [
        (12_345, "USD", 12_345),
        (12_345, "KWD", 12_350),
        (-12_345, "KWD", -12_350),
        (12_344, "KWD", 12_340),
        (0, "KWD", 0),
    ],
)
def test_the_books_keep_two_decimals_at_most(minor: int, currency: str, booked: int) -> None:
    assert in_books(minor, currency) == booked
