"""The monthly entry of what the books cannot keep: to the last fils, and never twice."""

from collections import Counter
from dataclasses import replace
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from reconcile.money import in_books
from reconcile.postings import Posting
from reconcile.rounding import Remainder, plan_rounding, stem


def remainder(number: int, amount: int, day: date = date(2026, 3, 4)) -> Remainder:
    return Remainder(leg_id=f"txn_{number}:stripe_fee", currency="KWD", dated=day, amount_minor=amount)


def planned(*found: Remainder, before: date = date(2026, 6, 1), made: dict[str, int] | None = None) -> list[Posting]:
    return plan_rounding(
        found,
        account_id="acct_1",
        home_currency="KWD",
        clearing={"KWD": "1"},
        rounding_account="9",
        before=before,
        made=made or {},
    )


def test_a_month_s_remainders_are_one_entry_on_its_last_day() -> None:
    (entry,) = planned(remainder(1, -4), remainder(2, -4), remainder(3, -4))
    assert (entry.dated, entry.amount_minor) == (date(2026, 3, 31), 10)
    assert [(line.account_id, line.amount_minor) for line in entry.lines] == [("1", -10), ("9", 10)]
    assert [share.amount_minor for share in entry.shares] == [-4, -4, -2]
    assert entry.marker == "acct_1:rounding-kwd-2026-03:r1:s1"


def test_a_month_that_is_not_over_waits_and_so_does_what_comes_to_nothing() -> None:
    assert planned(remainder(1, 4), remainder(2, 4), before=date(2026, 3, 31)) == []
    assert planned(remainder(1, 4)) == []


def test_what_a_month_cannot_keep_goes_on_into_the_next() -> None:
    april = date(2026, 4, 9)
    (entry,) = planned(remainder(1, 3), remainder(2, 3, april))
    assert (entry.dated, [share.leg_id for share in entry.shares]) == (
        date(2026, 4, 30),
        ["txn_1:stripe_fee", "txn_2:stripe_fee"],
    )


def test_what_comes_late_has_an_entry_of_its_own() -> None:
    late = planned(remainder(1, 4), remainder(2, 4), made={stem("acct_1", "KWD", date(2026, 3, 31)): 1})
    assert [each.marker for each in late] == ["acct_1:rounding-kwd-2026-03:r2:s1"]


def test_in_another_currency_it_has_the_rate_of_its_documents_or_waits() -> None:
    found = [replace(remainder(number, 4), exchange_rate="3.25") for number in (1, 2)]
    arguments = {
        "account_id": "acct_1",
        "home_currency": "USD",
        "clearing": {"KWD": "1"},
        "rounding_account": "9",
        "before": date(2026, 6, 1),
    }
    assert [each.exchange_rate for each in plan_rounding(found, **arguments, made={})] == ["3.25"]  # type: ignore[arg-type]
    without = [replace(each, exchange_rate=None) for each in found]
    assert plan_rounding(without, **arguments, made={}) == []  # type: ignore[arg-type]


@given(
    st.lists(
        st.tuples(st.integers(-9, 9).filter(bool), st.dates(date(2026, 1, 1), date(2026, 5, 31))), unique_by=lambda x: x
    )
)
def test_no_fils_is_lost_and_none_is_booked_twice(found: list[tuple[int, date]]) -> None:
    remainders = [remainder(number, amount, day) for number, (amount, day) in enumerate(found)]
    entries = planned(*remainders)
    booked: Counter[str] = Counter()
    for entry in entries:
        moved = entry.lines[0].amount_minor
        assert moved == in_books(moved, "KWD") != 0
        assert sum(share.amount_minor for share in entry.shares) == moved
        assert sum(line.amount_minor for line in entry.lines) == 0
        booked.update({share.leg_id: share.amount_minor for share in entry.shares})
    left = {each.leg_id: each.amount_minor - booked[each.leg_id] for each in remainders}
    assert abs(sum(left.values())) <= 5
    assert len({entry.marker for entry in entries}) == len(entries)
