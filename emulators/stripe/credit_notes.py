"""Credit notes: what lowers a finalized invoice. First what is still open on it; what is more goes back to the customer
by a refund, to their balance, or outside of Stripe (docs.stripe.com/api/credit_notes/create).

UNVERIFIED, as no vendor page says so: the one custom line of a note made by its `amount`, and the words of errors.
"""

from emulators.stripe import invoice_payments, refunds
from emulators.stripe.errors import Body, invalid, missing_param, no_such
from emulators.stripe.lists import page, slice_of
from emulators.stripe.money import share
from emulators.stripe.office import Office
from emulators.stripe.params import Params, as_form

REASONS = ("duplicate", "fraudulent", "order_change", "product_unsatisfactory")
CREATE_PARAMS = ("amount", "credit_amount", "effective_at", "email_type", "invoice", "lines", "memo", "metadata",
                 "out_of_band_amount", "reason", "refund_amount", "refunds")  # fmt: skip
UPDATE_PARAMS = ("memo", "metadata")
LIST_PARAMS = ("created", "customer", "invoice")
LINE_PARAMS = ("amount", "description", "invoice_line_item", "metadata", "quantity", "type", "unit_amount")
REFUND_PARAMS = ("amount_refunded", "refund", "type")


def create(office: Office, params: Params) -> Body:
    body, invoice = _draw_up(office, params)
    if asked := params.integer("refund_amount") or 0:
        refund = _refund(office, invoice, asked)
        body["refunds"].append(_linked(refund["id"], asked))
    for part in params.parts("refunds"):
        body["refunds"].append(_existing(office, part))
    if credit := params.integer("credit_amount") or 0:
        body["customer_balance_transaction"] = _credit_customer(office, body["customer"], credit)
    office.save(body)
    office.emit("credit_note.created", body)
    invoice_payments.lower(office, invoice, body["pre_payment_amount"], body["post_payment_amount"])
    return office.render(body)


def preview(office: Office, params: Params) -> Body:
    body, _ = _draw_up(office, params)
    return office.render(body)


def _draw_up(office: Office, params: Params) -> tuple[Body, Body]:
    """A note that fits its invoice, with nothing done yet; and the invoice."""
    invoice = office.named("invoice", params.required("invoice"), "invoice")
    if invoice["status"] not in ("open", "paid", "uncollectible"):
        message = f"You cannot create a credit note for an invoice with status {invoice['status']}."
        raise invalid(message, param="invoice", code="invoice_not_open")
    earlier = office.store.find("credit_note", where={"invoice": invoice["id"]})
    lines = _lines(office, params, invoice)
    taxes = [tax for line in lines for tax in line["taxes"]]
    subtotal = sum(line["amount"] for line in lines)
    inclusive = sum(tax["amount"] for tax in taxes if tax["tax_behavior"] == "inclusive")
    total = subtotal + sum(tax["amount"] for tax in taxes if tax["tax_behavior"] == "exclusive")
    left = invoice["total"] - sum(each["total"] for each in earlier if each["status"] == "issued")
    if not 0 < total <= left:
        message = f"The credit note's total ({total}) must be above 0 and at most what is left of the invoice ({left})."
        raise invalid(message, param="amount", code="parameter_invalid_integer")
    before = min(total, invoice["amount_remaining"])
    _check_rest(params, total - before)
    now = office.now()
    body: Body = {
        "id": office.new_id("credit_note"), "object": "credit_note", "amount": total, "amount_shipping": 0,
        "created": now, "currency": invoice["currency"], "customer": invoice["customer"], "customer_account": None,
        "customer_balance_transaction": None, "discount_amount": 0, "discount_amounts": [],
        "effective_at": params.integer("effective_at") or now, "invoice": invoice["id"], "livemode": False,
        "memo": params.text("memo"), "metadata": params.metadata(),
        "number": f"{invoice['number']}-CN-{len(earlier) + 1:02}",
        "out_of_band_amount": params.integer("out_of_band_amount"),
        "pdf": f"https://pay.stripe.com/credit_notes/{invoice['id']}/pdf",
        "post_payment_amount": total - before, "pre_payment_amount": before, "pretax_credit_amounts": [],
        "reason": params.choice("reason", REASONS), "refunds": [], "shipping_cost": None, "status": "issued",
        "subtotal": subtotal, "subtotal_excluding_tax": subtotal - inclusive, "total": total,
        "total_excluding_tax": subtotal - inclusive, "total_taxes": _total_taxes(taxes),
        "type": _type(before, total - before), "voided_at": None, "_lines": lines,
    }  # fmt: skip
    return body, invoice


