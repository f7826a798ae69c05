"""Any report in the documented layout is read back exactly, however its columns, letters and figures are written."""

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from reconcile.money import to_decimal
from reconcile.records import Document, Movement
from sync.files import cells, quickbooks, stripe
from sync.files.report import understand
from sync.files.table import read

ZONE = ZoneInfo("America/New_York")
CURRENCIES = st.sampled_from(("USD", "EUR", "JPY", "KWD"))
MINOR = st.integers(-(10**10), 10**10)
WORDS = st.text(st.characters(codec="cp1252", exclude_categories=("C", "Z")), max_size=12)
ENCODINGS = st.sampled_from(("utf-8", "utf-8-sig", "utf-16", "cp1252"))
DAYS = st.dates(date(2020, 1, 1), date(2030, 12, 31))
INSTANTS = st.datetimes(*map(datetime.fromisoformat, ("2020-01-01", "2030-12-31")), timezones=st.just(UTC)).map(
    lambda instant: instant.replace(microsecond=0)
)


def written(rows: list[list[str]], encoding: str, separator: str) -> bytes:
    out = io.StringIO()
    csv.writer(out, delimiter=separator).writerows(rows)
    return out.getvalue().encode(encoding)


@st.composite
def entries(draw: st.DrawFn) -> list[dict[str, str]]:
    rows = []
    for number in range(draw(st.integers(1, 8))):
        currency, gross, fee, at = draw(CURRENCIES), draw(MINOR), draw(st.integers(0, 10**6)), draw(INSTANTS)
        amounts = {"gross": gross, "fee": fee, "net": gross - fee}
        rows.append(
            {
                "balance_transaction_id": f"txn_{number}",
                "created_utc": f"{at:%Y-%m-%d %H:%M:%S}",
                "created": f"{at.astimezone(ZONE):%Y-%m-%d %H:%M:%S}",
                "currency": currency.lower(),
                **{name: str(to_decimal(minor, currency)) for name, minor in amounts.items()},
                "reporting_category": draw(st.sampled_from(("charge", "refund", "fee", "something_new"))),
                "source_id": f"ch_{number}",
                "description": draw(WORDS),
            }
        )
    return rows


@settings(max_examples=60, deadline=None)
@given(st.data(), entries(), ENCODINGS, st.sampled_from(",;\t|"), st.booleans())
def test_stripe_entries_come_back_exactly(
    data: st.DataObject, rows: list[dict[str, str]], encoding: str, separator: str, has_utc: bool
) -> None:
    columns = data.draw(st.permutations([name for name in rows[0] if has_utc or name != "created_utc"]))
    table = [["Itemized balance change from activity"], [], columns, *([row[name] for name in columns] for row in rows)]
    report = understand(read(written(table, encoding, separator)), stripe.LAYOUTS)
    parsed = stripe.parse(report, ZONE, is_reconciliation=False)
    assert not parsed.problems
    movements = [record for item in parsed.items for kind, record in item.objects if kind == "movement"]
    for row, movement in zip(rows, movements, strict=True):
        assert isinstance(movement, Movement)
        assert movement.id == row["balance_transaction_id"]
        assert movement.currency == row["currency"].upper()
        assert to_decimal(movement.gross_minor, movement.currency) == Decimal(row["gross"])
        assert to_decimal(movement.net_minor, movement.currency) == Decimal(row["net"])
        assert sum(fee.amount_minor for fee in movement.fees) == movement.fee_minor
        assert movement.category == row["reporting_category"]
        assert movement.description == row["description"].strip()
        if has_utc:
            assert f"{movement.created_at:%Y-%m-%d %H:%M:%S}" == row["created_utc"]
        else:  # the hour that a clock in the zone shows twice cannot be told from it
            assert f"{movement.created_at.astimezone(ZONE):%Y-%m-%d %H:%M:%S}" == row["created"]


