"""A Desktop company file to test with, its messages held to Intuit's XSD where there is one; short ways to ask it."""

import os
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from emulators.clock import Clock
from emulators.qbd import CompanyFile
from emulators.qbd.company import Switches
from tests.contract.qbd_schema import inspect

NOON = datetime(2026, 11, 20, 17, tzinfo=UTC)
HAS_SPECS = bool(os.environ.get("TIEOUT_SPECS"))
APPLICATION = "Tieout"
Body = dict[str, Any]


def new_file(clock: Clock | None = None, name: str = "Larkspur Studio LLC", **switches: Any) -> CompanyFile:
    file = CompanyFile(
        clock or Clock(NOON), name=name, switches=Switches(**switches), inspect=inspect if HAS_SPECS else None
    )
    for account, kind in (("Stripe Clearing", "Bank"), ("Stripe Fees", "Expense")):
        file.add("Account", {"Name": account, "AccountType": kind})
    return file


def customer(file: CompanyFile, name: str = "Ann", currency: str = "US Dollar") -> Body:
    return file.add("Customer", {"Name": name, "CurrencyRef": {"FullName": currency}})


def sale(file: CompanyFile, kind: str, payer: Body, amount: str, **more: Any) -> Body:
    line = {"ItemRef": {"FullName": "Services"}, "Amount": amount}
    return file.add(kind, {"CustomerRef": ref(payer), f"{kind}LineAdd": [line], **more})


def pay(
    file: CompanyFile, payer: Body, amount: str, *applied: Body, into: str = "Stripe Clearing", **more: Any
) -> Body:
    head = {"CustomerRef": ref(payer), "TotalAmount": amount, "DepositToAccountRef": {"FullName": into}}
    return file.add("ReceivePayment", head | {"AppliedToTxnAdd": list(applied)} | more)


def on(target: Body, amount: str) -> Body:
    return {"TxnID": target["TxnID"], "PaymentAmount": amount}


def ref(target: Body) -> Body:
    return {"ListID": target["ListID"]}


def message(requests: str, attributes: str = 'onError="stopOnError"', version: str = "13.0") -> str:
    head = f'<?xml version="1.0" encoding="utf-8"?><?qbxml version="{version}"?>'
    return f"{head}<QBXML><QBXMLMsgsRq {attributes}>{requests}</QBXMLMsgsRq></QBXML>"


def payment_xml(payer: Body, invoice: Body, amount: str, memo: str = "ch_1") -> str:
    return (
        f"<ReceivePaymentAddRq><ReceivePaymentAdd><CustomerRef><ListID>{payer['ListID']}</ListID></CustomerRef>"
        f"<TotalAmount>{amount}</TotalAmount><Memo>{memo}</Memo>"
        "<DepositToAccountRef><FullName>Stripe Clearing</FullName></DepositToAccountRef>"
        f"<AppliedToTxnAdd><TxnID>{invoice['TxnID']}</TxnID><PaymentAmount>{amount}"
        "</PaymentAmount></AppliedToTxnAdd></ReceivePaymentAdd></ReceivePaymentAddRq>"
    )


def answers(text: str) -> Element:
    """The QBXMLMsgsRs."""
    found = ElementTree.fromstring(text).find("QBXMLMsgsRs")
    assert found is not None
    return found


def ask(file: CompanyFile, requests: str, attributes: str = 'onError="stopOnError"') -> Element:
    """In a session of its own."""
    session = file.begin_session(APPLICATION)
    try:
        return answers(session.process(message(requests, attributes)))
    finally:
        session.end()


def ask_one(file: CompanyFile, request: str) -> Element:
    (answer,) = ask(file, request)
    return answer


def status(answer: Element) -> tuple[int, str]:
    return int(answer.get("statusCode", "")), answer.get("statusMessage", "")


def texts(answer: Element, path: str) -> list[str]:
    return [found.text or "" for found in answer.findall(path)]
