"""Reading a company file: entity by entity what was modified since the last time, then what was deleted.

Where a reading stands is a cursor in the database. Iterators live only within one visit of the Web Connector and give
no page twice, so a visit that broke off begins its entity anew: an entity's mark moves only with its last page.
A mark is the local time that QuickBooks printed, without its offset, which is wrong in summer; it goes back as it came,
less an overlap that covers the hour that comes twice in autumn.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from reconcile.records import Account, Applied, Company, Document, Rate, Record
from storage import mirror
from storage.rates import rate_id
from sync.booking import ACTOR, store_found
from sync.ports import Fetched, Request
from sync.qbd import revisits, taxes, witnesses
from sync.qbd.markup import local, parse
from sync.qbd.qbxml import Answer, Node, message, text_of, value
from sync.qbd.qwc import OWNER_ID
from sync.qbd.records import SOLD, TAX_ITEMS, Books, Currencies, home_currency, is_kept
from sync.qbd.taxes import SalesTax
from sync.qbd.wire import ENTITY, KIND
from sync.sound import UNREADABLE, unreadable

LISTS = ("Account", "Customer", "Vendor", "Item", "Class", "PaymentMethod")
DOCUMENTS = (
    "Invoice",
    "CreditMemo",
    "ReceivePayment",
    "SalesReceipt",
    "Check",
    "Deposit",
    "Transfer",
    "JournalEntry",
    "ARRefundCreditCard",
)
AGAIN = "again"  # what is asked for once more by its id
ENTITIES = ("Currency", *LISTS, *DOCUMENTS, "TxnDeleted", "ListDeleted", AGAIN)
WHOLE = ("Currency", "Account", "Class", "PaymentMethod", "TxnDeleted", "ListDeleted", AGAIN)  # without an iterator
DELETED = tuple(entity for entity in DOCUMENTS if entity != "Transfer")  # QuickBooks never reports those of transfers
LISTS_DELETED = {
    "Account": "account",
    "Customer": "customer",
    "Vendor": "vendor",
    **dict.fromkeys(SOLD, "item"),
    **dict.fromkeys(TAX_ITEMS, "tax_code"),
    "Class": "class",
    "PaymentMethod": "payment_method",
}
LINKED = ("Invoice", "CreditMemo")  # what is set against them is asked for with them
PAGE = 100  # far within a minute on an old computer
OVERLAP = timedelta(minutes=70)
READING = "reading"  # the cursor's name
PURPOSE = "page"  # of its requests
DEADLINE_S = 60.0
SWITCHED_OFF = 3250  # a feature of QuickBooks whose lists are not shown, though they may be there

Position = dict[str, Any]


def ask(conn: Any, connection_id: int, visit: str, now: datetime) -> None:
    """Starts reading what changed since the last time, as a part of this visit."""
    position = mirror.cursor(conn, connection_id, READING) or {"marks": {}, "n": 0, "complete": False, "again": []}
    position = revisits.begin(conn, connection_id, position, PAGE, now)
    position = witnesses.NONE | position | {"visit": visit, "at": now.isoformat(), "doubted": {}}
    mirror.move_cursor(conn, connection_id, READING, position | _from_start(conn, connection_id), now)


def is_under_way(conn: Any, connection_id: int) -> bool:
    """Whether the view of the books is only half a one, or none."""
    position = mirror.cursor(conn, connection_id, READING)
    return position is None or bool(position["queue"])


def next_request(conn: Any, connection_id: int, visit: str) -> Request | None:
    """The next page of a reading that belongs to this visit."""
    position = mirror.cursor(conn, connection_id, READING)
    if position is None or not position["queue"] or position["visit"] != visit:
        return None
    entity, request_id = position["queue"][0], f"r{position['n']}"
    if entity == AGAIN:
        asked = [each.partition(":") for each in revisits.chunk(position, PAGE)]
        return _by_id(ENTITY[asked[0][0]], [txn_id for _, _, txn_id in asked], request_id, PURPOSE)
    return _request(question(entity, position["marks"].get(entity), position), PURPOSE)


def question(entity: str, mark: str | None, position: Position) -> str:
    """What asks for a page of an entity, of what was modified or deleted since its mark."""
    attributes = _iterator(entity, position)
    return message(f"{entity}Query", _filter(entity, mark), request_id=f"r{position['n']}", attributes=attributes)


def request_id(conn: Any, connection_id: int) -> str:
    """Which answer the reading waits for."""
    position = mirror.cursor(conn, connection_id, READING)
    return f"r{position['n']}"


def accept_page(conn: Any, connection_id: int, found: Answer, now: datetime) -> None:
    """Stores a page, and where the reading stands after it."""
    position = witnesses.NONE | mirror.cursor(conn, connection_id, READING)
    entity = position["queue"][0]
    if entity == "Currency":
        codes = {value(each, "ListID"): value(each, "CurrencyCode") for each in found.objects}
        position["rates"] = _with_rates(position.get("rates", {}), found.objects, now.date())
        position["currencies"] = {list_id: code for list_id, code in codes.items() if list_id and code}
        _note_home(conn, connection_id, position["currencies"], now)
    elif entity in ("TxnDeleted", "ListDeleted"):
        let_go = remove(conn, connection_id, entity, found.objects, now)
        position["again"] = sorted({*position["again"], *_paid(let_go)})
        position = witnesses.tell(position, found.objects)
    else:
        if entity == "Item":
            position["percents"] = position.get("percents", {}) | taxes.percents_among(found.objects)
        asked = revisits.chunk(position, PAGE) if entity == AGAIN else []
        stored = store(conn, connection_id, found.objects, now)
        if entity == AGAIN:
            position, gone = revisits.after(position, asked, shown_in(found), found.code)
            remove_ids(conn, connection_id, gone, now)
        position["again"] = sorted({*position["again"], *_paid(stored)})
    if entity in witnesses.MIRRORED:
        position = _witness(conn, connection_id, position, found, now)
    position = _after(position, found)
    if entity == "ListDeleted" and position["missing"]:
        witnesses.record_older(conn, connection_id, position, now)
        position = witnesses.start_over(position) | _from_start(conn, connection_id)
    mirror.move_cursor(conn, connection_id, READING, position, now)


def note_made(conn: Any, connection_id: int, element: Any, now: datetime) -> None:
    """What was just made is in the company file, and the next reading must show it."""
    position = mirror.cursor(conn, connection_id, READING)
    if position is not None:
        position = witnesses.keep(witnesses.NONE | position, element)
        mirror.move_cursor(conn, connection_id, READING, position, now)


def begin_again(conn: Any, connection_id: int, now: datetime) -> None:
    """The iterator is gone: the entity is read from its mark."""
    position = mirror.cursor(conn, connection_id, READING)
    position |= {"iterator": None, "newest": None, "n": position["n"] + 1} | witnesses.ENTITY_BEGINS
    mirror.move_cursor(conn, connection_id, READING, position, now)


def forget_mark(conn: Any, connection_id: int, entity: str, now: datetime) -> None:
    """The next reading brings all of an entity."""
    position = mirror.cursor(conn, connection_id, READING)
    marks = {each: mark for each, mark in position["marks"].items() if each != entity}
    mirror.move_cursor(conn, connection_id, READING, position | {"marks": marks}, now)


def currency_id(conn: Any, connection_id: int, code: str) -> str | None:
    """The ListID of a currency; None if the company does not use it."""
    position = mirror.cursor(conn, connection_id, READING) or {}
    found = position.get("currencies", {})
    return next((list_id for list_id, each in found.items() if each == code), None)


def sales_tax(conn: Any, connection_id: int) -> SalesTax | None:
    """None in a company that charges none."""
    preferences = mirror.raw(conn, connection_id, "company", "company")
    position = mirror.cursor(conn, connection_id, READING) or {}
    return taxes.of_company(parse(preferences.encode()) if preferences else None, position.get("percents", {}))


def note_rates(conn: Any, connection_id: int, wanted: Sequence[tuple[str, date]], now: datetime) -> None:
    """Keeps for each day the last rate QuickBooks had told by then, or the first it ever told: it tells none of a day
    that is past, and would itself take the same for a document of that day.
    """
    told: dict[str, dict[str, str]] = (mirror.cursor(conn, connection_id, READING) or {}).get("rates", {})
    stored: list[tuple[str, str, Record | None, str]] = []
    for currency, day in wanted:
        days = sorted(told.get(currency, {}))
        if days:
            of = max((each for each in days if each <= day.isoformat()), default=days[0])
            rate = Rate(currency=currency, day=day, rate=told[currency][of])
            stored.append(("rate", rate_id(currency, day), rate, f"<!-- the rate of {of} -->"))
    mirror.store(conn, connection_id, stored, at=now, actor=ACTOR)


def books(conn: Any, connection_id: int) -> Books:
    position = mirror.cursor(conn, connection_id, READING) or {}

    @cache
    def currency_of(account_id: str) -> str | None:
        found: Account | None = mirror.load(conn, connection_id, "account", [account_id]).get(account_id)
        return found.currency if found else None

    return Books(mirror.home_currency(conn, connection_id), position.get("currencies", {}), currency_of)


def newest_mark(conn: Any, connection_id: int, kind: str) -> datetime | None:
    """The local time of the newest document of a kind that was read, said as if it were UTC."""
    position = mirror.cursor(conn, connection_id, READING) or {"marks": {}}
    mark = position["marks"].get(ENTITY[kind])
    return None if mark is None else datetime.fromisoformat(mark).replace(tzinfo=UTC)


def store(conn: Any, connection_id: int, elements: Iterable[Any], now: datetime) -> list[Document]:
    """Stores what was read; gives the documents among it."""
    reader = books(conn, connection_id)
    found = [_fetched(reader, element) for element in elements if is_kept(element)]
    store_found(conn, connection_id, found, now)
    return [each.record for each in found if isinstance(each.record, Document)]


def look_again(conn: Any, connection_id: int, applied: Iterable[Applied], now: datetime) -> None:
    """What something was set against, or is not any more: the next reading brings it, whatever QuickBooks says of its
    time.
    """
    position = mirror.cursor(conn, connection_id, READING)
    again = {"again": sorted({*position["again"], *(part.id for part in applied)})}
    mirror.move_cursor(conn, connection_id, READING, position | again, now)


def remove(conn: Any, connection_id: int, entity: str, elements: Iterable[Any], now: datetime) -> Sequence[Document]:
    """What QuickBooks says was deleted is gone; gives the payments among it, as they were."""
    gone = []
    for element in elements:
        if entity == "TxnDeleted":
            kind, object_id = KIND.get(value(element, "TxnDelType") or ""), value(element, "TxnID")
            object_id = f"{kind}:{object_id}"
        else:
            kind, object_id = LISTS_DELETED.get(value(element, "ListDelType") or ""), value(element, "ListID")
        if kind and object_id:
            gone.append((kind, object_id, None, ""))
    payments = mirror.load(conn, connection_id, "payment", [each[1] for each in gone if each[0] == "payment"])
    mirror.store(conn, connection_id, gone, at=now, actor=ACTOR)
    return list(payments.values())


def remove_ids(conn: Any, connection_id: int, document_ids: Iterable[str], now: datetime) -> None:
    """Documents that QuickBooks does not find by their ids are gone."""
    gone = [(each.partition(":")[0], each, None, "") for each in document_ids]
    mirror.store(conn, connection_id, gone, at=now, actor=ACTOR)


def shown_in(found: Answer) -> set[str]:
    """The ids of the documents in an answer, as the mirror has them."""
    return {f"{KIND[local(each).removesuffix('Ret')]}:{value(each, 'TxnID')}" for each in found.objects}


def by_id(entity: str, txn_ids: Sequence[str], request_id: str) -> Request:
    """Documents again, by their ids."""
    return _by_id(entity, txn_ids, request_id, "balances")


def modified_since(mark: str | None) -> list[Node]:
    """The filter of a transaction query."""
    if mark is None:
        return []
    since = (datetime.fromisoformat(mark) - OVERLAP).isoformat()
    return [("ModifiedDateRangeFilter", [("FromModifiedDate", since)])]


def local_time(printed: str) -> str:
    """Without its offset, as it goes back."""
    return datetime.fromisoformat(printed).replace(tzinfo=None).isoformat()


def _with_rates(told: dict[str, dict[str, str]], currencies: Iterable[Any], today: date) -> dict[str, dict[str, str]]:
    """By currency and day, what QuickBooks has told of its rates; a rate without a day is today's."""
    found = {code: dict(days) for code, days in told.items()}
    for each in currencies:
        code, rate = value(each, "CurrencyCode"), value(each, "ExchangeRate")
        if code and rate and Decimal(rate) > 0:
            found.setdefault(code, {})[value(each, "AsOfDate") or today.isoformat()] = rate
    return found


