"""The mirror: the last known state of every object of both systems, and where each listing stands."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import (
    Connection,
    Row,
    Select,
    Text,
    bindparam,
    exists,
    func,
    or_,
    select,
    type_coerce,
    update,
)

from reconcile.records import Document, Record
from storage import audit
from storage.engine import upsert
from storage.models import cursors, links, mirror, outbox
from storage.records import DOCUMENT_KINDS, day_of, is_open, number_of, parent_of, read_record, to_json
from storage.types import encode

KEY = ["connection_id", "kind", "object_id"]
IN_LIMIT = 500  # values in one IN (...)
STREAMED = 1_000  # rows held at a time of what is read to be looked at once
T = TypeVar("T")


def store(
    conn: Connection,
    connection_id: int,
    objects: Sequence[tuple[str, str, Record | None, str]],
    *,
    at: datetime,
    actor: str,
    is_news: bool = True,
) -> list[tuple[str, str]]:
    """Upserts (kind, id, record, raw) in the caller's transaction; a record of None says it is gone.

    Gives the (kind, id) that changed. Only those are written and audited, and only they make matching run again,
    unless they are no news: what we wrote ourselves, as it was decided.
    """
    latest = {(kind, object_id): (record, raw) for kind, object_id, record, raw in objects}
    known = {(row.kind, row.object_id): row for row in _rows(conn, connection_id, latest)}
    rows, entries = [], []
    for (kind, object_id), (record, raw) in latest.items():
        row = _row(connection_id, kind, object_id, record, raw, known.get((kind, object_id)))
        if row is None:
            continue
        rows.append(row | {"updated_at": at})
        subject = f"{connection_id}/{kind}/{object_id}"
        action = "removed" if record is None else "stored"
        digest = whole_digest(row["digest"], row["raw"])
        entries.append(audit.Entry(actor=actor, action=action, subject=subject, digest=digest))
    if rows:
        if is_news:  # first, as in every command: locks are taken in one order, links, records, audit
            touch_links(conn, connection_id)
        # `claimed` of a known object is left alone: somebody may be changing it at this moment.
        upsert(conn, mirror, rows, KEY, [column for column in rows[0] if column not in (*KEY, "claimed")])
        audit.append(conn, at, entries)
    return [(row["kind"], row["object_id"]) for row in rows]


def _row(
    connection_id: int, kind: str, object_id: str, record: Record | None, raw: str, known: Row[Any] | None
) -> dict[str, Any] | None:
    """The row to write, or None if nothing changed. A gone object keeps its last known content."""
    deleted = record is None
    if deleted and (known is None or known.deleted):
        return None
    body = known.record if deleted and known is not None else to_json(record)
    text = known.raw if deleted and known is not None else raw
    digest = digest_of(kind, object_id, body, deleted=deleted)
    if known is not None and known.digest == digest:
        return None
    return {
        "connection_id": connection_id,
        "kind": kind,
        "object_id": object_id,
        "record": body,
        "raw": text,
        "digest": digest,
        "version": 1 if known is None else known.version + 1,
        "deleted": deleted,
        "open": is_open(record),
        "claimed": False,
        "dated": day_of(record),
        "parent_id": parent_of(record),
        "number": number_of(record),
    }


def digest_of(kind: str, object_id: str, body: Any, *, deleted: bool) -> str:
    return hashlib.sha256(encode([kind, object_id, body, deleted])).hexdigest()


def whole_digest(digest: str, raw: str) -> str:
    """What the audit keeps of a row: of our record, and of the other side's own text."""
    return hashlib.sha256(encode([digest, raw])).hexdigest()


def touch_links(conn: Connection, connection_id: int) -> None:
    """Says that what matching depends on has changed."""
    conn.execute(_TOUCH_LINKS, {"of": connection_id})


# What is asked at every step of every sync is made once: making a statement anew takes longer than its answer.
_OWN_LINKS = (links.c.processor_id == bindparam("of")) | (links.c.ledger_id == bindparam("of"))
_TOUCH_LINKS = update(links).where(_OWN_LINKS).values(revision=links.c.revision + 1)
_LOCK_LINKS = select(links.c.id).where(_OWN_LINKS).order_by(links.c.id).with_for_update()


