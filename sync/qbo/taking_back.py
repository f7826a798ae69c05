"""Voiding and deleting documents of QuickBooks Online: what is sent, what the answer means, and the look after a doubt.

A document is known by its Id, so after a lost answer it is looked at itself: if it is gone or voided, it is done,
whoever did it. After QuickBooks' 610 too: it means not found, but also that something the document names is inactive.
"""

from collections.abc import Mapping
from typing import Any

from reconcile.postings import Posting
from reconcile.records import Document
from reconcile.reversal import is_taken_back
from storage.outbox import Item
from sync.errors import Ambiguous
from sync.ports import Part, Request
from sync.qbo import records, wire
from sync.sound import UNREADABLE

NOT_FOUND = "610"
REFUSED = "refused"  # in a look-up's position: why QuickBooks refused, should the document be there all the same
CHANGES = ("void", "delete")


def operation(posting: Posting) -> dict[str, str]:
    """What is asked for, beside the body."""
    if posting.change == "delete":
        return {"operation": "delete"}
    if posting.change == "void":
        return {"operation": "void"} if posting.kind == "invoice" else {"operation": "update", "include": "void"}
    return {}


def body(current: Mapping[str, Any]) -> str:
    return wire.encode({"Id": current["Id"], "SyncToken": current["SyncToken"], "sparse": True})


def outcome(item: Item, content: Any, home: str) -> Document | None:
    """The voided document; None: it is deleted. Raises Ambiguous for an answer that shows neither."""
    entity = wire.ENTITY[item.posting.kind]
    try:
        found = content[entity]
        if found["Id"] != (item.posting.target or "").partition(":")[2]:
            raise Ambiguous("QuickBooks answered with another document.", technical=str(found["Id"]))
        if found.get("status") == "Deleted":
            return None
        document = records.document(entity, found, home)
    except UNREADABLE as odd:
        raise Ambiguous("QuickBooks answered with something else than the document.", technical=repr(odd)) from None
    if not is_taken_back(document):
        raise Ambiguous("QuickBooks answered with a document that is not voided.", technical=document.id)
    return document


def look_up(item: Item, deadline_s: float) -> Request:
    """The document itself, by its Id."""
    ledger_id = (item.posting.target or "").partition(":")[2]
    assert ledger_id.isdigit(), "ids of QuickBooks Online are numbers"
    return Request(
        kind="read",
        path="query",
        body=f"SELECT * FROM {wire.ENTITY[item.posting.kind]} WHERE Id = '{ledger_id}'",  # noqa: S608
        parts=(Part(item.id, item.attempt),),
        purpose="look up",
        deadline_s=deadline_s,
    )
