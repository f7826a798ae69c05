"""QuickBooks Online in memory: documents with double entry, request ids, change times of a second, stale tokens.

It answers the bytes of the ledger port's requests. What it sees and no ledger should ever see (a marker twice, other
bytes under a known request id) it notes in `wrong`.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from reconcile.names import MARKER
from sync.qbo.wire import decode, encode

Body = dict[str, Any]
LISTS = ("Preferences", "Account", "Customer", "Vendor", "Item")
DOCUMENTS = (
    "Invoice", "Payment", "SalesReceipt", "RefundReceipt", "CreditMemo", "Purchase", "Deposit", "Transfer",
    "JournalEntry",
)  # fmt: skip
BY_PATH = {entity.lower(): entity for entity in DOCUMENTS}
RECEIVABLE, INCOME = "4", "7"
CHANGED = re.compile(r"MetaData\.LastUpdatedTime >= '([^']+)'")
IDS = re.compile(r"Id (?:IN \(([^)]*)\)|= ('[^']*'))")
OWNER = re.compile(r"CustomerRef = '(\d+)'")
START, LIMIT = re.compile(r"STARTPOSITION (\d+)"), re.compile(r"MAXRESULTS (\d+)")
QUERY = re.compile(r"SELECT (\*|Id|COUNT\(\*\)) FROM (\w+)")


class Refused(Exception):  # noqa: N818 - what QuickBooks calls a Fault
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        error = {"Message": message, "Detail": message, "code": code}
        self.body = {"Fault": {"Error": [error], "type": "ValidationFault"}}


class Books:
    """One company. `page` is how many rows an answer holds at most."""

    def __init__(self, now: Callable[[], datetime], page: int) -> None:
        self._now, self.page = now, page
        self.objects: dict[str, dict[str, Body]] = defaultdict(dict)
        self.deleted: list[tuple[str, str, datetime]] = []
        self.forgets = False  # request ids
        self.wrong: list[str] = []
        self.writes: Counter[str] = Counter()  # documents made, by marker
        self._answered: dict[str, tuple[str, str]] = {}
        self._late: list[tuple[datetime, Callable[[], object]]] = []
        self._id = 100

    # ---- requests

    def answer(self, path: str, query: dict[str, str], text: str) -> tuple[int, str]:
        """Status and body, as over HTTP."""
        try:
            if path == "query":
                body = {"QueryResponse": self._select(text)}
            elif path == "cdc":
                body = {"CDCResponse": [{"QueryResponse": self._changes(query)}]}
            else:
                return 200, self._once(path, query, text)
        except Refused as refused:
            return 400, json.dumps(refused.body)
        return 200, encode(body | {"time": self._time()})

    def apply_later(self, seconds: float, path: str, query: dict[str, str], text: str) -> None:
        """The request has arrived, and is worked on when its sender has long hung up."""
        self._late.append((self._now() + timedelta(seconds=seconds), lambda: self.answer(path, query, text)))

    def tick(self) -> None:
        now = self._now()
        due = [action for at, action in self._late if at <= now]
        self._late = [(at, action) for at, action in self._late if at > now]
        for action in due:
            action()

    def _once(self, path: str, query: dict[str, str], text: str) -> str:
        """The first answer again for a known request id. Whoever forgets ids does it again."""
        request_id = query.get("requestid", "")
        asked, answer = self._answered.get(request_id, ("", ""))
        if asked and asked != path + text:
            self.wrong.append(f"Request id {request_id} came again with other bytes.")
        if answer and not self.forgets:
            return answer
        operation = query.get("operation", "")
        if path == "batch":
            body: Body = {"BatchItemResponse": [self._item(item) for item in decode(text)["BatchItemRequest"]]}
        else:
            entity = BY_PATH[path]
            body = {entity: self._write(entity, operation or query.get("include", ""), decode(text))}
        answer = encode(body | {"time": self._time()})
        if request_id:
            self._answered[request_id] = (path + text, answer)
        return answer

    def _item(self, item: Body) -> Body:
        entity = next(name for name in item if name in DOCUMENTS)
        try:
            return {entity: self._write(entity, "", item[entity]), "bId": item["bId"]}
        except Refused as refused:
            return refused.body | {"bId": item["bId"]}

    # ---- reading

    def _select(self, text: str) -> Body:
        found = QUERY.match(text)
        assert found is not None, text
        columns, entity = found.groups()
        rows = sorted(self._rows(entity), key=lambda row: (_changed(row), int(row["Id"])))
        if condition := CHANGED.search(text):
            rows = [row for row in rows if _changed(row) >= datetime.fromisoformat(condition[1])]
        if condition := IDS.search(text):
            ids = {part.strip(" '") for part in (condition[1] or condition[2]).split(",")}
            rows = [row for row in rows if row["Id"] in ids]
        if condition := OWNER.search(text):
            rows = [row for row in rows if row.get("CustomerRef", {}).get("value") == condition[1]]
        if columns == "COUNT(*)":
            return {"totalCount": len(rows)}
        start, limit = START.search(text), LIMIT.search(text)
        first = int(start[1]) - 1 if start else 0
        rows = rows[first : first + (int(limit[1]) if limit else self.page)]
        return {entity: rows} if rows else {}

    def _changes(self, query: dict[str, str]) -> list[Body]:
        since, room, parts = datetime.fromisoformat(query["changedSince"]), self.page, []
        for entity in query["entities"].split(","):
            rows = [row for row in self._rows(entity) if _changed(row) >= since]
            rows += [
                {"Id": gone, "status": "Deleted", "MetaData": {"LastUpdatedTime": at.isoformat()}}
                for name, gone, at in self.deleted
                if name == entity and at >= since
            ]
            rows = sorted(rows, key=_changed)[:room]
            room -= len(rows)
            parts.append({entity: rows} if rows else {})
        return parts

    def _rows(self, entity: str) -> list[Body]:
        """An account shows its balance, which moves with every document on it."""
        rows = list(self.objects[entity].values())
        if entity != "Account":
            return rows
        return [row | {"CurrentBalance": Decimal(self.balance(row["Id"])) / 100} for row in rows]

    # ---- writing

    def add(self, entity: str, **fields: Any) -> Body:
        """What a person types in."""
        return self._write(entity, "", decode(encode(fields)))

    def change(self, entity: str, object_id: str, **fields: Any) -> Body:
        current = self.objects[entity][object_id]
        head = {"Id": object_id, "SyncToken": current["SyncToken"], "sparse": True}
        return self._write(entity, "", decode(encode(head | fields)))

    def remove(self, entity: str, object_id: str) -> None:
        self._write(entity, "delete", {"Id": object_id, "SyncToken": self.objects[entity][object_id]["SyncToken"]})

    def _write(self, entity: str, operation: str, body: Body) -> Body:
        if "Id" not in body:
            return self._create(entity, body)
        current = self.objects[entity].get(body["Id"])
        if current is None:
            raise Refused("610", "Object Not Found")
        if body["SyncToken"] != current["SyncToken"]:
            raise Refused("5010", "Stale Object Error")
        if operation == "delete":
            self._release(entity, current)
            del self.objects[entity][body["Id"]]
            self.deleted.append((entity, body["Id"], self._now().replace(microsecond=0)))
            return {"Id": body["Id"], "status": "Deleted", "domain": "QBO"}
        if operation in ("void", "update"):
            return self._void(entity, current)
        merged = current | {name: value for name, value in body.items() if name not in ("sparse", "SyncToken")}
        self._release(entity, current)
        try:
            return self._store(entity, merged, str(int(current["SyncToken"]) + 1))
        except Refused:
            self._apply(entity, current)
            raise

    def _create(self, entity: str, body: Body) -> Body:
        self._id += 1
        marker = MARKER.search(body.get("PrivateNote", ""))
        if marker:
            self.writes[marker[1]] += 1
        return self._store(entity, body | {"Id": str(self._id)}, "0")

    def _store(self, entity: str, body: Body, token: str) -> Body:
        if entity in DOCUMENTS:
            body = {"TxnDate": self._now().date().isoformat()} | body
            body["TotalAmt"] = _total(entity, body)
            self._check(entity, body)
            self._apply(entity, body)
        stored = body | {"SyncToken": token, "MetaData": {"LastUpdatedTime": self._time()}}
        if entity == "Invoice":
            stored["Balance"] = body["TotalAmt"] - self._paid(body["Id"])
        if entity == "Payment":
            stored["UnappliedAmt"] = body["TotalAmt"] - sum((line["Amount"] for line in body["Line"]), Decimal())
        self.objects[entity][body["Id"]] = stored
        return stored

    def _void(self, entity: str, current: Body) -> Body:
        self._release(entity, current)
        gone = {"Line": [], "TotalAmt": Decimal(), "PrivateNote": f"Voided - {current.get('PrivateNote', '')}"}
        voided = current | gone | {"SyncToken": str(int(current["SyncToken"]) + 1)}
        voided |= {name: Decimal() for name in ("Balance", "UnappliedAmt", "Amount") if name in current}
        voided["MetaData"] = {"LastUpdatedTime": self._time()}
        self.objects[entity][current["Id"]] = voided
        return voided

    def _check(self, entity: str, body: Body) -> None:
        if sum(entries(entity, body).values()):
            raise Refused("6000", "The entry is not balanced.")
        for account in entries(entity, body):
            if account not in self.objects["Account"]:
                raise Refused("2500", f"Invalid Reference Id : Accounts element id {account} not found")
        for invoice_id, amount in _pays(body):
            invoice = self.objects["Invoice"].get(invoice_id)
            if invoice is None:
                raise Refused("610", "Object Not Found : the invoice is gone")
            if amount > invoice["Balance"]:
                raise Refused("6000", "Business Validation Error: more is applied than is open.")

    def _apply(self, entity: str, document: Body, sign: int = 1) -> None:
        for account in entries(entity, document):
            self.objects["Account"][account]["MetaData"] = {"LastUpdatedTime": self._time()}
        for invoice_id, amount in _pays(document):
            invoice = self.objects["Invoice"].get(invoice_id)
            if invoice is not None:
                changed = {"Balance": invoice["Balance"] - sign * amount, "SyncToken": invoice["SyncToken"]}
                changed["MetaData"] = {"LastUpdatedTime": self._time()}
                self.objects["Invoice"][invoice_id] = invoice | changed

    def _release(self, entity: str, document: Body) -> None:
        self._apply(entity, document, -1)

    def _paid(self, invoice_id: str) -> Decimal:
        lines = (line for body in self.objects["Payment"].values() for line in _pays(body))
        return sum((amount for paid, amount in lines if paid == invoice_id), Decimal())

    def _time(self) -> str:
        return self._now().replace(microsecond=0).isoformat()

    # ---- what an accountant sees

    def balance(self, account: str, day: date | None = None) -> int:
        """Cents, debits above zero, at the end of a day or now."""
        return sum(
            entries(entity, body)[account]
            for entity in DOCUMENTS
            for body in self.objects[entity].values()
            if day is None or date.fromisoformat(body["TxnDate"]) <= day
        )

    def marked(self) -> dict[str, list[tuple[str, Body]]]:
        """Documents of ours by their marker, as (entity, document)."""
        found: dict[str, list[tuple[str, Body]]] = defaultdict(list)
        for entity in DOCUMENTS:
            for body in self.objects[entity].values():
                marker = MARKER.search(body.get("PrivateNote", ""))
                if marker and not body["PrivateNote"].startswith("Voided"):
                    found[marker[1]].append((entity, body))
        return found

    def is_balanced(self) -> bool:
        return not any(
            sum(entries(entity, body).values()) for entity in DOCUMENTS for body in self.objects[entity].values()
        )


def entries(entity: str, body: Body) -> Counter[str]:
    """What a document does to each account, in cents, debits above zero.

    This is the ledger's side of it: it shares nothing with what we make of its documents.
    """
    total = _cents(body["TotalAmt"])
    into = body.get("DepositToAccountRef", {}).get("value", "")
    match entity:
        case "Invoice" | "CreditMemo":
            sign = 1 if entity == "Invoice" else -1
            return Counter({RECEIVABLE: sign * total, INCOME: -sign * total})
        case "Payment":
            return Counter({into: total, RECEIVABLE: -total})
        case "SalesReceipt" | "RefundReceipt":
            sign = 1 if entity == "SalesReceipt" else -1
            return Counter({into: sign * total, INCOME: -sign * total})
        case "Transfer":
            return Counter({body["FromAccountRef"]["value"]: -total, body["ToAccountRef"]["value"]: total})
    return _by_lines(entity, body, into, total)


def _by_lines(entity: str, body: Body, into: str, total: int) -> Counter[str]:
    found = Counter[str]()
    if entity == "JournalEntry":
        for line in body["Line"]:
            sign = 1 if line["JournalEntryLineDetail"]["PostingType"] == "Debit" else -1
            found[_account(line)] += sign * _cents(line["Amount"])
        return found
    sign = 1 if entity == "Deposit" else -1
    found[into or body["AccountRef"]["value"]] += sign * total
    for line in body.get("Line", []):
        found[_account(line)] -= sign * _cents(line["Amount"])
    return found


def _account(line: Body) -> str:
    return str(line[line["DetailType"]]["AccountRef"]["value"])


def _total(entity: str, body: Body) -> Decimal:
    if entity == "Payment":
        return Decimal(body["TotalAmt"])
    if entity == "Transfer":
        return Decimal(body["Amount"])
    lines = [line for line in body.get("Line", []) if "Amount" in line]
    if entity == "JournalEntry":
        lines = [line for line in lines if line["JournalEntryLineDetail"]["PostingType"] == "Debit"]
    return sum((Decimal(line["Amount"]) for line in lines), Decimal())


def _pays(body: Body) -> list[tuple[str, Decimal]]:
    return [
        (linked["TxnId"], Decimal(line["Amount"]))
        for line in body.get("Line", [])
        for linked in line.get("LinkedTxn", [])
        if linked["TxnType"] == "Invoice"
    ]


def _cents(amount: Any) -> int:
    cents = Decimal(amount) * 100
    assert cents == int(cents), f"{amount} has parts of a cent"
    return int(cents)


def _changed(row: Body) -> datetime:
    return datetime.fromisoformat(row["MetaData"]["LastUpdatedTime"])
