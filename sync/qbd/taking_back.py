"""Voiding and deleting documents of QuickBooks Desktop: the look before, what an answer shows, and what to read anew.

TxnVoid and TxnDel name a document by its TxnID and take no EditSequence, so QuickBooks would take back whatever it has
become. It is read again right before, therefore, and only what is as a person saw it is taken back. An answer to
TxnVoid holds no document: what became of it is looked at.
"""

from collections.abc import Mapping
from typing import Any

from reconcile.postings import Posting
from reconcile.records import Applied
from storage import connections, hanging, outbox
from storage.outbox import Item
from sync.errors import Ambiguous
from sync.ports import Request
from sync.qbd import reading, wire
from sync.qbd.qbxml import Answer

CHANGES = wire.TAKES_BACK


def needs_look(posting: Posting) -> bool:
    """Whether the document must be read right before: what was not seen is neither taken back nor written over."""
    return posting.undoes is not None or posting.change == "restore"


def document_of(conn: Any, item: Item) -> str | None:
    """The document that an item changes, or takes back by an opposite entry."""
    undoes = item.posting.undoes or ""
    original = outbox.by_marker(conn, item.connection_id, [undoes]).get(undoes)
    return item.posting.target or (original.document_id if original else None)


def look(document_id: str, number: int) -> Request:
    """Asks for the document, as one of the questions right before a write."""
    kind, _, txn_id = document_id.partition(":")
    return reading.by_id(wire.ENTITY[kind], [txn_id], f"b{number}")


def check(item: Item, found: Answer) -> None:
    """Raises Ambiguous for an answer that speaks of something else."""
    told: Mapping[str, str] = {each.tag: (each.text or "").strip() for each in found.objects}
    if told.get("TxnID") != (item.posting.target or "").partition(":")[2]:
        raise Ambiguous("QuickBooks answered with another document.", technical=str(dict(told)))


def let_go(conn: Any, item: Item) -> list[Applied]:
    """What was set against the document, or it against: whether QuickBooks changes their time is not documented."""
    link, document_id = connections.link(conn, item.link_id), item.posting.target or ""
    payers = hanging.naming(conn, link, "payment", document_id)
    return [*item.posting.applied, *(Applied(id=each.id, amount_minor=0) for each in payers)]
