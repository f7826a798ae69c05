"""Postings as qbXML. Frozen into the outbox, so the same posting always gives the same bytes."""

import hashlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from reconcile.postings import Posting, PostingLine
from reconcile.records import Applied
from reconcile.restoring import FIXED_ON_DESKTOP
from sync.errors import Rejected
from sync.markers import note
from sync.qbd import restoring
from sync.qbd.qbxml import MESSAGE_SET_ID_MAX, Node, amount, message, ref, value
from sync.qbd.taxes import SalesTax, lines_of

ENTITY = {
    "payment": "ReceivePayment",
    "sales_receipt": "SalesReceipt",
    "credit_memo": "CreditMemo",
    "purchase": "Check",
    "ar_refund": "ARRefundCreditCard",
    "deposit": "Deposit",
    "transfer": "Transfer",
    "journal_entry": "JournalEntry",
    "invoice": "Invoice",
}
TAXED = ("invoice", "credit_memo", "sales_receipt")
KIND = {entity: kind for kind, entity in ENTITY.items()}
TAKES_BACK = ("void", "delete")
NAMESPACE = uuid.UUID("7c9c1f0e-51f0-5c0a-9c49-7e1f6a0e8c11")  # of our markers
REFERENCE_MAX, PAYMENT_REFERENCE_MAX = 11, 20


def message_set_id(posting: Posting, connection_id: int, attempt: int) -> str:
    """By which QuickBooks knows a write again, so that it does it once.

    Only a body that was refused, so that nothing was written, is ever built anew, under the next attempt's id.
    """
    name = f"{connection_id}/{posting.marker}/{attempt}"
    return "s" + hashlib.sha256(name.encode()).hexdigest()[: MESSAGE_SET_ID_MAX - 1]


