"""Periods and their sign-off: the pack of a period as it is now, and every one that was prepared or signed."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
from sqlalchemy import Connection, Row, Text, func, select, type_coerce, update

from reconcile.closing import Difference, Drift, Figures, Line, Sums, ageing, differences, drift, figures, sums
from reconcile.proof import Proof
from storage import carried, connections, findings, payouts, tallies
from storage.connections import Link
from storage.engine import Database
from storage.models import audit, closes, legs, runs, users
from storage.proof import Sides
from storage.records import from_json, to_json
from storage.types import encode


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
class Look:
    """What a page shows of a period. `changes` are what was done since the last sign-off, by action."""

    name: str
    figures: Sums
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
class Pack(Look):
    """All there is to say of a period: each document too."""

    figures: Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A period that somebody prepared, without its pack, which lists each document of it.

    `state`: prepared, signed, reopened, or replaced by a later preparation.
    """

    id: int
    link_id: int
    first: date
    last: date
    state: str
    digest: str
    note: str
    prepared_by: str
    prepared_at: datetime
    signed_by: str | None
    signed_at: datetime | None
    reopened_by: str | None
    reopened_at: datetime | None
    why: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Close(Head):
    """A period as somebody prepared it."""

    pack: Pack


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Whether the pack is, to the byte, what was prepared, and how many of its figures are otherwise now."""

    is_whole: bool
    drift: int


# ---- a period as it is now


def first_day(conn: Connection, link: Link) -> date:
    """Where the next period begins: after the last one signed, or at the cut-over."""
    query = select(func.max(closes.c.last)).where(closes.c.link_id == link.id, closes.c.state == "signed")
    last = conn.execute(query).scalar()
    return link.cutover if last is None else last + timedelta(days=1)


def look(conn: Connection, link_id: int, last: date) -> Look | None:
    """The period that ends on `last`, as it is now; None while the opening balances are not known. Of what is settled
    only sums are read.

    Raises ArithmeticError if the figures do not lead from one balance to the other.
    """
    link = connections.link(conn, link_id)
    if link.openings is None:
        return None
    first, sides = first_day(conn, link), carried.load(conn, link)
    tally, proven = _inside(carried.tally(conn, link), first, last), sides.prove(last)
    return Look(figures=_sums(sides, tally, proven, first, last), **_said(conn, sides, tally, proven, first, last))


def pack(conn: Connection, link_id: int, last: date) -> Pack | None:
    """The same with each document of the period, and counted anew."""
    link = connections.link(conn, link_id)
    if link.openings is None:
        return None
    first = first_day(conn, link)
    sides, tally = carried.load(conn, link, (first, last)), _counted(conn, link, first, last)
    proven = sides.prove(last)
    figures = _figures(sides, tally, proven, first, last)
    return Pack(figures=figures, **_said(conn, sides, tally, proven, first, last))


def _said(
    conn: Connection, sides: Sides, tally: pl.DataFrame, proven: Proof, first: date, last: date
) -> dict[str, Any]:
    """All but the figures."""
    link, found = sides.link, tuple(differences(proven, last))
    return {
        "name": link.name,
        "differences": found,
        "ageing": tuple(ageing(each for each in found if not each.settled)),
        "payouts": tuple(_payout_lines(conn, link, first, last)),
        "fees": tuple(_fees(tally)),
        "odd": tuple(_odd(conn, link, last)),
        "changes": tuple(_changes(conn, link)),
        "synced_at": _synced_at(conn, link),
        "violations": sides.violations(),
    }


def ends_at(link: Link, last: date) -> datetime:
    """The moment a period is over, UTC."""
    return datetime.combine(last + timedelta(days=1), time(), ZoneInfo(link.time_zone)).astimezone(UTC)


def _sums(sides: Sides, tally: pl.DataFrame, proven: Proof, first: date, last: date) -> Sums:
    return sums(proven, sides.openings, _activity(tally), sides.clearing, sides.settled, first, last)


def _figures(sides: Sides, tally: pl.DataFrame, proven: Proof, first: date, last: date) -> Figures:
    """Of a period that `sides` hold whole."""
    return figures(_sums(sides, tally, proven, first, last), proven, sides.clearing)


def _counted(conn: Connection, link: Link, first: date, last: date) -> pl.DataFrame:
    """TALLY_SCHEMA of a period, counted anew."""
    which = legs.c.dated.between(first, last)
    found = pl.concat([tallies.settled(conn, link.id, which), tallies.waiting(conn, link.id, which)])
    return _inside(found, first, last)


def _inside(tally: pl.DataFrame, first: date, last: date) -> pl.DataFrame:
    """What changed Stripe's balance in a period."""
    is_paid = pl.col("balance_type") == "payments"
    return tally.filter(is_paid, ~pl.col("before_cutover"), pl.col("day").is_between(first, last))


