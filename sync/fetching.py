"""Bringing Stripe's side up to date: bulk listings first, then only what events and new movements point at.

Every page is stored in one transaction with the cursor that follows it; fetching itself is outside any.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from reconcile.records import Payout
from storage import connections, inbox, mirror, openings
from storage.connections import Link
from storage.engine import Database
from storage.inbox import Event
from sync.errors import Transient, Unauthorized
from sync.ports import Clock, Fetched, Hint, Processor, Rng

ACTOR = "stripe"
POLLED = ("payout", "movement")  # Stripe sends no event for a movement, and few for what a payout goes through
LATE = timedelta(minutes=10)  # how long after its `created` an object may first be listed
EVENTS_REACH = timedelta(days=29)  # the event list goes back 30 days
PATIENCE = 6  # tries of one request within a run
FETCH_BATCH = 50
T = TypeVar("T")
Progress = Callable[[str, int, int | None], None]


class Fetcher:
    """Reads one Stripe account into the mirror."""

    def __init__(
        self, database: Database, clock: Clock, rng: Rng, processor: Processor, link: Link, progress: Progress
    ) -> None:
        self._database, self._clock, self._rng = database, clock, rng
        self._processor, self._link, self._progress = processor, link, progress
        self._connection_id = link.processor_id

    def refresh(self) -> int:
        """Everything that is new; gives how many objects changed."""
        self._poll_events()  # first, so that nothing falls between the listing and the events
        changed = sum(self._read_stream(stream) for stream in self._processor.streams())
        changed += self._fetch_hinted()
        changed += self._itemise_payouts()
        with self._database.write() as conn:
            connections.recover(conn, self._connection_id, self._clock.now())
        return changed

    def read_balance(self) -> dict[str, int] | None:
        """Stripe's balance, certainly of the same moment as the movements we hold; None if they never stood still."""
        for _ in range(PATIENCE):
            balance = self._patiently(self._processor.balance)
            if self._read_stream("movement") == 0:
                with self._database.write() as conn:
                    connections.record_balances(conn, self._link.id, balance, self._clock.now())
                return balance
        return None

    # ---- listings

    def _read_stream(self, stream: str) -> int:
        """A listing from where it stands to its end; a finished one only if it is polled."""
        with self._database.read() as conn:
            position = mirror.cursor(conn, self._connection_id, stream)
        if position is None:
            start = openings.cutover_instant(self._link.cutover, self._link.time_zone)
            position = {"since": start.isoformat(), "after": None, "newest": None, "complete": False}
        elif position["complete"] and stream not in POLLED:
            return 0
        changed, total = 0, 0
        while True:
            changed, total, position = self._read_page(stream, position, changed, total)
            if position["after"] is None:
                return changed

    def _read_page(
        self, stream: str, position: dict[str, Any], changed: int, total: int
    ) -> tuple[int, int, dict[str, Any]]:
        since = datetime.fromisoformat(str(position["since"]))
        page = self._patiently(lambda: self._processor.page(stream, since, position["after"]))
        newest = max([str(position["newest"] or position["since"]), *(_created(found) for found in page.objects)])
        if page.cursor is not None:
            position = position | {"after": page.cursor, "newest": newest}
        else:
            next_since = datetime.fromisoformat(newest) - LATE if position["newest"] or page.objects else since
            position = {"since": max(next_since, since).isoformat(), "after": None, "newest": None, "complete": True}
        with self._database.write() as conn:
            now = self._clock.now()
            changed += len(_store(conn, self._connection_id, page.objects, now))
            mirror.move_cursor(conn, self._connection_id, stream, position, now)
        total += len(page.objects)
        self._progress(f"Reading {stream.replace('_', ' ')}s from Stripe", total, None)
        return changed, total, position

    # ---- events

    def _poll_events(self) -> None:
        """Every event since the last one seen becomes an inbox row, unless a webhook brought it already.

        Stripe forgets an event after 30 days: one that old is no place to go on from. Who asked last that long ago has
        missed some, so the listings begin anew.
        """
        with self._database.read() as conn:
            position = mirror.cursor(conn, self._connection_id, "events")
        now, hints = self._clock.now(), []
        reach = now - EVENTS_REACH
        missed = position is not None and _instant(position.get("asked", position["since"])) < reach
        if position is None or missed:  # what came before is in the listings
            position = {"after": self._patiently(self._processor.latest_event), "since": now.isoformat()}
        else:
            after = position["after"] if _instant(position["since"]) > reach else None
            hints = self._patiently(lambda: list(self._processor.events(after, reach)))
        if hints:
            position = {"after": hints[-1].event_id, "since": hints[-1].occurred_at.isoformat()}
        with self._database.write() as conn:
            receive(conn, self._connection_id, hints, channel="poll", at=now)
            for stream in self._processor.streams() if missed else ():
                mirror.forget_cursor(conn, self._connection_id, stream)
            mirror.move_cursor(conn, self._connection_id, "events", position | {"asked": now.isoformat()}, now)

    def _fetch_hinted(self) -> int:
        """Fetches what due inbox rows point at, each object once however many events named it."""
        changed = 0
        while True:
            with self._database.read() as conn:
                events = inbox.due(conn, self._connection_id, self._clock.now())
            if not events:
                return changed
            self._set_aside_unknown(events)
            known = [event for event in events if event.kind]
            for start in range(0, len(known), FETCH_BATCH):
                changed += self._fetch_batch(known[start : start + FETCH_BATCH])
            self._progress("Fetching what changed at Stripe", changed, None)

    def _fetch_batch(self, events: Sequence[Event]) -> int:
        wanted: dict[str, set[str]] = defaultdict(set)
        for event in events:
            wanted[event.kind].add(event.object_id)
        found: list[Fetched] = []
        for kind, ids in sorted(wanted.items()):
            found += self._patiently(partial(self._processor.fetch, kind, sorted(ids)))
        with self._database.write() as conn:
            changed = _store(conn, self._connection_id, found, self._clock.now())
            inbox.finish(conn, [event.id for event in events])
        return len(changed)

    def _set_aside_unknown(self, events: Sequence[Event]) -> None:
        unknown = [event.id for event in events if not event.kind]
        if unknown:
            problem = "Stripe sent an event of a kind Tieout does not know. Nothing was changed; look at it in Stripe."
            with self._database.write() as conn:
                inbox.set_aside(conn, unknown, problem=problem)

    # ---- payouts

    def _itemise_payouts(self) -> int:
        """Asks once which movements each settled automatic payout holds; Stripe has no other list of that."""
        with self._database.read() as conn:
            payouts: list[Payout] = mirror.load_all(conn, self._connection_id, ["payout"])
            known = mirror.load(conn, self._connection_id, "payout_items", [payout.id for payout in payouts])
        todo = [p for p in payouts if p.automatic and p.reconciliation_status == "completed" and p.id not in known]
        changed = 0
        for number, payout in enumerate(todo, start=1):
            found = self._patiently(partial(self._processor.payout_items, payout.id))
            with self._database.write() as conn:
                changed += len(_store(conn, self._connection_id, found, self._clock.now()))
            self._progress("Reading what each payout holds", number, len(todo))
        return changed

    def _patiently(self, action: Callable[[], T]) -> T:
        """Tries again while Stripe is out of reach or asks us to slow down."""
        for attempt in range(PATIENCE):
            try:
                return action()
            except Unauthorized as error:
                with self._database.write() as conn:
                    connections.set_state(conn, self._connection_id, "reconnect", error.plain, self._clock.now())
                raise
            except Transient as error:
                if attempt == PATIENCE - 1:
                    raise
                self._clock.sleep(error.retry_after_s or min(30, 0.5 * 2**attempt) * (0.5 + self._rng.jitter() / 2))
        raise AssertionError("unreachable")


def receive(conn: Any, connection_id: int, hints: Sequence[Hint], *, channel: str, at: datetime) -> int:
    """Hints as inbox rows; those known already are left alone."""
    rows = [
        {
            "event_id": hint.event_id,
            "type": hint.type,
            "kind": hint.kind,
            "object_id": hint.object_id,
            "occurred_at": hint.occurred_at,
        }
        for hint in hints
    ]
    return inbox.receive(conn, connection_id, rows, channel=channel, at=at)


def _store(conn: Any, connection_id: int, found: Sequence[Fetched], at: datetime) -> list[tuple[str, str]]:
    for one in found:
        if one.problem is not None:
            inbox.hold(conn, connection_id, one.kind, one.id, raw=one.raw, problem=one.problem, at=at)
    objects = [(one.kind, one.id, one.record, one.raw) for one in found if one.problem is None]
    return mirror.store(conn, connection_id, objects, at=at, actor=ACTOR)


def _instant(text: Any) -> datetime:
    return datetime.fromisoformat(str(text))


def _created(found: Fetched) -> str:
    created = getattr(found.record, "created_at", None)
    return created.isoformat() if created else ""
