"""Payment intents: create, confirm, capture, cancel."""

from emulators.stripe import charges, invoice_payments
from emulators.stripe.charges import shipping, texts_of
from emulators.stripe.errors import Body, decline, declined, invalid
from emulators.stripe.lists import page
from emulators.stripe.money import check_amount
from emulators.stripe.office import Office
from emulators.stripe.params import Params
from emulators.stripe.payment_methods import named as payment_method
from emulators.stripe.payment_methods import token_of

TEXTS = ("description", "receipt_email", "setup_future_usage", "statement_descriptor", "statement_descriptor_suffix",
         "transfer_group")  # fmt: skip
CONFIRM_PARAMS = ("capture_method", "off_session", "payment_method", "receipt_email", "return_url",
                  "setup_future_usage", "shipping")  # fmt: skip
UPDATE_PARAMS = (*TEXTS, "amount", "currency", "customer", "metadata", "payment_details", "payment_method", "shipping")
CREATE_PARAMS = (*UPDATE_PARAMS, "allowed_payment_method_types", "automatic_payment_methods", "capture_method",
                 "confirm", "confirmation_method", "error_on_requires_action", "off_session", "return_url")  # fmt: skip
CAPTURE_PARAMS = ("amount_to_capture", "metadata", "statement_descriptor", "statement_descriptor_suffix")
CANCEL_PARAMS = ("cancellation_reason",)
LIST_PARAMS = ("created", "customer")

CAPTURE_METHODS = ("automatic", "automatic_async", "manual")
OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")
REASONS = ("duplicate", "fraudulent", "requested_by_customer", "abandoned")


def start(office: Office, amount: int, currency: str, details: Body) -> Body:
    """A new payment intent, saved and announced."""
    id_ = office.new_id("payment_intent")
    body: Body = {
        "id": id_, "object": "payment_intent", "allowed_payment_method_types": None, "amount": amount,
        "amount_capturable": 0, "amount_details": {"tip": {}}, "amount_received": 0, "application": None,
        "application_fee_amount": None, "automatic_payment_methods": {"allow_redirects": "always", "enabled": True},
        "canceled_at": None, "cancellation_reason": None, "capture_method": "automatic_async",
        "client_secret": f"{id_}_secret_{office.rng.token(24)}", "confirmation_method": "automatic",
        "created": office.now(), "currency": currency, "customer": None, "customer_account": None, "description": None,
        "excluded_payment_method_types": None, "last_payment_error": None, "latest_charge": None, "livemode": False,
        "metadata": {}, "next_action": None, "on_behalf_of": None, "payment_details": None, "payment_method": None,
        "payment_method_configuration_details": None, "payment_method_options": {},
        "payment_method_types": ["card", "us_bank_account"], "presentment_details": None, "processing": None,
        "receipt_email": None, "review": None, "setup_future_usage": None, "shipping": None, "source": None,
        "statement_descriptor": None, "statement_descriptor_suffix": None, "status": "requires_payment_method",
        "transfer_data": None, "transfer_group": None,
    }  # fmt: skip
    body |= details
    if body["payment_method"] is not None:
        body["status"] = "requires_confirmation"
    office.save(body)
    office.emit("payment_intent.created", body)
    return body


def create(office: Office, params: Params) -> Body:
    amount, currency = params.amount(), params.required("currency").lower()
    check_amount(amount, currency)
    details = _details(office, params, {"metadata": {}, "customer": None})
    details["capture_method"] = params.choice("capture_method", CAPTURE_METHODS, "automatic_async")
    details["confirmation_method"] = params.choice("confirmation_method", ("automatic", "manual"), "automatic")
    body = start(office, amount, currency, details)
    return confirm(office, params, body["id"]) if params.boolean("confirm") else office.render(body)


def _details(office: Office, params: Params, old: Body) -> Body:
    """What create and update have in common."""
    details = texts_of(params, TEXTS) | {"metadata": params.metadata(old["metadata"])}
    customer = params.text("customer", old["customer"])
    if "customer" in params and customer is not None:
        details["customer"] = office.named("customer", customer, "customer")["id"]
    if method := params.text("payment_method"):
        details["payment_method"] = payment_method(office, method, customer)["id"]
    if "payment_details" in params:
        part = params.part("payment_details")
        details["payment_details"] = {name: part.text(name) for name in ("customer_reference", "order_reference")}
    if "shipping" in params:
        details["shipping"] = shipping(params)
    return details


def update(office: Office, params: Params, id: str) -> Body:  # noqa: A002
    body = office.get("payment_intent", id)
    if ("amount" in params or "currency" in params) and body["status"] not in OPEN:
        raise _unexpected(body, "updated")
    body |= _details(office, params, body)
    if "amount" in params:
        body["amount"] = params.amount()
    body["currency"] = (params.text("currency") or body["currency"]).lower()
    if body["status"] == "requires_payment_method" and "payment_method" in params:
        body["status"] = "requires_confirmation"
    office.save(body)
    return office.render(body)


# --- confirmation ---


def confirm(office: Office, params: Params, id: str) -> Body:  # noqa: A002
    body = office.get("payment_intent", id)
    if body["status"] not in OPEN:
        raise _unexpected(body, "confirmed")
    body |= texts_of(params, ("receipt_email", "setup_future_usage"))
    name = params.text("payment_method") or body["payment_method"]
    if name is None:
        message = "You cannot confirm this PaymentIntent because it's missing a payment method."
        raise invalid(message, code="payment_intent_unexpected_state")
    body = attempt(office, body, payment_method(office, name, body["customer"]))
    if body["last_payment_error"] is not None:
        error = body["last_payment_error"]
        raise declined(error["decline_code"], error["charge"], office.render(body))
    return office.render(body)


