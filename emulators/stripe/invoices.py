"""Invoices: drafts with lines, finalized, sent, paid, voided."""

from emulators.stripe import invoice_items, invoice_payments, payment_intents
from emulators.stripe.charges import texts_of
from emulators.stripe.errors import Body, declined, invalid, no_such
from emulators.stripe.lists import page, slice_of
from emulators.stripe.money import SMALLEST
from emulators.stripe.office import Office
from emulators.stripe.params import Params
from emulators.stripe.payment_methods import named as payment_method
from emulators.stripe.settings import DAY_S

UPDATE_PARAMS = ("auto_advance", "collection_method", "custom_fields", "days_until_due", "default_payment_method",
                 "description", "due_date", "effective_at", "footer", "metadata", "number",
                 "statement_descriptor")  # fmt: skip
CREATE_PARAMS = (*UPDATE_PARAMS, "automatic_tax", "currency", "customer", "pending_invoice_items_behavior")
PAY_PARAMS = ("off_session", "paid_out_of_band", "payment_method")
LIST_PARAMS = ("collection_method", "created", "customer", "status", "subscription")
ATTACH_PARAMS = ("payment_intent", "payment_record")

TEXTS = ("default_payment_method", "description", "footer", "number", "statement_descriptor")
FIRST_ATTEMPT_AFTER_S = 3_600
LINES_MAX = 250


def create(office: Office, params: Params) -> Body:
    customer = office.named("customer", params.required("customer"), "customer")
    now = office.now()
    currency = (params.text("currency") or customer["currency"] or office.account.default_currency).lower()
    body: Body = {
        "id": office.new_id("invoice"), "object": "invoice", "account_country": office.account.country,
        "account_name": office.account.name, "account_tax_ids": None, "amount_due": 0, "amount_overpaid": 0,
        "amount_paid": 0, "amount_remaining": 0, "amount_shipping": 0, "application": None, "attempt_count": 0,
        "attempted": False, "auto_advance": False,
        "automatic_tax": {
            "disabled_reason": None, "enabled": False, "liability": None, "provider": None, "status": None,
        },
        "automatically_finalizes_at": None, "billing_reason": "manual", "collection_method": "charge_automatically",
        "created": now, "currency": currency, "custom_fields": None, "customer": customer["id"],
        "customer_account": None, "customer_address": customer["address"], "customer_email": customer["email"],
        "customer_name": customer["name"], "customer_phone": customer["phone"],
        "customer_shipping": customer["shipping"], "customer_tax_exempt": customer["tax_exempt"],
        "customer_tax_ids": [], "default_payment_method": None, "default_source": None, "default_tax_rates": [],
        "description": None, "discounts": [], "due_date": None, "effective_at": None, "ending_balance": None,
        "footer": None, "from_invoice": None, "hosted_invoice_url": None, "invoice_pdf": None,
        "issuer": {"type": "self"}, "last_finalization_error": None, "latest_revision": None, "livemode": False,
        "metadata": {}, "next_payment_attempt": None, "number": None, "on_behalf_of": None, "parent": None,
        "payment_settings": {"default_mandate": None, "payment_method_options": None, "payment_method_types": None},
        "period_end": now, "period_start": now, "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0, "receipt_number": None, "rendering": None, "shipping_cost": None,
        "shipping_details": None, "starting_balance": 0, "statement_descriptor": None, "status": "draft",
        "status_transitions": {
            "finalized_at": None, "marked_uncollectible_at": None, "paid_at": None, "voided_at": None,
        },
        "subtotal": 0, "subtotal_excluding_tax": 0, "test_clock": None, "total": 0, "total_discount_amounts": [],
        "total_excluding_tax": 0, "total_pretax_credit_amounts": [], "total_taxes": [], "webhooks_delivered_at": now,
        "_lines": [], "_off_stripe": 0,
    }  # fmt: skip
    body |= _changes(params, body)
    if "automatic_tax" in params:
        body["automatic_tax"]["enabled"] = params.part("automatic_tax").boolean("enabled")
    _check_number(office, body["number"])
    if body["due_date"] is not None and body["due_date"] < now:
        raise invalid("The due date must be in the future.", param="due_date")
    if body["collection_method"] == "send_invoice" and body["due_date"] is None:
        message = "If `collection_method` is `send_invoice`, you must specify `due_date` or `days_until_due`."
        raise invalid(message, param="days_until_due")
    if params.choice("pending_invoice_items_behavior", ("exclude", "include"), "exclude") == "include":
        body["_lines"] = _collect_pending(office, body)
    if customer["currency"] is None:
        office.save(customer | {"currency": currency})
    _save_sum(office, body)
    office.emit("invoice.created", body)
    return office.render(body)


