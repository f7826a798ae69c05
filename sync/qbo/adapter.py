"""The ledger port on QuickBooks Online: what to ask next, and what an answer changes.

Reading goes entity by entity through pages ordered by LastUpdatedTime, then by change data capture. Writing takes one
outbox row at a time. Where both stand is in the database, so that a killed process goes on where it was.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from reconcile.postings import Posting
from reconcile.records import Company, Document
from storage import audit, connections, inbox, legs, mirror, outbox
from storage.engine import Database
from sync.errors import Ambiguous, Rejected, Stale, SyncError, Transient, Unauthorized
from sync.ports import Clock, Fetched, Request, Response, Rng
from sync.qbo import faults, records, wire

ENTITIES = ("Preferences", "Account", "Customer", "Vendor", "Item", *records.LEGS, "Invoice", "CreditMemo")
PAGE = 1000  # Intuit's maximum, also of change data capture, which has no pages
CHANGES_REACH = timedelta(days=29)  # change data capture reaches back 30 days
OVERLAP = timedelta(minutes=10)  # between two clocks
EPOCH = "2000-01-01T00:00:00Z"
ATTEMPTS = 8
BACKOFF_S = (1, 300)
READING = "reading"  # the cursor's name
ACTOR = "quickbooks"

Objects = list[Fetched]


class QuickBooksOnline:
    """Implements sync.ports.Ledger."""

    def __init__(self, database: Database, clock: Clock, rng: Rng, *, lease_s: float = 120) -> None:
        self._database, self._clock, self._rng, self._lease_s = database, clock, rng, lease_s

    def request_read(self, connection_id: int) -> None:
        """Asks for what changed since the last read; a read under way just goes on."""
        with self._database.write() as conn:
            now = self._clock.now()
            position = mirror.cursor(conn, connection_id, READING)
            if position is None or position["mode"] == "idle":
                mirror.move_cursor(conn, connection_id, READING, _start_reading(position, now), now)

    def next_request(self, connection_id: int) -> Request | None:
        with self._database.write() as conn:
            if connections.connection(conn, connection_id).state != "ready":
                return None
            now = self._clock.now()
            outbox.doubt_expired(conn, connection_id, now)
            doubtful = outbox.next_doubtful(conn, connection_id, now)
            if doubtful is not None:
                return self._look_up_or_resend(conn, doubtful)
            position = mirror.cursor(conn, connection_id, READING)
            if position is not None and position["mode"] != "idle":
                return _read(position)
            planned = outbox.next_planned(conn, connection_id, now)
            return None if planned is None else self._send(conn, planned)

    def accept_response(self, connection_id: int, request: Request, response: Response) -> None:
        try:
            body = faults.check(response, write=request.kind == "write")
            self._store(connection_id, request, body)
        except SyncError as error:
            self._record_trouble(connection_id, request, error)
            if not request.outbox_id or isinstance(error, Unauthorized):
                raise

    def next_due_s(self, connection_id: int) -> float | None:
        with self._database.read() as conn:
            due = outbox.next_due(conn, connection_id)
        return None if due is None else (due - self._clock.now()).total_seconds()

    def backlog(self, connection_id: int) -> int:
        with self._database.read() as conn:
            return outbox.count_ready(conn, connection_id)

    # ---- writing

    def _send(self, conn: Any, item: outbox.Item) -> Request:
        body = item.body or wire.write_body(item.posting, self._home(conn, item.connection_id))
        request_id = item.request_id or wire.request_id(item.posting, item.attempt)
        position, now = mirror.cursor(conn, item.connection_id, READING), self._clock.now()
        taken = outbox.claim(
            conn,
            item,
            request_id=request_id,
            body=body,
            search_from=now if position is None else datetime.fromisoformat(position["at"]),
            at=now,
            lease_s=self._lease_s,
        )
        assert taken, "the row was read in this very transaction"
        return Request(
            kind="write",
            path=wire.ENTITY[item.posting.kind].lower(),
            body=body,
            query={"requestid": request_id},
            outbox_id=item.id,
            attempt=item.attempt + 1,
            purpose="post",
            deadline_s=min(60, self._lease_s),
        )

    def _look_up_or_resend(self, conn: Any, item: outbox.Item) -> Request:
        """Nothing is sent again before the books were searched for the marker."""
        if item.look_up == "absent":
            return self._send(conn, item)
        start = int(item.look_up or 1)
        assert item.search_from is not None
        since = (item.search_from - OVERLAP).isoformat()
        return Request(
            kind="read",
            path="query",
            body=_query(wire.ENTITY[item.posting.kind], since, start),
            outbox_id=item.id,
            attempt=item.attempt,
            purpose="look up",
        )

    def _record_posted(self, connection_id: int, request: Request, body: Any) -> None:
        with self._database.write() as conn:
            item = outbox.get(conn, request.outbox_id or 0)
            entity = wire.ENTITY[item.posting.kind]
            if entity not in body:
                raise Ambiguous("QuickBooks answered with something else than the document.")
            document = records.document(entity, body[entity], self._home(conn, connection_id))
            if outbox.record_posted(
                conn, item.id, request.attempt, document_id=document.id, version=document.version, at=self._clock.now()
            ):
                self._store_posted(conn, connection_id, item, document, body[entity])

    def _store_posted(self, conn: Any, connection_id: int, item: outbox.Item, document: Document, body: Any) -> None:
        """The document's mirror row, its legs and the audit, in one transaction with its outbox row."""
        now = self._clock.now()
        stored = [(document.kind, document.id, document, wire.encode(body))]
        mirror.store(conn, connection_id, stored, at=now, actor=ACTOR, is_news=False)
        legs.record_posted(conn, item.link_id, [share.leg_id for share in item.posting.shares])
        entry = audit.Entry(
            actor="tieout",
            action="posted",
            subject=item.posting.marker,
            link_id=item.link_id,
            detail={"document": document.id, "amount_minor": document.amount_minor, "currency": document.currency},
        )
        audit.append(conn, now, [entry])
        problem = difference(item.posting, document)
        if problem:
            outbox.note(conn, item.id, problem)

    def _accept_look_up(self, connection_id: int, request: Request, body: Any) -> None:
        with self._database.write() as conn:
            item = outbox.get(conn, request.outbox_id or 0)
            entity = wire.ENTITY[item.posting.kind]
            found = body["QueryResponse"].get(entity, [])
            home = self._home(conn, connection_id)
            for content in found:
                document = records.document(entity, content, home)
                if document.marker == item.posting.marker:
                    if outbox.record_posted(
                        conn, item.id, None, document_id=document.id, version=document.version, at=self._clock.now()
                    ):
                        self._store_posted(conn, connection_id, item, document, content)
                    return
            more = len(found) == PAGE
            outbox.record_look_up(conn, item, int(item.look_up or 1) + PAGE if more else "absent")

    def _record_trouble(self, connection_id: int, request: Request, error: SyncError) -> None:
        now = self._clock.now()
        with self._database.write() as conn:
            if isinstance(error, Unauthorized):
                connections.set_state(conn, connection_id, "reconnect", error.plain, now)
            if request.outbox_id is None:
                return
            item = outbox.get(conn, request.outbox_id)
            later = now + self._pause(item.attempt, error)
            if request.kind == "read":  # a look-up that failed; the doubt stays
                outbox.record_look_up(conn, item, item.look_up, next_at=later)
            elif isinstance(error, Ambiguous) and request.attempt < ATTEMPTS:
                outbox.record_doubt(conn, item.id, request.attempt, at=later, problem=error.plain)
            elif isinstance(error, Transient | Unauthorized):
                outbox.record_later(conn, item.id, request.attempt, at=later, problem=error.plain)
            else:
                self._set_aside(conn, item, request, error)

    def _set_aside(self, conn: Any, item: outbox.Item, request: Request, error: SyncError) -> None:
        """Refused, or beyond us: the others go on, this one waits for a person."""
        certain = isinstance(error, Rejected | Stale)
        refused = outbox.record_refused(
            conn,
            item.id,
            request.attempt,
            problem=error.plain,
            technical=error.technical,
            nothing_written=certain,
        )
        if refused:
            legs.record_refused(conn, item.link_id, [share.leg_id for share in item.posting.shares], error.plain)
            entry = audit.Entry(
                actor=ACTOR,
                action="refused",
                subject=item.posting.marker,
                link_id=item.link_id,
                detail={"problem": error.plain, "technical": error.technical},
            )
            audit.append(conn, self._clock.now(), [entry])

    def _pause(self, attempt: int, error: SyncError) -> timedelta:
        low, high = BACKOFF_S
        seconds = error.retry_after_s or min(high, low * 2**attempt)
        return timedelta(seconds=seconds * (0.5 + self._rng.jitter() / 2))

    # ---- reading

    def _store(self, connection_id: int, request: Request, body: Any) -> None:
        match request.purpose:
            case "post":
                self._record_posted(connection_id, request, body)
            case "look up":
                self._accept_look_up(connection_id, request, body)
            case "page":
                self._accept_page(connection_id, body)
            case "changes":
                self._accept_changes(connection_id, body)

    def _accept_page(self, connection_id: int, body: Any) -> None:
        with self._database.write() as conn:
            position = _by_their_clock(mirror.cursor(conn, connection_id, READING), body)
            entity = position["queue"][0]
            found = body["QueryResponse"].get(entity, [])
            self._upsert(conn, connection_id, _objects(entity, found, self._home(conn, connection_id)))
            mirror.move_cursor(conn, connection_id, READING, _next_page(position, found), self._clock.now())

    def _accept_changes(self, connection_id: int, body: Any) -> None:
        with self._database.write() as conn:
            position, home = mirror.cursor(conn, connection_id, READING), self._home(conn, connection_id)
            objects: Objects = []
            for answer in body["CDCResponse"]:
                for part in answer["QueryResponse"]:
                    for entity in set(part) & set(ENTITIES):
                        objects += _objects(entity, part[entity], home)
            if len(objects) >= PAGE:  # "as many as fit": unknown what is missing, so read by pages instead
                since = position["changed_since"]
                position |= {
                    "mode": "pages",
                    "queue": list(ENTITIES),
                    "pages_from": since,
                    "page_since": since,
                    "then": "idle",
                }
            else:
                position |= {"mode": "idle"}
            self._upsert(conn, connection_id, objects)
            mirror.move_cursor(conn, connection_id, READING, position, self._clock.now())

    def _upsert(self, conn: Any, connection_id: int, objects: Objects) -> None:
        """Stores what was read, and lets the outbox know which of its documents were seen in the books."""
        now = self._clock.now()
        for found in objects:
            if found.problem is not None:
                inbox.hold(conn, connection_id, found.kind, found.id, raw=found.raw, problem=found.problem, at=now)
        read = [(found.kind, found.id, found.record, found.raw) for found in objects if found.problem is None]
        mirror.store(conn, connection_id, read, at=now, actor=ACTOR)
        documents = [found.record for found in objects if isinstance(found.record, Document)]
        ours = {document.marker: document for document in documents if document.marker}
        for marker, item in outbox.by_marker(conn, connection_id, list(ours)).items():
            document = ours[marker]
            if item.document_id == document.id:
                problem = difference(item.posting, document)
                outbox.verify(conn, item.id, document_version=document.version, problem=problem)

    def _home(self, conn: Any, connection_id: int) -> str:
        company: Company | None = mirror.load(conn, connection_id, "company", ["company"]).get("company")
        return company.home_currency if company else "USD"


