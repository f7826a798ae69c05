"""Reading the books: entity by entity through pages ordered by LastUpdatedTime, then by change data capture.

A reading is a list of steps, kept as a cursor in the database with each answer, so that a killed process goes on where
it was. An answer may put further steps before the rest: the next page, or what a full window has left unknown.

    page      an entity's objects changed since a moment
    changes   change data capture of some entities: at most 1,000 objects, no pages
    named     an entity's objects by a condition: those of a customer that was merged, or some ids
    count     how many an entity has; if that is not what we hold,
    ids       which of ours are still there
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from storage import inbox, mirror
from sync.ports import Request
from sync.qbo import objects, records
from sync.qbo.faults import has_fault
from sync.qbo.objects import home
from sync.sound import UNREADABLE

__all__ = ["accept", "after_page", "ask", "began_at", "home", "next_request", "page_query"]

CAPTURED = ("Account", "Customer", "Vendor", "Item", *records.LEGS, "Invoice", "CreditMemo")
OF_CUSTOMERS = ("Invoice", "CreditMemo", "Payment", "SalesReceipt", "RefundReceipt")
PAGE = 1000  # Intuit's maximum, also of change data capture, which has no pages
IDS = 500  # in one question
CHANGES_REACH = timedelta(days=29)  # change data capture reaches back 30 days
OVERLAP = timedelta(minutes=10)  # between two clocks
CLOCKS_APART = timedelta(days=1)
EPOCH = "2000-01-01T00:00:00Z"
READING = "reading"  # the cursor's name

Step = dict[str, Any]


def ask(conn: Any, connection_id: int, now: datetime) -> None:
    """Starts reading what changed since the last time; a reading under way goes on. Customers merged are followed."""
    position = mirror.cursor(conn, connection_id, READING)
    if position is None or not position["steps"]:
        position = _start(position, now)
    merged = sorted({each for each in inbox.merged(conn, connection_id) if each.isdigit()})
    followed = [step for customer_id in merged for step in _documents_of(customer_id)]
    known = [step for step in position["steps"] if step["do"] == "named"]
    position["steps"] += [step for step in followed if step not in known]
    mirror.move_cursor(conn, connection_id, READING, position, now)


def next_request(conn: Any, connection_id: int) -> Request | None:
    """What a reading under way asks next."""
    return _request(conn, connection_id, mirror.cursor(conn, connection_id, READING))


def _request(conn: Any, connection_id: int, position: Any | None) -> Request | None:
    if position is None or not position["steps"]:
        return None
    step = position["steps"][0]
    if step["do"] == "changes":
        query = {"entities": ",".join(step["entities"]), "changedSince": step["since"]}
        return Request(kind="read", path="cdc", query=query, purpose="read", deadline_s=120)
    text = QUESTIONS[step["do"]](conn, connection_id, step)
    return Request(kind="read", path="query", body=text, purpose="read", deadline_s=120)


def began_at(conn: Any, connection_id: int) -> datetime | None:
    """When the last reading began, by their clock."""
    position = mirror.cursor(conn, connection_id, READING)
    return None if position is None else datetime.fromisoformat(position["at"])


def accept(conn: Any, connection_id: int, request: Request, body: Any, now: datetime) -> None:
    """Stores an answer and what follows from it. One to a question that is not the next any more changes nothing.

    (A worker that slept past its lease may bring one.)
    """
    position = mirror.cursor(conn, connection_id, READING)
    if _request(conn, connection_id, position) != request:
        return
    position = _by_their_clock(position, body)
    step, *rest = position["steps"]
    more = ANSWERS[step["do"]](conn, connection_id, step, body, now)
    mirror.move_cursor(conn, connection_id, READING, position | {"steps": [*more, *rest]}, now)


# ---- where a reading begins


def _start(position: Any | None, now: datetime) -> dict[str, Any]:
    """All pages the first time and after a long silence, then (or only) what changed since.

    The preferences are asked for each time: whether change data capture knows them is not documented.
    """
    since = now if position is None else datetime.fromisoformat(position["at"])
    since -= OVERLAP
    steps = [_page("Preferences", EPOCH)]
    if position is None:
        steps += [_page(entity, EPOCH) for entity in CAPTURED]
    elif now - since >= CHANGES_REACH:  # what was deleted meanwhile shows up nowhere any more
        steps += [step for entity in CAPTURED for step in (_page(entity, since.isoformat()), _count(entity))]
    changed_since = max(since, now - CHANGES_REACH).isoformat()
    steps.append({"do": "changes", "entities": list(CAPTURED), "since": changed_since})
    return {"steps": steps, "at": now.isoformat(), "timed": False}


def _by_their_clock(position: dict[str, Any], body: Any) -> dict[str, Any]:
    """The time of the first answer of a reading is where the next one begins: theirs, for ours may be another.

    Not one to come: what changed before it would never be asked for again.
    """
    if position["timed"] or "time" not in body:
        return position
    try:
        told = datetime.fromisoformat(body["time"])
        is_past = datetime.fromisoformat(EPOCH) < told < datetime.fromisoformat(position["at"]) + CLOCKS_APART
    except UNREADABLE:
        return position
    return position | {"at": body["time"], "timed": True} if is_past else position


# ---- steps, their questions and what their answers mean


def _page(entity: str, since: str) -> Step:
    return {"do": "page", "entity": entity, "since": since, "start": 1}


def _count(entity: str) -> Step:
    return {"do": "count", "entity": entity}


def _named(entity: str, condition: str) -> Step:
    return {"do": "named", "entity": entity, "condition": condition, "start": 1}


def _by_ids(entity: str, ledger_ids: Sequence[str]) -> list[Step]:
    chunks = [ledger_ids[start : start + IDS] for start in range(0, len(ledger_ids), IDS)]
    return [_named(entity, f"Id IN ({_quoted(chunk)})") for chunk in chunks]


def _documents_of(customer_id: str) -> list[Step]:
    """A customer, and what is in its name: the one that another was merged into has got that one's documents."""
    documents = [_named(entity, f"CustomerRef = '{customer_id}'") for entity in OF_CUSTOMERS]
    return [*_by_ids("Customer", [customer_id]), *documents]


