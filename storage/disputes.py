"""What our documents say of each dispute so far: the ground for its closing entry."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, select

from reconcile.disputes import gross_share, held_by
from reconcile.postings import Posting
from reconcile.records import Dispute
from reconcile.snapshot import DisputeBooks
from storage import legs
from storage.connections import Link
from storage.mirror import chunks
from storage.models import inbox, outbox
from storage.records import from_json

CLOSED_EVENT = "charge.dispute.closed"


def load(conn: Connection, link: Link, disputes: Iterable[Dispute], home: str) -> dict[str, DisputeBooks]:
    """By dispute id; nothing for those of which nothing is in the books or on its way there. `home` is a currency."""
    ids = sorted(dispute.id for dispute in disputes)
    rows = legs.of_sources(conn, link.id, ids)
    closed_by = _closings(conn, link.id, ids)
    markers = [*map(opening_marker, ids), *(marker for row in rows for marker in row.markers)]
    entries = _entries(conn, link.id, markers)
    booked: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        is_opened = row.before_cutover and opening_marker(row.source_id) in entries
        if is_opened or any(marker in entries for marker in row.markers):
            booked[row.source_id].append(row)
    closed = closed_at(conn, link.processor_id, [each for each in ids if each in booked])
    found = {}
    for dispute_id, parts in booked.items():
        closings = closed_by[dispute_id]
        made = [
            entries[marker] for marker in sorted({each for row in parts for each in row.markers}) if marker in entries
        ]
        opened = [entries[marker] for marker in (opening_marker(dispute_id),) if marker in entries]
        before = -sum(row.amount_minor for row in parts if row.before_cutover and row.kind == "gross")
        taken = [(before, _closed(each)) for each in opened]
        taken += [(gross_share(each), held_by(each, home)) for each in made]
        made += opened
        books = DisputeBooks(
            held_minor=sum(_closed(posting) for posting in closings) + sum(held for _, held in taken),
            taken=tuple(taken),
            closings=len(closings),
            movement_ids=frozenset(row.movement_id for row in parts),
            last_day=max(posting.dated for posting in made),
            last_marker=max(made, key=lambda posting: (posting.dated, posting.marker)).marker,
        )
        found[dispute_id] = replace(books, closed_at=closed.get(dispute_id))
    return found


def opening_marker(dispute_id: str) -> str:
    return f"{dispute_id}:opening:r1:s1"


def _entries(conn: Connection, link_id: int, markers: Iterable[str]) -> dict[str, Posting]:
    """Our entries of disputes, by marker; not those that were taken back before they were sent."""
    named = {each for each in markers if ":dispute:" in each or ":opening:" in each}
    return {row.marker: from_json(row.posting, Posting) for row in _standing(conn, link_id, sorted(named))}


def _closings(conn: Connection, link_id: int, dispute_ids: Sequence[str]) -> dict[str, list[Posting]]:
    """By dispute, what closed it. They are numbered without a gap, so one that has a row may have a next one."""
    found: dict[str, list[Posting]] = defaultdict(list)
    number = 1
    while dispute_ids:
        of = {f"{each}:close:r{number}:s1": each for each in dispute_ids}
        for row in _standing(conn, link_id, list(of)):
            found[of[row.marker]].append(from_json(row.posting, Posting))
        dispute_ids, number = [of[each] for each in _known(conn, link_id, list(of))], number + 1
    return found


def _standing(conn: Connection, link_id: int, markers: Sequence[str]) -> list[Row[Any]]:
    """Rows of the outbox that are in the books or on their way there."""
    query = select(outbox.c.marker, outbox.c.posting).where(
        outbox.c.link_id == link_id, outbox.c.kind == "journal_entry", outbox.c.state.not_in(("withdrawn", "spent"))
    )
    found: list[Row[Any]] = []
    for chunk in chunks(markers):
        found += conn.execute(query.where(outbox.c.marker.in_(chunk)))
    return found


def _known(conn: Connection, link_id: int, markers: Sequence[str]) -> list[str]:
    query = select(outbox.c.marker).where(outbox.c.link_id == link_id)
    return [row.marker for chunk in chunks(markers) for row in conn.execute(query.where(outbox.c.marker.in_(chunk)))]


def _closed(posting: Posting) -> int:
    """What a closing or opening entry did to Disputes receivable."""
    return sum(line.amount_minor for line in posting.lines if line.account_id == posting.account_id)


def closed_at(conn: Connection, processor: int, dispute_ids: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for chunk in chunks(dispute_ids):
        rows = conn.execute(
            select(inbox.c.object_id, inbox.c.occurred_at)
            .where(inbox.c.connection_id == processor, inbox.c.type == CLOSED_EVENT, inbox.c.object_id.in_(chunk))
            .order_by(inbox.c.occurred_at)
        )
        found.update({row.object_id: row.occurred_at for row in rows})
    return found
