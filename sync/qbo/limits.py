"""Intuit's limits of one company, kept by all of our workers together, and the count of what it meters.

As of November 2026: 500 requests a minute and 10 a second, 40 of them batches; who asks more often is answered 429 and
waits a minute. Reads (not writes) count towards a monthly allowance, 500,000 on the free tier.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from storage import budgets
from storage.budgets import Limit
from storage.connections import Connection
from storage.engine import Database
from sync.errors import SyncError
from sync.ports import Clock, Request, Response

READS_A_MONTH = 500_000
BATCH = "batch"  # the path of a batch
DEFAULTS = {"per_second": 10, "per_minute": 500, "batches_per_minute": 40}
OFF = dict.fromkeys(DEFAULTS, 0)
Carry = Callable[[Request], Response]


class Limits:
    """The limits of one connection. `settings["limits"]` changes them; 0 takes one away."""

    def __init__(self, database: Database, clock: Clock, connection_id: int, settings: dict[str, Any]) -> None:
        self._database, self._clock, self._connection_id = database, clock, connection_id
        numbers = DEFAULTS | settings.get("limits", {})
        self._requests = _limits(("per_second", numbers["per_second"], 1), ("per_minute", numbers["per_minute"], 60))
        self._batches = _limits(("batches_per_minute", numbers["batches_per_minute"], 60))

    def take(self, conn: Any, *, batch: bool = False) -> float:
        """Leave for one request: 0; or the seconds until there may be one."""
        limits = [*self._requests, *(self._batches if batch else [])]
        return budgets.take(conn, self._connection_id, limits, self._clock.now())

    def note(self, request: Request, response: Response, error: SyncError | None) -> None:
        """Counts what Intuit counts, and makes everybody wait when it asks for that."""
        asked_to_wait = error is not None and error.retry_after_s is not None
        if not asked_to_wait and (request.kind == "write" or response.status // 100 != 2):
            return
        with self._database.write() as conn:
            now = self._clock.now()
            if error is not None and error.retry_after_s is not None:
                until = now + timedelta(seconds=error.retry_after_s)
                budgets.hold(conn, self._connection_id, [*self._requests, *self._batches], until)
            else:
                budgets.count_read(conn, self._connection_id, now)

    def wait(self, request: Request) -> None:
        """Until there is leave. Not while a transaction is open."""
        while True:
            with self._database.write() as conn:
                pause = self.take(conn, batch=request.path == BATCH)
            if not pause:
                return
            self._clock.sleep(pause)


def of(database: Database, clock: Clock, connection: Connection) -> Limits:
    return Limits(database, clock, connection.id, connection.settings)


def within(limits: Limits, send: Carry) -> Carry:
    """A carrier for what is asked outside the ledger port: it waits by itself."""

    def carry(request: Request) -> Response:
        limits.wait(request)
        response = send(request)
        limits.note(request, response, None)
        return response

    return carry


def _limits(*limits: tuple[str, int, float]) -> list[Limit]:
    return [Limit(name, number, window_s) for name, number, window_s in limits if number]
