"""A file as rows of cells: CSV in any usual encoding and separator, or the sheets of an Excel workbook.

Nothing is computed: of a formula the value is taken that was saved with it. Numbers of a workbook become exact
decimals here (what Excel shows, by the shortest text that means the same binary number), so that no float goes on.
"""

import csv
import io
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

Cell = str | Decimal | date | None  # a datetime is a date too

SIZE_MAX = 50_000_000  # bytes of a file
UNPACKED_MAX = 400_000_000  # bytes of a workbook once unpacked
PARTS_MAX = 1_000  # of a workbook
ROWS_MAX = 500_000
COLUMNS_MAX = 500
SEPARATORS = (",", ";", "\t", "|")
HEAD_LINES = 60  # the header row is among these
# What reading a damaged workbook raises; openpyxl has no common error of its own.
UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, SyntaxError, EOFError, OSError),
    *(KeyError, ValueError, TypeError, AttributeError, IndexError, NotImplementedError, RuntimeError),
)


class FileError(Exception):
    """A file that cannot be taken as a whole; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row and where a person finds it: its line in the file, or its row in the sheet."""

    line: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """One CSV file, or one sheet of a workbook."""

    rows: tuple[Row, ...]


def read(content: bytes) -> list[Table]:
    """The tables of a file. Raises FileError for what is no table, too large, or damaged."""
    if len(content) > SIZE_MAX:
        raise FileError(f"The file is larger than {SIZE_MAX // 1_000_000} MB. Export a shorter period.")
    if not content.strip():
        raise FileError("The file is empty. Export it again.")
    if content.startswith(b"PK\x03\x04"):
        return _workbook(content)
    if content.startswith(b"\xd0\xcf\x11\xe0"):
        raise FileError("This is an old or a protected Excel file. Save it as .xlsx without a password, or as CSV.")
    if content.startswith((b"%PDF", b"<!", b"<html", b"<?xml", b"{")):
        raise FileError("This is neither CSV nor Excel. Export the report as CSV or Excel (.xlsx).")
    return [Table(tuple(_csv(_decode(content))))]


# ---- CSV


def _decode(content: bytes) -> str:
    """Unicode with or without its mark, else what Windows programs write in the west."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            return _decoded(content, encoding)
    if b"\0" in content[:200]:
        return _decoded(content, "utf-16-be" if content[0] == 0 else "utf-16-le")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return _decoded(content, "cp1252")
    return _decoded(content, "utf-8")


def _decoded(content: bytes, encoding: str) -> str:
    try:
        text = content.decode(encoding)
        if "\0" not in text:  # which no text has, and PostgreSQL does not keep
            return text
    except UnicodeDecodeError:
        pass
    raise FileError("The letters of this file cannot be read. Save it as CSV in UTF-8.")


def _csv(text: str) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text))
    line = 1
    try:
        for number, cells in enumerate(reader):
            _check_size(number, len(cells))
            yield Row(line, tuple(cell.strip() or None for cell in cells))
            line = reader.line_num + 1
    except csv.Error:
        raise FileError(f"Line {line} of the file is damaged: a quotation mark is missing, or it is no text.") from None


def _separator(text: str) -> str:
    """The one that makes the widest row; report titles above the header are narrow."""
    head = "\n".join(text.splitlines()[:HEAD_LINES])

    def width(separator: str) -> int:
        try:
            return max(map(len, csv.reader(io.StringIO(head, newline=""), delimiter=separator)), default=0)
        except csv.Error:
            return 0

    return max(SEPARATORS, key=width)


# ---- Excel


def _workbook(content: bytes) -> list[Table]:
    from openpyxl import load_workbook

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = archive.infolist()
        if len(parts) > PARTS_MAX or sum(part.file_size for part in parts) > UNPACKED_MAX:
            raise FileError("This workbook is too large once unpacked. Export a shorter period, or as CSV.")
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
        return [Table(tuple(_sheet(sheet))) for sheet in book.worksheets]
    except UNREADABLE:
        raise FileError("This Excel file is damaged or protected. Export it again, or save it as CSV.") from None


def _sheet(sheet: object) -> Iterator[Row]:
    sheet.reset_dimensions()  # type: ignore[attr-defined]  # what the file says of its size is often wrong
    for number, cells in enumerate(sheet.iter_rows(values_only=True)):  # type: ignore[attr-defined]
        _check_size(number, len(cells))
        yield Row(number + 1, tuple(_cell(value) for value in cells))


def _cell(value: object) -> Cell:
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int | float):
        return Decimal(repr(value))
    if isinstance(value, datetime | date):
        return value
    return str(value).strip() or None if value is not None else None


def _check_size(rows: int, columns: int) -> None:
    if rows >= ROWS_MAX:
        raise FileError(f"The file has more than {ROWS_MAX:,} rows. Export a shorter period.")
    if columns > COLUMNS_MAX:
        raise FileError(f"The file has more than {COLUMNS_MAX} columns. Is it the right one?")
