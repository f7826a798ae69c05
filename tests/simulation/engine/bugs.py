"""Bugs planted on purpose, to see that the laws catch them. Nothing but a simulation can switch them on."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

import orjson
import stripe
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from reconcile import charges
from storage import findings, inbox, mirror, outbox
from storage.models import outbox as outbox_table
from storage.records import from_json, record_type, to_json
from storage.users import User
from sync import booking, deciding, fetching, hints, mending, web, worker
from sync.errors import Ambiguous, Transient
from sync.fetching import Fetcher
from sync.hints import Hints
from sync.qbo import faults, reading, writing
from sync.qbo.writing import Writing
from sync.reader import receive
from tests.simulation.engine.trouble import Crash

Bug = Callable[[], AbstractContextManager[Any]]


# ---- webhooks


def acknowledge_before_commit() -> AbstractContextManager[Any]:
    """The sender has its 2xx, whatever becomes of the transaction."""

    def store(*given: Any) -> None:
        try:
            STORE(*given)
        except (Crash, OperationalError):
            return

    return patch.object(web, "_store", store)


def trust_the_body() -> AbstractContextManager[Any]:
    """What a webhook carries is stored as it is, and not fetched."""

    def store(ours: Any, connection_id: int, request: Any, body: bytes, read: Any) -> None:
        STORE(ours, connection_id, request, body, read)
        event = orjson.loads(body)
        content = event["data"]["object"]
        kind = content.pop("object")
        content.pop("created")
        record = from_json(content, record_type(kind))
        with ours.database.write() as conn:
            conn.execute(
                update(inbox.inbox).where(inbox.inbox.c.event_id == event["id"]).values(state="done", problem=None)
            )
            stored = [(kind, content["id"], record, orjson.dumps(to_json(record)).decode())]
            mirror.store(conn, connection_id, stored, at=ours.clock.now(), actor="stripe")

    return patch.object(web, "_store", store)


def take_forged_ones() -> AbstractContextManager[Any]:
    """The signature is not looked at."""
    return patch.object(stripe.WebhookSignature, "verify_header", lambda *_, **__: True)


# ---- reading


def cursor_before_page() -> AbstractContextManager[Any]:
    """Where the next page begins is stored before the page is."""

    def read_page(
        self: Fetcher, stream: str, position: dict[str, Any], changed: int, total: int
    ) -> tuple[int, int, dict[str, Any]]:
        began, kept = self._clock.now(), []

        def keep(_conn: Any, found: Any, _began: Any) -> list[tuple[str, str]]:
            kept.append(found)
            return []

        with patch.object(self._reader, "keep", keep):
            answer = READ_PAGE(self, stream, position, changed, total)
        with self._database.write() as conn:
            stored = [each for found in kept for each in self._reader.keep(conn, found, began)]
        return changed + len(stored), *answer[1:]

    return patch.object(Fetcher, "_read_page", read_page)


def first_page_only() -> AbstractContextManager[Any]:
    """A listing is taken for finished after its first page."""

    def read_page(self: Fetcher, stream: str, position: dict[str, Any], *counts: int) -> Any:
        page = self._processor.page
        with patch.object(self, "_processor", _Short(self._processor, page)):
            return READ_PAGE(self, stream, position, *counts)

    return patch.object(Fetcher, "_read_page", read_page)


class _Short:
    def __init__(self, processor: Any, page: Any) -> None:
        self._processor, self._page = processor, page

    def page(self, *given: Any) -> Any:
        return replace(self._page(*given), cursor=None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._processor, name)


def strict_times() -> AbstractContextManager[Any]:
    """The next listing begins after the second of the newest object, not some minutes before."""
    return patch.object(fetching, "LATE", timedelta(seconds=-1))


def last_writer_wins() -> AbstractContextManager[Any]:
    """What was fetched is stored, although somebody has stored something newer meanwhile."""
    return patch.object(mirror, "overtaken", lambda *_: set())


def done_before_the_fetch() -> AbstractContextManager[Any]:
    """Events are ticked off before what they point at is there."""

    def fetch_batch(self: Hints, events: Sequence[Any]) -> int:
        with self._database.write() as conn:
            inbox.finish(conn, [event.id for event in events])
        return FETCH_BATCH(self, events)

    return patch.object(Hints, "_fetch_batch", fetch_batch)


def events_position_first() -> AbstractContextManager[Any]:
    """Where the event list was read to is stored before its events are."""

    def later(self: Hints, rows: list[Any]) -> None:
        with self._database.write() as conn:
            for given, more in rows:
                receive(conn, *given[1:], **more)

    def poll(self: Hints) -> datetime | None:
        rows: list[Any] = []
        with patch.object(hints, "receive", lambda *given, **more: rows.append((given, more))):
            answer = POLL(self)
        later(self, rows)
        return answer

    return patch.object(Hints, "poll", poll)


def our_own_clock() -> AbstractContextManager[Any]:
    """The next reading of the books begins at the time of our clock, not theirs."""
    return patch.object(reading, "_by_their_clock", lambda position, _: position)


def full_window_is_whole() -> AbstractContextManager[Any]:
    """An answer that is as long as one can be is taken for all there is."""

    def accept(conn: Any, connection_id: int, step: Any, body: Any, now: datetime) -> list[Any]:
        with patch.object(reading, "PAGE", 10_000):
            return ACCEPT_CHANGES(conn, connection_id, step, body, now)

    return patch.dict(reading.ANSWERS, {"changes": accept})


# ---- deciding


def fee_leg_forgotten() -> AbstractContextManager[Any]:
    return patch.object(charges, "book_fees", lambda *_: None)


def _replanned(change: Callable[[Any], Sequence[Any]]) -> AbstractContextManager[Any]:
    def planned(*given: Any, **more: Any) -> Any:
        found = PLAN(*given, **more)
        return replace(found, postings=tuple(each for posting in found.postings for each in change(posting)))

    return patch.object(deciding, "plan", planned)


def refund_twice() -> AbstractContextManager[Any]:
    """A refund is planned under a second name too."""

    def change(posting: Any) -> Sequence[Any]:
        again = replace(posting, marker=posting.marker.replace(":refund:", ":refund-receipt:"))
        return (posting, again) if ":refund:" in posting.marker else (posting,)

    return _replanned(change)


def sign_flipped() -> AbstractContextManager[Any]:
    """A payout that came back is booked as one that went out."""

    def change(posting: Any) -> Sequence[Any]:
        if ":payout_reversal:" not in posting.marker:
            return (posting,)
        ends = {"account_id": posting.other_account_id, "other_account_id": posting.account_id}
        return (replace(posting, **ends),)

    return _replanned(change)


def stale_view() -> AbstractContextManager[Any]:
    """What was decided is recorded, although the records have changed since."""

    @contextmanager
    def planted() -> Iterator[None]:
        with (
            patch.object(deciding._Round, "_is_stale", lambda *_: False),
            patch.object(deciding, "_is_decided", lambda *_: False),
        ):
            yield

    return planted()


# ---- writing


def new_request_id() -> AbstractContextManager[Any]:
    """The same document goes again under another request id."""

    def send(self: Writing, conn: Any, items: Sequence[Any]) -> Any:
        return SEND(self, conn, [replace(item, request_id=None) for item in items])

    return patch.object(Writing, "_send", send)


def held_up_and_sent() -> AbstractContextManager[Any]:
    """A worker that slept past its lease sends all the same."""

    def send(self: Writing, conn: Any, items: Sequence[Any]) -> Any:
        return replace(SEND(self, conn, items), send_by=None)

    return patch.object(Writing, "_send", send)


def timeout_is_failure() -> AbstractContextManager[Any]:
    """What was not answered is taken for not done."""
    return patch.object(faults, "_lost", lambda *_, **__: Transient("QuickBooks did not answer."))


def no_claim() -> AbstractContextManager[Any]:
    """Nothing says that a row is being sent until it is known to be in the books."""

    def record_posted(conn: Any, written: Sequence[Any], at: datetime) -> Any:
        ids = [each.outbox_id for each in written]
        planned = outbox_table.c.id.in_(ids), outbox_table.c.state == "planned"
        conn.execute(update(outbox_table).where(*planned).values(state="sending", attempt=outbox_table.c.attempt + 1))
        return RECORD_POSTED(conn, written, at)

    @contextmanager
    def planted() -> Iterator[None]:
        with (
            patch.object(outbox, "claim", lambda *_, **__: True),
            patch.object(outbox, "record_posted", record_posted),
        ):
            yield

    return planted()


def no_look() -> AbstractContextManager[Any]:
    """What is in doubt goes again without a look into the books."""

    def next_doubtful(self: Writing, conn: Any, connection_id: int) -> Any:
        now = self._clock.now()
        outbox.doubt_expired(conn, connection_id, now)
        items = outbox.doubtful(conn, connection_id, now)
        return self._send(conn, items[:1]) if items else None

    return patch.object(Writing, "next_doubtful", next_doubtful)


def lease_not_honoured() -> AbstractContextManager[Any]:
    """What is not in the books yet is decided anew, while its first sending may still arrive."""

    def record_absent(self: Any, conn: Any, items: Sequence[Any]) -> None:
        RECORD_ABSENT(self, conn, [replace(item, lease_until=None) for item in items])

    return patch.object(booking.Booking, "record_absent", record_absent)


def marker_not_checked() -> AbstractContextManager[Any]:
    """A look-up takes the first document of the kind for the one it looks for."""

    def accept_look_up(self: Writing, conn: Any, request: Any, body: Any) -> None:
        names = [outbox.get(conn, part.outbox_id).posting.marker for part in request.parts]
        with patch.object(writing, "marker_of", lambda _: names.pop(0) if names else None):
            ACCEPT_LOOK_UP(self, conn, request, body)

    return patch.object(Writing, "accept_look_up", accept_look_up)


def failed_write_is_posted() -> AbstractContextManager[Any]:
    """An answer that says nothing is taken for a yes."""

    def record_failure(self: Writing, conn: Any, request: Any, error: Any) -> None:
        if request.kind == "write" and isinstance(error, Ambiguous):
            for part in request.parts:
                kind = outbox.get(conn, part.outbox_id).posting.kind
                done = outbox.Written(part.outbox_id, part.attempt, f"{kind}:0", "0", None)
                outbox.record_posted(conn, [done], self._clock.now())
            return
        RECORD_FAILURE(self, conn, request, error)

    return patch.object(Writing, "record_failure", record_failure)


def partial_commit() -> AbstractContextManager[Any]:
    """That a document is in the books is committed before what follows from it."""

    def record_posted(conn: Any, written: Sequence[Any], at: datetime) -> Any:
        answer = RECORD_POSTED(conn, written, at)
        driver = conn.connection.driver_connection
        driver.execute("COMMIT")
        driver.execute("BEGIN")
        return answer

    return patch.object(outbox, "record_posted", record_posted)


def double_audit() -> AbstractContextManager[Any]:
    """Whoever tells of a document that is known already is believed once more."""

    def record_posted(conn: Any, written: Sequence[Any], at: datetime) -> Any:
        RECORD_POSTED(conn, written, at)
        return list(written)

    return patch.object(outbox, "record_posted", record_posted)


def drift_overwritten() -> AbstractContextManager[Any]:
    """What a person changed is put back unasked."""

    def look_for_odd(self: worker.Worker, link: Any) -> None:
        LOOK_FOR_ODD(self, link)
        person = User(id=1, email="accountant@example.com", name="Accountant", role="accountant")
        with self.database.read() as conn:
            found = [each for each in findings.standing(conn, link.id) if each.code == "changed"]
        for each in found:
            for offer in each.offers:
                if offer.action == "restore":
                    mending.mend(self.database, self.clock, person, link.id, each.id, each.version, offer)

    return patch.object(worker.Worker, "_look_for_odd", look_for_odd)


STORE, READ_PAGE, FETCH_BATCH, POLL = web._store, Fetcher._read_page, Hints._fetch_batch, Hints.poll
ACCEPT_CHANGES, PLAN, SEND = reading._accept_changes, deciding.plan, Writing._send
RECORD_POSTED, RECORD_ABSENT = outbox.record_posted, booking.Booking.record_absent
ACCEPT_LOOK_UP, RECORD_FAILURE = Writing.accept_look_up, Writing.record_failure
LOOK_FOR_ODD = worker.Worker._look_for_odd
BUGS: Mapping[str, Bug] = {
    bug.__name__.replace("_", " "): bug
    for bug in (
        acknowledge_before_commit, trust_the_body, take_forged_ones, cursor_before_page, first_page_only, strict_times,
        last_writer_wins, done_before_the_fetch, events_position_first, our_own_clock, full_window_is_whole,
        fee_leg_forgotten, refund_twice, sign_flipped, stale_view, new_request_id, held_up_and_sent,
        timeout_is_failure, no_claim, no_look, lease_not_honoured, marker_not_checked, failed_write_is_posted,
        partial_commit, double_audit, drift_overwritten,
    )
}  # fmt: skip
