"""Reading the books: entity by entity through pages ordered by LastUpdatedTime, then by change data capture.

Where a reading stands is a cursor in the database, so that a killed process goes on where it was.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from reconcile.records import Document
from storage import inbox, mirror, outbox
from sync.ports import Fetched, Request
from sync.qbo import records, wire
from sync.qbo.difference import difference

ENTITIES = ("Preferences", "Account", "Customer", "Vendor", "Item", *records.LEGS, "Invoice", "CreditMemo")
PAGE = 1000  # Intuit's maximum, also of change data capture, which has no pages
CHANGES_REACH = timedelta(days=29)  # change data capture reaches back 30 days
OVERLAP = timedelta(minutes=10)  # between two clocks
EPOCH = "2000-01-01T00:00:00Z"
READING = "reading"  # the cursor's name
ACTOR = "quickbooks"

Objects = list[Fetched]


def ask(conn: Any, connection_id: int, now: datetime) -> None:
    """Starts reading what changed since the last time; a reading under way just goes on."""
    position = mirror.cursor(conn, connection_id, READING)
    if position is None or position["mode"] == "idle":
        mirror.move_cursor(conn, connection_id, READING, _start(position, now), now)


def next_request(conn: Any, connection_id: int) -> Request | None:
    """The next page or change request of a reading under way."""
    position = mirror.cursor(conn, connection_id, READING)
    if position is None or position["mode"] == "idle":
        return None
    if position["mode"] == "changes":
        query = {"entities": ",".join(ENTITIES[1:]), "changedSince": position["changed_since"]}
        return Request(kind="read", path="cdc", query=query, purpose="changes", deadline_s=120)
    text = page_query(position["queue"][0], position["page_since"], position["start"])
    return Request(kind="read", path="query", body=text, purpose="page", deadline_s=120)


def began_at(conn: Any, connection_id: int) -> datetime | None:
    """When the last reading began, by their clock."""
    position = mirror.cursor(conn, connection_id, READING)
    return None if position is None else datetime.fromisoformat(position["at"])


def accept_page(conn: Any, connection_id: int, body: Any, now: datetime) -> None:
    position = _by_their_clock(mirror.cursor(conn, connection_id, READING), body)
    entity = position["queue"][0]
    found = body["QueryResponse"].get(entity, [])
    _upsert(conn, connection_id, _objects(entity, found, home(conn, connection_id)), now)
    mirror.move_cursor(conn, connection_id, READING, _next_page(position, found), now)


def accept_changes(conn: Any, connection_id: int, body: Any, now: datetime) -> None:
    position, currency = mirror.cursor(conn, connection_id, READING), home(conn, connection_id)
    objects: Objects = []
    for answer in body["CDCResponse"]:
        for part in answer["QueryResponse"]:
            for entity in set(part) & set(ENTITIES):
                objects += _objects(entity, part[entity], currency)
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
    _upsert(conn, connection_id, objects, now)
    mirror.move_cursor(conn, connection_id, READING, position, now)


def home(conn: Any, connection_id: int) -> str:
    """The company's home currency."""
    return mirror.home_currency(conn, connection_id)


def page_query(entity: str, since: str, start: int) -> str:
    """Oldest change first, so that what changes while we read comes again at the end. List objects even if inactive."""
    if entity == "Preferences":
        return "SELECT * FROM Preferences"
    inactive = "Active IN (true, false) AND " if entity in records.OTHERS else ""
    return (  # every part is ours; Intuit's language has no bound parameters
        f"SELECT * FROM {entity} WHERE {inactive}MetaData.LastUpdatedTime >= '{since}' "  # noqa: S608
        f"ORDERBY MetaData.LastUpdatedTime STARTPOSITION {start} MAXRESULTS {PAGE}"
    )


def after_page(found: Sequence[Any], start: int) -> tuple[str, int] | None:
    """Where the page after this one begins, as (since, start); None if there is none.

    It goes on from the last time seen, not by counting: a row that moves to the end shifts all the others. Only a
    whole page of one instant is counted through.
    """
    if len(found) < PAGE:
        return None
    last = records.updated(found[-1])
    return last, start + PAGE if last == records.updated(found[0]) else 1


def _upsert(conn: Any, connection_id: int, objects: Objects, now: datetime) -> None:
    """Stores what was read, and lets the outbox know which of its documents were seen in the books."""
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


def _start(position: Any | None, now: datetime) -> dict[str, Any]:
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


def _next_page(position: dict[str, Any], found: Sequence[Any]) -> dict[str, Any]:
    following = after_page(found, position["start"])
    if following is None:
        queue = position["queue"][1:]
        mode = "pages" if queue else position["then"]
        return position | {"queue": queue, "page_since": position["pages_from"], "start": 1, "mode": mode}
    since, start = following
    return position | {"page_since": since, "start": start}


def _objects(entity: str, found: Sequence[Any], currency: str) -> Objects:
    return [_object(entity, content, currency) for content in found]


def _object(entity: str, content: Any, currency: str) -> Fetched:
    """One object as a record; one that cannot be read is kept as it came, and the others go on."""
    kind = wire.KIND.get(entity) or records.OTHERS[entity][0]
    raw = wire.encode(content)
    try:
        if content.get("status") == "Deleted":
            object_id = f"{kind}:{content['Id']}" if entity in wire.KIND else str(content["Id"])
            return Fetched(kind=kind, id=object_id, record=None)
        kind, object_id, record = records.read(entity, content, currency)
        return Fetched(kind=kind, id=object_id, record=record, raw=raw)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        problem = f"Tieout cannot read this {entity} of QuickBooks ({error}). Nothing was done with it."
        return Fetched(kind=kind, id=str(content.get("Id")), record=None, raw=raw, problem=problem)
