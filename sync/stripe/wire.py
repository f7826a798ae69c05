"""What we ask Stripe to make, as its parameters. They are frozen in the database before they are sent."""

from datetime import UTC, datetime, time
from typing import Any

from reconcile.counterparts import REALM_KEY
from reconcile.outgoing import CREDIT_KEY, InvoiceLine, Outgoing
from reconcile.records import Customer
from reconcile.sending import PaidPart


def params(step: str, about: Any) -> dict[str, Any]:
    """`about`: an Outgoing, a Customer as it is to be there, or a PaidPart (with its currency and its payer, or
    its Stripe invoice, our company and how far invoices go).
    """
    match step, about:
        case "create_customer" | "mark_customer" | "update_customer", Customer():
            return _customer(step, about)
        case "create_invoice", Outgoing():
            return _invoice(about)
        case "add_lines", Outgoing(lines=lines):
            return {"lines": [_line(number, line) for number, line in enumerate(lines, start=1)]}
        case "report_payment", (PaidPart() as part, str() as currency, str() as payer_id):
            return _payment(part, currency, payer_id)
        case "give_credit", (PaidPart() as part, str() as invoice_id, str() as realm_id, str() as mode):
            return _credit(part, invoice_id, realm_id, mode)
        case "attach_payment", PaidPart(record_id=str() as record_id):
            return {"payment_record": record_id}
        case "finalize", _:
            return {"auto_advance": False}  # nothing is charged or mailed by itself
    return {}


def _customer(step: str, customer: Customer) -> dict[str, Any]:
    if step == "mark_customer":
        return {"metadata": customer.metadata}
    email = {"email": customer.email} if customer.email else {}
    if step == "update_customer":  # only what has changed
        return email | ({"name": customer.name} if customer.name else {})
    return {"name": customer.name, "metadata": customer.metadata, **email}


def _invoice(outgoing: Outgoing) -> dict[str, Any]:
    number = {"number": outgoing.number} if outgoing.number else {}
    return {
        "customer": outgoing.customer_id,
        "currency": outgoing.currency.lower(),
        "collection_method": "send_invoice",
        "due_date": int(outgoing.due_at.timestamp()),
        "auto_advance": False,
        "pending_invoice_items_behavior": "exclude",
        "automatic_tax": {"enabled": False},
        "description": outgoing.description,
        "metadata": outgoing.metadata,
        **number,
    }


def _line(number: int, line: InvoiceLine) -> dict[str, Any]:
    return {"amount": line.amount_minor, "description": line.description, "metadata": {"qbo_line": str(number)}}


def _credit(part: PaidPart, invoice_id: str, realm_id: str, mode: str) -> dict[str, Any]:
    """A credit note that only lowers what is open: Stripe refuses it if that is less by then."""
    return {
        "invoice": invoice_id,
        "amount": part.amount_minor,
        "email_type": "credit_note" if mode == "send" else "none",
        "metadata": {REALM_KEY: realm_id, CREDIT_KEY: part.document_id},
    }


def _payment(part: PaidPart, currency: str, payer_id: str) -> dict[str, Any]:
    """Money that came some other way, dated as in the books."""
    noon = int(datetime.combine(part.dated, time(12), UTC).timestamp())
    return {
        "amount_requested": {"value": part.amount_minor, "currency": currency.lower()},
        "initiated_at": noon,
        "outcome": "guaranteed",
        "guaranteed": {"guaranteed_at": noon},
        "customer_details": {"customer": payer_id},
        "payment_method_details": {"type": "custom", "custom": {"display_name": "Paid elsewhere"}},
        "processor_details": {"type": "custom", "custom": {"payment_reference": part.document_id}},
        "metadata": {"qbo_payment_id": part.document_id.partition(":")[2]},
    }
