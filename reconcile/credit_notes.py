"""Stripe's credit notes (row 26). They have no balance transaction, so they book no leg; what a note refunds is a
refund like any other, posted by its own movement, and never again here.

What lowered an open invoice becomes a credit memo applied to the same invoice in the books; what went to the customer's
balance at Stripe, a credit memo left open. Both only if the books then ask for exactly what Stripe still asks for.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal

from reconcile.days import book_day, closed_problem, out_of_closed
from reconcile.draft import REFERENCE_LENGTH, Draft, no_clearing
from reconcile.money import Money, books_unit
from reconcile.outgoing import CREDIT_KEY
from reconcile.postings import POSTED, Posting, PostingLine
from reconcile.records import Applied, CreditNote, Document
from reconcile.snapshot import Snapshot
from reconcile.taxes import tax_of

WINDOW = timedelta(days=30)  # how far from the note a credit memo may be dated that a person typed in for it
Problem = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteDecision:
    """Where a credit note stands: `post` what goes into the books, `wait` for a person, or `settled` for good.

    A note can have postings and wait all the same: for the part that was credited outside of Stripe.
    """

    note: CreditNote
    state: Literal["post", "wait", "settled"]
    reason: str
    detail: str
    postings: tuple[Posting, ...] = ()


def markers_of(note_id: str) -> tuple[str, str, str]:
    """Of the credit memo for an open invoice, of what applies it, and of the one left open."""
    return f"{note_id}:lowered:r1:s1", f"{note_id}:lowered-link:r1:s1", f"{note_id}:balance:r1:s1"


def plan_credit_notes(draft: Draft) -> None:
    """After charges, refunds and all else: a note takes only what they leave open."""
    for each in decide_notes(draft.snapshot, draft.taken):
        draft.postings += each.postings
        if each.state == "settled":
            draft.settled_notes.append(each.note.id)


def decide_notes(snapshot: Snapshot, taken: Mapping[str, int]) -> list[NoteDecision]:
    """Every note that is not settled. `taken`: what planned payments take of each invoice."""
    unbooked: dict[str, int] = defaultdict(int)  # by Stripe invoice: what notes took off it, but not yet in the books
    notes = sorted(snapshot.credit_notes, key=lambda note: (note.created_at, note.id))
    for note in notes:
        if (
            note.status == "issued"
            and CREDIT_KEY not in note.metadata
            and not snapshot.note_markers.get(markers_of(note.id)[1])
        ):
            unbooked[note.invoice_id] += note.before_minor
    return [_ended(snapshot, note) or _decide(snapshot, note, unbooked[note.invoice_id], taken) for note in notes]


def _ended(snapshot: Snapshot, note: CreditNote) -> NoteDecision | None:
    """One that nothing is to be posted of any more, or ever."""
    name = f"Credit note {note.number}"
    if CREDIT_KEY in note.metadata:
        return _settled(note, "ours", f"{name} was given by Tieout, for what was taken off in QuickBooks.")
    if day_of(snapshot, note) < snapshot.cutover:
        return _settled(note, "opening", f"{name} is from before the cut-over.")
    if note.status != "issued":
        if not any(marker in snapshot.note_markers for marker in markers_of(note.id)):
            return _settled(note, "voided", f"{name} was voided at Stripe before it was in QuickBooks.")
        text = (
            f"{name} was voided at Stripe after its credit memo went into QuickBooks. Delete that credit memo there, "
            "then leave this as it is."
        )
        return _wait(note, "credit_note_voided", text)
    return _wait(note, "left", f"{name} was left as it is.") if note.id in snapshot.notes_left else None


def _decide(snapshot: Snapshot, note: CreditNote, unbooked: int, taken: Mapping[str, int]) -> NoteDecision:
    name, markers = f"Credit note {note.number}", snapshot.note_markers
    wanted = {marker: amount for marker, amount in _amounts(note).items() if amount}
    missing = [marker for marker in wanted if marker not in markers]
    problem = _problem(snapshot, note, missing, unbooked, taken) if missing else None
    if problem:
        return _settled(note, *problem) if problem[0] == "already_recorded" else _wait(note, *problem)
    postings = tuple(_posting(snapshot, note, marker, wanted[marker]) for marker in missing)
    if note.outside_minor:
        shown = Money(note.outside_minor, note.currency)
        text = (
            f"{shown} of {name[0].lower()}{name[1:]} was credited outside of Stripe, so Stripe cannot say how. Record "
            "in QuickBooks how the customer got it, then leave this as it is."
        )
        return replace(_wait(note, "credited_outside", text), postings=postings)
    if all(markers.get(marker) for marker in wanted):
        return _settled(
            note, "posted", f"{name} is in QuickBooks, but for what was refunded: refunds go by themselves."
        )
    return NoteDecision(note=note, state="post", reason="queued", detail=f"{name} goes in.", postings=postings)


def _amounts(note: CreditNote) -> dict[str, int]:
    """By marker, in the order in which they are posted."""
    lowered, linked, balance = markers_of(note.id)
    return {lowered: note.before_minor, linked: note.before_minor, balance: note.credited_minor}


# ---- why it cannot go into the books


def _problem(
    snapshot: Snapshot, note: CreditNote, missing: Sequence[str], unbooked: int, taken: Mapping[str, int]
) -> Problem | None:
    name, day = f"Credit note {note.number}", day_of(snapshot, note)
    invoice = snapshot.noted_documents.get(note.invoice_id)
    if invoice is None or invoice.customer_id is None:
        text = f"{name} lowers a Stripe invoice that is not in QuickBooks. Record it by hand if that invoice is there."
        return "unknown_invoice", text
    if problem := _foreign(snapshot, note, invoice):
        return problem
    if found := _recorded(snapshot, note, day, invoice):
        return found
    _, lowers, balance = markers_of(note.id)
    problem = _unequal(snapshot, note, invoice, unbooked, taken) if lowers in missing else None
    if balance in missing:
        problem = problem or _lowered_already(snapshot, note, invoice)
    return problem or _unmapped(snapshot, note, invoice) or closed_problem(snapshot, day)


def _foreign(snapshot: Snapshot, note: CreditNote, invoice: Document) -> Problem | None:
    """In another currency it goes in at the rate of its invoice, so that nothing is gained or lost by it."""
    name, by_hand = f"Credit note {note.number}", "Record it by hand in QuickBooks."
    if note.currency != invoice.currency:
        text = f"{name} is in {note.currency}, but its invoice is in {invoice.currency} in QuickBooks."
        return "foreign_currency", f"{text} {by_hand}"
    if note.currency == snapshot.home_currency:
        return None
    if invoice.exchange_rate is None:
        return "foreign_currency", f"{name} is in {note.currency}, and its invoice tells no exchange rate. {by_hand}"
    if any(amount % books_unit(note.currency) for amount in (note.before_minor, note.credited_minor)):
        return "foreign_currency", f"{name} is of more decimals than QuickBooks keeps. {by_hand}"
    return None


def _recorded(snapshot: Snapshot, note: CreditNote, day: date, invoice: Document) -> Problem | None:
    """A credit memo that somebody typed in: certain if it names the note, else a question."""
    for memo in snapshot.credit_memos:
        if note.id in memo.external_ids or (memo.doc_number == note.number and memo.currency == note.currency):
            return "already_recorded", f"Credit note {note.number} is in QuickBooks already."
    amounts = {note.total_minor, note.before_minor, note.credited_minor}
    for memo in snapshot.credit_memos:
        is_near = abs(memo.dated - day) <= WINDOW
        if is_near and memo.customer_id == invoice.customer_id and memo.amount_minor in amounts:
            text = (
                f"The credit memo {memo.doc_number or memo.ledger_id} of {Money(memo.amount_minor, memo.currency)} may "
                f"be the record of credit note {note.number}. If it is, give it the number {note.number}; if not, "
                "record the credit note by hand with that number."
            )
            return "MAY_BE_RECORDED", text
    return None


def _unequal(
    snapshot: Snapshot, note: CreditNote, invoice: Document, unbooked: int, taken: Mapping[str, int]
) -> Problem | None:
    """Once the notes are in the books, the invoice must be open there at what Stripe still asks for."""
    there = snapshot.noted_invoices[note.invoice_id]
    number = invoice.doc_number or invoice.ledger_id
    if invoice.id in snapshot.busy:
        return "in_progress", f"A posting to invoice {number} is not settled yet; its credit note is decided after it."
    left = invoice.open_minor - taken.get(invoice.id, 0)
    if left - unbooked == there.remaining_minor:
        return None
    asked, open_ = Money(there.remaining_minor, note.currency), Money(left, note.currency)
    text = (
        f"Credit note {note.number} takes {Money(note.before_minor, note.currency)} off invoice {number}. Stripe then "
        f"asks for {asked}, but {open_} is open in QuickBooks before the credit: it was paid or lowered some other "
        "way, or a payment is not in QuickBooks yet. If the credit is in QuickBooks already, leave this as it is."
    )
    return "credit_differs", text


def _lowered_already(snapshot: Snapshot, note: CreditNote, invoice: Document) -> Problem | None:
    """Somebody who lowers a paid invoice leaves its customer a credit in the books: that is the note's already."""
    there = snapshot.noted_invoices[note.invoice_id]
    if there.total_minor - invoice.amount_minor < note.total_minor:
        return None
    number = invoice.doc_number or invoice.ledger_id
    here, asked = Money(invoice.amount_minor, note.currency), Money(there.total_minor, note.currency)
    text = (
        f"Credit note {note.number} gives {Money(note.credited_minor, note.currency)} to the customer at Stripe. "
        f"Invoice {number} was {asked} there and is {here} in QuickBooks: if it was lowered after it was paid, the "
        "customer has that credit in QuickBooks already, so leave this as it is. If not, record the credit by hand."
    )
    return "credit_differs", text