def _ask_page(_conn: Any, _connection_id: int, step: Step) -> str:
    return page_query(step["entity"], step["since"], step["start"])


def page_query(entity: str, since: str, start: int) -> str:
    """Oldest change first, so that what changes while we read comes again at the end. List objects even if inactive."""
    if entity == "Preferences":
        return "SELECT * FROM Preferences"
    condition = f"MetaData.LastUpdatedTime >= '{since}'"
    return _query("*", entity, condition, f"ORDERBY MetaData.LastUpdatedTime STARTPOSITION {start} MAXRESULTS {PAGE}")


def _accept_page(conn: Any, connection_id: int, step: Step, body: Any, now: datetime) -> list[Step]:
    found = body["QueryResponse"].get(step["entity"], [])
    more = _store(conn, connection_id, {step["entity"]: found}, now)
    following = after_page(found, step["start"])
    return [*more, *([step | {"since": following[0], "start": following[1]}] if following else [])]


def after_page(found: Sequence[Any], start: int) -> tuple[str, int] | None:
    """Where the page after this one begins, as (since, start); None if there is none.

    It goes on from the last time seen, not by counting: a row that moves to the end shifts all the others. Only a
    whole page of one instant is counted through.
    """
    if len(found) < PAGE:
        return None
    last = records.updated(found[-1])
    return last, start + PAGE if last == records.updated(found[0]) else 1


def _accept_changes(conn: Any, connection_id: int, step: Step, body: Any, now: datetime) -> list[Step]:
    """Of a full window, or one with a piece missing, nobody knows what it lacks: it is narrowed until it is whole."""
    answers = body["CDCResponse"]
    parts = [part for answer in answers for part in answer.get("QueryResponse", [])]
    found: dict[str, list[Any]] = defaultdict(list)
    for part in parts:
        for entity in (each for each in CAPTURED if each in part):
            found[entity] += part[entity]
    more = _store(conn, connection_id, found, now)
    asked, number = step["entities"], sum(map(len, found.values()))
    if number < PAGE and len(parts) == len(asked) and not any(map(has_fault, [*answers, *parts])):
        return more
    if len(asked) > 1:
        half = len(asked) // 2
        return [*more, step | {"entities": asked[:half]}, step | {"entities": asked[half:]}]
    return [*more, _page(asked[0], step["since"]), _count(asked[0])]


