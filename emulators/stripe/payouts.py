"""Payouts: automatic ones each business day, with the balance transactions they consist of; manual ones on request."""

from emulators.stripe import days, ledger
from emulators.stripe.errors import Body, invalid
from emulators.stripe.lists import created_range, page, slice_of
from emulators.stripe.office import Office
from emulators.stripe.params import Params
from emulators.stripe.settings import DAY_S

CREATE_PARAMS = ("amount", "currency", "description", "destination", "metadata", "method", "statement_descriptor")
LIST_PARAMS = ("arrival_date", "created", "destination", "status")

SENT_AFTER_S = 3_600
RECONCILED_AFTER_S = 21_600


def pay_out(office: Office, _: str) -> None:
    """Task: one payout a currency, of everything available that is in no payout yet."""
    for currency in [purse["currency"] for purse in office.store.find("purse", oldest_first=True)]:
        due = office.store.find("balance_transaction", where={"_unpaid": currency})
        total = sum(body["net"] for body in due)
        if total > 0 or (total < 0 and office.account.debit_negative_balances):
            _pay_out(office, currency, total, due)


def _pay_out(office: Office, currency: str, total: int, due: list[Body]) -> None:
    payout = _start(office, total, currency, automatic=True)
    own = office.get("balance_transaction", payout["balance_transaction"])
    for body in [*due, own]:
        office.save(body | {"_unpaid": None, "_payout": payout["id"]})
    office.later(office.now() + RECONCILED_AFTER_S, "reconcile_payout", payout["id"])


def _start(office: Office, amount: int, currency: str, *, automatic: bool) -> Body:
    """The payout is pending; its money has left the balance."""
    now = office.now()
    payout: Body = {
        "id": office.new_id("payout"), "object": "payout", "amount": amount, "application_fee": None,
        "application_fee_amount": None,
        "arrival_date": days.business_days_later(now, office.account.payout_transit_days),
        "automatic": automatic, "balance_transaction": None, "created": now, "currency": currency,
        "description": "STRIPE PAYOUT" if automatic else None, "destination": bank_account(office, currency)["id"],
        "failure_balance_transaction": None, "failure_code": None, "failure_message": None, "livemode": False,
        "metadata": {}, "method": "standard", "original_payout": None, "payout_method": None,
        "reconciliation_status": "in_progress" if automatic else "not_applicable", "reversed_by": None,
        "source_type": "card", "statement_descriptor": None, "status": "pending",
        "trace_id": {"status": "pending", "value": None}, "type": "bank_account", "_automatic": automatic,
    }  # fmt: skip
    own = ledger.post(
        office, amount=-amount, currency=currency, type="payout", category="payout", source=payout["id"],
        description="STRIPE PAYOUT",
    )  # fmt: skip
    payout["balance_transaction"] = own["id"]
    office.save(payout)
    office.emit("payout.created", payout)
    office.later(now + SENT_AFTER_S, "send_payout", payout["id"])
    office.later(payout["arrival_date"], "complete_payout", payout["id"])
    return payout


def send(office: Office, id: str) -> None:  # noqa: A002
    """Task: on its way to the bank."""
    _advance(office, id, "pending", "in_transit", "payout.updated")


def complete(office: Office, id: str) -> None:  # noqa: A002
    """Task: arrived. The bank's reference becomes known later, without an event, as at Stripe."""
    _advance(office, id, "in_transit", "paid", "payout.paid")
    office.later(office.now() + DAY_S, "trace_payout", id)


def trace(office: Office, id: str) -> None:  # noqa: A002
    payout = office.get("payout", id)
    office.save(payout | {"trace_id": {"status": "supported", "value": f"TRACE{payout['id'][-10:].upper()}"}})


def reconcile(office: Office, id: str) -> None:  # noqa: A002
    """Task: from now on the list of its balance transactions is final."""
    payout = office.get("payout", id) | {"reconciliation_status": "completed"}
    office.save(payout)
    office.emit("payout.reconciliation_completed", payout, {"reconciliation_status": "in_progress"})


