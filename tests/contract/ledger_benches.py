"""QuickBooks Online and QuickBooks Desktop behind the ledger port, to be driven by the same tests.

A bench carries each request to its stand-in as the real carrier would, and can lose what the carrier loses.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from emulators.clock import Clock, Rng
from emulators.qbd import Failed
from emulators.qbd.processor import Session
from emulators.qbo.emulator import QboEmulator
from emulators.server import serve
from emulators.store import Store
from reconcile.postings import Mappings, Policies, Posting, PostingLine
from reconcile.reversal import how_to_undo, taking_back
from storage import connections, mirror, outbox
from storage.engine import Database, open_database
from storage.migrate import migrate
from storage.outbox import Item
from sync.clock import FixedClock, SeededRng
from sync.errors import SyncError
from sync.ports import Ledger, Request, Response
from sync.qbd import records
from sync.qbd.adapter import QuickBooksDesktop
from sync.qbd.qbxml import answer, text_of
from sync.qbo import limits
from sync.qbo.adapter import QuickBooksOnline
from sync.qbo.client import Client
from tests.contract.qbd_file import message, new_file

START = datetime.fromisoformat("2026-11-20T17:00:00+00:00")
LOST = "lost: the answer did not come"
PATIENCE_S = 170.0  # as long as the worker waits within a run


class Books(Protocol):
    """A stand-in, as its carrier and as the people who work with it see it."""

    kind: str  # of the documents the tests write, as the stand-in calls it
    system: str
    lost: str

    def new_ledger(self, database: Database, connection_id: int) -> Ledger:
        """The adapter for what begins now: a run, or a visit."""
        ...

    def carry(self, request: Request) -> Response: ...

    def account(self, name: str) -> str: ...

    def vendor(self) -> str: ...

    def marked(self, marker: str) -> list[dict[str, Any]]:
        """The documents that carry a marker and are not voided."""
        ...

    def delete(self, document: dict[str, Any]) -> None: ...

    def redate(self, document: dict[str, Any], day: date) -> None:
        """Somebody gives a document another date."""
        ...

    def close(self, until: date | None) -> None:
        """Closes the books through a day; None opens them."""
        ...

    def be_busy(self) -> None:
        """The next write is refused for now."""
        ...


@dataclass
class Bench:
    """One company behind the port. `faults` befall the next writes, one each: the answer is lost "before" or "after" it
    is done, or the books are "busy".
    """

    books: Books
    database: Database
    clock: FixedClock
    time: Clock  # the stand-in's
    connection_id: int
    link_id: int
    faults: list[str] = field(default_factory=list)
    reads_fail: bool = False
    writes: list[Request] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def posting(self, cents: int = 320, account: str = "fees", dated: date | None = None) -> Posting:
        """Money paid from clearing for a fee: a document of every ledger."""
        line = PostingLine(amount_minor=cents, account_id=self.books.account(account))
        return Posting(
            marker=f"txn_{next(self._numbers)}:fee:r1:s1",
            kind="purchase",
            dated=dated or START.date(),
            currency="USD",
            amount_minor=cents,
            account_id=self.books.account("clearing"),
            memo="Stripe fee",
            party_id=self.books.vendor(),
            lines=(line,),
        )

    def plan(self, *postings: Posting) -> None:
        with self.database.write() as conn:
            outbox.plan(
                conn,
                link_id=self.link_id,
                connection_id=self.connection_id,
                postings=postings,
                at=self.clock.now(),
            )

    def take_back(self, posting: Posting) -> Posting:
        """Plans the undo of a document as it is known."""
        document = self.known(posting)
        assert document is not None
        how = how_to_undo(document, None, is_fixed=False, on_desktop=self.books.system == "qbd")
        assert how in ("void", "delete")
        undo = taking_back(posting, document, posting.marker.replace(":fee:", ":fee-undo:"), how)
        self.plan(undo)
        return undo

    def run(self, *, until: Callable[[Request], bool] = lambda _: False) -> SyncError | None:
        """A run, or a visit: what is due is asked, until nothing is, or `until` a request that nobody carries any more.

        Gives the trouble that ended it.
        """
        ledger = self.books.new_ledger(self.database, self.connection_id)
        for _ in range(400):
            request = ledger.next_request(self.connection_id)
            if request is None:
                pause = ledger.next_due_s(self.connection_id)
                if pause is not None and 0 < pause <= PATIENCE_S:
                    self.pass_time(pause)
                elif not self._decide():
                    return None
                continue
            if until(request):
                return None
            try:
                ledger.accept_response(self.connection_id, request, self._carry(request))
            except SyncError as error:
                return error
        raise AssertionError("The ledger never comes to an end.")

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.time.set(self.clock.now())

    def item(self, posting: Posting) -> Item:
        with self.database.read() as conn:
            return outbox.by_marker(conn, self.connection_id, [posting.marker])[posting.marker]

    def known(self, posting: Posting) -> Any | None:
        """Its document in the mirror."""
        document_id = self.item(posting).document_id or ""
        with self.database.read() as conn:
            return mirror.load(conn, self.connection_id, posting.kind, [document_id]).get(document_id)

    def retry(self, posting: Posting) -> bool:
        item = self.item(posting)
        with self.database.write() as conn:
            return outbox.retry(conn, item.id)

    def switch_posting(self, on: bool) -> None:
        with self.database.write() as conn:
            connections.change_link(conn, self.link_id, posting_on=on)

    def _decide(self) -> bool:
        """As matching does once it has looked at all there is; whether there was anything new."""
        with self.database.write() as conn:
            link = connections.link(conn, self.link_id)
            connections.record_decided(conn, link.id, link.revision)
        return link.revision != link.decided_revision

    def _carry(self, request: Request) -> Response:
        if request.kind == "read":
            return Response(status=0, body="", lost=self.books.lost) if self.reads_fail else self.books.carry(request)
        self.writes.append(request)
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "busy":
            self.books.be_busy()
        answer = self.books.carry(request) if fault != "before" else None
        return Response(status=0, body="", lost=self.books.lost) if answer is None or fault == "after" else answer


class Online:
    kind, system, lost = "Purchase", "qbo", LOST
    NAMES = {"clearing": "Checking", "fees": "Bank Charges"}  # noqa: RUF012

    def __init__(self, time: Clock, clock: FixedClock, qbo: QboEmulator, address: str) -> None:
        self._clock, self._qbo = clock, qbo
        self._client = Client(realm_id=qbo.realm_id, tokens=self, address=f"{address}/v3", clock=clock)
        self._token = str(qbo.issue_tokens()["access_token"])
        self._vendor = str(qbo.create("Vendor", {"DisplayName": "Stripe"})["Id"])
        self._accounts = {
            "clearing": qbo.create("Account", {"Name": "Stripe clearing", "AccountType": "Bank"})["Id"],
            "fees": qbo.create("Account", {"Name": "Stripe fees", "AccountType": "Expense"})["Id"],
            "nowhere": "99999",
        }

    def access_token(self) -> str:
        return self._token

    def refresh(self, refused: str) -> str:
        self._token = str(self._qbo.issue_tokens()["access_token"])
        return self._token

    def new_ledger(self, database: Database, connection_id: int) -> Ledger:
        with database.read() as conn:
            connection = connections.connection(conn, connection_id)
        ours = limits.of(database, self._clock, connection)
        ledger = QuickBooksOnline(database, self._clock, SeededRng(3), ours)
        ledger.request_read(connection_id)
        return ledger

    def carry(self, request: Request) -> Response:
        answer = self._client.send(request)
        self._qbo.faults.set({"throttle": 0})
        return answer

    def account(self, name: str) -> str:
        return str(self._accounts[name])

    def vendor(self) -> str:
        return self._vendor

    def marked(self, marker: str) -> list[dict[str, Any]]:
        found = self._qbo.query("SELECT * FROM Purchase MAXRESULTS 1000").get("Purchase", [])
        return [body for body in found if f"[tieout {marker}]" in body.get("PrivateNote", "")]

    def delete(self, document: dict[str, Any]) -> None:
        self._qbo.delete("Purchase", document)

    def redate(self, document: dict[str, Any], day: date) -> None:
        head = {key: document[key] for key in ("Id", "SyncToken")}
        self._qbo.update("Purchase", head | {"sparse": True, "TxnDate": day.isoformat()})

    def close(self, until: date | None) -> None:
        preferences = self._qbo.read("Preferences", "1")
        closing = {"AccountingInfoPrefs": {"BookCloseDate": until.isoformat() if until else None}}
        self._qbo.update("Preferences", {key: preferences[key] for key in ("Id", "SyncToken")} | closing)

    def be_busy(self) -> None:
        self._qbo.faults.set({"throttle": 1})


class Desktop:
    kind, system, lost = "Check", "qbd", "0x80040402 There was an unexpected error."

    def __init__(self, time: Clock, clock: FixedClock) -> None:
        self._clock, self._file, self._visits = clock, new_file(time), count(1)
        self._vendor = str(self._file.add("Vendor", {"Name": "Stripe"})["ListID"])
        named = {"clearing": "Stripe Clearing", "fees": "Stripe Fees"}
        self._accounts = {key: self._file.named("Account", name)["ListID"] for key, name in named.items()}  # type: ignore[index]
        self._session: Session | None = None

    def new_ledger(self, database: Database, connection_id: int) -> Ledger:
        if self._session is not None:
            self._session.end()
        self._session = self._file.begin_session("Tieout")
        self._note_preferences(database, connection_id)
        ledger = QuickBooksDesktop(database, self._clock, SeededRng(3), f"visit {next(self._visits)}")
        ledger.begin(connection_id)
        return ledger

    def _note_preferences(self, database: Database, connection_id: int) -> None:
        """What the Web Connector tells at the beginning of a visit."""
        assert self._session is not None
        (preferences,) = answer(self._session.process(message("<PreferencesQueryRq/>"))).objects
        company = records.company(preferences, "Books", "US", {})
        stored = [("company", "company", company, text_of(preferences))]
        with database.write() as conn:
            if not mirror.holds_any(conn, connection_id, "company"):
                mirror.store(conn, connection_id, stored, at=self._clock.now(), actor="quickbooks")

    def carry(self, request: Request) -> Response:
        assert self._session is not None
        try:
            return Response(status=200, body=self._session.process(request.body))
        except Failed as failure:
            return Response(status=500, body="", lost=f"{failure.hresult} {failure.text}")

    def account(self, name: str) -> str:
        return str(self._accounts.get(name, "80009999-1794270625"))

    def vendor(self) -> str:
        return self._vendor

    def marked(self, marker: str) -> list[dict[str, Any]]:
        found = [body for body in self._file.all("Check") if f"[tieout {marker}]" in body.get("Memo", "")]
        return [body for body in found if body["Amount"] != "0.00"]

    def delete(self, document: dict[str, Any]) -> None:
        self._file.delete("Check", document["TxnID"])

    def redate(self, document: dict[str, Any], day: date) -> None:
        self._file.edit("Check", document["TxnID"], TxnDate=day.isoformat())

    def close(self, until: date | None) -> None:
        self._file.set(closing_date=until.isoformat() if until else None)

    def be_busy(self) -> None:
        self._file.company.records.busy_writes = 1


@contextmanager
def open_bench(system: str, directory: Path) -> Iterator[Bench]:
    time, clock = Clock(START), FixedClock(START)
    database = open_database(None, data_dir=directory)
    migrate(database)
    try:
        if system == "qbd":
            yield _bench(Desktop(time, clock), database, clock, time)
            return
        qbo = QboEmulator(Store(), time, Rng(2))
        with serve(qbo.app) as address:
            yield _bench(Online(time, clock, qbo, address), database, clock, time)
    finally:
        database.close()


def _bench(books: Books, database: Database, clock: FixedClock, time: Clock) -> Bench:
    common: dict[str, Any] = {"mode": "emulated", "at": START}
    with database.write() as conn:
        processor_id = connections.add_connection(
            conn, system="stripe", external_id="acct_1", name="Stripe", settings={}, **common
        )
        settings = {"limits": limits.OFF} if books.system == "qbo" else {}
        ledger_id = connections.add_connection(
            conn, system=books.system, external_id="1", name="Books", settings=settings, **common
        )
        link_id = connections.add_link(
            conn,
            processor_id=processor_id,
            ledger_id=ledger_id,
            name="Stripe",
            cutover=START.date() - timedelta(days=30),
            time_zone="America/New_York",
            mappings=Mappings(),
            policies=Policies(),
            posting_on=True,
        )
    return Bench(books, database, clock, time, ledger_id, link_id)
