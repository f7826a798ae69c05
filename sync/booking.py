"""What every ledger does with what was read, and with the outcome of a write, whoever carried it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from reconcile.records import Document
from storage import audit, connections, inbox, legs, mirror, outbox, undoing
from storage.outbox import Item
from sync import cents
from sync.difference import difference
from sync.errors import Rejected, Stale, SyncError
from sync.ports import Clock, Fetched, Rng

ATTEMPTS = 8
BACKOFF_S = (1, 300)
ACTOR = "quickbooks"
ABSENT = "absent"  # a look-up that came to its end without finding the marker


@dataclass(frozen=True)
class Made:
    """A document that is in the books. `attempt` None: found there, whichever attempt made it."""

    item: Item
    attempt: int | None
    document: Document
    raw: str  # as the mirror keeps it
    problem: str | None  # what it shows otherwise than was posted

    def written(self) -> outbox.Written:
        return outbox.Written(self.item.id, self.attempt, self.document.id, self.document.version, self.problem)

    def entry(self, action: str) -> audit.Entry:
        document = self.document
        return audit.Entry(
            actor="tieout",
            action=action,
            subject=self.item.posting.marker,
            link_id=self.item.link_id,
            detail={"document": document.id, "amount_minor": document.amount_minor, "currency": document.currency},
        )


def made(conn: Any, item: Item, attempt: int | None, document: Document, raw: str) -> Made:
    return Made(item, attempt, document, raw, difference(outbox.resolved(conn, item), document))


def take_up(conn: Any, connection_id: int, items: Sequence[Item], now: datetime) -> int:
    """Planned rows whose document is in the books already, by its marker, are posted, and never sent; gives how many.

    So it is with a database from before they were posted, and with a write that arrived after all. What the document
    shows otherwise than was planned stays on the row, for a person to see.
    """
    made_of = [item.posting for item in items if not item.posting.target]
    kinds = sorted({posting.kind for posting in made_of})
    marked = mirror.load_marked(conn, connection_id, [posting.marker for posting in made_of], kinds)
    found = [
        Made(item, None, document, mirror.raw(conn, connection_id, document.kind, document.id) or "", problem)
        for item in items
        for document, problem in _in_books(conn, item, marked)
    ]
    return len(record_made(conn, found, now, "found posted"))


def _in_books(conn: Any, item: Item, marked: Mapping[str, Sequence[Document]]) -> Iterator[tuple[Document, str | None]]:
    """The document that a planned row would make, or would change so, and what it shows otherwise; if it is there."""
    posting = outbox.resolved(conn, item)
    if posting.change in ("link", "move"):
        target = mirror.load(conn, item.connection_id, posting.kind, [posting.target or ""]).get(posting.target or "")
        if target is not None and difference(posting, target) is None:
            yield target, None
    elif not posting.target:
        same = [each for each in marked.get(posting.marker, ()) if each.kind == posting.kind]
        yield from ((each, difference(posting, each)) for each in same[:1])


def record_made(conn: Any, written: Sequence[Made], now: datetime, action: str) -> list[Made]:
    """Rows, mirror rows, legs and the audit, in one transaction; gives what was not known. Each document once, whoever
    tells of it first.
    """
    for link_id in sorted({each.item.link_id for each in written if each.item.posting.undoes}):
        connections.change_link(conn, link_id)  # before any row, as everywhere
    news = {each.outbox_id for each in outbox.record_posted(conn, [each.written() for each in written], now)}
    recorded = [each for each in written if each.item.id in news]
    if not recorded:
        return []
    stored = [(each.document.kind, each.document.id, each.document, each.raw) for each in recorded]
    mirror.store(conn, recorded[0].item.connection_id, stored, at=now, actor=ACTOR, is_news=False)
    for each in recorded:
        cents.complete(conn, each.item, each.document, now)
    legs_of_link: dict[int, set[str]] = defaultdict(set)
    for each in recorded:
        legs_of_link[each.item.link_id].update(share.leg_id for share in each.item.posting.shares)
    for link_id, leg_ids in legs_of_link.items():
        legs.record_posted(conn, link_id, sorted(leg_ids))
    audit.append(conn, now, [each.entry(action) for each in recorded])
    for each in recorded:
        if each.item.posting.undoes:
            undoing.complete(conn, connections.link(conn, each.item.link_id), each.item)
    return recorded


def store_found(
    conn: Any, connection_id: int, found: Sequence[Fetched], now: datetime, *, began: datetime | None = None
) -> list[tuple[str, str]]:
    """Stores what was read, and lets the outbox know which of its documents were seen in the books.

    What cannot be read is kept as it came, for a person. Gives what changed, as (kind, id). What somebody else has
    stored since `began` is left as it is: that was read later.
    """
    if began is not None:
        late = mirror.overtaken(conn, connection_id, [(one.kind, one.id) for one in found], began)
        found = [one for one in found if (one.kind, one.id) not in late]
    for one in found:
        if one.problem is not None:
            inbox.hold(conn, connection_id, one.kind, one.id, raw=one.raw, problem=one.problem, at=now)
    read = [(one.kind, one.id, one.record, one.raw) for one in found if one.problem is None]
    changed = mirror.store(conn, connection_id, read, at=now, actor=ACTOR)
    documents = [one.record for one in found if isinstance(one.record, Document)]
    verified = [
        outbox.Seen(item.id, document.version, difference(item.posting, document))
        for item, document in outbox.made(conn, connection_id, documents)
    ]
    outbox.verify(conn, verified)
    return changed


class Booking:
    """Every method works in the caller's transaction."""

    def __init__(self, clock: Clock, rng: Rng) -> None:
        self._clock, self._rng = clock, rng

    def pause(self, attempt: int, error: SyncError) -> timedelta:
        """How long to leave it alone; what the other side asks for in full."""
        if error.retry_after_s is not None:
            return timedelta(seconds=error.retry_after_s * (1 + self._rng.jitter() / 20))
        low, high = BACKOFF_S
        return timedelta(seconds=min(high, low * 2**attempt) * (0.5 + self._rng.jitter() / 2))

    def record_posted(self, conn: Any, written: Sequence[Made]) -> None:
        record_made(conn, written, self._clock.now(), "posted")

    def record_gone(self, conn: Any, item: Item, attempt: int | None, voided: Document | None, raw: str) -> None:
        """A document was taken back: it is voided now, or deleted (None)."""
        now, target = self._clock.now(), item.posting.target or ""
        connections.change_link(conn, item.link_id)  # before any row, as everywhere
        version = voided.version if voided else ""
        if not outbox.record_posted(conn, [outbox.Written(item.id, attempt, target, version, None)], now):
            return
        stored = [(item.posting.kind, target, voided, raw)]
        mirror.store(conn, item.connection_id, stored, at=now, actor=ACTOR, is_news=False)
        done = audit.Entry(
            actor="tieout",
            action="voided" if voided else "deleted",
            subject=item.posting.undoes or "",
            link_id=item.link_id,
            detail={"document": target, "marker": item.posting.marker},
        )
        audit.append(conn, now, [done])
        undoing.complete(conn, connections.link(conn, item.link_id), item)

    def call_off(self, conn: Any, item: Item, problem: str) -> None:
        """An undo or a restore that is not done, with the reason; its document stays as it is."""
        now = self._clock.now()
        connections.change_link(conn, item.link_id)  # before any row, as everywhere
        if item.posting.undoes:
            undoing.call_off(conn, connections.link(conn, item.link_id), item, problem, "tieout", now)
        else:
            outbox.call_off(conn, item)
        entry = audit.Entry(
            actor="tieout",
            action="did not undo" if item.posting.undoes else "did not restore",
            subject=item.posting.undoes or item.posting.mark,
            link_id=item.link_id,
            detail={"problem": problem},
        )
        audit.append(conn, now, [entry])

    def record_absent(self, conn: Any, items: Sequence[Item]) -> None:
        """The same bytes go out at once while their first sending may still arrive; what is older is decided anew.

        Since then somebody may have recorded the same by hand, or changed what it pays.
        """
        now = self._clock.now()
        ended = [item for item in items if item.lease_until is None or item.lease_until <= now]
        for link_id in sorted({item.link_id for item in ended}):  # before any row: locks are taken in one order
            connections.change_link(conn, link_id)
        for item in items:
            if item in ended:
                outbox.replan(conn, item)
            else:
                outbox.record_look_up(conn, item, ABSENT)

    def set_aside(self, conn: Any, item: Item, attempt: int, error: SyncError) -> None:
        """Refused, or beyond us: the others go on, this one waits for a person."""
        refused = outbox.record_refused(
            conn,
            item.id,
            attempt,
            problem=error.plain,
            technical=error.technical,
            nothing_written=isinstance(error, Rejected | Stale),
            cause=error.cause,
        )
        if refused and item.posting.undoes and isinstance(error, Rejected | Stale):
            self.call_off(conn, item, error.plain)
        elif refused:
            legs.record_refused(conn, item.link_id, [share.leg_id for share in item.posting.shares], error.plain)
            if item.posting.undoes:
                undoing.record_unclear(conn, connections.link(conn, item.link_id), item, error.plain)
            entry = audit.Entry(
                actor=ACTOR,
                action="refused",
                subject=item.posting.marker,
                link_id=item.link_id,
                detail={"problem": error.plain, "technical": error.technical},
            )
            audit.append(conn, self._clock.now(), [entry])
