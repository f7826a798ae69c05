"""Proposed matches that are likely enough to be accepted together: one answer, better than all others, that fits."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select

from storage import legs
from storage.engine import Database
from storage.models import matches
from storage.queries import PENDING
from storage.search import items_of

TOGETHER_MAX = 200  # as many as a person looks through before they say yes


@dataclass(frozen=True, slots=True, kw_only=True)
class Likely:
    """An object with its best answer, as it is now: `version` is checked when it is accepted."""

    source_id: str
    match_id: str
    version: int
    currency: str
    amount_minor: int
    probability_ppm: int
    document_ids: tuple[str, ...]


def proposed(database: Database, link_id: int, least_ppm: int) -> list[Likely]:
    """Up to TOGETHER_MAX, the likeliest first. What leaves a difference, and a document that is the answer for several
    objects, are for a person to look at.
    """
    items = items_of(link_id, "proposed")
    best = (
        select(matches, func.count().over(partition_by=matches.c.source_id).label("number"))
        .where(matches.c.link_id == link_id, matches.c.decision == "proposed", matches.c.rank == 1)
        .subquery()
    )
    query = (
        select(best, items.c.currency)
        .join(items, items.c.source_id == best.c.source_id)
        .where(best.c.number == 1, best.c.probability_ppm >= least_ppm)
        .order_by(best.c.probability_ppm.desc(), best.c.source_id)
        .limit(TOGETHER_MAX)
    )
    with database.read() as conn:
        rows = conn.execute(query).all()
        known = _standing(conn, link_id, [row.source_id for row in rows])
        named = Counter(part["ledger_id"] for row in rows for part in row.allocations)
        return [
            Likely(
                source_id=row.source_id,
                match_id=row.id,
                version=known[row.source_id][0],
                currency=row.currency,
                amount_minor=known[row.source_id][1],
                probability_ppm=row.probability_ppm,
                document_ids=tuple(part["ledger_id"] for part in row.allocations),
            )
            for row in rows
            if sum(part["amount_minor"] for part in row.allocations) == known[row.source_id][1]
            and all(named[part["ledger_id"]] == 1 for part in row.allocations)
        ]


def _standing(conn: Connection, link_id: int, source_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """By object its version, and what of its gross waits for a person."""
    found: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in legs.of_sources(conn, link_id, source_ids):
        found[row.source_id].append(row)
    return {source_id: (legs.version_of(rows), sum(map(_open, rows))) for source_id, rows in found.items()}


def _open(row: Row[Any]) -> int:
    waits = row.kind == "gross" and row.state == "waiting" and row.reason not in PENDING
    return int(row.amount_minor) if waits else 0
