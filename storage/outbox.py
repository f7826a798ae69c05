"""The outbox: what is to be written into the books, each marker once, and how far each has come.

    planned -> sending -> posted -> verified
       ^         |  ^
       |         v  | (look-up found nothing, at once: the same bytes again)
       +------ doubtful           waiting: refused, a person must mend it; `retry` makes it planned again
      (look-up found nothing, after the lease: decided anew on the books as they are by then)

A row whose document another one took back (`undoes`) is *spent*: storage.undoing. Rows
that are ready go out together in a batch; one that it left unsettled goes alone then (docs/decisions/0004-batches.md).

A planned row of which certainly nothing was sent is withdrawn before each new plan, which then plans it again if it
still holds: nothing is ever sent on an older view of the books than the last one.

Every step is one conditional UPDATE whose row count says whether it was still ours to take.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, case, exists, func, or_, select, update

from reconcile.postings import POSTED, Posting, Share
from reconcile.records import Document
from storage.engine import upsert
from storage.markers import OF_LINK, of_link
from storage.mirror import chunks
from storage.models import links, outbox
from storage.records import from_json, to_json

UNSETTLED = ("sending", "doubtful", "waiting")


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One outbox row as the posting step sees it."""

    id: int
    link_id: int
    connection_id: int
    state: str
    attempt: int
    posting: Posting
    request_id: str | None
    batch_id: str | None
    body: str | None
    lease_until: datetime | None
    search_from: datetime | None
    look_up: Any | None
    document_id: str | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class Written:
    """A row whose document is in the books. `attempt` None: found there by its marker, whichever attempt made it."""

    outbox_id: int
    attempt: int | None
    document_id: str
    version: str
    problem: str | None  # what the document shows otherwise than was posted


@dataclass(frozen=True, slots=True)
class Seen:
    """A row whose document a later read of the books has shown: as posted, or with a `problem`."""

    outbox_id: int
    version: str
    problem: str | None


def plan(
    conn: Connection,
    *,
    link_id: int,
    connection_id: int,
    postings: Sequence[Posting],
    at: datetime,
    asked_by: str | None = None,
) -> int:
    """Adds postings whose marker is new or was withdrawn; gives how many. No marker ever has two rows.

    What a person asked for by itself (`asked_by`) is not withdrawn for a new plan.
    """
    rows = [
        {
            "link_id": link_id,
            "connection_id": connection_id,
            "marker": posting.marker,
            "kind": posting.kind,
            "dated": posting.dated,
            "posting": to_json(posting),
            "after": posting.after,
            "state": "planned",
            "attempt": 0,
            "planned_at": at,
            "asked_by": asked_by,
            "undoes": posting.undoes,
        }
        for posting in postings
    ]
    columns = ["kind", "dated", "posting", "after", "state", "planned_at"]
    return upsert(conn, outbox, rows, ["link_id", "marker"], columns, lambda _: outbox.c.state == "withdrawn")


def withdraw(
    conn: Connection,
    link_id: int,
    markers: Sequence[str] | None = None,
    keep: Collection[str] = (),
    limit: int | None = None,
) -> list[Posting]:
    """Takes back what was planned and certainly not sent; gives it. The next attempt has another request id.

    `markers`: only these; `keep`: none of these; `limit`: no more than so many, the oldest.
    """
    these = outbox.c.marker.not_in(keep) if markers is None else outbox.c.marker.in_(markers)
    planned = and_(of_link(link_id), outbox.c.state == "planned", outbox.c.asked_by.is_(None), these)
    oldest = select(outbox.c.id).where(planned).order_by(outbox.c.id).limit(limit)
    rows = conn.execute(
        update(outbox)
        .where(planned if limit is None else and_(planned, outbox.c.id.in_(oldest)))
        .values(state="withdrawn", body=None, body_hash=None, request_id=None, next_at=None, problem=None)
        .returning(outbox.c.posting)
    )
    return [from_json(posting, Posting) for posting in rows.scalars()]


