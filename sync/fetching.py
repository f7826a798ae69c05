"""Bringing Stripe's side up to date: bulk listings first, then only what events and new movements point at.

Every page is stored in one transaction with the cursor that follows it; fetching itself is outside any.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from reconcile.records import Movement, Payout
from storage import connections, mirror, openings
from storage.connections import Link
from storage.engine import Database
from sync.errors import Forbidden
from sync.hints import Hints
from sync.ports import Clock, Fetched, Processor, Rng
from sync.reader import PATIENCE, Reader
from sync.relisting import Relisting

POLLED = ("payout", "movement")  # Stripe sends no event for a movement, and few for what a payout goes through
LATE = timedelta(minutes=10)  # how long after its `created` an object may first be listed
# How long after a payout arrived it may still change without an event (its trace id), or fail.
UNSETTLED = timedelta(days=10)
SOURCES = {"ch_": "charge", "py_": "charge", "re_": "refund", "pyr_": "refund", "po_": "payout", "du_": "dispute"}
SOURCES |= {"dp_": "dispute"}
Progress = Callable[[str, int, int | None], None]


class Fetcher:
    """Reads one Stripe account into the mirror."""

    def __init__(
        self, database: Database, clock: Clock, rng: Rng, processor: Processor, link: Link, progress: Progress
    ) -> None:
        self._database, self._clock, self._link = database, clock, link
        self._processor, self._progress = processor, progress
        self._connection_id = link.processor_id
        self._reader = Reader(database, clock, rng, processor, link)
        self._hints, self._relisting = Hints(self._reader), Relisting(self._reader)

    def refresh(self) -> int:
        """Everything that is new; gives how many objects changed.

        Events are read after the movements, so that what made a movement is there when it is decided.
        """
        self._reopen(self._hints.begin())
        changed = sum(self._read_stream(stream) for stream in self._unfinished())
        changed += self._follow_events() + self._relisting.go_on()
        changed += self._itemise_payouts()
        self._say_missing()
        return changed

    def lacks(self, *names: str) -> bool:
        """Whether the key may not read one of these lists."""
        return any(name in self._reader.rights.missing for name in names)

    def _say_missing(self) -> None:
        """It has answered: whatever refused it before is over, but for the rights it lacks. Raises Forbidden if nothing
        may be decided without them.
        """
        rights = self._reader.rights
        problem = rights.sentence()
        with self._database.write() as conn:
            connections.recover(conn, self._connection_id, self._clock.now(), problem)
        if problem and rights.stops:
            raise Forbidden(problem)

    def read_balance(self) -> dict[str, int] | None:
        """Stripe's balance, certainly of the same moment as the movements we hold; None if they never stood still."""
        for _ in range(PATIENCE):
            balance = self._reader.ask_list("balance", self._processor.balance)
            if balance is None:
                self._say_missing()
                return None
            if self._read_stream("movement") == 0:
                with self._database.write() as conn:
                    connections.record_balances(conn, self._link.id, balance, self._clock.now())
                return balance
            self._follow_events()
        return None

    def _follow_events(self) -> int:
        missed_since = self._hints.poll()
        changed = self._hints.fetch(self._progress)
        if missed_since is not None:
            self._reopen(missed_since)
            changed += sum(self._read_stream(stream) for stream in self._unfinished())
        return changed

    def _reopen(self, missed_since: datetime | None) -> None:
        """Without events since then: lists again what was made since, and older objects as fast as it may."""
        if missed_since is None:
            return
        with self._database.write() as conn:
            for stream in self._processor.streams():
                position = mirror.cursor(conn, self._connection_id, stream)
                if position is not None and position["complete"]:
                    since = min(missed_since - LATE, datetime.fromisoformat(position["since"]))
                    mirror.move_cursor(conn, self._connection_id, stream, _from(since), self._clock.now())
        self._relisting.hurry()

    # ---- listings

    def _unfinished(self) -> list[str]:
        """Listings that have not come to their end, and those that are polled."""
        streams = self._processor.streams()
        with self._database.read() as conn:
            at = mirror.cursors_at(conn, self._connection_id, streams)
        return [each for each in streams if each in POLLED or each not in at or not at[each]["complete"]]

    def _read_stream(self, stream: str) -> int:
        """A listing from where it stands to its end."""
        with self._database.read() as conn:
            position = mirror.cursor(conn, self._connection_id, stream)
        if position is None:
            cutover = openings.cutover_instant(self._link.cutover, self._link.time_zone)
            position = _from(self._processor.start_of(stream, cutover))
        changed, total = 0, 0
        while True:
            changed, total, position = self._read_page(stream, position, changed, total)
            if position["after"] is None:
                return changed

    def _read_page(
        self, stream: str, position: dict[str, Any], changed: int, total: int
    ) -> tuple[int, int, dict[str, Any]]:
        began, since = self._clock.now(), datetime.fromisoformat(str(position["since"]))
        asked = min(since, began - UNSETTLED) if stream == "payout" and position["complete"] else since
        page = self._reader.ask_list(stream, partial(self._processor.page, stream, asked, position["after"]))
        if page is None:
            return changed, total, position | {"after": None}
        newest = max([str(position["newest"] or position["since"]), *(_created(found) for found in page.objects)])
        if page.cursor is not None:
            position = position | {"after": page.cursor, "newest": newest}
        else:
            next_since = datetime.fromisoformat(newest) - LATE if position["newest"] or page.objects else since
            position = _from(max(next_since, since)) | {"complete": True}
        with self._database.write() as conn:
            stored = self._reader.keep(conn, page.objects, began)
            self._point_at_sources(conn, page.objects, set(stored))
            mirror.move_cursor(conn, self._connection_id, stream, position, self._clock.now())
        total += len(page.objects)
        self._progress(f"Reading {stream.replace('_', ' ')}s from Stripe", total, None)
        return changed + len(stored), total, position

    def _point_at_sources(self, conn: Any, found: Sequence[Fetched], stored: set[tuple[str, str]]) -> None:
        """What made a new movement is fetched if it is not known: its event may be lost, or still to come."""
        made: dict[tuple[str, str], tuple[datetime, str]] = {}
        for one in found:
            if isinstance(one.record, Movement) and one.record.source_id and (one.kind, one.id) in stored:
                source_id = one.record.source_id
                kind = next((kind for prefix, kind in SOURCES.items() if source_id.startswith(prefix)), None)
                if kind:
                    made[kind, source_id] = (one.record.created_at, one.id)
        lost = sorted(mirror.missing(conn, self._connection_id, made))
        self._reader.fetch_again(conn, ((kind, object_id, *made[kind, object_id]) for kind, object_id in lost))

    # ---- payouts

    def _itemise_payouts(self) -> int:
        """Asks once which movements each settled automatic payout holds; Stripe has no other list of that."""
        with self._database.read() as conn:
            payouts: list[Payout] = mirror.load_open(conn, self._connection_id, ["payout"])
            known = mirror.load(conn, self._connection_id, "payout_items", [payout.id for payout in payouts])
        done = [payout for payout in payouts if payout.reconciliation_status == "completed"]
        with self._database.write() as conn:  # changed since, for instance because it has arrived
            mirror.close_payouts(conn, self._connection_id, [payout.id for payout in done if payout.id in known])
        todo, changed = [payout for payout in done if payout.id not in known], 0
        for number, payout in enumerate(todo, start=1):
            began = self._clock.now()
            found = self._reader.ask_list("movement", partial(self._processor.payout_items, payout.id))
            if found is None:
                break
            with self._database.write() as conn:
                changed += len(self._reader.keep(conn, found, began))
                mirror.close_payouts(conn, self._connection_id, [payout.id])
            self._progress("Reading what each payout holds", number, len(todo))
        return changed


def _from(since: datetime) -> dict[str, Any]:
    return {"since": since.isoformat(), "after": None, "newest": None, "complete": False}


def _created(found: Fetched) -> str:
    created = getattr(found.record, "created_at", None)
    return created.isoformat() if created else ""
