"""Objects as the API shows them: Id, SyncToken, MetaData; what changed since when, and what was deleted.

SyncToken counts edits by a user. When only a derived figure moves (an invoice's Balance because it was paid, an
account's CurrentBalance), LastUpdatedTime moves, so that incremental reads see it, and SyncToken stays, so that
nobody's edit in progress turns stale.
"""

from collections.abc import Callable
from datetime import date, datetime
from zoneinfo import ZoneInfo

from emulators.clock import Clock
from emulators.qbo.checks import Body
from emulators.qbo.fault import not_found
from emulators.qbo.fields import TRANSACTIONS
from emulators.store import Store

UNIQUE_NAMES = {
    "Customer": "DisplayName",
    "Vendor": "DisplayName",
    "Account": "FullyQualifiedName",
    "Item": "FullyQualifiedName",
    "CompanyCurrency": "Code",
    "Term": "Name",
    "Class": "FullyQualifiedName",
    "Department": "FullyQualifiedName",
    "PaymentMethod": "Name",
}
KEYED = ("DocNumber", "CustomerRef", "TxnDate", "DisplayName", "Name", "Code", "PaymentRefNum", "AccountType")

Listener = Callable[[str, str, str], None]


def value_of(body: Body, name: str) -> str | None:
    value = body.get(name)
    return value["value"] if isinstance(value, dict) else value


def name_space(entity: str) -> str:
    """Customers and vendors (and employees) share one list of names."""
    return "person" if entity in ("Customer", "Vendor") else entity


class Records:
    def __init__(self, store: Store, clock: Clock, zone: ZoneInfo, on_change: Listener) -> None:
        self.store, self.clock, self.zone, self.on_change = store, clock, zone, on_change

    def now(self) -> datetime:
        return self.clock.now().astimezone(self.zone)

    def today(self) -> str:
        return self.now().date().isoformat()

    def get(self, entity: str, object_id: str) -> Body | None:
        return self.store.get(entity, object_id)

    def require(self, entity: str, object_id: object) -> Body:
        body = self.get(entity, str(object_id))
        if body is None:
            raise not_found(entity, object_id)
        return body

    def add(self, entity: str, body: Body, object_id: str | None = None) -> Body:
        number = object_id or str(self.store.number("Txn" if entity in TRANSACTIONS else entity))
        now = self.now().isoformat(timespec="seconds")
        head = {"domain": "QBO", "sparse": False, "Id": number, "SyncToken": "0"}
        body |= head | {"MetaData": {"CreateTime": now, "LastUpdatedTime": now}}
        self._put(entity, body, None)
        self.on_change(entity, number, "Create")
        return body

    def save(self, entity: str, body: Body, operation: str = "Update") -> None:
        """A user's edit."""
        body["SyncToken"] = str(int(body["SyncToken"]) + 1)
        self.touch(entity, body)
        self.on_change(entity, body["Id"], operation)

    def touch(self, entity: str, body: Body) -> None:
        before = body["MetaData"]["LastUpdatedTime"]
        body["MetaData"]["LastUpdatedTime"] = self.now().isoformat(timespec="seconds")
        self._put(entity, body, before)

    def rewrite(self, entity: str, body: Body) -> None:
        """What belongs to the change that is being made anyway."""
        self._put(entity, body, body["MetaData"]["LastUpdatedTime"])

    def _put(self, entity: str, body: Body, before: str | None) -> None:
        at = int(self.clock.timestamp())
        keys = {name: value_of(body, name) for name in KEYED if name in body}
        unique = UNIQUE_NAMES.get(entity)
        if unique:
            keys["unique"] = f"{name_space(entity)}:{body[unique].casefold()}"
        if entity not in TRANSACTIONS:
            keys["Active"] = str(body.get("Active", True)).lower()
        self.store.put(entity, body["Id"], body, created=at, keys=keys)
        if before != body["MetaData"]["LastUpdatedTime"]:
            self.store.delete(f"changed:{entity}", body["Id"])
            self.store.put(f"changed:{entity}", body["Id"], {"Id": body["Id"]}, created=at)

    def remove(self, entity: str, body: Body) -> None:
        object_id = body["Id"]
        self.store.delete(entity, object_id)
        self.store.delete(f"changed:{entity}", object_id)
        gone = {
            "domain": "QBO",
            "status": "Deleted",
            "Id": object_id,
            "MetaData": {"LastUpdatedTime": self.now().isoformat(timespec="seconds")},
        }
        self.store.put(f"gone:{entity}", object_id, gone, created=self.clock.timestamp())
        self.on_change(entity, object_id, "Delete")

    def changed_since(self, entity: str, instant: datetime, limit: int | None = None) -> list[Body]:
        """The first to change comes first."""
        since = int(instant.timestamp())
        rows = self.store.find(f"changed:{entity}", created_gte=since, oldest_first=True, limit=limit)
        return [body for row in rows if (body := self.get(entity, row["Id"])) is not None]

    def deleted_since(self, entity: str, instant: datetime) -> list[Body]:
        return self.store.find(f"gone:{entity}", created_gte=int(instant.timestamp()), oldest_first=True)

    def by_name(self, entity: str, name: str) -> Body | None:
        """The object of that unique name; a vendor of the name of a customer counts too."""
        where = {"unique": f"{name_space(entity)}:{name.casefold()}"}
        kinds = ("Customer", "Vendor") if entity in ("Customer", "Vendor") else (entity,)
        for kind in kinds:
            found = self.store.find(kind, where=where, limit=1)
            if found:
                return found[0]
        return None


def ordinal(day: str | date) -> int:
    return (date.fromisoformat(day) if isinstance(day, str) else day).toordinal()
