"""Which refused rows still stand, and that what came from somebody's file runs in nobody's spreadsheet."""

from dataclasses import replace
from datetime import UTC, date, datetime

from pages.files import problems_frame, standing
from pages.tables import as_csv
from storage.imports import Import, Refused

REFUSED = Refused(line=3, column="gross", value="=HYPERLINK(1)", text="This is not an amount.")
OLD = Import(
    id=1, link_id=1, connection_id=1, at=datetime(2026, 11, 1, tzinfo=UTC), actor="a@example.com", name="may.csv",
    digest="", report="Stripe balance, itemised", first_day=date(2026, 5, 2), last_day=date(2026, 5, 30), counts={},
    sums={}, notes=(), problems=(REFUSED,),
)  # fmt: skip


def test_refused_rows_stand_until_the_same_days_are_imported_again() -> None:
    good = replace(OLD, id=2, name="corrected.csv", problems=())
    assert standing([OLD]) == [OLD]
    assert standing([good, OLD]) == []
    assert standing([replace(good, first_day=date(2026, 5, 3)), OLD]) == [OLD], "it does not reach as far"
    assert standing([replace(good, name="may.csv", first_day=None, last_day=None), OLD]) == [], "the same file"
    assert standing([replace(good, report="Stripe payouts, itemised"), OLD]) == [OLD]
    assert standing([replace(good, connection_id=2), OLD]) == [OLD]


def test_values_of_a_file_are_no_formulas() -> None:
    assert as_csv(problems_frame([REFUSED])).splitlines()[1] == "3,gross,'=HYPERLINK(1),This is not an amount."