def external_guid(posting: Posting) -> str:
    """Our marker in the form of QuickBooks' ExternalGUID."""
    return "{" + str(uuid.uuid5(NAMESPACE, posting.marker)) + "}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the books say around a document: the receivables account of what it is applied to, the ListID of its
    currency if that is not the company's own, its sales tax, and, of a document that is changed, its InvoiceRet,
    ReceivePaymentRet and so on, and what is open on what it was posted for.
    """

    ar_account_id: str | None = None
    sales_tax: SalesTax | None = None
    currency_id: str | None = None
    target: Any | None = None
    open_minor: Mapping[str, int] = field(default_factory=dict)  # by document id


NOTHING = Surroundings()


def write_body(posting: Posting, set_id: str, around: Surroundings = NOTHING) -> str:
    """The set of one request that a posting asks for. Raises Rejected for what QuickBooks Desktop cannot do."""
    if posting.tax_minor and (around.sales_tax is None or posting.kind not in TAXED):
        raise Rejected(
            "Sales tax is switched off in this company of QuickBooks Desktop. Switch it on there (Edit, Preferences, "
            "Sales Tax), then retry; or record this by hand, then match it in Review."
        )
    name, builder = _way(posting)
    if builder is None:
        raise Rejected(
            "Tieout cannot do this in QuickBooks Desktop: it would change a document that is there, or needs a kind of "
            "document that Desktop has not. Do it by hand there, then match it in Review."
        )
    try:
        content = builder(posting, around)
    except ValueError as error:
        raise Rejected(str(error)) from None
    nodes: list[Node] = content if posting.change in TAKES_BACK else [(name, content)]
    return message(name, nodes, request_id=message_request_id(set_id), message_set_id=set_id)


def _way(posting: Posting) -> tuple[str, "Builder | None"]:
    """The request that writes it, and what fills it."""
    if posting.change == "restore":
        is_fixed = posting.kind not in ENTITY or posting.kind in FIXED_ON_DESKTOP
        return ("", None) if is_fixed else (f"{ENTITY[posting.kind]}Mod", _restore)
    if posting.change is not None:
        return CHANGES.get(posting.change, ("", None))
    return f"{ENTITY[posting.kind]}Add" if posting.kind in ENTITY else "", BUILDERS.get(posting.kind)


def message_request_id(set_id: str) -> str:
    """The id of the one request of a set."""
    return f"w{set_id}"


def _payment(posting: Posting, around: Surroundings) -> list[Node]:
    applied: list[Node] = [("AppliedToTxnAdd", _paid(posting, part)) for part in posting.applied]
    return [
        ref("CustomerRef", posting.party_id),
        ref("ARAccountRef", around.ar_account_id),
        ("TxnDate", posting.dated.isoformat()),
        ("RefNumber", posting.reference[-PAYMENT_REFERENCE_MAX:] or None),
        ("TotalAmount", amount(posting.amount_minor, posting.currency)),
        ("ExchangeRate", posting.exchange_rate),
        ref("PaymentMethodRef", posting.payment_method_id),
        ("Memo", note(posting)),
        ref("DepositToAccountRef", posting.account_id),
        ("ExternalGUID", external_guid(posting)),
        *(applied or [("IsAutoApply", "false")]),
    ]


def _paid(posting: Posting, part: Applied) -> list[Node]:
    """What a payment pays of a document, and what of it is closed without money."""
    paid: list[Node] = [("TxnID", _txn_id(part.id)), ("PaymentAmount", amount(part.amount_minor, posting.currency))]
    for each in posting.discounts:
        if each.document_id == part.id:
            taken_off = amount(each.amount_minor, posting.currency)
            paid += [("DiscountAmount", taken_off), ref("DiscountAccountRef", each.account_id)]
    return paid


def _credit_use(posting: Posting, around: Surroundings) -> list[Node]:
    """A payment of nothing that sets what is left of the target against something else: QuickBooks keeps no document
    of it. Sent twice it is refused, for one of the two is used up by then.
    """
    (part,) = posting.applied
    credit: list[Node] = [
        ("CreditTxnID", _txn_id(posting.target or "")),
        ("AppliedAmount", amount(part.amount_minor, posting.currency)),
    ]
    return [
        ref("CustomerRef", posting.party_id),
        ref("ARAccountRef", around.ar_account_id),
        ("TxnDate", posting.dated.isoformat()),
        ("TotalAmount", amount(0, posting.currency)),
        ("AppliedToTxnAdd", [("TxnID", _txn_id(part.id)), ("SetCredit", credit)]),
    ]


def _move(posting: Posting, around: Surroundings) -> list[Node]:
    """Takes a payment off the invoices it is on and sets it against something else. Raises ValueError."""
    if around.target is None:
        raise ValueError("The payment is not in QuickBooks any more.")
    on_invoices = [
        value(each, "TxnID") or ""
        for each in around.target.findall("AppliedToTxnRet")
        if value(each, "TxnType") == "Invoice"
    ]
    amounts = [(each, 0) for each in on_invoices]
    amounts += [(_txn_id(part.id), part.amount_minor) for part in posting.applied]
    applied: list[Node] = [
        ("AppliedToTxnMod", [("TxnID", txn_id), ("PaymentAmount", amount(minor, posting.currency))])
        for txn_id, minor in amounts
    ]
    return [("TxnID", value(around.target, "TxnID")), ("EditSequence", value(around.target, "EditSequence")), *applied]


def _restore(posting: Posting, around: Surroundings) -> list[Node]:
    """Raises ValueError."""
    if around.target is None:
        raise ValueError("The document is not in QuickBooks any more.")
    return restoring.mod(posting, BUILDERS[posting.kind](posting, around), around.target, around.open_minor)


def _void(posting: Posting, _around: Surroundings) -> list[Node]:
    """QuickBooks asks for no EditSequence here: the document is looked at right before. Raises ValueError."""
    if posting.kind in ("payment", "transfer"):
        raise ValueError(f"QuickBooks Desktop voids no {posting.kind}. Take it back there by hand.")
    return [("TxnVoidType", ENTITY[posting.kind]), ("TxnID", _txn_id(posting.target or ""))]


def _delete(posting: Posting, _around: Surroundings) -> list[Node]:
    """Raises ValueError."""
    if posting.kind == "transfer":
        raise ValueError("QuickBooks Desktop lets only its users delete a transfer. Delete it there by hand.")
    return [("TxnDelType", ENTITY[posting.kind]), ("TxnID", _txn_id(posting.target or ""))]


def _invoice(posting: Posting, around: Surroundings) -> list[Node]:
    """What is taken off is a line of its own, of the same item."""
    discount = PostingLine(
        amount_minor=-posting.discount_minor, item_id=posting.lines[0].item_id, description="Discount"
    )
    lines = posting.lines if not posting.discount_minor else (*posting.lines, discount)
    return [
        ref("CustomerRef", posting.party_id),
        ref("ARAccountRef", around.ar_account_id),
        ("TxnDate", posting.dated.isoformat()),
        ("RefNumber", posting.reference[-REFERENCE_MAX:] or None),
        _tax_item(posting),
        ("Memo", note(posting)),
        ("ExchangeRate", posting.exchange_rate),
        ("ExternalGUID", external_guid(posting)),
        *_item_lines("InvoiceLineAdd", replace(posting, lines=lines), around),
    ]


def _sales_receipt(posting: Posting, around: Surroundings) -> list[Node]:
    return [
        ref("CustomerRef", posting.party_id),
        ("TxnDate", posting.dated.isoformat()),
        ("RefNumber", posting.reference[-REFERENCE_MAX:] or None),
        ref("PaymentMethodRef", posting.payment_method_id),
        _tax_item(posting),
        ("Memo", note(posting)),
        ref("DepositToAccountRef", posting.account_id),
        ("ExchangeRate", posting.exchange_rate),
        ("ExternalGUID", external_guid(posting)),
        *_item_lines("SalesReceiptLineAdd", posting, around),
    ]


def _credit_memo(posting: Posting, around: Surroundings) -> list[Node]:
    return [
        ref("CustomerRef", posting.party_id),
        ref("ARAccountRef", around.ar_account_id),
        ("TxnDate", posting.dated.isoformat()),
        ("RefNumber", posting.reference[-REFERENCE_MAX:] or None),
        _tax_item(posting),
        ("Memo", note(posting)),
        ("ExchangeRate", posting.exchange_rate),
        ("ExternalGUID", external_guid(posting)),
        *_item_lines("CreditMemoLineAdd", posting, around),
    ]


def _check(posting: Posting, _around: Surroundings) -> list[Node]:
    lines: list[Node] = [
        (
            "ExpenseLineAdd",
            [
                ref("AccountRef", line.account_id),
                ("Amount", amount(line.amount_minor, posting.currency)),
                ("Memo", line.description or None),
                ref("CustomerRef", line.party_id),
                ref("ClassRef", posting.class_id),
            ],
        )
        for line in posting.lines
    ]
    return [
        ref("AccountRef", posting.account_id),
        ref("PayeeEntityRef", posting.party_id),
        ("RefNumber", posting.reference[-REFERENCE_MAX:] or None),
        ("TxnDate", posting.dated.isoformat()),
        ("Memo", note(posting)),
        ("IsToBePrinted", "false"),
        ("ExchangeRate", posting.exchange_rate),
        ("ExternalGUID", external_guid(posting)),
        *lines,
    ]


def _card_refund(posting: Posting, around: Surroundings) -> list[Node]:
    applied: list[Node] = [
        (
            "RefundAppliedToTxnAdd",
            [("TxnID", _txn_id(part.id)), ("RefundAmount", amount(part.amount_minor, posting.currency))],
        )
        for part in posting.applied
    ]
    return [
        ref("CustomerRef", posting.party_id),
        ref("RefundFromAccountRef", posting.account_id),
        ref("ARAccountRef", around.ar_account_id),
        ("TxnDate", posting.dated.isoformat()),
        ("RefNumber", posting.reference[-REFERENCE_MAX:] or None),
        ref("PaymentMethodRef", posting.payment_method_id),
        ("Memo", note(posting)),
        ("ExchangeRate", posting.exchange_rate),
        ("ExternalGUID", external_guid(posting)),
        *applied,
    ]


def _deposit(posting: Posting, around: Surroundings) -> list[Node]:
    """Payments out of Undeposited Funds, whole, and lines of accounts."""
    lines: list[Node] = [
        (
            "DepositLineAdd",
            [
                ref("AccountRef", line.account_id),
                ("Memo", line.description or None),
                ref("ClassRef", posting.class_id),
                ("Amount", amount(line.amount_minor, posting.currency)),
            ],
        )
        for line in posting.lines
    ]
    taken: list[Node] = [("DepositLineAdd", [("PaymentTxnID", _txn_id(part.id))]) for part in posting.applied]
    return [
        ("TxnDate", posting.dated.isoformat()),
        ref("DepositToAccountRef", posting.account_id),
        ("Memo", note(posting)),
        ref("CurrencyRef", around.currency_id),
        ("ExchangeRate", posting.exchange_rate),
        ("ExternalGUID", external_guid(posting)),
        *taken,
        *lines,
    ]


def _transfer(posting: Posting, _around: Surroundings) -> list[Node]:
    """The one document without an ExternalGUID: only its memo says whose it is."""
    return [
        ("TxnDate", posting.dated.isoformat()),
        ref("TransferFromAccountRef", posting.account_id),
        ref("TransferToAccountRef", posting.other_account_id),
        ("Amount", amount(posting.amount_minor, posting.currency)),
        ("Memo", note(posting)),
    ]


def _journal_entry(posting: Posting, around: Surroundings) -> list[Node]:
    return [
        ("TxnDate", posting.dated.isoformat()),
        ("RefNumber", posting.reference[-REFERENCE_MAX:] or None),
        ("Memo", note(posting)),
        ref("CurrencyRef", around.currency_id),
        ("ExchangeRate", posting.exchange_rate),
        ("ExternalGUID", external_guid(posting)),
        *(_journal_line(posting, line) for line in posting.lines),
    ]


def _journal_line(posting: Posting, line: PostingLine) -> Node:
    name = "JournalDebitLine" if line.amount_minor > 0 else "JournalCreditLine"
    content: Sequence[Node] = [
        ref("AccountRef", line.account_id),
        ("Amount", amount(abs(line.amount_minor), posting.currency)),
        ("Memo", line.description or None),
        ref("EntityRef", line.party_id),
        ref("ClassRef", posting.class_id),
    ]
    return name, content


def _tax_item(posting: Posting) -> Node:
    """What the tax is worked out by; without any, whatever the company has by default has nothing to work on."""
    return ref("ItemSalesTaxRef", posting.tax_code if posting.tax_minor else None)


def _item_lines(name: str, posting: Posting, around: Surroundings) -> list[Node]:
    tax = around.sales_tax
    percent = tax.percents.get(posting.tax_code or "") if tax else None
    return [
        (
            name,
            [
                ref("ItemRef", line.item_id),
                ("Desc", line.description or None),
                ref("ClassRef", posting.class_id),
                ("Amount", amount(line.amount_minor, posting.currency)),
                ref("SalesTaxCodeRef", (tax.taxable_id if is_taxed else tax.untaxed_id) if tax else None),
            ],
        )
        for line, is_taxed in lines_of(posting, percent)
    ]


def _txn_id(document_id: str) -> str:
    return document_id.partition(":")[2]


Builder: TypeAlias = Callable[[Posting, Surroundings], list[Node]]

BUILDERS: dict[str, Builder] = {
    "invoice": _invoice,
    "payment": _payment,
    "sales_receipt": _sales_receipt,
    "credit_memo": _credit_memo,
    "purchase": _check,
    "ar_refund": _card_refund,
    "deposit": _deposit,
    "transfer": _transfer,
    "journal_entry": _journal_entry,
}
CHANGES: dict[str, tuple[str, Builder]] = {
    "link": ("ReceivePaymentAdd", _credit_use),
    "move": ("ReceivePaymentMod", _move),
    "void": ("TxnVoid", _void),
    "delete": ("TxnDel", _delete),
}