def _check_number(office: Office, number: str | None) -> None:
    """Whether Stripe takes a number twice is not documented; a client must live with either."""
    if number and office.unique_numbers and office.store.find("invoice", where={"number": number}, limit=1):
        raise invalid(f"An invoice with the number {number} exists already.", param="number")


def _changes(params: Params, old: Body) -> Body:
    changes = texts_of(params, TEXTS) | {"metadata": params.metadata(old["metadata"])}
    if "auto_advance" in params:
        changes["auto_advance"] = params.boolean("auto_advance")
    if "effective_at" in params:
        changes["effective_at"] = params.integer("effective_at")
    if "custom_fields" in params:
        fields = [
            {"name": part.required("name"), "value": part.required("value")} for part in params.parts("custom_fields")
        ]
        changes["custom_fields"] = fields or None
    if method := params.choice("collection_method", ("charge_automatically", "send_invoice")):
        changes["collection_method"] = method
    return changes | _due_date(params, changes.get("collection_method") or old["collection_method"], old["created"])


def _due_date(params: Params, collection_method: str, created: int) -> Body:
    days, date = params.integer("days_until_due"), params.integer("due_date")
    if days is None and date is None:
        return {}
    if collection_method != "send_invoice":
        message = "You can only set `due_date` or `days_until_due` if `collection_method` is `send_invoice`."
        raise invalid(message, param="due_date")
    if days is not None and date is not None:
        raise invalid("You may only specify one of `due_date` and `days_until_due`.", param="due_date")
    return {"due_date": date if days is None else created + days * DAY_S}


def _collect_pending(office: Office, body: Body) -> list[Body]:
    where = {"customer": body["customer"], "_pending": "true"}
    lines = []
    for item in office.store.find("invoiceitem", where=where, oldest_first=True):
        if item["currency"] == body["currency"]:
            office.save(item | {"invoice": body["id"], "_pending": False})
            lines.append(invoice_items.line(office, item, body["id"], []))
    return lines


def _save_sum(office: Office, body: Body) -> None:
    """Stores an invoice with the figures that follow from its lines."""
    subtotal = sum(line["amount"] for line in body["_lines"])
    taxes = [tax for line in body["_lines"] for tax in line["taxes"]]
    inclusive = sum(tax["amount"] for tax in taxes if tax["tax_behavior"] == "inclusive")
    total = subtotal + sum(tax["amount"] for tax in taxes if tax["tax_behavior"] == "exclusive")
    body["starting_balance"] = _balance(office, body)
    due = max(total + body["starting_balance"], 0)
    body |= {
        "subtotal": subtotal, "subtotal_excluding_tax": subtotal - inclusive, "total": total,
        "total_excluding_tax": subtotal - inclusive, "total_taxes": _sum_taxes(taxes), "amount_due": due,
        "amount_remaining": due - body["amount_paid"],
    }  # fmt: skip
    office.save(body)


def _balance(office: Office, body: Body) -> int:
    """What its customer owes (above zero) or has to their credit in the invoice's currency."""
    customer = office.store.get("customer", body["customer"])
    return int(customer["balance"]) if customer and customer["currency"] in (None, body["currency"]) else 0


