"""Payment: money received from a customer, applied to what is open, the rest kept as credit."""

from emulators.qbo import open_items
from emulators.qbo.books import Leg
from emulators.qbo.checks import Body
from emulators.qbo.company import Company
from emulators.qbo.fault import against_rules, missing
from emulators.qbo.money import wire
from emulators.qbo.sales import MONEY_ACCOUNTS


def complete(company: Company, _entity: str, body: Body, old: Body) -> Body:
    customer = company.refer("Customer", body.get("CustomerRef"), "CustomerRef")
    if "TotalAmt" not in body:
        raise missing("TotalAmt")
    currency = company.denominate(body, customer["CurrencyRef"]["value"])
    company.must_match(currency, customer, "Customer")
    total = company.positive(company.minor(body, body["TotalAmt"]), "TotalAmt")
    body["TotalAmt"] = wire(total, currency)
    body.setdefault("DepositToAccountRef", company.reference_to("Undeposited Funds"))
    company.bank(body["DepositToAccountRef"], "DepositToAccountRef", MONEY_ACCOUNTS)
    body.setdefault("ProcessPayment", False)
    body["Line"] = [_complete_line(company, body, line) for line in body.get("Line", [])]
    if not old:
        _apply_by_itself(company, body, total)
    body["UnappliedAmt"] = wire(_unapplied(company, body, total), currency)
    return body


def _complete_line(company: Company, body: Body, line: Body) -> Body:
    if "Amount" not in line:
        raise missing("Line.Amount")
    if not line.get("LinkedTxn"):
        raise missing("Line.LinkedTxn")
    amount = company.positive(company.minor(body, line["Amount"]), "Line.Amount")
    link = line["LinkedTxn"][0]
    open_items.target(company, link)
    linked = {"TxnId": link.get("TxnId", ""), "TxnType": link["TxnType"]}
    return {"Amount": wire(amount, body["CurrencyRef"]["value"]), "LinkedTxn": [linked]}


def _unapplied(company: Company, body: Body, total: int) -> int:
    left = _left_over(company, body, total)
    if left < 0:
        raise against_rules("The amount applied is more than the payment and the credits it uses.")
    return left


def _left_over(company: Company, body: Body, total: int) -> int:
    for line in body["Line"]:
        amount = company.minor(body, line["Amount"])
        item = company.records.store.get("open", open_items.target(company, line["LinkedTxn"][0]))
        total += amount if item and item["sign"] < 0 else -amount
    return total


def _apply_by_itself(company: Company, body: Body, total: int) -> None:
    """With the preference AutoApplyPayments, what a new payment leaves over goes to the oldest open invoices."""
    if not company.preferences["SalesFormsPrefs"].get("AutoApplyPayments"):
        return
    left = _unapplied(company, body, total)
    linked = {line["LinkedTxn"][0]["TxnId"] for line in body["Line"]}
    for document in open_items.waiting(company, f"Customer:{body['CustomerRef']['value']}", "charge"):
        entity, _, object_id = document.partition(":")
        if left == 0 or entity != "Invoice" or object_id in linked:
            continue
        amount = min(left, open_items.left_of(company, document))
        left -= amount
        body["Line"].append(line_to(amount, body, object_id, "Invoice"))


def line_to(amount: int, body: Body, object_id: str, kind: str) -> Body:
    link = {"TxnId": object_id, "TxnType": kind}
    return {"Amount": wire(amount, body["CurrencyRef"]["value"]), "LinkedTxn": [link]}


# --- posting ----------------------------------------------------------------------------------------------------------


def legs(company: Company, _entity: str, body: Body) -> list[Leg]:
    """Applies the payment. What it takes from receivables leaves them at the invoice's own rate, so the realised
    difference is what the books then put to Exchange Gain or Loss."""
    payer, party = body["Id"], f"Customer:{body['CustomerRef']['value']}"
    taken = []
    for line in body["Line"]:
        document = open_items.target(company, line["LinkedTxn"][0])
        taken.append(open_items.take(company, document, company.minor(body, line["Amount"]), payer, party))
    company.records.store.put("taken", payer, {"taken": taken}, created=0)
    total = company.minor(body, body["TotalAmt"])
    deposited = company.leg(body, body["DepositToAccountRef"]["value"], total)
    applied = [
        Leg(part["account"], -part["sign"] * part["amount"], -part["sign"] * part["home"], party) for part in taken
    ]
    receivable = company.receivable(body["CurrencyRef"]["value"])
    return [deposited, *applied, company.leg(body, receivable, -company.minor(body, body["UnappliedAmt"]), party)]


def undo(company: Company, body: Body) -> None:
    row = company.records.store.get("taken", body["Id"])
    for part in reversed(row["taken"] if row else []):
        open_items.put_back(company, part, body["Id"])
    company.records.store.delete("taken", body["Id"])


def refit(company: Company, body: Body) -> None:
    """Cuts the lines to what their targets still have open, after one of them was changed or deleted."""
    currency, lines = body["CurrencyRef"]["value"], []
    left: dict[str, int] = {}
    party = f"Customer:{body['CustomerRef']['value']}"
    for line in body["Line"]:
        document = open_items.target(company, line["LinkedTxn"][0])
        item = company.records.store.get("open", document) or {"left": 0, "party": party}
        available = left.setdefault(document, item["left"] if item["party"] == party else 0)
        amount = min(company.minor(body, line["Amount"]), available)
        if amount:
            left[document] -= amount
            lines.append({**line, "Amount": wire(amount, currency)})
    body["Line"] = lines
    total = company.minor(body, body["TotalAmt"])
    while _left_over(company, body, total) < 0:  # a credit shrank: the last charges give way
        body["Line"].pop()
    body["UnappliedAmt"] = wire(_unapplied(company, body, total), currency)
