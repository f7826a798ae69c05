"""Check, deposit, transfer and journal entry."""

from emulators.qbd.books import Leg
from emulators.qbd.company import MONEY, UNDEPOSITED, Company
from emulators.qbd.lines import changed_lines
from emulators.qbd.money import cents, wire
from emulators.qbd.refusals import Refused, bad_value, gone, missing, not_saved
from emulators.store import Body

RECEIVABLE = "AccountsReceivable"
DEPOSITABLE = ("ReceivePayment", "SalesReceipt")


# --- check ---


def complete_check(company: Company, kind: str, body: Body) -> Body:
    bank = company.account(body, "AccountRef", kind, types=("Bank",))
    payee = company.records.refer("PayeeEntityRef", body, kind)
    company.denominate(body, bank["CurrencyRef"]["ListID"], kind)
    added = body.pop("ExpenseLineAdd", None)
    if added is not None:
        body["ExpenseLineRet"] = [{"TxnLineID": company.records.line_id(), **line} for line in added]
    if mods := body.pop("ExpenseLineMod", None):
        kept = changed_lines(body.get("ExpenseLineRet", []), mods)
        body["ExpenseLineRet"] = [{"TxnLineID": company.records.line_id(), **line} for line in kept]
    body["_open"] = None
    for line in body.get("ExpenseLineRet", []):
        account = company.account(line, "AccountRef", kind)
        customer = company.records.refer("CustomerRef", line, kind)
        line["Amount"] = wire(cents(line.get("Amount")))
        if account["AccountType"] == RECEIVABLE:
            party = (customer or payee or {}).get("ListID", "")
            line["_party"] = party
            body["_open"] = [party, account["ListID"], cents(line["Amount"])]
    body["_total"] = sum(cents(line["Amount"]) for line in body.get("ExpenseLineRet", []))
    if body["_total"] < 0:
        raise bad_value("Amount", wire(body["_total"]), "Transaction amount must be positive.")
    body["Amount"] = wire(body["_total"])
    body["_applied"] = body.pop("ApplyCheckToTxnAdd", body.get("_applied", []))
    return body


def apply_check(company: Company, body: Body) -> None:
    """A check to A/R gives a credit of the customer back."""
    for each in body["_applied"]:
        credit, left = company.items.get(each["TxnID"]), company.items.left(each["TxnID"])
        amount = cents(each["Amount"]) if each.get("Amount") else min(left, company.items.left(body["TxnID"]))
        if credit is None or credit["total"] >= 0 or left <= 0 or body["_open"] is None:
            raise gone(each["TxnID"])
        if credit["party"] != body["_open"][0] or credit["account"] != body["_open"][1]:
            raise gone(each["TxnID"])
        if amount <= 0 or amount > min(left, company.items.left(body["TxnID"])):
            raise bad_value("ApplyCheckToTxnAdd Amount", wire(amount), "You cannot apply more than is left.")
        company.items.link(each["TxnID"], body["TxnID"], amount, via=body["TxnID"])


def check_legs(company: Company, _kind: str, body: Body) -> list[Leg]:
    payee = (body.get("PayeeEntityRef") or {}).get("ListID", "")
    lines = [
        company.leg(body, line["AccountRef"]["ListID"], cents(line["Amount"]), line.get("_party", payee))
        for line in body.get("ExpenseLineRet", [])
    ]
    home = -sum(leg.home for leg in lines)
    return [*lines, Leg(body["AccountRef"]["ListID"], -body["_total"], home)]


# --- deposit ---


def complete_deposit(company: Company, kind: str, body: Body) -> Body:
    bank = company.account(body, "DepositToAccountRef", kind, types=MONEY)
    if body.get("CashBackInfoAdd"):
        raise not_saved(kind, "This company file takes no cash back.")
    company.denominate(body, bank["CurrencyRef"]["ListID"], kind)
    added = body.pop("DepositLineAdd", None)
    if added is not None:
        body["DepositLineRet"] = [_deposit_line(company, kind, line) for line in added]
    if mods := body.pop("DepositLineMod", None):
        body["DepositLineRet"] = [
            _deposit_line(company, kind, line) for line in changed_lines(body.get("DepositLineRet", []), mods)
        ]
    body["_total"] = sum(cents(line["Amount"]) for line in body.get("DepositLineRet", []))
    if body["_total"] < 0:
        raise bad_value("Amount", wire(body["_total"]), "The total of a deposit cannot be negative.")
    body["DepositTotal"] = wire(body["_total"])
    return body


def _deposit_line(company: Company, kind: str, line: Body) -> Body:
    numbered = {"TxnLineID": line.get("TxnLineID") or company.records.line_id()}
    payment_id = line.get("PaymentTxnID")
    if payment_id is None:
        company.account(line, "AccountRef", kind)
        company.records.refer("EntityRef", line, kind)
        company.records.refer("PaymentMethodRef", line, kind)
        return numbered | line | {"Amount": wire(cents(line.get("Amount")))}
    payment = company.records.find(payment_id, *DEPOSITABLE)
    undeposited = company.account_named(UNDEPOSITED)["ListID"]
    waits = payment is not None and payment["DepositToAccountRef"]["ListID"] == undeposited
    if payment is None or not waits or company.records.store.get("deposited", payment_id):
        raise gone(payment_id)
    shown: Body = {"TxnType": company.records.kind_of(payment_id), "TxnID": payment_id}
    shown |= {"AccountRef": {"ListID": undeposited}, "Amount": wire(payment["_total"])}
    if payment.get("CustomerRef"):
        shown["EntityRef"] = payment["CustomerRef"]
    return numbered | shown


