"""What is odd about documents in the books: changed or gone after we posted them, copied, recorded twice, or half done.

Found anew at the end of every sync and kept in a table, so that a page need not look for it. Each names the document,
says what happened and what can be done; `sync.mending` does it.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, Text, and_, exists, not_, select, type_coerce, update

from reconcile.credit_notes import day_of, decide_notes
from reconcile.discrepancy import name
from reconcile.money import Money
from reconcile.postings import Posting
from reconcile.records import Account, Company, Document
from reconcile.restoring import obstacle_on_desktop
from reconcile.reversal import is_taken_back
from storage import connections, markers, mirror, settled, snapshot, twins
from storage.connections import Link
from storage.credit_notes import finding_id, is_shown, version_of
from storage.engine import upsert
from storage.models import findings as table
from storage.models import legs, outbox
from storage.models import mirror as mirror_table
from storage.records import DOCUMENT_KINDS, from_json, to_json

Code = Literal[
    "applies_by_itself",
    "changed",
    "gone",
    "credit_left",
    "copied",
    "back",
    "recorded_twice",
    "not_deposited",
    "in_the_bank",
    "credit_note",
    "settled_outside",
    "applied_unasked",
]
Action = Literal["restore", "post_again", "accept", "apply", "dismiss", "deposit", "transfer"]
IN_BOOKS = ("posted", "verified")
UNDOING = ("planned", "sending", "doubtful", "waiting")
STREAM = "findings"  # the cursor: the link's revision that was looked at
UNDEPOSITED = "Undeposited Funds"
GONE = "gone"  # the version of a document that is no more


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One thing that can be done; `other_id` is the document it is done with."""

    action: Action
    label: str
    other_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`version` is that of the document: what was decided on another one is not done."""

    id: str
    code: Code
    document_id: str
    version: str
    dated: date
    currency: str
    amount_minor: int
    text: str
    marker: str | None = None
    offers: tuple[Offer, ...] = ()
    reason: str = ""  # why a credit note waits: a word of the vocabulary


ACCEPT = Offer(action="accept", label="Leave it as it is")
RESTORE = Offer(action="restore", label="Restore what was posted")
POST_AGAIN = Offer(action="post_again", label="Post it again")
DISMISS = Offer(action="dismiss", label="It is another one")


def refresh(conn: Connection, link_id: int, at: datetime) -> int:
    """Looks again; gives how many there are."""
    link = connections.link(conn, link_id)
    found = {each.id: each for each in _all(conn, link, at.date())}
    known = {row.id: row for row in conn.execute(select(table).where(table.c.link_id == link_id))}
    vanished = [finding_id for finding_id in known if finding_id not in found]
    for chunk in mirror.chunks(vanished):
        conn.execute(table.delete().where(table.c.link_id == link_id, table.c.id.in_(chunk)))
    rows = [
        {"link_id": link_id, "id": each.id, "dated": each.dated, "body": to_json(each)}
        | {"since": known[each.id].since if each.id in known else at}
        | {name: getattr(known.get(each.id), name, None) for name in ("settled_by", "settled_version")}
        for each in found.values()
        if each.id not in known or known[each.id].body != to_json(each)
    ]
    if rows:
        upsert(conn, table, rows, ["link_id", "id"])
    return len(found)


def standing(conn: Connection, link_id: int) -> list[Finding]:
    """The newest first."""
    rows = conn.execute(select(table).where(table.c.link_id == link_id).order_by(table.c.dated.desc(), table.c.id))
    found = [(from_json(row.body, Finding), row.settled_version) for row in rows]
    return [each for each, settled_version in found if each.version != settled_version]


def get(conn: Connection, link_id: int, finding_id: str) -> Finding | None:
    body = conn.execute(select(table.c.body).where(table.c.link_id == link_id, table.c.id == finding_id)).scalar()
    return None if body is None else from_json(body, Finding)


def settle(conn: Connection, link_id: int, finding: Finding, actor: str) -> None:
    """Somebody has decided about the document as it is now."""
    conn.execute(
        update(table)
        .where(table.c.link_id == link_id, table.c.id == finding.id)
        .values(settled_by=actor, settled_version=finding.version)
    )


def accepted(conn: Connection, link_id: int) -> list[str]:
    """Documents of ours that somebody left changed, or gone, as they are."""
    rows = conn.execute(select(table).where(table.c.link_id == link_id, table.c.settled_version.is_not(None)))
    found = [(from_json(row.body, Finding), row.settled_version) for row in rows]
    return [each.document_id for each, version in found if each.code in ("changed", "gone") and each.version == version]


def _all(conn: Connection, link: Link, today: date) -> Iterator[Finding]:
    yield from _preference(conn, link, today)
    yield from _drifted(conn, link)
    yield from _credits(conn, link)
    yield from _copied(conn, link)
    yield from _back(conn, link)
    yield from _twice(conn, link, today)
    yield from _undeposited(conn, link)
    yield from _notes(conn, link)
    yield from _outside(conn, link)


def _preference(conn: Connection, link: Link, today: date) -> Iterator[Finding]:
    company: Company | None = mirror.load(conn, link.ledger_id, "company", ["company"]).get("company")
    if company is not None and company.applies_by_itself:
        is_desktop = connections.is_desktop(conn, link.ledger_id)
        where = "Edit, Preferences, Payments" if is_desktop else "Account and settings, Advanced, Automation"
        text = (
            f"QuickBooks applies payments or credits to open invoices by itself ({where}). What a charge leaves over "
            "then lands on invoices nobody chose. Switch it off there."
        )
        yield Finding(
            id="applies_by_itself",
            code="applies_by_itself",
            document_id="company",
            version="on",
            dated=min(link.cutover, today),
            currency=company.home_currency,
            amount_minor=0,
            text=text,
            offers=(ACCEPT,),
        )
        yield from _unasked(conn, link, today)


def _unasked(conn: Connection, link: Link, today: date) -> Iterator[Finding]:
    """What that setting has done to credits of ours."""
    for document, _, amount in settled.unasked(conn, link, today - twins.LOOK_BACK):
        text = (
            f"{Money(amount, document.currency)} of {_named(document)}, which Tieout posted as a credit, is on "
            "invoices it was not meant for: QuickBooks applied it by itself, or somebody did. If it is wrong, take it "
            "off there; refunds use only what is left of it."
        )
        yield _about(document, "applied_unasked", text, (ACCEPT,))


# ---- after we posted it


def _drifted(conn: Connection, link: Link) -> Iterator[Finding]:
    """Documents of ours that differ from what was posted, or are gone (row 28), but for what we take back ourselves."""
    beside = and_(
        mirror_table.c.connection_id == outbox.c.connection_id,
        mirror_table.c.object_id == outbox.c.document_id,
        mirror_table.c.kind == outbox.c.kind,
    )
    undo = outbox.alias()
    undoing = exists().where(undo.c.link_id == link.id, undo.c.undoes == outbox.c.marker, undo.c.state.in_(UNDOING))
    ours = (
        select(outbox.c.marker, outbox.c.posting, outbox.c.problem)
        .add_columns(mirror_table.c.record, mirror_table.c.deleted.label("is_gone"))
        .join(mirror_table, beside)
        .where(outbox.c.link_id == link.id, outbox.c.state.in_(IN_BOOKS), not_(undoing))
    )
    # Each is found by an index of its own: together they would be looked for in everything that was ever posted.
    changed = outbox.c.problem.is_not(None)
    lost = mirror_table.alias()
    lost_ids = select(lost.c.object_id).where(lost.c.connection_id == link.ledger_id, lost.c.deleted.is_(True))
    gone = and_(
        outbox.c.connection_id == link.ledger_id, outbox.c.document_id.in_(lost_ids), mirror_table.c.deleted.is_(True)
    )
    on_desktop = connections.is_desktop(conn, link.ledger_id)
    rows = {row.marker: row for which in (changed, gone) for row in conn.execute(ours.where(which))}
    for row in rows.values():
        posting, document = from_json(row.posting, Posting), from_json(row.record, Document)
        is_gone = row.is_gone or document.voided
        version = GONE if row.is_gone else document.version
        if not posting.target:
            fixed = obstacle_on_desktop(posting, document) if on_desktop and not is_gone else None
            yield _drift(row.marker, posting, document, version, row.problem, is_gone=is_gone, fixed=fixed)


def _drift(
    marker: str,
    posting: Posting,
    document: Document,
    version: str,
    problem: str | None,
    *,
    is_gone: bool,
    fixed: str | None,
) -> Finding:
    """`fixed`: why nobody but a user can restore it."""
    back = POST_AGAIN if is_gone else RESTORE
    what = _named(document, Money(posting.amount_minor, posting.currency))
    if version == GONE:
        text = (
            f"The {what}, which Tieout had posted, is not in QuickBooks any more: somebody deleted it, or restored an "
            "older backup. Post it again, or leave it so."
        )
    elif is_gone:
        text = f"Somebody voided {what}, which Tieout had posted. Post it again, or leave it so."
    else:
        can = f"{fixed} Put it back there by hand, undo it under Posted" if fixed else "Restore it"
        text = f"Somebody changed {what} after Tieout posted it. {problem} {can}, or leave it so."
    return Finding(
        id=f"{'gone' if is_gone else 'changed'}:{document.id}",
        code="gone" if is_gone else "changed",
        document_id=document.id,
        version=version,
        dated=posting.dated,
        currency=posting.currency,
        amount_minor=posting.amount_minor,
        text=text,
        marker=marker,
        offers=(ACCEPT,) if fixed else (back, ACCEPT),
    )


def _credits(conn: Connection, link: Link) -> Iterator[Finding]:
    """Payments of ours with a credit that an open invoice of the customer could take (rows 3 and 27)."""
    body = type_coerce(mirror_table.c.record, Text)
    rows = conn.execute(
        select(mirror_table.c.record).where(
            mirror_table.c.connection_id == link.ledger_id,
            mirror_table.c.kind == "payment",
            mirror_table.c.parent_id.is_not(None),
            mirror_table.c.deleted.is_(False),
            not_(body.contains('"open_minor":0,')),
        )
    ).scalars()
    found: list[Document] = [from_json(record, Document) for record in rows]
    reversed_ = markers.spent(conn, link.ledger_id)  # what an opposite entry took back has no credit left
    payments = [payment for payment in found if payment.marker not in reversed_]
    if not payments:
        return
    invoices: dict[tuple[str | None, str], list[Document]] = defaultdict(list)
    for invoice in mirror.load_open(conn, link.ledger_id, ["invoice"]):
        invoices[invoice.customer_id, invoice.currency].append(invoice)
    for payment in payments:
        fitting = [each for each in invoices[payment.customer_id, payment.currency] if not payment.voided]
        if fitting:
            yield _credit(payment, sorted(fitting, key=lambda each: abs(each.open_minor - payment.open_minor)))


def _credit(payment: Document, invoices: list[Document]) -> Finding:
    left = Money(payment.open_minor, payment.currency)
    names = [name("invoice", each.doc_number, each.ledger_id) for each in invoices[:3]]
    text = (
        f"{left} of {_named(payment)} is credit of its customer, who has open invoices. Apply it if it was meant for "
        f"one of them; nothing else is posted for it."
    )
    return Finding(
        id=f"credit_left:{payment.id}",
        code="credit_left",
        document_id=payment.id,
        version=payment.version,
        dated=payment.dated,
        currency=payment.currency,
        amount_minor=payment.open_minor,
        text=text,
        marker=payment.marker,
        offers=tuple(
            Offer(action="apply", label=f"Apply to {label}", other_id=each.id)
            for label, each in zip(names, invoices[:3], strict=True)
        ),
    )


def _copied(conn: Connection, link: Link) -> Iterator[Finding]:
    """Documents that carry our marker, but are not the one we made (row 28)."""
    rows = conn.execute(
        select(mirror_table.c.record, outbox.c.document_id, outbox.c.marker)
        .join(
            outbox,
            and_(
                outbox.c.connection_id == mirror_table.c.connection_id,
                outbox.c.marker == mirror_table.c.parent_id,
                outbox.c.document_id != mirror_table.c.object_id,
            ),
        )
        .where(
            outbox.c.link_id == link.id,
            mirror_table.c.kind.in_(DOCUMENT_KINDS),
            mirror_table.c.deleted.is_(False),
        )
    )
    for row in rows:
        document = from_json(row.record, Document)
        if document.voided:
            continue
        original = row.document_id.replace(":", " ").replace("_", " ")
        text = f"{_named(document)} is a copy of {original}, which Tieout posted. Delete the copy in QuickBooks."
        yield _about(document, "copied", text, ())


def _back(conn: Connection, link: Link) -> Iterator[Finding]:
    """What was voided or deleted for an undo, and is there all the same: a backup from before was restored."""
    undo = outbox.alias()
    rows = conn.execute(
        select(mirror_table.c.record)
        .join(
            outbox,
            and_(
                mirror_table.c.connection_id == outbox.c.connection_id,
                mirror_table.c.object_id == outbox.c.document_id,
                mirror_table.c.kind == outbox.c.kind,
            ),
        )
        .join(undo, and_(undo.c.link_id == outbox.c.link_id, undo.c.undoes == outbox.c.marker))
        .where(
            undo.c.link_id == link.id,
            undo.c.undoes.is_not(None),
            undo.c.state.in_(IN_BOOKS),
            undo.c.document_id == outbox.c.document_id,  # else it stays, beside an opposite one
            outbox.c.state == "spent",
            mirror_table.c.deleted.is_(False),
        )
    ).scalars()
    for document in (from_json(record, Document) for record in rows):
        if not is_taken_back(document):
            text = (
                f"The {_named(document)}, which was undone, is in QuickBooks again: an older backup was restored. Void "
                "or delete it there, for nothing stands behind it."
            )
            yield _about(document, "back", text, ())


# ---- somebody else's


def _twice(conn: Connection, link: Link, today: date) -> Iterator[Finding]:
    """What somebody typed in although we posted it (row 24)."""
    for document, twin in twins.find(conn, link, today):
        text = (
            f"{_named(document)} may record what Tieout posted already ({twin}): then it is in the books twice. Delete "
            f"one of the two in QuickBooks, or say that this is another one."
        )
        yield _about(document, "recorded_twice", text, (DISMISS,))


def _undeposited(conn: Connection, link: Link) -> Iterator[Finding]:
    """Payments somebody typed in for charges of ours that never came to the clearing account (row 23)."""
    rows = conn.execute(
        select(legs).where(
            legs.c.link_id == link.id,
            legs.c.state == "matched",
            legs.c.reason == "already_recorded",
            legs.c.kind == "gross",
            legs.c.category == "charge",
            type_coerce(legs.c.markers, Text) == "[]",
            legs.c.before_cutover.is_(False),
        )
    ).all()
    names = {row.document_ids[0]: row for row in rows if len(row.document_ids) == 1}
    documents: dict[str, Document] = {}
    for kind in ("payment", "sales_receipt"):
        documents |= mirror.load(conn, link.ledger_id, kind, [each for each in names if each.startswith(f"{kind}:")])
    accounts: dict[str, Account] = mirror.load(
        conn, link.ledger_id, "account", {each.account_id or "" for each in documents.values()}
    )
    for document_id, row in names.items():
        document = documents.get(document_id)
        account = accounts.get(document.account_id or "") if document else None
        if document and account and _is_whole(row, document, link):
            yield from _beside_clearing(document, account, link)


def _is_whole(row: Row[Any], document: Document, link: Link) -> bool:
    return (
        (row.amount_minor, row.currency) == (document.amount_minor, document.currency)
        and row.currency in link.mappings.clearing
        and not document.voided
    )


def _beside_clearing(document: Document, account: Account, link: Link) -> Iterator[Finding]:
    clearing = link.mappings.clearing[document.currency]
    if account.id == clearing or account.currency != document.currency:
        return
    head = f"{_named(document)} records a Stripe charge, but went to {account.name}"
    if account.name == UNDEPOSITED:
        text = f"{head}, where it waits for a bank deposit that never comes. Deposit it into the clearing account."
        offer = Offer(action="deposit", label="Deposit it into the clearing account")
        yield _about(document, "not_deposited", text, (offer, ACCEPT))
    elif account.type == "Bank":
        text = f"{head}. Stripe pays out many at once: if the bank never got this one, move it to the clearing account."
        offer = Offer(action="transfer", label="Move it to the clearing account")
        yield _about(document, "in_the_bank", text, (offer, ACCEPT))


def _notes(conn: Connection, link: Link) -> Iterator[Finding]:
    """Stripe's credit notes that a person must look at (row 26)."""
    if not mirror.load_open(conn, link.processor_id, ["credit_note"]):
        return
    found = snapshot.load_notes(conn, link, snapshot.ground(conn, link))
    for each in decide_notes(found, {}):
        if is_shown(each):
            yield Finding(
                id=finding_id(each.note.id),
                code="credit_note",
                document_id=finding_id(each.note.id),
                version=version_of(each.note.status, each.reason),
                dated=day_of(found, each.note),
                currency=each.note.currency,
                amount_minor=each.note.total_minor,
                text=each.detail,
                offers=(ACCEPT,),
                reason=each.reason,
            )


