"""Writing into the books: what goes out together, and what each answer means for each document of it.

A batch is only a wrapper: every document's bytes are frozen by themselves. What an unclear answer left open is looked
for by its marker, and sent again alone, never in a batch. See docs/decisions/0004-batches.md.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from reconcile.names import marker_of
from reconcile.records import Document
from reconcile.reversal import is_taken_back
from storage import connections, mirror, outbox, undoing
from storage.outbox import Item
from sync.booking import ABSENT, ATTEMPTS, Booking, Made, made, take_up
from sync.difference import difference, outdated
from sync.errors import Ambiguous, Rejected, Stale, SyncError, Transient, Unauthorized, Unclassified
from sync.ports import Clock, Part, Request, Rng
from sync.qbo import faults, reading, records, taking_back, wire
from sync.qbo.limits import BATCH
from sync.sound import UNREADABLE

BATCH_MAX = 30  # documents in one batch, as Intuit recommends
DEADLINE_S = 110  # Intuit gives up a request after 120 s
WORKED_ON_S = 120.0  # for so long, then, what was sent may still be applied


class Writing:
    """The outbox of a company, on its way. Every method works in the caller's transaction."""

    def __init__(self, clock: Clock, rng: Rng, lease_s: float) -> None:
        self._clock, self._lease_s = clock, lease_s
        self._booking = Booking(clock, rng)

    def next_doubtful(self, conn: Any, connection_id: int) -> Request | None:
        """Nothing is sent again before the books were searched for its marker, nor while posting is switched off."""
        now = self._clock.now()
        outbox.doubt_expired(conn, connection_id, now)
        items = [
            item
            for item in outbox.doubtful(conn, connection_id, now)
            if item.look_up != ABSENT or connections.link(conn, item.link_id).posting_on
        ]
        if not items:
            return None
        return self._send(conn, items[:1]) if items[0].look_up == ABSENT else _look_up(conn, items)

    def next_planned(self, conn: Any, connection_id: int) -> Request | None:
        """Whoever decides holds the links, as we do: nothing begins to hang on a document that is being undone."""
        connections.lock_links(conn, connection_id)
        while items := outbox.ready(conn, connection_id, self._clock.now(), BATCH_MAX):
            if take_up(conn, connection_id, items, self._clock.now()):
                continue
            first, link = items[0], connections.link(conn, items[0].link_id)
            problem = _obstacle(conn, link, first)
            if problem is None:
                return self._send(conn, _together(items))
            self._booking.call_off(conn, first, problem)
        return None

    def accept_posted(self, conn: Any, request: Request, body: Any) -> SyncError | None:
        """Each document of a write by itself. Gives the trouble that concerns more than one document, if there is."""
        answers = _answers(request, body)
        items = outbox.get_all(conn, [part.outbox_id for part in request.parts])
        common: SyncError | None = None
        written: list[Made] = []
        for part in request.parts:
            item, content = items[part.outbox_id], answers.get(str(part.outbox_id))
            try:
                if item.posting.change in taking_back.CHANGES:
                    self._accept_taken_back(conn, item, part, content)
                    continue
                document = _document(conn, item, content)
            except SyncError as error:
                self._record_trouble(conn, request, part, error)
                common = error if isinstance(error, Unauthorized) or error.retry_after_s else common
                continue
            raw = wire.encode((content or {})[wire.ENTITY[item.posting.kind]])
            written.append(made(conn, item, part.attempt, document, raw))
        self._booking.record_posted(conn, written)
        return common

    def accept_look_up(self, conn: Any, request: Request, body: Any) -> None:
        """Documents found by their markers are in the books; for the others the search goes on, or ends."""
        items = {item.posting.marker: item for item in (outbox.get(conn, part.outbox_id) for part in request.parts)}
        first = next(iter(items.values()))
        connections.lock_links(conn, first.connection_id)  # before any row: what is found may complete an undo
        if first.posting.change in taking_back.CHANGES:
            self._accept_look(conn, first, body)
            return
        entity = wire.ENTITY[first.posting.kind]
        page = body["QueryResponse"].get(entity, [])
        changes = {marker: item for marker, item in items.items() if item.posting.target}
        for content in page:
            marker = marker_of(content.get("PrivateNote") or "")
            if marker in items and marker not in changes:
                self._record_found(conn, items.pop(marker), entity, content)
            for name in [name for name, item in changes.items() if _shows_change(conn, item, entity, content)]:
                self._record_found(conn, items.pop(name), entity, content)
                del changes[name]
        following = reading.after_page(page, (first.look_up or {}).get("start", 1))
        if following is None:
            self._booking.record_absent(conn, list(items.values()))
            return
        for item in items.values():
            outbox.record_look_up(conn, item, {"since": following[0], "start": following[1]})

    def record_failure(self, conn: Any, request: Request, error: SyncError) -> None:
        """A request that failed as a whole."""
        for part in request.parts:
            if request.path == BATCH and isinstance(error, Rejected | Stale):
                # Nothing was written, and one of them is the cause: each goes alone, and only that one is refused.
                now = self._clock.now()
                outbox.record_later(conn, part.outbox_id, part.attempt, at=now, problem=error.plain, alone=True)
            elif request.path == BATCH and isinstance(error, Unclassified):
                self._record_trouble(conn, request, part, Ambiguous(error.plain, technical=error.technical))
            else:
                self._record_trouble(conn, request, part, error)

    def pause(self, attempt: int, error: SyncError) -> timedelta:
        return self._booking.pause(attempt, error)

    # ---- sending

    def _send(self, conn: Any, items: Sequence[Item]) -> Request:
        batch_id = _batch_id(items) if len(items) > 1 else None
        now, connection_id = self._clock.now(), items[0].connection_id
        search_from = reading.began_at(conn, connection_id) or now
        home = reading.home(conn, connection_id)
        bodies = [item.body or _body(conn, item, home) for item in items]
        request_ids = [item.request_id or wire.request_id(item.posting, item.attempt) for item in items]
        for item, body, request_id in zip(items, bodies, request_ids, strict=True):
            taken = outbox.claim(
                conn,
                item,
                request_id=request_id,
                body=body,
                search_from=search_from,
                at=now,
                lease_s=self._lease_s,
                batch_id=batch_id,
            )
            assert taken, "the row was read in this very transaction"
        return Request(
            kind="write",
            path=BATCH if batch_id else wire.ENTITY[items[0].posting.kind].lower(),
            body=_batch_body(items, bodies) if batch_id else bodies[0],
            query={"requestid": batch_id or request_ids[0]}
            | ({} if batch_id else taking_back.operation(items[0].posting)),
            parts=tuple(Part(item.id, item.attempt + 1) for item in items),
            purpose="post",
            deadline_s=min(DEADLINE_S, self._lease_s),
            send_by=now + timedelta(seconds=max(self._lease_s - WORKED_ON_S, self._lease_s / 5)),
        )

    # ---- recording

    def _accept_taken_back(self, conn: Any, item: Item, part: Part, content: Any) -> None:
        error = faults.of_item(content)
        if error is not None:
            raise error
        voided = taking_back.outcome(item, content, reading.home(conn, item.connection_id))
        raw = wire.encode(content[wire.ENTITY[item.posting.kind]]) if voided else ""
        self._booking.record_gone(conn, item, part.attempt, voided, raw)

    def _accept_look(self, conn: Any, item: Item, body: Any) -> None:
        """The document itself, after a doubt whether it was taken back."""
        entity = wire.ENTITY[item.posting.kind]
        found = body["QueryResponse"].get(entity, [])
        if not found:
            self._booking.record_gone(conn, item, None, None, "")
            return
        try:
            document = records.document(entity, found[0], reading.home(conn, item.connection_id))
        except UNREADABLE as error:
            plain = "The document is in QuickBooks, but Tieout cannot read it there. Look at it, then retry."
            self._booking.set_aside(conn, item, item.attempt, Unclassified(plain, technical=repr(error)))
            return
        if is_taken_back(document):
            self._booking.record_gone(conn, item, None, document, wire.encode(found[0]))
        elif item.state == "doubtful" and (refusal := (item.look_up or {}).get(taking_back.REFUSED)):
            self._booking.call_off(conn, item, refusal)
        else:
            self._booking.record_absent(conn, [item])

    def _record_found(self, conn: Any, item: Item, entity: str, content: Any) -> None:
        try:
            document = records.document(entity, content, reading.home(conn, item.connection_id))
        except UNREADABLE as error:
            plain = "The document is in QuickBooks, but Tieout cannot read it there. Look at it, then retry."
            self._booking.set_aside(conn, item, item.attempt, Unclassified(plain, technical=repr(error)))
            return
        self._booking.record_posted(conn, [made(conn, item, None, document, wire.encode(content))])

    def _record_trouble(self, conn: Any, request: Request, part: Part, error: SyncError) -> None:
        item = outbox.get(conn, part.outbox_id)
        later = self._clock.now() + self.pause(item.attempt, error)
        in_batch = request.path == BATCH
        if request.kind == "read":  # a look-up that failed; the doubt stays
            outbox.record_look_up(conn, item, item.look_up, next_at=later)
        elif item.posting.change in taking_back.CHANGES and error.code == taking_back.NOT_FOUND:
            outbox.record_doubt(conn, item, part.attempt, at=self._clock.now(), problem=error.plain)
            outbox.record_look_up(conn, outbox.get(conn, item.id), {taking_back.REFUSED: error.plain})
        elif isinstance(error, Ambiguous) and (in_batch or part.attempt < ATTEMPTS):
            # It goes again under another request id than the batch's, so not before the batch has certainly ended.
            ended = item.lease_until if in_batch and item.lease_until else later
            outbox.record_doubt(conn, item, part.attempt, at=max(later, ended), problem=error.plain)
        elif isinstance(error, Stale) and part.attempt < ATTEMPTS:
            # Somebody changed the document first. It is read again, and the change decided and built anew.
            mirror.touch_links(conn, item.connection_id)
            outbox.record_anew(conn, item.id, part.attempt, problem=error.plain)
        elif isinstance(error, Transient | Unauthorized):
            outbox.record_later(conn, item.id, part.attempt, at=later, problem=error.plain, alone=not in_batch)
        else:
            self._booking.set_aside(conn, item, part.attempt, error)