def _note_home(conn: Any, connection_id: int, currencies: Currencies, now: datetime) -> None:
    """The preferences name the home currency by an id that only the list of currencies explains."""
    preferences = mirror.raw(conn, connection_id, "company", "company")
    home = home_currency(parse(preferences.encode()), currencies) if preferences else None
    company: Company = mirror.load(conn, connection_id, "company", ["company"])["company"]
    if home is not None and preferences:
        known = ("company", "company", replace(company, home_currency=home), preferences)
        mirror.store(conn, connection_id, [known], at=now, actor=ACTOR)


def _from_start(conn: Any, connection_id: int) -> Position:
    """Every entity is to be read, each from its mark."""
    entities = [each for each in ENTITIES if each != "Currency" or _has_currencies(conn, connection_id)]
    return {"queue": entities, "iterator": None, "newest": None} | witnesses.ENTITY_BEGINS


def _witness(conn: Any, connection_id: int, position: Position, found: Answer, now: datetime) -> Position:
    """What a page shows of what was known before. An entity without a mark is read from its beginning."""
    entity = position["queue"][0]
    is_whole = entity not in position["marks"] and found.code != SWITCHED_OFF
    position = witnesses.see(position, entity, found.objects)
    if is_whole and position["iterator"] is None:
        witnesses.forget_pages(conn, connection_id)
    if is_whole:
        witnesses.note_page(conn, connection_id, position["n"], found.objects, now)
    if found.remaining == 0:
        position = witnesses.close(position, entity)
        if is_whole:
            witnesses.sweep(conn, connection_id, entity, now)
    return position


