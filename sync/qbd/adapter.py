"""The ledger port on QuickBooks Desktop: what its Web Connector is to ask next, and what an answer changes.

The Web Connector calls us, in visits: it takes one request after the other along to QuickBooks until none is due.
Doubts are settled first, then the books are read, then lists get what was asked for, then what was decided is
written. Outside a visit there is nothing to ask: a sync of ours only reads Stripe and decides.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

from reconcile.counterparts import emails
from reconcile.outgoing import InvoiceContent
from reconcile.records import Customer
from storage import connections, errands, mirror, outbox
from storage.connections import Link
from storage.engine import Database
from sync.errors import Rejected, SyncError, Transient, Unclassified
from sync.ports import Clock, Fetched, Request, Response, Rng
from sync.qbd import faults, reading
from sync.qbd.errands import Errands, name_of
from sync.qbd.sales import content
from sync.qbd.writing import BALANCES, Writing
from sync.sound import UNREADABLE

LEASE_S = 600.0  # no other visit begins so soon after a write was taken along
ABOUT_ONE = ("post", "status", "look up")


class QuickBooksDesktop:
    """Implements sync.ports.Ledger. `visit` names the visit of the Web Connector that it serves, if it does."""

    def __init__(self, database: Database, clock: Clock, rng: Rng, visit: str | None = None) -> None:
        self._database, self._clock, self._visit = database, clock, visit
        self._writing, self._errands = Writing(clock, rng, LEASE_S), Errands(clock)

    def begin(self, connection_id: int) -> None:
        """A visit begins: what earlier ones left unanswered is in doubt, and the books are read."""
        with self._database.write() as conn:
            self._writing.doubt_all(conn, connection_id)
            errands.ask_again(conn, connection_id)
        self.request_read(connection_id)

    def request_read(self, connection_id: int) -> None:
        if self._visit is not None:
            with self._database.write() as conn:
                reading.ask(conn, connection_id, self._visit, self._clock.now())

    def request_rates(self, connection_id: int, wanted: Sequence[tuple[str, date]]) -> None:
        """From its list of currencies, as visits have read it."""
        with self._database.write() as conn:
            reading.note_rates(conn, connection_id, wanted, self._clock.now())

    def next_request(self, connection_id: int) -> Request | None:
        if self._visit is None:
            return None
        with self._database.write() as conn:
            if connections.connection(conn, connection_id).state != "ready":
                return None
            connections.lock_links(conn, connection_id)  # before any row; nothing begins to hang on what is taken back
            return (
                self._writing.next_doubtful(conn, connection_id, self._visit)
                or reading.next_request(conn, connection_id, self._visit)
                or self._errands.next_request(conn, connection_id)
                or self._writing.next_planned(conn, connection_id, self._visit)
            )

    def accept_response(self, connection_id: int, request: Request, response: Response) -> None:
        try:
            self._accept(connection_id, request, response)
        except UNREADABLE as odd:
            plain = "QuickBooks answered with something else than was asked. Nothing of it was kept."
            raise Unclassified(plain, technical=f"{type(odd).__name__}: {odd}"[:300]) from None

    def _accept(self, connection_id: int, request: Request, response: Response) -> None:
        """Raises one of UNREADABLE, too, for an answer that is not to the question; nothing of it is kept then."""
        with self._database.write() as conn:
            if request.purpose in ABOUT_ONE:
                self._writing.accept(conn, request, response)
                return
            if request.purpose == "errand":
                self._errands.accept(conn, request, response)
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
        """Whether a document or an errand may be sent now, or a document is in doubt."""
        with self._database.write() as conn:
            now = self._clock.now()
            if errands.any_asked(conn, connection_id):
                return True
            return bool(outbox.ready(conn, connection_id, now) or outbox.doubtful(conn, connection_id, now, 1))

    def invoice_content(self, raw: str, currency: str) -> InvoiceContent:
        return content(raw, currency)


class DesktopPeople:
    """Implements sync.ports.People: what is to be written on customers goes with the next visit."""

    def __init__(self, database: Database, clock: Clock, link: Link) -> None:
        self._database, self._clock, self._link = database, clock, link

    def note_counterpart(self, customer_id: str, counterpart_id: str, home_currency: str) -> Fetched | None:  # noqa: ARG002
        with self._database.write() as conn:
            self._ask(conn, "note", customer_id, counterpart_id, {"stripe_id": counterpart_id})
        return None

    def make(self, customer: Customer, currency: str, home_currency: str) -> Fetched | None:
        """Raises Transient until the visit that makes it, and Rejected once if that could not be done."""
        with self._database.write() as conn:
            asked = errands.find(conn, self._link.id, "customer", customer.id)
            if asked is not None and asked.state == "refused":
                errands.forget(conn, asked)
            else:
                self._ask_for_customer(conn, customer, currency, home_currency)
        if asked is not None and asked.state == "refused":
            raise Rejected(asked.problem or "QuickBooks refused this customer.")
        raise Transient("The customer is made with the next visit of QuickBooks' Web Connector.")

    def _ask_for_customer(self, conn: Any, customer: Customer, currency: str, home_currency: str) -> None:
        email = sorted(emails(customer))
        name = name_of("customer", customer.name or next(iter(email), customer.id))
        if currency != home_currency:
            name = f"{name[:35].strip()} ({currency})"
        self._ask(conn, "customer", customer.id, name, {"email": ", ".join(email) or None, "currency": currency})

    def _ask(self, conn: Any, kind: errands.Kind, subject: str, name: str, content: dict[str, Any]) -> None:
        errands.ask(
            conn,
            connection_id=self._link.ledger_id,
            link_id=self._link.id,
            kind=kind,
            subject=subject,
            name=name,
            content=content,
            asked_by="tieout",
            at=self._clock.now(),
        )


def _expected(conn: Any, connection_id: int, request: Request) -> str:
    """The id of the one answer that is waited for."""
    if request.purpose == "balances":
        return f"b{mirror.cursor(conn, connection_id, BALANCES)['n']}"
    return reading.request_id(conn, connection_id)
