"""Payments that are a little short, as a person explained them: their invoice is closed in full all the same.

Somebody else (the customer's bank, another processor) kept a fee, or so little is not worth asking for. What is missing
goes to the account chosen for that. QuickBooks Online takes a journal entry (that account / receivables, with the
customer) and a payment of nothing that applies it to the invoice; in QuickBooks Desktop it is a discount of the payment
itself, for QuickBooks Desktop does not show what an entry was applied to.
"""

from collections.abc import Sequence
from dataclasses import replace

from reconcile.choices import Part, Short
from reconcile.days import day_of
from reconcile.discrepancy import name
from reconcile.draft import REFERENCE_LENGTH, Draft, memo, missing_account
from reconcile.money import Money
from reconcile.postings import POSTED, Discount, Posting, PostingLine
from reconcile.records import Applied, Charge, Document, Movement
from reconcile.snapshot import Snapshot

ROLE: dict[Short, str] = {"fee": "outside_fees", "write_off": "write_offs"}
TITLES: dict[Short, str] = {"fee": "Fee kept by somebody else", "write_off": "Small difference written off"}


def explained(snapshot: Snapshot, charge_id: str) -> Part | None:
    """The invoice that a person wants closed although its payment is short; it is one at most."""
    said = snapshot.decision(charge_id, "match")
    return next((part for part in said.parts if part.short_minor), None) if said else None


def problem(draft: Draft, part: Part) -> tuple[str, str] | None:
    """Why it cannot be closed in full. What other payments of this plan take of the invoice counts."""
    snapshot = draft.snapshot
    document = snapshot.documents[part.ledger_id]
    number = name("invoice", document.doc_number, document.ledger_id)
    free, wanted = document.open_minor - draft.taken[document.id], (part.amount_minor or 0) + part.short_minor
    if free != wanted:
        shown, expected = Money(free, document.currency), Money(wanted, document.currency)
        text = f"Of {number} {shown} is open now, not {expected}, so what the payment is short does not close it."
        return "STALE_DECISION", f"{text} Match it again."
    if missing := missing_account(snapshot, ROLE[_kind(part)]):
        return missing
    if snapshot.on_desktop:
        return None
    if document.currency not in snapshot.receivables:
        text = f"QuickBooks has no account receivable in {document.currency}. Create it."
        return "unmapped_account", text
    if document.currency != snapshot.home_currency and document.exchange_rate is None:
        text = f"{number} is in {document.currency} and tells no exchange rate. Close it by hand in QuickBooks."
        return "foreign_currency", text
    return None


def with_discount(snapshot: Snapshot, payment: Posting, part: Part) -> Posting:
    """The payment, which closes the invoice by itself. QuickBooks Desktop only."""
    account = snapshot.mappings.accounts[ROLE[_kind(part)]]
    discount = Discount(document_id=part.ledger_id, amount_minor=part.short_minor, account_id=account)
    return replace(payment, discounts=(discount,))


def closing(
    snapshot: Snapshot, charge: Charge, movements: Sequence[Movement], payment: Posting, part: Part
) -> list[Posting]:
    """What closes the invoice after its payment: an entry, and what applies it. QuickBooks Online only."""
    document = snapshot.documents[part.ledger_id]
    entry = _entry(snapshot, charge, movements, document, part)
    entry = replace(entry, after=payment.marker)
    applied = tuple(
        Applied(id=each, amount_minor=part.short_minor) for each in (f"{POSTED}{entry.marker}", document.id)
    )
    link = replace(
        entry,
        marker=f"{movements[0].id}:short-link:r1:s1",
        kind="payment",
        amount_minor=0,
        account_id=payment.account_id,
        party_id=document.customer_id,
        lines=(),
        applied=applied,
        after=entry.marker,
    )
    return [entry, link]


def _entry(
    snapshot: Snapshot, charge: Charge, movements: Sequence[Movement], document: Document, part: Part
) -> Posting:
    """At the rate of its invoice, so that nothing is gained or lost by it."""
    receivable, account = snapshot.receivables[document.currency], snapshot.mappings.accounts[ROLE[_kind(part)]]
    number, amount = document.doc_number or document.ledger_id, part.short_minor
    text = f"{TITLES[_kind(part)]}, {number}"
    return Posting(
        marker=f"{movements[0].id}:short:r1:s1",
        kind="journal_entry",
        dated=day_of(snapshot, movements),
        currency=document.currency,
        amount_minor=amount,
        account_id=receivable,
        memo=memo(charge.id, movements),
        reference=charge.id[-REFERENCE_LENGTH:],
        exchange_rate=None if document.currency == snapshot.home_currency else document.exchange_rate,
        lines=(
            PostingLine(amount_minor=amount, account_id=account, description=text),
            PostingLine(amount_minor=-amount, account_id=receivable, party_id=document.customer_id, description=text),
        ),
    )


def _kind(part: Part) -> Short:
    assert part.short_as is not None, "a person says why a payment is short"
    return part.short_as
