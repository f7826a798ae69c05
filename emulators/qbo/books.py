"""The double-entry books: every document's legs, and running balances per account, per account and day, per party.

A leg is debit-positive. The balance of an account is kept twice: in its own currency and in home currency; the home
amounts of every document sum to zero, so the trial balance does.
"""

from collections.abc import Iterable
from datetime import date
from typing import Any, NamedTuple

from emulators.qbo.checks import Body
from emulators.qbo.fault import against_rules, wrong_currency
from emulators.qbo.money import wire
from emulators.qbo.records import Records, ordinal

SIGNS = {"Asset": 1, "Liability": -1, "Equity": -1, "Revenue": 0, "Expense": 0}
RECEIVABLE, PAYABLE = "Accounts Receivable", "Accounts Payable"


class Leg(NamedTuple):
    account: str
    amount: int  # minor units of the document's currency
    home: int  # minor units of home currency
    party: str = ""  # "Customer:20"


class Books:
    def __init__(self, records: Records, home: str) -> None:
        self.records, self.store, self.home = records, records.store, home

    def post(self, document: str, day: str, currency: str, legs: Iterable[Leg]) -> None:
        """Balances the document to the cent of home currency and adds it to the running balances."""
        legs = list(legs)
        residue = -sum(leg.home for leg in legs)
        if residue:
            legs.append(Leg(self.gain_or_loss, residue if currency == self.home else 0, residue))
        rows: list[list[Any]] = [[leg.account, leg.party, self._own(leg, currency), leg.home] for leg in legs]
        self.store.put("legs", document, {"document": document, "day": day, "rows": rows}, created=0)
        self._move(day, rows, 1)

    def unpost(self, document: str) -> None:
        entry = self.store.get("legs", document)
        if entry is not None:
            self.store.delete("legs", document)
            self._move(entry["day"], entry["rows"], -1)

    @property
    def gain_or_loss(self) -> str:
        """Made by the first foreign document; only those can need it."""
        found = self.records.by_name("Account", "Exchange Gain or Loss")
        assert found is not None, "a document in home currency must balance by itself"
        return str(found["Id"])

    def _own(self, leg: Leg, currency: str) -> int:
        account = self.records.require("Account", leg.account)
        own_currency, kind, name = account["CurrencyRef"]["value"], account["AccountType"], account["Name"]
        if own_currency not in (currency, self.home):
            raise wrong_currency(f"{name} is kept in {own_currency}; the transaction is in {currency}.")
        if kind in (RECEIVABLE, PAYABLE):
            party = "Customer" if kind == RECEIVABLE else "Vendor"
            if own_currency != currency:
                raise wrong_currency(f"{name} is kept in {own_currency}; the transaction is in {currency}.")
            if not leg.party.startswith(party):
                raise against_rules(f"When you use {kind}, you must choose a {party.lower()} in the Name field.")
        return leg.amount if own_currency == currency else leg.home

    def _move(self, day: str, rows: list[list[Any]], sign: int) -> None:
        totals: dict[str, list[int]] = {}
        parties: dict[str, int] = {}
        for account, party, own, home in rows:
            total = totals.setdefault(str(account), [0, 0])
            total[0] += own * sign
            total[1] += home * sign
            if party:
                parties[f"{account}|{party}"] = parties.get(f"{account}|{party}", 0) + own * sign
        for account_id, (own, home) in totals.items():
            if own or home:
                self._move_account(account_id, day, own, home)
        for key, own in parties.items():
            account_id, _, party = key.partition("|")
            if own:
                self._move_party(account_id, party, own)

    def _move_account(self, account_id: str, day: str, own: int, home: int) -> None:
        for kind, name, created in (("balance", account_id, 0), (f"day:{account_id}", day, ordinal(day))):
            before = self.store.get(kind, name) or {"own": 0, "home": 0}
            after = {"own": before["own"] + own, "home": before["home"] + home}
            self.store.put(kind, name, after, created=created)
            if kind == "balance":
                self._show_account(account_id, after["own"])

    def _show_account(self, account_id: str, own: int) -> None:
        account = self.records.require("Account", account_id)
        shown = wire(own * SIGNS[account["Classification"]], account["CurrencyRef"]["value"])
        if account["CurrentBalance"] != shown:
            account["CurrentBalance"] = account["CurrentBalanceWithSubAccounts"] = shown
            self.records.touch("Account", account)

    def _move_party(self, account_id: str, party: str, own: int) -> None:
        """Customer.Balance is what is owed to us, Vendor.Balance what we owe."""
        kind = self.records.require("Account", account_id)["AccountType"]
        if kind not in (RECEIVABLE, PAYABLE):
            return
        balance = (self.store.get("balance", party) or {"own": 0})["own"] + own
        self.store.put("balance", party, {"own": balance}, created=0)
        entity, _, party_id = party.partition(":")
        body = self.records.require(entity, party_id)
        sign = 1 if entity == "Customer" else -1
        body["Balance"] = wire(balance * sign, body["CurrencyRef"]["value"])
        if entity == "Customer":
            body["BalanceWithJobs"] = body["Balance"]
        self.records.touch(entity, body)

    def rename_party(self, old: str, new: str) -> None:
        """A customer was merged into another: its entries and what it owed are the other's."""
        for entry in self.store.find("legs"):
            if any(row[1] == old for row in entry["rows"]):
                rows = [[account, new if party == old else party, *rest] for account, party, *rest in entry["rows"]]
                self.store.put("legs", entry["document"], entry | {"rows": rows}, created=0)
        moved = (self.store.get("balance", old) or {"own": 0})["own"]
        self.store.put("balance", old, {"own": 0}, created=0)
        total = (self.store.get("balance", new) or {"own": 0})["own"] + moved
        self.store.put("balance", new, {"own": total}, created=0)
        body = self.records.require(*new.split(":"))
        body["Balance"] = body["BalanceWithJobs"] = wire(total, body["CurrencyRef"]["value"])
        self.records.touch("Customer", body)

    def balance(self, account_id: str, as_of: date | None = None) -> tuple[int, int]:
        """(own currency, home currency), debit-positive, at the end of that day."""
        if as_of is None:
            rows: list[Body] = [self.store.get("balance", account_id) or {"own": 0, "home": 0}]
        else:
            rows = self.store.find(f"day:{account_id}", created_lte=ordinal(as_of))
        return sum(row["own"] for row in rows), sum(row["home"] for row in rows)
