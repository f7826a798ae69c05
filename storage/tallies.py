"""Legs counted and summed by their day and by how they stand: what totals, charts and a close are made of.

Of what is settled a day's counts can be kept (storage.carried), for the audit tells when they change. What waits
changes without being told of, and is little: it is always counted as it is.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import polars as pl
from sqlalchemy import ColumnElement, Connection, case, func, select

from storage.models import legs

GROUP = ("dated", "currency", "balance_type", "before_cutover", "kind", "category", "state", "reason")
# A row for all legs that are alike in GROUP. `movements` counts those whose first leg is among them, so that each
# movement is counted once. `oldest` is when the first that waits came; null for what does not wait.
TALLY_SCHEMA = pl.Schema(
    {
        "day": pl.Date(),
        "currency": pl.String(),
        "balance_type": pl.String(),
        "before_cutover": pl.Boolean(),
        "kind": pl.String(),
        "category": pl.String(),
        "state": pl.String(),
        "reason": pl.String(),
        "entries": pl.Int64(),
        "amount_minor": pl.Int64(),
        "movements": pl.Int64(),
        "oldest": pl.Datetime("us", "UTC"),
    }
)
KEPT = [name for name in TALLY_SCHEMA.names() if name not in ("day", "oldest")]  # of a day


def settled(conn: Connection, link_id: int, *which: ColumnElement[bool]) -> pl.DataFrame:
    """TALLY_SCHEMA of all legs that do not wait; or of those of some days, which `which` names."""
    return _read(conn, [legs.c.link_id == link_id, *which], waits=False)


def waiting(conn: Connection, link_id: int, *which: ColumnElement[bool]) -> pl.DataFrame:
    """The same of all legs that wait."""
    these = select(legs.c.movement_id).where(legs.c.link_id == link_id, legs.c.state == "waiting", *which)
    return _read(conn, [legs.c.link_id == link_id, legs.c.movement_id.in_(these)], waits=True)


def rows_of(tally: pl.DataFrame) -> list[list[Any]]:
    """Of one day, as it is kept."""
    return [list(row) for row in tally.select(KEPT).sort(KEPT).iter_rows()]


def of_rows(kept: Iterable[tuple[date, list[list[Any]]]]) -> pl.DataFrame:
    """TALLY_SCHEMA of days as they were kept."""
    rows = [(day, *row, None) for day, found in kept for row in found]
    return pl.DataFrame(rows, schema=TALLY_SCHEMA, orient="row")


def _read(conn: Connection, which: Sequence[ColumnElement[bool]], *, waits: bool) -> pl.DataFrame:
    """Of whole movements, so that the first of their legs is known."""
    names = (*GROUP, "movement_id", "id", "amount_minor", "created_at")
    # By itself: else SQLite goes through all movements there are, since their index has them in order.
    some = select(*(legs.c[name] for name in names)).where(*which).cte("some").prefix_with("MATERIALIZED")
    place = func.row_number().over(partition_by=some.c.movement_id, order_by=some.c.id).label("place")
    each = select(some, place).subquery()
    group = [each.c[name] for name in GROUP]
    counts = func.count(), func.sum(each.c.amount_minor), func.sum(case((each.c.place == 1, 1), else_=0))
    stands = each.c.state == "waiting" if waits else each.c.state != "waiting"
    query = select(*group, *counts, func.min(each.c.created_at)).group_by(*group)
    rows = [
        (*head, int(total), int(firsts), since if waits else None)
        for *head, total, firsts, since in conn.execute(query.where(stands))
    ]
    return pl.DataFrame(rows, schema=TALLY_SCHEMA, orient="row")
