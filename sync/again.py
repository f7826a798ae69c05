"""Reading again what is known already: some objects, or all of both sides between two days. A look stores nothing.

Whatever is read twice is the same twice: only what differs is stored, and markers keep every document single.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Protocol

from reconcile.records import Charge, Payout
from storage import again as scopes
from storage import inbox, mirror
from storage.again import SHOWN_MAX, Change, Found, Scope
from storage.records import DOCUMENT_KINDS
from sync.booking import store_found
from sync.ports import Fetched
from sync.reader import Reader
from sync.relisting import KINDS
from sync.retrying import retry_refused

LISTED = (*KINDS, "movement")
Progress = Callable[[str, int, int | None], None]


class Books(Protocol):
    """A ledger that answers when it is asked. Each raises one of sync.errors."""

    def between(self, since: date, until: date, home: str) -> Iterator[list[Fetched]]:
        """Its documents of some days, page by page."""
        ...

    def documents(self, ids: Sequence[str], home: str) -> list[Fetched]:
        """Documents by our ids ("payment:12"); of one that is gone, that."""
        ...


@dataclass(frozen=True)
class _Batch:
    """What one request brought, and when it was asked."""

    connection_id: int
    began: datetime
    found: Sequence[Fetched]


class Again:
    """One scope of one link."""

    def __init__(self, reader: Reader, books: Books | None, scope: Scope, home: str, progress: Progress) -> None:
        self._reader, self._books, self._scope, self._home = reader, books, scope, home
        self._database, self._clock, self._link = reader.database, reader.clock, reader.link
        self._progress = progress

    def look(self) -> Found:
        """What reading it again would change."""
        seen: set[tuple[str, str]] = set()
        counts: Counter[tuple[str, str]] = Counter()
        shown: list[Change] = []
        for batch in self._batches("Looking at both sides"):
            news = [one for one in batch.found if (one.kind, one.id) not in seen]
            seen |= {(one.kind, one.id) for one in news}
            objects = [(one.kind, one.id, one.record, one.problem) for one in news]
            with self._database.read() as conn:
                changes = scopes.compare(conn, batch.connection_id, objects)
            counts.update((change.what, change.kind) for change in changes)
            shown += changes[: SHOWN_MAX - len(shown)]
        with self._database.read() as conn:
            retried = len(scopes.refused(conn, self._link, self._scope))
            kept = scopes.count_sent(conn, self._link, self._scope)
        return Found(
            read=len(seen),
            counts=tuple((what, kind, number) for (what, kind), number in sorted(counts.items())),
            changes=tuple(shown),
            retried=retried,
            kept=kept,
            without_books=self._books is None,
        )

    def read(self, actor: str) -> int:
        """Stores what differs, and has what was refused of it decided and sent again; gives how many objects differed.

        `actor` is the person who asked for it.
        """
        changed = 0
        for batch in self._batches("Reading again"):
            changed += self._keep(batch)
        with self._database.read() as conn:
            refused = scopes.refused(conn, self._link, self._scope)
        retry_refused(self._database, self._clock, actor, self._link.id, refused)
        return changed

    def _keep(self, batch: _Batch) -> int:
        """As every way of reading does, so never over something newer. What can be read now waits no longer."""
        good = [(one.kind, one.id) for one in batch.found if one.problem is None]
        with self._database.write() as conn:
            if batch.connection_id == self._link.processor_id:
                changed = self._reader.keep(conn, batch.found, batch.began)
            else:
                changed = store_found(conn, batch.connection_id, batch.found, self._clock.now(), began=batch.began)
            inbox.settle(conn, batch.connection_id, good)
        return len(changed)

    # ---- what a scope takes in

    def _batches(self, step: str) -> Iterator[_Batch]:
        """Request by request, outside any transaction."""
        number = 0
        for batch in self._of_days() if self._scope.since is not None else self._of_objects():
            number += len(batch.found)
            self._progress(step, number, None)
            yield batch

    def _of_days(self) -> Iterator[_Batch]:
        assert self._scope.since is not None
        assert self._scope.until is not None
        since, until = self._scope.instants(self._link.time_zone)
        for kind in LISTED:
            cursor, more = None, True
            while more:
                began = self._clock.now()
                page = self._reader.ask(partial(self._reader.processor.window, kind, since, until, cursor))
                yield _Batch(self._link.processor_id, began, page.objects)
                yield from self._items(page.objects)
                cursor, more = page.cursor, page.cursor is not None
        if self._books is not None:
            yield from self._documents_of(self._books, self._scope.since, self._scope.until)

    def _documents_of(self, books: Books, since: date, until: date) -> Iterator[_Batch]:
        """What the books have of these days, and what has become of what they had."""
        with self._database.read() as conn:
            gone = set(mirror.ids_of_days(conn, self._link.ledger_id, DOCUMENT_KINDS, since, until))
        began = self._clock.now()
        for found in books.between(since, until, self._home):
            gone -= {one.id for one in found}
            yield _Batch(self._link.ledger_id, began, found)
            began = self._clock.now()
        if gone:
            yield _Batch(self._link.ledger_id, began, books.documents(sorted(gone), self._home))

    def _items(self, found: Sequence[Fetched]) -> Iterator[_Batch]:
        """Which movements the settled automatic payouts hold."""
        payouts = [one.record for one in found if isinstance(one.record, Payout)]
        for payout in payouts:
            if payout.automatic and payout.reconciliation_status == "completed":
                began = self._clock.now()
                items = self._reader.ask(partial(self._reader.processor.payout_items, payout.id))
                yield _Batch(self._link.processor_id, began, items)

    def _of_objects(self) -> Iterator[_Batch]:
        documents = [object_id for kind, object_id in self._scope.objects if kind in DOCUMENT_KINDS]
        for kind, object_id in self._scope.objects:
            if kind in DOCUMENT_KINDS:
                continue
            began = self._clock.now()
            found = self._reader.ask(partial(self._reader.processor.fetch, kind, {object_id: None}))
            yield _Batch(self._link.processor_id, began, [*found, *self._paid_by(found)])
            yield from self._items(found)
        if documents and self._books is not None:
            began = self._clock.now()
            yield _Batch(self._link.ledger_id, began, self._books.documents(documents, self._home))

    def _paid_by(self, found: Sequence[Fetched]) -> list[Fetched]:
        """Which invoices charges paid."""
        intents = [one.record.payment_intent_id for one in found if isinstance(one.record, Charge)]
        asked = (self._reader.ask(partial(self._reader.processor.invoice_payments, each)) for each in intents if each)
        return [one for answer in asked for one in answer]
