"""What an answer of QuickBooks holds, as records, and storing it."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from storage import mirror
from sync.booking import ACTOR, store_found
from sync.ports import Fetched
from sync.qbo import records, wire
from sync.sound import UNREADABLE, is_name, unreadable


def kind_of(entity: str) -> str:
    """Ours for one of theirs."""
    return wire.KIND.get(entity) or records.OTHERS[entity][0]


def id_of(entity: str, ledger_id: str) -> str:
    """The id in the mirror."""
    return f"{kind_of(entity)}:{ledger_id}" if entity in wire.KIND else ledger_id


def home(conn: Any, connection_id: int) -> str:
    """The company's home currency."""
    return mirror.home_currency(conn, connection_id)


def is_stub(content: Any) -> bool:
    """Whether it only says that a document was voided: what it is now has to be read."""
    if not isinstance(content, dict) or content.get("status") != "Voided" or "TxnDate" in content:
        return False
    return is_name(content.get("Id")) and str(content["Id"]).isdigit()


def store(conn: Any, connection_id: int, contents: Mapping[str, Sequence[Any]], now: datetime) -> list[tuple[str, str]]:
    """Stores what was read, by entity, and lets the outbox know which of its documents were seen in the books.

    Gives what changed, as (kind, id).
    """
    whole = [(entity, each) for entity, several in contents.items() for each in several if not is_stub(each)]
    if not whole:
        return []
    currency = home(conn, connection_id)
    return store_found(conn, connection_id, [read(entity, each, currency) for entity, each in whole], now)


def forget(conn: Any, connection_id: int, entity: str, ledger_ids: Sequence[str], now: datetime) -> None:
    """These are not in the books any more."""
    gone = [(kind_of(entity), id_of(entity, ledger_id), None, "") for ledger_id in ledger_ids]
    mirror.store(conn, connection_id, gone, at=now, actor=ACTOR)


def read(entity: str, content: Any, currency: str) -> Fetched:
    """One object as a record; one that cannot be read is kept as it came, and the others go on."""
    kind = kind_of(entity)
    try:
        raw = wire.encode(content)
        if content.get("status") == "Deleted" and is_name(content["Id"]):
            return Fetched(kind=kind, id=id_of(entity, content["Id"]), record=None)
        kind, object_id, record = records.read(entity, content, currency)
        return Fetched(kind=kind, id=object_id, record=record, raw=raw)
    except UNREADABLE as error:
        raw = json.dumps(content, default=str)
        return unreadable(kind, f"{entity} of QuickBooks", content, raw, error)