def _type(before: int, after: int) -> str:
    if before and after:
        return "mixed"
    return "pre_payment" if before else "post_payment"


def _check_rest(params: Params, rest: int) -> None:
    """What the invoice cannot take must be accounted for, to the last unit."""
    given = sum(params.integer(name) or 0 for name in ("refund_amount", "credit_amount", "out_of_band_amount"))
    given += sum(part.amount("amount_refunded") for part in params.parts("refunds"))
    if given != rest:
        message = (
            f"The sum of refunds, customer balance credits and outside of Stripe credits ({given}) must equal the "
            f"post payment amount of the credit note ({rest})."
        )
        raise invalid(message)


# --- lines ---


def _lines(office: Office, params: Params, invoice: Body) -> list[Body]:
    if "amount" in params and "lines" in params:
        raise invalid("You may only specify one of these parameters: amount, lines.", param="amount")
    if "amount" in params:
        return [_line(office, params.amount(), "Credit", {})]
    lines = [_credited(office, part, invoice) for part in params.parts("lines")]
    if not lines:
        raise missing_param("amount")
    return lines


def _credited(office: Office, part: Params, invoice: Body) -> Body:
    """A part of a line of the invoice, with its part of the tax; or a line of the note's own."""
    part.only(LINE_PARAMS)
    kind = part.choice("type", ("custom_line_item", "invoice_line_item")) or part.required("type")
    quantity = part.integer("quantity")
    if kind == "custom_line_item":
        unit = part.amount("unit_amount")
        more = {"quantity": quantity or 1, "unit_amount": unit, "unit_amount_decimal": str(unit)}
        return _line(office, unit * (quantity or 1), part.required("description"), more)
    line_id = part.required("invoice_line_item")
    line = next((each for each in invoice["_lines"] if each["id"] == line_id), None)
    if line is None:
        raise no_such("invoice line item", line_id, part.name("invoice_line_item"), status=400)
    if "amount" in part:
        amount = part.amount()
    else:
        amount = share(line["amount"], quantity or line["quantity"], line["quantity"])
    if amount > line["amount"]:
        message = f"The amount to credit ({amount}) is more than that of the line ({line['amount']})."
        raise invalid(message, param=part.name("amount"))
    taxes = [
        tax | {name: share(tax[name], amount, line["amount"]) for name in ("amount", "taxable_amount")}
        for tax in line["taxes"]
    ]
    more = {"type": kind, "invoice_line_item": line_id, "quantity": quantity, "taxes": taxes}
    return _line(office, amount, line["description"], more)


def _line(office: Office, amount: int, description: str | None, more: Body) -> Body:
    return {
        "id": office.new_id("credit_note_line_item"), "object": "credit_note_line_item", "amount": amount,
        "description": description, "discount_amount": 0, "discount_amounts": [], "livemode": False, "metadata": {},
        "pretax_credit_amounts": [], "quantity": 1, "tax_rates": [], "taxes": [], "type": "custom_line_item",
        "unit_amount": None, "unit_amount_decimal": None,
    } | more  # fmt: skip


