"""Credit notes that are not settled, and what the books and our documents say of each: the ground for deciding them."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection, select

from reconcile.credit_notes import WINDOW, NoteDecision, markers_of
from reconcile.records import CreditNote, Document, ProcessorInvoice
from reconcile.snapshot import Snapshot
from storage import markers, mirror, outbox
from storage.connections import Link
from storage.mirror import chunks
from storage.models import findings
from storage.models import mirror as mirror_table
from storage.records import LINK_KEY, from_json

DONE = ("posted", "verified", "spent")
OUTSIDE = "credited_outside"  # the one reason that keeps nothing from being posted


def add(conn: Connection, link: Link, snapshot: Snapshot, invoices: dict[str, ProcessorInvoice]) -> Snapshot:
    """The snapshot with its credit notes; `invoices` are those of `invoice_ids`, as this company names them."""
    notes: list[CreditNote] = mirror.load_open(conn, link.processor_id, ["credit_note"])
    if not notes:
        return snapshot
    names = [marker for note in notes for marker in markers_of(note.id)]
    written = outbox.by_marker(conn, link.ledger_id, names)
    return replace(
        snapshot,
        credit_notes=tuple(notes),
        noted_invoices=invoices,
        noted_documents=_documents(conn, link, invoices),
        note_markers={marker: item.state in DONE for marker, item in written.items() if item.state != "withdrawn"},
        notes_left=_left(conn, link.id, notes),
        credit_memos=_memos(conn, link, notes),
    )


def invoice_ids(conn: Connection, link: Link) -> set[str]:
    """The Stripe invoices that open credit notes lower."""
    notes: list[CreditNote] = mirror.load_open(conn, link.processor_id, ["credit_note"])
    return {note.invoice_id for note in notes}


def finding_id(note_id: str) -> str:
    return f"credit_note:{note_id}"


def version_of(status: str, reason: str) -> str:
    """What somebody left as it is: what was credited outside, or the note as a whole."""
    return f"{status}:{'outside' if reason == OUTSIDE else 'all'}"


def is_shown(decision: NoteDecision) -> bool:
    """Whether a person has something to do about it, now."""
    return decision.state == "wait" and decision.reason != "in_progress"


def _documents(conn: Connection, link: Link, invoices: dict[str, ProcessorInvoice]) -> dict[str, Document]:
    """By Stripe invoice, the invoice of the books: the one its metadata names, or that we made of it."""
    named = {each.id: f"invoice:{each.metadata[LINK_KEY]}" for each in invoices.values() if LINK_KEY in each.metadata}
    named |= markers.documents_of(conn, link.ledger_id, "invoice", [each for each in invoices if each not in named])
    found: dict[str, Document] = mirror.load(conn, link.ledger_id, "invoice", named.values())
    return {each: found[document_id] for each, document_id in named.items() if document_id in found}


def _left(conn: Connection, link_id: int, notes: Sequence[CreditNote]) -> frozenset[str]:
    """Notes that a person left as they are, as a whole."""
    by_finding = {finding_id(note.id): note for note in notes}
    left: set[str] = set()
    for chunk in chunks(sorted(by_finding)):
        rows = conn.execute(
            select(findings.c.id, findings.c.settled_version).where(
                findings.c.link_id == link_id, findings.c.id.in_(chunk)
            )
        )
        as_a_whole = ((by_finding[row.id], row.settled_version) for row in rows)
        left.update(note.id for note, version in as_a_whole if version == version_of(note.status, ""))
    return frozenset(left)


def _memos(conn: Connection, link: Link, notes: Sequence[CreditNote]) -> tuple[Document, ...]:
    """Credit memos that are not ours, from around these notes on."""
    since = min(note.effective_at for note in notes).date() - WINDOW
    rows = conn.execute(
        select(mirror_table.c.record).where(
            mirror_table.c.connection_id == link.ledger_id,
            mirror_table.c.kind == "credit_memo",
            mirror_table.c.dated >= since,
            mirror_table.c.parent_id.is_(None),
            mirror_table.c.deleted.is_(False),
        )
    ).scalars()
    found: list[Document] = [from_json(record, Document) for record in rows]
    return tuple(sorted((each for each in found if not each.voided), key=lambda each: each.id))