def _sum_taxes(taxes: list[Body]) -> list[Body]:
    """One entry a tax rate."""
    sums: dict[str, Body] = {}
    for tax in taxes:
        rate = tax["tax_rate_details"]["tax_rate"]
        old = sums.get(rate, tax | {"amount": 0, "taxable_amount": 0})
        amounts = {name: old[name] + tax[name] for name in ("amount", "taxable_amount")}
        sums[rate] = old | amounts
    return list(sums.values())


# --- drafts ---


def draft(office: Office, id: str, param: str | None = None) -> Body:  # noqa: A002
    body = office.named("invoice", id, param) if param else office.get("invoice", id)
    if body["status"] != "draft":
        message = f"This invoice is {body['status']}: only drafts can be changed so."
        raise invalid(message, code="invoice_not_editable")
    return body


def add_lines(office: Office, params: Params, id: str) -> Body:  # noqa: A002
    body = draft(office, id)
    for part in params.parts("lines"):
        part.only(invoice_items.LINE_PARAMS)
        item = invoice_items.make(office, part, body["customer"], body["currency"], id)
        taxes = invoice_items.line_taxes(part, item["amount"])
        body["_lines"].append(invoice_items.line(office, item, id, taxes))
    if len(body["_lines"]) > LINES_MAX:
        raise invalid(f"An invoice can have at most {LINES_MAX} lines.", param="lines")
    return _updated(office, body)


def create_item(office: Office, params: Params) -> Body:
    """An item of its own: for a draft at once, else for the customer's next invoice."""
    invoice = params.text("invoice")
    body = draft(office, invoice, "invoice") if invoice else None
    customer = office.named("customer", params.text("customer") or (body or {}).get("customer") or "", "customer")
    default = body["currency"] if body else customer["currency"] or office.account.default_currency
    currency = (params.text("currency") or default).lower()
    if body and currency != body["currency"]:
        raise invalid("The currency of the item is not the invoice's.", param="currency")
    item = invoice_items.make(office, params, customer["id"], currency, invoice)
    if body:
        body["_lines"].append(invoice_items.line(office, item, body["id"], []))
        _updated(office, body)
    return office.render(item)


def delete_item(office: Office, _: Params, id: str) -> Body:  # noqa: A002
    item = office.get("invoiceitem", id)
    if item["invoice"] is not None:
        body = draft(office, item["invoice"])
        body["_lines"] = [line for line in body["_lines"] if _item_of(line) != id]
        _updated(office, body)
    office.store.delete("invoiceitem", id)
    office.emit("invoiceitem.deleted", item)
    return {"id": id, "object": "invoiceitem", "deleted": True}


def _item_of(line: Body) -> str:
    return str(line["parent"]["invoice_item_details"]["invoice_item"])


def _updated(office: Office, body: Body, previous: Body | None = None) -> Body:
    _save_sum(office, body)
    office.emit("invoice.updated", body, previous or {})
    return office.render(body)


def update(office: Office, params: Params, id: str) -> Body:  # noqa: A002
    old = office.get("invoice", id)
    changes = _changes(params, old)
    changes = {name: value for name, value in changes.items() if value != old[name]}
    frozen = {"collection_method", "number", "custom_fields", "footer"} & set(changes)
    if old["status"] != "draft" and frozen:
        message = f"Finalized invoices can't be updated in this way: {', '.join(sorted(frozen))}."
        raise invalid(message, code="invoice_not_editable", param=min(frozen))
    office.save(old | changes)
    if changes:
        office.emit("invoice.updated", old | changes, {name: old[name] for name in changes})
    return office.render(old | changes)


def delete(office: Office, _: Params, id: str) -> Body:  # noqa: A002
    body = draft(office, id)
    office.store.delete("invoice", id)
    office.emit("invoice.deleted", body)
    return {"id": id, "object": "invoice", "deleted": True}


# --- the way of an invoice ---


