"""What is open of a link at one moment, and how two such moments differ: before and after a change that is tried."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select

from reconcile.postings import Posting
from storage import dry_run, mirror
from storage import legs as stored_legs
from storage.connections import Link
from storage.dry_run import PLANNED, DocumentView
from storage.models import legs, outbox
from storage.models import mirror as mirror_table
from storage.records import from_json

SHOWN_MAX = 200  # records listed of each kind of change; all are counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The legs that are not settled for good, by id, and the documents planned for them, by marker."""

    legs: dict[str, Row[Any]]
    planned: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a leg stands: what is planned for it, what it is matched to, or why it waits."""

    reason: str
    detail: str
    documents: tuple[DocumentView, ...] = ()
    matched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One entry that stands otherwise."""

    leg_id: str
    source_id: str
    kind: str
    currency: str
    amount_minor: int
    before: Standing
    after: Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Entries of one kind of change: how many, their sums by currency, and up to SHOWN_MAX of them."""

    count: int
    sums: tuple[tuple[str, int], ...]
    shown: tuple[Change, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """`settled`: matched or planned now and not before; `unsettled`: the other way round; `otherwise`: planned or
    matched both times, but not alike; `waiting`: waits both times, for another reason or with another sentence.
    """

    looked_at: int
    settled: Changes
    unsettled: Changes
    otherwise: Changes
    waiting: Changes

    @property
    def is_empty(self) -> bool:
        return not any(each.count for each in (self.settled, self.unsettled, self.otherwise, self.waiting))


def count_open(conn: Connection, link: Link) -> int:
    """The movements that a preview decides again."""
    these = (mirror_table.c.connection_id == link.processor_id, mirror_table.c.kind == "movement")
    return int(
        conn.execute(select(func.count()).where(*these, mirror_table.c.open.is_(True))).scalar_one()
        + conn.execute(select(func.count()).where(outbox.c.link_id == link.id, outbox.c.state == PLANNED)).scalar_one()
    )


def moment(conn: Connection, link: Link, also: Iterable[str] = ()) -> Moment:
    """`also` are legs to look at even if they are settled."""
    waiting = conn.execute(select(legs).where(legs.c.link_id == link.id, legs.c.state == "waiting"))
    found = {row.id: row for row in waiting}
    found |= {row.id: row for row in stored_legs.of_ids(conn, link.id, sorted(set(also) - set(found)))}
    query = select(outbox.c.marker, outbox.c.posting).where(outbox.c.link_id == link.id, outbox.c.state == PLANNED)
    return Moment(legs=found, planned={row.marker: row.posting for row in conn.execute(query)})


def compare(conn: Connection, link: Link, before: Moment, after: Moment) -> Preview:
    """What became otherwise of the legs that were open before."""
    changed: dict[str, list[str]] = defaultdict(list)
    for leg_id, old in before.legs.items():
        kind = _kind(old, after.legs[leg_id], before, after)
        if kind:
            changed[kind].append(leg_id)
    found = {
        kind: _changes(conn, link, sorted(changed[kind]), before, after)
        for kind in ("settled", "unsettled", "otherwise", "waiting")
    }
    return Preview(looked_at=len(before.legs), **found)


def _kind(old: Row[Any], new: Row[Any], before: Moment, after: Moment) -> str:
    was, is_now = _is_settled(old), _is_settled(new)
    if was != is_now:
        return "settled" if is_now else "unsettled"
    if was:
        same = old.document_ids == new.document_ids and _planned(old, before) == _planned(new, after)
        return "" if same else "otherwise"
    return "" if (old.reason, old.detail) == (new.reason, new.detail) else "waiting"


def _is_settled(row: Row[Any]) -> bool:
    return row.state != "waiting" or bool(row.markers)


def _planned(row: Row[Any], at: Moment) -> dict[str, Any]:
    return {marker: at.planned.get(marker) for marker in row.markers}


def _changes(conn: Connection, link: Link, leg_ids: Sequence[str], before: Moment, after: Moment) -> Changes:
    sums: Counter[str] = Counter()
    for leg_id in leg_ids:
        sums[before.legs[leg_id].currency] += int(before.legs[leg_id].amount_minor)
    shown = leg_ids[:SHOWN_MAX]
    views = [_views(conn, link, [each.legs[leg_id] for leg_id in shown], each) for each in (before, after)]
    return Changes(
        count=len(leg_ids),
        sums=tuple(sorted(sums.items())),
        shown=tuple(
            Change(
                leg_id=leg_id,
                source_id=after.legs[leg_id].source_id,
                kind=after.legs[leg_id].kind,
                currency=after.legs[leg_id].currency,
                amount_minor=after.legs[leg_id].amount_minor,
                before=_standing(before.legs[leg_id], views[0]),
                after=_standing(after.legs[leg_id], views[1]),
            )
            for leg_id in shown
        ),
    )


def _views(conn: Connection, link: Link, rows: Sequence[Row[Any]], at: Moment) -> Mapping[str, DocumentView]:
    markers = {marker for row in rows for marker in row.markers if marker in at.planned}
    postings = [from_json(at.planned[marker], Posting) for marker in sorted(markers)]
    return dry_run.by_marker(conn, link.ledger_id, postings)


def _standing(row: Row[Any], views: Mapping[str, DocumentView]) -> Standing:
    return Standing(
        reason=row.reason,
        detail=row.detail,
        documents=tuple(views[marker] for marker in row.markers if marker in views),
        matched=tuple(row.document_ids) if row.state == "matched" else (),
    )


def is_read(conn: Connection, link: Link) -> bool:
    """Whether there is anything to try rules on."""
    return bool(mirror.ids_of(conn, link.processor_id, "movement"))
