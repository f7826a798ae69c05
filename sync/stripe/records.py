"""Stripe's objects as our records. Unknown keys are ignored; a missing one that matters is an error that names it."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from reconcile.records import (
    BilledContent,
    Charge,
    CreditNote,
    Customer,
    Dispute,
    Fee,
    InvoicePayment,
    Movement,
    Payout,
    ProcessorInvoice,
    Record,
    Refund,
)
from sync.ports import Fetched
from sync.sound import UNREADABLE, instant, is_name, sound, unreadable

Body = Mapping[str, Any]

# Where reporting_category is null: the categories Stripe's own reports use for these types
# (as fivetran/dbt_stripe falls back in stripe__balance_transactions).
CATEGORY_OF_TYPE = {
    "charge": "charge",
    "payment": "charge",
    "refund": "refund",
    "payment_refund": "refund",
    "payout": "payout",
    "payout_cancel": "payout_reversal",
    "payout_failure": "payout_reversal",
    "stripe_fee": "fee",
}


def movement(body: Body) -> Movement:
    return Movement(
        id=body["id"],
        created_at=instant(body["created"]),
        currency=_currency(body),
        gross_minor=body["amount"],
        fee_minor=body["fee"],
        net_minor=body["net"],
        fees=tuple(
            Fee(kind=fee["type"], amount_minor=fee["amount"], description=fee.get("description") or "")
            for fee in body["fee_details"]
        ),
        category=str(body.get("reporting_category") or CATEGORY_OF_TYPE.get(body["type"], body["type"])),
        type=body["type"],
        source_id=_id(body.get("source")),
        status=body["status"],
        available_on=instant(body["available_on"]),
        balance_type=body.get("balance_type") or "payments",
        exchange_rate=None if body.get("exchange_rate") is None else str(body["exchange_rate"]),
        description=body.get("description") or "",
    )


def charge(body: Body) -> Charge:
    billing = body.get("billing_details") or {}
    return Charge(
        id=body["id"],
        created_at=instant(body["created"]),
        currency=_currency(body),
        amount_minor=body["amount"],
        captured_minor=body["amount_captured"],
        refunded_minor=body["amount_refunded"],
        status=body["status"],
        movement_id=_id(body.get("balance_transaction")),
        payment_intent_id=_id(body.get("payment_intent")),
        customer_id=_id(body.get("customer")),
        customer_name=billing.get("name"),
        customer_email=billing.get("email") or body.get("receipt_email"),
        description=body.get("description") or "",
        metadata=dict(body.get("metadata") or {}),
    )


def refund(body: Body) -> Refund:
    return Refund(
        id=body["id"],
        created_at=instant(body["created"]),
        currency=_currency(body),
        amount_minor=body["amount"],
        status=body.get("status") or "succeeded",
        charge_id=_id(body.get("charge")),
        movement_id=_id(body.get("balance_transaction")),
        failure_movement_id=_id(body.get("failure_balance_transaction")),
        reason=body.get("reason"),
    )


def dispute(body: Body) -> Dispute:
    return Dispute(
        id=body["id"],
        created_at=instant(body["created"]),
        currency=_currency(body),
        amount_minor=body["amount"],
        status=body["status"],
        charge_id=_id(body.get("charge")),
        movement_ids=tuple(_id(entry) or "" for entry in body["balance_transactions"]),
        reason=body.get("reason"),
    )


def payout(body: Body) -> Payout:
    return Payout(
        id=body["id"],
        created_at=instant(body["created"]),
        currency=_currency(body),
        amount_minor=body["amount"],
        status=body["status"],
        arrives_on=instant(body["arrival_date"]).date(),
        automatic=body["automatic"],
        movement_id=_id(body.get("balance_transaction")),
        failure_movement_id=_id(body.get("failure_balance_transaction")),
        reconciliation_status=body.get("reconciliation_status") or "not_applicable",
        method=body["method"],
        trace_id=(body.get("trace_id") or {}).get("value"),
    )


def invoice(body: Body) -> ProcessorInvoice:
    return ProcessorInvoice(
        id=body["id"],
        created_at=instant(body["created"]),
        currency=_currency(body),
        total_minor=body["total"],
        status=body.get("status"),
        number=body.get("number"),
        customer_id=_id(body.get("customer")),
        metadata=dict(body.get("metadata") or {}),
        due_minor=body.get("amount_due") or 0,
        paid_minor=body.get("amount_paid") or 0,
        remaining_minor=body.get("amount_remaining") or 0,
        starting_minor=body.get("starting_balance") or 0,
        outside_minor=body.get("amount_paid_off_stripe") or 0,
        credited_minor=sum(body.get(f"{when}_payment_credit_notes_amount") or 0 for when in ("pre", "post")),
        content=_content(body),
        has_automatic_tax=bool((body.get("automatic_tax") or {}).get("enabled")),
        products=tuple(sorted({product for line in _lines(body) if (product := _product(line))})),
    )


def _content(body: Body) -> BilledContent | None:
    """Tax that is included in the prices is in the lines' amounts: it comes off them, for the books add it again."""
    lines = body.get("lines") or {}
    if lines.get("has_more", True):
        return None
    taxes = [tax for line in lines["data"] for tax in line.get("taxes") or []]
    return BilledContent(
        lines=tuple((line["amount"] - _included(line), line.get("description") or "") for line in lines["data"]),
        discount_minor=sum(each["amount"] for each in body.get("total_discount_amounts") or []),
        tax_minor=sum(tax["amount"] for tax in taxes),
    )


