"""Row 19: invoices in another currency that Stripe settles in ours."""

from dataclasses import replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.currencies import rate
from reconcile.draft import divide
from reconcile.postings import Plan
from reconcile.records import Applied
from tests.unit.reconcile.test_plan import MAPPINGS, charge, decide, invoice, movement, only, paid, reasons, snapshot


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


EUROS = replace(
    MAPPINGS,
    clearing=MAPPINGS.clearing | {"EUR": "clearing EUR"},
    foreign_vendors={"EUR": "stripe EUR"},
    accounts={"bridge": "bridge"},
)
RATES = {("EUR", date(2026, 9, 14)): "1.1"}


def settled_in_euros(currency: str, settled: int = 8_500, **rest: object) -> Plan:
    """A charge of 100.00 in `currency` that Stripe keeps in euros."""
    facts = paid(("70", 10_000)) | {"charges": {"ch_1": charge(10_000, currency=currency)}}
    moved = replace(movement("txn_1", "ch_1", settled, 350), currency="EUR")
    values = {"mappings": EUROS, "rates": RATES} | facts | rest
    return decide(snapshot([moved], [invoice("70", 10_000, currency=currency)], **values))


def test_row_20_a_euro_balance_has_documents_in_euros_at_the_rate_of_the_day() -> None:
    found = settled_in_euros("EUR", 10_000)
    payment, fee = only(found, "payment"), only(found, "purchase")
    assert (payment.account_id, payment.currency, payment.exchange_rate) == ("clearing EUR", "EUR", "1.1")
    assert (fee.account_id, fee.party_id, fee.exchange_rate) == ("clearing EUR", "stripe EUR", "1.1")


def test_row_20b_a_third_currency_goes_over_the_bridge() -> None:
    found = settled_in_euros("GBP")
    payment, entry = only(found, "payment"), only(found, "journal_entry")
    assert (payment.account_id, payment.currency, payment.exchange_rate) == ("bridge", "GBP", "0.935")
    assert [(line.account_id, line.amount_minor) for line in entry.lines] == [
        ("clearing EUR", 8_500),
        ("bridge", -8_500),
    ]
    assert (entry.currency, entry.exchange_rate, entry.after) == ("EUR", "1.1", payment.marker)
    assert [each.shares[0].amount_minor for each in (payment, entry)] == [0, 8_500]


def test_row_20b_our_own_currency_settled_in_another_gives_the_entry_its_rate() -> None:
    found = settled_in_euros("USD", 9_000)
    payment, entry = only(found, "payment"), only(found, "journal_entry")
    assert (payment.account_id, payment.exchange_rate, entry.exchange_rate) == ("bridge", None, "1.11111111111")


def test_row_20b_a_charge_in_another_currency_than_its_invoice_waits_with_both_values() -> None:
    facts = paid(("70", 10_000)) | {"charges": {"ch_1": charge(10_000, currency="EUR")}}
    found = decide(snapshot([movement("txn_1", "ch_1", 10_800)], [invoice("70", 11_000)], **facts))
    (decision,) = found.decisions
    assert (found.postings, decision.state, decision.reason) == ((), "waiting", "CURRENCY_DIFF")
    assert "100.00 EUR" in decision.detail
    assert "110.00 USD" in decision.detail


def test_row_20_without_account_or_rate_it_waits() -> None:
    assert reasons(settled_in_euros("EUR", mappings=MAPPINGS))["txn_1:gross"] == "unmapped_account"
    assert reasons(settled_in_euros("EUR", rates={}))["txn_1:gross"] == "FX_RATE_MISSING"


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