def finalize(office: Office, params: Params, id: str) -> Body:  # noqa: A002
    body = draft(office, id)
    if not body["_lines"]:
        raise invalid(
            "You must add at least one line before finalizing an invoice.", code="invoice_no_customer_line_items"
        )
    if "auto_advance" in params:
        body["auto_advance"] = params.boolean("auto_advance")
    now = office.now()
    _take_balance(office, body)
    body |= {
        "status": "open", "number": body["number"] or _number(office, body["customer"]),
        "effective_at": body["effective_at"] or now, "hosted_invoice_url": f"https://invoice.stripe.com/i/{id}",
        "invoice_pdf": f"https://pay.stripe.com/invoice/{id}/pdf",
        "status_transitions": body["status_transitions"] | {"finalized_at": now},
    }  # fmt: skip
    if body["amount_due"] == 0:
        body = invoice_payments.settled(body, now)
        office.save(body)
        for event in ("invoice.finalized", "invoice.paid", "invoice.payment_succeeded"):
            office.emit(event, body)
        return office.render(body)
    _open(office, body)
    return office.render(body)


def _take_balance(office: Office, body: Body) -> None:
    """The customer's balance joins the invoice; what is too little to charge moves to it."""
    starting = _balance(office, body)
    due = max(body["total"] + starting, 0)
    ending = min(body["total"] + starting, 0)
    if 0 < due < SMALLEST.get(body["currency"], 1):
        due, ending = 0, due
    body |= {"starting_balance": starting, "ending_balance": ending, "amount_due": due, "amount_remaining": due}
    if ending != starting:
        office.save(office.get("customer", body["customer"]) | {"balance": ending})


def _number(office: Office, customer: str) -> str:
    body = office.get("customer", customer)
    number = body["next_invoice_sequence"]
    office.save(body | {"next_invoice_sequence": number + 1})
    return f"{body['invoice_prefix']}-{number:04}"


def _open(office: Office, body: Body) -> None:
    """From now on there is a payment intent to pay it with."""
    if body["collection_method"] == "charge_automatically" and body["auto_advance"]:
        body["next_payment_attempt"] = office.now() + FIRST_ATTEMPT_AFTER_S
        office.later(body["next_payment_attempt"], "collect_invoice", body["id"])
    office.save(body)
    details = {"customer": body["customer"], "description": "Payment for Invoice"}
    intent = payment_intents.start(office, body["amount_due"], body["currency"], details)
    invoice_payments.link(office, body, "payment_intent", intent["id"], body["amount_due"], is_default=True)
    office.emit("invoice.finalized", body)


def collect(office: Office, id: str) -> None:  # noqa: A002
    """Task: the automatic attempt."""
    body = office.get("invoice", id)
    method = _method(office, body, None)
    if body["status"] == "open" and method is not None:
        _charge(office, body, method)


def send(office: Office, _: Params, id: str) -> Body:  # noqa: A002
    body = office.get("invoice", id)
    if body["collection_method"] != "send_invoice":
        raise invalid("You can only manually send an invoice if its collection method is 'send_invoice'.")
    if body["status"] == "draft":
        finalize(office, Params({}), id)
        body = office.get("invoice", id)
    office.emit("invoice.sent", body)
    return office.render(body)


def pay(office: Office, params: Params, id: str) -> Body:  # noqa: A002
    body = office.get("invoice", id)
    if body["status"] == "draft":
        finalize(office, Params({}), id)
        body = office.get("invoice", id)
    if body["status"] not in ("open", "uncollectible"):
        code = "invoice_already_paid" if body["status"] == "paid" else "invoice_not_open"
        raise invalid(f"Invoice is already {body['status']}.", code=code)
    if params.boolean("paid_out_of_band"):
        return _pay_out_of_band(office, body)
    method = _method(office, body, params.text("payment_method"))
    if method is None:
        message = "There is no default payment method set on this Customer or Invoice."
        raise invalid(message, code="missing_payment_method")
    intent = _charge(office, body, method)
    if error := intent["last_payment_error"]:
        raise declined(error["decline_code"], error["charge"], office.render(intent))
    return office.render(office.get("invoice", id))


def _method(office: Office, body: Body, asked: str | None) -> Body | None:
    customer = office.store.get("customer", body["customer"]) or {"invoice_settings": {}}
    name = asked or body["default_payment_method"] or customer["invoice_settings"].get("default_payment_method")
    return payment_method(office, name, body["customer"]) if name else None


