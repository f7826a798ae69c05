"""What a new company file has: currencies, accounts, items, tax codes, payment methods."""

from collections.abc import Sequence

from emulators.qbd.company import HOME, RECEIVABLE, UNDEPOSITED, Company
from emulators.store import Body

# name, code, home units for one unit
CURRENCIES = {
    "EUR": ("Euro", "1.0845"), "GBP": ("British Pound Sterling", "1.271"), "JPY": ("Japanese Yen", "0.0067"),
    "CAD": ("Canadian Dollar", "0.731"),
}  # fmt: skip

# name, type, special type
ACCOUNTS = (
    ("Checking", "Bank", ""),
    ("Savings", "Bank", ""),
    (RECEIVABLE, "AccountsReceivable", "AccountsReceivable"),
    (UNDEPOSITED, "OtherCurrentAsset", "UndepositedFunds"),
    ("Company Credit Card", "CreditCard", ""),
    ("Accounts Payable", "AccountsPayable", "AccountsPayable"),
    ("Sales Tax Payable", "OtherCurrentLiability", "SalesTaxPayable"),
    ("Opening Balance Equity", "Equity", "OpeningBalanceEquity"),
    ("Retained Earnings", "Equity", "RetainedEarnings"),
    ("Services", "Income", ""),
    ("Sales", "Income", ""),
    ("Discounts Given", "Income", ""),
    ("Office Supplies", "Expense", ""),
    ("Bank Service Charges", "Expense", ""),
    ("Exchange Gain or Loss", "OtherExpense", "ExchangeGainLoss"),
)
PAYMENT_METHODS = (
    ("Cash", "Cash"), ("Check", "Check"), ("Visa", "Visa"), ("MasterCard", "MasterCard"),
    ("American Express", "AmericanExpress"), ("E-Check", "ECheck"), ("Other", "Other"),
)  # fmt: skip
TAX_CODES = (("Tax", "true", "Taxable Sales"), ("Non", "false", "Non-Taxable Sales"))


def found(company: Company, name: str, currencies: Sequence[str]) -> None:
    """Writes a new company; does nothing where there is one."""
    if company.settings:
        return
    records = company.records
    with records.store.transaction():
        home = records.add("Currency", _currency(HOME, "USD", "1"))
        company.set(name=name, home=home["ListID"])
        company.books.home = home["ListID"]
        for code in currencies:
            records.add("Currency", _currency(CURRENCIES[code][0], code, CURRENCIES[code][1]))
        for account, kind, special in ACCOUNTS:
            company.add_account(account, kind, special=special)
        for method, kind in PAYMENT_METHODS:
            records.add("PaymentMethod", {"Name": method, "IsActive": "true", "PaymentMethodType": kind})
        for code, taxable, text in TAX_CODES:
            records.add("SalesTaxCode", {"Name": code, "IsActive": "true", "IsTaxable": taxable, "Desc": text})
        for item, account in (("Services", "Services"), ("Products", "Sales")):
            sold = {"Price": "0.00", "AccountRef": {"ListID": company.account_named(account)["ListID"]}}
            head = {"Name": item, "FullName": item, "Sublevel": "0", "IsActive": "true"}
            records.add("ItemService", head | {"SalesOrPurchase": sold})


def _currency(name: str, code: str, rate: str) -> Body:
    head = {"Name": name, "IsActive": "true", "CurrencyCode": code, "IsUserDefinedCurrency": "false"}
    return head | {"ExchangeRate": rate}
