"""Periods and their sign-off: the pack of a period as it is now, and every one that was prepared or signed."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
from sqlalchemy import ColumnElement, Connection, Row, func, select, update

from reconcile.closing import Difference, Drift, Figures, Line, ageing, differences, drift, figures
from reconcile.proof import CLEARING_SCHEMA, Proof
from storage import carried, connections, findings, payouts
from storage.connections import Link
from storage.engine import Database
from storage.models import audit, closes, legs, runs, users
from storage.proof import Sides
from storage.records import from_json, to_json
from storage.types import encode

ACTIVITY_SCHEMA = pl.Schema(
    {"currency": pl.String(), "category": pl.String(), "count": pl.Int64(), "amount_minor": pl.Int64()}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutLine:
    """A payout that arrives in the period. `rest_minor`: what it does not tie by; None if Stripe does not say."""

    id: str
    currency: str
    amount_minor: int
    arrives_on: date
    status: str
    rest_minor: int | None
    trace_id: str | None
    document_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Odd:
    """A document that somebody should have looked at: a duplicate, one that was changed, and the like."""

    document_id: str
    dated: date
    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """All there is to say of a period. `changes` are what was done since the last sign-off, by action."""

    name: str
    figures: Figures
    differences: tuple[Difference, ...]
    ageing: tuple[Line, ...]
    payouts: tuple[PayoutLine, ...]
    fees: tuple[Line, ...]
    odd: tuple[Odd, ...]
    changes: tuple[tuple[str, int], ...]
    synced_at: datetime | None  # the last sync that read everything began then
    violations: tuple[str, ...] = ()

    @property
    def open(self) -> tuple[Difference, ...]:
        """What needs somebody."""
        return tuple(each for each in self.differences if not each.settled)


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """A period as somebody prepared it. `state`: prepared, signed, reopened, or replaced by a later preparation."""

    id: int
    link_id: int
    first: date
    last: date
    state: str
    pack: Pack
    digest: str
    note: str
    prepared_by: str
    prepared_at: datetime
    signed_by: str | None
    signed_at: datetime | None
    reopened_by: str | None
    reopened_at: datetime | None
    why: str | None


# ---- a period as it is now


def first_day(conn: Connection, link: Link) -> date:
    """Where the next period begins: after the last one signed, or at the cut-over."""
    query = select(func.max(closes.c.last)).where(closes.c.link_id == link.id, closes.c.state == "signed")
    last = conn.execute(query).scalar()
    return link.cutover if last is None else last + timedelta(days=1)


def pack(conn: Connection, link_id: int, last: date) -> Pack | None:
    """The period that ends on `last`, as it is now; None while the opening balances are not known.

    Raises ArithmeticError if the figures do not lead from one balance to the other.
    """
    link = connections.link(conn, link_id)
    if link.openings is None:
        return None
    first = first_day(conn, link)
    sides = carried.load(conn, link, (first, last))
    proven = sides.prove(last)
    found = tuple(differences(proven, last))
    return Pack(
        name=link.name,
        figures=_figures(conn, sides, proven, first, last),
        differences=found,
        ageing=tuple(ageing(each for each in found if not each.settled)),
        payouts=tuple(_payout_lines(conn, link, first, last)),
        fees=tuple(_fees(conn, link, first, last)),
        odd=tuple(_odd(conn, link, last)),
        changes=tuple(_changes(conn, link)),
        synced_at=_synced_at(conn, link),
        violations=sides.violations(),
    )


def ends_at(link: Link, last: date) -> datetime:
    """The moment a period is over, UTC."""
    return datetime.combine(last + timedelta(days=1), time(), ZoneInfo(link.time_zone)).astimezone(UTC)


def _figures(conn: Connection, sides: Sides, proven: Proof, first: date, last: date) -> Figures:
    """Of a period that `sides` hold whole."""
    activity = _activity(conn, sides.link, first, last)
    before = sides.settled.with_columns(document_id=pl.lit(None), marker=pl.lit(None), opening=pl.lit(False))
    clearing = pl.concat(
        [each.select(CLEARING_SCHEMA.names()).cast(CLEARING_SCHEMA) for each in (sides.clearing, before)]
    )
    return figures(proven, sides.openings, activity, clearing, first, last)


def _activity(conn: Connection, link: Link, first: date, last: date) -> pl.DataFrame:
    """ACTIVITY_SCHEMA: movements count, not legs."""
    query = (
        select(
            legs.c.currency,
            legs.c.category,
            func.count(legs.c.movement_id.distinct()),
            func.sum(legs.c.amount_minor),
        )
        .where(*_inside(link, first, last))
        .group_by(legs.c.currency, legs.c.category)
    )
    rows = [(currency, category, count, int(total)) for currency, category, count, total in conn.execute(query)]
    return pl.DataFrame(rows, schema=ACTIVITY_SCHEMA, orient="row")


def _inside(link: Link, first: date, last: date) -> tuple[ColumnElement[bool], ...]:
    return (
        legs.c.link_id == link.id,
        legs.c.balance_type == "payments",
        legs.c.before_cutover.is_(False),
        legs.c.dated >= first,
        legs.c.dated <= last,
    )


def _fees(conn: Connection, link: Link, first: date, last: date) -> Iterator[Line]:
    """Fees and taxes of the period by kind, as they changed Stripe's balance."""
    query = (
        select(legs.c.currency, legs.c.kind, func.count().label("number"), func.sum(legs.c.amount_minor).label("total"))
        .where(*_inside(link, first, last), legs.c.kind != "gross")
        .group_by(legs.c.currency, legs.c.kind)
        .order_by(legs.c.currency, legs.c.kind)
    )
    for row in conn.execute(query):
        yield Line(currency=row.currency, name=row.kind, count=row.number, amount_minor=int(row.total))