def difference(posting: Posting, document: Document) -> str | None:
    """What the books say otherwise than was posted, in plain words; None if they agree."""
    if document.voided:
        return "Somebody voided this document in QuickBooks."
    parts = (
        ("amount", posting.amount_minor, document.amount_minor, posting.kind != "journal_entry"),
        ("currency", posting.currency, document.currency, True),
        ("date", posting.dated, document.dated, True),
        ("customer", posting.party_id, document.customer_id, posting.kind in ("payment", "sales_receipt")),
        ("account", posting.account_id, document.account_id, document.account_id is not None),
    )
    wrong = [
        f"{name} {found} instead of {wanted}" for name, wanted, found, counts in parts if counts and wanted != found
    ]
    return f"QuickBooks shows another {', '.join(wrong)}." if wrong else None


def _start_reading(position: Any | None, now: datetime) -> dict[str, Any]:
    """All pages the first time and after a long silence, then (or only) what changed since.

    The preferences are asked for each time: whether change data capture knows them is not documented.
    """
    since = now - OVERLAP if position is None else datetime.fromisoformat(position["at"]) - OVERLAP
    complete = position is not None and now - since < CHANGES_REACH
    return {
        "mode": "pages",
        "queue": ["Preferences"] if complete else list(ENTITIES),
        "pages_from": EPOCH if position is None else since.isoformat(),
        "page_since": EPOCH if position is None else since.isoformat(),
        "start": 1,
        "changed_since": max(since, now - CHANGES_REACH).isoformat(),
        "then": "changes",
        "at": now.isoformat(),
        "timed": False,
    }


