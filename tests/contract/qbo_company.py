"""A company on the stand-in: short ways to write documents, and an app whose answers are held to Intuit's XSDs."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulators.clock import Clock, Rng
from emulators.qbo import QboEmulator
from emulators.qbo.fields import ENTITIES
from emulators.store import Store
from tests.contract.qbo_schema import complaints, complaints_in

NOON = datetime(2026, 11, 20, 17, tzinfo=UTC)
HAS_SPECS = bool(os.environ.get("TIEOUT_SPECS"))
Body = dict[str, Any]


def new_company(**options: Any) -> QboEmulator:
    return QboEmulator(Store(), Clock(NOON), Rng(7), **options)


def ref(target: Body | str) -> Body:
    return {"value": target if isinstance(target, str) else target["Id"]}


def customer(books: QboEmulator, name: str = "Ann", currency: str = "USD") -> Body:
    return books.create("Customer", {"DisplayName": name, "CurrencyRef": ref(currency)})


def bank(books: QboEmulator, name: str = "Stripe Clearing", currency: str = "USD") -> Body:
    return books.create("Account", {"Name": name, "AccountType": "Bank", "CurrencyRef": ref(currency)})


def sale_line(amount: float, item: str = "1") -> Body:
    return {"Amount": amount, "DetailType": "SalesItemLineDetail", "SalesItemLineDetail": {"ItemRef": ref(item)}}


def sale(books: QboEmulator, entity: str, payer: Body, amount: float, **more: Any) -> Body:
    return books.create(entity, {"CustomerRef": ref(payer), "Line": [sale_line(amount)], **more})


def link(amount: float, target: Body, kind: str = "Invoice") -> Body:
    return {"Amount": amount, "LinkedTxn": [{"TxnId": target["Id"], "TxnType": kind}]}


def pay(books: QboEmulator, payer: Body, amount: float, *lines: Body, into: Body | None = None, **more: Any) -> Body:
    body = {"CustomerRef": ref(payer), "TotalAmt": amount, "Line": list(lines), **more}
    return books.create("Payment", body | ({"DepositToAccountRef": ref(into)} if into else {}))


def spend(books: QboEmulator, source: Body, amount: float, account: Body, **more: Any) -> Body:
    detail = {"AccountRef": ref(account)}
    line = {"Amount": amount, "DetailType": "AccountBasedExpenseLineDetail", "AccountBasedExpenseLineDetail": detail}
    return books.create("Purchase", {"PaymentType": "Cash", "AccountRef": ref(source), "Line": [line], **more})


def journal_line(side: str, amount: float, account: Body, payer: Body | None = None) -> Body:
    detail: Body = {"PostingType": side, "AccountRef": ref(account)}
    if payer:
        detail["Entity"] = {"Type": "Customer", "EntityRef": ref(payer)}
    return {"Amount": amount, "DetailType": "JournalEntryLineDetail", "JournalEntryLineDetail": detail}


def balances(books: QboEmulator) -> dict[str, int]:
    """The accounts that have a balance, by name, in their own currency; the trial balance must be zero."""
    assert sum(books.trial_balance().values()) == 0
    accounts = books.store.find("Account")
    return {body["Name"]: own for body in accounts if (own := books.account_balance(body["Id"]))}


def assert_contract(books: QboEmulator) -> None:
    """Everything that is stored, as any read would return it."""
    if HAS_SPECS:
        for entity in ENTITIES:
            for body in [*books.store.find(entity), *books.store.find(f"gone:{entity}")]:
                found = complaints(entity, body)
                assert found == [], found


class HeldToContract:
    """An app whose JSON answers are read along; what breaks the contract is kept in `found`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.found = app, list[str]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        parts: list[bytes] = []

        async def read_along(message: Message) -> None:
            parts.append(message.get("body", b""))
            await send(message)

        await self.app(scope, receive, read_along)
        if HAS_SPECS and scope["path"].startswith("/v3/") and parts:  # none when the line was cut
            body = json.loads(b"".join(parts))
            self.found += complaints_in(body) if "fault" not in body else []


@contextmanager
def held_to_contract(books: QboEmulator) -> Iterator[HeldToContract]:
    app = HeldToContract(books.app)
    yield app
    assert app.found == []
