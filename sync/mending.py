"""What people do about documents that are odd (`storage.findings`): one command, checked, audited, all or nothing.

What it asks for becomes a posting of its own, which no later plan takes back.
"""

from dataclasses import replace
from typing import Any

from reconcile.days import first_open
from reconcile.postings import Mappings, Posting, Share
from reconcile.records import Applied, Company, Document
from storage import audit, connections, findings, legs, markers, mirror, outbox, undoing
from storage.approvals import Ask
from storage.connections import Link
from storage.engine import Database
from storage.findings import Finding, Offer
from storage.records import from_json, to_json
from storage.users import User
from sync.commands import RefusedError, check, sync_soon
from sync.difference import difference
from sync.holding import HeldError, carries, hold, passed
from sync.ports import Clock

CHANGED = "This has changed since you looked at it. Look again, then decide."


def mend(
    database: Database, clock: Clock, actor: User, link_id: int, finding_id: str, version: str, offer: Offer
) -> bool:
    """Does what a finding offers; False if it does not stand any more."""
    with database.write() as conn:
        check(conn, actor, "mend")
        made = _mend(conn, clock.now(), actor, link_id, finding_id, version, to_json(offer))
    return passed(made)


@carries("mend")
def _mend(
    conn: Any,
    now: Any,
    actor: User,
    link_id: int,
    finding_id: str,
    version: str,
    offered: Any,
    *,
    approved: bool = False,
) -> bool | HeldError:
    """`offered` is an Offer as plain values: what waits for a second person is stored so."""
    offer: Offer = from_json(offered, Offer)
    connections.change_link(conn, link_id)  # before any row: locks are taken in one order
    finding = findings.get(conn, link_id, finding_id)
    if finding is None:
        return False
    if finding.version != version or offer not in finding.offers:
        raise RefusedError(CHANGED)
    if finding.marker and undoing.begun(conn, connections.link(conn, link_id), finding.marker):
        raise RefusedError("This document is being undone, or was.")
    ask = Ask(
        link_id=link_id,
        action="mend",
        subject=finding.document_id,
        currency=finding.currency,
        amount_minor=abs(finding.amount_minor),
        text=f"{offer.label}: {finding.text}",
        arguments=[finding_id, version, offered],
    )
    if not approved and (held := hold(conn, now, actor, ask)):
        return held
    _act(conn, connections.link(conn, link_id), finding, offer, actor, now)
    findings.settle(conn, link_id, finding, actor.email)
    entry = audit.Entry(
        actor=actor.email,
        action=offer.label.lower(),
        subject=finding.document_id,
        link_id=link_id,
        detail={"finding": finding.id, "version": version, "text": finding.text, "other": offer.other_id},
    )
    audit.append(conn, now, [entry])
    sync_soon(conn, link_id, actor.email, now)
    return True


def _act(conn: Any, link: Link, finding: Finding, offer: Offer, actor: User, now: Any) -> None:
    if offer.action == "accept":
        return
    if offer.action == "dismiss":
        mirror.claim(conn, link.ledger_id, [finding.document_id])
        return
    if offer.action == "post_again":
        posting = _again(conn, link, finding)
    else:
        document = _document(conn, link, finding)
        match offer.action:
            case "restore":
                posting = _restored(conn, link, finding, document)
            case "apply":
                posting = _applied(conn, link, document, offer)
            case "deposit" | "transfer":
                posting = _moved(conn, link, document, offer)
    outbox.plan(conn, link_id=link.id, connection_id=link.ledger_id, postings=[posting], at=now, asked_by=actor.email)


def _document(conn: Any, link: Link, finding: Finding) -> Document:
    kind = finding.document_id.partition(":")[0]
    found: Document | None = mirror.load(conn, link.ledger_id, kind, [finding.document_id]).get(finding.document_id)
    if found is None or found.version != finding.version:
        raise RefusedError(CHANGED)
    return found


def _posted(conn: Any, link: Link, finding: Finding) -> Posting:
    return outbox.by_marker(conn, link.ledger_id, [finding.marker or ""])[finding.marker or ""].posting


def _again(conn: Any, link: Link, finding: Finding) -> Posting:
    """The same document under a new name; the old name stays spent."""
    posting = _posted(conn, link, finding)
    source, kind, _, _ = posting.marker.rsplit(":", 3)
    marker = markers.next_free(conn, link.id, source, kind)
    markers.spend(conn, link.id, posting.marker)
    legs.rebook(conn, link.id, [share.leg_id for share in posting.shares], posting.marker, marker)
    return _open(conn, link, replace(posting, marker=marker, after=None))


def _restored(conn: Any, link: Link, finding: Finding, document: Document) -> Posting:
    posting = _posted(conn, link, finding)
    source, kind, _, _ = posting.marker.rsplit(":", 3)
    marker = markers.next_free(conn, link.id, source, f"{kind}-restore")
    return replace(
        posting,
        marker=marker,
        target=document.id,
        change="restore",
        original=posting.mark,
        seen=difference(posting, document) or "",
        after=None,
        shares=(),
        undoes=None,
    )


def _applied(conn: Any, link: Link, document: Document, offer: Offer) -> Posting:
    """The credit of a payment goes to an invoice of its customer: links change, no amount does."""
    invoice_id = offer.other_id or ""
    invoice: Document | None = mirror.load(conn, link.ledger_id, "invoice", [invoice_id]).get(invoice_id)
    amount = min(invoice.open_minor, document.open_minor) if invoice else 0
    if not amount:
        raise RefusedError(CHANGED)
    source = (document.marker or document.id).partition(":")[0]
    return Posting(
        marker=markers.next_free(conn, link.id, source, "apply"),
        kind="payment",
        dated=document.dated,
        currency=document.currency,
        amount_minor=0,
        account_id=document.account_id or "",
        memo=document.id,
        party_id=document.customer_id,
        applied=(Applied(id=invoice_id, amount_minor=amount),),
        target=document.id,
        change="link",
    )


def _moved(conn: Any, link: Link, document: Document, offer: Offer) -> Posting:
    """A payment that somebody typed in comes to the clearing account: by a deposit that takes it, or from the bank."""
    rows = [row for row in legs.matched_to(conn, link.id, document.id) if not row.markers]
    if len(rows) != 1:
        raise RefusedError(CHANGED)
    (row,), mappings = rows, link.mappings
    marker = markers.next_free(conn, link.id, row.movement_id, offer.action)
    legs.rebook(conn, link.id, [row.id], None, marker)
    posting = Posting(
        marker=marker,
        kind="deposit" if offer.action == "deposit" else "transfer",
        dated=document.dated,
        currency=document.currency,
        amount_minor=document.amount_minor,
        account_id=_from(mappings, document, offer),
        other_account_id=mappings.clearing[document.currency],
        memo=f"{row.source_id} {row.movement_id}",
        exchange_rate=document.exchange_rate,
        applied=(Applied(id=document.id, amount_minor=document.amount_minor),) if offer.action == "deposit" else (),
        shares=(Share(leg_id=row.id, amount_minor=row.amount_minor),),
    )
    return _open(conn, link, posting)


def _from(mappings: Mappings, document: Document, offer: Offer) -> str:
    """A deposit names only the account it goes to."""
    return mappings.clearing[document.currency] if offer.action == "deposit" else document.account_id or ""


def _open(conn: Any, link: Link, posting: Posting) -> Posting:
    """Never in a closed period."""
    company: Company | None = mirror.load(conn, link.ledger_id, "company", ["company"]).get("company")
    return first_open(posting, company.closed_through if company else None)
