"""Refunds, of cards at once, of bank debits after some days; and refunds that fail."""

from emulators.stripe import charges, days, ledger
from emulators.stripe.errors import Body, invalid, missing_param
from emulators.stripe.lists import page
from emulators.stripe.office import Office
from emulators.stripe.params import Params

CREATE_PARAMS = ("amount", "charge", "currency", "instructions_email", "metadata", "payment_intent", "reason")
LIST_PARAMS = ("charge", "created", "payment_intent")
REASONS = ("duplicate", "fraudulent", "requested_by_customer")
FAILURES = ("lost_or_stolen_card", "expired_or_canceled_card", "charge_for_pending_refund_disputed",
            "insufficient_funds", "declined", "merchant_request", "unknown")  # fmt: skip


def create(office: Office, params: Params) -> Body:
    charge = _charge(office, params)
    left = charge["amount_captured"] - charge["amount_refunded"]
    if charge["refunded"] or left == 0:
        raise invalid(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    amount = params.amount() if "amount" in params else left
    if amount > left:
        message = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})."
        raise invalid(message, param="amount")
    if _contested(office, charge):
        raise invalid(f"Charge {charge['id']} has been charged back.", code="charge_disputed")
    charge = charges.settled(office, charge)  # money that has not come cannot go
    details = {
        "instructions_email": params.text("instructions_email"), "metadata": params.metadata(),
        "reason": params.choice("reason", REASONS),
    }  # fmt: skip
    return office.render(_refund(office, charge, amount, details))


def _contested(office: Office, charge: Body) -> bool:
    """A dispute holds the money, or has cost it."""
    found = office.store.find("dispute", where={"charge": charge["id"]}) if charge["disputed"] else []
    return any(dispute["status"] != "won" and not dispute["status"].startswith("warning") for dispute in found)


def _charge(office: Office, params: Params) -> Body:
    if charge := params.text("charge"):
        return office.named("charge", charge, "charge")
    intent = params.text("payment_intent")
    if intent is None:
        raise missing_param("charge")
    latest = office.named("payment_intent", intent, "payment_intent")["latest_charge"]
    if latest is None:
        message = f"This PaymentIntent ({intent}) does not have a successful charge to refund."
        raise invalid(message, code="payment_intent_unexpected_state")
    return office.get("charge", latest)


def _refund(office: Office, charge: Body, amount: int, details: Body) -> Body:
    card = charge["payment_method_details"]["type"] == "card"
    id_ = office.new_id("refund", "re" if card else "pyr")
    settled, currency, rate = ledger.convert(office, amount, charge["currency"])
    posted = ledger.post(
        office, amount=-settled, currency=currency, type="refund" if card else "payment_refund", category="refund",
        source=id_, description=f"REFUND FOR {charge['description'] or 'CHARGE'}", exchange_rate=rate,
    )  # fmt: skip
    refund: Body = {
        "id": id_, "object": "refund", "amount": amount, "balance_transaction": posted["id"], "charge": charge["id"],
        "created": office.now(), "currency": charge["currency"], "customer": charge["customer"],
        "customer_account": None, "destination_details": _destination(charge), "metadata": {},
        "payment_intent": charge["payment_intent"], "payment_method": charge["payment_method"], "reason": None,
        "receipt_number": None, "source_transfer_reversal": None, "status": "succeeded" if card else "pending",
        "transfer_reversal": None,
    } | details  # fmt: skip
    if not card:
        refund["pending_reason"] = "processing"
        office.later(days.business_days_later(office.now(), office.account.bank_debit_days), "finish_refund", id_)
    office.save(refund)
    office.emit("refund.created", refund)
    _count(office, charge, amount)
    return refund


def _destination(charge: Body) -> Body:
    kind = charge["payment_method_details"]["type"]
    if kind != "card":
        return {"type": kind, kind: {"reference": None, "reference_status": "pending"}}
    return {"type": "card", "card": {"reference_status": "pending", "reference_type": "acquirer_reference_number",
            "type": "refund"}}  # fmt: skip


def _count(office: Office, charge: Body, amount: int) -> None:
    """Below zero where a refund failed."""
    before = {name: charge[name] for name in ("amount_refunded", "refunded")}
    total = charge["amount_refunded"] + amount
    charge |= {"amount_refunded": total, "refunded": total == charge["amount_captured"]}
    office.save(charge)
    office.emit("charge.refunded" if amount > 0 else "charge.updated", charge, before)


def finish(office: Office, id: str) -> None:  # noqa: A002
    """Task: the bank has paid it out."""
    refund = office.get("refund", id)
    if refund["status"] == "pending":
        refund |= {"status": "succeeded"}
        refund.pop("pending_reason", None)
        office.save(refund)
        _tell(office, refund, {"status": "pending"})


def fail(office: Office, id: str, reason: str = "unknown") -> Body:  # noqa: A002
    """The money comes back, also after it seemed to have arrived; at the rate of that day, not of the refund's."""
    refund = office.get("refund", id)
    if refund["status"] in ("failed", "canceled"):
        raise invalid(f"Refund {id} is already {refund['status']}.")
    settled, currency, rate = ledger.convert(office, refund["amount"], refund["currency"])
    back = ledger.post(
        office, amount=settled, currency=currency, type="refund_failure",
        category="refund_failure", source=id, description="REFUND FAILURE", exchange_rate=rate,
    )  # fmt: skip
    before = {"status": refund["status"]}
    refund |= {"status": "failed", "failure_reason": reason, "failure_balance_transaction": back["id"]}
    refund.pop("pending_reason", None)
    office.save(refund)
    _count(office, office.get("charge", refund["charge"]), -refund["amount"])
    office.emit("refund.failed", refund)
    _tell(office, refund, before)
    return office.render(refund)


def _tell(office: Office, refund: Body, before: Body) -> None:
    office.emit("refund.updated", refund, before)
    office.emit("charge.refund.updated", refund, before)


def update(office: Office, params: Params, id: str) -> Body:  # noqa: A002
    old = office.get("refund", id)
    refund = old | {"metadata": params.metadata(old["metadata"])}
    office.save(refund)
    _tell(office, refund, {"metadata": old["metadata"]})
    return office.render(refund)


def retrieve(office: Office, _: Params, id: str) -> Body:  # noqa: A002
    return office.render(office.get("refund", id))


def list_(office: Office, params: Params) -> Body:
    where = {"charge": params.text("charge"), "payment_intent": params.text("payment_intent")}
    return page(office, "refund", params, "/v1/refunds", where)


def list_of_charge(office: Office, params: Params, id: str) -> Body:  # noqa: A002
    office.get("charge", id)
    return page(office, "refund", params, f"/v1/charges/{id}/refunds", {"charge": id})