def _included(line: Body) -> int:
    return sum(tax["amount"] for tax in line.get("taxes") or [] if tax.get("tax_behavior") == "inclusive")


def _lines(body: Body) -> list[Body]:
    return list((body.get("lines") or {}).get("data") or [])


def _product(line: Body) -> str | None:
    return _id(((line.get("pricing") or {}).get("price_details") or {}).get("product"))


def invoice_payment(body: Body) -> InvoicePayment:
    paid_with = body["payment"]
    return InvoicePayment(
        id=body["id"],
        created_at=instant(body["created"]),
        currency=_currency(body),
        invoice_id=_id(body["invoice"]) or "",
        status=body["status"],
        paid_minor=body.get("amount_paid") or 0,
        payment_intent_id=_id(paid_with.get("payment_intent")),
        charge_id=_id(paid_with.get("charge")),
    )


def credit_note(body: Body) -> CreditNote:
    """What it refunded of a payment record was paid outside of Stripe, and so went back outside: it moves nothing."""
    real = [each for each in body["refunds"] if each.get("refund") and each.get("type") != "payment_record_refund"]
    refunded, after = sum(each["amount_refunded"] for each in real), body["post_payment_amount"]
    outside = sum(each["amount_refunded"] for each in body["refunds"]) - refunded
    outside += body.get("out_of_band_amount") or 0
    return CreditNote(
        id=body["id"],
        created_at=instant(body["created"]),
        effective_at=instant(body.get("effective_at") or body["created"]),
        currency=_currency(body),
        total_minor=body["total"],
        before_minor=body["pre_payment_amount"],
        credited_minor=after - refunded - outside,
        outside_minor=outside,
        invoice_id=_id(body["invoice"]) or "",
        status=body["status"],
        number=body["number"],
        refund_ids=tuple(_id(each["refund"]) or "" for each in real),
        metadata=dict(body.get("metadata") or {}),
    )


def customer(body: Body) -> Customer:
    return Customer(
        id=body["id"],
        name=body.get("name") or "",
        email=body.get("email"),
        currency=str(body["currency"]).upper() if body.get("currency") else None,
        metadata=dict(body.get("metadata") or {}),
        balances=_balances(body),
    )


def _balances(body: Body) -> dict[str, int]:
    """What the customer owes apart from any invoice ("" if Stripe does not say in which currency); Stripe's balances
    of many currencies are credits.
    """
    owed = {str(body.get("currency") or "").upper(): body["balance"]} if body.get("balance") else {}
    credits_ = body.get("invoice_credit_balance") or {}
    return owed | {currency.upper(): -amount for currency, amount in credits_.items() if amount}


# kind of ours -> Stripe's name of the object, and how to read it
READERS: dict[str, tuple[str, Callable[[Body], Record]]] = {
    "customer": ("customer", customer),
    "processor_invoice": ("invoice", invoice),
    "invoice_payment": ("invoice_payment", invoice_payment),
    "credit_note": ("credit_note", credit_note),
    "charge": ("charge", charge),
    "refund": ("refund", refund),
    "dispute": ("dispute", dispute),
    "payout": ("payout", payout),
    "movement": ("balance_transaction", movement),
}
KIND_OF_OBJECT = {name: kind for kind, (name, _) in READERS.items()}


def fetched(kind: str, content: dict[str, Any]) -> Fetched:
    """An object as a record; one that cannot be read is kept as it came, and the others go on."""
    _, reader = READERS[kind]
    raw = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    try:
        object_id = content["id"]
        if not is_name(object_id):
            raise ValueError(f"its id is {str(object_id)[:60]!r}")
        record = None if content.get("deleted") else sound(reader(content))
        return Fetched(kind=kind, id=object_id, record=record, raw="" if record is None else raw)
    except UNREADABLE as error:
        return unreadable(kind, f"{kind.replace('_', ' ')} of Stripe's", content, raw, error)


def _currency(body: Body) -> str:
    return str(body["currency"]).upper()


def _id(value: Any) -> str | None:
    """An id, whether Stripe expanded the object or not."""
    if value is None or isinstance(value, str):
        return value
    return str(value["id"])
