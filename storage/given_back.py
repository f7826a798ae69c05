"""What refunds took from the credit that payments leave with their customers: none of it may be given back twice."""

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import Connection, select

from reconcile.records import Document, Refund
from reconcile.snapshot import credit_left
from storage import legs, mirror, outbox
from storage.connections import Link
from storage.mirror import chunks
from storage.models import mirror as mirror_table


def of_charges(conn: Connection, link: Link, charge_ids: Iterable[str]) -> dict[str, int]:
    """By charge, what its refunds took from the credit it left."""
    refunds: list[Refund] = mirror.load_children(conn, link.processor_id, "refund", charge_ids)
    rows = legs.of_sources(conn, link.id, [refund.id for refund in refunds])
    source_of = {marker: row.source_id for row in rows for marker in row.markers if ":credit:" in marker}
    charge_of = {refund.id: refund.charge_id or "" for refund in refunds}
    used: dict[str, int] = defaultdict(int)
    for marker, item in outbox.by_marker(conn, link.ledger_id, list(source_of)).items():
        used[charge_of[source_of[marker]]] += item.posting.amount_minor
    return used


def of_documents(conn: Connection, link: Link, documents: Iterable[Document]) -> dict[str, int]:
    """By payment that somebody typed in, what refunds took from its credit: of every charge that it is the record of.

    A charge with several payments may have taken it from any of them, so it counts for each.
    """
    typed = sorted(each.id for each in documents if each.marker is None and credit_left([each], 0))
    recorded = {
        each: {row.source_id for row in legs.matched_to(conn, link.id, each)} for each in _claimed(conn, link, typed)
    }
    used = of_charges(conn, link, set().union(*recorded.values()))
    return {each: sum(used.get(charge_id, 0) for charge_id in recorded[each]) for each in recorded}


def _claimed(conn: Connection, link: Link, document_ids: list[str]) -> list[str]:
    """Those that are the record of something already."""
    found: list[str] = []
    for chunk in chunks(document_ids):
        found += conn.execute(
            select(mirror_table.c.object_id).where(
                mirror_table.c.connection_id == link.ledger_id,
                mirror_table.c.kind == "payment",
                mirror_table.c.object_id.in_(chunk),
                mirror_table.c.claimed,
            )
        ).scalars()
    return found