def _unmapped(snapshot: Snapshot, note: CreditNote, invoice: Document) -> Problem | None:
    tax = tax_of([invoice])
    if tax and tax.code is None:
        return "refund_with_tax", f"Credit note {note.number}: its invoice has tax by several codes. Record it by hand."
    if snapshot.mappings.refund_item is None:
        return "unmapped_item", "No item is chosen for refunds and credits. Choose one under Mapping."
    if not _account(snapshot, note.currency):
        return "unmapped_account", no_clearing(snapshot, note.currency)
    return None


def _account(snapshot: Snapshot, currency: str) -> str:
    """Of the payment of nothing that applies it: in its own currency, or in ours; empty if there is none."""
    clearing = snapshot.mappings.clearing
    return clearing.get(currency) or clearing.get(snapshot.home_currency, "")


# ---- what goes into the books


def _posting(snapshot: Snapshot, note: CreditNote, marker: str, amount: int) -> Posting:
    """A credit memo, or a payment of nothing that applies it to the invoice (QuickBooks Desktop keeps none of that)."""
    lowered, linked, _ = markers_of(note.id)
    invoice = snapshot.noted_documents[note.invoice_id]
    made = _memo(snapshot, note, invoice, marker, amount)
    if marker != linked:
        return made
    if snapshot.on_desktop:
        part = Applied(id=invoice.id, amount_minor=amount)
        bare = replace(made, kind="payment", amount_minor=0, tax_minor=0, tax_code=None, lines=(), applied=(part,))
        return replace(bare, target=f"{POSTED}{lowered}", change="link", after=lowered)
    parts = tuple(Applied(id=each, amount_minor=amount) for each in (f"{POSTED}{lowered}", invoice.id))
    return replace(
        made, kind="payment", amount_minor=0, tax_minor=0, tax_code=None, lines=(), applied=parts, after=lowered
    )


