"""What Tieout knows of the two systems' objects: frozen records, free of either vendor's wire format.

The adapters make them at the edge; storage keeps them; everything else reads only these. Amounts are minor units of
the record's `currency` (ISO, upper case); instants are aware UTC datetimes, dates are plain days in the company's zone.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

DocumentKind = Literal[
    "invoice",
    "payment",
    "sales_receipt",
    "refund_receipt",
    "credit_memo",
    "purchase",
    "ar_refund",
    "deposit",
    "transfer",
    "journal_entry",
]

# ---- Stripe


@dataclass(frozen=True, slots=True, kw_only=True)
class Fee:
    """One entry of a balance transaction's fee_details. Positive lowers the balance; `kind` is an open vocabulary."""

    kind: str
    amount_minor: int
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """One balance transaction: the authority for every amount that touches the clearing account.

    `net_minor` = `gross_minor` - `fee_minor` = the change of the Stripe balance; `fee_minor` = sum of `fees`.
    `category` is Stripe's reporting_category (open vocabulary).
    """

    id: str
    created_at: datetime
    currency: str
    gross_minor: int
    fee_minor: int
    net_minor: int
    fees: tuple[Fee, ...]
    category: str
    type: str
    source_id: str | None
    status: str
    available_on: datetime | None = None
    balance_type: str = "payments"
    exchange_rate: str | None = None
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """A Stripe charge in the currency the customer paid. `movement_id` is None until Stripe has settled it."""

    id: str
    created_at: datetime
    currency: str
    amount_minor: int
    captured_minor: int
    refunded_minor: int
    status: str
    movement_id: str | None
    payment_intent_id: str | None = None
    customer_id: str | None = None
    customer_name: str | None = None
    customer_email: str | None = None
    description: str = ""
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    id: str
    created_at: datetime
    currency: str
    amount_minor: int
    status: str
    charge_id: str | None
    movement_id: str | None
    failure_movement_id: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    id: str
    created_at: datetime
    currency: str
    amount_minor: int
    status: str
    charge_id: str | None
    movement_ids: tuple[str, ...] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Payout:
    """`arrives_on` is the UTC calendar date of Stripe's arrival_date, never converted to another zone.

    `trace_id` is the bank's reference; it becomes known some days after the payout.
    """

    id: str
    created_at: datetime
    currency: str
    amount_minor: int
    status: str
    arrives_on: date
    automatic: bool
    movement_id: str | None
    failure_movement_id: str | None = None
    reconciliation_status: str = "not_applicable"
    method: str = "standard"
    trace_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutItems:
    """Which movements an automatic payout paid out (its own movement included)."""

    id: str
    movement_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BilledContent:
    """What a Stripe invoice charges for: lines (amount without tax, description), what is taken off, and the tax."""

    lines: tuple[tuple[int, str], ...]
    discount_minor: int = 0
    tax_minor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorInvoice:
    """A Stripe invoice. `metadata` may name the invoice in the books (`qbo_invoice_id`).

    `due_minor` is what it asked for when it was finalized, `remaining_minor` what it still asks for, `starting_minor`
    what the customer's balance adds to it, `outside_minor` what was paid of it without Stripe, `credited_minor` what
    credit notes came to, before it was paid and after. `busy`: a payment of it is under way; None: nobody has looked.
    `products` are the ids of those on its lines.
    """

    id: str
    created_at: datetime
    currency: str
    total_minor: int
    status: str | None
    number: str | None = None
    customer_id: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    due_minor: int = 0
    paid_minor: int = 0
    remaining_minor: int = 0
    starting_minor: int = 0
    has_automatic_tax: bool = False
    content: BilledContent | None = None  # None: it has more lines than Stripe shows at once
    busy: bool | None = None
    products: tuple[str, ...] = ()
    outside_minor: int = 0
    credited_minor: int = 0

    @property
    def settled_outside_minor(self) -> int:
        """What no Stripe payment paid of it: paid elsewhere, or from the customer's balance at Stripe."""
        if self.status not in ("open", "paid"):
            return 0
        return self.outside_minor + (max(0, -self.starting_minor) if self.status == "paid" else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoicePayment:
    """Says which part of a payment paid which Stripe invoice: the only path from a charge to its invoice."""

    id: str
    created_at: datetime
    currency: str
    invoice_id: str
    status: str
    paid_minor: int
    payment_intent_id: str | None = None
    charge_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditNote:
    """What lowers a Stripe invoice. `before_minor` came off what was open on it; of the rest, `credited_minor` went to
    the customer's balance, `outside_minor` was credited outside of Stripe, and what is left was refunded.
    """

    id: str
    created_at: datetime
    effective_at: datetime
    currency: str
    total_minor: int
    before_minor: int
    credited_minor: int
    outside_minor: int
    invoice_id: str
    status: str
    number: str
    refund_ids: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)


