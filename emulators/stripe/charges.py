"""Charges. Their balance transaction arrives after them (asynchronous capture), told by `charge.updated`."""

from emulators.stripe import days, ledger
from emulators.stripe.customers import address
from emulators.stripe.errors import Body, declined, invalid
from emulators.stripe.lists import page
from emulators.stripe.money import check_amount, fee_detail, processing_fees, share
from emulators.stripe.office import Office
from emulators.stripe.params import Params
from emulators.stripe.payment_methods import charge_details, no_billing_details, token_of
from emulators.stripe.payment_methods import named as payment_method

TEXTS = ("description", "receipt_email", "statement_descriptor", "statement_descriptor_suffix", "transfer_group")
CREATE_PARAMS = (*TEXTS, "amount", "capture", "currency", "customer", "metadata", "shipping", "source")
UPDATE_PARAMS = ("customer", "description", "fraud_details", "metadata", "receipt_email", "shipping", "transfer_group")
CAPTURE_PARAMS = ("amount", "receipt_email", "statement_descriptor", "statement_descriptor_suffix", "transfer_group")
LIST_PARAMS = ("created", "customer", "payment_intent", "transfer_group")


def attempt(
    office: Office, amount: int, currency: str, method: Body, *,
    captured: bool, details: Body, intent: Body | None = None,
) -> Body:  # fmt: skip
    """A new charge: succeeded, failed, or pending where the bank takes its time. `details` go onto it as they are."""
    token, bank = token_of(method), method["type"] != "card"
    status = "failed" if token.decline_code else "pending" if bank else "succeeded"
    body: Body = {
        "id": office.new_id("charge", "py" if bank else "ch"), "object": "charge", "amount": amount,
        "amount_captured": amount if captured and status == "succeeded" else 0, "amount_refunded": 0,
        "application": None, "application_fee": None, "application_fee_amount": None, "balance_transaction": None,
        "billing_details": method.get("billing_details") or no_billing_details(),
        "calculated_statement_descriptor": None if bank else "EMULATED COMPANY",
        "captured": captured and status == "succeeded",
        "created": office.now(), "currency": currency, "customer": None, "description": None, "disputed": False,
        "failure_balance_transaction": None, "failure_code": None, "failure_message": None, "fraud_details": {},
        "livemode": False, "metadata": {}, "on_behalf_of": None, "outcome": _outcome(token.decline_code),
        "paid": status != "failed", "payment_intent": intent["id"] if intent else None, "payment_method": method["id"],
        "payment_method_details": charge_details(method, amount), "presentment_details": None, "radar_options": {},
        "receipt_email": None, "receipt_number": None, "receipt_url": None, "refunded": False, "review": None,
        "shipping": None, "source": None, "source_transfer": None, "statement_descriptor": None,
        "statement_descriptor_suffix": None, "status": status, "transfer_data": None, "transfer_group": None,
    }  # fmt: skip
    body |= details
    if status == "failed":
        body |= {"failure_code": "card_declined", "failure_message": "Your card was declined."}
    office.save(body)
    office.emit(f"charge.{status}", body)
    if status == "pending":
        office.later(days.business_days_later(office.now(), office.account.bank_debit_days), "clear_debit", body["id"])
    elif body["captured"]:
        body = settle_soon(office, body)
    return body


def _outcome(decline_code: str | None) -> Body:
    approved: Body = {
        "advice_code": None, "network_advice_code": None, "network_decline_code": None,
        "network_status": "approved_by_network", "reason": None, "risk_level": "normal", "risk_score": 20,
        "seller_message": "Payment complete.", "type": "authorized",
    }  # fmt: skip
    if decline_code is None:
        return approved
    return approved | {
        "network_status": "declined_by_network", "reason": decline_code, "type": "issuer_declined",
        "seller_message": "The bank returned the decline code `" + decline_code + "`.",
    }  # fmt: skip


# --- settlement ---


def settle_soon(office: Office, charge: Body) -> Body:
    if office.async_capture_s:
        office.later(office.now() + office.async_capture_s, "settle", charge["id"])
        return charge
    return settled(office, charge)


def settle(office: Office, id: str) -> None:  # noqa: A002
    """Task: the balance transaction of a captured charge."""
    settled(office, office.get("charge", id))


def settled(office: Office, charge: Body) -> Body:
    """The charge with its balance transaction; a part that was not captured comes back in one of its own."""
    if charge["balance_transaction"] is not None:
        return charge
    method = charge["payment_method_details"]["type"]
    amount, currency, rate = ledger.convert(office, charge["amount"], charge["currency"])
    country = (charge["payment_method_details"].get("card") or {}).get("country")
    fees = processing_fees(
        office.account, amount, currency, method,
        abroad=country not in (None, office.account.country), fx=rate is not None,
    )  # fmt: skip
    available_on = days.business_days_later(office.now(), office.account.payout_delay_days)
    whole = ledger.post(
        office, amount=amount, currency=currency, type="charge" if method == "card" else "payment", category="charge",
        source=charge["id"], fees=fees, description=charge["description"], exchange_rate=rate,
        available_on=available_on,
    )  # fmt: skip
    if uncaptured := charge["amount"] - charge["amount_captured"]:
        _post_reversal(office, charge, whole, uncaptured, available_on)
    charge |= {"balance_transaction": whole["id"]}
    office.save(charge)
    office.emit("charge.updated", charge, {"balance_transaction": None})
    return charge