STYLES = {
    ".": (lambda figure: f"{figure:,.2f}", lambda figure: f"$({-figure:,.2f})" if figure < 0 else f"${figure:,.2f}"),
    ",": (lambda figure: f"{figure:,.2f}".translate(str.maketrans(",.", ".,")),),
}


@st.composite
def documents(draw: st.DrawFn) -> list[tuple[str, date, str, str, int]]:
    kinds = st.sampled_from(("Invoice", "Payment", "Credit Memo", "Expense", "Deposit", "Estimate"))
    return [
        (
            draw(kinds),
            draw(DAYS),
            f"INV-{number}",
            draw(WORDS.filter(lambda text: text and text[0] != "=")),
            draw(st.integers(1, 10**10)),
        )
        for number in range(draw(st.integers(1, 8)))
    ]


@settings(max_examples=60, deadline=None)
@given(st.data(), documents(), ENCODINGS, st.sampled_from(".,"), st.booleans())
def test_quickbooks_documents_come_back_exactly(
    data: st.DataObject, rows: list[tuple[str, date, str, str, int]], encoding: str, mark: str, is_workbook: bool
) -> None:
    columns = data.draw(st.permutations(["Transaction Date", "Type", "No.", "Customer", "Memo", "Amount"]))
    order = data.draw(st.sampled_from(("mdy", "dmy")))
    style = data.draw(st.sampled_from(STYLES[mark]))
    table: list[list[object]] = [["Harbour & Sons"], ["Transaction List by Date"], ["All Dates"], [], columns]
    for kind, day, number, name, minor in rows:
        values: dict[str, object] = {
            "Transaction Date": f"{day:%m/%d/%Y}" if order == "mdy" else f"{day:%d/%m/%Y}",
            "Type": kind,
            "No.": number,
            "Customer": name,
            "Memo": "",
            "Amount": style(to_decimal(minor, "USD")),
        }
        if is_workbook:
            values |= {"Transaction Date": day, "Amount": float(to_decimal(minor, "USD"))}
        table.append([values[column] for column in columns])
    total = style(to_decimal(sum(minor for *_, minor in rows), "USD"))
    if columns[0] != "Amount":
        table.append(["TOTAL", *(total if column == "Amount" else "" for column in columns[1:])])
    content = workbook(table) if is_workbook else written([list(map(str, row)) for row in table], encoding, ";")
    report = understand(read(content), quickbooks.LAYOUTS)
    parsed = quickbooks.parse(report, "USD", None, order)  # type: ignore[arg-type]
    assert not parsed.problems
    assert not [note for note in parsed.notes if "total" in note]
    found = [item.objects[0][1] for item in parsed.items]
    expected = [row for row in rows if row[0] != "Estimate"]
    assert parsed.not_needed.total() == len(rows) - len(expected)
    for row, document in zip(expected, found, strict=True):
        assert isinstance(document, Document)
        assert (document.dated, document.doc_number, document.customer_name) == (row[1], row[2], row[3].strip())
        assert document.amount_minor == row[4]
        assert document.open_minor == (row[4] if row[0] == "Invoice" else 0)
    assert len({document.id for document in found if isinstance(document, Document)}) == len(expected)


def workbook(table: list[list[object]]) -> bytes:
    book = Workbook()
    for row in table:
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


@given(MINOR, CURRENCIES)
def test_amounts_come_back_or_are_refused(minor: int, currency: str) -> None:
    """What is written plainly is read exactly; one decimal too many is never rounded away."""
    figure = to_decimal(minor, currency)
    assert cells.plain_amount(str(figure), currency) == minor
    assert cells.amount(str(figure), currency) == minor
    assert cells.amount(figure, currency) == minor
    finer = figure + Decimal(1).scaleb(-cells.exponent(currency) - 1)
    for read_amount in (cells.plain_amount, cells.amount):
        try:
            read_amount(str(finer), currency)
        except cells.CellError:
            continue
        raise AssertionError("it was rounded")
