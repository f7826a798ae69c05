"""What is sent so that QuickBooks, which works a tax out by itself, comes to the total that is posted."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.postings import Posting, PostingLine
from sync.qbd.taxes import lines_of, tax_on


def posting(net: int, tax: int, lines: int = 1, currency: str = "USD") -> Posting:
    return Posting(
        marker="txn_1:refund-credit:r1:s1",
        kind="credit_memo",
        dated=date(2026, 11, 20),
        currency=currency,
        amount_minor=net + tax,
        account_id="80-1",
        memo="re_1",
        tax_minor=tax,
        tax_code="90-1",
        lines=tuple(PostingLine(amount_minor=net // lines, item_id="70-1") for _ in range(lines)),
    )


@given(net=st.integers(0, 10_000), tax=st.integers(1, 2_000), thousandths=st.integers(1, 25_000))
def test_net_and_tax_make_the_total_to_the_cent_whatever_the_rate(net: int, tax: int, thousandths: int) -> None:
    """The part of a refund that is tax is Stripe's; QuickBooks rounds its own, perhaps by a rate of today."""
    wanted, percent = posting(net, tax), str(Decimal(thousandths) / 1_000)
    lines = lines_of(wanted, percent)
    taxed = sum(line.amount_minor for line, is_taxed in lines if is_taxed)
    assert sum(line.amount_minor for line, _ in lines) + tax_on(taxed, percent) == wanted.amount_minor
    assert all(line.amount_minor > 0 for line, is_taxed in lines if not is_taxed)


def test_what_carries_no_tax_says_so_on_each_line() -> None:
    assert [is_taxed for _, is_taxed in lines_of(posting(1_000, 0, lines=2), "8.875")] == [False, False]


def test_a_tax_that_quickbooks_would_work_out_otherwise_is_not_sent() -> None:
    assert all(is_taxed for _, is_taxed in lines_of(posting(10_000, 825, lines=2), "8.25"))
    for refused in (posting(10_000, 826, lines=2), posting(10_000, 800, currency="JPY")):
        with pytest.raises(ValueError, match="by hand"):
            lines_of(refused, "8.25")
