"""The fees of a payout come to what its statement takes off."""

import re
from datetime import UTC, date, datetime

import pytest

from pages.payouts import contents, fees_by_kind
from reconcile.records import Payout
from storage.payouts import Line, PayoutView, Statement, Tie

PAYOUT = Payout(
    id="po_1", currency="USD", amount_minor=95_50, status="paid", created_at=datetime(2026, 9, 1, tzinfo=UTC),
    arrives_on=date(2026, 9, 3), automatic=True, method="standard", movement_id="txn_9",
)  # fmt: skip
CHARGES = Line(category="charge", count=2, gross_minor=100_00, fee_minor=4_00, net_minor=96_00)


def figures(html: str) -> list[str]:
    return re.findall(r"\(?\d[\d,]*\.\d\d\)?", html)


@pytest.mark.parametrize(
    ("fees", "shown"),
    [
        ((("stripe_fee", -4_50),), ["(4.50)", "(4.50)"]),
        ((("stripe_fee", -3_00), ("tax", -1_00)), ["(3.00)", "(1.00)", "(0.50)", "(4.50)"]),
    ],
)
def test_its_fees_by_kind_are_those_of_its_entries_and_its_own(
    fees: tuple[tuple[str, int], ...], shown: list[str]
) -> None:
    view = PayoutView(payout=PAYOUT, tie=Tie(standing="ties", movements=3), document_ids=(), waits="")
    found = Statement(view=view, lines=(CHARGES,), fees=fees)
    assert figures(fees_by_kind(found)) == shown
    assert figures(contents(found))[-2:] == ["(0.50)", "95.50"]
