"""What Tieout intends to write into the books, as data: one Posting is one document in the ledger."""

from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from reconcile.labels import Labels, PostingRule, WithoutInvoice
from reconcile.records import Applied
from reconcile.rules import Rules

PostingKind = Literal[
    "invoice",
    "payment",
    "sales_receipt",
    "refund_receipt",
    "credit_memo",
    "ar_refund",
    "purchase",
    "deposit",
    "transfer",
    "journal_entry",
]
Change = Literal["link", "move", "restore", "void", "delete"]
POSTED = "posted:"  # before a marker: the document of that posting, whose id is known when this one is sent
OpenItems = Literal["unsaid", "post", "in_books"]
Sending = Literal["off", "draft", "finalize", "send"]
SHORT_LIMIT = 500  # minor units, where no limit was set: 5.00 USD, 500 JPY
LegState = Literal["matched", "posted", "waiting", "ignored"]

# Accounts that single rows of the accounting table need, by what they are called in the books.
ROLES = {
    "disputes_receivable": "Disputes receivable",
    "dispute_losses": "Dispute losses",
    "dispute_fees": "Dispute fees",
    "reserve": "Stripe reserve",
    "refunds_owed": "Refunds owed",
    "exchange": "Exchange Gain or Loss",
    "bridge": "Stripe FX bridge",
    "rounding": "Rounding",
    "write_offs": "Small write-offs",
    "outside_fees": "Bank fees kept by others",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PostingLine:
    """One line: of an item (receipts), of an account (purchase, deposit) or a side of a journal entry.

    `amount_minor` is signed as the document kind reads it (positive adds to the document's total); a journal line
    is a debit when positive, a credit when negative. `party_id` is the customer of a line on receivables; `tax_code` is
    that of a line on an account.
    """

    amount_minor: int
    account_id: str | None = None
    item_id: str | None = None
    party_id: str | None = None
    description: str = ""
    tax_code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One document to be written, complete but for what is known only when it is sent (sync tokens, ids of `after`).

    `marker` names it for ever: processor id, kind, revision, step. `account_id` is the clearing account, or where a
    transfer's money comes from; `other_account_id` is where it goes to. `party_id` is the customer, or a purchase's
    payee. `amount_minor` is the document's total in `currency`, after `discount_minor`, `tax_minor` of it tax by
    `tax_code`; `exchange_rate` is home units for one of `currency`, None in home currency. `applied` are the invoices a
    payment pays. `after` is the marker of a posting that must be in the books first. `shares` are the legs it books.
    `class_id` is that of every line, `location_id` and `payment_method_id` the document's.

    With a `target` (a document's id, or POSTED and a marker) no document is made but that one changed: `link` adds
    `applied` to what it is applied to, `move` takes it off its invoices before, `restore` gives it this content again,
    under its `original` marker, where a person had `seen` what it says otherwise (`sync.difference`). `void` and
    `delete` take it back: then all else is what a person saw of it.

    `undoes` is the marker of the posting whose document this one takes back, also by an entry of its own.
    `discounts` are what a payment in QuickBooks Desktop closes of its invoices beside what it pays.
    """

    marker: str
    kind: PostingKind
    dated: date
    currency: str
    amount_minor: int
    account_id: str
    memo: str
    reference: str = ""
    party_id: str | None = None
    payee: Literal["vendor", "customer"] = "vendor"
    other_account_id: str | None = None
    exchange_rate: str | None = None
    tax_minor: int = 0
    tax_code: str | None = None
    discount_minor: int = 0
    applied: tuple[Applied, ...] = ()
    lines: tuple[PostingLine, ...] = ()
    shares: tuple["Share", ...] = ()
    after: str | None = None
    target: str | None = None
    change: Change | None = None
    original: str | None = None
    seen: str | None = None
    undoes: str | None = None
    class_id: str | None = None
    location_id: str | None = None
    payment_method_id: str | None = None
    discounts: tuple["Discount", ...] = ()

    @property
    def mark(self) -> str:
        """The marker its document carries."""
        return self.original or self.marker


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """The part of a leg that a posting books, as it changes the clearing account."""

    leg_id: str
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Discount:
    """What is closed of a document (`document_id`) against an account, without money."""

    document_id: str
    amount_minor: int
    account_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """A part of a movement that the books must show: its gross or one kind of its fee.

    `id` is "<movement id>:gross" or "<movement id>:<fee kind>"; `category` is its movement's.
    `amount_minor` is the change of the Stripe balance; together the legs of a movement make its net.
    """

    id: str
    movement_id: str
    kind: str
    category: str
    currency: str
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LegDecision:
    """Where a leg stands, and why. `reason` is a code, `detail` the sentence a person reads.

    `document_ids` are the documents it is matched to; `markers` name the postings that book it;
    `source_id` is the Stripe object behind it (charge, refund, payout), for drilling down.
    """

    leg: Leg
    state: LegState
    reason: str
    detail: str
    source_id: str
    document_ids: tuple[str, ...] = ()
    markers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What was decided of a snapshot: what to write, where every leg stands, the credit notes of which nothing is left
    to do, and what payments take of each document (minor units).
    """

    postings: tuple[Posting, ...] = ()
    decisions: tuple[LegDecision, ...] = ()
    settled_notes: tuple[str, ...] = ()
    taken: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mappings:
    """The accountant's choices of one link: which account, item or vendor each role means.

    Keys of `clearing` and `bank` are currencies, also of `foreign_vendors`, who stand for Stripe in other
    currencies than the company's own; of `fees` and `fee_tax_codes` kinds of fees and bills, of `tax_codes` kinds of
    documents (reconcile.taxes.DOCUMENTS), of `accounts` those of ROLES. A role that is
    missing makes what needs it wait, with that reason. `labels` are on every document, unless one of `rules` says
    otherwise; the first that fits counts.
    """

    clearing: dict[str, str] = field(default_factory=dict)
    bank: dict[str, str] = field(default_factory=dict)
    fees: dict[str, str] = field(default_factory=dict)
    fee_vendor: str | None = None
    foreign_vendors: dict[str, str] = field(default_factory=dict)
    sales_item: str | None = None
    refund_item: str | None = None
    sales_tax_code: str | None = None
    tax_codes: dict[str, str] = field(default_factory=dict)
    fee_tax_codes: dict[str, str] = field(default_factory=dict)
    opening_account: str | None = None
    accounts: dict[str, str] = field(default_factory=dict)
    labels: Labels = field(default_factory=Labels)
    rules: tuple[PostingRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """What to do where the accountant has a choice.

    `open_items` is whether disputes that were open at the cut-over get an opening entry; `sending` is how far invoices
    of the books go at Stripe, `create_customers` whether Stripe's customers are made in the books too. `short_limits`
    say by currency up to how many minor units a payment may be short and its invoice be closed all the same. `matching`
    is how records are matched. Above its `approval_limits` of a currency (minor units; none: never) what a person does
    waits for a second one.
    """

    charge_without_invoice: WithoutInvoice = "wait"
    sending: Sending = "off"
    create_customers: bool = False
    closed_period: Literal["wait", "first_open_day"] = "wait"
    refund: Literal["receipt", "receivables"] = "receipt"
    stripe_invoice: Literal["wait", "create"] = "wait"
    open_items: OpenItems = "unsaid"
    short_limits: dict[str, int] = field(default_factory=dict)
    matching: Rules = field(default_factory=Rules)
    approval_limits: dict[str, int] = field(default_factory=dict)

    def short_limit(self, currency: str) -> int:
        return self.short_limits.get(currency, SHORT_LIMIT)