def _ask_named(_conn: Any, _connection_id: int, step: Step) -> str:
    return _query("*", step["entity"], step["condition"], f"STARTPOSITION {step['start']} MAXRESULTS {PAGE}")


def _accept_named(conn: Any, connection_id: int, step: Step, body: Any, now: datetime) -> list[Step]:
    found = body["QueryResponse"].get(step["entity"], [])
    objects.store(conn, connection_id, {step["entity"]: found}, now)
    return [step | {"start": step["start"] + PAGE}] if len(found) == PAGE else []


def _ask_count(_conn: Any, _connection_id: int, step: Step) -> str:
    return _query("COUNT(*)", step["entity"], "", "")


def _accept_count(conn: Any, connection_id: int, step: Step, body: Any, _now: datetime) -> list[Step]:
    """Everything that is there has just been read; so if we hold another number, something was deleted."""
    entity = step["entity"]
    held = mirror.count(conn, connection_id, objects.kind_of(entity))
    return [] if held == body["QueryResponse"]["totalCount"] else [{"do": "ids", "entity": entity, "after": ""}]


def _ask_ids(conn: Any, connection_id: int, step: Step) -> str:
    ids = [object_id.rpartition(":")[2] for object_id in _next_ids(conn, connection_id, step)]
    return _query("Id", step["entity"], f"Id IN ({_quoted(ids or ['0'])})", f"MAXRESULTS {PAGE}")


def _accept_ids(conn: Any, connection_id: int, step: Step, body: Any, now: datetime) -> list[Step]:
    ours = _next_ids(conn, connection_id, step)
    there = {str(row["Id"]) for row in body["QueryResponse"].get(step["entity"], [])}
    gone = [ledger_id for ledger_id in (each.rpartition(":")[2] for each in ours) if ledger_id not in there]
    objects.forget(conn, connection_id, step["entity"], gone, now)
    return [step | {"after": ours[-1]}] if len(ours) == IDS else []


def _next_ids(conn: Any, connection_id: int, step: Step) -> list[str]:
    return mirror.ids_after(conn, connection_id, objects.kind_of(step["entity"]), step["after"], IDS)


def _store(conn: Any, connection_id: int, found: Mapping[str, Sequence[Any]], now: datetime) -> list[Step]:
    """Stores objects, by entity; gives what has to be read because of them: documents voided or in another customer's
    name.
    """
    changed = objects.store(conn, connection_id, found, now)
    more: list[Step] = []
    for entity, contents in found.items():
        more += _by_ids(entity, [str(content["Id"]) for content in contents if objects.is_stub(content)])
    return more + _left_behind(conn, connection_id, [object_id for kind, object_id in changed if kind == "customer"])


def _left_behind(conn: Any, connection_id: int, customer_ids: Sequence[str]) -> list[Step]:
    """Documents in the name of a customer who is gone or inactive: if it was merged, they are another's now."""
    active = {each.id for each in mirror.load(conn, connection_id, "customer", customer_ids).values() if each.active}
    steps: list[Step] = []
    for customer_id in (each for each in customer_ids if each not in active):
        for entity in OF_CUSTOMERS:
            ids = mirror.documents_of(conn, connection_id, objects.kind_of(entity), customer_id)
            steps += _by_ids(entity, [each.rpartition(":")[2] for each in ids])
    return steps


def _query(columns: str, entity: str, condition: str, rest: str) -> str:
    """Every part is ours, and ids are digits: Intuit's language has no bound parameters."""
    conditions = ["Active IN (true, false)"] if entity in records.OTHERS else []
    conditions += [condition] if condition else []
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"SELECT {columns} FROM {entity}{where} {rest}".rstrip()  # noqa: S608


def _quoted(ids: Sequence[str]) -> str:
    assert all(each.isdigit() for each in ids), "ids of QuickBooks Online are numbers"
    return ", ".join(f"'{each}'" for each in ids)


QUESTIONS = {"page": _ask_page, "named": _ask_named, "count": _ask_count, "ids": _ask_ids}
ANSWERS = {
    "page": _accept_page,
    "changes": _accept_changes,
    "named": _accept_named,
    "count": _accept_count,
    "ids": _accept_ids,
}
