"""What every kind of document needs to know of the company: references, currencies, rates, dates, preferences."""

from dataclasses import dataclass
from decimal import Decimal

from emulators.qbo.books import Books, Leg
from emulators.qbo.checks import Body
from emulators.qbo.fault import against_rules, inactive, invalid, invalid_reference, missing, refused, wrong_currency
from emulators.qbo.money import converted, decimal, minor, number, wire
from emulators.qbo.records import Records, ordinal

# Rough home-currency (USD) values of one unit, used where the company has stored no rate of its own.
USD_VALUES = {
    "USD": "1",
    "EUR": "1.0845",
    "GBP": "1.2710",
    "JPY": "0.0067",
    "CAD": "0.7310",
    "AUD": "0.6580",
    "CHF": "1.1320",
    "KWD": "3.2550",
}


@dataclass
class Switches:
    """What Intuit does not document, or what a test wants otherwise. POST /_emulator/switches changes them."""

    forget_request_ids: bool = False
    rotate_always: bool = False
    expense_links: bool = True
    void_paid_invoices: bool = False
    transfers_across_currencies: bool = False
    faults_as_200: bool = False
    throttle: bool = False
    legacy_webhooks: bool = False
    closing_password: bool = False
    short_rates: bool = False  # exchange rates are kept to four decimals
    touch_merged: bool = False


