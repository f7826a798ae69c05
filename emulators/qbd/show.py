"""How QuickBooks shows an object: its references with their names, its balances, its links, as they are now."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from emulators.qbd import extensions
from emulators.qbd.company import Company
from emulators.qbd.money import times, wire
from emulators.qbd.records import TRANSACTIONS, key_of
from emulators.store import Body

SIGNS = {
    "Bank": 1, "AccountsReceivable": 1, "OtherCurrentAsset": 1, "FixedAsset": 1, "OtherAsset": 1,
    "AccountsPayable": -1, "CreditCard": -1, "OtherCurrentLiability": -1, "LongTermLiability": -1, "Equity": -1,
}  # fmt: skip


def show(
    company: Company, kind: str, body: Body, *, lines: bool = True, links: bool = True, owners: Iterable[str] = ()
) -> Body:
    """What a Ret holds. Income and expense accounts have no balance."""
    seen: Body = _named(company, body)
    if kind in TRANSACTIONS:
        _show_transaction(company, kind, body, seen, lines=lines, links=links)
        _show_home_total(kind, seen, wire(company.home_amount(body, body["_total"])))
    elif kind == "Account" and body["AccountType"] in SIGNS:
        balance = wire(company.books.balance(body["ListID"])[0] * SIGNS[body["AccountType"]])
        seen |= {"Balance": balance, "TotalBalance": balance}
    elif kind == "Customer":
        _show_customer(company, body, seen)
    elif kind == "Vendor":
        seen.pop("FullName")
        seen.pop("Sublevel")
        seen["Balance"] = wire(0)
    elif kind in ("PaymentMethod", "Currency", "SalesTaxCode", "ItemSalesTax"):
        seen.pop("FullName", None)
        seen.pop("Sublevel", None)
    values = extensions.shown(company, body[key_of(kind)], owners) if body.get(key_of(kind)) else []
    return seen | ({"DataExtRet": values} if values else {})


def _named(company: Company, value: Any) -> Any:
    """A copy without the stand-in's own names; references say the present name of what they point to."""
    if isinstance(value, list):
        return [_named(company, each) for each in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"ListID"}:
        kind = company.records.kind_of(value["ListID"])
        found = company.records.get(kind, value["ListID"]) if kind else None
        return value | ({"FullName": found.get("FullName") or found["Name"]} if found else {})
    return {name: _named(company, each) for name, each in value.items() if not name.startswith("_")}


def _show_customer(company: Company, body: Body, seen: Body) -> None:
    receivables = company.records.store.find("Account", where={"type": "AccountsReceivable"})
    own = sum(company.books.owed(account["ListID"], body["ListID"]) for account in receivables)
    seen |= {"Balance": wire(own), "TotalBalance": wire(own)}


def _show_transaction(company: Company, kind: str, body: Body, seen: Body, *, lines: bool, links: bool) -> None:
    rate, total = Decimal(body["ExchangeRate"]), body["_total"]
    left = company.items.left(body["TxnID"]) if body.get("TxnID") else 0
    if kind == "Invoice":
        seen |= {"AppliedAmount": wire(left - total), "BalanceRemaining": wire(left)}
        seen |= {"BalanceRemainingInHomeCurrency": wire(times(left, rate)), "IsPaid": str(left == 0).lower()}
    elif kind == "CreditMemo":
        seen |= {"CreditRemaining": wire(left), "CreditRemainingInHomeCurrency": wire(times(left, rate))}
    elif kind == "ReceivePayment":
        seen |= {"UnusedPayment": wire(left), "UnusedCredits": wire(0)}
        if lines:
            seen["AppliedToTxnRet"] = _applied(company, body)
    elif kind == "ARRefundCreditCard" and lines:
        seen["RefundAppliedToTxnRet"] = _refunded(company, body)
    elif kind == "Transfer":
        _show_balances(company, body, seen)
    if links and kind in ("Invoice", "CreditMemo", "Check"):
        seen["LinkedTxn"] = _linked(company, body["TxnID"])
    if not lines:
        for name in (f"{kind}LineRet", "ExpenseLineRet", "JournalDebitLine", "JournalCreditLine"):
            seen.pop(name, None)


def _show_balances(company: Company, body: Body, seen: Body) -> None:
    for name in ("From", "To"):
        account = company.records.require("Account", body[f"Transfer{name}AccountRef"]["ListID"])
        balance = company.books.balance(account["ListID"])[0] * SIGNS.get(account["AccountType"], 1)
        seen[f"{name}AccountBalance"] = wire(balance)


def _show_home_total(kind: str, seen: Body, total: str) -> None:
    names = {"Check": "AmountInHomeCurrency", "Deposit": "DepositTotalInHomeCurrency"}
    names |= dict.fromkeys(("SalesReceipt", "ReceivePayment", "ARRefundCreditCard"), "TotalAmountInHomeCurrency")
    if kind in names:
        seen[names[kind]] = total
    if kind == "Transfer":  # of equal currencies: none is named
        seen.pop("CurrencyRef", None)
        seen.pop("ExchangeRate", None)


def _applied(company: Company, payment: Body) -> list[Body]:
    """What the payment paid, by itself and through later documents; of a credit-only one what it was for."""
    if payment.get("TxnID"):
        pays = [link for link in company.items.links(payment["TxnID"]) if link["credit"] == payment["TxnID"]]
        return [_summary(company, link["charge"], "BalanceRemaining") | _paid(link) for link in pays]
    return [_summary(company, each["TxnID"], "BalanceRemaining") | {"Amount": "0.00"} for each in payment["_applied"]]


def _paid(link: Body) -> Body:
    discount = {"DiscountAmount": wire(link["discount"])} if link["discount"] else {}
    return {"Amount": wire(link["amount"])} | discount


def _refunded(company: Company, refund: Body) -> list[Body]:
    return [
        _summary(company, link["credit"], "CreditRemaining") | {"RefundAmount": wire(link["amount"])}
        for link in company.items.via(refund["TxnID"])
    ]


def _summary(company: Company, txn_id: str, left: str) -> Body:
    kind = company.records.kind_of(txn_id)
    assert kind is not None
    body = company.records.require(kind, txn_id)
    number = {"RefNumber": body["RefNumber"]} if body.get("RefNumber") else {}
    head = {"TxnID": txn_id, "TxnType": kind, "TxnDate": body["TxnDate"], left: wire(company.items.left(txn_id))}
    return head | number


def _linked(company: Company, txn_id: str) -> list[Body]:
    linked = []
    for link in company.items.links(txn_id):
        is_charge = link["charge"] == txn_id
        summary = _summary(company, link["credit"] if is_charge else link["charge"], "_")
        amount = wire(-link["amount"] if is_charge else link["amount"])
        linked.append(
            {name: summary[name] for name in summary if name != "_"} | {"LinkType": "AMTTYPE", "Amount": amount}
        )
    return linked