def _advance(office: Office, id: str, before: str, after: str, event: str) -> None:  # noqa: A002
    payout = office.get("payout", id)
    if payout["status"] == before:
        payout |= {"status": after}
        office.save(payout)
        office.emit(event, payout, {"status": before})


def fail(office: Office, id: str, code: str = "account_closed") -> Body:  # noqa: A002
    """The bank sends it back, also after it was paid."""
    message = "The bank account has been closed."
    return _give_back(office, id, "failed", "payout_failure", {"failure_code": code, "failure_message": message})


def cancel(office: Office, _: Params, id: str) -> Body:  # noqa: A002
    if office.get("payout", id)["status"] != "pending":
        raise invalid("Payouts can only be canceled while they are pending.")
    return _give_back(office, id, "canceled", "payout_cancel", {})


def _give_back(office: Office, id: str, status: str, type: str, changes: Body) -> Body:  # noqa: A002
    old = office.get("payout", id)
    if old["failure_balance_transaction"] is not None:
        raise invalid(f"This payout is already {old['status']}.")
    back = ledger.post(
        office, amount=old["amount"], currency=old["currency"], type=type, category="payout_reversal", source=id,
        description="STRIPE PAYOUT FAILURE" if status == "failed" else "STRIPE PAYOUT CANCELED",
    )  # fmt: skip
    payout = old | changes | {"status": status, "failure_balance_transaction": back["id"]}
    office.save(payout)
    office.emit(f"payout.{status}", payout, {"status": old["status"], "failure_balance_transaction": None})
    return office.render(payout)


def bank_account(office: Office, currency: str) -> Body:
    """Where payouts of a currency go to."""
    found = office.store.find("bank_account", where={"currency": currency}, limit=1)
    if found:
        return found[0]
    body: Body = {
        "id": office.new_id("bank_account"), "object": "bank_account", "account": office.account.id,
        "account_holder_name": office.account.name, "account_holder_type": "company", "account_type": None,
        "available_payout_methods": ["standard"], "bank_name": "STRIPE TEST BANK", "country": office.account.country,
        "currency": currency, "default_for_currency": True, "fingerprint": office.rng.token(16),
        "future_requirements": None, "last4": "6789", "metadata": {}, "requirements": None,
        "routing_number": "110000000", "status": "new", "created": office.now(),
    }  # fmt: skip
    office.save(body)
    return body


def show_bank_account(_: Office, shown: Body, __: Body) -> Body:
    """The store wants a time of creation that Stripe does not tell."""
    shown.pop("created")
    return shown


def create(office: Office, params: Params) -> Body:
    amount, currency = params.amount(), params.required("currency").lower()
    if amount > ledger.available(office, currency):
        message = "You have insufficient funds in your Stripe account for this transfer."
        raise invalid(message, code="balance_insufficient")
    payout = _start(office, amount, currency, automatic=False)
    texts = {name: params.text(name) for name in ("description", "statement_descriptor")}
    method = params.choice("method", ("standard", "instant"), "standard")
    payout |= texts | {"metadata": params.metadata(), "method": method}
    office.save(payout)
    return office.render(payout)


def update(office: Office, params: Params, id: str) -> Body:  # noqa: A002
    old = office.get("payout", id)
    payout = old | {"metadata": params.metadata(old["metadata"])}
    office.save(payout)
    office.emit("payout.updated", payout, {"metadata": old["metadata"]})
    return office.render(payout)


def retrieve(office: Office, _: Params, id: str) -> Body:  # noqa: A002
    return office.render(office.get("payout", id))


def list_(office: Office, params: Params) -> Body:
    where = {"status": params.text("status"), "destination": params.text("destination")}
    if "arrival_date" not in params:
        return page(office, "payout", params, "/v1/payouts", where)
    low, high = created_range(params, "arrival_date")
    known = {name: value for name, value in where.items() if value is not None}
    found = office.store.find("payout", where=known)
    due = [
        office.render(body) for body in found if (low or 0) <= body["arrival_date"] <= (high or body["arrival_date"])
    ]
    return slice_of(due, params, "/v1/payouts")
