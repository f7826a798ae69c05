"""How a document of ours is taken back: voided, deleted, or by an opposite entry; and whether it still is as it was.

QuickBooks Online can void payments, sales receipts and invoices; its other documents it can only delete. QuickBooks
Desktop voids everything but payments, which it deletes, and transfers: of those it lets nobody but a user take any
away, so the opposite one is made. What lies in a closed period or a bank deposit, or was reconciled with a bank
statement, stays: an opposite document on the first open day takes its effect back, and none of the days before changes.
Source for Desktop: the enumerations TxnVoidType and TxnDelType of the schema of qbXML 13.0.
"""

from dataclasses import replace
from datetime import date
from typing import Literal

from reconcile.days import first_open
from reconcile.postings import Change, Posting, PostingKind, PostingLine
from reconcile.records import Document

# stay: it moves no money and only applies a document that an opposite entry takes back.
How = Literal["void", "delete", "entry", "stay"]

VOIDED: tuple[PostingKind, ...] = ("payment", "sales_receipt", "invoice")
DELETED_ON_DESKTOP: tuple[PostingKind, ...] = ("payment",)
# No journal entry takes tax back. Receipts are undone by the opposite receipt, taxed fees by a fee that came back.
OPPOSITES: dict[PostingKind, PostingKind] = {
    "sales_receipt": "refund_receipt",
    "refund_receipt": "sales_receipt",
    "payment": "journal_entry",
    "purchase": "journal_entry",
    "deposit": "journal_entry",
    "transfer": "journal_entry",
    "journal_entry": "journal_entry",
}
# Desktop has no refund receipt, and an opposite transfer is a transfer that people find where the first one is.
OPPOSITES_ON_DESKTOP: dict[PostingKind, PostingKind] = {
    "payment": "journal_entry",
    "purchase": "journal_entry",
    "deposit": "journal_entry",
    "transfer": "transfer",
    "journal_entry": "journal_entry",
}
TAXED: dict[PostingKind, PostingKind] = {"purchase": "deposit", "deposit": "purchase"}


def how_to_undo(
    document: Document, closed_through: date | None, *, is_fixed: bool, on_desktop: bool = False
) -> How | None:
    """None: it cannot be taken back by itself. `is_fixed`: deposited, or reconciled with a bank statement."""
    kind: PostingKind = document.kind
    is_open = not is_fixed and (closed_through is None or document.dated > closed_through)
    if is_open and not (on_desktop and kind == "transfer"):
        is_voided = kind not in DELETED_ON_DESKTOP if on_desktop else kind in VOIDED
        return "void" if is_voided and document.amount_minor else "delete"
    opposites = OPPOSITES_ON_DESKTOP if on_desktop else OPPOSITES
    return "entry" if kind in opposites and document.amount_minor else None


def only_applies(posting: Posting) -> bool:
    """Whether it is a payment of nothing, by which QuickBooks Online applies the entry before it to an invoice."""
    return posting.kind == "payment" and not posting.amount_minor and not posting.target


def taking_back(posting: Posting, document: Document, marker: str, change: Change) -> Posting:
    """What voids or deletes a document; it says how a person saw it, so that another one is not taken back for it."""
    return Posting(
        marker=marker,
        kind=posting.kind,
        dated=document.dated,
        currency=document.currency,
        amount_minor=document.amount_minor,
        account_id=document.account_id or "",
        memo=posting.memo,
        party_id=document.customer_id,
        applied=document.applied,
        target=document.id,
        change=change,
        undoes=posting.marker,
    )


def opposite_kind(posting: Posting, *, on_desktop: bool = False) -> PostingKind:
    if on_desktop:
        return OPPOSITES_ON_DESKTOP[posting.kind]
    is_taxed = bool(posting.tax_minor) or any(line.tax_code for line in posting.lines)
    return TAXED.get(posting.kind, OPPOSITES[posting.kind]) if is_taxed else OPPOSITES[posting.kind]


def opposite(
    posting: Posting,
    document: Document,
    marker: str,
    receivable: str | None,
    closed_through: date | None,
    *,
    on_desktop: bool = False,
) -> Posting:
    """What takes the effect of a document back on the first open day, at the rate the books have it at."""
    kind = opposite_kind(posting, on_desktop=on_desktop)
    entry = replace(
        posting,
        marker=marker,
        kind=kind,
        dated=document.dated,
        memo=f"Undoes {posting.kind.replace('_', ' ')} {document.doc_number or document.ledger_id}: {posting.memo}",
        reference="",
        exchange_rate=document.exchange_rate,
        after=None,
        shares=(),
        undoes=posting.marker,
    )
    if kind == posting.kind == "transfer":
        entry = replace(
            entry, account_id=posting.other_account_id or "", other_account_id=posting.account_id, applied=()
        )
    if kind == "journal_entry":
        entry = replace(
            entry,
            lines=_opposite_lines(posting, receivable),
            party_id=None,
            payee="vendor",
            other_account_id=None,
            applied=(),
            discounts=(),
            payment_method_id=None,
        )
    return first_open(entry, closed_through)


def _opposite_lines(posting: Posting, receivable: str | None) -> tuple[PostingLine, ...]:
    """The two sides, debits above zero; a line on receivables has its customer."""
    clearing, amount = posting.account_id, posting.amount_minor
    match posting.kind:
        case "payment":
            assert receivable is not None, "looked at before"
            closed = sum(each.amount_minor for each in posting.discounts)
            sides = [(receivable, amount + closed, posting.party_id), (clearing, -amount, None)]
            sides += [(each.account_id, -each.amount_minor, None) for each in posting.discounts]
        case "purchase":
            party = posting.party_id if posting.payee == "customer" else None
            sides = [(clearing, amount, None)]
            sides += [(line.account_id or "", -line.amount_minor, party) for line in posting.lines]
        case "deposit":
            sides = [(clearing, -amount, None)]
            sides += [(line.account_id or "", line.amount_minor, None) for line in posting.lines]
        case "transfer":
            sides = [(clearing, amount, None), (posting.other_account_id or "", -amount, None)]
        case _:
            return tuple(replace(line, amount_minor=-line.amount_minor) for line in posting.lines)
    return tuple(
        PostingLine(account_id=account, amount_minor=side, party_id=party, description=f"Undoes {posting.marker}")
        for account, side, party in sides
    )


def is_taken_back(document: Document) -> bool:
    """Whether it stands for nothing any more. QuickBooks says so in its memo, which a user may have changed since."""
    return document.voided or not document.amount_minor


def changed_since_seen(seen: Posting, document: Document | None) -> str | None:
    """Why a document must not be taken back as it is now; None if it is as it was seen (`taking_back`).

    Its SyncToken or EditSequence says little: QuickBooks counts it up whenever something is linked to the document.
    """
    if document is None:
        return "Somebody deleted it in QuickBooks meanwhile."
    if document.voided:
        return "Somebody voided it in QuickBooks meanwhile."
    parts = (
        ("amount", seen.amount_minor, document.amount_minor),
        ("currency", seen.currency, document.currency),
        ("date", seen.dated, document.dated),
        ("customer", seen.party_id, document.customer_id),
        ("account", seen.account_id, document.account_id or ""),
        ("documents it is applied to", sorted(seen.applied, key=str), sorted(document.applied, key=str)),
    )
    changed = [name for name, before, now in parts if before != now]
    return f"Somebody changed its {' and '.join(changed)} in QuickBooks meanwhile." if changed else None
