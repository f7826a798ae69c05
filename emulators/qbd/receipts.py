"""ReceivePayment and ARRefundCreditCard: money of a customer comes in and is applied, or goes back out of a credit."""

from emulators.qbd.books import Leg
from emulators.qbd.company import MONEY, UNDEPOSITED, Company
from emulators.qbd.money import cents, share, wire
from emulators.qbd.refusals import bad_value, gone, missing
from emulators.store import Body


def complete_payment(company: Company, kind: str, body: Body) -> Body:
    customer = company.records.refer("CustomerRef", body, kind)
    if customer is None:
        raise missing("CustomerRef")
    company.denominate(body, customer["CurrencyRef"]["ListID"], kind)
    company.receivable(body, kind)
    company.account(body, "DepositToAccountRef", kind, UNDEPOSITED, MONEY)
    company.records.refer("PaymentMethodRef", body, kind)
    body["_total"] = cents(body.get("TotalAmount"))
    if body["_total"] < 0:
        raise bad_value("TotalAmount", body["TotalAmount"], "The amount cannot be negative.")
    body["TotalAmount"] = wire(body["_total"])
    applied = {each["TxnID"]: each for each in body.get("_applied", [])}
    for each in body.pop("AppliedToTxnAdd", []):
        applied[each["TxnID"]] = each
    for each in body.pop("AppliedToTxnMod", []):
        applied[each["TxnID"]] = applied.get(each["TxnID"], {}) | each
        if each.get("PaymentAmount") and not cents(each["PaymentAmount"]) and not each.get("SetCredit"):
            del applied[each["TxnID"]]
    body["_applied"] = list(applied.values())
    if body.pop("IsAutoApply", "false") in ("true", "1"):
        body["_auto"] = True
    return body


def is_credit_only(body: Body) -> bool:
    """Nothing is received, credits are only applied: QuickBooks makes no transaction of it."""
    return body["_total"] == 0 and any(each.get("SetCredit") for each in body["_applied"])


def apply_payment(company: Company, body: Body) -> None:
    """Applies what the payment says to. `TxnID` of the body is the credit, unless it is a credit-only one."""
    left, txn_id = body["_total"], body.get("TxnID", "")
    for each in body["_applied"]:
        amount, discount = cents(each.get("PaymentAmount")), cents(each.get("DiscountAmount"))
        used = [(credit["CreditTxnID"], cents(credit["AppliedAmount"])) for credit in each.get("SetCredit", [])]
        wanted = amount + discount + sum(value for _, value in used)
        _guard_charge(company, body, each["TxnID"], wanted, each.get("PaymentAmount") or wire(wanted))
        if amount or discount:
            company.items.link(txn_id, each["TxnID"], amount, via=txn_id, discount=discount)
        for credit_id, value in used:
            _use_credit(company, body, credit_id, each["TxnID"], value, via=txn_id or credit_id)
        left -= amount
    if left < 0:
        raise bad_value("TotalAmount", body["TotalAmount"], "You cannot apply more than the amount received.")
    if body.pop("_auto", False):
        _apply_to_oldest(company, body, left)


def _guard_charge(company: Company, body: Body, charge_id: str, wanted: int, shown: str) -> None:
    charge = company.items.get(charge_id)
    if charge is None or charge["total"] <= 0 or (left := company.items.left(charge_id)) <= 0:
        raise gone(charge_id)  # what is paid is not among the charges QuickBooks looks through
    if charge["kind"] == "Check" and not company.switches.checks_take_credits:
        raise gone(charge_id)
    if charge["party"] != body["CustomerRef"]["ListID"]:
        raise bad_value("AppliedToTxnAdd TxnID", charge_id, "The transaction belongs to another customer.")
    if charge["account"] != body["ARAccountRef"]["ListID"]:
        raise bad_value("ARAccountRef", charge_id, "The transaction is on another accounts receivable account.")
    if wanted < 0 or wanted > left:
        raise bad_value("AppliedToTxnAdd payment amount", shown, "You cannot pay more than the amount due.")


def _use_credit(company: Company, body: Body, credit_id: str, charge_id: str, amount: int, *, via: str) -> None:
    credit = company.items.get(credit_id)
    if credit is None or credit["total"] >= 0 or credit["party"] != body["CustomerRef"]["ListID"]:
        raise gone(credit_id)
    if amount <= 0 or amount > company.items.left(credit_id):
        raise bad_value("SetCredit AppliedAmount", wire(amount), "You cannot apply more than the credit that is left.")
    company.items.link(credit_id, charge_id, amount, via=via)