def _by_their_clock(position: dict[str, Any], body: Any) -> dict[str, Any]:
    """The time of the first answer of a reading is where the next one begins: theirs, for ours may be another."""
    if position["timed"] or "time" not in body:
        return position
    return position | {"at": body["time"], "timed": True}


def _read(position: dict[str, Any]) -> Request:
    if position["mode"] == "changes":
        query = {"entities": ",".join(ENTITIES[1:]), "changedSince": position["changed_since"]}
        return Request(kind="read", path="cdc", query=query, purpose="changes", deadline_s=120)
    body = _query(position["queue"][0], position["page_since"], position["start"])
    return Request(kind="read", path="query", body=body, purpose="page", deadline_s=120)


def _query(entity: str, since: str, start: int) -> str:
    """Oldest change first, so that what changes while we read comes again at the end. List objects even if inactive."""
    if entity == "Preferences":
        return "SELECT * FROM Preferences"
    inactive = "Active IN (true, false) AND " if entity in records.OTHERS else ""
    return (  # every part is ours; Intuit's language has no bound parameters
        f"SELECT * FROM {entity} WHERE {inactive}MetaData.LastUpdatedTime >= '{since}' "  # noqa: S608
        f"ORDERBY MetaData.LastUpdatedTime STARTPOSITION {start} MAXRESULTS {PAGE}"
    )