def _charge(office: Office, body: Body, method: Body) -> Body:
    intent = invoice_payments.default_intent(office, body["id"])
    if intent is None or intent["status"] in ("processing", "succeeded"):
        raise invalid("This invoice has no PaymentIntent that could be paid.", code="payment_intent_unexpected_state")
    return payment_intents.attempt(office, intent, method)


def _pay_out_of_band(office: Office, body: Body) -> Body:
    """The whole rest was paid elsewhere: no charge, no invoice payment."""
    rest = body["amount_remaining"]
    body["_off_stripe"] += rest
    invoice_payments.enter(office, body, rest)
    return office.render(office.get("invoice", body["id"]))


def void(office: Office, _: Params, id: str) -> Body:  # noqa: A002
    return _end(office, id, "void", "voided_at", "invoice.voided", "void_invoice")


def mark_uncollectible(office: Office, _: Params, id: str) -> Body:  # noqa: A002
    return _end(office, id, "uncollectible", "marked_uncollectible_at", "invoice.marked_uncollectible", None)


def _end(office: Office, id: str, status: str, moment: str, event: str, reason: str | None) -> Body:  # noqa: A002
    body = office.get("invoice", id)
    if body["status"] not in ("open", "uncollectible") or body["status"] == status:
        raise invalid(f"Only open invoices can become {status}, this one is {body['status']}.", code="invoice_not_open")
    before = body["status"]
    transitions = body["status_transitions"] | {moment: office.now()}
    body |= {"status": status, "status_transitions": transitions, "next_payment_attempt": None}
    if status == "void":
        body["amount_remaining"] = 0
    office.save(body)
    intent = invoice_payments.default_intent(office, id)
    if reason is not None and intent is not None and intent["status"] in payment_intents.OPEN:
        invoice_payments.retire(office, intent, reason)
    office.emit("invoice.updated", body, {"status": before})
    office.emit(event, body)
    return office.render(body)


def attach_payment(office: Office, params: Params, id: str) -> Body:  # noqa: A002
    if record := params.text("payment_record"):
        return office.render(invoice_payments.attach_record(office, id, record))
    return office.render(invoice_payments.attach(office, id, params.required("payment_intent")))


# --- reading ---


def show(_: Office, shown: Body, stored: Body) -> Body:
    """The first ten lines are part of an invoice."""
    url = f"/v1/invoices/{stored['id']}/lines"
    shown["lines"] = {
        "object": "list", "data": [dict(line) for line in stored["_lines"][:10]],
        "has_more": len(stored["_lines"]) > 10, "url": url,
    }  # fmt: skip
    return shown


def lines(office: Office, params: Params, id: str) -> Body:  # noqa: A002
    return slice_of(office.get("invoice", id)["_lines"], params, f"/v1/invoices/{id}/lines")


def update_line(office: Office, params: Params, id: str, line_id: str) -> Body:  # noqa: A002
    body = draft(office, id)
    for line in body["_lines"]:
        if line["id"] == line_id:
            _change_line(params, line)
            _updated(office, body)
            return dict(line)
    raise no_such("line item", line_id)


def _change_line(params: Params, line: Body) -> None:
    line["metadata"] = params.metadata(line["metadata"])
    if "description" in params:
        line["description"] = params.text("description")
    if "amount" in params or "price_data" in params:
        amount, quantity, unit = invoice_items.price(params)
        line |= {"amount": amount, "subtotal": amount, "quantity": quantity, "quantity_decimal": str(quantity)}
        line["pricing"] = line["pricing"] | {"unit_amount_decimal": unit}


def retrieve(office: Office, _: Params, id: str) -> Body:  # noqa: A002
    return office.render(office.get("invoice", id))


def list_(office: Office, params: Params) -> Body:
    where = {name: params.text(name) for name in ("collection_method", "customer", "status")}
    where["_subscription"] = params.text("subscription")
    return page(office, "invoice", params, "/v1/invoices", where)