def missing(conn: Connection, connection_id: int, keys: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those (kind, id) of which nothing was ever stored."""
    wanted = set(keys)
    return wanted - {(row.kind, row.object_id) for row in _rows(conn, connection_id, wanted, _KEY)}


def overtaken(
    conn: Connection, connection_id: int, keys: Iterable[tuple[str, str]], began: datetime
) -> set[tuple[str, str]]:
    """Those (kind, id) that somebody else stored after the fetch began that is to be stored now.

    Which of the two saw the later state nobody can say, so they have to be fetched again. What is asked about here
    stays locked until the caller's transaction ends.
    """
    wanted = set(keys)
    if not wanted:
        return set()
    conn.execute(_LOCK_LINKS, {"of": connection_id})  # links first, as everywhere
    rows = _rows(conn, connection_id, wanted, [*_KEY, mirror.c.updated_at], for_update=True)
    return {(row.kind, row.object_id) for row in rows if row.updated_at > began}


def bodies(
    conn: Connection, connection_id: int, keys: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], tuple[Any, bool]]:
    """What is stored of each (kind, id) that is known: its record as plain values, and whether it is gone."""
    rows = _rows(conn, connection_id, set(keys), [*_KEY, mirror.c.record, mirror.c.deleted])
    return {(row.kind, row.object_id): (row.record, row.deleted) for row in rows}


_KEY = [mirror.c.kind, mirror.c.object_id]
_TEXT = type_coerce(mirror.c.record, Text).label("text")  # read straight into a record
_READ = (*_KEY, _TEXT, mirror.c.deleted)
_OF = mirror.c.connection_id == bindparam("of")
_OF_KIND = mirror.c.kind == bindparam("which")
_OF_KINDS = mirror.c.kind.in_(bindparam("kinds", expanding=True))
_THERE = mirror.c.deleted.is_(False)


def _rows(
    conn: Connection,
    connection_id: int,
    keys: Iterable[tuple[str, str]],
    columns: Sequence[Any] = (mirror,),
    *,
    for_update: bool = False,
) -> Iterator[Row[Any]]:
    """`columns` hold the key. Several kinds are asked for at once: SQLite has no index for pairs."""
    for chunk in chunks(sorted(keys)):
        wanted = set(chunk)
        kinds, ids = {kind for kind, _ in chunk}, {object_id for _, object_id in chunk}
        asked = {"of": connection_id, "kinds": sorted(kinds), "ids": sorted(ids)}
        for row in conn.execute(_select_rows(tuple(columns), for_update), asked):
            if (row.kind, row.object_id) in wanted:
                yield row


@cache
def _select_rows(columns: tuple[Any, ...], for_update: bool) -> Select[Any]:
    query = select(*columns).where(_OF, _OF_KINDS, mirror.c.object_id.in_(bindparam("ids", expanding=True)))
    return query.with_for_update() if for_update else query


def chunks(values: Sequence[T], size: int = IN_LIMIT) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


# ---- reading back as records


def load(conn: Connection, connection_id: int, kind: str, ids: Iterable[str]) -> dict[str, Any]:
    """Records by id; ids that are unknown or gone are left out."""
    return load_several(conn, connection_id, ((kind, object_id) for object_id in ids if object_id)).get(kind, {})


def load_several(conn: Connection, connection_id: int, keys: Iterable[tuple[str, str]]) -> dict[str, dict[str, Any]]:
    """Records of several kinds, asked for as (kind, id): by kind, then by id."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for row in _rows(conn, connection_id, set(keys), _READ):
        if not row.deleted:
            found[row.kind][row.object_id] = read_record(row.kind, row.text)
    return found


def home_currency(conn: Connection, connection_id: int) -> str:
    """The company's; USD until its preferences were read."""
    company = load(conn, connection_id, "company", ["company"]).get("company")
    return company.home_currency if company else "USD"


def raw(conn: Connection, connection_id: int, kind: str, object_id: str) -> str | None:
    """An object as the other side last gave it; None if it is not known."""
    rows = list(_rows(conn, connection_id, [(kind, object_id)]))
    return rows[0].raw if rows else None


def load_children(conn: Connection, connection_id: int, kind: str, parents: Iterable[str]) -> list[Any]:
    """Records of a kind whose parent is one of `parents`, ordered by id.

    Ordered here: asked to order by id, SQLite walks along all ids of the kind instead of looking the parents up.
    """
    found: list[Any] = []
    for chunk in chunks(sorted({parent for parent in parents if parent})):
        found += conn.execute(_SELECT_CHILDREN, {"of": connection_id, "which": kind, "parents": list(chunk)})
    return [read_record(kind, row.text) for row in sorted(found, key=lambda row: row.object_id)]


_SELECT_CHILDREN = select(mirror.c.object_id, _TEXT).where(
    _OF, _OF_KIND, mirror.c.parent_id.in_(bindparam("parents", expanding=True)), _THERE
)


def load_open(conn: Connection, connection_id: int, kinds: Sequence[str], since: date | None = None) -> list[Any]:
    """Records of some kinds that may still take part in matching (dated on or after `since`), by kind and id."""
    rows = conn.execute(_select_open(since is None), _open(connection_id, kinds, since))
    ordered = sorted(rows, key=lambda row: (row.kind, row.object_id))  # here, for the same reason
    return [read_record(row.kind, row.text) for row in ordered]


def stream_open(
    conn: Connection, connection_id: int, kinds: Sequence[str], since: date | None = None
) -> Iterator[list[Any]]:
    """As `load_open`, some at a time and in no order: for what nobody wants to hold at once."""
    return _stream(conn, _select_open(since is None), _open(connection_id, kinds, since))


@cache
def _select_open(of_any_day: bool) -> Select[Any]:
    query = select(*_KEY, _TEXT).where(_OF, _OF_KINDS, mirror.c.open.is_(True), mirror.c.claimed.is_(False), _THERE)
    return query if of_any_day else query.where(mirror.c.dated >= bindparam("since"))


def _open(connection_id: int, kinds: Sequence[str], since: date | None) -> dict[str, Any]:
    return {"of": connection_id, "kinds": list(kinds)} | ({} if since is None else {"since": since})


def _stream(conn: Connection, query: Select[Any], asked: dict[str, Any]) -> Iterator[list[Any]]:
    for rows in conn.execute(query, asked, execution_options={"yield_per": STREAMED}).partitions():
        yield [read_record(row.kind, row.text) for row in rows]


def load_all(conn: Connection, connection_id: int, kinds: Sequence[str]) -> list[Any]:
    """Every record of some kinds that still exists, ordered by kind and id."""
    rows = conn.execute(_SELECT_ALL_IN_ORDER, {"of": connection_id, "kinds": list(kinds)})
    return [read_record(row.kind, row.text) for row in rows]


def stream_all(conn: Connection, connection_id: int, kinds: Sequence[str]) -> Iterator[list[Any]]:
    """As `load_all`, some at a time and in no order."""
    return _stream(conn, _SELECT_ALL, {"of": connection_id, "kinds": list(kinds)})


_SELECT_ALL = select(mirror.c.kind, _TEXT).where(_OF, _OF_KINDS, _THERE)
_SELECT_ALL_IN_ORDER = _SELECT_ALL.order_by(mirror.c.kind, mirror.c.object_id)


def ids_of_days(conn: Connection, connection_id: int, kinds: Sequence[str], since: date, until: date) -> list[str]:
    """What exists of some kinds and is dated between two days, both included."""
    these = (mirror.c.connection_id == connection_id, mirror.c.kind.in_(kinds), mirror.c.deleted.is_(False))
    query = select(mirror.c.object_id).where(*these, mirror.c.dated.between(since, until))
    return sorted(conn.execute(query).scalars())


def count(conn: Connection, connection_id: int, kind: str) -> int:
    """How many of a kind exist."""
    return conn.execute(
        select(func.count())
        .select_from(mirror)
        .where(mirror.c.connection_id == connection_id, mirror.c.kind == kind, mirror.c.deleted.is_(False))
    ).scalar_one()


def ids_of(conn: Connection, connection_id: int, kind: str) -> set[str]:
    """The ids of what exists of a kind."""
    return set(conn.execute(_SELECT_IDS, {"of": connection_id, "which": kind}).scalars())


_SELECT_IDS = select(mirror.c.object_id).where(_OF, _OF_KIND, _THERE)


def ids_after(conn: Connection, connection_id: int, kind: str, after: str, limit: int) -> list[str]:
    """The next ids of what exists of a kind, in the database's order."""
    return list(
        conn.execute(
            select(mirror.c.object_id)
            .where(
                mirror.c.connection_id == connection_id,
                mirror.c.kind == kind,
                mirror.c.object_id > after,
                mirror.c.deleted.is_(False),
            )
            .order_by(mirror.c.object_id)
            .limit(limit)
        ).scalars()
    )


def ids_relied_on(conn: Connection, connection_id: int, kind: str, after: str, limit: int) -> list[str]:
    """The next ids of documents of a kind that we made, or that record what was matched to them."""
    ours = exists().where(
        outbox.c.connection_id == mirror.c.connection_id,
        outbox.c.document_id == mirror.c.object_id,
        outbox.c.state.in_(("posted", "verified")),
    )
    these = (mirror.c.connection_id == connection_id, mirror.c.kind == kind, mirror.c.object_id > after)
    query = select(mirror.c.object_id).where(*these, mirror.c.deleted.is_(False), or_(mirror.c.claimed, ours))
    return list(conn.execute(query.order_by(mirror.c.object_id).limit(limit)).scalars())


def ids_dated(conn: Connection, connection_id: int, kind: str, first: date, last: date) -> list[str]:
    """The ids of what exists of a kind, dated from `first` to `last`."""
    these = (mirror.c.connection_id == connection_id, mirror.c.kind == kind, mirror.c.deleted.is_(False))
    return list(conn.execute(select(mirror.c.object_id).where(*these, mirror.c.dated.between(first, last))).scalars())


def documents_of(conn: Connection, connection_id: int, kind: str, customer_id: str) -> list[str]:
    """The ids of the documents of a kind in a customer's name. Reads every one of them: for rare questions only."""
    named = type_coerce(mirror.c.record, Text).contains(f'"customer_id":"{customer_id}"', autoescape=True)
    return list(
        conn.execute(
            select(mirror.c.object_id)
            .where(mirror.c.connection_id == connection_id, mirror.c.kind == kind, mirror.c.deleted.is_(False), named)
            .order_by(mirror.c.object_id)
        ).scalars()
    )


def holds_any(conn: Connection, connection_id: int, *kinds: str) -> bool:
    """Whether any object of some kinds still exists."""
    these = (mirror.c.connection_id == connection_id, mirror.c.kind.in_(kinds), mirror.c.deleted.is_(False))
    return conn.execute(select(mirror.c.object_id).where(*these).limit(1)).first() is not None


def load_marked(
    conn: Connection, connection_id: int, markers: Iterable[str], kinds: Sequence[str] = DOCUMENT_KINDS
) -> dict[str, list[Document]]:
    """Documents in the books that carry one of our markers: those that stand first, then as they were made."""
    found: dict[str, list[Document]] = defaultdict(list)
    wanted = set(markers)
    for kind in kinds:
        for document in load_children(conn, connection_id, kind, wanted):
            found[document.marker].append(document)
    for several in found.values():
        several.sort(key=lambda each: (each.voided, len(each.id), each.id))
    return dict(found)


def close_movements(conn: Connection, connection_id: int, ids: Sequence[str]) -> None:
    """Their legs are settled: matching need not look at them again."""
    _set_open(conn, connection_id, "movement", ids, False)


def reopen_movements(conn: Connection, connection_id: int, ids: Sequence[str]) -> None:
    """Something about their legs is to be decided again."""
    _set_open(conn, connection_id, "movement", ids, True)


def close_payouts(conn: Connection, connection_id: int, ids: Sequence[str]) -> None:
    """It is known which movements they hold."""
    _set_open(conn, connection_id, "payout", ids, False)


def close_credit_notes(conn: Connection, connection_id: int, ids: Sequence[str]) -> None:
    """Nothing is left to do about them, as they are now."""
    _set_open(conn, connection_id, "credit_note", ids, False)


def _set_open(conn: Connection, connection_id: int, kind: str, ids: Sequence[str], is_open: bool) -> None:
    for chunk in chunks(ids):
        conn.execute(_SET_OPEN, {"of": connection_id, "which": kind, "ids": list(chunk), "is_open": is_open})


_SET_OPEN = (
    update(mirror)
    .where(_OF, _OF_KIND, mirror.c.object_id.in_(bindparam("ids", expanding=True)))
    .values(open=bindparam("is_open"))
)


def claim(conn: Connection, connection_id: int, document_ids: Iterable[str]) -> None:
    """These documents belong to a match now and are no candidates any more."""
    _set_claimed(conn, connection_id, document_ids, True)


def release(conn: Connection, connection_id: int, document_ids: Iterable[str]) -> None:
    """These documents belong to no match any more and may be candidates again."""
    _set_claimed(conn, connection_id, document_ids, False)


def _set_claimed(conn: Connection, connection_id: int, document_ids: Iterable[str], claimed: bool) -> None:
    for document_id in sorted(set(document_ids)):
        kind = document_id.partition(":")[0]
        conn.execute(_SET_CLAIMED, {"of": connection_id, "which": kind, "this": document_id, "is_claimed": claimed})


_SET_CLAIMED = (
    update(mirror).where(_OF, _OF_KIND, mirror.c.object_id == bindparam("this")).values(claimed=bindparam("is_claimed"))
)


# ---- cursors


_SELECT_CURSOR = select(cursors.c.position).where(
    cursors.c.connection_id == bindparam("of"), cursors.c.stream == bindparam("which")
)


def cursor(conn: Connection, connection_id: int, stream: str) -> Any:
    """Where a listing stands; None if it has not begun."""
    return conn.execute(_SELECT_CURSOR, {"of": connection_id, "which": stream}).scalar()


def cursors_at(conn: Connection, connection_id: int, streams: Sequence[str]) -> dict[str, Any]:
    """Where some listings stand, by name; those that have begun."""
    rows = conn.execute(_SELECT_CURSORS, {"of": connection_id, "these": list(streams)})
    return {row.stream: row.position for row in rows}


_SELECT_CURSORS = select(cursors.c.stream, cursors.c.position).where(
    cursors.c.connection_id == bindparam("of"), cursors.c.stream.in_(bindparam("these", expanding=True))
)


def move_cursor(conn: Connection, connection_id: int, stream: str, position: Any, at: datetime) -> None:
    """Commits together with the page it follows."""
    row = {"connection_id": connection_id, "stream": stream, "position": position, "updated_at": at}
    upsert(conn, cursors, [row], ["connection_id", "stream"])


def forget_cursor(conn: Connection, connection_id: int, stream: str) -> None:
    """The listing begins anew."""
    conn.execute(cursors.delete().where(cursors.c.connection_id == connection_id, cursors.c.stream == stream))


def cursors_of(conn: Connection, connection_id: int, head: str) -> list[Any]:
    """The positions of all listings whose names begin so."""
    named = cursors.c.stream.startswith(head, autoescape=True)
    query = select(cursors.c.position).where(cursors.c.connection_id == connection_id, named)
    return list(conn.execute(query).scalars())


def forget_cursors(conn: Connection, connection_id: int, head: str) -> None:
    """All listings whose names begin so."""
    named = cursors.c.stream.startswith(head, autoescape=True)
    conn.execute(cursors.delete().where(cursors.c.connection_id == connection_id, named))