def _apply_to_oldest(company: Company, body: Body, left: int) -> None:
    party, account = body["CustomerRef"]["ListID"], body["ARAccountRef"]["ListID"]
    for charge in company.items.waiting(party, account):
        amount = min(left, company.items.left(charge["id"]))
        if amount:
            body["_applied"].append({"TxnID": charge["id"], "PaymentAmount": wire(amount)})
            company.items.link(body["TxnID"], charge["id"], amount, via=body["TxnID"])
            left -= amount


def payment_legs(company: Company, kind: str, body: Body) -> list[Leg]:
    """What is applied leaves A/R at the invoice's value in home currency, the rest at today's."""
    receivable, party = body["ARAccountRef"]["ListID"], body["CustomerRef"]["ListID"]
    legs = [company.leg(body, body["DepositToAccountRef"]["ListID"], body["_total"])]
    rest = body["_total"]
    for link in company.items.via(body["TxnID"]):
        if link["credit"] != body["TxnID"]:
            continue
        charge = company.items.get(link["charge"])
        assert charge is not None
        amount = link["amount"] + link["discount"]
        legs.append(Leg(receivable, -amount, -share(charge["home"], amount, charge["total"]), party))
        if link["discount"]:
            legs.append(company.leg(body, _discount_account(company, kind, body, link["charge"]), link["discount"]))
        rest -= link["amount"]
    return [*legs, company.leg(body, receivable, -rest, party)]


def _discount_account(company: Company, kind: str, body: Body, charge_id: str) -> str:
    each = next(each for each in body["_applied"] if each["TxnID"] == charge_id)
    return str(company.account(each, "DiscountAccountRef", kind)["ListID"])


def payment_opens(_company: Company, _kind: str, body: Body) -> tuple[str, str, int]:
    return body["CustomerRef"]["ListID"], body["ARAccountRef"]["ListID"], -body["_total"]


# --- refunds ---


def complete_refund(company: Company, kind: str, body: Body) -> Body:
    customer = company.records.refer("CustomerRef", body, kind)
    if customer is None:
        raise missing("CustomerRef")
    company.denominate(body, customer["CurrencyRef"]["ListID"], kind)
    company.receivable(body, kind)
    company.account(body, "RefundFromAccountRef", kind, UNDEPOSITED, (*MONEY, "CreditCard"))
    company.records.refer("PaymentMethodRef", body, kind)
    added = body.pop("RefundAppliedToTxnAdd", None)
    if added is not None:
        body["_applied"] = added
    body["_total"] = sum(cents(each["RefundAmount"]) for each in body["_applied"])
    body["TotalAmount"] = wire(body["_total"])
    return body


def apply_refund(company: Company, body: Body) -> None:
    for each in body["_applied"]:
        credit, amount = company.items.get(each["TxnID"]), cents(each["RefundAmount"])
        if credit is None or credit["total"] >= 0 or (left := company.items.left(each["TxnID"])) <= 0:
            raise gone(each["TxnID"])
        if credit["party"] != body["CustomerRef"]["ListID"]:
            raise bad_value("RefundAppliedToTxnAdd TxnID", each["TxnID"], "The credit belongs to another customer.")
        if credit["account"] != body["ARAccountRef"]["ListID"]:
            raise bad_value("ARAccountRef", each["TxnID"], "The credit is on another accounts receivable account.")
        if amount <= 0 or amount > left:
            raise bad_value(
                "RefundAmount", each["RefundAmount"], "You cannot refund more than the credit that is left."
            )
        company.items.link(each["TxnID"], body["TxnID"], amount, via=body["TxnID"])


def refund_legs(company: Company, _kind: str, body: Body) -> list[Leg]:
    total, party = body["_total"], body["CustomerRef"]["ListID"]
    return [
        company.leg(body, body["ARAccountRef"]["ListID"], total, party),
        company.leg(body, body["RefundFromAccountRef"]["ListID"], -total),
    ]


def refund_opens(_company: Company, _kind: str, body: Body) -> tuple[str, str, int]:
    return body["CustomerRef"]["ListID"], body["ARAccountRef"]["ListID"], body["_total"]
