"""Files as rows of cells, and files that are refused as a whole."""

import io
import zipfile
from collections.abc import Callable
from decimal import Decimal

import pytest
from openpyxl import Workbook

from sync.files import table
from sync.files.table import FileError, read


def xlsx(fill: Callable[[Workbook], None]) -> bytes:
    book = Workbook()
    fill(book)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def zipped(**parts: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def test_lines_are_those_a_person_sees() -> None:
    (found,) = read(b'Title\n\na,b\n1,"two\nlines"\n3,4\n')
    assert [(row.line, row.cells) for row in found.rows] == [
        (1, ("Title",)),
        (2, ()),
        (3, ("a", "b")),
        (4, ("1", "two\nlines")),
        (6, ("3", "4")),
    ]


def test_figures_of_a_workbook_are_exact() -> None:
    def fill(book: Workbook) -> None:
        book.active.append([0.1, 1234.56, 10, "=1+1", None, True])

    (found,) = read(xlsx(fill))
    assert found.rows[0].cells[:4] == (Decimal("0.1"), Decimal("1234.56"), Decimal(10), None)


def test_every_sheet_is_a_table() -> None:
    def fill(book: Workbook) -> None:
        book.create_sheet("second").append(["x"])

    assert [len(each.rows) for each in read(xlsx(fill))] == [0, 1]


BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "'
    + b"x" * 1000
    + b'">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 50) for n in range(6))
    + b"]><sst>&g;</sst>"
)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"%PDF-1.7 ...", "neither CSV nor Excel"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 100, "Save it as .xlsx"),
        (b"PK\x03\x04 and nothing more", "damaged or protected"),
        (zipped(**{"xl/workbook.xml": BOMB, "[Content_Types].xml": BOMB}), "damaged or protected"),
        (b'a,b\n"never closed', None),
        (b"a,b\n" + b"x" * 200_000, "damaged"),
        (b"\xff\xfea", "letters"),
    ],
)
def test_what_is_no_table_is_refused_with_a_sentence(content: bytes, says: str | None) -> None:
    if says is None:  # a quotation mark that is missing swallows the rest, which then is no header
        assert len(read(content)[0].rows) == 2
        return
    with pytest.raises(FileError, match=says):
        read(content)


def test_a_workbook_that_grows_when_unpacked_is_refused_before_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "UNPACKED_MAX", 1_000_000)
    packed = zipped(**{"xl/worksheets/sheet1.xml": b"0" * 2_000_000})
    assert len(packed) < 10_000
    with pytest.raises(FileError, match="too large once unpacked"):
        read(packed)


def test_size_and_rows_have_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "ROWS_MAX", 3)
    with pytest.raises(FileError, match="more than 3 rows"):
        read(b"a\nb\nc\nd\n")
    with pytest.raises(FileError, match="columns"):
        read(b"," * 600)
    monkeypatch.setattr(table, "SIZE_MAX", 5)
    with pytest.raises(FileError, match="larger than"):
        read(b"123456")
