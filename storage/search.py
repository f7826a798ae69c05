"""The list that Review shows: Stripe objects by filter and text, found and counted by the database, a page at a time.

An object is one item, however many entries of it stand alike. What its gross waits for says more than what its fees
wait for, so the item is about the gross where that is among them.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    Row,
    Select,
    Subquery,
    Text,
    and_,
    case,
    cast,
    func,
    not_,
    or_,
    select,
)
from sqlalchemy import type_coerce as coerce
from sqlalchemy.dialects import postgresql

from reconcile.money import THREE_DECIMAL, ZERO_DECIMAL
from reconcile.records import Charge, Dispute, Movement, Payout, Refund
from reconcile.typed_fees import object_of
from storage import connections, mirror, notes
from storage.connections import Link
from storage.engine import Database
from storage.models import legs
from storage.models import mirror as objects
from storage.queries import PENDING
from storage.records import from_json, record_type

Source = Charge | Refund | Payout | Dispute | Movement
Show = Literal["waiting", "proposed", "ignored", "problems"]
SOURCE_KINDS = ("charge", "refund", "payout", "dispute", "movement")
# How the ids of each kind of object begin.
KINDS = {
    "charge": ("ch_", "py_"),
    "refund": ("re_", "pyr_"),
    "payout": ("po_",),
    "dispute": ("dp_", "du_"),
    "fees": ("fees:",),
    "movement": ("txn_",),
}
# Reasons that something outside of matching must be put right for; the page Problems groups most of them by cause.
PROBLEMS = (
    "refused",
    "unmapped_account",
    "unmapped_item",
    "unmapped_category",
    "unmapped_tax",
    "closed_period",
    "FX_RATE_MISSING",
    "undo_unclear",
    "undo_stopped",
)
WORDS_MAX = 8
NUMBER_MAX = 1_000_000  # of a page


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A Stripe object with something that waits for a person, or was set aside: `amount_minor` is the sum of that."""

    source_id: str
    currency: str
    amount_minor: int
    dated: date
    since: datetime
    state: str
    reason: str
    detail: str
    source: Source | None = None  # None if its record is not known
    charge: Charge | None = None  # of a refund or a dispute: what it gives back

    @property
    def customer(self) -> str:
        payer = self.source if isinstance(self.source, Charge) else self.charge
        return (payer.customer_name or payer.customer_email or "") if payer else ""

    @property
    def description(self) -> str:
        own = getattr(self.source, "description", "")
        return own or (self.charge.description if self.charge else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    items: tuple[Item, ...]
    total: int
    sums: tuple[tuple[str, int], ...] = ()  # (currency, minor units) of all that fits, not of this page alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What to show; days are the link's, both included. An empty field asks for everything."""

    show: Show = "waiting"
    reason: str = ""
    currency: str = ""
    kind: str = ""  # of KINDS
    since: date | None = None
    until: date | None = None
    text: str = ""
    asked: str = ""  # the address of the person whom a note asks


@dataclass(frozen=True, slots=True, kw_only=True)
class Facet:
    """How many items are alike."""

    reason: str
    currency: str
    kind: str
    count: int


def page(database: Database, link_id: int, wanted: Filter | None = None, *, number: int = 1, size: int = 50) -> Page:
    """Page `number` of what fits, the newest first."""
    wanted = wanted or Filter()
    with database.read() as conn:
        link = connections.link(conn, link_id)
        items = items_of(link_id, wanted.show)
        fitting = _fitting(conn, link, items, wanted)
        totals = fitting.with_only_columns(
            items.c.currency, func.count().label("number"), func.sum(items.c.amount_minor).label("total")
        )
        sums = conn.execute(totals.group_by(items.c.currency).order_by(items.c.currency)).all()
        query = fitting.order_by(items.c.dated.desc(), items.c.source_id)
        rows = conn.execute(query.limit(size).offset((min(number, NUMBER_MAX) - 1) * size)).all()
        return Page(
            items=tuple(_with_records(conn, link, [_item(row) for row in rows])),
            total=sum(row.number for row in sums),
            sums=tuple((row.currency, int(row.total)) for row in sums),
        )


def facets(database: Database, link_id: int, show: Show = "waiting") -> list[Facet]:
    """What there is to choose from on a tab."""
    items = items_of(link_id, show)
    named = case(*((_is_kind(items, kind), kind) for kind in KINDS), else_="")
    query = select(items.c.reason, items.c.currency, named.label("kind"), func.count().label("number"))
    with database.read() as conn:
        rows = conn.execute(query.group_by(items.c.reason, items.c.currency, "kind")).all()
    return [Facet(reason=row.reason, currency=row.currency, kind=row.kind, count=row.number) for row in rows]


def ages(
    database: Database, link_id: int, currency: str, buckets: Sequence[tuple[str, date | None, date | None]]
) -> list[tuple[str, int, int]]:
    """(bucket, how many wait, sum in minor units) for each (bucket, first day, last day)."""
    items = items_of(link_id, "waiting")
    named = case(*((and_(*_days(items, first, last)), name) for name, first, last in buckets), else_="")
    query = select(named.label("bucket"), func.count().label("number"), func.sum(items.c.amount_minor).label("total"))
    with database.read() as conn:
        rows = conn.execute(query.where(items.c.currency == currency).group_by("bucket")).all()
    found = {row.bucket: (row.number, int(row.total)) for row in rows}
    return [(name, *found.get(name, (0, 0))) for name, _, _ in buckets]


def days(conn: Connection, link_id: int, currency: str) -> list[tuple[date, int, int]]:
    """(day, how many of that day wait, sum in minor units), in order."""
    items = items_of(link_id, "waiting")
    query = select(items.c.dated, func.count().label("number"), func.sum(items.c.amount_minor).label("total"))
    rows = conn.execute(query.where(items.c.currency == currency).group_by(items.c.dated).order_by(items.c.dated))
    return [(row.dated, row.number, int(row.total)) for row in rows]


def find(conn: Connection, link: Link, source_id: str) -> Item | None:
    """One object that waits for a person, or else was set aside."""
    for show in ("waiting", "ignored"):
        row = conn.execute(select(items_of(link.id, show, source_id))).first()
        if row is not None:
            return _with_records(conn, link, [_item(row)])[0]
    return None


# ---- items


def items_of(link_id: int, show: str, source_id: str | None = None) -> Subquery:
    """One row an object: of the entries that stand so the gross, or else the oldest."""
    mine = [legs.c.link_id == link_id, legs.c.state == ("ignored" if show == "ignored" else "waiting")]
    if show != "ignored":
        mine.append(legs.c.reason.not_in(PENDING))
    if source_id is not None:
        mine.append(legs.c.source_id == source_id)
    same = legs.c.source_id
    first = (case((legs.c.kind == "gross", 0), else_=1), legs.c.created_at, legs.c.id)
    ranked = (
        select(
            legs.c.source_id,
            legs.c.currency,
            legs.c.dated,
            legs.c.state,
            legs.c.reason,
            legs.c.detail,
            func.row_number().over(partition_by=same, order_by=first).label("place"),
            func.min(legs.c.created_at).over(partition_by=same).label("since"),
            func.sum(legs.c.amount_minor).over(partition_by=(same, legs.c.currency)).label("amount_minor"),
        )
        .where(*mine)
        .subquery()
    )
    query = select(ranked).where(ranked.c.place == 1)
    if show == "proposed":
        query = query.where(ranked.c.reason == "proposed")
    elif show == "problems":
        query = query.where(ranked.c.reason.in_(PROBLEMS))
    return query.subquery()


def _fitting(conn: Connection, link: Link, items: Subquery, wanted: Filter) -> Select[Any]:
    fits = _days(items, wanted.since, wanted.until)
    if wanted.reason:
        fits.append(items.c.reason == wanted.reason)
    if wanted.currency:
        fits.append(items.c.currency == wanted.currency)
    if wanted.kind:
        fits.append(_is_kind(items, wanted.kind))
    if wanted.asked:
        fits.append(items.c.source_id.in_(notes.asked(link.id, wanted.asked)))
    words = wanted.text.replace("\0", " ").split()[:WORDS_MAX]
    if not words:
        return select(items).where(*fits)
    # Joined, not asked for by EXISTS: a database may answer that by reading every record there is.
    own, charge = objects.alias(), objects.alias()
    mine = and_(
        own.c.connection_id == link.processor_id,
        own.c.kind.in_(SOURCE_KINDS),
        own.c.object_id == _object_of(items.c.source_id),
    )
    theirs = and_(
        charge.c.connection_id == link.processor_id, charge.c.kind == "charge", charge.c.object_id == own.c.parent_id
    )
    joined = items.join(own, mine, isouter=True).join(charge, theirs, isouter=True)
    named = [_names(items, (_body(conn, own), _body(conn, charge)), word) for word in words]
    return select(items).select_from(joined).where(*fits, *named)


def _days(items: Subquery, first: date | None, last: date | None) -> list[ColumnElement[bool]]:
    fits: list[ColumnElement[bool]] = [items.c.source_id.is_not(None)]
    if first is not None:
        fits.append(items.c.dated >= first)
    if last is not None:
        fits.append(items.c.dated <= last)
    return fits


def _is_kind(items: Subquery, kind: str) -> ColumnElement[bool]:
    return or_(*(items.c.source_id.startswith(start, autoescape=True) for start in KINDS[kind]))


# ---- text


def _names(items: Subquery, bodies: Iterable[Any], word: str) -> ColumnElement[bool]:
    """A word is in what the item says, in its record, in that of its charge, or is its amount."""
    texts = [items.c.source_id, items.c.detail]
    texts += [body[name].as_string() for body in bodies for name in ("customer_name", "customer_email", "description")]
    return or_(*(_has(text, word) for text in texts), *_amounts(items, word))


def _body(conn: Connection, table: Any) -> Any:
    text = coerce(table.c.record, Text)
    return cast(text, postgresql.JSON) if conn.dialect.name == "postgresql" else coerce(text, JSON)


def _object_of(source_id: ColumnElement[str]) -> ColumnElement[str]:
    """As reconcile.typed_fees.object_of."""
    fees = func.replace(func.substr(source_id, len("fees:") + 1), ":bills", "")
    return case((source_id.startswith("fees:"), fees), else_=source_id)


def _has(column: Any, word: str) -> ColumnElement[bool]:
    """Whatever the case; SQLite knows that of ASCII only, so other letters are tried in the usual ways."""
    ways = [word] if word.isascii() else sorted({word, word.lower(), word.upper(), word.capitalize()})
    return or_(*(column.icontains(way, autoescape=True) for way in ways))


def _amounts(items: Subquery, word: str) -> list[ColumnElement[bool]]:
    """A figure with all its decimals is one amount; without them, any of that many major units. Either sign."""
    if not re.fullmatch(r"\d[\d,]{0,14}(\.\d{1,3})?", word, re.ASCII):
        return []
    whole = Decimal(word.replace(",", ""))
    found: list[ColumnElement[bool]] = []
    for places in (0, 2, 3):
        minor = whole.scaleb(places)
        if minor != int(minor):
            continue
        last = int(minor) + (10**places - 1 if "." not in word else 0)
        found.append(and_(_has_places(items, places), func.abs(items.c.amount_minor).between(int(minor), last)))
    return found


def _has_places(items: Subquery, places: int) -> ColumnElement[bool]:
    if places == 2:
        return not_(items.c.currency.in_(sorted(ZERO_DECIMAL | THREE_DECIMAL)))
    return items.c.currency.in_(sorted(THREE_DECIMAL if places else ZERO_DECIMAL))


# ---- records


def _item(row: Row[Any]) -> Item:
    names = ("source_id", "currency", "dated", "since", "state", "reason", "detail")
    return Item(**{name: getattr(row, name) for name in names}, amount_minor=int(row.amount_minor))


def _with_records(conn: Connection, link: Link, items: Sequence[Item]) -> list[Item]:
    names = {item.source_id: object_of(item.source_id) for item in items}
    sources = _sources(conn, link, sorted(set(names.values())))
    parents = {_parent(source) for source in sources.values()}
    charges: dict[str, Charge] = mirror.load(conn, link.processor_id, "charge", parents)
    found = []
    for item in items:
        source = sources.get(names[item.source_id])
        found.append(replace(item, source=source, charge=charges.get(_parent(source)) if source else None))
    return found


def _parent(source: Source) -> str:
    """The charge that a refund, a dispute or a movement of its own is about."""
    return (source.source_id if isinstance(source, Movement) else getattr(source, "charge_id", None)) or ""


def _sources(conn: Connection, link: Link, ids: Iterable[str]) -> dict[str, Source]:
    found: dict[str, Source] = {}
    for chunk in mirror.chunks(list(ids)):
        rows = conn.execute(
            select(objects.c.kind, objects.c.object_id, objects.c.record).where(
                objects.c.connection_id == link.processor_id,
                objects.c.kind.in_(SOURCE_KINDS),
                objects.c.object_id.in_(chunk),
            )
        )
        found.update({row.object_id: from_json(row.record, record_type(row.kind)) for row in rows})
    return found
