"""What the company file holds: lists and transactions with their ids, edit sequences and times; and what was deleted.

Names that begin with _ are the stand-in's own and are never shown.
"""

from typing import Any

from emulators.qbd.pc import Pc, wall
from emulators.qbd.refusals import Refused, bad_reference, locked, name_taken
from emulators.store import Body, Store

TRANSACTIONS = (
    "Invoice", "CreditMemo", "SalesReceipt", "ReceivePayment", "ARRefundCreditCard", "Check", "Deposit", "Transfer",
    "JournalEntry",
)  # fmt: skip
ITEMS = ("ItemService", "ItemOtherCharge", "ItemDiscount", "ItemSalesTax")
ENTITIES = ("Customer", "Vendor")
LISTS = ("Account", *ENTITIES, "Class", "Currency", *ITEMS, "SalesTaxCode", "PaymentMethod")

# The lists a reference may point to.
REFERENCES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("ARAccountRef", "AccountRef", "DepositToAccountRef", "RefundFromAccountRef", "TransferFromAccountRef",
         "TransferToAccountRef", "DiscountAccountRef", "OverrideItemAccountRef"), ("Account",)),
    "CustomerRef": ("Customer",), "PayeeEntityRef": ENTITIES, "EntityRef": ENTITIES, "TaxVendorRef": ("Vendor",),
    "ItemRef": ITEMS, "ItemSalesTaxRef": ("ItemSalesTax",),
    **dict.fromkeys(("SalesTaxCodeRef", "CustomerSalesTaxCodeRef"), ("SalesTaxCode",)),
    **dict.fromkeys(("ClassRef", "OverrideClassRef", "DiscountClassRef"), ("Class",)),
    **dict.fromkeys(("PaymentMethodRef", "PreferredPaymentMethodRef"), ("PaymentMethod",)),
    **dict.fromkeys(("CurrencyRef", "HomeCurrencyRef"), ("Currency",)),
}  # fmt: skip


def key_of(kind: str) -> str:
    return "TxnID" if kind in TRANSACTIONS else "ListID"


def name_space(kind: str) -> str:
    """Customers and vendors share one list of names; so do items of every type."""
    return "entity" if kind in ENTITIES else "item" if kind in ITEMS else kind


