"""The worker: takes runs from the queue and takes each through the steps of a sync, one function a step."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from reconcile.days import book_day
from storage import (
    carried,
    closes,
    connections,
    findings,
    inbox,
    legs,
    mirror,
    openings,
    outbox,
    rates,
    runs,
    statistics,
)
from storage.again import Found, Scope
from storage.connections import Link
from storage.engine import Database
from storage.records import from_json, to_json
from storage.runs import Run
from sync import rounding
from sync.again import Again, Books
from sync.customers import Counterparts
from sync.deciding import decide
from sync.errors import Forbidden, SyncError, Transient, Unauthorized
from sync.fetching import Fetcher
from sync.ports import Clock, Ledger, People, Processor, Request, Response, Rng
from sync.reader import Reader
from sync.sending import Sender

IDLE_S = 1.0
OWN_ERROR = (
    "Tieout met an error of its own and stopped this sync. Nothing is half done; the next sync goes on from here."
)
WAIT_FOR_RETRY_S = 160.0  # what is due again this soon is waited for within the run: a limit, a doubt
REPORT_EVERY_S = 1.0
NAP_S = 20.0  # the longest wait without saying that the run is alive

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters:
    """Both sides of one link, ready to talk."""

    processor: Processor
    ledger: Ledger
    carry: Callable[[Request], Response] | None  # None: the ledger calls us, and carries its own requests
    people: People
    books: Books | None = None  # None: it cannot be asked for documents by anybody who waits for them


@dataclass
class Worker:
    """Runs syncs. Any number may share a database; each run is taken by one."""

    database: Database
    clock: Clock
    rng: Rng
    connect: Callable[[Link], Adapters | None]  # None for a link of files: nobody to ask, nowhere to post
    lease_s: float = 150
    counts: dict[str, int] = field(default_factory=dict)
    problem: str | None = None  # of the last run
    _held: Run = field(init=False)  # the run at work, as it was last reported

    def enqueue_now(self, cause: str) -> None:
        """Asks for a sync of every link."""
        now = self.clock.now()
        with self.database.write() as conn:
            for link in connections.all_links(conn):
                runs.enqueue(conn, link_id=link.id, kind="sync", cause=cause, scheduled_for=now)

    def work(self) -> bool:
        """Takes one run, if there is one, and finishes it."""
        with self.database.write() as conn:
            run = runs.take(conn, self.clock.now(), self.lease_s)
        if run is None:
            return False
        self._held, self.counts, self.problem, found = run, dict(run.counts), None, None
        try:
            found = self._sync(run)
        except SyncError as error:
            self.problem = error.plain
            log.warning("run %s: %s %s", run.id, error.plain, error.technical)
        except Exception:
            # Our own mistake must not end the worker: every step is durable by itself, and the next run goes on.
            self.problem = OWN_ERROR
            log.exception("run %s", run.id)
        with self.database.write() as conn:
            said = {"problem": self.problem, "found": to_json(found)}
            runs.finish(conn, self._held, counts=self.counts, at=self.clock.now(), **said)
        if run.kind != runs.LOOK:
            self._carry_forward(run.link_id)
        return True

    def _carry_forward(self, link_id: int) -> None:
        """Only saves time: without it proofs read everything, and more is looked at than is found."""
        try:
            carried.refresh(self.database, link_id)
            closes.recheck(self.database, link_id)
            statistics.refresh(self.database)
        except Exception:
            log.exception("the settled days of link %s are not carried forward", link_id)

    def _sync(self, run: Run) -> Found | None:
        """Every step; of a look, what it found."""
        with self.database.read() as conn:
            link = connections.link(conn, run.link_id)
        adapters = self.connect(link)
        if adapters is None:
            self._match(link)
            return None
        fetcher = Fetcher(self.database, self.clock, self.rng, adapters.processor, link, self._report)
        if run.kind == runs.LOOK:
            return self._again(run, link, adapters).look()
        self._fetch(link, adapters, fetcher)
        if run.kind == runs.AGAIN:
            self._count("fetched", self._again(run, link, adapters).read(run.cause))
        if adapters.carry is None and adapters.ledger.is_reading(link.ledger_id):
            return None  # half a view of the books is none to decide on; the end of the reading asks for another run
        self._decide(link, fetcher, adapters)
        rounding.complete(self.database, self.clock, link.id)
        self._send(link, adapters)
        self._post(link, adapters)
        if self._is_to_be_decided_again(link):  # what was in doubt is not in the books, or was built on older ones
            self._read_books(link, adapters, "Reading QuickBooks")
            self._decide(link, fetcher, adapters)
            self._post(link, adapters)
        self._look_for_odd(link)
        return None

    def _again(self, run: Run, link: Link, adapters: Adapters) -> Again:
        with self.database.read() as conn:
            home = mirror.home_currency(conn, link.ledger_id)
        reader = Reader(self.database, self.clock, self.rng, adapters.processor, link)
        return Again(reader, adapters.books, from_json(run.scope, Scope), home, self._report)

    def _look_for_odd(self, link: Link) -> None:
        """Only after something has changed in either system, or was posted."""
        now = self.clock.now()
        with self.database.write() as conn:
            revision = connections.link(conn, link.id).revision
            if self.counts.get("posted") or mirror.cursor(conn, link.processor_id, findings.STREAM) != revision:
                self._count("odd", findings.refresh(conn, link.id, now))
                mirror.move_cursor(conn, link.processor_id, findings.STREAM, revision, now)

    # ---- the steps

    def _fetch(self, link: Link, adapters: Adapters, fetcher: Fetcher) -> None:
        """Both sides, after every doubt about earlier postings is settled."""
        self._count("fetched", fetcher.refresh())
        self._read_books(link, adapters, "Reading QuickBooks")

    def _decide(self, link: Link, fetcher: Fetcher, adapters: Adapters) -> None:
        balance = fetcher.read_balance()
        if balance is not None:
            reserved = {} if fetcher.lacks("movement") else self._reserved(link, adapters)
            with self.database.write() as conn:
                link = connections.link(conn, link.id)
                # What cannot be read would end up in the opening balance, or be missing there, and be posted with it.
                unread = inbox.holds_any(conn, link.processor_id, ("movement", "payout"))
                if link.openings is None and not unread and not fetcher.lacks("payout", "dispute"):
                    found = openings.compute(conn, link, balance, reserved)
                    connections.change_link(conn, link.id, openings=found)
        self._ask_rates(link, adapters)
        Counterparts(self.database, self.clock, adapters.processor, adapters.people).pair(link)
        self._match(link)

    def _reserved(self, link: Link, adapters: Adapters) -> dict[str, int]:
        """What Stripe held in reserve at the cut-over: asked for once, for the opening entries."""
        with self.database.read() as conn:
            link = connections.link(conn, link.id)
        if link.openings is not None:
            return {}
        return adapters.processor.reserved(openings.cutover_instant(link.cutover, link.time_zone))

    def _match(self, link: Link) -> None:
        self._report("Matching", 0, None)
        progress = partial(self._report, "Matching")
        for name, number in decide(self.database, self.clock, link.id, progress).items():
            self._count(name, number)

    def _ask_rates(self, link: Link, adapters: Adapters) -> None:
        """Those that balances in other currencies need and the mirror does not have."""
        now = self.clock.now()
        with self.database.read() as conn:
            link = connections.link(conn, link.id)
            home = mirror.home_currency(conn, link.ledger_id)
            wanted = rates.missing(conn, link, home, book_day(now, link.time_zone))
        if wanted:
            adapters.ledger.request_rates(link.ledger_id, wanted)
            self._drive(link, adapters, "Asking for exchange rates")

    def _send(self, link: Link, adapters: Adapters) -> None:
        """Before posting: never is matching's view of the books newer than now."""
        sender = Sender(
            database=self.database,
            clock=self.clock,
            processor=adapters.processor,
            ledger=adapters.ledger,
            people=adapters.people,
            link_id=link.id,
            progress=self._report,
            lease_s=self.lease_s,
        )
        try:
            sender.send()
        except SyncError as error:  # what is unclear is settled by the next sync; posting can go on
            if isinstance(error, Unauthorized) and not isinstance(error, Forbidden):
                raise
            self.problem = error.plain
            log.warning("sending: %s %s", error.plain, error.technical)
        if sender.writes:
            self._count("sent", sender.writes)

    def _post(self, link: Link, adapters: Adapters) -> None:
        self._check_posted(link, adapters, self._drive(link, adapters, "Posting into QuickBooks"))

    def _check_posted(self, link: Link, adapters: Adapters, posted: int) -> None:
        if posted:
            self._count("posted", posted)
            self._read_books(link, adapters, "Checking what was posted")

    def _read_books(self, link: Link, adapters: Adapters, step: str) -> None:
        """Everything that changed; the webhooks that said so before are settled by it."""
        with self.database.read() as conn:
            books = connections.connection(conn, link.ledger_id)
            last = inbox.newest(conn, link.ledger_id)
        if books.state != "ready":  # nothing would be asked of it, and old figures would pass for new ones
            raise Unauthorized(books.problem or f"{books.name} must be connected again.")
        if adapters.carry is None:  # its visits read them, each from its beginning
            return
        adapters.ledger.request_read(link.ledger_id)
        posted = self._drive(link, adapters, step)  # what a sync that broke off had left planned
        if adapters.ledger.is_reading(link.ledger_id):  # half a view of the books is none to decide on
            raise Transient(f"{books.name} asked us to wait for long. The next sync reads on from here.")
        with self.database.write() as conn:
            inbox.finish_through(conn, link.ledger_id, last)
            connections.set_state(conn, link.ledger_id, "ready", None, self.clock.now())
        self._check_posted(link, adapters, posted)

    def _drive(self, link: Link, adapters: Adapters, step: str) -> int:
        """Carries the ledger's requests until none is due; gives how many writes there were."""
        if adapters.carry is None:
            return 0
        writes, done, reported = 0, 0, -1.0
        while True:
            if self.clock.monotonic() - reported >= REPORT_EVERY_S:
                reported = self.clock.monotonic()
                self._report(step, done, adapters.ledger.backlog(link.ledger_id) + done)
            request = adapters.ledger.next_request(link.ledger_id)
            if request is None:
                pause = adapters.ledger.next_due_s(link.ledger_id)
                if pause is None or not 0 < pause <= WAIT_FOR_RETRY_S:
                    return writes
                self.clock.sleep(min(pause, NAP_S))
                continue
            adapters.ledger.accept_response(link.ledger_id, request, adapters.carry(request))
            done += max(1, len(request.parts))
            writes += len(request.parts) if request.kind == "write" else 0

    def _is_to_be_decided_again(self, link: Link) -> bool:
        """Whether something was undone, or is planned and only lacks a newer view of the books to be sent."""
        with self.database.read() as conn:
            now = connections.link(conn, link.id)
            if not now.posting_on or now.revision == now.decided_revision:
                return False
            return outbox.any_planned(conn, link.id) or legs.any_undecided(conn, link.id)

    # ---- bookkeeping

    def _report(self, step: str, done: int, total: int | None) -> None:
        with self.database.write() as conn:
            held = runs.report(
                conn,
                self._held,
                step=step,
                done=done,
                total=total,
                counts=self.counts,
                at=self.clock.now(),
                lease_s=self.lease_s,
            )
        if held is None:
            raise Transient("This sync took so long that another process has taken it over.")
        self._held = held

    def _count(self, name: str, number: int) -> None:
        self.counts[name] = self.counts.get(name, 0) + number
