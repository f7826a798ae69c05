"""Which report a table is: its header row, by the names of its columns in any order, and what was read of it."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from reconcile.records import Record
from storage.types import encode
from sync.files import cells
from sync.files.table import HEAD_LINES, Cell, FileError, Row, Table

SHOWN_MAX = 80  # characters of a refused value that are kept
METADATA = re.compile(r"(?:payment_metadata\[(?P<ours>.+)\])|(?:(?P<theirs>.+) \(metadata\))")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A report's columns: by our name, how the vendor writes them; one of each group of `needs` must be there."""

    name: str
    columns: Mapping[str, tuple[str, ...]]
    needs: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Report:
    """A table understood: where each column is, and the rows under the header."""

    layout: Layout
    places: Mapping[str, int]
    metadata: Mapping[str, int]
    headings: tuple[str, ...]
    title: tuple[str, ...]
    rows: tuple[Row, ...]

    def has(self, *names: str) -> bool:
        return any(name in self.places for name in names)

    def get(self, row: Row, name: str) -> Cell:
        """The cell of a column; None if the row or the report has none."""
        place = self.places.get(name)
        return row.cells[place] if place is not None and place < len(row.cells) else None

    def text(self, row: Row, name: str) -> str:
        return cells.text(self.get(row, name))

    def raw(self, row: Row) -> str:
        """The row as the file has it, for whoever looks at what a record came from."""
        pairs = zip(self.headings, row.cells, strict=False)
        return encode({heading: cells.text(cell) for heading, cell in pairs if cell is not None}).decode()

    def column(self, name: str) -> Iterator[Cell]:
        return (self.get(row, name) for row in self.rows)

    def heading(self, name: str) -> str:
        """What the file calls a column of ours."""
        place = self.places.get(name)
        return self.headings[place] if place is not None else name


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A row that was refused: where, what stands there, and what to do."""

    line: int
    column: str
    value: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What one row says: the object it is about first, then what else is learnt from it. All are taken, or none."""

    line: int  # 0 for what no single row says
    objects: tuple[tuple[str, Record], ...]  # kind in the mirror, record
    raw: str = ""


@dataclass(slots=True, kw_only=True)
class Parsed:
    """What was read of a file. `sums` by currency are of the rows taken, in minor units, as the report's totals are."""

    report: str
    items: list[Item] = field(default_factory=list)
    rest: list[Item] = field(default_factory=list)  # what only several rows together tell
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    rows: int = 0
    not_needed: Counter[str] = field(default_factory=Counter)
    sums: dict[str, Counter[str]] = field(default_factory=dict)
    days: set[date] = field(default_factory=set)
    settings: dict[str, Any] = field(default_factory=dict)  # what the file says of the whole side
    unsure: set[str] = field(default_factory=set)  # fields of documents that this report can only guess

    def add(self, currency: str, **amounts: int) -> None:
        self.sums.setdefault(currency, Counter()).update(amounts)

    def refuse(self, row: Row, column: str, value: Cell, text: str) -> None:
        shown = cells.text(value)
        shown = shown if len(shown) <= SHOWN_MAX else shown[:SHOWN_MAX] + "…"
        self.problems.append(Problem(line=row.line, column=column, value=shown, text=text))


class ReadingError(Exception):
    """A row that cannot be taken, for one of its columns."""

    def __init__(self, column: str, value: Cell, text: str) -> None:
        super().__init__(text)
        self.column, self.value, self.text = column, value, text


def understand(tables: list[Table], layouts: tuple[Layout, ...]) -> Report:
    """The first table with a header row of one of these layouts. Raises FileError that names what is missing."""
    best: tuple[int, Layout, list[str]] | None = None
    for table in tables:
        for number, row in enumerate(table.rows[:HEAD_LINES]):
            for layout in layouts:
                found = _places(row, layout)
                missing = [group[0] for group in layout.needs if not any(name in found for name in group)]
                if not missing:
                    return _report(table, number, layout, found)
                if best is None or len(layout.needs) - len(missing) > best[0]:
                    best = (len(layout.needs) - len(missing), layout, missing)
    if best is None or not best[0]:
        names = "; ".join(layout.name for layout in layouts)
        raise FileError(f"This is none of the reports Tieout reads: {names}. Export one of these as CSV or Excel.")
    columns = ", ".join(best[1].columns[name][0] for name in best[2])
    raise FileError(f"This looks like the report “{best[1].name}”, but it lacks {columns}. Export it with that column.")


def normal(name: str) -> str:
    """A heading without what reports write differently: case, brackets, underscores."""
    return re.sub(r"[^a-z0-9#]+", " ", name.casefold()).strip()


def _places(row: Row, layout: Layout) -> dict[str, int]:
    names = {name: our for our, theirs in layout.columns.items() for name in map(normal, theirs)}
    found: dict[str, int] = {}
    for place, cell in enumerate(row.cells):
        if isinstance(cell, str) and (our := names.get(normal(cell))):
            found.setdefault(our, place)
    return found


def _report(table: Table, number: int, layout: Layout, places: dict[str, int]) -> Report:
    header = table.rows[number]
    metadata = {}
    for place, cell in enumerate(header.cells):
        if isinstance(cell, str) and (found := METADATA.fullmatch(cell)):
            metadata[found["ours"] or found["theirs"]] = place
    headings = tuple(cells.text(cell) for cell in header.cells)
    title = tuple(cells.text(cell) for row in table.rows[:number] for cell in row.cells if cell is not None)
    rows = [row for row in table.rows[number + 1 :] if any(cell is not None for cell in row.cells)]
    return Report(layout, places, metadata, headings, title, tuple(rows))
