"""The ledger port on QuickBooks Online: what to ask next, and what an answer changes.

Doubts are settled first, then the books are read, then what is planned is written; each only when the company's limits
give leave. Where all of it stands is in the database, so that a killed process goes on where it was.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from reconcile.outgoing import InvoiceContent
from storage import connections, outbox
from storage.engine import Database
from sync.errors import Rejected, SyncError, Transient, Unauthorized
from sync.ports import Clock, Request, Response, Rng
from sync.qbo import faults, rates, reading
from sync.qbo.limits import BATCH, Limits
from sync.qbo.sales import content
from sync.qbo.writing import Writing
from sync.sound import UNREADABLE

LEASE_WAIT_S = 10.0  # somebody else's write that is over this soon is waited for
PATIENCE = 5  # reads that may fail in a row before the run gives up


class _NotYetError(Exception):
    """The limits give no leave before `pause_s`; the transaction is rolled back."""

    def __init__(self, pause_s: float) -> None:
        super().__init__(pause_s)
        self.pause_s = pause_s


class QuickBooksOnline:
    """Implements sync.ports.Ledger."""

    def __init__(self, database: Database, clock: Clock, rng: Rng, limits: Limits, *, lease_s: float = 150) -> None:
        """`lease_s` must be longer than Intuit works on a request (120 s)."""
        self._database, self._clock, self._limits = database, clock, limits
        self._writing = Writing(clock, rng, lease_s)
        self._not_before: datetime | None = None
        self._misses = 0

    def request_read(self, connection_id: int) -> None:
        """Asks for what changed since the last read; a read under way just goes on."""
        with self._database.write() as conn:
            reading.ask(conn, connection_id, self._clock.now())

    def request_rates(self, connection_id: int, wanted: Sequence[tuple[str, date]]) -> None:
        with self._database.write() as conn:
            rates.ask(conn, connection_id, wanted, self._clock.now())

    def next_request(self, connection_id: int) -> Request | None:
        if self._not_before is not None and self._clock.now() < self._not_before:
            return None
        self._not_before = None
        try:
            with self._database.write() as conn:
                request = self._choose(conn, connection_id)
                pause_s = self._limits.take(conn, batch=request.path == BATCH) if request else 0
                if pause_s:
                    raise _NotYetError(pause_s)
                return request
        except _NotYetError as refused:
            self._not_before = self._clock.now() + timedelta(seconds=refused.pause_s)
            return None

    def accept_response(self, connection_id: int, request: Request, response: Response) -> None:
        error = self._apply(connection_id, request, response)
        self._limits.note(request, response, error)
        if error is None:
            self._misses = 0
            return
        if isinstance(error, Unauthorized):
            with self._database.write() as conn:
                connections.set_state(conn, connection_id, "reconnect", error.plain, self._clock.now())
            raise error
        if request.kind == "read" and not self._try_again(error):
            raise error

    def next_due_s(self, connection_id: int) -> float | None:
        now = self._clock.now()
        if self._not_before is not None:
            return max(0.001, (self._not_before - now).total_seconds())
        with self._database.read() as conn:
            times = outbox.next_due(conn, connection_id)
            if times == (None, None) or connections.connection(conn, connection_id).state != "ready":
                return None
        pause_s, lease_s = (None if time is None else (time - now).total_seconds() for time in times)
        waits = [pause_s] if pause_s is not None else []
        waits += [lease_s] if lease_s is not None and lease_s <= LEASE_WAIT_S else []
        return min(waits, default=None)

    def is_reading(self, connection_id: int) -> bool:
        with self._database.read() as conn:
            return reading.next_request(conn, connection_id) is not None

    def backlog(self, connection_id: int) -> int:
        with self._database.read() as conn:
            return outbox.count_ready(conn, connection_id)

    def invoice_content(self, raw: str, currency: str) -> InvoiceContent:
        return content(raw, currency)

    def _choose(self, conn: Any, connection_id: int) -> Request | None:
        if connections.connection(conn, connection_id).state != "ready":
            return None
        under_way = outbox.under_way(conn, connection_id)
        is_doubtful, is_planned = bool(under_way & {"sending", "doubtful"}), "planned" in under_way
        return (
            (self._writing.next_doubtful(conn, connection_id) if is_doubtful else None)
            or reading.next_request(conn, connection_id)
            or rates.next_request(conn, connection_id)
            or (self._writing.next_planned(conn, connection_id) if is_planned else None)
        )

    def _apply(self, connection_id: int, request: Request, response: Response) -> SyncError | None:
        """Records an answer. Gives the trouble that more than one document has to wait for, or the reading."""
        try:
            body = faults.check(response, write=request.kind == "write")
        except SyncError as error:
            with self._database.write() as conn:
                self._writing.record_failure(conn, request, error)
                if request.purpose == "rate" and isinstance(error, Rejected):
                    rates.give_up(conn, connection_id, request, self._clock.now())
                    return None
            return error
        try:
            with self._database.write() as conn:
                return self._accept(conn, connection_id, request, body)
        except UNREADABLE as odd:
            strange = faults.strange(odd, write=request.kind == "write")
            with self._database.write() as conn:
                self._writing.record_failure(conn, request, strange)
            return strange

    def _accept(self, conn: Any, connection_id: int, request: Request, body: Any) -> SyncError | None:
        """Raises one of UNREADABLE for an answer that is not to the question; nothing of it is kept then."""
        match request.purpose:
            case "post":
                return self._writing.accept_posted(conn, request, body)
            case "look up":
                self._writing.accept_look_up(conn, request, body)
            case "rate":
                rates.accept(conn, connection_id, request, body, self._clock.now())
            case "read":
                reading.accept(conn, connection_id, request, body, self._clock.now())
        return None

    def _try_again(self, error: SyncError) -> bool:
        """A read does no harm, so it may be repeated after a pause; but not for ever."""
        self._misses += 1
        if not isinstance(error, Transient) or self._misses >= PATIENCE:
            return False
        self._not_before = self._clock.now() + self._writing.pause(self._misses, error)
        return True