def begun(conn: Connection, link_id: int, markers: Sequence[str]) -> bool:
    """Whether anything of these was sent, or may have been."""
    row = conn.execute(
        select(outbox.c.id)
        .where(outbox.c.link_id == link_id, outbox.c.marker.in_(markers), outbox.c.state != "withdrawn")
        .limit(1)
    )
    return row.first() is not None


def call_off(conn: Connection, item: Item) -> None:
    """What a person asked for is not to be sent any more; only where certainly nothing was."""
    ours = (outbox.c.id == item.id, outbox.c.state == "planned", outbox.c.attempt == item.attempt)
    gone = {"body": None, "body_hash": None, "request_id": None, "next_at": None, "problem": None}
    conn.execute(update(outbox).where(*ours).values(state="withdrawn", **gone))


def any_sent(conn: Connection, link_id: int) -> bool:
    """Whether anything of a link was sent, or may have been."""
    sent = (outbox.c.link_id == link_id, outbox.c.state.not_in(("planned", "withdrawn")))
    return conn.execute(select(outbox.c.id).where(*sent).limit(1)).first() is not None


def doubtful(conn: Connection, connection_id: int, at: datetime, limit: int = 100) -> list[Item]:
    """Rows whose write may or may not have been applied, and whose time has come; the oldest first."""
    rows = conn.execute(_SELECT_DOUBTFUL, {"of": connection_id, "now": at, "most": limit})
    return [_item(row) for row in rows]


def replan(conn: Connection, item: Item) -> bool:
    """Certainly not in the books, and nobody sends it any more: it is planned again, under the next request id.

    The caller makes matching run again: the books may have moved on, and what is planned then can be withdrawn.
    """
    done = conn.execute(
        update(outbox)
        .where(outbox.c.id == item.id, outbox.c.state == "doubtful", outbox.c.attempt == item.attempt)
        .values(
            state="planned", body=None, body_hash=None, request_id=None, look_up=None, lease_until=None, problem=None
        )
    )
    return done.rowcount == 1


def doubt_expired(conn: Connection, connection_id: int, at: datetime) -> int:
    """Rows still `sending` after their lease: their sender is gone, and nobody knows whether they were applied."""
    return conn.execute(_DOUBT_EXPIRED, {"of": connection_id, "now": at}).rowcount


# What is asked at every step of every sync is made once: making a statement anew takes longer than its answer.
_OF = outbox.c.connection_id == bindparam("of")
_DUE = or_(outbox.c.next_at.is_(None), outbox.c.next_at <= bindparam("now"))
_SELECT_DOUBTFUL = (
    select(outbox)
    .where(_OF, outbox.c.state == "doubtful", _DUE)
    .order_by(outbox.c.id)
    .limit(bindparam("most"))
    .with_for_update()
)
_DOUBT_EXPIRED = (
    update(outbox)
    .where(_OF, outbox.c.state == "sending", outbox.c.lease_until < bindparam("now"))
    .values(state="doubtful", look_up=None, next_at=None)
)
_SELECT_UNDER_WAY = select(
    *(exists().where(_OF, outbox.c.state == state).label(state) for state in ("planned", "sending", "doubtful"))
)


def under_way(conn: Connection, connection_id: int) -> set[str]:
    """Which of `planned`, `sending` and `doubtful` there are rows of; mostly there are none, and nothing to ask for."""
    found = conn.execute(_SELECT_UNDER_WAY, {"of": connection_id}).one()
    return {state for state, is_any in found._mapping.items() if is_any}


def ready(conn: Connection, connection_id: int, at: datetime, limit: int = 1) -> list[Item]:
    """The oldest rows that may be sent: posting is on, they are due, what they come after is in the books, and nothing
    has changed since they were decided.
    """
    rows = conn.execute(_SELECT_READY, {"of": connection_id, "now": at, "most": limit})
    return [_item(row) for row in rows]


