"""The person at the company who writes the books in QuickBooks Desktop. Amounts are in minor units of the currency."""

from datetime import date

from emulators.bookkeeper import BROUGHT_FORWARD, CLEARING, EXPENSES, VENDORS
from emulators.people import Person
from emulators.qbd.file import CompanyFile
from emulators.qbd.money import wire
from emulators.qbo.money import WHOLE
from emulators.store import Body


def text_of(amount: int, currency: str) -> str:
    """QuickBooks Desktop writes two decimals of every currency."""
    return wire(amount * 100 if currency in WHOLE else amount)


def named(name: str) -> Body:
    return {"FullName": name}


class DesktopBookkeeper:
    """Writes the same as `emulators.bookkeeper.Bookkeeper` does in QuickBooks Online."""

    def __init__(self, file: CompanyFile) -> None:
        self.file, self.store = file, file.store

    def today(self) -> date:
        return date.fromisoformat(self.file.pc.today())

    def tick(self) -> None:
        """Nothing happens by itself in a company file."""

    def open_books(self, day: date) -> None:
        for name, kind in ((CLEARING, "Bank"), *((name, "Expense") for name in EXPENSES)):
            self.file.add("Account", {"Name": name, "AccountType": kind})
        yen = {"Name": "Yen account", "AccountType": "Bank", "CurrencyRef": named("Japanese Yen")}
        self.file.add("Account", yen)
        for name in VENDORS:
            self.file.add("Vendor", {"Name": name})
        self._journal(day, "Checking", "Opening Balance Equity", BROUGHT_FORWARD, "Balance brought forward")

    def customer(self, person: Person) -> str:
        return self._customer(person, person.name)

    def twin(self, person: Person) -> str:
        return self._customer(person, f"{person.name} (2)")

    def _customer(self, person: Person, name: str) -> str:
        currency = {"ListID": self._currency(person.currency)["ListID"]}
        return str(self.file.add("Customer", {"Name": name, "Email": person.email, "CurrencyRef": currency})["ListID"])

    def _currency(self, code: str) -> Body:
        return next(each for each in self.store.find("Currency") if each["CurrencyCode"] == code)

    def invoice(self, person: Person, number: str, amount: int, day: date, *, twin: bool = False) -> Body:
        line = {"ItemRef": named("Services"), "Amount": text_of(amount, person.currency)}
        head = {"CustomerRef": {"ListID": person.qbo_twin_id if twin else person.qbo_id}, "RefNumber": number}
        made = self.file.add("Invoice", head | {"TxnDate": day.isoformat(), "InvoiceLineAdd": [line]})
        return _written(made) | {"DocNumber": number}

    def payment(self, invoice: Body, account: str, day: date, note: str = "", reference: str = "") -> Body:
        """An invoice is paid in full."""
        total = invoice["BalanceRemaining"]
        body: Body = {
            "CustomerRef": {"ListID": invoice["CustomerRef"]["ListID"]},
            "TxnDate": day.isoformat(),
            "TotalAmount": total,
            "DepositToAccountRef": named(account),
            "AppliedToTxnAdd": [{"TxnID": invoice["Id"], "PaymentAmount": total}],
        }
        words = {"Memo": note, "RefNumber": reference}
        return _written(self.file.add("ReceivePayment", body | {name: text for name, text in words.items() if text}))

    def deposit(self, payments: list[Body], day: date) -> Body:
        """Takes checks to the bank."""
        lines = [{"PaymentTxnID": each["Id"]} for each in payments]
        head = {"TxnDate": day.isoformat(), "DepositToAccountRef": named("Checking")}
        return _written(self.file.add("Deposit", head | {"DepositLineAdd": lines}))

    def spend(self, vendor: str, account: str, amount: int, day: date, *, kind: str = "Check") -> Body:
        if kind == "CreditCard":
            return self._journal(day, account, "Company Credit Card", amount, vendor)
        line = {"AccountRef": named(account), "Amount": wire(amount)}
        head = {"AccountRef": named("Checking"), "PayeeEntityRef": named(vendor), "TxnDate": day.isoformat()}
        return _written(self.file.add("Check", head | {"ExpenseLineAdd": [line]}))

    def transfer(self, source: str, sink: str, amount: int, day: date, note: str = "") -> Body:
        sides = {"TransferFromAccountRef": named(source), "TransferToAccountRef": named(sink)}
        body = sides | {"TxnDate": day.isoformat(), "Amount": wire(amount), "Memo": note}
        return _written(self.file.add("Transfer", body))

    def _journal(self, day: date, debit: str, credit: str, amount: int, note: str) -> Body:
        lines = [{"AccountRef": named(name), "Amount": wire(amount), "Memo": note} for name in (debit, credit)]
        sides = {"JournalDebitLine": lines[:1], "JournalCreditLine": lines[1:]}
        return _written(self.file.add("JournalEntry", {"TxnDate": day.isoformat(), "Memo": note} | sides))

    def rate(self, currency: str, rate: float, day: date) -> None:
        body = self._currency(currency) | {"ExchangeRate": str(rate), "AsOfDate": day.isoformat()}
        self.file.company.records.save("Currency", body)


def _written(made: Body) -> Body:
    return made | {"Id": made["TxnID"]}