def attempt(office: Office, body: Body, method: Body, *, authenticated: bool = False) -> Body:
    """Charges the method; what came of it stands in the payment intent."""
    body |= {"payment_method": method["id"], "last_payment_error": None}
    if token_of(method).asks_customer and not authenticated:
        body |= {"status": "requires_action", "next_action": _authentication(body)}
        office.save(body)
        office.emit("payment_intent.requires_action", body)
        return body
    details = {
        "billing_details": billing_details(office, method, body["customer"]),
    } | {name: body[name] for name in ("customer", "description", "metadata", "receipt_email", "shipping",
               "statement_descriptor", "statement_descriptor_suffix", "transfer_group")}  # fmt: skip
    office.save(body)
    charge = charges.attempt(
        office, body["amount"], body["currency"], method, captured=body["capture_method"] != "manual",
        details=details, intent=body,
    )  # fmt: skip
    body |= {"latest_charge": charge["id"], "next_action": None}
    if charge["status"] == "failed":
        return _failed(office, body, decline(str(token_of(method).decline_code), charge["id"]))
    if charge["status"] == "pending":
        return _moved(office, body, "processing", "payment_intent.processing")
    if charge["captured"]:
        return succeeded(office, body, charge)
    body["amount_capturable"] = charge["amount"]
    return _moved(office, body, "requires_capture", "payment_intent.amount_capturable_updated")


def billing_details(office: Office, method: Body, customer: str | None) -> Body:
    """What the payment method does not say, the customer has typed."""
    known = office.store.get("customer", customer) if customer else None
    own = {name: value for name, value in method["billing_details"].items() if value is not None}
    return (
        {"name": None, "email": None, "phone": None, "tax_id": None}
        | {name: known[name] for name in ("name", "email") if known}
        | own
    )


def _authentication(body: Body) -> Body:
    url = f"https://hooks.stripe.com/3d_secure_2/hosted?payment_intent={body['id']}"
    return {"type": "redirect_to_url", "redirect_to_url": {"return_url": None, "url": url}}


def _moved(office: Office, body: Body, status: str, event: str) -> Body:
    body["status"] = status
    office.save(body)
    office.emit(event, body)
    return body


def _failed(office: Office, body: Body, error: Body) -> Body:
    body |= {"last_payment_error": error, "payment_method": None}
    body = _moved(office, body, "requires_payment_method", "payment_intent.payment_failed")
    invoice_payments.refused(office, body)
    return body


def succeeded(office: Office, body: Body, charge: Body) -> Body:
    body |= {"amount_received": charge["amount_captured"], "amount_capturable": 0}
    body = _moved(office, body, "succeeded", "payment_intent.succeeded")
    invoice_payments.credit(office, body)
    return body


def clear_debit(office: Office, id: str) -> None:  # noqa: A002
    """Task: the bank answers a debit."""
    charge = office.get("charge", id)
    if charge["status"] != "pending":
        return
    reason = token_of(office.get("payment_method", charge["payment_method"])).fails_later
    if reason is not None:
        bounce(office, id, reason)
        return
    charge = charges.cleared(office, charge)
    if charge["payment_intent"] is not None:
        succeeded(office, office.get("payment_intent", charge["payment_intent"]), charge)


def bounce(office: Office, id: str, reason: str) -> Body:  # noqa: A002
    """A bank debit fails, before or after it succeeded; an invoice that it paid is open again."""
    charge = charges.bounced(office, office.get("charge", id), reason)
    if charge["payment_intent"] is not None:
        intent = office.get("payment_intent", charge["payment_intent"]) | {"amount_received": 0}
        error = decline(reason, id) | {
            "code": "payment_method_bank_account_blocked",
            "message": charge["failure_message"],
        }
        _failed(office, intent, error)
    return office.render(charge)


def authenticate(office: Office, id: str) -> Body:  # noqa: A002
    """The customer passes 3-D Secure."""
    body = office.get("payment_intent", id)
    if body["status"] != "requires_action":
        raise _unexpected(body, "authenticated")
    return office.render(
        attempt(office, body, office.get("payment_method", body["payment_method"]), authenticated=True)
    )


# --- capture, cancel, read ---


def capture(office: Office, params: Params, id: str) -> Body:  # noqa: A002
    body = office.get("payment_intent", id)
    if body["status"] != "requires_capture":
        raise _unexpected(body, "captured")
    body["metadata"] = params.metadata(body["metadata"])
    charge = charges.captured(office, office.get("charge", body["latest_charge"]), params.integer("amount_to_capture"))
    return office.render(succeeded(office, body, charge))


def cancel(office: Office, params: Params, id: str) -> Body:  # noqa: A002
    body = office.get("payment_intent", id)
    if body["status"] not in (*OPEN, "requires_capture"):
        raise _unexpected(body, "canceled")
    if body["status"] == "requires_capture":
        charges.released(office, office.get("charge", body["latest_charge"]))
    reason = params.choice("cancellation_reason", REASONS)
    return office.render(invoice_payments.retire(office, body, reason))


def _unexpected(body: Body, verb: str) -> Exception:
    message = f"This PaymentIntent could not be {verb} because it has a status of {body['status']}."
    return invalid(message, code="payment_intent_unexpected_state")


def retrieve(office: Office, _: Params, id: str) -> Body:  # noqa: A002
    return office.render(office.get("payment_intent", id))


def list_(office: Office, params: Params) -> Body:
    return page(office, "payment_intent", params, "/v1/payment_intents", {"customer": params.text("customer")})
