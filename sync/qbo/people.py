"""Customers of a QuickBooks Online company: made from Stripe's, and told who they are there.

A customer's only free text is its notes, and those are people's. So our line goes in only where there are none. It is
also how a customer we made is known again when the answer was lost; QuickBooks itself takes no name twice (6240).
"""

import hashlib
from typing import Any

from reconcile.counterparts import emails
from reconcile.records import Customer
from sync.errors import Rejected
from sync.ports import Fetched, Request
from sync.qbo import faults, records
from sync.qbo.limits import Carry
from sync.qbo.wire import encode

NAME_TAKEN = "6240"


class QuickBooksPeople:
    """Implements sync.ports.People."""

    def __init__(self, carry: Carry) -> None:
        self._carry = carry

    def note_counterpart(self, customer_id: str, counterpart_id: str, home_currency: str) -> Fetched | None:
        self._home = home_currency
        found = self._query(f"SELECT * FROM Customer WHERE Id = '{_escaped(customer_id)}'")  # noqa: S608
        body = found[0] if found else {}
        if not body or (body.get("Notes") or "").strip():
            return self._fetched(body) if records.counterpart(body) == counterpart_id else None
        changes = {
            "Id": body["Id"],
            "SyncToken": body["SyncToken"],
            "sparse": True,
            "Notes": _note(counterpart_id),
        }
        return self._write(changes)

    def make(self, customer: Customer, currency: str, home_currency: str) -> Fetched | None:
        self._home = home_currency
        name = _name(customer) if currency == self._home else f"{_name(customer)} ({currency})"
        namesakes = f"SELECT * FROM Customer WHERE DisplayName = '{_escaped(name)}' AND Active IN (true, false)"  # noqa: S608
        for body in self._query(namesakes):
            return self._fetched(body) if records.counterpart(body) == customer.id else None
        email = sorted(emails(customer))
        changes: dict[str, Any] = {"DisplayName": name, "Notes": _note(customer.id)}
        changes |= {"PrimaryEmailAddr": {"Address": ", ".join(email)}} if email else {}
        changes |= {"CurrencyRef": {"value": currency}} if currency != self._home else {}
        try:
            return self._write(changes)
        except Rejected as error:
            if error.code == NAME_TAKEN:  # by a vendor or an employee: the name is unique over all of them
                return None
            raise

    def _query(self, text: str) -> list[dict[str, Any]]:
        body = faults.check(self._carry(Request(kind="read", path="query", body=text)), write=False)
        found: list[dict[str, Any]] = body["QueryResponse"].get("Customer", [])
        return found

    def _write(self, changes: dict[str, Any]) -> Fetched:
        body = encode(changes)
        query = {"requestid": "c" + hashlib.sha256(body.encode()).hexdigest()[:40]}
        request = Request(kind="write", path="customer", body=body, query=query)
        return self._fetched(faults.check(self._carry(request), write=True)["Customer"])

    def _fetched(self, body: dict[str, Any]) -> Fetched:
        record = records.customer(body, self._home)
        return Fetched(kind="customer", id=record.id, record=record, raw=encode(body))


def _note(counterpart_id: str) -> str:
    return f"Stripe customer {counterpart_id} [tieout {counterpart_id}]"


def _name(customer: Customer) -> str:
    """QuickBooks takes no colon, tab or newline in a name, and 500 characters."""
    text = customer.name or (sorted(emails(customer)) or [customer.id])[0]
    return " ".join(text.replace(":", " ").split())[:480]


def _escaped(text: str) -> str:
    """As it stands between the quotation marks of a question."""
    return text.replace("\\", "\\\\").replace("'", "\\'")
