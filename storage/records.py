"""Records as the mirror keeps them: which type each kind has, what it is part of, and when it may still be matched."""

from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

import msgspec

from reconcile.records import (
    Account,
    Charge,
    Company,
    CreditNote,
    Customer,
    Dispute,
    Document,
    InvoicePayment,
    Movement,
    Named,
    Payout,
    PayoutItems,
    ProcessorInvoice,
    Rate,
    Record,
    Refund,
    TaxCode,
    TaxRate,
)

TYPES: dict[str, type[Any]] = {
    "movement": Movement,
    "charge": Charge,
    "refund": Refund,
    "dispute": Dispute,
    "payout": Payout,
    "payout_items": PayoutItems,
    "processor_invoice": ProcessorInvoice,
    "invoice_payment": InvoicePayment,
    "credit_note": CreditNote,
    "customer": Customer,
    "account": Account,
    "item": Named,
    "vendor": Named,
    "class": Named,
    "department": Named,
    "payment_method": Named,
    "tax_rate": TaxRate,
    "tax_code": TaxCode,
    "company": Company,
    "rate": Rate,
}
LINK_KEY = "qbo_invoice_id"  # where Stripe's metadata names an invoice in the books
DOCUMENT_KINDS = (
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
)


def to_json(record: Any) -> Any:
    """Any of our frozen records, postings or mappings as plain JSON values."""
    return msgspec.to_builtins(record)


def from_json(body: Any, type_: Any) -> Any:
    """The way back; raises msgspec.ValidationError if `body` is not of that type."""
    return msgspec.convert(body, type_)


def read_record(kind: str, text: str) -> Any:
    """A record out of the mirror's JSON, without making plain values first; raises msgspec.ValidationError."""
    return _reader(kind).decode(text)


@cache
def _reader(kind: str) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(record_type(kind), float_hook=Decimal)


def record_type(kind: str) -> type[Any]:
    return Document if kind in DOCUMENT_KINDS else TYPES[kind]


def parent_of(record: Record | None) -> str | None:
    """What a record is looked up by: a movement's source, a refund's charge, an invoice payment's payment, a marker,
    the invoice in the books that a Stripe invoice names.
    """
    match record:
        case Movement(source_id=parent) | Refund(charge_id=parent) | Dispute(charge_id=parent):
            return parent
        case Charge(payment_intent_id=parent):
            return parent
        case CreditNote(invoice_id=parent):
            return parent
        case InvoicePayment(payment_intent_id=intent, charge_id=charge):
            return intent or charge
        case Document(marker=marker):
            return marker
        case ProcessorInvoice(metadata=metadata):
            return metadata.get(LINK_KEY)
    return None


def number_of(record: Record | None) -> str | None:
    """The number a person would call it by."""
    return record.number if isinstance(record, ProcessorInvoice | CreditNote) else None


def day_of(record: Record | None) -> date | None:
    """The day a document is dated, a payout arrives or a movement was made (UTC)."""
    match record:
        case Document(dated=day) | Payout(arrives_on=day):
            return day
        case Movement(created_at=instant):
            return instant.date()
    return None


def is_open(record: Record | None) -> bool:
    """Whether somebody must look at it: a movement until its legs are settled, a charge until it has a movement, a
    document unless we wrote it, an automatic payout until it is itemised, a credit note until it is settled, a Stripe
    invoice that was settled without a Stripe payment.
    """
    match record:
        case Payout(automatic=automatic):
            return automatic
        case Movement() | CreditNote():
            return True
        case ProcessorInvoice():
            return record.settled_outside_minor > 0
        case Charge(movement_id=None, status=status):  # Stripe has not settled it yet
            return status in ("succeeded", "pending")
        case Document(voided=True):
            return False
        case Document(kind="invoice", open_minor=rest):
            return rest > 0
        case Document(marker=marker):
            return marker is None
    return False
