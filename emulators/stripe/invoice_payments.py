"""Which payment paid how much of which invoice: several payments an invoice, several invoices a payment."""

from emulators.stripe.errors import Body, invalid
from emulators.stripe.lists import page
from emulators.stripe.office import Office
from emulators.stripe.params import Params

LIST_PARAMS = ("created", "invoice", "payment", "status")


def link(office: Office, invoice: Body, kind: str, payment: str, amount: int, *, is_default: bool) -> Body:
    """A payment that is meant for an invoice."""
    body: Body = {
        "id": office.new_id("invoice_payment"), "object": "invoice_payment", "amount_paid": None,
        "amount_requested": amount, "created": office.now(), "currency": invoice["currency"],
        "invoice": invoice["id"], "is_default": is_default, "livemode": False,
        "payment": {"type": kind, kind: payment}, "status": "open",
        "status_transitions": {"canceled_at": None, "paid_at": None}, f"_{kind}": payment, "_type": kind,
    }  # fmt: skip
    office.save(body)
    return body


def attach(office: Office, invoice_id: str, intent_id: str, amount: int | None = None) -> Body:
    """An existing payment intent pays (a part of) an invoice, and its rest may pay others.

    Without `amount`: as much as is left of both. An amount above what is due overpays the invoice.
    """
    invoice = office.get("invoice", invoice_id)
    intent = office.named("payment_intent", intent_id, "payment_intent")
    if invoice["status"] != "open":
        raise invalid(f"Payments can only be attached to open invoices, this one is {invoice['status']}.")
    if intent["currency"] != invoice["currency"]:
        raise invalid("The currency of the PaymentIntent is not the invoice's.", param="payment_intent")
    free = intent["amount"] - sum(other["amount_requested"] for other in of_intent(office, intent_id))
    amount = min(free, invoice["amount_remaining"]) if amount is None else amount
    if not 0 < amount <= free:
        raise invalid(f"Only {free} of this PaymentIntent is not yet attached to an invoice.", param="payment_intent")
    link(office, invoice, "payment_intent", intent_id, amount, is_default=False)
    if intent["status"] == "succeeded":
        credit(office, intent)
    return office.get("invoice", invoice_id)


def attach_record(office: Office, invoice_id: str, record_id: str) -> Body:
    """Money from outside pays (a part of) an invoice at once; nothing goes through the balance."""
    invoice = office.get("invoice", invoice_id)
    record = office.named("payment_record", record_id, "payment_record")
    if invoice["status"] != "open" or record["amount"]["currency"] != invoice["currency"]:
        raise invalid("A payment record can only be attached to an open invoice of its currency.")
    if office.store.find("invoice_payment", where={"_payment_record": record_id}, limit=1):
        raise invalid("This payment record is already attached to an invoice.", param="payment_record")
    amount = record["amount"]["value"]
    invoice["_off_stripe"] += min(amount, invoice["amount_remaining"])
    office.save(invoice)
    paid(office, link(office, invoice, "payment_record", record_id, amount, is_default=False), amount)
    return office.get("invoice", invoice_id)


def of_intent(office: Office, intent_id: str) -> list[Body]:
    """Canceled ones left out, oldest first."""
    found = office.store.find("invoice_payment", where={"_payment_intent": intent_id}, oldest_first=True)
    return [body for body in found if body["status"] != "canceled"]


def credit(office: Office, intent: Body) -> None:
    """The payment succeeded: every invoice it was meant for has its share."""
    left = intent["amount_received"]
    for body in of_intent(office, intent["id"]):
        if body["status"] == "open":
            paid(office, body, min(left, body["amount_requested"]))
        left -= min(left, body["amount_requested"])


def paid(office: Office, body: Body, amount: int) -> None:
    now = office.now()
    transitions = body["status_transitions"] | {"paid_at": now}
    body |= {"status": "paid", "amount_paid": amount, "status_transitions": transitions}
    office.save(body)
    office.emit("invoice_payment.paid", body)
    invoice = office.get("invoice", body["invoice"])
    enter(office, invoice, amount)


def enter(office: Office, invoice: Body, amount: int) -> None:
    """An amount is entered as paid on an invoice; the last one settles it."""
    applied = min(amount, invoice["amount_remaining"])
    overpaid = amount - applied
    invoice["amount_paid"] += applied
    invoice["amount_remaining"] -= applied
    invoice["amount_overpaid"] += overpaid
    if invoice["amount_remaining"] == 0:
        invoice = settled(invoice, office.now())
    office.save(invoice)
    _adjust_default(office, invoice)
    if overpaid:
        _credit_customer(office, invoice, overpaid)
    if invoice["status"] != "paid":
        office.emit("invoice.updated", invoice, {"amount_paid": invoice["amount_paid"] - applied})
        return
    for event in ("invoice.updated", "invoice.paid", "invoice.payment_succeeded"):
        office.emit(event, invoice)


