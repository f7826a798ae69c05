"""What every kind of transaction needs to know of the company: accounts, currencies, rates, preferences, switches."""

from dataclasses import dataclass
from decimal import Decimal

from emulators.qbd.books import Books, Leg
from emulators.qbd.money import times
from emulators.qbd.open_items import OpenItems
from emulators.qbd.records import Records
from emulators.qbd.refusals import bad_value, not_saved, period_closed
from emulators.store import Body

HOME, RECEIVABLE, UNDEPOSITED = "US Dollar", "Accounts Receivable", "Undeposited Funds"
MONEY = ("Bank", "OtherCurrentAsset")


@dataclass
class Switches:
    """What Intuit does not document: each way may be the real one, and a client must survive both."""

    payments_touch_invoices: bool = True  # applying a payment changes the invoice's TimeModified and EditSequence
    checks_take_credits: bool = True  # payments and credits can be applied to a check to A/R
    current_in_stale: bool = False  # status 3200 brings the object as it is now
    newest_first: bool = False  # an iterator begins with what was modified last
    iterator_idle_s: int | None = None  # an iterator dies after so many seconds without a call
    message_sets_kept: int | None = None  # how many states of message sets are kept; None keeps all
    message_set_id_max: int = 23


@dataclass
class Company:
    records: Records
    books: Books
    items: OpenItems
    switches: Switches

    # --- accounts ---

    def account_named(self, name: str) -> Body:
        found = self.records.named(name, "Account")
        assert found is not None, name
        return found

    def account(self, body: Body, reference: str, where: str, default: str = "", types: tuple[str, ...] = ()) -> Body:
        """The account a transaction names, or the default; refused if it is of a type that cannot be used there."""
        found = self.records.refer(reference, body, where)
        if found is None:
            if not default:
                raise bad_value(reference, "", "An account is required.")
            found = self.account_named(default)
            body[reference] = {"ListID": found["ListID"]}
        if types and found["AccountType"] not in types:
            raise bad_value(reference, found["FullName"], f"The account is of type {found['AccountType']}.")
        return found

    def receivable(self, body: Body, where: str) -> Body:
        """A/R is kept per currency; the account of a currency appears with its first transaction."""
        if body.get("ARAccountRef"):
            return self.account(body, "ARAccountRef", where, types=("AccountsReceivable",))
        currency = body["CurrencyRef"]["ListID"]
        name = RECEIVABLE
        if currency != self.books.home:
            name += f" - {self.records.require('Currency', currency)['CurrencyCode']}"
        found = self.records.named(name, "Account") or self.add_account(name, "AccountsReceivable", currency)
        body["ARAccountRef"] = {"ListID": found["ListID"]}
        return found

    def add_account(self, name: str, kind: str, currency: str = "", special: str = "") -> Body:
        body: Body = {"Name": name, "FullName": name, "Sublevel": "0", "IsActive": "true", "AccountType": kind}
        body["CurrencyRef"] = {"ListID": currency or self.books.home}
        return self.records.add("Account", body | ({"SpecialAccountType": special} if special else {}))

    # --- currencies ---

    def denominate(self, body: Body, currency: str, where: str) -> None:
        """Fills in the currency and the rate; refuses a rate other than 1 for home currency."""
        body["CurrencyRef"] = {"ListID": currency}
        given = Decimal(body.get("ExchangeRate") or 0)
        if given < 0 or (currency == self.books.home and given not in (0, 1)):
            raise bad_value("ExchangeRate", body["ExchangeRate"], f"Not a rate for this {where}.")
        known = (
            Decimal(1)
            if currency == self.books.home
            else Decimal(self.records.require("Currency", currency)["ExchangeRate"])
        )
        body["ExchangeRate"] = str(given or known)

    def leg(self, body: Body, account: str, amount: int, party: str = "") -> Leg:
        return Leg(account, amount, self.home_amount(body, amount), party)

    def home_amount(self, body: Body, amount: int) -> int:
        return times(amount, Decimal(body["ExchangeRate"]))

    def must_be_kept_in(self, account: Body, currency: str, where: str) -> None:
        if account["CurrencyRef"]["ListID"] not in (currency, self.books.home):
            raise not_saved(where, f"{account['Name']} is kept in another currency.")

    # --- the whole company ---

    @property
    def settings(self) -> Body:
        return self.records.store.get("settings", "1") or {}

    def set(self, **changes: str | bool | None) -> None:
        """A person changes preferences: `closing_date`, `auto_apply`, `single_user`, `sales_tax`
        (the ListID of the tax item that is charged by default).
        """
        self.records.store.put("settings", "1", self.settings | changes, created=0)

    def guard_period(self, day: str) -> None:
        closed = self.settings.get("closing_date")
        if closed and day <= closed:
            raise period_closed(closed)

    def dated(self, body: Body) -> str:
        day: str = body.get("TxnDate") or self.records.pc.today()
        body["TxnDate"] = day
        self.guard_period(day)
        return day