def _next_page(position: dict[str, Any], found: Sequence[Any]) -> dict[str, Any]:
    """Goes on from the last time seen, not by counting: a row that moves to the end shifts all the others.

    Only a whole page of one instant is counted through.
    """
    if len(found) < PAGE:
        queue = position["queue"][1:]
        mode = "pages" if queue else position["then"]
        return position | {"queue": queue, "page_since": position["pages_from"], "start": 1, "mode": mode}
    last = records.updated(found[-1])
    if last == records.updated(found[0]):
        return position | {"page_since": last, "start": position["start"] + PAGE}
    return position | {"page_since": last, "start": 1}


def _objects(entity: str, found: Sequence[Any], home: str) -> Objects:
    return [_object(entity, content, home) for content in found]


def _object(entity: str, content: Any, home: str) -> Fetched:
    """One object as a record; one that cannot be read is kept as it came, and the others go on."""
    kind = wire.KIND.get(entity) or records.OTHERS[entity][0]
    raw = wire.encode(content)
    try:
        if content.get("status") == "Deleted":
            object_id = f"{kind}:{content['Id']}" if entity in wire.KIND else str(content["Id"])
            return Fetched(kind=kind, id=object_id, record=None)
        kind, object_id, record = records.read(entity, content, home)
        return Fetched(kind=kind, id=object_id, record=record, raw=raw)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        problem = f"Tieout cannot read this {entity} of QuickBooks ({error}). Nothing was done with it."
        return Fetched(kind=kind, id=str(content.get("Id")), record=None, raw=raw, problem=problem)
