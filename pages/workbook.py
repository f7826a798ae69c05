"""A period's pack as an Excel workbook: sums are formulas, so that a reader can follow each figure to its parts.

The order of rows is stable, and texts stay texts, whatever they begin with.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO

from openpyxl import Workbook
from openpyxl.styles import Font
from openpyxl.worksheet.worksheet import Worksheet

from pages import words
from reconcile.closing import Balance, Line
from reconcile.money import exponent, to_decimal
from storage.closes import Close, Pack

Cell = str | int | Decimal | date | None
BOLD = Font(bold=True)
WIDTH_MAX = 60  # characters


class Formula(str):
    """Computed by the spreadsheet."""

    __slots__ = ()


def workbook(pack: Pack, close: Close | None = None) -> bytes:
    """The file. Without a `close` nobody has prepared it yet."""
    book = Workbook()
    book.remove(book.active)
    for name, fill in SHEETS:
        sheet = book.create_sheet(name)
        fill(sheet, pack)
        _fit(sheet)
    _cover(book.create_sheet("Cover", 0), pack, close)
    _fit(book["Cover"])
    made = close.prepared_at if close else datetime(2000, 1, 1, tzinfo=UTC)  # the same bytes for the same pack
    book.properties.created = book.properties.modified = made.replace(tzinfo=None)
    stream = BytesIO()
    book.save(stream)
    return stream.getvalue()


# ---- sheets


def _cover(sheet: Worksheet, pack: Pack, close: Close | None) -> None:
    figures = pack.figures
    rows: list[tuple[str, Cell]] = [
        ("Stripe and books", pack.name),
        ("Period, first day", figures.first),
        ("Period, last day", figures.last),
        ("Last sync that read everything began", _moment(pack.synced_at)),
        ("State", "looked at, not prepared" if close is None else close.state),
    ]
    if close is not None:
        rows += [
            ("Prepared by", close.prepared_by),
            ("Prepared at", _moment(close.prepared_at)),
            ("Note", close.note),
            ("Signed off by", close.signed_by),
            ("Signed off at", _moment(close.signed_at)),
            ("SHA-256 of the figures", close.digest),
        ]
    for row in rows:
        _row(sheet, row)
    for text in pack.violations:
        _row(sheet, ("Does not agree", text))


def _balances(sheet: Worksheet, pack: Pack) -> None:
    """Both roll-forwards, currency by currency, and the difference less its parts, which must be nothing."""
    for balance in pack.figures.balances:
        currency = balance.currency
        _row(sheet, (currency,), bold=True)
        stripe = _roll(sheet, balance, "Stripe balance", _stripe_of(balance), pack.figures.stripe, _plain)
        books = _roll(sheet, balance, "Clearing account", _books_of(balance), pack.figures.clearing, _plain)
        _row(sheet, ("Difference", "", Formula(f"=C{stripe}-C{books}")), currency, bold=True)
        start = sheet.max_row
        for each in (each for each in pack.differences if each.currency == currency):
            _row(sheet, (each.text, "", to_decimal(each.amount_minor, currency)), currency)
        end = sheet.max_row
        parts = f"SUM(C{start + 1}:C{end})" if end > start else "0"
        _row(sheet, ("Unexplained", "", Formula(f"=C{start}-{parts}")), currency, bold=True)
        sheet.append([])


def _stripe_of(balance: Balance) -> tuple[int, int]:
    return balance.stripe_opening_minor, balance.stripe_closing_minor


def _books_of(balance: Balance) -> tuple[int, int]:
    return balance.clearing_opening_minor, balance.clearing_closing_minor


def _roll(
    sheet: Worksheet,
    balance: Balance,
    title: str,
    ends: tuple[int, int],
    lines: Iterable[Line],
    named: Callable[[str], str],
) -> int:
    """One side from its opening to its closing balance; gives the row of the closing, which is a formula."""
    currency = balance.currency
    _row(sheet, (f"{title}, opening", "", to_decimal(ends[0], currency)), currency)
    start = sheet.max_row
    for line in (line for line in lines if line.currency == currency):
        _row(sheet, (named(line.name), line.count, to_decimal(line.amount_minor, currency)), currency)
    _row(sheet, (f"{title}, closing", "", Formula(f"=SUM(C{start}:C{sheet.max_row})")), currency, bold=True)
    return int(sheet.max_row)


def _differences(sheet: Worksheet, pack: Pack) -> None:
    head = ("Currency", "Why", "Since", "Days", "Amount", "Needs somebody", "Stripe", "QuickBooks", "Text")
    _row(sheet, head, bold=True)
    for each in pack.differences:
        why, needed = words.item_reason(each.reason), "" if each.settled else "yes"
        first = (each.currency, why, each.since, each.age, to_decimal(each.amount_minor, each.currency), needed)
        _row(sheet, (*first, each.source_id, each.document_id, each.text), each.currency)


def _ageing(sheet: Worksheet, pack: Pack) -> None:
    _lines(sheet, ("Currency", "Days open", "Items", "Amount"), pack.ageing, str)


def _payouts(sheet: Worksheet, pack: Pack) -> None:
    _row(sheet, ("Payout", "Currency", "Amount", "Arrives", "Bank", "Ties", "Trace id", "QuickBooks"), bold=True)
    for each in pack.payouts:
        rest = each.rest_minor
        ties: Cell = "not itemised" if rest is None else "yes" if not rest else words.money(rest, each.currency)
        amount = to_decimal(each.amount_minor, each.currency)
        head = (each.id, each.currency, amount, each.arrives_on, each.status, ties)
        _row(sheet, (*head, each.trace_id, ", ".join(each.document_ids)), each.currency)


def _fees(sheet: Worksheet, pack: Pack) -> None:
    _lines(sheet, ("Currency", "Fee or tax", "Number", "Amount"), pack.fees, _plain)


def _booked(sheet: Worksheet, pack: Pack) -> None:
    _row(sheet, ("Document", "Currency", "Day", "Clearing account"), bold=True)
    for each in pack.figures.booked:
        amount = to_decimal(each.amount_minor, each.currency)
        _row(sheet, (each.document_id, each.currency, each.day, amount), each.currency)


def _odd(sheet: Worksheet, pack: Pack) -> None:
    _row(sheet, ("Document", "Day", "What is odd"), bold=True)
    for each in pack.odd:
        _row(sheet, (each.document_id, each.dated, each.text))


def _changes(sheet: Worksheet, pack: Pack) -> None:
    _row(sheet, ("What was done since the last sign-off", "Times"), bold=True)
    for action, number in pack.changes:
        _row(sheet, (words.capitalised(action), number))


SHEETS: tuple[tuple[str, Callable[[Worksheet, Pack], None]], ...] = (
    ("Roll-forward", _balances),
    ("Differences", _differences),
    ("Ageing", _ageing),
    ("Payouts", _payouts),
    ("Fees and taxes", _fees),
    ("Clearing account", _booked),
    ("To look at", _odd),
    ("Done since", _changes),
)


# ---- rows and cells


def _lines(sheet: Worksheet, head: Sequence[str], lines: Iterable[Line], named: Callable[[str], str]) -> None:
    _row(sheet, head, bold=True)
    for line in lines:
        amount = to_decimal(line.amount_minor, line.currency)
        _row(sheet, (line.currency, named(line.name), line.count, amount), line.currency)


def _row(sheet: Worksheet, values: Sequence[Cell], currency: str | None = None, *, bold: bool = False) -> None:
    sheet.append([None] * len(values))
    places = exponent(currency) if currency else 2
    for cell, value in zip(sheet[sheet.max_row], values, strict=False):
        cell.value = value
        if isinstance(value, str) and not isinstance(value, Formula):
            cell.data_type = "s"  # others wrote some of these; none is computed
        if isinstance(value, (Decimal, Formula)):
            cell.number_format = f"#,##0{'.' if places else ''}{'0' * places}"
        if bold:
            cell.font = BOLD


def _fit(sheet: Worksheet) -> None:
    for column in sheet.columns:
        longest = max((len(str(cell.value)) for cell in column if cell.value is not None), default=0)
        sheet.column_dimensions[column[0].column_letter].width = min(WIDTH_MAX, longest + 2)


def _plain(code: str) -> str:
    return words.capitalised(code.replace("_", " "))


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.strftime("%Y-%m-%d %H:%M UTC")
