"""Money keeps every minor unit on its way out and back in."""

from hypothesis import given
from hypothesis import strategies as st

from reconcile.money import Money, to_decimal, to_minor

minors = st.integers(-(10**18), 10**18)
currencies = st.sampled_from(["USD", "JPY", "KWD", "ISK"])


@given(minors, currencies)
def test_a_figure_survives_the_way_out_and_back(minor: int, currency: str) -> None:
    assert to_minor(to_decimal(minor, currency), currency) == minor
    assert to_minor(str(to_decimal(minor, currency)), currency) == minor


@given(st.lists(minors), currencies)
def test_sums_are_those_of_the_integers(parts: list[int], currency: str) -> None:
    assert sum((Money(part, currency) for part in parts), Money(0, currency)) == Money(sum(parts), currency)
