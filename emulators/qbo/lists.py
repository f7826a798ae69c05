"""Customer, Vendor, Account, Item, Term, CompanyCurrency: names that must be unique, defaults, what cannot change."""

from emulators.qbo.books import RECEIVABLE
from emulators.qbo.checks import Body
from emulators.qbo.company import CLASSES, CURRENCY_NAMES, Company
from emulators.qbo.fault import against_rules, invalid, missing, refused, wrong_currency
from emulators.qbo.records import UNIQUE_NAMES

SUBTYPES = {
    "Bank": "Checking",
    "Accounts Receivable": "AccountsReceivable",
    "Other Current Asset": "OtherCurrentAssets",
    "Fixed Asset": "FurnitureAndFixtures",
    "Other Asset": "OtherLongTermAssets",
    "Accounts Payable": "AccountsPayable",
    "Credit Card": "CreditCard",
    "Other Current Liability": "OtherCurrentLiabilities",
    "Long Term Liability": "OtherLongTermLiabilities",
    "Equity": "OpeningBalanceEquity",
    "Income": "SalesOfProductIncome",
    "Cost of Goods Sold": "SuppliesMaterialsCogs",
    "Expense": "OtherBusinessExpenses",
    "Other Income": "OtherMiscellaneousIncome",
    "Other Expense": "OtherMiscellaneousExpense",
}
FOREIGN_KINDS = ("Bank", "Credit Card", "Accounts Receivable", "Accounts Payable")


def complete_person(company: Company, entity: str, body: Body, old: Body) -> Body:
    if "DisplayName" not in body:
        parts = [body[name] for name in ("Title", "GivenName", "MiddleName", "FamilyName", "Suffix") if name in body]
        if not parts:
            raise missing("DisplayName")
        body["DisplayName"] = " ".join(parts)
    body["FullyQualifiedName"] = body["DisplayName"]
    body.setdefault("PrintOnCheckName", body["DisplayName"])
    body.setdefault("Active", True)
    currency = _currency(company, body, old)
    if old and old["CurrencyRef"]["value"] != currency:
        raise wrong_currency(f"The currency of a {entity.lower()} cannot be changed.")
    body["CurrencyRef"] = company.currency_ref(currency)
    body["Balance"] = old.get("Balance", 0)
    if entity == "Customer":
        body["BalanceWithJobs"] = body["Balance"]
        body.setdefault("Taxable", True)
        body.setdefault("Job", False)
        body.setdefault("BillWithParent", False)
        company.receivable(currency)
    else:
        del body["FullyQualifiedName"]
        body.setdefault("Vendor1099", False)
    return body


def _currency(company: Company, body: Body, old: Body) -> str:
    ref = body.get("CurrencyRef") or old.get("CurrencyRef") or {"value": company.home}
    return str(ref["value"])


def complete_account(company: Company, _entity: str, body: Body, old: Body) -> Body:
    _qualify(company, "Account", body, "SubAccount")
    kind = body.get("AccountType") or _kind_of(body.get("AccountSubType"))
    if old and old["AccountType"] != kind:
        raise against_rules("The type of an account cannot be changed.")
    body |= {"AccountType": kind, "Classification": CLASSES[kind]}
    body.setdefault("AccountSubType", SUBTYPES[kind])
    body.setdefault("Active", True)
    currency = _currency(company, body, old)
    if currency != company.home and kind not in FOREIGN_KINDS:
        raise wrong_currency(f"An account of type {kind} is always kept in {company.home}.")
    if old and old["CurrencyRef"]["value"] != currency:
        raise wrong_currency("The currency of an account cannot be changed.")
    body["CurrencyRef"] = company.currency_ref(currency)
    body["CurrentBalance"] = body["CurrentBalanceWithSubAccounts"] = old.get("CurrentBalance", 0)
    if not body["Active"] and kind == RECEIVABLE:
        raise against_rules("An account that QuickBooks uses by itself cannot be made inactive.")
    return body


def _kind_of(subtype: str | None) -> str:
    if subtype is None:
        raise missing("AccountType")
    found = next((kind for kind, name in SUBTYPES.items() if name == subtype), None)
    if found is None:
        raise missing("AccountType")
    return found


def complete_item(company: Company, _entity: str, body: Body, _old: Body) -> Body:
    _qualify(company, "Item", body, "SubItem")
    body.setdefault("Type", "Service")
    body.setdefault("Active", True)
    body.setdefault("Taxable", False)
    body.setdefault("TrackQtyOnHand", False)
    for name in ("IncomeAccountRef", "ExpenseAccountRef", "AssetAccountRef"):
        if name in body:
            company.refer("Account", body[name], name)
    if (
        "IncomeAccountRef" not in body
        and "ExpenseAccountRef" not in body
        and body["Type"] in ("Service", "NonInventory")
    ):
        raise missing("IncomeAccountRef")
    return body


def _qualify(company: Company, entity: str, body: Body, flag: str) -> None:
    if "Name" not in body:
        raise missing("Name")
    if ":" in body["Name"]:
        raise invalid("Name", "a name has no colon")
    body["FullyQualifiedName"] = body["Name"]
    body[flag] = "ParentRef" in body
    if body[flag]:
        parent = company.refer(entity, body["ParentRef"], "ParentRef")
        body["FullyQualifiedName"] = f"{parent['FullyQualifiedName']}:{body['Name']}"


def complete_class(company: Company, entity: str, body: Body, _old: Body) -> Body:
    """A class or a department (which the company may call location, store, ...)."""
    _qualify(company, entity, body, f"Sub{entity}")
    body.setdefault("Active", True)
    return body


def complete_method(_company: Company, _entity: str, body: Body, _old: Body) -> Body:
    if "Name" not in body:
        raise missing("Name")
    body.setdefault("Active", True)
    body.setdefault("Type", "NON_CREDIT_CARD")
    return body


LABELS = {"ClassRef": "Class", "DepartmentRef": "Department", "PaymentMethodRef": "PaymentMethod"}


def refer_labels(company: Company, body: Body) -> None:
    """What a document and its lines are sorted by must exist and be active."""
    for name, value in body.items():
        if name in LABELS:
            company.refer(LABELS[name], value, name)
        elif isinstance(value, dict):
            refer_labels(company, value)
        elif isinstance(value, list):
            for item in value:
                if isinstance(item, dict):
                    refer_labels(company, item)


def complete_term(_company: Company, _entity: str, body: Body, _old: Body) -> Body:
    if "Name" not in body:
        raise missing("Name")
    body.setdefault("Active", True)
    body.setdefault("Type", "STANDARD")
    return body


def complete_currency(company: Company, _entity: str, body: Body, _old: Body) -> Body:
    code = body.get("Code")
    if code is None:
        raise missing("Code")
    if code == company.home or not (len(code) == 3 and code.isalpha() and code.isupper()):
        raise invalid("Code", f"{code} cannot be added")
    body.setdefault("Name", CURRENCY_NAMES.get(code, code))
    body.setdefault("Active", True)
    return body


def complete_as_it_is(_company: Company, _entity: str, body: Body, _old: Body) -> Body:
    return body


def guard_name(company: Company, entity: str, body: Body, old: Body) -> None:
    name = UNIQUE_NAMES.get(entity)
    if name is None or body[name] == old.get(name):
        return
    other = company.records.by_name(entity, body[name])
    if other is not None and not (other["Id"] == body.get("Id") and old):
        raise refused(
            6240,
            "Duplicate Name Exists Error",
            "The name supplied already exists. : "
            f"Another {entity.lower()} is already using this name. Id={other['Id']}",
        )
