"""The person at the company who writes the books in QuickBooks. Amounts are in minor units."""

from datetime import date
from typing import Any, Protocol

from emulators.people import Person
from emulators.qbo import QboEmulator
from emulators.qbo.money import wire
from emulators.store import Store

Body = dict[str, Any]
CLEARING = "Stripe clearing"  # the company began one itself, and did not keep it up
VENDORS = ("Corner Property Management", "Paperclip Supplies", "Cloudhouse Hosting", "Sparkle Cleaning")
BROUGHT_FORWARD = 4_215_044
EXPENSES = ("Rent", "Software", "Travel", "Cleaning")


class Books(Protocol):
    """What the world writes in the books of whichever QuickBooks. A written document has an "Id", an invoice also a
    "DocNumber"."""

    store: Store

    def today(self) -> date: ...
    def tick(self) -> None: ...
    def open_books(self, day: date) -> None: ...
    def customer(self, person: Person) -> str: ...
    def twin(self, person: Person) -> str: ...
    def invoice(self, person: Person, number: str, amount: int, day: date, *, twin: bool = False) -> Body: ...
    def payment(self, invoice: Body, account: str, day: date, note: str = "", reference: str = "") -> Body: ...
    def deposit(self, payments: list[Body], day: date) -> Body: ...
    def spend(self, vendor: str, account: str, amount: int, day: date, *, kind: str = "Check") -> Body: ...
    def transfer(self, source: str, sink: str, amount: int, day: date, note: str = "") -> Body: ...
    def rate(self, currency: str, rate: float, day: date) -> None: ...


class Bookkeeper:
    """In QuickBooks Online."""

    def __init__(self, qbo: QboEmulator) -> None:
        self.qbo, self.store = qbo, qbo.store

    def today(self) -> date:
        return date.fromisoformat(self.qbo.records.today())

    def tick(self) -> None:
        self.qbo.tick()

    def account(self, name: str) -> Body:
        return {"value": self.qbo.account(name)["Id"]}

    def open_books(self, day: date) -> None:
        for name, kind in ((CLEARING, "Bank"), *((name, "Expense") for name in EXPENSES)):
            self.qbo.create("Account", {"Name": name, "AccountType": kind})
        self.qbo.create("Account", {"Name": "Yen account", "AccountType": "Bank", "CurrencyRef": {"value": "JPY"}})
        for name in VENDORS:
            self.qbo.create("Vendor", {"DisplayName": name})
        self.journal(day, "Checking", "Opening Balance Equity", BROUGHT_FORWARD, "Balance brought forward")

    def customer(self, person: Person) -> str:
        return self._customer(person, person.name)

    def twin(self, person: Person) -> str:
        return self._customer(person, f"{person.name} (2)")

    def _customer(self, person: Person, name: str) -> str:
        body = {"DisplayName": name, "CurrencyRef": {"value": person.currency}}
        return str(self.qbo.create("Customer", body | {"PrimaryEmailAddr": {"Address": person.email}})["Id"])

    def invoice(self, person: Person, number: str, amount: int, day: date, *, twin: bool = False) -> Body:
        line = {
            "Amount": wire(amount, person.currency),
            "DetailType": "SalesItemLineDetail",
            "SalesItemLineDetail": {"ItemRef": {"value": "1"}},
        }
        return self.qbo.create(
            "Invoice",
            {
                "DocNumber": number,
                "TxnDate": day.isoformat(),
                "CustomerRef": {"value": person.qbo_twin_id if twin else person.qbo_id},
                "BillEmail": {"Address": person.email},
                "SalesTermRef": {"value": "2"},
                "Line": [line],
            },
        )

    def payment(self, invoice: Body, account: str, day: date, note: str = "", reference: str = "") -> Body:
        """An invoice is paid in full."""
        link = [{"TxnId": invoice["Id"], "TxnType": "Invoice"}]
        body: Body = {
            "TxnDate": day.isoformat(),
            "CustomerRef": {"value": invoice["CustomerRef"]["value"]},
            "TotalAmt": invoice["TotalAmt"],
            "DepositToAccountRef": self.account(account),
            "Line": [{"Amount": invoice["TotalAmt"], "LinkedTxn": link}],
        }
        return self.qbo.create("Payment", body | {"PrivateNote": note, "PaymentRefNum": reference})

    def deposit(self, payments: list[Body], day: date) -> Body:
        """Takes checks to the bank."""
        lines = [
            {"Amount": each["TotalAmt"], "LinkedTxn": [{"TxnId": each["Id"], "TxnType": "Payment"}]}
            for each in payments
        ]
        body = {"TxnDate": day.isoformat(), "DepositToAccountRef": self.account("Checking"), "Line": lines}
        return self.qbo.create("Deposit", body)

    def spend(self, vendor: str, account: str, amount: int, day: date, *, kind: str = "Check") -> Body:
        line = {
            "Amount": wire(amount, "USD"),
            "DetailType": "AccountBasedExpenseLineDetail",
            "AccountBasedExpenseLineDetail": {"AccountRef": self.account(account)},
        }
        bank = "Company Credit Card" if kind == "CreditCard" else "Checking"
        found = self.qbo.query(f"SELECT * FROM Vendor WHERE DisplayName = '{vendor}'")  # noqa: S608 - our own words
        payee = {"value": found["Vendor"][0]["Id"], "type": "Vendor"}
        body: Body = {"PaymentType": kind, "AccountRef": self.account(bank), "EntityRef": payee, "Line": [line]}
        return self.qbo.create("Purchase", body | {"TxnDate": day.isoformat()})

    def transfer(self, source: str, sink: str, amount: int, day: date, note: str = "") -> Body:
        body: Body = {"FromAccountRef": self.account(source), "ToAccountRef": self.account(sink)}
        body |= {"Amount": wire(amount, "USD"), "TxnDate": day.isoformat(), "PrivateNote": note}
        return self.qbo.create("Transfer", body)

    def journal(self, day: date, debit: str, credit: str, amount: int, note: str) -> Body:
        lines = [
            {
                "Amount": wire(amount, "USD"),
                "DetailType": "JournalEntryLineDetail",
                "JournalEntryLineDetail": {"PostingType": side, "AccountRef": self.account(name)},
            }
            for side, name in (("Debit", debit), ("Credit", credit))
        ]
        return self.qbo.create("JournalEntry", {"TxnDate": day.isoformat(), "PrivateNote": note, "Line": lines})

    def rate(self, currency: str, rate: float, day: date) -> None:
        body = {"SourceCurrencyCode": currency, "Rate": rate, "AsOfDate": day.isoformat()}
        self.qbo.create("ExchangeRate", body)