_before = outbox.alias()
_PREDECESSOR_DONE = exists().where(
    _before.c.link_id == outbox.c.link_id,
    _before.c.marker == outbox.c.after,
    _before.c.state.in_(("posted", "verified")),
    # Of another total nobody pays it, or pays it out, by itself.
    or_(_before.c.kind.not_in(("invoice", "credit_memo")), _before.c.problem.is_(None)),
)
_SELECT_READY = (
    select(outbox)
    .join(links, links.c.id == outbox.c.link_id)
    .where(
        *(_OF, outbox.c.state == "planned", _DUE, links.c.posting_on.is_(True)),
        *(links.c.decided_revision == links.c.revision, or_(outbox.c.after.is_(None), _PREDECESSOR_DONE)),
    )
    .order_by(outbox.c.id)
    .limit(bindparam("most"))
    .with_for_update(of=outbox)
)


def claim(
    conn: Connection,
    item: Item,
    *,
    request_id: str,
    body: str,
    search_from: datetime,
    at: datetime,
    lease_s: float,
    batch_id: str | None = None,
) -> bool:
    """Takes a row for one attempt and, the first time, freezes its bytes. False if somebody else was quicker.

    `batch_id` names the batch it goes out in; None: it goes alone.
    `search_from` is a moment by the ledger's clock that is certainly before the first attempt.
    """
    frozen = item.body if item.body is not None else body
    taken = conn.execute(
        update(outbox)
        .where(outbox.c.id == item.id, outbox.c.state == item.state, outbox.c.attempt == item.attempt)
        .values(
            state="sending",
            attempt=item.attempt + 1,
            request_id=item.request_id or request_id,
            batch_id=batch_id or item.batch_id,
            body=frozen,
            body_hash=hashlib.sha256(frozen.encode()).hexdigest(),
            search_from=item.search_from or search_from,
            lease_until=at + timedelta(seconds=lease_s),
            look_up=None,
            next_at=None,
        )
    )
    return taken.rowcount == 1


def record_posted(conn: Connection, written: Sequence[Written], at: datetime) -> list[Written]:
    """These documents are in the books; gives those that were not known to be, each of them once."""
    known = {
        row.id: row
        for row in conn.execute(
            select(outbox.c.id, outbox.c.state, outbox.c.attempt)
            .where(outbox.c.id.in_([each.outbox_id for each in written]))
            .with_for_update()
        )
    }
    ours = [each for each in written if _is_ours(each, known.get(each.outbox_id))]
    if ours:
        conn.execute(
            update(outbox)
            .where(outbox.c.id == bindparam("this"))
            .values(
                state="posted",
                document_id=bindparam("found"),
                document_version=bindparam("found_version"),
                posted_at=at,
                lease_until=None,
                problem=bindparam("difference"),
                technical=None,
            ),
            [
                {
                    "this": each.outbox_id,
                    "found": each.document_id,
                    "found_version": each.version,
                    "difference": each.problem,
                }
                for each in ours
            ],
        )
    return ours


def _is_ours(each: Written, known: Any) -> bool:
    """Still under way, and by the attempt that tells us: one that slept past its lease must not speak for a later.

    What was found by its marker is in the books, whatever we were about to do.
    """
    if known is None or known.state not in ("planned", "sending", "doubtful"):
        return False
    return each.attempt is None or (known.state != "planned" and each.attempt == known.attempt)


def record_later(
    conn: Connection, outbox_id: int, attempt: int, *, at: datetime, problem: str, alone: bool = False
) -> bool:
    """Nothing was done; the same bytes go out again at `at`: `alone`, or in whatever batch comes."""
    again = {} if alone else {"batch_id": None}
    return _leave(conn, outbox_id, attempt, state="planned", next_at=at, problem=problem, **again)


