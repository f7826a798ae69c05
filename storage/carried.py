"""Days carried forward: of what is settled on a day only sums are kept, so that proofs and charts read little.

A sync carries forward every day that was touched since the last one did (`refresh`). A proof (`load`) reads the sums,
what was not settled then, and anew each day that was touched since; charts (`tally`) read counts in the same way. What
touches a day is in the audit: records that were stored, what was decided, and postings that were made or taken back.
`tests.laws` holds both ways of reading to the same answer.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import msgspec
import polars as pl
from sqlalchemy import ColumnElement, Connection, Text, func, or_, select, type_coerce, update

from reconcile.carried import Carried, carry
from reconcile.proof import SETTLED_SCHEMA
from storage import clearing, connections, proof, tallies
from storage.connections import Link
from storage.engine import Database, insert_ignore, upsert
from storage.mirror import chunks
from storage.models import audit, carried, carried_days, closes, legs, mirror, outbox, tallied_days
from storage.proof import Booked, Sides, Some
from storage.records import DOCUMENT_KINDS
from storage.types import encode

_booked_of = msgspec.json.Decoder(Booked)
LEGS_AT_ONCE = 20_000  # days together have at most so many, or are one day: this is what is held in memory
Documents = dict[str, dict[str, tuple[int, int]]]  # by currency and kind: how many, and their sum in minor units


@dataclass(frozen=True, slots=True)
class Day:
    """What the documents that are settled come to, and the ids of what is not settled."""

    day: date
    sums: Documents
    leg_ids: frozenset[str]
    document_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Head:
    """Days were carried forward when the audit ended with `as_of`, by what `key` stands for."""

    as_of: int
    key: str


@dataclass(frozen=True, slots=True)
class Kept(Head):
    """The days of a link as they were then."""

    days: dict[date, Day]


def load(conn: Connection, link: Link, *periods: tuple[date, date]) -> Sides:
    """What a proof of the link needs, as `storage.proof.load` would give it, with sums for what is settled; but nothing
    is summed up in `periods` (their first and last days).
    """
    kept = _kept(conn, link)
    if kept is None or kept.key != _key(conn, link):
        return proof.load(conn, link)
    shown = {day for day in kept.days if any(first <= day <= last for first, last in periods)}
    touched = _touched(conn, link, kept) | shown
    while True:
        clean = {day: each for day, each in kept.days.items() if day not in touched}
        sides = proof.load(conn, link, _some(touched, clean.values()))
        more = _days_of_strays(sides.clearing, clean)
        if not more:
            return replace(sides, settled=_settled(clean.values()))
        touched |= more


def tally(conn: Connection, link: Link) -> pl.DataFrame:
    """TALLY_SCHEMA of all legs of a link, as `storage.tallies` would count them, from what was counted before."""
    kept = _head(conn, link)
    waiting = tallies.waiting(conn, link.id)
    if kept is None or kept.key != _key(conn, link):
        return pl.concat([tallies.settled(conn, link.id), waiting])
    recounted = _recounted(conn, link, kept.as_of)
    rows = conn.execute(select(tallied_days.c.day, tallied_days.c.entries).where(tallied_days.c.link_id == link.id))
    clean = tallies.of_rows((day, entries) for day, entries in rows if day not in recounted)
    return pl.concat([clean, *_tallies(conn, link, recounted), waiting])


def as_of(conn: Connection, link_id: int) -> int | None:
    """The last entry of the audit when days were carried forward; None if none were."""
    return conn.execute(select(carried.c.as_of).where(carried.c.link_id == link_id)).scalar()


def clean_before(conn: Connection, link: Link) -> date:
    """Every day before this one is as it was carried forward; the first day there is, if nothing was."""
    kept = _kept(conn, link)
    if kept is None or kept.key != _key(conn, link):
        return date.min
    return min(_touched(conn, link, kept), default=date.max)


def refresh(database: Database, link_id: int) -> int:
    """Carries forward what was touched since this was done last; gives how many days that were."""
    with database.read() as conn:
        link = connections.link(conn, link_id)
        if link.openings is None:
            return 0
        last, key = conn.scalar(select(func.max(audit.c.id))) or 0, _key(conn, link)
        if _head(conn, link) == Head(last, key):
            return 0
        kept = _kept(conn, link)
        anew = kept is None or kept.key != key
        days = _all_days(conn, link) if kept is None or anew else _touched(conn, link, kept)
        recounted = days if kept is None or anew else _recounted(conn, link, kept.as_of)
    made = [day for some in _portions(database, link_id, days) for day in _carry(database, link, some)]
    counted = [_count(database, link, some) for some in _portions(database, link_id, recounted)]
    with database.write() as conn:
        if _move(conn, link_id, kept, Head(last, key)):
            _store(conn, link_id, made, anew=anew)
            _store_counted(conn, link_id, recounted, counted, anew=anew)
            _forget_drift(conn, link_id, date.min if kept is None or anew else min(days, default=date.max))
    return len(made)


def verify(database: Database) -> list[str]:
    """What is wrong, in sentences: links of which the sums prove something else than everything does.

    Such sums are dropped, so that everything is read until the next sync makes them anew.
    """
    wrong = []
    with database.read() as conn:
        for link in connections.all_links(conn):
            last = link.balances_at.date() if link.balances_at else link.cutover
            whole, quick = (sides.prove(last) for sides in (proof.load(conn, link), load(conn, link)))
            same = whole.days.equals(quick.days) and whole.items.equals(quick.items)
            if not same or not is_tallied(conn, link):
                wrong.append(link)
    with database.write() as conn:
        for link in wrong:
            for table in (carried_days, tallied_days, carried):
                conn.execute(table.delete().where(table.c.link_id == link.id))
    return [
        f"{link.name}: the sums of its settled days were not what its entries come to. They are dropped, and Overview "
        "reads all entries until the next sync."
        for link in wrong
    ]


def is_tallied(conn: Connection, link: Link) -> bool:
    """Whether what was counted before, and since, is what counting everything gives."""
    whole = pl.concat([tallies.settled(conn, link.id), tallies.waiting(conn, link.id)])
    order = whole.columns
    return whole.sort(order).equals(tally(conn, link).sort(order))


# ---- days as they are now


def _portions(database: Database, link_id: int, days: Collection[date]) -> Iterator[list[date]]:
    with database.read() as conn:
        query = select(legs.c.dated, func.count().label("number")).where(legs.c.link_id == link_id)
        parts = [query.where(legs.c.dated.in_(some)) for some in chunks(sorted(days))]
        rows = [row for part in parts for row in conn.execute(part.group_by(legs.c.dated))]
        sizes = {row.dated: row.number for row in rows}
    some: list[date] = []
    held = 0
    for day in sorted(days):
        if some and held + sizes.get(day, 0) > LEGS_AT_ONCE:
            yield some
            some, held = [], 0
        some.append(day)
        held += sizes.get(day, 0)
    if some:
        yield some


def _carry(database: Database, link: Link, days: Sequence[date]) -> list[Day]:
    with database.read() as conn:
        sides = proof.load(conn, link, Some(days=days))
    found = carry(sides.legs, sides.clearing)
    return [_day(found, day) for day in days]


def _day(found: Carried, day: date) -> Day:
    on = pl.col("day") == day
    sums: Documents = defaultdict(dict)
    for currency, kind, count, amount in found.settled.filter(on).drop("day").iter_rows():
        sums[currency][kind] = (count, amount)
    return Day(
        day,
        sums,
        frozenset(found.legs.filter(on)["leg_id"]),
        frozenset(found.clearing.filter(on)["document_id"]),
    )


def _count(database: Database, link: Link, days: Sequence[date]) -> pl.DataFrame:
    """TALLY_SCHEMA of what is settled of some days."""
    with database.read() as conn:
        return pl.concat(_tallies(conn, link, days))


def _tallies(conn: Connection, link: Link, days: Collection[date]) -> list[pl.DataFrame]:
    return [tallies.settled(conn, link.id, legs.c.dated.in_(some)) for some in chunks(sorted(days))]


def _all_days(conn: Connection, link: Link) -> set[date]:
    own = select(legs.c.dated).where(legs.c.link_id == link.id).distinct()
    documents = select(mirror.c.dated).where(
        mirror.c.connection_id == link.ledger_id, mirror.c.kind.in_(DOCUMENT_KINDS), mirror.c.dated.is_not(None)
    )
    return {*conn.execute(own).scalars(), *conn.execute(documents.distinct()).scalars()}


def _touched(conn: Connection, link: Link, kept: Kept) -> set[date]:
    """The days of all that was stored, posted or taken back since days were carried forward.

    Of a document also the day that it was on then: its posting's, or that of which it was not settled.
    """
    movements, documents, subjects = _subjects(conn, link, kept.as_of)
    dated = mirror.c.connection_id == link.ledger_id, mirror.c.kind.in_(DOCUMENT_KINDS)
    days = {day for day, each in kept.days.items() if not each.document_ids.isdisjoint(documents)}
    days |= _days(conn, legs.c.dated, legs.c.movement_id, movements, legs.c.link_id == link.id)
    days |= _days(conn, legs.c.dated, legs.c.id, subjects, legs.c.link_id == link.id)  # decided in a later sync
    days |= _days(conn, mirror.c.dated, mirror.c.object_id, documents, *dated)
    posted = outbox.c.link_id == link.id, outbox.c.connection_id == link.ledger_id
    days |= _days(conn, outbox.c.dated, outbox.c.document_id, documents, *posted)
    days |= _days(conn, outbox.c.dated, outbox.c.marker, subjects, *posted)
    undone = {each for each in _values(conn, outbox.c.undoes, outbox.c.marker, subjects, *posted) if each}
    return days | _days(conn, outbox.c.dated, outbox.c.marker, undone, *posted)


def _recounted(conn: Connection, link: Link, since: int) -> set[date]:
    """The days of all legs that may be settled, or may be no more, since this entry of the audit: those it names, those
    of a movement, of a Stripe object, and those that a posting books.
    """
    movements, _, subjects = _subjects(conn, link, since)
    mine = legs.c.link_id == link.id
    postings = _values(
        conn, type_coerce(outbox.c.posting, Text), outbox.c.marker, subjects, outbox.c.link_id == link.id
    )
    booked = {share.leg_id for posting in postings for share in _booked_of.decode(posting).shares}
    days = _days(conn, legs.c.dated, legs.c.movement_id, movements, mine)
    days |= _days(conn, legs.c.dated, legs.c.source_id, subjects, mine)
    return days | _days(conn, legs.c.dated, legs.c.id, subjects | booked, mine)


def _subjects(conn: Connection, link: Link, since: int) -> tuple[list[str], list[str], set[str]]:
    """What is audited since an entry: movements and documents that were stored, and all else that is of the link."""
    heads = [f"{link.processor_id}/movement/", *(f"{link.ledger_id}/{kind}/" for kind in DOCUMENT_KINDS)]
    ours = or_(audit.c.link_id == link.id, *(audit.c.subject.startswith(head, autoescape=True) for head in heads))
    subjects = set(conn.execute(select(audit.c.subject).where(audit.c.id > since, ours)).scalars())
    movements = [each.removeprefix(heads[0]) for each in subjects if each.startswith(heads[0])]
    documents = [each.partition("/")[2].partition("/")[2] for each in subjects if each.startswith(tuple(heads[1:]))]
    return movements, documents, {each for each in subjects if not each.startswith(tuple(heads))}


def _days(conn: Connection, wanted: Any, column: Any, values: Collection[str], *mine: ColumnElement[bool]) -> set[date]:
    return {day for day in _values(conn, wanted, column, values, *mine) if day is not None}


def _values(
    conn: Connection, wanted: Any, column: Any, values: Collection[str], *mine: ColumnElement[bool]
) -> Iterable[Any]:
    for chunk in chunks(sorted(values)):
        yield from conn.execute(select(wanted).where(*mine, column.in_(chunk))).scalars()  # DISTINCT reads all days


# ---- days as they were kept


def _some(touched: Collection[date], clean: Iterable[Day]) -> Some:
    clean = list(clean)
    return Some(
        days=touched,
        leg_ids={each for day in clean for each in day.leg_ids},
        document_ids={each for day in clean for each in day.document_ids},
    )


def _days_of_strays(found: pl.DataFrame, clean: dict[date, Day]) -> set[date]:
    """Days on which a document is that is in their sum too: something came to it since."""
    told = found.select("document_id", "day").unique().iter_rows()
    return {day for document_id, day in told if day in clean and document_id not in clean[day].document_ids}


def _settled(days: Iterable[Day]) -> pl.DataFrame:
    """SETTLED_SCHEMA."""
    rows = [
        (currency, each.day, kind, count, amount)
        for each in days
        for currency, kinds in each.sums.items()
        for kind, (count, amount) in kinds.items()
    ]
    return pl.DataFrame(rows, schema=SETTLED_SCHEMA, orient="row")


def _kept(conn: Connection, link: Link) -> Kept | None:
    head = _head(conn, link)
    if head is None:
        return None
    days = conn.execute(select(carried_days).where(carried_days.c.link_id == link.id))
    found = [Day(each.day, each.sums, frozenset(each.leg_ids), frozenset(each.document_ids)) for each in days]
    return Kept(head.as_of, head.key, {each.day: each for each in found})


def _head(conn: Connection, link: Link) -> Head | None:
    row = conn.execute(select(carried.c.as_of, carried.c.key).where(carried.c.link_id == link.id)).first()
    return None if row is None else Head(*row)


def _key(conn: Connection, link: Link) -> str:
    """What else sums and balances depend on: which accounts count, in which currency, from when on, with how much."""
    accounts = {each.id: each.currency for each in clearing.accounts_of(conn, link).values()}
    opened = sorted((each.currency, each.stripe_minor) for each in link.openings or ())
    told = [sorted(link.mappings.clearing.items()), accounts, link.cutover.isoformat(), link.time_zone, opened]
    return hashlib.sha256(encode(told)).hexdigest()


def _move(conn: Connection, link_id: int, before: Head | None, now: Head) -> bool:
    """False if somebody else was quicker: then theirs stands."""
    if before is None:
        row = {"link_id": link_id, "as_of": now.as_of, "key": now.key}
        return insert_ignore(conn, carried, [row]) == 1
    same = (carried.c.link_id == link_id, carried.c.as_of == before.as_of, carried.c.key == before.key)
    return conn.execute(update(carried).where(*same).values(as_of=now.as_of, key=now.key)).rowcount == 1


def _forget_drift(conn: Connection, link_id: int, first: date) -> None:
    """What is known to have changed in periods that end on this day or later (storage.closes) is to be found anew."""
    conn.execute(update(closes).where(closes.c.link_id == link_id, closes.c.last >= first).values(drift=None))


def _store(conn: Connection, link_id: int, days: Sequence[Day], *, anew: bool) -> None:
    if anew:
        conn.execute(carried_days.delete().where(carried_days.c.link_id == link_id))
    rows = [
        {
            "link_id": link_id,
            "day": each.day,
            "sums": each.sums,
            "leg_ids": sorted(each.leg_ids),
            "document_ids": sorted(each.document_ids),
        }
        for each in days
    ]
    upsert(conn, carried_days, rows, ["link_id", "day"])


def _store_counted(
    conn: Connection, link_id: int, days: Collection[date], counted: Sequence[pl.DataFrame], *, anew: bool
) -> None:
    """Also of a day of which nothing is settled any more."""
    if anew:
        conn.execute(tallied_days.delete().where(tallied_days.c.link_id == link_id))
    found = {day: tallies.rows_of(some) for each in counted for (day,), some in each.group_by("day")}
    rows = [{"link_id": link_id, "day": day, "entries": found.get(day, [])} for day in sorted(days)]
    if rows:
        upsert(conn, tallied_days, rows, ["link_id", "day"])