def mark_deposited(company: Company, body: Body, *, deposited: bool) -> None:
    for line in body.get("DepositLineRet", []):
        if "TxnID" in line and deposited:
            company.records.store.put("deposited", line["TxnID"], {"in": body["TxnID"]}, created=0)
        elif "TxnID" in line:
            company.records.store.delete("deposited", line["TxnID"])


def guard_deposited(company: Company, txn_id: str) -> None:
    if company.records.store.get("deposited", txn_id) is not None:
        text = "This payment has been deposited.  Take it out of the deposit before you change it."
        raise Refused(3260, f"Insufficient permission level to perform this action.  QuickBooks error message: {text}")


def deposit_legs(company: Company, _kind: str, body: Body) -> list[Leg]:
    lines = []
    for line in body.get("DepositLineRet", []):
        party = (line.get("EntityRef") or {}).get("ListID", "")
        lines.append(company.leg(body, line["AccountRef"]["ListID"], -cents(line["Amount"]), party))
    home = -sum(leg.home for leg in lines)
    return [Leg(body["DepositToAccountRef"]["ListID"], body["_total"], home), *lines]


# --- transfer ---


def complete_transfer(company: Company, kind: str, body: Body) -> Body:
    sides = [company.account(body, name, kind) for name in ("TransferFromAccountRef", "TransferToAccountRef")]
    company.records.refer("ClassRef", body, kind)
    if sides[0]["ListID"] == sides[1]["ListID"]:
        raise bad_value("TransferToAccountRef", sides[1]["FullName"], "You cannot transfer to the same account.")
    currencies = {side["CurrencyRef"]["ListID"] for side in sides}
    if len(currencies) > 1:
        raise not_saved(kind, "You can transfer funds only between accounts of the same currency.")
    if any(side["AccountType"] in (RECEIVABLE, "AccountsPayable") for side in sides):
        raise not_saved(kind, "You cannot transfer funds to or from accounts receivable or payable.")
    company.denominate(body, currencies.pop(), kind)
    body["_total"] = cents(body.get("Amount"))
    if body["_total"] <= 0:
        raise bad_value("Amount", body.get("Amount", ""), "Transaction amount must be positive.")
    body["Amount"] = wire(body["_total"])
    return body


def transfer_legs(company: Company, _kind: str, body: Body) -> list[Leg]:
    source, sink = (body[name]["ListID"] for name in ("TransferFromAccountRef", "TransferToAccountRef"))
    return [company.leg(body, sink, body["_total"]), company.leg(body, source, -body["_total"])]


# --- journal entry ---

SIDES = {"JournalDebitLine": 1, "JournalCreditLine": -1}
TYPES = {"Debit": "JournalDebitLine", "Credit": "JournalCreditLine"}


def complete_journal(company: Company, kind: str, body: Body) -> Body:
    currency = company.records.refer("CurrencyRef", body, kind)
    company.denominate(body, currency["ListID"] if currency else company.books.home, kind)
    body.setdefault("IsAdjustment", "false")
    body["_open"] = None
    _take_sides(body)
    totals = dict.fromkeys(SIDES, 0)
    for side, sign in SIDES.items():
        for line in body.get(side, []):
            _journal_line(company, kind, body, line, sign)
            totals[side] += cents(line["Amount"])
    if len(set(totals.values())) > 1:
        raise not_saved(kind, "Transaction is not in balance.  Make sure the debits equal the credits.")
    body["_total"] = totals["JournalDebitLine"]
    return body


def _take_sides(body: Body) -> None:
    """A Mod has one kind of line, which stays on its side unless it says another."""
    mods = body.pop("JournalLineMod", None)
    if mods is None:
        return
    present = [line | {"JournalLineType": side} for side, name in TYPES.items() for line in body.get(name, [])]
    lines = changed_lines(present, mods)
    for side, name in TYPES.items():
        mine = [line for line in lines if line.get("JournalLineType") == side]
        body[name] = [{key: value for key, value in line.items() if key != "JournalLineType"} for line in mine]


def _journal_line(company: Company, kind: str, body: Body, line: Body, sign: int) -> None:
    if not line.get("AccountRef"):
        raise missing("AccountRef")
    account = company.account(line, "AccountRef", kind)
    entity = company.records.refer("EntityRef", line, kind)
    company.records.refer("ClassRef", line, kind)
    amount = cents(line.get("Amount"))
    if amount < 0:
        raise bad_value("Amount", line["Amount"], "The amounts of a journal entry are positive.")
    line["Amount"] = wire(amount)
    line.setdefault("TxnLineID", company.records.line_id())
    if account["AccountType"] in (RECEIVABLE, "AccountsPayable"):
        if body["_open"] is not None:
            raise not_saved(kind, "You cannot use more than one accounts receivable or payable line in a transaction.")
        if entity is None:
            raise not_saved(kind, f"You must specify a customer for the account {account['Name']}.")
        body["_open"] = [entity["ListID"], account["ListID"], sign * amount]


def journal_legs(company: Company, _kind: str, body: Body) -> list[Leg]:
    return [
        company.leg(
            body,
            line["AccountRef"]["ListID"],
            sign * cents(line["Amount"]),
            (line.get("EntityRef") or {}).get("ListID", ""),
        )
        for side, sign in SIDES.items()
        for line in body.get(side, [])
    ]


def opens(company: Company, _kind: str, body: Body) -> tuple[str, str, int] | None:
    """A line on A/R: a debit is a charge, a credit is a credit."""
    if body.get("_open") is None:
        return None
    party, account, total = body["_open"]
    is_receivable = company.records.require("Account", account)["AccountType"] == RECEIVABLE
    return (party, account, total) if is_receivable else None
