"""The double-entry books: the legs of every transaction, and running balances per account, per day and per customer.

A leg is debit-positive. Balances are kept in the account's own currency and in home currency; the home amounts of every
transaction sum to zero, so the trial balance does.
"""

from collections.abc import Iterable
from datetime import date
from typing import NamedTuple

from emulators.qbd.records import Records
from emulators.qbd.refusals import not_saved


class Leg(NamedTuple):
    account: str
    amount: int  # hundredths of the transaction's currency
    home: int  # hundredths of home currency
    party: str = ""  # ListID of the customer or vendor


def ordinal(day: str | date) -> int:
    return (date.fromisoformat(day) if isinstance(day, str) else day).toordinal()


class Books:
    def __init__(self, records: Records, home: str) -> None:
        self.records, self.store, self.home = records, records.store, home

    def post(self, kind: str, txn_id: str, day: str, currency: str, legs: Iterable[Leg]) -> None:
        """`currency` is a ListID. What rates leave over of home currency goes to Exchange Gain or Loss."""
        legs = [leg for leg in legs if leg.amount or leg.home]
        rest = -sum(leg.home for leg in legs)
        if rest and currency == self.home:
            raise not_saved(
                kind, "Transaction is not in balance.  Make sure the amounts on the left side equal those on the right."
            )
        if rest:
            gain = self.records.named("Exchange Gain or Loss", "Account")
            assert gain is not None
            legs.append(Leg(gain["ListID"], 0, rest))
        rows = [[leg.account, leg.party, self._own(kind, leg, currency), leg.home] for leg in legs]
        self.store.put("legs", txn_id, {"day": day, "rows": rows}, created=0)
        self._move(day, rows, 1)

    def unpost(self, txn_id: str) -> None:
        entry = self.store.get("legs", txn_id)
        if entry is not None:
            self.store.delete("legs", txn_id)
            self._move(entry["day"], entry["rows"], -1)

    def _own(self, kind: str, leg: Leg, currency: str) -> int:
        account = self.records.require("Account", leg.account)
        own = account["CurrencyRef"]["ListID"]
        if own not in (currency, self.home):
            raise not_saved(kind, f"{account['Name']} is kept in another currency than the transaction.")
        if account["AccountType"] in ("AccountsReceivable", "AccountsPayable"):
            wanted = "Customer" if account["AccountType"] == "AccountsReceivable" else "Vendor"
            if self.records.kind_of(leg.party) != wanted:
                raise not_saved(kind, f"You must specify a {wanted.lower()} for the account {account['Name']}.")
            if own != currency and leg.amount:
                raise not_saved(kind, f"{account['Name']} is kept in another currency than the transaction.")
        return leg.amount if own == currency else leg.home

    def _move(self, day: str, rows: list[list[object]], sign: int) -> None:
        for account, party, own, home in rows:
            assert isinstance(own, int)
            assert isinstance(home, int)
            self._add("balance", str(account), 0, own * sign, home * sign)
            self._add(f"day:{account}", day, ordinal(day), own * sign, home * sign)
            if party:
                self._add("owed", f"{account}|{party}", 0, own * sign, home * sign)

    def _add(self, kind: str, name: str, created: int, own: int, home: int) -> None:
        before = self.store.get(kind, name) or {"own": 0, "home": 0}
        after = {"own": before["own"] + own, "home": before["home"] + home}
        self.store.put(kind, name, after, created=created)

    def balance(self, account_id: str, as_of: date | None = None) -> tuple[int, int]:
        """(own currency, home currency), debit-positive, at the end of that day."""
        if as_of is None:
            rows = [self.store.get("balance", account_id) or {"own": 0, "home": 0}]
        else:
            rows = self.store.find(f"day:{account_id}", created_lte=ordinal(as_of))
        return sum(row["own"] for row in rows), sum(row["home"] for row in rows)

    def owed(self, account_id: str, party: str) -> int:
        """What a customer owes on one receivable account, in its currency."""
        row = self.store.get("owed", f"{account_id}|{party}")
        return int(row["own"]) if row else 0

    def trial_balance(self, as_of: date | None = None) -> dict[str, int]:
        """Home currency per account name; sums to zero."""
        return {
            account["FullName"]: self.balance(account["ListID"], as_of)[1] for account in self.store.find("Account")
        }
