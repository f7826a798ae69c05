"""What the charts of Overview show, summed up by the database: a row a day, whatever there is of a day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import polars as pl
from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, or_, select

from storage import mirror
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
    return remembered(database, link_id, ("per_day", currency), lambda conn: _per_day(conn, link_id, currency))


def _per_day(conn: Connection, link_id: int, currency: str) -> pl.DataFrame:
    query = (
        select(
            legs.c.dated,
            func.count().label("entries"),
            func.sum(case((legs.c.state != "waiting", 1), else_=0)).label("settled"),
            _sum(and_(legs.c.kind == "gross", legs.c.category.in_(VOLUME))).label("volume"),
            *(_sum(_is(what)).label(what) for what in ("fees", "refunds", "disputes")),
        )
        .where(
            legs.c.link_id == link_id,
            legs.c.currency == currency,
            legs.c.balance_type == "payments",
            legs.c.before_cutover.is_(False),
        )
        .group_by(legs.c.dated)
    )
    taken = {row.dated: row for row in conn.execute(query)}
    waits = {day: (count, minor) for day, count, minor in waiting_days(conn, link_id, currency)}
    rows = [_row(day, taken.get(day), waits.get(day, (0, 0))) for day in sorted(taken.keys() | waits.keys())]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _sum(which: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((which, legs.c.amount_minor), else_=0))


def _row(day: date, row: Any, waits: tuple[int, int]) -> tuple[Any, ...]:
    if row is None:
        return (day, 0, 0, 0, 0, 0, 0, waits[1], waits[0])
    taken = (-int(row.fees), -int(row.refunds), -int(row.disputes))
    return (day, row.entries, row.settled, int(row.volume), *taken, waits[1], waits[0])


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
