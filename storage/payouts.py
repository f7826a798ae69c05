"""What the page Payouts reads: payouts a page at a time, and one payout as a statement of what Stripe paid out.

The movements of a payout are those Stripe itself lists for it; that their nets, its own included, make zero is the
proof that nothing is missing. Sums are made by the database: a payout may hold tens of thousands of movements.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from sqlalchemy import BigInteger, ColumnElement, Connection, Text, and_, cast, column, func, select, type_coerce
from sqlalchemy.dialects.postgresql import JSONB

from reconcile.records import Movement, Payout
from storage import connections
from storage.connections import Link
from storage.engine import Database
from storage.models import legs, mirror, outbox
from storage.proof import IN_BOOKS
from storage.records import from_json

# What the bank has of it, by Stripe's word for its state.
BANK = {
    "in_transit": ("pending", "in_transit"),
    "arrived": ("paid",),
    "failed": ("failed", "canceled"),
}
Standing = Literal["ties", "apart", "not_itemised", "unread"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tie:
    """Whether a payout ties to its movements: `rest_minor` is what their nets leave over, its own included.

    `not_itemised`: Stripe has not said what is in it; `unread`: it names movements that were not read yet.
    """

    standing: Standing
    movements: int = 0
    rest_minor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutView:
    """A payout, whether it ties out, and its documents in the books."""

    payout: Payout
    tie: Tie
    document_ids: tuple[str, ...]
    waits: str  # why it is not in the books, as a sentence; "" if it is


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutPage:
    rows: tuple[PayoutView, ...]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The movements of one category, in the payout's currency. `fee_minor` above zero was taken off the gross."""

    category: str
    count: int
    gross_minor: int
    fee_minor: int
    net_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What is in one payout, the payout's own movement not among it. `fees` are (kind, sum), below zero: taken."""

    view: PayoutView
    lines: tuple[Line, ...]
    fees: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One movement of a payout, where its legs stand, and the documents that book it."""

    movement: Movement
    states: tuple[str, ...]
    document_ids: tuple[str, ...]


def currencies(database: Database, link_id: int) -> list[str]:
    """Those that payouts were made in."""
    with database.read() as conn:
        link = connections.link(conn, link_id)
        found = func.distinct(_field(conn, "currency"))
        return sorted(conn.execute(select(found).where(*_payouts(link))).scalars())


def page(
    database: Database,
    link_id: int,
    *,
    bank: str | None = None,
    currency: str | None = None,
    text: str = "",
    number: int = 1,
    size: int = 25,
) -> PayoutPage:
    """A page of payouts, the newest arrival first. `text` is a part of the payout's id or of the bank's trace id."""
    with database.read() as conn:
        link = connections.link(conn, link_id)
        where = [*_payouts(link)]
        if bank is not None:
            where.append(_field(conn, "status").in_(BANK[bank]))
        if currency is not None:
            where.append(_field(conn, "currency") == currency)
        if text.strip():
            trace = func.coalesce(_field(conn, "trace_id"), "")
            where.append((mirror.c.object_id + " " + trace).contains(text.strip(), autoescape=True))
        total = conn.execute(select(func.count()).select_from(mirror).where(*where)).scalar_one()
        order = (mirror.c.dated.desc(), mirror.c.object_id)
        rows = conn.execute(
            select(mirror.c.record).where(*where).order_by(*order).offset((number - 1) * size).limit(size)
        ).scalars()
        return PayoutPage(rows=tuple(_views(conn, link, [from_json(row, Payout) for row in rows])), total=total)


def of_period(conn: Connection, link: Link, first: date, last: date) -> list[PayoutView]:
    """Those that arrive, or were to, on these days, in their order."""
    where = (*_payouts(link), mirror.c.dated >= first, mirror.c.dated <= last)
    rows = conn.execute(select(mirror.c.record).where(*where).order_by(mirror.c.dated, mirror.c.object_id)).scalars()
    return _views(conn, link, [from_json(row, Payout) for row in rows])


def statement(database: Database, link_id: int, payout_id: str) -> Statement | None:
    """One payout; None if it is not known."""
    with database.read() as conn:
        link = connections.link(conn, link_id)
        body = conn.execute(select(mirror.c.record).where(*_payouts(link), mirror.c.object_id == payout_id)).scalar()
        if body is None:
            return None
        [view] = _views(conn, link, [from_json(body, Payout)])
        return Statement(
            view=view,
            lines=tuple(_lines(conn, link, view.payout)),
            fees=tuple(_fees(conn, link, view.payout)),
        )


def entries(
    database: Database, link_id: int, payout_id: str, *, category: str | None = None, number: int = 1, size: int = 50
) -> list[Entry]:
    """A page of the movements of a payout, the newest first."""
    with database.read() as conn:
        link = connections.link(conn, link_id)
        inside = _inside(conn, link, [payout_id])
        query = select(mirror.c.record).join(inside, _is_movement(link, inside.c.movement_id))
        if category is not None:
            query = query.where(_field(conn, "category") == category)
        query = query.order_by(mirror.c.dated.desc(), mirror.c.object_id).offset((number - 1) * size).limit(size)
        movements = [from_json(row, Movement) for row in conn.execute(query).scalars()]
        standing = _standing_of(conn, link, [movement.id for movement in movements], legs.c.movement_id)
    return [
        Entry(movement=movement, states=tuple(sorted(states)), document_ids=tuple(sorted(documents)))
        for movement in movements
        for states, documents, _ in (standing[movement.id],)
    ]


# ---- in SQL


def _payouts(link: Link) -> list[ColumnElement[bool]]:
    return [mirror.c.connection_id == link.processor_id, mirror.c.kind == "payout", mirror.c.deleted.is_(False)]


def _field(conn: Connection, name: str) -> Any:
    """A field of the stored record, as text."""
    if conn.dialect.name == "postgresql":
        return cast(mirror.c.record, JSONB)[name].astext
    return func.json_extract(type_coerce(mirror.c.record, Text), f"$.{name}")


def _number(conn: Connection, name: str) -> Any:
    return cast(_field(conn, name), BigInteger)


def _inside(conn: Connection, link: Link, payout_ids: Sequence[str]) -> Any:
    """`payout_id, movement_id`: what Stripe says these payouts hold."""
    if conn.dialect.name == "postgresql":
        each = func.jsonb_array_elements_text(cast(mirror.c.record, JSONB)["movement_ids"])
        parts = each.table_valued(column("value", Text), name="parts")
    else:
        each = func.json_each(type_coerce(mirror.c.record, Text), "$.movement_ids")
        parts = each.table_valued(column("value", Text), name="parts")
    return (
        select(mirror.c.object_id.label("payout_id"), parts.c.value.label("movement_id"))
        .select_from(mirror.join(parts, parts.c.value.is_not(None)))
        .where(
            mirror.c.connection_id == link.processor_id,
            mirror.c.kind == "payout_items",
            mirror.c.object_id.in_(payout_ids),
            mirror.c.deleted.is_(False),
        )
        .subquery()
    )


def _is_movement(link: Link, movement_id: Any) -> ColumnElement[bool]:
    return and_(
        mirror.c.connection_id == link.processor_id,
        mirror.c.kind == "movement",
        mirror.c.object_id == movement_id,
        mirror.c.deleted.is_(False),
    )


def _views(conn: Connection, link: Link, payouts: Sequence[Payout]) -> list[PayoutView]:
    ids = [payout.id for payout in payouts]
    ties = _ties(conn, link, ids)
    standing = _standing_of(conn, link, ids, legs.c.source_id)
    return [
        PayoutView(
            payout=payout,
            tie=ties.get(payout.id, Tie(standing="not_itemised")),
            document_ids=tuple(sorted(standing[payout.id][1])),
            waits=" ".join(sorted(standing[payout.id][2])),
        )
        for payout in payouts
    ]


def _ties(conn: Connection, link: Link, payout_ids: Sequence[str]) -> dict[str, Tie]:
    inside = _inside(conn, link, payout_ids)
    query = (
        select(
            inside.c.payout_id,
            func.count().label("named"),
            func.count(mirror.c.object_id).label("read"),
            func.coalesce(func.sum(_number(conn, "net_minor")), 0).label("rest"),
        )
        .select_from(inside.join(mirror, _is_movement(link, inside.c.movement_id), isouter=True))
        .group_by(inside.c.payout_id)
    )
    found = {}
    for row in conn.execute(query):
        rest = int(row.rest)
        standing: Standing = "unread" if row.read < row.named else "apart" if rest else "ties"
        found[row.payout_id] = Tie(standing=standing, movements=row.named, rest_minor=rest)
    return found


def _lines(conn: Connection, link: Link, payout: Payout) -> list[Line]:
    inside, category = _inside(conn, link, [payout.id]), _field(conn, "category")
    sums = [func.sum(_number(conn, name)).label(name) for name in ("gross_minor", "fee_minor", "net_minor")]
    query = (
        select(category.label("category"), func.count().label("number"), *sums)
        .select_from(inside.join(mirror, _is_movement(link, inside.c.movement_id)))
        .where(mirror.c.object_id != (payout.movement_id or ""))
        .group_by(category)
    )
    found = [
        Line(
            category=row.category,
            count=row.number,
            gross_minor=int(row.gross_minor),
            fee_minor=int(row.fee_minor),
            net_minor=int(row.net_minor),
        )
        for row in conn.execute(query)
    ]
    return sorted(found, key=lambda line: (-line.net_minor, line.category))


def _fees(conn: Connection, link: Link, payout: Payout) -> list[tuple[str, int]]:
    inside = _inside(conn, link, [payout.id])
    query = (
        select(legs.c.kind, func.sum(legs.c.amount_minor).label("total"))
        .select_from(inside.join(legs, and_(legs.c.link_id == link.id, legs.c.movement_id == inside.c.movement_id)))
        .where(legs.c.kind != "gross")
        .group_by(legs.c.kind)
        .order_by(legs.c.kind)
    )
    return [(row.kind, int(row.total)) for row in conn.execute(query)]


def _standing_of(
    conn: Connection, link: Link, ids: Sequence[str], by: Any
) -> dict[str, tuple[set[str], set[str], set[str]]]:
    """By movement or Stripe object: states of its legs, the documents that book them, why those that wait do."""
    found: dict[str, tuple[set[str], set[str], set[str]]] = defaultdict(lambda: (set(), set(), set()))
    rows = conn.execute(select(legs, by.label("owner")).where(legs.c.link_id == link.id, by.in_(ids))).all()
    markers = {marker for row in rows for marker in row.markers}
    query = select(outbox.c.marker, outbox.c.document_id).where(
        outbox.c.link_id == link.id, outbox.c.marker.in_(markers), outbox.c.state.in_(IN_BOOKS)
    )
    posted = {row.marker: row.document_id for row in conn.execute(query)}
    for row in rows:
        states, documents, why = found[row.owner]
        states.add(row.state)
        documents.update(row.document_ids, (posted[marker] for marker in row.markers if marker in posted))
        if row.state == "waiting":
            why.add(row.detail)
    return found
