"""The way of one object through all steps, and the state of a link, as lines of text."""

from typing import Any

from sqlalchemy import Connection, Row, func, or_, select

from reconcile.money import Money
from storage.models import audit, inbox, legs, matches, mirror, outbox, sendings, sent_invoices


def trace(conn: Connection, object_id: str) -> list[str]:
    """Everything known of a Stripe object, a movement or a document ("payment:12"), in the order of the steps."""
    ids = {object_id, *_relatives(conn, object_id)}
    lines = [*_events(conn, ids), *_mirrored(conn, ids), *_matched(conn, ids)]
    found = _legs(conn, ids)
    markers = {marker for row in found for marker in row.markers}
    lines += [
        f"leg       {row.kind} {Money(row.amount_minor, row.currency)} of {row.movement_id}: {row.state}. {row.detail}"
        for row in found
    ]
    lines += _postings(conn, markers, ids)
    lines += _sent(conn, ids)
    return lines + _audited(conn, ids | markers | {row.id for row in found})


def _sent(conn: Connection, ids: set[str]) -> list[str]:
    """Where an invoice stands on its way to Stripe, and each write of it, or of a customer."""
    standing = conn.execute(
        select(sent_invoices).where(
            or_(sent_invoices.c.invoice_id.in_(ids), sent_invoices.c.processor_invoice_id.in_(ids))
        )
    ).all()
    lines = [f"to Stripe {row.invoice_id} as {row.processor_invoice_id or '-'}: {row.detail}" for row in standing]
    subjects = ids | {row.invoice_id for row in standing}
    writes = conn.execute(select(sendings).where(sendings.c.subject.in_(subjects)).order_by(sendings.c.id))
    return lines + [
        f"write     {row.first_at:%Y-%m-%d %H:%M:%S} {row.step.replace('_', ' ')} of {row.subject}: {row.state}, "
        f"attempt {row.attempt}, {row.result_id or row.problem or ''}"
        for row in writes
    ]


def summary(conn: Connection, link_id: int) -> list[str]:
    """How many legs are in each state, and why those that wait do."""
    rows = conn.execute(
        select(legs.c.state, legs.c.reason, func.count().label("number"))
        .where(legs.c.link_id == link_id)
        .group_by(legs.c.state, legs.c.reason)
        .order_by(legs.c.state, legs.c.reason)
    )
    return [f"{row.state:8} {row.number:6} {row.reason}" for row in rows]


def _relatives(conn: Connection, object_id: str) -> set[str]:
    """The movements of a Stripe object, the source of a movement, what a document books."""
    rows = conn.execute(
        select(legs.c.movement_id, legs.c.source_id).where(
            or_(legs.c.source_id == object_id, legs.c.movement_id == object_id)
        )
    )
    posted = conn.execute(select(outbox.c.marker).where(outbox.c.document_id == object_id)).scalars()
    return {value for row in rows for value in row} | {marker.partition(":")[0] for marker in posted}


def _events(conn: Connection, ids: set[str]) -> list[str]:
    rows = conn.execute(select(inbox).where(inbox.c.object_id.in_(ids)).order_by(inbox.c.id))
    return [f"event     {row.received_at:%Y-%m-%d %H:%M:%S} {row.type} by {row.channel}: {row.state}" for row in rows]


def _mirrored(conn: Connection, ids: set[str]) -> list[str]:
    rows = conn.execute(select(mirror).where(mirror.c.object_id.in_(ids)).order_by(mirror.c.kind, mirror.c.object_id))
    return [
        f"stored    {row.updated_at:%Y-%m-%d %H:%M:%S} {row.kind} {row.object_id}, version {row.version}"
        f"{' (deleted)' if row.deleted else ''}"
        for row in rows
    ]


def _matched(conn: Connection, ids: set[str]) -> list[str]:
    rows = conn.execute(select(matches).where(matches.c.source_id.in_(ids)).order_by(matches.c.rank))
    found = [(row, ", ".join(part["ledger_id"] for part in row.allocations)) for row in rows]
    return [f"match     {row.decision} with {documents}: {' '.join(row.reasons)}" for row, documents in found]


def _legs(conn: Connection, ids: set[str]) -> list[Row[Any]]:
    return list(
        conn.execute(
            select(legs).where(or_(legs.c.source_id.in_(ids), legs.c.movement_id.in_(ids))).order_by(legs.c.id)
        )
    )


def _postings(conn: Connection, markers: set[str], ids: set[str]) -> list[str]:
    rows = conn.execute(
        select(outbox).where(or_(outbox.c.marker.in_(markers), outbox.c.document_id.in_(ids))).order_by(outbox.c.id)
    )
    return [
        f"posting   {row.marker} {row.kind} dated {row.dated}: {row.state}"
        f"{f' as {row.document_id}' if row.document_id else ''} after {row.attempt} attempts"
        f"{f'. {row.problem}' if row.problem else ''}"
        for row in rows
    ]


def _audited(conn: Connection, subjects: set[str]) -> list[str]:
    endings = [audit.c.subject.in_(subjects), *(audit.c.subject.like(f"%/{subject}") for subject in sorted(subjects))]
    rows = conn.execute(select(audit).where(or_(*endings)).order_by(audit.c.id))
    return [f"audit     {row.at:%Y-%m-%d %H:%M:%S} {row.actor} {row.action} {row.subject}" for row in rows]
