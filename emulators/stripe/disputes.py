"""Disputes. Cardholders open them and banks decide them: both through the stand-in's controls."""

from emulators.stripe import charges, ledger
from emulators.stripe.errors import Body, invalid
from emulators.stripe.lists import page
from emulators.stripe.money import fee_detail
from emulators.stripe.office import Office
from emulators.stripe.params import Params
from emulators.stripe.settings import DAY_S

UPDATE_PARAMS = ("evidence", "metadata", "submit")
LIST_PARAMS = ("charge", "created", "payment_intent")

EVIDENCE = (
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
)
CLOSED = ("won", "lost", "warning_closed", "prevented")


def open_(
    office: Office, charge_id: str, amount: int | None = None, reason: str = "fraudulent", *, inquiry: bool = False
) -> Body:
    """A dispute takes the money at once; an inquiry only asks."""
    charge = charges.settled(office, office.get("charge", charge_id))
    brand = (charge["payment_method_details"].get("card") or {}).get("brand", "visa")
    dispute: Body = {
        "id": office.new_id("dispute"), "object": "dispute", "amount": amount or charge["amount_captured"],
        "balance_transactions": [], "charge": charge_id, "created": office.now(), "currency": charge["currency"],
        "enhanced_eligibility_types": [], "evidence": dict.fromkeys(EVIDENCE) | {"enhanced_evidence": {}},
        "evidence_details": {
            "due_by": office.now() + 9 * DAY_S, "enhanced_eligibility": {}, "has_evidence": False, "past_due": False,
            "submission_count": 0, "submission_method": "not_submitted",
        },
        "is_charge_refundable": inquiry, "livemode": False, "metadata": {}, "network_reason_code": "10.4",
        "payment_intent": charge["payment_intent"],
        "payment_method_details": {
            "card": {
                "brand": brand, "case_type": "inquiry" if inquiry else "chargeback", "network": brand,
                "network_reason_code": "10.4",
            },
            "type": "card",
        },
        "reason": reason, "status": "warning_needs_response" if inquiry else "needs_response",
    }  # fmt: skip
    office.save(dispute)
    if not inquiry:
        charge |= {"disputed": True}
        office.save(charge)
    office.emit("charge.dispute.created", dispute)
    return office.render(dispute if inquiry else _withdraw(office, dispute))


def _withdraw(office: Office, dispute: Body) -> Body:
    account = office.account
    amount, currency, rate = ledger.convert(office, dispute["amount"], dispute["currency"])
    posted = ledger.post(
        office, amount=-amount, currency=currency, type="adjustment", category="dispute", source=dispute["id"],
        fees=[fee_detail(account.dispute_fee, currency, "Dispute fee")] if account.dispute_fee else (),
        description=f"Chargeback withdrawal for {dispute['charge']}", exchange_rate=rate,
    )  # fmt: skip
    dispute["balance_transactions"] = [posted["id"]]
    office.save(dispute)
    office.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def escalate(office: Office, id: str) -> Body:  # noqa: A002
    """An inquiry becomes a dispute."""
    dispute = _still_open(office, id)
    charge = office.get("charge", dispute["charge"]) | {"disputed": True}
    office.save(charge)
    dispute |= {"status": "needs_response", "is_charge_refundable": False}
    dispute["payment_method_details"]["card"]["case_type"] = "chargeback"
    office.emit("charge.dispute.updated", dispute, {"status": "warning_needs_response"})
    return office.render(_withdraw(office, dispute))


def win(office: Office, id: str, amount: int | None = None) -> Body:  # noqa: A002
    """The money comes back (or a part of it), the fee where the account's terms say so."""
    dispute = _still_open(office, id)
    taken = office.get("balance_transaction", dispute["balance_transactions"][0])
    _, currency, rate = ledger.convert(office, 1, dispute["currency"])
    returned = -taken["amount"] if amount is None else ledger.convert(office, amount, dispute["currency"])[0]
    fees = [fee_detail(-taken["fee"], currency, "Dispute fee refund")] if office.account.dispute_fee_returned else []
    posted = ledger.post(
        office, amount=returned, currency=currency, type="adjustment", category="dispute_reversal",
        source=dispute["id"], fees=fees if taken["fee"] else [],
        description=f"Chargeback reversal for {dispute['charge']}",
        exchange_rate=rate if amount is not None else taken["exchange_rate"],
    )  # fmt: skip
    before = dispute["status"]
    dispute |= {"status": "won", "balance_transactions": [*dispute["balance_transactions"], posted["id"]]}
    office.save(dispute)
    office.emit("charge.dispute.funds_reinstated", dispute)
    return _closed(office, dispute, before)


def lose(office: Office, id: str) -> Body:  # noqa: A002
    """The money stays gone; an inquiry just ends."""
    dispute = _still_open(office, id)
    before = dispute["status"]
    dispute |= {"status": "warning_closed" if before.startswith("warning") else "lost"}
    office.save(dispute)
    return _closed(office, dispute, before)


def _still_open(office: Office, id: str) -> Body:  # noqa: A002
    dispute = office.get("dispute", id)
    if dispute["status"] in CLOSED:
        raise invalid(f"This dispute is already {dispute['status']}.")
    return dispute


def _closed(office: Office, dispute: Body, before: str) -> Body:
    office.emit("charge.dispute.updated", dispute, {"status": before})
    office.emit("charge.dispute.closed", dispute)
    return office.render(dispute)


def show(office: Office, shown: Body, stored: Body) -> Body:
    """Its balance transactions are embedded whole."""
    ids = stored["balance_transactions"]
    shown["balance_transactions"] = [office.render(office.get("balance_transaction", id_)) for id_ in ids]
    return shown


def update(office: Office, params: Params, id: str) -> Body:  # noqa: A002
    dispute = _still_open(office, id)
    before = {"metadata": dispute["metadata"], "status": dispute["status"]}
    evidence = params.part("evidence")
    evidence.only(EVIDENCE)
    dispute["metadata"] = params.metadata(dispute["metadata"])
    dispute["evidence"] |= {name: evidence.text(name) for name in evidence.values}
    dispute["evidence_details"]["has_evidence"] |= bool(evidence.values)
    if params.boolean("submit", bool(evidence.values)):
        dispute["status"] = "warning_under_review" if dispute["status"].startswith("warning") else "under_review"
        dispute["evidence_details"] |= {"submission_count": 1, "submission_method": "manual"}
    office.save(dispute)
    office.emit("charge.dispute.updated", dispute, before)
    return office.render(dispute)


def close(office: Office, _: Params, id: str) -> Body:  # noqa: A002
    """Accepting it is losing it."""
    return lose(office, id)


def retrieve(office: Office, _: Params, id: str) -> Body:  # noqa: A002
    return office.render(office.get("dispute", id))


def list_(office: Office, params: Params) -> Body:
    where = {"charge": params.text("charge"), "payment_intent": params.text("payment_intent")}
    return page(office, "dispute", params, "/v1/disputes", where)