def _memo(snapshot: Snapshot, note: CreditNote, invoice: Document, marker: str, amount: int) -> Posting:
    """A credit memo of the refund item, with the invoice's tax in proportion."""
    tax = tax_of([invoice])
    part = tax.part_of(amount) if tax else 0
    line = PostingLine(
        amount_minor=amount - part, item_id=snapshot.mappings.refund_item, description=f"Stripe {note.number}"
    )
    posting = Posting(
        marker=marker,
        kind="credit_memo",
        dated=day_of(snapshot, note),
        currency=note.currency,
        amount_minor=amount,
        account_id=_account(snapshot, note.currency),
        exchange_rate=None if note.currency == snapshot.home_currency else invoice.exchange_rate,
        memo=f"{note.id} {note.invoice_id}",
        reference=note.number[-REFERENCE_LENGTH:],
        party_id=invoice.customer_id,
        tax_minor=part,
        tax_code=tax.code if tax else None,
        lines=(line,),
    )
    return out_of_closed(snapshot, posting)


def day_of(snapshot: Snapshot, note: CreditNote) -> date:
    """The day it says it is in effect, on the link's clock."""
    return book_day(note.effective_at, snapshot.time_zone)


def _wait(note: CreditNote, reason: str, detail: str) -> NoteDecision:
    return NoteDecision(note=note, state="wait", reason=reason, detail=detail)


def _settled(note: CreditNote, reason: str, detail: str) -> NoteDecision:
    return NoteDecision(note=note, state="settled", reason=reason, detail=detail)