# ---- both


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """A customer of either system. QuickBooks gives each exactly one currency; at Stripe it is only the usual one.

    `counterpart_id` is the Stripe customer that the books themselves name. `balances` are what a Stripe customer owes
    (above zero) or has to their credit apart from any invoice, in minor units by currency.
    """

    id: str
    name: str
    email: str | None = None
    currency: str | None = None
    active: bool = True
    metadata: dict[str, str] = field(default_factory=dict)
    counterpart_id: str | None = None
    balances: dict[str, int] = field(default_factory=dict)


# ---- the books


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """A part of a payment or credit set against another document (`id` is a ledger id such as "invoice:70")."""

    id: str
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLeg:
    """What a document does to one account, in the document's currency: positive is a debit."""

    account_id: str
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document in the books. `id` is unique over all kinds ("payment:12"); `ledger_id` is the ledger's own ("12").

    `amount_minor` is its total; `open_minor` what is unpaid (invoice) or unapplied (payment, credit memo).
    `marker` is ours, read back from its memo; `external_ids` are Stripe ids found in its fields.
    `legs` are its effects on accounts, as far as the document itself tells, in the document's currency;
    `exchange_rate` is home units for one of `currency`, None in home currency.
    """

    id: str
    kind: DocumentKind
    ledger_id: str
    version: str
    currency: str
    amount_minor: int
    dated: date
    open_minor: int = 0
    due_date: date | None = None
    customer_id: str | None = None
    customer_name: str | None = None
    customer_email: str | None = None
    doc_number: str | None = None
    memo: str = ""
    marker: str | None = None
    external_ids: tuple[str, ...] = ()
    applied: tuple[Applied, ...] = ()
    account_id: str | None = None
    legs: tuple[AccountLeg, ...] = ()
    tax_minor: int = 0
    tax_code: str | None = None
    exchange_rate: str | None = None
    voided: bool = False
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account of the chart of accounts. `type` in QuickBooks' words (Bank, Income, Expense, ...)."""

    id: str
    name: str
    type: str
    currency: str
    active: bool = True
    balance_minor: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """An item or a vendor: something a posting refers to by id."""

    id: str
    name: str
    currency: str | None = None
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxRate:
    """A rate of tax: `percent` of a net amount, as a decimal number; below zero where it is taken off again."""

    id: str
    name: str
    percent: str
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxCode:
    """What a line is taxed by: the ids of its rates on sales and on purchases."""

    id: str
    name: str
    taxable: bool
    sales: tuple[str, ...] = ()
    purchases: tuple[str, ...] = ()
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """The company whose books these are. `closed_through` is its book close date; `applies_by_itself` says that it puts
    payments or credits on open invoices unasked.
    """

    id: str
    name: str
    home_currency: str
    closed_through: date | None = None
    applies_by_itself: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """The ledger's own exchange rate of a day: home units for one of `currency`, as a decimal number."""

    currency: str
    day: date
    rate: str


Record = (
    Movement
    | Charge
    | Refund
    | Dispute
    | Payout
    | PayoutItems
    | ProcessorInvoice
    | InvoicePayment
    | CreditNote
    | Customer
    | Document
    | Account
    | Named
    | TaxRate
    | TaxCode
    | Company
    | Rate
)