def record_anew(conn: Connection, outbox_id: int, attempt: int, *, problem: str, at: datetime | None = None) -> bool:
    """Nothing was done, and never will be with these bytes: they are made again, not before `at`, of what the books
    say by then.
    """
    anew = {"body": None, "body_hash": None, "request_id": None, "batch_id": None}
    return _leave(conn, outbox_id, attempt, state="planned", next_at=at, problem=problem, **anew)


def record_doubt(conn: Connection, item: Item, attempt: int, *, at: datetime, problem: str) -> bool:
    """It may have been done: look for the marker at `at`, before anything else. The lease says when it surely ended."""
    lease = item.lease_until
    return _leave(conn, item.id, attempt, state="doubtful", next_at=at, problem=problem, lease_until=lease)


def record_refused(
    conn: Connection, row_id: int, attempt: int, *, problem: str, technical: str, nothing_written: bool, cause: str = ""
) -> bool:
    """It waits for a person. Only if nothing can have been written may the next try be built anew."""
    anew = {"body": None, "body_hash": None, "request_id": None} if nothing_written else {}
    said = {"problem": problem, "technical": technical, "cause": cause or None}
    return _leave(conn, row_id, attempt, state="waiting", next_at=None, **said, **anew)


def record_look_up(conn: Connection, item: Item, position: Any, *, next_at: datetime | None = None) -> None:
    """Where the search for a marker stands."""
    conn.execute(
        update(outbox)
        .where(outbox.c.id == item.id, outbox.c.state == "doubtful", outbox.c.attempt == item.attempt)
        .values(look_up=position, next_at=next_at)
    )


def reshare(conn: Connection, item: Item, shares: tuple[Share, ...]) -> None:
    """Its document books another part of its legs than was planned; another posting books the rest."""
    posting = to_json(replace(item.posting, shares=shares))
    conn.execute(update(outbox).where(outbox.c.id == item.id).values(posting=posting))


def retry(conn: Connection, outbox_id: int) -> bool:
    """A person mended the cause: try again, after a look into the books if something may have been written."""
    done = conn.execute(
        update(outbox)
        .where(outbox.c.id == outbox_id, outbox.c.state == "waiting")
        .values(
            state=case((outbox.c.body.is_(None), "planned"), else_="doubtful"),
            next_at=None,
            problem=None,
            technical=None,
            look_up=None,
        )
    )
    return done.rowcount == 1


def verify(conn: Connection, seen: Sequence[Seen]) -> None:
    """Later reads of the books showed these documents. Only what is news is written; a difference stays on the row."""
    columns = (outbox.c.id, outbox.c.state, outbox.c.document_version, outbox.c.problem)
    rows = (
        row
        for chunk in chunks([each.outbox_id for each in seen])
        for row in conn.execute(select(*columns).where(outbox.c.id.in_(chunk)).with_for_update())
    )
    known = {row.id: row for row in rows if row.state in ("posted", "verified")}
    news = []
    for each in seen:
        row, state = known.get(each.outbox_id), "posted" if each.problem else "verified"
        if row is not None and (row.state, row.document_version, row.problem) != (state, each.version, each.problem):
            news.append({"this": each.outbox_id, "now": state, "found_version": each.version, "odd": each.problem})
    if news:
        conn.execute(
            update(outbox)
            .where(outbox.c.id == bindparam("this"))
            .values(state=bindparam("now"), problem=bindparam("odd"), document_version=bindparam("found_version")),
            news,
        )


def get(conn: Connection, outbox_id: int) -> Item:
    return _item(conn.execute(select(outbox).where(outbox.c.id == outbox_id)).one())


def resolved(conn: Connection, item: Item) -> Posting:
    """Its posting with the documents it refers to by marker: they are in the books by the time it is sent."""
    names = [part.id for part in item.posting.applied] + [item.posting.target or ""]
    markers = [name.removeprefix(POSTED) for name in names if name.startswith(POSTED)]
    found = by_marker(conn, item.connection_id, markers) if markers else {}
    ids = {f"{POSTED}{marker}": each.document_id or "" for marker, each in found.items()}
    target = item.posting.target
    return replace(
        item.posting,
        applied=tuple(replace(part, id=ids.get(part.id, part.id)) for part in item.posting.applied),
        target=ids.get(target, target) if target else None,
    )


