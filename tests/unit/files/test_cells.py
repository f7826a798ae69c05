"""Single cells: what they mean, and what is refused rather than guessed."""

from datetime import date, datetime
from decimal import Decimal

import pytest

from sync.files import cells
from sync.files.cells import CellError
from sync.files.table import Cell


@pytest.mark.parametrize(
    ("text", "mark", "minor"),
    [
        ("1,234.56", ".", 123456),
        ("$1,234.56", ".", 123456),
        ("(12.00)", ".", -1200),
        ("$(250.00)", ".", -25000),
        ("$-100.00", ".", -10000),
        ("-$100.00", ".", -10000),
        ("12.50-", ".", -1250),
        ("\u22127", ".", -700),
        ("USD 5", ".", 500),
        ("1.234,56", ",", 123456),
        ("1 234,56", ",", 123456),
        ("12,34,567.00", ".", 123456700),
        ("0.005", ".", None),
        ("2026-09-14", ".", None),
        ("12-34", ".", None),
        ("1,23456", ".", None),
        ("(12.00", ".", None),
        ("€5.00", ".", None),
        ("EUR 5.00", ".", None),
        ("about 5", ".", None),
        ("", ".", None),
    ],
)
def test_amounts(text: str, mark: cells.DecimalMark, minor: int | None) -> None:
    if minor is None:
        with pytest.raises(CellError):
            print(cells.amount(text or None, "USD", mark))
    else:
        assert cells.amount(text, "USD", mark) == minor


@pytest.mark.parametrize(
    ("column", "mark"),
    [(["1,234", "5,00"], ","), (["1,234", "5.00"], "."), (["1.234", "2,345"], "."), (["5,00", "5.00"], "."), ([], ".")],
)
def test_what_stands_before_the_cents(column: list[Cell], mark: str) -> None:
    assert cells.decimal_mark(column) == mark


def test_a_figure_of_a_workbook_is_not_rounded() -> None:
    assert cells.amount(Decimal("12.34"), "USD") == 1234
    with pytest.raises(CellError, match="USD has 2 decimals"):
        cells.amount(Decimal(repr(0.1 + 0.2)), "USD")


@pytest.mark.parametrize(
    ("cell", "order", "day"),
    [
        ("2026-09-14", None, date(2026, 9, 14)),
        ("9/14/2026", "mdy", date(2026, 9, 14)),
        ("14/9/26", "dmy", date(2026, 9, 14)),
        ("14.09.2026", None, date(2026, 9, 14)),
        ("Sep 14, 2026", None, date(2026, 9, 14)),
        (datetime.fromisoformat("2026-09-14 10:00"), None, date(2026, 9, 14)),
        ("9/10/2026", None, None),
        ("13/13/2026", "mdy", None),
        ("soon", None, None),
    ],
)
def test_days(cell: Cell, order: cells.DateOrder | None, day: date | None) -> None:
    if day is None:
        with pytest.raises(CellError):
            cells.day(cell, order)
    else:
        assert cells.day(cell, order) == day


def test_the_order_of_day_and_month_is_told_by_the_column_or_asked() -> None:
    assert cells.date_order(["1/2/2026", "1/31/2026"]) == "mdy"
    assert cells.date_order(["1/2/2026", "31/1/2026"]) == "dmy"
    assert cells.date_order(["1/2/2026"]) is None
    with pytest.raises(CellError, match="others with the month"):
        cells.date_order(["31/1/2026", "1/31/2026"])