def lower(office: Office, invoice: Body, before: int, after: int) -> None:
    """A credit note (below zero: one that was voided) takes `before` off what is due, and gives `after` back."""
    old = {name: invoice[name] for name in ("amount_due", "amount_remaining", "status")}
    invoice |= {
        "amount_due": invoice["amount_due"] - before, "amount_remaining": invoice["amount_remaining"] - before,
        "pre_payment_credit_notes_amount": invoice["pre_payment_credit_notes_amount"] + before,
        "post_payment_credit_notes_amount": invoice["post_payment_credit_notes_amount"] + after,
    }  # fmt: skip
    is_settled = before > 0 and invoice["amount_remaining"] == 0
    if is_settled:
        invoice = settled(invoice, office.now())
    office.save(invoice)
    if before:
        _adjust_default(office, invoice)
    office.emit("invoice.updated", invoice, old)
    if is_settled:
        for event in ("invoice.paid", "invoice.payment_succeeded"):
            office.emit(event, invoice)


def settled(invoice: Body, now: int) -> Body:
    transitions = invoice["status_transitions"] | {"paid_at": now}
    return invoice | {
        "status": "paid",
        "attempted": True,
        "next_payment_attempt": None,
        "status_transitions": transitions,
    }


def _credit_customer(office: Office, invoice: Body, overpaid: int) -> None:
    customer = office.store.get("customer", invoice["customer"])
    if customer is not None:
        customer["balance"] -= overpaid
        office.save(customer)
    office.emit("invoice.overpaid", invoice)


def _adjust_default(office: Office, invoice: Body) -> None:
    """The invoice's own payment intent asks for what is left, and for nothing once nothing is."""
    for body in of_invoice(office, invoice["id"]):
        if not (body["is_default"] and body["status"] == "open"):
            continue
        intent = office.get("payment_intent", body["_payment_intent"])
        if invoice["amount_remaining"] == 0:
            retire(office, intent, "automatic")
        elif intent["status"] != "succeeded":
            office.save(intent | {"amount": invoice["amount_remaining"]})
            office.save(body | {"amount_requested": invoice["amount_remaining"]})


def of_invoice(office: Office, invoice_id: str) -> list[Body]:
    return office.store.find("invoice_payment", where={"invoice": invoice_id}, oldest_first=True)


def default_intent(office: Office, invoice_id: str) -> Body | None:
    for body in of_invoice(office, invoice_id):
        if body["is_default"] and body["status"] != "canceled":
            return office.get("payment_intent", body["_payment_intent"])
    return None


def retire(office: Office, intent: Body, reason: str | None) -> Body:
    """Cancels a payment intent, and what it was meant to pay."""
    intent |= {
        "status": "canceled", "canceled_at": office.now(), "cancellation_reason": reason, "amount_capturable": 0,
        "next_action": None,
    }  # fmt: skip
    office.save(intent)
    for body in of_intent(office, intent["id"]):
        transitions = body["status_transitions"] | {"canceled_at": office.now()}
        office.save(body | {"status": "canceled", "status_transitions": transitions})
    office.emit("payment_intent.canceled", intent)
    return intent


def refused(office: Office, intent: Body) -> None:
    """A payment failed. Where it had been entered as paid, the invoice is open again."""
    for body in of_intent(office, intent["id"]):
        invoice = office.get("invoice", body["invoice"])
        if body["status"] == "paid":
            invoice = _reopened(invoice, body["amount_paid"])
            transitions = body["status_transitions"] | {"paid_at": None}
            office.save(body | {"status": "open", "amount_paid": None, "status_transitions": transitions})
        invoice |= {"attempted": True, "attempt_count": invoice["attempt_count"] + 1}
        office.save(invoice)
        office.emit("invoice.payment_failed", invoice)


def _reopened(invoice: Body, amount: int) -> Body:
    back = min(amount, invoice["amount_paid"])
    return invoice | {
        "status": "open", "amount_paid": invoice["amount_paid"] - back,
        "amount_remaining": invoice["amount_remaining"] + back,
        "status_transitions": invoice["status_transitions"] | {"paid_at": None},
    }  # fmt: skip


def retrieve(office: Office, _: Params, id: str) -> Body:  # noqa: A002
    return office.render(office.get("invoice_payment", id))


def list_(office: Office, params: Params) -> Body:
    payment = params.part("payment")
    payment.only(("payment_intent", "payment_record", "type"))
    kind = payment.choice("type", ("payment_intent", "payment_record"))
    if kind is not None:
        payment.required(kind)
    where = {
        "invoice": params.text("invoice"), "status": params.choice("status", ("open", "paid", "canceled")),
        "_type": kind, "_payment_intent": payment.text("payment_intent"),
        "_payment_record": payment.text("payment_record"),
    }  # fmt: skip
    return page(office, "invoice_payment", params, "/v1/invoice_payments", where)
