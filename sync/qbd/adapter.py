"""The ledger port on QuickBooks Desktop: what its Web Connector is to ask next, and what an answer changes.

The Web Connector calls us, in visits: it takes one request after the other along to QuickBooks until none is due.
Doubts are settled first, then the books are read, then what was decided on them is written. Outside a visit there is
nothing to ask: a sync of ours only reads Stripe and decides.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

from reconcile.outgoing import InvoiceContent
from reconcile.records import Customer
from storage import connections, mirror, outbox
from storage.engine import Database
from sync.errors import Rejected, SyncError, Transient, Unclassified
from sync.ports import Clock, Fetched, Request, Response, Rng
from sync.qbd import faults, reading
from sync.qbd.sales import content
from sync.qbd.writing import BALANCES, Writing

LEASE_S = 600.0  # no other visit begins so soon after a write was taken along
ABOUT_ONE = ("post", "status", "look up")


class QuickBooksDesktop:
    """Implements sync.ports.Ledger. `visit` names the visit of the Web Connector that it serves, if it does."""

    def __init__(self, database: Database, clock: Clock, rng: Rng, visit: str | None = None) -> None:
        self._database, self._clock, self._visit = database, clock, visit
        self._writing = Writing(clock, rng, LEASE_S)

    def begin(self, connection_id: int) -> None:
        """A visit begins: what earlier ones left unanswered is in doubt, and the books are read."""
        with self._database.write() as conn:
            self._writing.doubt_all(conn, connection_id)
        self.request_read(connection_id)

    def request_read(self, connection_id: int) -> None:
        if self._visit is not None:
            with self._database.write() as conn:
                reading.ask(conn, connection_id, self._visit, self._clock.now())

    def request_rates(self, connection_id: int, wanted: Sequence[tuple[str, date]]) -> None:
        """QuickBooks Desktop keeps no rates of past days: what needs one waits, and says so."""

    def next_request(self, connection_id: int) -> Request | None:
        if self._visit is None:
            return None
        with self._database.write() as conn:
            if connections.connection(conn, connection_id).state != "ready":
                return None
            return (
                self._writing.next_doubtful(conn, connection_id, self._visit)
                or reading.next_request(conn, connection_id, self._visit)
                or self._writing.next_planned(conn, connection_id, self._visit)
            )

    def accept_response(self, connection_id: int, request: Request, response: Response) -> None:
        with self._database.write() as conn:
            if request.purpose in ABOUT_ONE:
                self._writing.accept(conn, request, response)
                return
            expected = _expected(conn, connection_id, request)
        try:
            found = faults.check(response, expected, write=False)
        except SyncError as error:
            if error.code == str(faults.ITERATOR_GONE):
                with self._database.write() as conn:
                    reading.begin_again(conn, connection_id, self._clock.now())
                raise Transient(error.plain, technical=error.technical) from None
            if isinstance(error, Rejected):  # a question of ours was refused, not a document
                raise Unclassified(error.plain, technical=error.technical, code=error.code) from None
            raise
        with self._database.write() as conn:
            if request.purpose == "balances":
                self._writing.accept_balances(conn, connection_id, found)
            else:
                reading.accept_page(conn, connection_id, found, self._clock.now())

    def is_reading(self, connection_id: int) -> bool:
        with self._database.read() as conn:
            return reading.is_under_way(conn, connection_id)

    def next_due_s(self, connection_id: int) -> float | None:  # noqa: ARG002
        """The Web Connector comes when it comes."""
        return None

    def backlog(self, connection_id: int) -> int:
        with self._database.read() as conn:
            return outbox.count_ready(conn, connection_id)

    def has_writes(self, connection_id: int) -> bool:
        """Whether a document may be sent now, or one is in doubt."""
        with self._database.write() as conn:
            now = self._clock.now()
            return bool(outbox.ready(conn, connection_id, now) or outbox.doubtful(conn, connection_id, now, 1))

    def invoice_content(self, raw: str, currency: str) -> InvoiceContent:
        return content(raw, currency)


class DesktopPeople:
    """Implements sync.ports.People: nothing is written on customers; which is which stays in Tieout and at Stripe."""

    def note_counterpart(self, customer_id: str, counterpart_id: str, home_currency: str) -> Fetched | None:  # noqa: ARG002
        return None

    def make(self, customer: Customer, currency: str, home_currency: str) -> Fetched | None:  # noqa: ARG002
        raise Rejected("Tieout makes no customers in QuickBooks Desktop. Make the customer there, then sync.")


def _expected(conn: Any, connection_id: int, request: Request) -> str:
    """The id of the one answer that is waited for."""
    if request.purpose == "balances":
        return f"b{mirror.cursor(conn, connection_id, BALANCES)['n']}"
    return reading.request_id(conn, connection_id)