class Records:
    def __init__(self, store: Store, pc: Pc) -> None:
        self.store, self.pc = store, pc
        self.busy_writes = 0  # so many writes are still refused because somebody is in the way

    # --- reading ---

    def get(self, kind: str, object_id: str) -> Body | None:
        return self.store.get(kind, object_id)

    def require(self, kind: str, object_id: str) -> Body:
        body = self.get(kind, object_id)
        assert body is not None, (kind, object_id)
        return body

    def kind_of(self, object_id: str) -> str | None:
        """Ids are unique over the whole file."""
        row = self.store.get("kind", object_id)
        return None if row is None else str(row["kind"])

    def find(self, object_id: str, *kinds: str) -> Body | None:
        kind = self.kind_of(object_id)
        return self.get(kind, object_id) if kind in kinds else None

    def named(self, full_name: str, *kinds: str) -> Body | None:
        for kind in kinds:
            for body in self.store.find(kind, where={"FullName": full_name.casefold()}, limit=1):
                return body
        return None

    def refer(self, reference: str, body: Body, where: str) -> Body | None:
        """The object a reference of `body` points to, if it has one; the reference then holds its ListID alone."""
        ref = body.get(reference)
        if not ref:
            return None
        kinds = REFERENCES[reference]
        found = self.find(ref["ListID"], *kinds) if ref.get("ListID") else self.named(ref.get("FullName", ""), *kinds)
        if found is None:
            kind = "Entity" if len(kinds) > 1 and kinds == ENTITIES else kinds[0].removesuffix("Service")
            raise bad_reference(kind, ref.get("ListID") or ref.get("FullName", ""), where)
        body[reference] = {"ListID": found["ListID"]}
        return found

    # --- writing ---

    def add(self, kind: str, body: Body) -> Body:
        epoch = self.pc.epoch()
        stamp = self.pc.stamp(epoch)
        if kind in TRANSACTIONS:
            number = self.store.number("TxnID")
            ids: Body = {"TxnID": f"{number:X}-{epoch}", "TxnNumber": str(self.store.number("TxnNumber"))}
        else:
            ids = {"ListID": f"{0x80000000 + self.store.number('ListID'):X}-{epoch}"}
        made = body | ids | {"TimeCreated": stamp, "TimeModified": stamp, "EditSequence": str(epoch)}
        self.store.put("kind", made[key_of(kind)], {"kind": kind}, created=0)
        self._put(kind, made)
        return made

    def line_id(self) -> str:
        """Lines are numbered with the transactions."""
        return f"{self.store.number('TxnID'):X}-{self.pc.epoch()}"

    def save(self, kind: str, body: Body) -> None:
        """A change anybody can see: another edit sequence, another time."""
        epoch = self.pc.epoch()
        body["EditSequence"] = str(max(epoch, int(body["EditSequence"]) + 1))
        body["TimeModified"] = self.pc.stamp(epoch)
        self._put(kind, body)

    def rewrite(self, kind: str, body: Body) -> None:
        """What belongs to the change that is being made anyway."""
        self._put(kind, body)

    def _put(self, kind: str, body: Body) -> None:
        object_id = body[key_of(kind)]
        keys: dict[str, str | None] = {"TxnDate": body.get("TxnDate")}
        if kind in TRANSACTIONS:
            keys["RefNumber"] = (body.get("RefNumber") or "").casefold() or None
            keys["party"] = (body.get("CustomerRef") or body.get("PayeeEntityRef") or {}).get("ListID")
        else:
            full_name: str = body.get("FullName") or body["Name"]
            keys |= {"FullName": full_name.casefold(), "type": body.get("AccountType")}
            self._guard_name(kind, object_id, full_name)
        self.store.put(kind, object_id, body, created=wall(body["TimeCreated"]), keys=keys)
        self.store.delete(f"changed:{kind}", object_id)
        self.store.put(f"changed:{kind}", object_id, {"id": object_id}, created=wall(body["TimeModified"]))

    def _guard_name(self, kind: str, object_id: str, full_name: str) -> None:
        space = name_space(kind)
        kinds = ENTITIES if space == "entity" else ITEMS if space == "item" else (kind,)
        other = self.named(full_name, *kinds)
        if other is not None and other["ListID"] != object_id:
            raise name_taken(full_name)

    def remove(self, kind: str, body: Body) -> Body:
        """Deletes it; what TxnDeletedQuery or ListDeletedQuery will tell of it (transfers are never told of)."""
        object_id = body[key_of(kind)]
        self.store.delete(kind, object_id)
        self.store.delete(f"changed:{kind}", object_id)
        self.store.delete("kind", object_id)
        told = {"TimeCreated": body["TimeCreated"], "TimeDeleted": self.pc.stamp(self.pc.epoch())}
        if kind in TRANSACTIONS:
            told |= {"TxnDelType": kind, "TxnID": object_id}
            told |= {"RefNumber": body["RefNumber"]} if body.get("RefNumber") else {}
        else:
            told |= {"ListDelType": kind, "ListID": object_id, "FullName": body.get("FullName", body["Name"])}
        if kind != "Transfer":
            self.store.put(f"gone:{kind}", object_id, told, created=wall(told["TimeDeleted"]))
        return told

    def changed(self, kind: str, first: str, last: str) -> list[Body]:
        """In the order of their last change; both bounds included."""
        rows = self.store.find(f"changed:{kind}", created_gte=wall(first), created_lte=wall(last), oldest_first=True)
        return [body for row in rows if (body := self.get(kind, row["id"])) is not None]

    def gone(self, kind: str, first: str, last: str) -> list[Body]:
        return self.store.find(f"gone:{kind}", created_gte=wall(first), created_lte=wall(last), oldest_first=True)

    # --- who else works here ---

    def lock(self, object_id: str, words: int = 0) -> None:
        """Somebody has it open on another screen until `unlock`."""
        self.store.put("lock", object_id, {"words": words}, created=0)

    def unlock(self, object_id: str) -> None:
        self.store.delete("lock", object_id)

    def guard_busy(self, what: str) -> None:
        if self.busy_writes:
            self.busy_writes -= 1
            raise locked(what, self.busy_writes)

    def guard_lock(self, object_id: str, what: str) -> None:
        held = self.store.get("lock", object_id)
        if held is not None:
            raise locked(what, held["words"])


def full_name_of(records: Records, kind: str, body: Body) -> None:
    """Fills in FullName and Sublevel: "Parent:Child"."""
    parent_ref: dict[str, Any] = body.get("ParentRef") or {}
    parent: Body | None = None
    if parent_ref:
        wanted = parent_ref.get("ListID")
        parent = records.find(wanted, kind) if wanted else records.named(parent_ref.get("FullName", ""), kind)
        if parent is None:
            raise bad_reference(kind, wanted or parent_ref.get("FullName", ""), kind)
        body["ParentRef"] = {"ListID": parent["ListID"]}
    body["Sublevel"] = str(int(parent["Sublevel"]) + 1 if parent else 0)
    body["FullName"] = f"{parent['FullName']}:{body['Name']}" if parent else body["Name"]


def guard_sequence(body: Body, sequence: str, refusal: Refused) -> None:
    if body["EditSequence"] != sequence:
        raise refusal
