"""Tables that leave for a spreadsheet."""

import polars as pl

CELL_RISK = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would take these for formulas


def as_csv(frame: pl.DataFrame) -> str:
    """Texts that a spreadsheet would take for formulas are quoted: others wrote them. Headings are ours."""
    texts = [name for name, type_ in frame.schema.items() if type_ == pl.String]
    return frame.with_columns(pl.Series(name, map(_safe, frame[name]), dtype=pl.String) for name in texts).write_csv()


def _safe(value: str | None) -> str | None:
    return f"'{value}" if value is not None and value.lstrip(" \n").startswith(CELL_RISK) else value