def _together(items: Sequence[Item]) -> list[Item]:
    """What goes out now: a row that goes alone (any change of a document), or those that get along in one batch.

    Intuit does not say in which order it works a batch off, so no two of it pay the same invoice.
    """
    if items[0].batch_id is not None or _goes_alone(items[0]):
        return [items[0]]
    chosen: list[Item] = []
    touched: set[str] = set()
    for item in items:
        applied = {part.id for part in item.posting.applied}
        if item.batch_id is None and not _goes_alone(item) and not applied & touched:
            chosen.append(item)
        touched |= applied
    return chosen


def _obstacle(conn: Any, link: connections.Link, item: Item) -> str | None:
    """Why an undo, or a restore, is not done any more."""
    if item.posting.undoes:
        return undoing.obstacle(conn, link, item)
    return outdated(conn, item) if item.posting.change == "restore" else None


def _goes_alone(item: Item) -> bool:
    """Changes of a document are made of it as it is now; what undoes one is looked at right before it goes."""
    return bool(item.posting.target or item.posting.undoes)


def _batch_id(items: Sequence[Item]) -> str:
    """The batch's `requestid`, at most 36 characters; another one each time, since no batch is sent twice."""
    names = "\n".join(f"{item.posting.marker}/{item.attempt}" for item in items)
    return "b" + hashlib.sha256(names.encode()).hexdigest()[:35]


