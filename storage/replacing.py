"""Documents that were posted again because they were gone, and are back: a newer backup of the books was restored."""

from typing import Any

from sqlalchemy import Connection, and_, exists, not_, select, update

from storage import connections, legs
from storage.models import mirror, outbox
from storage.outbox import Item


def returned(conn: Connection, item: Item) -> Any | None:
    """The row whose document this posting was to replace, if that is in the books; the newest of them.

    A document that an opposite entry took back is there too, but stands for nothing.
    """
    source, kind, _, _ = item.posting.marker.rsplit(":", 3)
    undo = outbox.alias()
    there = and_(
        mirror.c.connection_id == outbox.c.connection_id,
        mirror.c.object_id == outbox.c.document_id,
        mirror.c.kind == outbox.c.kind,
        mirror.c.deleted.is_(False),
    )
    rows = conn.execute(
        select(outbox.c.id, outbox.c.marker, outbox.c.document_id, mirror.c.record)
        .join(mirror, there)
        .where(
            outbox.c.link_id == item.link_id,
            outbox.c.marker.startswith(f"{source}:{kind}:", autoescape=True),
            outbox.c.state == "spent",
            not_(exists().where(undo.c.link_id == item.link_id, undo.c.undoes == outbox.c.marker)),
        )
        .order_by(outbox.c.id.desc())
    )
    return next((row for row in rows if not row.record["voided"]), None)


def reinstate(conn: Connection, item: Item, row: Any) -> bool:
    """What is there counts again, and what was to replace it is not sent. False if somebody was quicker."""
    connections.change_link(conn, item.link_id)  # before any row, as everywhere
    ours = (outbox.c.id == item.id, outbox.c.state == "planned", outbox.c.attempt == item.attempt)
    if not conn.execute(update(outbox).where(*ours).values(state="withdrawn", asked_by=None)).rowcount:
        return False
    conn.execute(update(outbox).where(outbox.c.id == row.id, outbox.c.state == "spent").values(state="posted"))
    leg_ids = sorted(share.leg_id for share in item.posting.shares)
    legs.rebook(conn, item.link_id, leg_ids, item.posting.marker, row.marker)
    legs.record_posted(conn, item.link_id, leg_ids)
    return True