@dataclass
class Company:
    records: Records
    books: Books
    home: str
    switches: Switches

    # --- references ---------------------------------------------------------------------------------------------------

    def refer(self, entity: str, ref: Body | None, name: str) -> Body:
        """The active object a body points to; the reference gets its present name."""
        if ref is None:
            raise missing(name)
        found = self.records.get(entity, ref["value"])
        if found is None:
            raise invalid_reference(name, ref["value"])
        label = found.get("FullyQualifiedName") or found.get("DisplayName") or found.get("Name") or ref["value"]
        if not found.get("Active", True):
            raise inactive(name, label)
        ref["name"] = label
        return found

    def account_named(self, name: str) -> Body:
        found = self.records.by_name("Account", name)
        assert found is not None, name
        return found

    def reference_to(self, name: str) -> Body:
        return {"value": self.account_named(name)["Id"], "name": name}

    def receivable(self, currency: str) -> str:
        """A/R is per currency; the account of a new currency appears with its first customer."""
        name = "Accounts Receivable (A/R)" + ("" if currency == self.home else f" - {currency}")
        found = self.records.by_name("Account", name)
        if found is None:
            found = self.add_account(name, "Accounts Receivable", "AccountsReceivable", currency)
        return str(found["Id"])

    def add_account(self, name: str, kind: str, subtype: str, currency: str) -> Body:
        body = {
            "Name": name,
            "FullyQualifiedName": name,
            "SubAccount": False,
            "Active": True,
            "Classification": CLASSES[kind],
            "AccountType": kind,
            "AccountSubType": subtype,
            "CurrentBalance": 0,
            "CurrentBalanceWithSubAccounts": 0,
            "CurrencyRef": self.currency_ref(currency),
        }
        return self.records.add("Account", body)

    # --- currencies ---------------------------------------------------------------------------------------------------

    def currency_ref(self, code: str) -> Body:
        if code == self.home:
            return {"value": code, "name": CURRENCY_NAMES.get(code, code)}
        found = self.records.by_name("CompanyCurrency", code)
        if found is None or not found["Active"]:
            raise wrong_currency(f"The company does not use {code}.")
        return {"value": code, "name": found["Name"]}

    def denominate(self, body: Body, default: str) -> str:
        """Fills in CurrencyRef and ExchangeRate; gives the document's currency."""
        code = str(body.get("CurrencyRef", {"value": default})["value"])
        body["CurrencyRef"] = self.currency_ref(code)
        rate = decimal(body.get("ExchangeRate") or 0)
        if rate < 0:
            raise invalid("ExchangeRate", "a rate is above zero")
        if self.switches.short_rates:
            rate = round(rate, 4)
        body["ExchangeRate"] = 1 if code == self.home else number(rate or self.rate(code, body["TxnDate"]))
        return code

    def must_match(self, currency: str, party: Body, label: str) -> None:
        if party["CurrencyRef"]["value"] != currency:
            raise wrong_currency(
                f"{label} {party.get('DisplayName')} is kept in {party['CurrencyRef']['value']}, not {currency}."
            )

    def rate(self, code: str, day: str) -> Decimal:
        """The last one stored up to that day, else a rough constant."""
        if code == self.home:
            return Decimal(1)
        stored = self.records.store.find(f"rate:{code}", created_lte=ordinal(day), limit=1)
        if stored:
            return decimal(stored[0]["Rate"])
        return round(Decimal(USD_VALUES.get(code, "1")) / Decimal(USD_VALUES.get(self.home, "1")), 6)

    def leg(self, body: Body, account: str, amount: int, party: str = "") -> Leg:
        currency = body["CurrencyRef"]["value"]
        return Leg(account, amount, converted(amount, currency, decimal(body["ExchangeRate"]), self.home), party)

    def minor(self, body: Body, amount: int | float) -> int:
        return minor(amount, body["CurrencyRef"]["value"])

    def show_total(self, body: Body, total: int, *, has_home_total: bool = True) -> None:
        currency = body["CurrencyRef"]["value"]
        body["TotalAmt"] = wire(total, currency)
        if currency != self.home and has_home_total:
            body["HomeTotalAmt"] = wire(converted(total, currency, decimal(body["ExchangeRate"]), self.home), self.home)

    # --- rules of the whole company -----------------------------------------------------------------------------------

    @property
    def preferences(self) -> Body:
        return self.records.require("Preferences", "1")

    def guard_period(self, day: str) -> None:
        closed = self.preferences["AccountingInfoPrefs"].get("BookCloseDate")
        if closed and day <= closed:
            text = f"The account period has closed ({closed}) and the transaction dated {day} cannot be changed."
            if self.switches.closing_password:
                raise refused(6210, "Account Period Closed, Password Needed", text)
            raise refused(6200, "Account Period Closed", text)

    def number_document(self, entity: str, body: Body, old: Body, allow_duplicate: bool = False) -> None:
        """Invoices and their like are numbered 1001, 1002, ... unless the company numbers them itself (6140 then)."""
        custom = self.preferences["SalesFormsPrefs"]["CustomTxnNumbers"]
        if "DocNumber" not in body and not old and not custom:
            body["DocNumber"] = str(1000 + self.records.store.number("DocNumber"))
        wanted = body.get("DocNumber")
        if wanted is None or not custom or allow_duplicate or wanted == old.get("DocNumber"):
            return
        for other in self.records.store.find(entity, where={"DocNumber": wanted}, limit=1):
            raise refused(
                6140,
                "Duplicate Document Number Error",
                "Duplicate Document Number Error : You must specify "
                f"a different number. This number has already been used. DocNumber={wanted} is assigned to "
                f"TxnType={entity} with TxnId={other['Id']}",
            )

    def positive(self, amount: int, name: str) -> int:
        if amount < 0:
            raise refused(2290, "Amount is negative", f"{name} must be zero or more.", name)
        return amount

    def bank(self, ref: Body | None, name: str, kinds: tuple[str, ...]) -> Body:
        account = self.refer("Account", ref, name)
        if account["AccountType"] not in kinds:
            raise against_rules(
                f"{name} must be of type {' or '.join(kinds)}; {account['Name']} is {account['AccountType']}."
            )
        return account


CLASSES = {
    "Bank": "Asset",
    "Accounts Receivable": "Asset",
    "Other Current Asset": "Asset",
    "Fixed Asset": "Asset",
    "Other Asset": "Asset",
    "Accounts Payable": "Liability",
    "Credit Card": "Liability",
    "Other Current Liability": "Liability",
    "Long Term Liability": "Liability",
    "Equity": "Equity",
    "Income": "Revenue",
    "Other Income": "Revenue",
    "Cost of Goods Sold": "Expense",
    "Expense": "Expense",
    "Other Expense": "Expense",
}
CURRENCY_NAMES = {
    "USD": "United States Dollar",
    "EUR": "Euro",
    "GBP": "British Pound Sterling",
    "JPY": "Japanese Yen",
    "CAD": "Canadian Dollar",
    "AUD": "Australian Dollar",
    "CHF": "Swiss Franc",
    "KWD": "Kuwaiti Dinar",
}