def _batch_body(items: Sequence[Item], bodies: Sequence[str]) -> str:
    """The frozen documents as they are, each under its row's number."""
    parts = (
        f'{{"bId":"{item.id}","operation":"create","{wire.ENTITY[item.posting.kind]}":{body}}}'
        for item, body in zip(items, bodies, strict=True)
    )
    return f'{{"BatchItemRequest":[{",".join(parts)}]}}'


def _answers(request: Request, body: Any) -> dict[str, Any]:
    """The answer for each row, by its number."""
    if request.path != BATCH:
        return {str(request.parts[0].outbox_id): body}
    answers = body.get("BatchItemResponse")
    if not isinstance(answers, list):
        return {}
    return {str(answer.get("bId")): answer for answer in answers if isinstance(answer, dict)}


def _body(conn: Any, item: Item, home: str) -> str:
    """The bytes to freeze. A change of a document is made of what it says now."""
    posting = outbox.resolved(conn, item)
    if posting.target is None:
        return wire.write_body(posting, home)
    current = mirror.raw(conn, item.connection_id, posting.target.partition(":")[0], posting.target)
    assert current is not None, "only what was read is changed"
    if posting.change in taking_back.CHANGES:
        return taking_back.body(wire.decode(current))
    return wire.change_body(posting, home, wire.decode(current))


def _shows_change(conn: Any, item: Item, entity: str, content: Any) -> bool:
    """Whether a document that was read is the changed one, as it was to become."""
    posting = outbox.resolved(conn, item)
    try:
        document = records.document(entity, content, reading.home(conn, item.connection_id))
    except UNREADABLE:
        return False
    return document.id == posting.target and difference(posting, document) is None


def _document(conn: Any, item: Item, content: Any) -> Document:
    """The document that was made. Raises one of sync.errors if there is none, or it is not the one."""
    error = faults.of_item(content)
    if error is not None:
        raise error
    entity = wire.ENTITY[item.posting.kind]
    try:
        document = records.document(entity, content[entity], reading.home(conn, item.connection_id))
    except UNREADABLE as odd:
        raise Ambiguous("QuickBooks answered with something else than the document.", technical=repr(odd)) from None
    if item.posting.target:
        wrong = document.id != outbox.resolved(conn, item).target
    else:
        wrong = document.marker not in (None, item.posting.marker)
    if wrong:
        raise Ambiguous("QuickBooks answered with another document.", technical=document.id)
    return document


def _look_up(conn: Any, items: Sequence[Item]) -> Request:
    """One search for all rows that look for the same kind of document from the same place."""
    first = items[0]
    if first.posting.change in taking_back.CHANGES:
        return taking_back.look_up(first, DEADLINE_S)
    same = [item for item in items if (item.posting.kind, item.look_up) == (first.posting.kind, first.look_up)]
    same = [item for item in same if item.posting.change not in taking_back.CHANGES]
    position = first.look_up
    if position is None:
        since: datetime = min(item.search_from for item in same if item.search_from is not None)
        position = {"since": (since - reading.OVERLAP).isoformat(), "start": 1}
        for item in same:
            outbox.record_look_up(conn, item, position)
    return Request(
        kind="read",
        path="query",
        body=reading.page_query(wire.ENTITY[first.posting.kind], position["since"], position["start"]),
        parts=tuple(Part(item.id, item.attempt) for item in same),
        purpose="look up",
        deadline_s=DEADLINE_S,
    )
