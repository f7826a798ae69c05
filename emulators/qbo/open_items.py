"""What a payment can be applied to: how much of an invoice, credit memo or expense on receivables is still open.

Home amounts leave an item in proportion and end at zero with it, so a part that is taken off can be put back exactly.
"""

from typing import NamedTuple

from emulators.qbo.checks import Body
from emulators.qbo.company import Company
from emulators.qbo.fault import against_rules, invalid_reference
from emulators.qbo.money import share, wire

# The API's word in LinkedTxn.TxnType for each kind that can stand on receivables.
ENTITIES = {
    "Invoice": "Invoice",
    "CreditMemo": "CreditMemo",
    "Expense": "Purchase",
    "Check": "Purchase",
    "JournalEntry": "JournalEntry",
}


class Opened(NamedTuple):
    """`amount` is debit-positive: an invoice above zero, a credit below."""

    account: str
    party: str
    amount: int
    home: int


def open_item(company: Company, document: str, opened: Opened) -> None:
    item: Body = {
        "document": document,
        "account": opened.account,
        "party": opened.party,
        "sign": 1 if opened.amount >= 0 else -1,
        "left": abs(opened.amount),
        "home_left": abs(opened.home),
        "payers": [],
    }
    _put(company, document, item)


def rename_party(company: Company, document: str, party: str) -> None:
    """Its customer was merged into another."""
    item = company.records.store.get("open", document)
    if item is not None:
        _put(company, document, item | {"party": party})


def close_item(company: Company, document: str) -> None:
    company.records.store.delete("open", document)


def payers_of(company: Company, document: str) -> list[str]:
    item = company.records.store.get("open", document)
    return list(item["payers"]) if item else []


def left_of(company: Company, document: str) -> int:
    item = company.records.store.get("open", document)
    return int(item["left"]) if item else 0


def target(company: Company, link: Body) -> str:
    """The document a payment's line names, "Invoice:12"."""
    kind = link.get("TxnType", "")
    entity = ENTITIES.get(kind)
    if entity is None or (entity == "Purchase" and not company.switches.expense_links):
        raise against_rules(f"A payment cannot be linked to a transaction of type {kind}.", 620)
    return f"{entity}:{link.get('TxnId')}"


def take(company: Company, document: str, amount: int, payer: str, party: str) -> Body:
    """Applies `amount` of a payment; gives what was taken, to be put back when the payment changes."""
    item = company.records.store.get("open", document)
    if item is None:
        raise invalid_reference("Line.LinkedTxn.TxnId", document.partition(":")[2])
    if item["party"] != party:
        raise against_rules("The customer of a payment and of the transactions it is applied to must be the same.", 620)
    if amount > item["left"]:
        raise against_rules("The amount applied is more than the balance of the transaction it is applied to.")
    home = share(item["home_left"], amount, item["left"]) if item["left"] else 0
    item["left"] -= amount
    item["home_left"] -= home
    item["payers"] = [*(other for other in item["payers"] if other != payer), payer]
    _put(company, document, item)
    show_open(company, document)
    return {"document": document, "amount": amount, "home": home, "sign": item["sign"], "account": item["account"]}


def put_back(company: Company, taken: Body, payer: str) -> None:
    item = company.records.store.get("open", taken["document"])
    assert item is not None, taken
    item["left"] += taken["amount"]
    item["home_left"] += taken["home"]
    item["payers"] = [other for other in item["payers"] if other != payer]
    _put(company, taken["document"], item)
    show_open(company, taken["document"])


def _put(company: Company, document: str, item: Body) -> None:
    side = "charge" if item["sign"] > 0 else "credit"
    keys = {"waiting": f"{item['party']}|{side}" if item["left"] else None}
    company.records.store.put("open", document, item, created=0, keys=keys)


def waiting(company: Company, party: str, side: str) -> list[str]:
    """Documents of a customer that are still open, the oldest first."""
    found = company.records.store.find("open", where={"waiting": f"{party}|{side}"}, oldest_first=True)
    return [item["document"] for item in found]


def fill_open(company: Company, document: str, body: Body) -> None:
    """Writes what is open into the document's body."""
    item = company.records.store.get("open", document)
    if item is None:
        return
    currency = body["CurrencyRef"]["value"]
    left = wire(item["left"], currency)
    if document.startswith("Invoice:"):
        body["Balance"] = left
        if currency != company.home:
            body["HomeBalance"] = wire(item["home_left"], company.home)
    elif document.startswith("CreditMemo:"):
        body["Balance"] = body["RemainingCredit"] = left
    body["LinkedTxn"] = [{"TxnId": payer, "TxnType": "Payment"} for payer in item["payers"]]
    if not body["LinkedTxn"] and not document.startswith("Invoice:"):
        del body["LinkedTxn"]


def show_open(company: Company, document: str) -> None:
    entity, _, object_id = document.partition(":")
    body = company.records.require(entity, object_id)
    fill_open(company, document, body)
    company.records.touch(entity, body)
    if entity == "Invoice":
        company.records.on_change(entity, object_id, "Update")
