"""Everything one round of matching and planning looks at, read at one moment."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from reconcile.choices import DecisionKind, PersonDecision
from reconcile.postings import Mappings, Policies
from reconcile.records import (
    Charge,
    CreditNote,
    Customer,
    Dispute,
    Document,
    InvoicePayment,
    Movement,
    Payout,
    ProcessorInvoice,
    Refund,
)
from reconcile.taxes import Levy, Tax, tax_of


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDispute:
    """A dispute that was open at the cut-over, and what Stripe had taken for it by then, in minor units."""

    id: str
    taken_minor: int
    movement_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What the clearing account of a currency must hold at the start of the cut-over day, and what it held already.

    All in minor units: Stripe's balance then, the payouts then in transit, and the documents dated earlier. `disputes`
    stand beside it: what they had taken was no longer in Stripe's balance, nor was `reserved_minor`, which Stripe held
    back.
    """

    currency: str
    stripe_minor: int
    in_transit_minor: int
    existing_minor: int
    disputes: tuple[OpenDispute, ...] = ()
    reserved_minor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a charge is booked: by us (`marker`), or by a document we found (`marker` None).

    `customer_id` is None if it is of several customers, or of none that is known; `in_books` is False if it is only in
    the opening balance. `unapplied_minor` is what is left of the credit of the payments `credit_of`, which charges may
    share.
    """

    customer_id: str | None
    marker: str | None = None
    unapplied_minor: int = 0
    credit_of: tuple[str, ...] = ()
    tax: Tax | None = None
    in_books: bool = True
    is_payment: bool = False  # ours, which can be applied to something else


def recorded_place(
    recorded: Sequence[Document], documents: Mapping[str, Document], given_back: Mapping[str, int]
) -> Place:
    """Where a charge is that somebody else recorded, in one document or several; `documents` hold the invoices that
    payments pay, `given_back` what refunds took from the credit of payments.
    """
    customers = {each.customer_id for each in recorded}
    paid = [documents[part.id] for each in recorded for part in each.applied if part.id in documents]
    return Place(
        customer_id=customers.pop() if len(customers) == 1 else None,
        unapplied_minor=credit_left(recorded, max((given_back.get(each.id, 0) for each in recorded), default=0)),
        credit_of=tuple(each.id for each in recorded),
        tax=tax_of(paid or recorded),
    )


def credit_left(recorded: Iterable[Document], given_back_minor: int) -> int:
    """What payments leave with their customer: neither on an invoice nor given back by us.

    A person links what we gave back to a payment, sooner or later: it must not be counted twice then.
    """
    signs = {"invoice": 1, "credit_memo": -1}
    payments = [each for each in recorded if each.kind == "payment"]
    applied = sum(
        signs.get(part.id.partition(":")[0], 0) * part.amount_minor for each in payments for part in each.applied
    )
    whole = sum(each.amount_minor for each in payments)
    return max(0, min(sum(each.open_minor for each in payments), whole - applied - given_back_minor))


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeBooks:
    """What our entries of a dispute come to: `held_minor` on Disputes receivable (home currency), after `closings`
    closing entries. `taken` is what each entry took, in the clearing account's and in home currency.

    `movement_ids` are those we booked, the last of them on `last_day`; `closed_at` is when Stripe said it was closed.
    """

    held_minor: int = 0
    taken: tuple[tuple[int, int], ...] = ()
    closings: int = 0
    movement_ids: frozenset[str] = frozenset()
    last_day: date | None = None
    last_marker: str | None = None
    closed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One link at one moment. Dicts are by id; `movements` are those with a leg still to be decided.

    `busy` are invoices with a posting under way or refused: what is open on them is not certain now. `paid` are the
    invoices that payments among `documents` have paid: of them only the tax matters. `given_back` is what refunds took
    from the credit of typed payments among them. `closed_otherwise` are invoices
    that a credit closed which somebody typed in. `receivables` are the accounts receivable by currency. `rates` are
    QuickBooks' own, home units for one of a currency, by day.

    `payout_items` are the movements of payouts around what others typed in on the clearing account.

    `credit_notes` are those not settled; `noted_invoices` the Stripe invoices they lower, `noted_documents` what those
    are in the books (by Stripe invoice). `note_markers` are our postings of them, True once in the books; `notes_left`
    are those a person left as they are. `credit_memos` are others', dated around them.
    """

    account_id: str  # Stripe's, so that two links into one company never share a marker
    home_currency: str
    time_zone: str
    cutover: date
    mappings: Mappings
    policies: Policies
    closed_through: date | None = None
    can_post: bool = True  # False where the books are known from files only
    on_desktop: bool = False  # QuickBooks Desktop has no refund receipts, and applies credits without a document
    movements: tuple[Movement, ...] = ()
    charges: dict[str, Charge] = field(default_factory=dict)
    refunds: dict[str, Refund] = field(default_factory=dict)
    disputes: dict[str, Dispute] = field(default_factory=dict)
    payouts: dict[str, Payout] = field(default_factory=dict)
    payout_items: dict[str, tuple[str, ...]] = field(default_factory=dict)
    invoice_payments: tuple[InvoicePayment, ...] = ()
    processor_invoices: dict[str, ProcessorInvoice] = field(default_factory=dict)
    customers: dict[str, Customer] = field(default_factory=dict)
    documents: dict[str, Document] = field(default_factory=dict)
    counterparts: dict[tuple[str, str], str] = field(default_factory=dict)  # by Stripe customer and currency
    paid: dict[str, Document] = field(default_factory=dict)
    given_back: Mapping[str, int] = field(default_factory=dict)
    decided_legs: frozenset[str] = frozenset()
    places: dict[str, Place] = field(default_factory=dict)
    dispute_books: dict[str, DisputeBooks] = field(default_factory=dict)
    receivables: dict[str, str] = field(default_factory=dict)
    rates: dict[tuple[str, date], str] = field(default_factory=dict)
    busy: frozenset[str] = frozenset()
    openings: tuple[Opening, ...] = ()
    opening_markers: dict[str, str] = field(default_factory=dict)
    decisions: dict[str, tuple[PersonDecision, ...]] = field(default_factory=dict)  # by Stripe object
    credit_notes: tuple[CreditNote, ...] = ()
    noted_invoices: dict[str, ProcessorInvoice] = field(default_factory=dict)
    noted_documents: dict[str, Document] = field(default_factory=dict)
    note_markers: dict[str, bool] = field(default_factory=dict)
    notes_left: frozenset[str] = frozenset()
    credit_memos: tuple[Document, ...] = ()
    closed_otherwise: frozenset[str] = frozenset()
    levies: Mapping[str, Levy] = field(default_factory=dict)
    spent: frozenset[str] = frozenset()  # markers of documents that are gone: never used again
    broken: tuple[str, ...] = ()  # what is wrong with choices that `mappings` had, in sentences

    def decision(self, source_id: str, kind: DecisionKind) -> PersonDecision | None:
        """What a person decided of an object, if it is of this kind."""
        return next((each for each in self.decisions.get(source_id, ()) if each.kind == kind), None)
