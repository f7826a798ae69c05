"""What documents do to the clearing accounts of a link, in each account's own currency."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import date

import msgspec
from sqlalchemy import Connection

from reconcile.currencies import in_home
from reconcile.records import Account, Document
from storage import mirror
from storage.connections import Link


class Line(msgspec.Struct, frozen=True, gc=False):
    account_id: str
    amount_minor: int


class Entries(msgspec.Struct, frozen=True, gc=False):
    """Of a document's record, what a proof needs: of very many, half the time of reading all of it."""

    id: str
    currency: str
    dated: date
    legs: tuple[Line, ...] = ()
    marker: str | None = None
    exchange_rate: str | None = None
    voided: bool = False


def accounts_of(conn: Connection, link: Link) -> dict[str, Account]:
    """The clearing accounts by id; one that is not in the mirror is taken to be in its mapping's currency."""
    known: dict[str, Account] = mirror.load(conn, link.ledger_id, "account", link.mappings.clearing.values())
    return {
        account_id: known.get(account_id) or Account(id=account_id, name="", type="Bank", currency=currency)
        for currency, account_id in link.mappings.clearing.items()
    }


def effects(document: Document | Entries, accounts: Mapping[str, Account]) -> dict[str, int]:
    """Minor units by account, debits above zero; only accounts that the document touches."""
    amounts: dict[str, int] = defaultdict(int)
    for leg in document.legs:
        if leg.account_id in accounts:
            amounts[leg.account_id] += _in_account(leg.amount_minor, document, accounts[leg.account_id])
    return dict(amounts)


def _in_account(amount_minor: int, document: Document | Entries, account: Account) -> int:
    """A leg in its account's currency: QuickBooks converts at the document's rate, to the cent."""
    if account.currency == document.currency:
        return amount_minor
    return in_home(amount_minor, document.currency, document.exchange_rate, account.currency)
