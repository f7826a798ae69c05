"""What is left of legs that were posted with fewer decimals than Stripe's amounts have."""

from collections import Counter, defaultdict
from typing import Any

from sqlalchemy import Connection, Row, Text, and_, func, or_, select, type_coerce

from reconcile.money import THREE_DECIMAL, books_unit
from reconcile.postings import Posting
from reconcile.rounding import KIND, Remainder
from storage import outbox
from storage.connections import Link
from storage.mirror import chunks
from storage.models import legs
from storage.models import outbox as rows
from storage.records import from_json

MARK = f":{KIND}-"


def load(conn: Connection, link: Link) -> list[Remainder]:
    """Of legs in the books, or too small for them, that are in no entry yet; and what the last entries left."""
    currencies = sorted(THREE_DECIMAL & set(link.mappings.clearing))
    if not currencies:
        return []
    marked = type_coerce(legs.c.markers, Text).contains(MARK, autoescape=True)
    is_posted = and_(legs.c.state == "posted", ~legs.c.before_cutover, ~marked)
    is_small = and_(legs.c.state == "waiting", legs.c.reason == "rounding", ~marked)
    found = list(
        conn.execute(
            select(legs).where(
                legs.c.link_id == link.id,
                legs.c.balance_type == "payments",
                legs.c.currency.in_(currencies),
                legs.c.amount_minor % books_unit(currencies[0]) != 0,
                or_(is_posted, is_small),
            )
        )
    )
    last = sorted({each.shares[-1].leg_id for each in _entries(conn, link.id) if each.shares})
    for chunk in chunks(last):
        found += conn.execute(select(legs).where(legs.c.link_id == link.id, legs.c.id.in_(chunk)))
    return _remainders(conn, link, found)


def made(conn: Connection, link_id: int) -> Counter[str]:
    """How many entries there are, by the stem of their markers."""
    return Counter(each.marker.rsplit(":", 2)[0] for each in _entries(conn, link_id))


def latest_day(conn: Connection, link_id: int) -> Any:
    """The day of the newest movement (a date), which says what months are over; None if there is none."""
    return conn.execute(select(func.max(legs.c.dated)).where(legs.c.link_id == link_id)).scalar()


def _remainders(conn: Connection, link: Link, found: list[Row[Any]]) -> list[Remainder]:
    items = outbox.by_marker(conn, link.ledger_id, sorted({marker for row in found for marker in row.markers}))
    booked: dict[str, int] = defaultdict(int)
    rates: dict[str, str] = {}
    for item in items.values():
        if item.state in ("withdrawn", "spent"):
            continue
        for share in item.posting.shares:
            booked[share.leg_id] += share.amount_minor
            if item.posting.exchange_rate and item.posting.currency in link.mappings.clearing:
                rates[share.leg_id] = item.posting.exchange_rate
    left = {row.id: row.amount_minor - booked[row.id] for row in found}
    return [
        Remainder(
            leg_id=row.id,
            currency=row.currency,
            dated=row.dated,
            amount_minor=left[row.id],
            exchange_rate=rates.get(row.id),
        )
        for row in {row.id: row for row in found}.values()
        if 0 < abs(left[row.id]) < books_unit(row.currency)
    ]


def _entries(conn: Connection, link_id: int) -> list[Posting]:
    marked = rows.c.marker.contains(MARK, autoescape=True)
    stored = conn.execute(select(rows.c.posting).where(rows.c.link_id == link_id, marked)).scalars()
    return [from_json(posting, Posting) for posting in stored]
