"""What the charts of Overview show, summed up by the database: a row a day, whatever there is of a day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import polars as pl
from sqlalchemy import ColumnElement, Connection, Row, and_, func, or_, select

from storage import mirror, queries
from storage.engine import Database
from storage.memo import remembered
from storage.models import legs, outbox, runs
from storage.queries import PENDING
from storage.search import days as waiting_days

# Stripe's reporting categories (its documentation, "Reporting categories").
VOLUME, FEES, REFUNDS, DISPUTES = ("charge",), ("fee",), ("refund", "refund_failure"), ("dispute", "dispute_reversal")
SCHEMA = pl.Schema(
    {"day": pl.Date(), "entries": pl.Int64(), "settled": pl.Int64()}
    | {f"{name}_minor": pl.Int64() for name in ("volume", "fees", "refunds", "disputes", "waiting")}
    | {"waiting": pl.Int64()}
)
WAITING_SCHEMA = pl.Schema({"day": pl.Date(), "waiting": pl.Int64(), "waiting_minor": pl.Int64()})
SAMPLE_MAX = 500  # payments of which the time into the books is taken, the newest


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How long payments took into the books, from the moment Stripe had them: half of them, and 95 of 100."""

    count: int
    median: timedelta
    slow: timedelta


def per_day(database: Database, link_id: int, currency: str) -> pl.DataFrame:
    """SCHEMA, by day in the link's zone since the cut-over, in minor units; fees, refunds and disputes above zero take
    money away. `waiting` counts what Review lists, the others entries.
    """
    waits = remembered(database, link_id, ("waits", currency), lambda conn: waiting_days(conn, link_id, currency))
    waiting = pl.DataFrame(waits, schema=WAITING_SCHEMA, orient="row")
    taken = _taken(queries.tally(database, link_id).filter(pl.col("currency") == currency))
    found = taken.join(waiting, on="day", how="full", coalesce=True).sort("day")
    return found.with_columns(pl.exclude("day").fill_null(0)).select(SCHEMA.names()).cast(SCHEMA)


def _taken(tally: pl.DataFrame) -> pl.DataFrame:
    """The columns of SCHEMA that are not about what waits for a person."""
    mine = tally.filter(pl.col("balance_type") == "payments", ~pl.col("before_cutover"))
    is_gross, category = pl.col("kind") == "gross", pl.col("category")
    amount, entries = pl.col("amount_minor"), pl.col("entries")
    return mine.group_by("day").agg(
        entries=entries.sum(),
        settled=entries.filter(pl.col("state") != "waiting").sum(),
        volume_minor=amount.filter(is_gross, category.is_in(VOLUME)).sum(),
        fees_minor=-amount.filter(~is_gross | category.is_in(FEES)).sum(),
        refunds_minor=-amount.filter(is_gross, category.is_in(REFUNDS)).sum(),
        disputes_minor=-amount.filter(is_gross, category.is_in(DISPUTES)).sum(),
    )


def speed(database: Database, link_id: int) -> Speed | None:
    """Of the newest payments that came after the first sync; None if there are none: older ones waited for it."""
    return remembered(database, link_id, "speed", lambda conn: _speed(conn, link_id))


def _speed(conn: Connection, link_id: int) -> Speed | None:
    begun = select(func.min(runs.c.finished_at)).where(runs.c.link_id == link_id, runs.c.state == "done")
    first = conn.execute(begun).scalar()
    if first is None:
        return None
    query = (
        select(legs.c.created_at, legs.c.markers)
        .where(
            legs.c.link_id == link_id,
            legs.c.state == "posted",
            legs.c.created_at > first,
            legs.c.kind == "gross",
            legs.c.category.in_(VOLUME),
        )
        .order_by(legs.c.created_at.desc())
        .limit(SAMPLE_MAX)
    )
    rows = conn.execute(query).all()
    posted = _posted_at(conn, link_id, [marker for row in rows for marker in row.markers])
    times = sorted(
        posted[marker] - row.created_at for row in rows for marker in row.markers[:1] if posted.get(marker) is not None
    )
    if not times:
        return None
    return Speed(
        count=len(times), median=times[len(times) // 2], slow=times[min(len(times) * 95 // 100, len(times) - 1)]
    )


def _posted_at(conn: Connection, link_id: int, markers: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for chunk in mirror.chunks(sorted(set(markers))):
        these = (outbox.c.link_id == link_id, outbox.c.marker.in_(chunk), outbox.c.posted_at.is_not(None))
        found.update(
            (row.marker, row.posted_at)
            for row in conn.execute(select(outbox.c.marker, outbox.c.posted_at).where(*these))
        )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A part of a movement, where it stands, and the documents in QuickBooks that show it."""

    day: date
    source_id: str
    what: str  # Stripe's reporting category, or the kind of a fee
    amount_minor: int
    standing: str
    document_ids: tuple[str, ...]


def entries(
    database: Database, link_id: int, currency: str, first: date, last: date, what: str, limit: int = 200
) -> tuple[list[Entry], int]:
    """What stands behind a bar of a chart: of some days, what is posted, matched, waiting, ... or fees, refunds and
    disputes. Gives the first of them, by day, and how many there are.
    """
    mine = [legs.c.link_id == link_id, legs.c.currency == currency, legs.c.before_cutover.is_(False)]
    mine += [legs.c.dated.between(first, last), _is(what)]
    query = select(legs).where(*mine).order_by(legs.c.dated, legs.c.source_id, legs.c.id).limit(limit)
    with database.read() as conn:
        rows = conn.execute(query).all()
        number = conn.scalar(select(func.count()).select_from(legs).where(*mine)) or 0
        markers = {marker for row in rows for marker in row.markers}
        posted = {
            row.marker: row.document_id
            for chunk in mirror.chunks(sorted(markers))
            for row in conn.execute(
                select(outbox.c.marker, outbox.c.document_id).where(
                    outbox.c.link_id == link_id, outbox.c.marker.in_(chunk), outbox.c.document_id.is_not(None)
                )
            )
        }
    return [_entry(row, posted) for row in rows], number


def _is(what: str) -> ColumnElement[bool]:
    """The legs that a bar of this name counts."""
    pending = and_(legs.c.state == "waiting", legs.c.reason.in_(PENDING))
    paid = legs.c.balance_type == "payments"  # Stripe's other balances are not in the chart
    named = {
        "fees": and_(paid, or_(legs.c.kind != "gross", legs.c.category.in_(FEES))),
        "refunds": and_(paid, legs.c.kind == "gross", legs.c.category.in_(REFUNDS)),
        "disputes": and_(paid, legs.c.kind == "gross", legs.c.category.in_(DISPUTES)),
        "pending": pending,
        "waiting": and_(legs.c.state == "waiting", legs.c.reason.not_in(PENDING)),
    }
    return named.get(what, legs.c.state == what)


def _entry(row: Row[Any], posted: Mapping[str, str]) -> Entry:
    is_pending = row.state == "waiting" and row.reason in PENDING
    return Entry(
        day=row.dated,
        source_id=row.source_id,
        what=row.category if row.kind == "gross" else row.kind,
        amount_minor=row.amount_minor,
        standing="pending" if is_pending else row.state,
        document_ids=(*row.document_ids, *(posted[marker] for marker in row.markers if marker in posted)),
    )