def _activity(tally: pl.DataFrame) -> pl.DataFrame:
    """`currency, category, count, amount_minor`: movements count, not legs."""
    counts = pl.col("movements").sum().alias("count"), pl.col("amount_minor").sum()
    return tally.group_by("currency", "category").agg(*counts)


def _fees(tally: pl.DataFrame) -> Iterator[Line]:
    """Fees and taxes of the period by kind, as they changed Stripe's balance."""
    group = ["currency", "kind"]
    found = tally.filter(pl.col("kind") != "gross").group_by(group).agg(pl.col("entries", "amount_minor").sum())
    for row in found.sort(group).rename({"kind": "name", "entries": "count"}).iter_rows(named=True):
        yield Line(**row)


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


def heads(database: Database, link_id: int) -> list[Head]:
    """The newest first, without what was replaced."""
    with database.read() as conn:
        return _heads(conn, link_id)


def _heads(conn: Connection, link_id: int) -> list[Head]:
    columns = (closes.c[name] for name in Head.__dataclass_fields__)
    query = select(*columns).where(closes.c.link_id == link_id, closes.c.state != "replaced")
    return [Head(**row) for row in conn.execute(query.order_by(closes.c.id.desc())).mappings()]


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


# ---- what has changed since


def standings(conn: Connection, link_id: int) -> dict[int, Standing]:
    """Of every period that was not replaced, by id. One pack at a time is held in memory."""
    link = connections.link(conn, link_id)
    clean = carried.clean_before(conn, link)
    found = {}
    for head in _heads(conn, link_id):
        body = conn.execute(select(type_coerce(closes.c.pack, Text)).where(closes.c.id == head.id)).scalar_one()
        whole = hashlib.sha256(body.encode()).hexdigest() == head.digest
        moved = [] if head.state == "reopened" else _drift(conn, link, head, clean)
        found[head.id] = Standing(is_whole=whole, drift=len(moved))
    return found


def drifts(conn: Connection, link_id: int, known: Sequence[Head]) -> dict[int, list[Drift]]:
    """By id of a close: what is not as it was signed, or prepared, any more."""
    link = connections.link(conn, link_id)
    clean = carried.clean_before(conn, link)
    return {each.id: _drift(conn, link, each, clean) for each in known}


def drift_now(conn: Connection, link: Link, head: Head) -> list[Drift]:
    """What is not as it was prepared, with each document held against what there is now."""
    found = get(conn, head.id)
    if found is None or link.openings is None:
        return []
    sides = carried.load(conn, link, (found.first, found.last))
    tally = _counted(conn, link, found.first, found.last)
    return drift(found.pack.figures, _figures(sides, tally, sides.prove(found.last), found.first, found.last))


def recheck(database: Database, link_id: int) -> int:
    """Keeps what has changed in periods of which a day was carried forward anew; gives how many these are."""
    with database.read() as conn:
        link, as_of = connections.link(conn, link_id), carried.as_of(conn, link_id)
        unknown = closes.c.state.in_(("prepared", "signed")), closes.c.drift.is_(None)
        query = select(closes.c.id).where(closes.c.link_id == link_id, *unknown)
        ids = [] if as_of is None else list(conn.execute(query).scalars())
    for close_id in ids:
        with database.read() as conn:
            found = get(conn, close_id)
            moved = drift_now(conn, link, found) if found else []
        with database.write() as conn:
            if carried.as_of(conn, link_id) == as_of:  # else it may be about days that were carried forward since
                conn.execute(update(closes).where(closes.c.id == close_id, *unknown).values(drift=to_json(moved)))
    return len(ids)


def _drift(conn: Connection, link: Link, head: Head, clean: date) -> list[Drift]:
    """As it was kept, if every day through the end of the period is as it was carried forward then."""
    if head.last < clean:
        kept = conn.execute(select(closes.c.drift).where(closes.c.id == head.id)).scalar()
        if kept is not None:
            return [from_json(each, Drift) for each in kept]
    return drift_now(conn, link, head)


def _digest(body: object) -> str:
    return hashlib.sha256(encode(body)).hexdigest()


def _close(row: Row[Any]) -> Close:
    values = {name: getattr(row, name) for name in Close.__dataclass_fields__ if name != "pack"}
    return Close(**values, pack=from_json(row.pack, Pack))