def _outside(conn: Connection, link: Link) -> Iterator[Finding]:
    """Stripe invoices settled without a Stripe payment, which QuickBooks does not know of (row 25)."""
    for invoice, document, amount in settled.outside(conn, link):
        name = f"Stripe invoice {invoice.number or invoice.id}"
        text = (
            f"{Money(amount, invoice.currency)} of {name} was paid outside of Stripe, or from the customer's balance "
        )
        text += "there: no money comes through Stripe for it. "
        if document is None:
            text += "QuickBooks has no such invoice. Record both there, if it is not there under another number."
        else:
            shown = Money(document.open_minor, document.currency)
            text += f"In QuickBooks {shown} of {_named(document)} is open. Record there how it was paid."
        yield Finding(
            id=f"settled_outside:{invoice.id}",
            code="settled_outside",
            document_id=document.id if document else f"processor_invoice:{invoice.id}",
            version=f"{invoice.status}:{amount}",
            dated=max(link.cutover, invoice.created_at.date()),
            currency=invoice.currency,
            amount_minor=amount,
            text=text,
            offers=(ACCEPT,),
        )


def _about(document: Document, code: Code, text: str, offers: tuple[Offer, ...]) -> Finding:
    return Finding(
        id=f"{code}:{document.id}",
        code=code,
        document_id=document.id,
        version=document.version,
        dated=document.dated,
        currency=document.currency,
        amount_minor=document.amount_minor,
        text=text,
        marker=document.marker,
        offers=offers,
    )


def _named(document: Document, amount: Money | None = None) -> str:
    """ "the payment 12 of 100.00 USD"."""
    return f"{document.kind.replace('_', ' ')} {document.doc_number or document.ledger_id} of " + str(
        amount or Money(document.amount_minor, document.currency)
    )
