"""What is open on receivables: charges (invoices; checks and journal debits to A/R) and credits (payments, credit
memos, journal credits), and what was applied of one to the other.
"""

from emulators.qbd.records import Records
from emulators.store import Body


class OpenItems:
    def __init__(self, records: Records) -> None:
        self.records, self.store = records, records.store

    def open(self, txn_id: str, kind: str, party: str, account: str, total: int, home: int) -> None:
        """`total` above zero: the customer owes it; below: we do. `home` is the same in home currency."""
        body = {"id": txn_id, "kind": kind, "party": party, "account": account, "total": total, "home": home}
        self.store.put("open", txn_id, body, created=0, keys={"party": party})

    def close(self, txn_id: str) -> None:
        for link in self.links(txn_id):
            self.unlink(link)
        self.store.delete("open", txn_id)

    def get(self, txn_id: str) -> Body | None:
        return self.store.get("open", txn_id)

    def left(self, txn_id: str) -> int:
        """What is not applied yet, without its sign."""
        item = self.get(txn_id)
        if item is None:
            return 0
        links = self.links(txn_id)
        discounts = sum(link["discount"] for link in links) if item["total"] > 0 else 0
        return abs(int(item["total"])) - sum(int(link["amount"]) for link in links) - int(discounts)

    def link(self, credit: str, charge: str, amount: int, *, via: str, discount: int = 0) -> None:
        """`credit` pays `amount` of `charge`; `via` is the transaction that says so, and takes it back with itself."""
        name = f"{credit}>{charge}>{via}"
        body = {"name": name, "credit": credit, "charge": charge, "amount": amount, "discount": discount, "via": via}
        self.store.put("link", name, body, created=0, keys={"credit": credit, "charge": charge, "via": via})

    def unlink(self, link: Body) -> None:
        self.store.delete("link", link["name"])

    def links(self, txn_id: str) -> list[Body]:
        """What pays it, or what it pays, in the order it was said."""
        sides = ("credit", "charge")
        return [link for side in sides for link in self.store.find("link", where={side: txn_id}, oldest_first=True)]

    def via(self, txn_id: str) -> list[Body]:
        return self.store.find("link", where={"via": txn_id}, oldest_first=True)

    def waiting(self, party: str, account: str) -> list[Body]:
        """Charges of a customer that are not paid, oldest first."""
        items = self.store.find("open", where={"party": party}, oldest_first=True)
        return [
            each for each in items if each["account"] == account and each["total"] > 0 and self.left(each["id"]) > 0
        ]
