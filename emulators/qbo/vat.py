"""A company registered for value added tax: its codes, and what they make of a document's lines.

Every line on income or expense needs a code then (6100). Tax that a document brings along (TotalTax) is taken as it is.
"""

from emulators.qbo.checks import Body
from emulators.qbo.company import Company
from emulators.qbo.fault import refused
from emulators.qbo.money import decimal, minor, rounded, wire

CONTROL = "VAT Control"
# name, percents of sales, percents of purchases; a reverse charge is owed and reclaimed at once
CODES: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = (
    ("20.0% S", (20,), (20,)),
    ("20.0% RC SG", (0,), (20, -20)),
    ("Exempt", (0,), (0,)),
    ("No VAT", (0,), (0,)),
)
NEEDS_CODE = ("Revenue", "Expense")


def register(company: Company) -> dict[str, str]:
    """Gives the ids of the codes by name."""
    records, found = company.records, {}
    with records.store.transaction():
        company.add_account(CONTROL, "Other Current Liability", "SalesTaxPayable", company.home)
        for name, sales, purchases in CODES:
            body: Body = {"Name": name, "Active": True, "Taxable": True, "TaxGroup": True}
            for side, percents in (("SalesTaxRateList", sales), ("PurchaseTaxRateList", purchases)):
                body[side] = {"TaxRateDetail": [_rate(company, name, percent) for percent in percents]}
            found[name] = str(records.add("TaxCode", body)["Id"])
        preferences = records.require("Preferences", "1")
        preferences["TaxPrefs"] = {"UsingSalesTax": True}
        records.save("Preferences", preferences)
    return found


def _rate(company: Company, name: str, percent: int) -> Body:
    made = company.records.add("TaxRate", {"Name": name, "Active": True, "RateValue": percent})
    return {"TaxRateRef": {"value": made["Id"], "name": name}, "TaxTypeApplicable": "TaxOnAmount", "TaxOrder": 0}


def is_registered(company: Company) -> bool:
    return bool(company.preferences["TaxPrefs"].get("UsingSalesTax"))


def check_code(company: Company, detail: Body, account_id: str) -> None:
    """Of a line on an account."""
    if "TaxCodeRef" in detail:
        company.refer("TaxCode", detail["TaxCodeRef"], "Line.TaxCodeRef")
    elif is_registered(company) and company.records.require("Account", account_id)["Classification"] in NEEDS_CODE:
        raise refused(6100, "Line tax code is missing", "Make sure all your lines have a VAT rate before you save.")


def check_sale(company: Company, detail: Body, item: Body) -> None:
    """Of a line of an item."""
    if not is_registered(company):
        detail.setdefault("TaxCodeRef", {"value": "NON"})
    if "IncomeAccountRef" in item:
        check_code(company, detail, item["IncomeAccountRef"]["value"])


def complete(company: Company, body: Body, side: str) -> int:
    """The tax of a document, in minor units: as it says, else as its codes do. `side`: Sales or Purchase."""
    currency = body["CurrencyRef"]["value"]
    tax = minor(body.get("TxnTaxDetail", {}).get("TotalTax", 0), currency)
    if is_registered(company) and "TotalTax" not in body.get("TxnTaxDetail", {}):
        tax = sum(_line_tax(company, line, side, currency) for line in body["Line"])
        body["TxnTaxDetail"] = {"TotalTax": wire(tax, currency)}
    return tax


def _line_tax(company: Company, line: Body, side: str, currency: str) -> int:
    code = line.get(line.get("DetailType", ""), {}).get("TaxCodeRef")
    if code is None:
        return 0
    listed = company.records.require("TaxCode", code["value"]).get(f"{side}TaxRateList", {}).get("TaxRateDetail", [])
    rates = [company.records.require("TaxRate", each["TaxRateRef"]["value"])["RateValue"] for each in listed]
    return sum(rounded(decimal(line["Amount"]) * decimal(rate) / 100, currency) for rate in rates)


def account(company: Company) -> str:
    """Where the tax of documents goes."""
    return str(company.account_named(CONTROL if is_registered(company) else "Sales Tax Payable")["Id"])