def _has_currencies(conn: Any, connection_id: int) -> bool:
    preferences = mirror.raw(conn, connection_id, "company", "company")
    return bool(
        preferences and value(parse(preferences.encode()), "MultiCurrencyPreferences", "IsMultiCurrencyOn") == "true"
    )


def _filter(entity: str, mark: str | None) -> list[Node]:
    if entity == "Currency":
        return []
    if entity == "TxnDeleted":
        kinds: list[Node] = [("TxnDelType", each) for each in DELETED]
        return kinds + _deleted_since(mark)
    if entity == "ListDeleted":
        kinds = [("ListDelType", each) for each in LISTS_DELETED]
        return kinds + _deleted_since(mark)
    if entity in LISTS:
        # An account's balance changes without its time: the chart of accounts is read as a whole.
        since = None
        if mark is not None and entity != "Account":
            since = (datetime.fromisoformat(mark) - OVERLAP).isoformat()
        size: list[Node] = [] if entity in WHOLE else [("MaxReturned", str(PAGE))]
        owners: list[Node] = [("OwnerID", "0"), ("OwnerID", OWNER_ID)] if entity == "Customer" else []
        return [*size, ("ActiveStatus", "All"), ("FromModifiedDate", since), *owners]
    lines: list[Node] = [] if entity == "Transfer" else [("IncludeLineItems", "true")]
    linked: list[Node] = [("IncludeLinkedTxns", "true")] if entity in LINKED else []
    return [("MaxReturned", str(PAGE)), *modified_since(mark), *lines, *linked]