def _payout_lines(conn: Connection, link: Link, first: date, last: date) -> Iterator[PayoutLine]:
    for view in payouts.of_period(conn, link, first, last):
        said = view.tie.standing in ("ties", "apart")
        yield PayoutLine(
            id=view.payout.id,
            currency=view.payout.currency,
            amount_minor=view.payout.amount_minor,
            arrives_on=view.payout.arrives_on,
            status=view.payout.status,
            rest_minor=view.tie.rest_minor if said else None,
            trace_id=view.payout.trace_id,
            document_ids=view.document_ids,
        )


def _odd(conn: Connection, link: Link, last: date) -> Iterator[Odd]:
    for each in findings.standing(conn, link.id):
        if each.dated <= last:
            yield Odd(document_id=each.document_id, dated=each.dated, code=each.code, text=each.text)


def _changes(conn: Connection, link: Link) -> Iterator[tuple[str, int]]:
    """What people did about this link since the last sign-off, by action.

    What was synced meanwhile is in the figures; to count each row of it would take longer with every sync.
    """
    since = select(func.max(closes.c.signed_at)).where(closes.c.link_id == link.id, closes.c.state == "signed")
    signed_at = conn.execute(since).scalar()
    mine = (audit.c.actor.in_(select(users.c.email)), audit.c.link_id == link.id)
    where = [*mine, *((audit.c.at > signed_at,) if signed_at else ())]
    query = select(audit.c.action, func.count()).where(*where).group_by(audit.c.action).order_by(audit.c.action)
    yield from ((action, number) for action, number in conn.execute(query))


def _synced_at(conn: Connection, link: Link) -> datetime | None:
    done = (runs.c.link_id == link.id, runs.c.kind == "sync", runs.c.state == "done")
    return conn.execute(select(func.max(runs.c.started_at)).where(*done)).scalar()


# ---- what was prepared and signed


def all_of(database: Database, link_id: int) -> list[Close]:
    """The newest first, without what was replaced."""
    with database.read() as conn:
        query = select(closes).where(closes.c.link_id == link_id, closes.c.state != "replaced")
        return [_close(row) for row in conn.execute(query.order_by(closes.c.id.desc()))]


def get(conn: Connection, close_id: int) -> Close | None:
    row = conn.execute(select(closes).where(closes.c.id == close_id)).first()
    return None if row is None else _close(row)


def prepare(conn: Connection, link_id: int, made: Pack, note: str, actor: str, at: datetime) -> int:
    """Keeps a pack for somebody else to sign, instead of what was prepared before and not signed."""
    replaced = (closes.c.link_id == link_id, closes.c.state == "prepared")
    conn.execute(update(closes).where(*replaced).values(state="replaced"))
    body = to_json(made)
    added = conn.execute(
        closes.insert()
        .values(
            link_id=link_id,
            first=made.figures.first,
            last=made.figures.last,
            state="prepared",
            pack=body,
            digest=_digest(body),
            note=note,
            prepared_by=actor,
            prepared_at=at,
        )
        .returning(closes.c.id)
    )
    return int(added.scalar_one())


def sign(conn: Connection, close_id: int, actor: str, at: datetime) -> bool:
    """False if it is not prepared any more."""
    values = {"state": "signed", "signed_by": actor, "signed_at": at}
    return _step(conn, close_id, "prepared", values)


def reopen(conn: Connection, close_id: int, actor: str, why: str, at: datetime) -> bool:
    """False if it is not signed any more."""
    values = {"state": "reopened", "reopened_by": actor, "reopened_at": at, "why": why}
    return _step(conn, close_id, "signed", values)


def _step(conn: Connection, close_id: int, before: str, values: dict[str, object]) -> bool:
    where = (closes.c.id == close_id, closes.c.state == before)
    return conn.execute(update(closes).where(*where).values(**values)).rowcount == 1


def is_last_signed(conn: Connection, found: Close) -> bool:
    later = (closes.c.link_id == found.link_id, closes.c.state == "signed", closes.c.last > found.last)
    return not conn.execute(select(func.count()).select_from(closes).where(*later)).scalar_one()


def is_whole(found: Close) -> bool:
    """Whether a pack is, to the byte, what was prepared."""
    return _digest(to_json(found.pack)) == found.digest


def drifts(conn: Connection, link_id: int, signed: Sequence[Close]) -> dict[int, list[Drift]]:
    """By id of a close: what is not as it was signed, or prepared, any more."""
    link = connections.link(conn, link_id)
    if not signed or link.openings is None:
        return {}
    sides = carried.load(conn, link, *((each.first, each.last) for each in signed))
    proven = sides.prove(max(each.last for each in signed))
    return {each.id: drift(each.pack.figures, _figures(conn, sides, proven, each.first, each.last)) for each in signed}


def _digest(body: object) -> str:
    return hashlib.sha256(encode(body)).hexdigest()


def _close(row: Row[Any]) -> Close:
    values = {name: getattr(row, name) for name in Close.__dataclass_fields__ if name != "pack"}
    return Close(**values, pack=from_json(row.pack, Pack))
