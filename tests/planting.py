"""Damage planted in a stored SQLite database behind the application's back: one bit of a cell, or a cell edited."""

import random  # noqa: TID251  a seeded one
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TABLES = ("audit", "mirror")


@dataclass(frozen=True, slots=True)
class Planted:
    """Where something was changed, and from what into what."""

    table: str
    row_id: int
    column: str
    before: Any
    after: Any


def cells(conn: sqlite3.Connection) -> dict[str, Sequence[str]]:
    """The columns of each table."""
    return {each: [row[1] for row in conn.execute(f"PRAGMA table_info({each})")] for each in TABLES}


def plant(conn: sqlite3.Connection, rng: random.Random, columns: dict[str, Sequence[str]]) -> Planted:
    """Changes one cell, which is chosen as the table, the row and the column are: each alike. The caller commits."""
    while True:
        table = rng.choice(TABLES)
        rows = [row[0] for row in conn.execute(f"SELECT rowid FROM {table} ORDER BY rowid")]
        row_id, column = rng.choice(rows), rng.choice(columns[table])
        (before,) = conn.execute(f"SELECT {column} FROM {table} WHERE rowid = ?", [row_id]).fetchone()
        after = (_flip if rng.random() < 0.5 else _edit)(rng, before)
        try:
            conn.execute(f"UPDATE {table} SET {column} = {_as(after)} WHERE rowid = ?", [after, row_id])
        except sqlite3.IntegrityError:  # there is such a row already, or it may not be empty: the database refuses
            continue
        return Planted(table, row_id, column, before, after)


def _as(value: Any) -> str:
    """A text whose bit was flipped need not be UTF-8 any more, but is stored as text all the same."""
    return "CAST(? AS TEXT)" if isinstance(value, bytes) else "?"


def _flip(rng: random.Random, before: Any) -> Any:
    if isinstance(before, int):
        return before ^ (1 << rng.randrange(8))
    if not before:
        return _edit(rng, before)
    content = bytearray(before.encode())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(content)


def _edit(rng: random.Random, before: Any) -> Any:
    """What a person with a database tool might write: another number, another text, nothing, something."""
    if isinstance(before, int):
        return before + rng.choice((-100, -1, 1, 100))
    if before is None:
        return rng.choice(("1", "x"))
    at = rng.randrange(len(before) + 1)
    return rng.choice((None, before[:at] + rng.choice("0 x\n") + before[at:], before[:at] + before[at + 1 :] + "7"))


def open_file(path: Path) -> sqlite3.Connection:
    """As no part of Tieout opens it: no foreign keys, no checks."""
    return sqlite3.connect(path, isolation_level=None)