def _post_reversal(office: Office, charge: Body, whole: Body, uncaptured: int, available_on: int) -> None:
    """Its fees go back in proportion; the fixed part with none of it."""
    fees = [
        fee_detail(
            -share(detail["amount"], uncaptured, charge["amount"]),
            detail["currency"], detail["description"], detail["type"],
        )
        for detail in whole["fee_details"]
    ]  # fmt: skip
    amount = share(whole["amount"], uncaptured, charge["amount"])
    ledger.post(
        office, amount=-amount, currency=whole["currency"], type="refund", category="partial_capture_reversal",
        source=charge["id"], fees=fees, description="PARTIAL CAPTURE REVERSAL", exchange_rate=whole["exchange_rate"],
        available_on=available_on,
    )  # fmt: skip


def captured(office: Office, charge: Body, amount: int | None) -> Body:
    """Takes what was authorized, or a part of it."""
    if charge["captured"]:
        raise invalid(f"Charge {charge['id']} has already been captured.", code="charge_already_captured")
    if charge["status"] != "succeeded" or charge["refunded"]:
        raise invalid(f"Charge {charge['id']} cannot be captured.", code="charge_already_refunded")
    amount = charge["amount"] if amount is None else amount
    if amount > charge["amount"]:
        message = "The amount to capture is greater than the amount authorized."
        raise invalid(message, param="amount_to_capture", code="amount_too_large")
    charge |= {"captured": True, "amount_captured": amount}
    office.save(charge)
    office.emit("charge.captured", charge, {"captured": False, "amount_captured": 0})
    return settle_soon(office, charge)


def released(office: Office, charge: Body) -> None:
    """An authorization is given up: nothing was taken, nothing goes through the balance."""
    charge |= {"amount_refunded": charge["amount"], "refunded": True}
    office.save(charge)
    office.emit("charge.refunded", charge, {"amount_refunded": 0, "refunded": False})


def cleared(office: Office, charge: Body) -> Body:
    """A bank debit went through."""
    charge |= {"status": "succeeded", "captured": True, "amount_captured": charge["amount"]}
    office.save(charge)
    office.emit("charge.succeeded", charge)
    return settle_soon(office, charge)


def bounced(office: Office, charge: Body, reason: str) -> Body:
    """A bank debit fails; what was already credited is taken back, with a fee."""
    charge |= {
        "status": "failed",
        "paid": False,
        "failure_code": reason,
        "failure_message": f"The debit failed: {reason}.",
    }
    if charge["balance_transaction"] is not None:
        amount, currency, rate = ledger.convert(office, charge["amount"], charge["currency"])
        back = ledger.post(
            office, amount=-amount, currency=currency, type="payment_failure_refund", category="charge_failure",
            source=charge["id"], fees=[fee_detail(400, currency, "Stripe failed ACH debit fee")],
            description="Payment failure refund", exchange_rate=rate,
        )  # fmt: skip
        charge |= {"failure_balance_transaction": back["id"]}
    office.save(charge)
    office.emit("charge.failed", charge)
    return charge


# --- routes ---


def texts_of(params: Params, names: tuple[str, ...]) -> Body:
    return {name: params.text(name) for name in names if name in params}


def shipping(params: Params) -> Body | None:
    part = params.part("shipping")
    if not part.values:
        return None
    texts = {name: part.text(name) for name in ("carrier", "name", "phone", "tracking_number")}
    return {"address": address(part.part("address"))} | texts


def create(office: Office, params: Params) -> Body:
    """The old way, without a payment intent."""
    amount, currency = params.amount(), params.required("currency").lower()
    check_amount(amount, currency)
    customer = params.text("customer")
    if customer is not None:
        office.named("customer", customer, "customer")
    method = payment_method(office, params.text("source") or "tok_visa", customer, "source")
    details = texts_of(params, TEXTS) | {"customer": customer, "metadata": params.metadata()}
    charge = attempt(
        office, amount, currency, method, captured=params.boolean("capture", True),
        details=details | {"shipping": shipping(params)},
    )  # fmt: skip
    if charge["status"] == "failed":
        raise declined(str(token_of(method).decline_code), charge["id"], None)
    return office.render(charge)


def capture(office: Office, params: Params, id: str) -> Body:  # noqa: A002
    charge = office.get("charge", id) | texts_of(params, TEXTS)
    return office.render(captured(office, charge, params.integer("amount")))


def update(office: Office, params: Params, id: str) -> Body:  # noqa: A002
    old = office.get("charge", id)
    changes = texts_of(params, ("description", "receipt_email", "transfer_group", "customer"))
    changes["metadata"] = params.metadata(old["metadata"])
    if "shipping" in params:
        changes["shipping"] = shipping(params)
    changes = {name: value for name, value in changes.items() if value != old[name]}
    office.save(old | changes)
    if changes:
        office.emit("charge.updated", old | changes, {name: old[name] for name in changes})
    return office.render(old | changes)


def retrieve(office: Office, _: Params, id: str) -> Body:  # noqa: A002
    return office.render(office.get("charge", id))


def list_(office: Office, params: Params) -> Body:
    where = {name: params.text(name) for name in ("customer", "payment_intent", "transfer_group")}
    return page(office, "charge", params, "/v1/charges", where)
