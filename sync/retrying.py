"""What a person does about what failed: tries it again, reads it again, or leaves it. Each as in sync.commands."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from storage import again, audit, connections, inbox, legs, mirror, outbox, problems, runs
from storage.again import Scope
from storage.connections import Link
from storage.engine import Database
from storage.mirror import chunks
from storage.problems import Kind
from storage.records import DOCUMENT_KINDS, to_json
from storage.users import User
from sync.commands import READING, RefusedError, check, check_connected, entry, sync_soon
from sync.ports import Clock

AT_ONCE = 200  # rows of one transaction
DAYS_MAX = 366
# Stripe's ids by what they are of.
KINDS = {
    "ch_": "charge",
    "py_": "charge",
    "re_": "refund",
    "pyr_": "refund",
    "po_": "payout",
    "dp_": "dispute",
    "du_": "dispute",
    "txn_": "movement",
    "in_": "processor_invoice",
    "inpay_": "invoice_payment",
    "cn_": "credit_note",
    "cus_": "customer",
}
UNKNOWN_ID = (
    "Nothing is known of “{}”. Give an id of Stripe (ch_, re_, po_, dp_, in_, cn_, cus_, txn_), of an event that "
    "arrived (evt_), or of a document in QuickBooks, as payment:12."
)


# ---- trying again


def retry_postings(database: Database, clock: Clock, actor: User, link_id: int, outbox_ids: Sequence[int]) -> int:
    """Has refused postings decided anew and sent by the next sync, which is asked for; gives how many there were."""
    _allow(database, actor, "retry_posting")
    number = retry_refused(database, clock, actor.email, link_id, outbox_ids)
    return _then_sync(database, clock, actor, link_id, number)


def retry_cause(database: Database, clock: Clock, actor: User, link_id: int, key: str) -> int:
    """The same with all that were refused for one cause (storage.problems)."""
    _allow(database, actor, "retry_posting")
    number, last = 0, 0
    while True:
        with database.read() as conn:
            ids = problems.posting_ids(conn, link_id, key, after=last, limit=AT_ONCE)
        if not ids:
            return _then_sync(database, clock, actor, link_id, number)
        number, last = number + retry_refused(database, clock, actor.email, link_id, ids), ids[-1]


def retry_refused(database: Database, clock: Clock, actor: str, link_id: int, outbox_ids: Sequence[int]) -> int:
    """For whoever may: `actor` is the person who asked for it."""
    now, number = clock.now(), 0
    for chunk in chunks(list(outbox_ids), AT_ONCE):
        with database.write() as conn:
            connections.change_link(conn, link_id)  # so that they are decided again on what the books say now
            retried = [outbox_id for outbox_id in chunk if outbox.retry(conn, outbox_id)]
            items = outbox.get_all(conn, retried).values()
            legs.record_retried(conn, link_id, [share.leg_id for item in items for share in item.posting.shares])
            said = (
                audit.Entry(actor=actor, action="retried", subject=item.posting.marker, link_id=link_id)
                for item in items
            )
            audit.append(conn, now, list(said))
            number += len(retried)
    return number


def retry_received(database: Database, clock: Clock, actor: User, link_id: int, inbox_ids: Sequence[int]) -> int:
    """Has what could not be handled fetched again by the next sync, which is asked for; gives how many there were.

    The books have no fetching by id: there, everything is read again, once.
    """
    _allow(database, actor, "retry_received")
    now, number = clock.now(), 0
    for chunk in chunks(list(inbox_ids), AT_ONCE):
        with database.write() as conn:
            events = [each for each in (inbox.release(conn, inbox_id) for inbox_id in chunk) if each is not None]
            for side in sorted({event.connection_id for event in events}):
                if connections.connection(conn, side).system != "stripe":
                    mirror.forget_cursor(conn, side, READING)
            said = [entry(actor, "retried", f"event {event.event_id}", link_id) for event in events]
            audit.append(conn, now, said)
            number += len(events)
    return _then_sync(database, clock, actor, link_id, number)


def retry_all_received(
    database: Database, clock: Clock, actor: User, link_id: int, kind: Kind, connection_id: int
) -> int:
    """The same with all of one cause."""
    _allow(database, actor, "retry_received")
    with database.read() as conn:
        ids = problems.received_ids(conn, kind, connection_id)
    return retry_received(database, clock, actor, link_id, ids)


def leave_all_received(database: Database, clock: Clock, actor: User, link_id: int, connection_id: int) -> int:
    """Takes events of a kind that Tieout does not know off the list: they mean nothing to it."""
    now = clock.now()
    with database.write() as conn:
        check(conn, actor, "leave_received")
        left = inbox.leave(conn, problems.received_ids(conn, "unknown", connection_id))
        audit.append(conn, now, [entry(actor, "left", f"event {event_id}", link_id) for event_id in left])
    return len(left)


def _allow(database: Database, actor: User, action: str) -> None:
    with database.read() as conn:
        check(conn, actor, action)


def _then_sync(database: Database, clock: Clock, actor: User, link_id: int, number: int) -> int:
    if number:
        with database.write() as conn:
            sync_soon(conn, link_id, actor.email, clock.now())
    return number


# ---- reading again


def scope_of(database: Database, link_id: int, text: str) -> Scope:
    """What an id that a person gives is about: an object, an event's object, or what a posting was made for.

    Raises RefusedError if it is of nothing that can be read again.
    """
    wanted = text.strip()
    with database.read() as conn:
        link = connections.link(conn, link_id)
        objects = _objects(conn, link, wanted)
    if not objects:
        raise RefusedError(UNKNOWN_ID.format(wanted))
    return Scope(objects=tuple(objects))


def _objects(conn: Any, link: Link, wanted: str) -> list[tuple[str, str]]:
    if wanted.startswith("evt_"):
        pointed = again.event(conn, link, wanted)
        return [pointed] if pointed and pointed[0] in KINDS.values() else []
    if wanted.startswith("pi_"):
        charges = mirror.load_children(conn, link.processor_id, "charge", [wanted])
        return [("charge", each.id) for each in charges]
    sources = again.sources_of(conn, link, wanted)
    named = [wanted, *sources]
    return [(kind, each) for each in named if (kind := _kind(each))]


def _kind(object_id: str) -> str | None:
    """Markers begin like ids, but have parts."""
    kind, _, rest = object_id.partition(":")
    if rest:
        return kind if kind in DOCUMENT_KINDS and rest.isdigit() else None
    return next((kind for prefix, kind in KINDS.items() if object_id.startswith(prefix)), None)


def look_again(database: Database, clock: Clock, actor: User, link_id: int, scope: Scope) -> bool:
    """Asks what reading a scope again would change; nothing is stored. False if that is asked for already."""
    return _ask(database, clock, actor, link_id, scope, runs.LOOK)


def sync_again(database: Database, clock: Clock, actor: User, link_id: int, scope: Scope) -> bool:
    """Asks for a sync that reads a scope again, and tries again what was refused of it."""
    return _ask(database, clock, actor, link_id, scope, runs.AGAIN)


def _ask(database: Database, clock: Clock, actor: User, link_id: int, scope: Scope, kind: str) -> bool:
    now = clock.now()
    with database.write() as conn:
        check(conn, actor, "sync_again")
        check_connected(conn, link_id)
        _check_days(scope)
        body = to_json(scope)
        if not runs.enqueue(conn, link_id=link_id, kind=kind, cause=actor.email, scheduled_for=now, scope=body):
            return False
        if kind == runs.AGAIN:
            audit.append(conn, now, [entry(actor, "asked for a sync again", f"link {link_id}", link_id, body)])
    return True


def _check_days(scope: Scope) -> None:
    if scope.since is None or scope.until is None:
        if not scope.objects:
            raise RefusedError("Say which days, or which record.")
        return
    if scope.until < scope.since:
        raise RefusedError("The last day is before the first one. Choose them again.")
    if scope.until - scope.since > timedelta(days=DAYS_MAX):
        raise RefusedError(f"That is more than {DAYS_MAX} days. Choose a shorter time.")