def _total_taxes(taxes: list[Body]) -> list[Body]:
    """One entry a tax rate."""
    sums: dict[str, Body] = {}
    for tax in taxes:
        rate = tax["tax_rate_details"]["tax_rate"]
        old = sums.get(rate, tax | {"amount": 0, "taxable_amount": 0})
        sums[rate] = old | {name: old[name] + tax[name] for name in ("amount", "taxable_amount")}
    return list(sums.values())


# --- what goes back to the customer ---


def _refund(office: Office, invoice: Body, amount: int) -> Body:
    """Of the charge that paid the invoice."""
    for payment in invoice_payments.of_invoice(office, invoice["id"]):
        if payment["status"] == "paid" and payment["_type"] == "payment_intent":
            asked = {"payment_intent": payment["_payment_intent"], "amount": amount}
            return refunds.create(office, Params(as_form(asked)))
    message = "The invoice has no charge that could be refunded."
    raise invalid(message, param="refund_amount")


def _existing(office: Office, part: Params) -> Body:
    part.only(REFUND_PARAMS)
    part.choice("type", ("refund",))
    refund = office.named("refund", part.required("refund"), part.name("refund"))
    amount = part.amount("amount_refunded")
    if amount > refund["amount"]:
        message = f"The amount refunded ({amount}) is more than the refund ({refund['amount']})."
        raise invalid(message, param=part.name("amount_refunded"))
    return _linked(refund["id"], amount)


def _linked(refund_id: str, amount: int) -> Body:
    return {"amount_refunded": amount, "payment_record_refund": None, "refund": refund_id, "type": "refund"}


def _credit_customer(office: Office, customer_id: str, amount: int) -> str:
    """Joins the customer's next invoice."""
    customer = office.get("customer", customer_id)
    before = {"balance": customer["balance"]}
    customer["balance"] -= amount
    office.save(customer)
    office.emit("customer.updated", customer, before)
    return office.new_id("customer_balance_transaction")


# --- afterwards ---


def void(office: Office, _: Params, id: str) -> Body:  # noqa: A002
    """Only what has lowered an invoice that is still open: its amount is due again."""
    body = office.get("credit_note", id)
    if body["status"] == "void":
        raise invalid("This credit note is already void.")
    invoice = office.get("invoice", body["invoice"])
    if body["type"] != "pre_payment" or invoice["status"] != "open":
        raise invalid("You can only void a credit note that was issued for an open invoice, while that is open.")
    body |= {"status": "void", "voided_at": office.now()}
    office.save(body)
    office.emit("credit_note.voided", body)
    invoice_payments.lower(office, invoice, -body["pre_payment_amount"], 0)
    return office.render(body)


def update(office: Office, params: Params, id: str) -> Body:  # noqa: A002
    old = office.get("credit_note", id)
    changes: Body = {"metadata": params.metadata(old["metadata"])}
    if "memo" in params:
        changes["memo"] = params.text("memo")
    office.save(old | changes)
    office.emit("credit_note.updated", old | changes, {name: old[name] for name in changes})
    return office.render(old | changes)


def show(_: Office, shown: Body, stored: Body) -> Body:
    """The first ten lines are part of a note."""
    url = f"/v1/credit_notes/{stored['id']}/lines"
    data = [dict(line) for line in stored["_lines"][:10]]
    shown["lines"] = {"object": "list", "data": data, "has_more": len(stored["_lines"]) > 10, "url": url}
    return shown


def lines(office: Office, params: Params, id: str) -> Body:  # noqa: A002
    return slice_of(office.get("credit_note", id)["_lines"], params, f"/v1/credit_notes/{id}/lines")


def retrieve(office: Office, _: Params, id: str) -> Body:  # noqa: A002
    return office.render(office.get("credit_note", id))


def list_(office: Office, params: Params) -> Body:
    where = {"customer": params.text("customer"), "invoice": params.text("invoice")}
    return page(office, "credit_note", params, "/v1/credit_notes", where)
