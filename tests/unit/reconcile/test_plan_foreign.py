"""Row 19: invoices in another currency that Stripe settles in ours."""

from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.draft import divide, rate
from reconcile.records import Applied
from tests.unit.reconcile.test_plan import charge, decide, invoice, movement, only, paid, reasons, snapshot


def test_row_19_a_euro_invoice_is_paid_in_euro_at_the_rate_it_settled_at() -> None:
    facts = paid(("70", 10_000)) | {"charges": {"ch_1": charge(10_000, currency="EUR")}}
    found = decide(snapshot([movement("txn_1", "ch_1", 10_800, 350)], [invoice("70", 10_000, currency="EUR")], **facts))
    payment, fee = only(found, "payment"), only(found, "purchase")
    assert (payment.currency, payment.amount_minor, payment.exchange_rate) == ("EUR", 10_000, "1.08")
    assert payment.applied == (Applied(id="invoice:70", amount_minor=10_000),)
    assert payment.shares[0].amount_minor == 10_800
    assert (fee.currency, fee.amount_minor, fee.exchange_rate) == ("USD", 350, None)


def test_row_19_invoices_of_two_customers_divide_what_was_settled_to_the_cent() -> None:
    facts = paid(("70", 3_333), ("71", 6_667)) | {"charges": {"ch_1": charge(10_000, currency="EUR")}}
    documents = [invoice("70", 3_333, "20", currency="EUR"), invoice("71", 6_667, "21", currency="EUR")]
    found = decide(snapshot([movement("txn_1", "ch_1", 10_801)], documents, **facts))
    assert [posting.shares[0].amount_minor for posting in found.postings] == [3_600, 7_201]


def test_rows_20_and_20b_a_balance_in_another_currency_waits() -> None:
    facts = paid(("70", 10_000)) | {"charges": {"ch_1": charge(10_000, currency="EUR")}}
    moved = replace(movement("txn_1", "ch_1", 10_000), currency="EUR")
    found = decide(snapshot([moved], [invoice("70", 10_000, currency="EUR")], **facts))
    assert reasons(found) == {"txn_1:gross": "foreign_currency"}


@given(st.integers(1, 99_999_999), st.integers(1, 99_999_999), st.sampled_from(["EUR", "JPY", "KWD"]))
def test_the_rate_gives_back_what_was_settled(paid_minor: int, settled: int, currency: str) -> None:
    """As QuickBooks converts: the amount times the rate, to the cent."""
    found = rate(snapshot([], []), currency, paid_minor, settled)
    digits = {"EUR": 2, "JPY": 0, "KWD": 3}[currency]
    home = (Decimal(paid_minor).scaleb(-digits) * Decimal(found or 0)).quantize(Decimal("0.01"), ROUND_HALF_UP)
    assert home == Decimal(settled).scaleb(-2)


@given(st.integers(0, 10_000_000), st.lists(st.integers(1, 10_000_000), min_size=1, max_size=5))
def test_what_is_divided_stays_whole(settled: int, parts: list[int]) -> None:
    divided = divide(settled, parts)
    assert sum(divided) == settled
    for share, part in zip(divided, parts, strict=True):
        assert share == pytest.approx(settled * part / sum(parts), abs=len(parts))
