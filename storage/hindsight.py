"""Makes the days since one look as if nothing of them had been decided: for trials alone (`storage.engine.rehearse`).

Our documents are gone, what they paid is open again, what was matched may be matched again. Entries that hang on older
ones, and all that people decided, stay as they are.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import Any

from sqlalchemy import Connection, func, select, update

from reconcile.records import Document
from storage import hanging, legs, mirror, outbox
from storage.connections import Link
from storage.models import legs as legs_table
from storage.models import mirror as mirror_table
from storage.models import outbox as outbox_table
from storage.outbox import Item
from storage.records import to_json


def count(conn: Connection, link: Link, since: date) -> int:
    """How many entries of these days are posted or matched."""
    return int(conn.execute(select(func.count()).where(*_settled(link, since))).scalar_one())


def reopen(conn: Connection, link: Link, since: date) -> list[str]:
    """Gives the legs that are to be decided again."""
    rows = conn.execute(select(legs_table).where(*_settled(link, since))).all()
    items = outbox.by_marker(conn, link.ledger_id, sorted({marker for row in rows for marker in row.markers}))
    _take_away(conn, link, items.values())
    mirror.release(conn, link.ledger_id, {each for row in rows for each in row.document_ids})
    leg_ids = [row.id for row in rows]
    mirror.reopen_movements(conn, link.processor_id, legs.record_withdrawn(conn, link.id, leg_ids))
    return leg_ids


def _settled(link: Link, since: date) -> list[Any]:
    return [
        legs_table.c.link_id == link.id,
        legs_table.c.state.in_(("posted", "matched")),
        legs_table.c.dated >= since,
        legs_table.c.before_cutover.is_(False),
    ]


def _take_away(conn: Connection, link: Link, items: Iterable[Item]) -> None:
    """Our documents, as if they had only been planned and withdrawn."""
    items = list(items)
    documents = hanging.load(conn, link, [item.document_id for item in items if item.document_id])
    open_again: dict[str, int] = defaultdict(int)
    for document in documents.values():
        for part in document.applied:
            open_again[part.id] += part.amount_minor
    for item in items:
        for discount in item.posting.discounts:
            open_again[discount.document_id] += discount.amount_minor
    for chunk in mirror.chunks([item.id for item in items]):
        conn.execute(update(outbox_table).where(outbox_table.c.id.in_(chunk)).values(state="withdrawn", problem=None))
    for document in documents.values():
        _change(conn, link, document, deleted=True, open=False)
    for document in hanging.load(conn, link, set(open_again) - set(documents)).values():
        again = replace(document, open_minor=document.open_minor + open_again[document.id])
        _change(conn, link, document, record=to_json(again), open=True)


def _change(conn: Connection, link: Link, document: Document, **values: Any) -> None:
    these = (mirror_table.c.connection_id == link.ledger_id, mirror_table.c.kind == document.kind)
    conn.execute(update(mirror_table).where(*these, mirror_table.c.object_id == document.id).values(**values))