def get_all(conn: Connection, outbox_ids: Sequence[int]) -> dict[int, Item]:
    """By id."""
    return {row.id: _item(row) for row in conn.execute(select(outbox).where(outbox.c.id.in_(list(outbox_ids))))}


def by_marker(conn: Connection, connection_id: int, markers: Sequence[str]) -> dict[str, Item]:
    found = {}
    for chunk in chunks(list(markers)):
        rows = conn.execute(select(outbox).where(outbox.c.connection_id == connection_id, outbox.c.marker.in_(chunk)))
        found.update({row.marker: _item(row) for row in rows})
    return found


def made(conn: Connection, connection_id: int, documents: Sequence[Document]) -> list[tuple[Item, Document]]:
    """Those documents that are ours, with the rows that made them: also if their memo does not say so any more."""
    known, found = {document.id: document for document in documents}, []
    for chunk in chunks(sorted(known)):
        rows = conn.execute(_SELECT_MADE, {"of": connection_id, "documents": list(chunk)})
        found += [(item, known[item.document_id or ""]) for item in map(_item, rows) if not item.posting.target]
    return found


_SELECT_MADE = select(outbox).where(_OF, outbox.c.document_id.in_(bindparam("documents", expanding=True)))


def unsettled(conn: Connection, link_id: int) -> list[Item]:
    """Rows that are not in the books yet, as far as we know."""
    return [_item(row) for row in conn.execute(_SELECT_UNSETTLED, {"link": link_id})]


_SELECT_UNSETTLED = select(outbox).where(OF_LINK, outbox.c.state.in_(UNSETTLED)).order_by(outbox.c.id)
_SELECT_PLANNED = select(outbox.c.id).where(OF_LINK, outbox.c.state == "planned").limit(1)


def any_planned(conn: Connection, link_id: int) -> bool:
    return conn.execute(_SELECT_PLANNED, {"link": link_id}).first() is not None


def count_ready(conn: Connection, connection_id: int) -> int:
    """How many are on their way into the books."""
    return conn.execute(_COUNT_READY, {"of": connection_id}).scalar_one()


_ON_ITS_WAY = (_OF, outbox.c.state.in_(("planned", "sending", "doubtful")))
_COUNT_READY = select(func.count()).select_from(outbox).where(*_ON_ITS_WAY)
_LEASE_OF_SENDING = case((outbox.c.state == "sending", outbox.c.lease_until))
_SELECT_NEXT_DUE = select(func.min(outbox.c.next_at), func.min(_LEASE_OF_SENDING)).where(*_ON_ITS_WAY)


def next_due(conn: Connection, connection_id: int) -> tuple[datetime | None, datetime | None]:
    """When the next row may be tried that pauses after trouble, and when the next lease of somebody else ends."""
    pause, lease = conn.execute(_SELECT_NEXT_DUE, {"of": connection_id}).one()
    return pause, lease


def _leave(conn: Connection, outbox_id: int, attempt: int, **values: Any) -> bool:
    left = {"lease_until": None} | values
    return conn.execute(update(outbox).where(outbox.c.id == outbox_id, _ours(attempt)).values(**left)).rowcount == 1


def _ours(attempt: int) -> Any:
    """Still the attempt we made: a worker that slept past its lease must not overwrite what came after it."""
    return and_(outbox.c.state.in_(("sending", "doubtful")), outbox.c.attempt == attempt)


def _item(row: Row[Any]) -> Item:
    values = {name: getattr(row, name) for name in Item.__dataclass_fields__}
    return Item(**values | {"posting": from_json(row.posting, Posting)})