def _deleted_since(mark: str | None) -> list[Node]:
    if mark is None:
        return []
    since = (datetime.fromisoformat(mark) - OVERLAP).isoformat()
    return [("DeletedDateRangeFilter", [("FromDeletedDate", since)])]


def _iterator(entity: str, position: Position) -> dict[str, str]:
    if entity in WHOLE:
        return {}
    if position["iterator"] is None:
        return {"iterator": "Start"}
    return {"iterator": "Continue", "iteratorID": position["iterator"]}


def _by_id(entity: str, txn_ids: Sequence[str], request_id: str, purpose: str) -> Request:
    linked: list[Node] = [("IncludeLinkedTxns", "true")] if entity in LINKED else []
    lines: list[Node] = [] if entity == "Transfer" else [("IncludeLineItems", "true")]
    content: list[Node] = [("TxnID", txn_id) for txn_id in txn_ids]
    return _request(message(f"{entity}Query", [*content, *lines, *linked], request_id=request_id), purpose)


def _request(body: str, purpose: str) -> Request:
    return Request(kind="read", path="qbxml", body=body, purpose=purpose, deadline_s=DEADLINE_S)


def _after(position: Position, found: Answer) -> Position:
    """Where a reading stands after a page."""
    entity = position["queue"][0]
    times = [value(each, "TimeModified") or value(each, "TimeDeleted") for each in found.objects]
    seen = [local_time(time) for time in times if time]
    newest = max([*seen, *filter(None, [position["newest"]])], default=None)
    position = position | {"n": position["n"] + 1, "newest": newest}
    if bool(position["again"]) if entity == AGAIN else found.remaining > 0:
        return position | {"iterator": found.iterator_id}
    marks = position["marks"]
    if newest is not None and entity != AGAIN:
        marks = marks | {entity: max(newest, marks.get(entity, newest))}
    queue = position["queue"][1:]
    if queue == [AGAIN] and not position["again"]:
        queue = []
    complete = position["complete"] or not queue
    return position | {"marks": marks, "queue": queue, "iterator": None, "newest": None, "complete": complete}


def _paid(documents: Sequence[Document]) -> set[str]:
    """The invoices that these payments are set against: whether that changes their time is not documented."""
    return {part.id for document in documents for part in document.applied if part.id.startswith("invoice:")}


def _fetched(reader: Books, element: Any) -> Fetched:
    """One object as a record; one that cannot be read is kept as it came, and the others go on."""
    name, raw = local(element).removesuffix("Ret"), text_of(element)
    try:
        kind, object_id, record = reader.read(element)
        return Fetched(kind=kind, id=object_id, record=record, raw=raw)
    except UNREADABLE as error:
        own = {"id": value(element, "TxnID") or value(element, "ListID")}
        return unreadable(KIND.get(name, name.lower())[:32], f"{name} of QuickBooks", own, raw, error)
