"""What a new company has: accounts, items, currencies, preferences. Ids follow this order."""

from collections.abc import Sequence

from emulators.qbo.company import CURRENCY_NAMES, Company

# (name, type, subtype), Ids 1, 2, 3 ...
ACCOUNTS = (
    ("Checking", "Bank", "Checking"),
    ("Savings", "Bank", "Savings"),
    ("Undeposited Funds", "Other Current Asset", "UndepositedFunds"),
    ("Accounts Receivable (A/R)", "Accounts Receivable", "AccountsReceivable"),
    ("Accounts Payable (A/P)", "Accounts Payable", "AccountsPayable"),
    ("Sales of Product Income", "Income", "SalesOfProductIncome"),
    ("Services", "Income", "ServiceFeeIncome"),
    ("Discounts given", "Income", "DiscountsRefundsGiven"),
    ("Sales Tax Payable", "Other Current Liability", "SalesTaxPayable"),
    ("Opening Balance Equity", "Equity", "OpeningBalanceEquity"),
    ("Retained Earnings", "Equity", "RetainedEarnings"),
    ("Exchange Gain or Loss", "Other Expense", "ExchangeGainOrLoss"),
    ("Office Expenses", "Expense", "OfficeGeneralAdministrativeExpenses"),
    ("Bank Charges & Fees", "Expense", "BankCharges"),
    ("Dues & Subscriptions", "Expense", "DuesSubscriptions"),
    ("Uncategorized Income", "Income", "ServiceFeeIncome"),
    ("Uncategorized Expense", "Expense", "OtherMiscellaneousServiceCost"),
    ("Uncategorized Asset", "Other Current Asset", "OtherCurrentAssets"),
    ("Company Credit Card", "Credit Card", "CreditCard"),
)
ITEMS = (("Services", "Services"), ("Hours", "Services"), ("Products", "Sales of Product Income"))
TERMS = (("Due on receipt", 0), ("Net 15", 15), ("Net 30", 30))


def found(company: Company, name: str, time_zone: str, currencies: Sequence[str]) -> None:
    """Writes the books of a new company; does nothing where there are books already."""
    records = company.records
    if records.get("Preferences", "1") is not None:
        return
    with records.store.transaction():
        records.add("Preferences", preferences(company.home), "1")
        records.add("CompanyInfo", company_info(company, name, time_zone), "1")
        for code in currencies:
            body = {"Code": code, "Name": CURRENCY_NAMES.get(code, code), "Active": True}
            records.add("CompanyCurrency", body)
        for account in ACCOUNTS:
            company.add_account(*account, company.home)
        for code in currencies:
            company.receivable(code)
        _add_lists(company)


def _add_lists(company: Company) -> None:
    records = company.records
    for name, income in ITEMS:
        body = {"Name": name, "FullyQualifiedName": name, "Active": True, "Type": "Service", "SubItem": False}
        body |= {"Taxable": False, "TrackQtyOnHand": False, "UnitPrice": 0}
        records.add("Item", body | {"IncomeAccountRef": company.reference_to(income)})
    for name, days in TERMS:
        records.add("Term", {"Name": name, "Active": True, "Type": "STANDARD", "DueDays": days})
    for code, taxable in (("TAX", True), ("NON", False)):
        records.add("TaxCode", {"Name": code, "Active": True, "Taxable": taxable, "TaxGroup": taxable}, code)


def preferences(home: str) -> dict[str, object]:
    return {
        "AccountingInfoPrefs": {
            "UseAccountNumbers": False,
            "TrackDepartments": False,
            "ClassTrackingPerTxn": False,
            "ClassTrackingPerTxnLine": False,
            "FirstMonthOfFiscalYear": "January",
            "TaxYearMonth": "January",
            "CustomerTerminology": "Customers",
        },
        "ProductAndServicesPrefs": {"ForSales": True, "ForPurchase": True, "QuantityWithPriceAndRate": True},
        "SalesFormsPrefs": {
            "CustomTxnNumbers": False,
            "AllowDeposit": False,
            "AllowDiscount": True,
            "AllowEstimates": True,
            "AllowServiceDate": False,
            "AllowShipping": False,
            "AutoApplyCredit": False,
            "AutoApplyPayments": False,
        },
        "VendorAndPurchasesPrefs": {"TrackingByCustomer": False, "BillableExpenseTracking": False},
        "TaxPrefs": {"UsingSalesTax": False},
        "CurrencyPrefs": {"MultiCurrencyEnabled": True, "HomeCurrency": {"value": home}},
        "ReportPrefs": {"ReportBasis": "Accrual"},
        "OtherPrefs": {"NameValue": [{"Name": "DTXCopyMemo", "Value": "false"}]},
    }


def company_info(company: Company, name: str, time_zone: str) -> dict[str, object]:
    return {
        "CompanyName": name,
        "LegalName": name,
        "CompanyAddr": {"Id": "1", "Line1": "1 Main Street", "City": "Springfield", "PostalCode": "01101"},
        "CompanyStartDate": company.records.today(),
        "FiscalYearStartMonth": "January",
        "Country": "US",
        "SupportedLanguages": "en",
        "DefaultTimeZone": time_zone,
        "NameValue": [{"Name": "NeoEnabled", "Value": "true"}, {"Name": "IsQbdtMigrated", "Value": "false"}],
    }
