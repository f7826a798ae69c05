"""Queries: by id, by name or number, or by filters; what they show."""

from collections.abc import Callable, Iterable

from emulators.qbd import extensions
from emulators.qbd.company import Company
from emulators.qbd.records import ITEMS, REFERENCES, TRANSACTIONS
from emulators.qbd.refusals import bad_reference
from emulators.store import Body

KINDS = {"Item": ITEMS}
Found = tuple[list[tuple[str, str]], list[str]]  # (kind, id) in order; and the ids or names that are not there


def find(company: Company, name: str, request: Body) -> Found:
    """What a query of `name` ("Invoice", "Item") means: the objects, and what it asked for by name in vain."""
    kinds = KINDS.get(name, (name,))
    for key, look in _lookups(company, kinds).items():
        if key in request:
            found = [(wanted, look(wanted)) for wanted in request[key]]
            here = [(kind, object_id) for _, rows in found for kind, object_id in rows]
            return list(dict.fromkeys(here)), [wanted for wanted, rows in found if not rows]
    return [row for kind in kinds for row in _filtered(company, kind, request)], []


Look = Callable[[str], list[tuple[str, str]]]


def _lookups(company: Company, kinds: tuple[str, ...]) -> dict[str, Look]:
    records = company.records

    def by_id(wanted: str) -> list[tuple[str, str]]:
        kind = records.kind_of(wanted)
        return [(kind, wanted)] if kind in kinds else []

    def by_name(wanted: str) -> list[tuple[str, str]]:
        return [(kind, body["ListID"]) for kind in kinds if (body := records.named(wanted, kind)) is not None]

    def by_number(wanted: str, exactly: bool = False) -> list[tuple[str, str]]:
        bodies = [
            (kind, body) for kind in kinds for body in records.store.find(kind, where={"RefNumber": wanted.casefold()})
        ]
        return [(kind, body["TxnID"]) for kind, body in bodies if not exactly or body["RefNumber"] == wanted]

    return {
        "TxnID": by_id, "ListID": by_id, "FullName": by_name, "RefNumber": by_number,
        "RefNumberCaseSensitive": lambda wanted: by_number(wanted, exactly=True),
    }  # fmt: skip


def _filtered(company: Company, kind: str, request: Body) -> list[tuple[str, str]]:
    records, pc = company.records, company.records.pc
    times = request.get("ModifiedDateRangeFilter", request)
    first, last = times.get("FromModifiedDate"), times.get("ToModifiedDate")
    if first or last:
        bodies = records.changed(kind, pc.bound(first, end=False), pc.bound(last, end=True))
    else:
        bodies = records.store.find(kind, oldest_first=True)
    passes = _transaction_filter if kind in TRANSACTIONS else _list_filter
    test = passes(company, request)
    return [(kind, body["TxnID" if kind in TRANSACTIONS else "ListID"]) for body in bodies if test(body)]


def _list_filter(company: Company, request: Body) -> Callable[[Body], bool]:
    wanted = {"ActiveOnly": ("true",), "InactiveOnly": ("false",)}.get(
        request.get("ActiveStatus", "ActiveOnly"), ("true", "false")
    )
    named, currency = request.get("NameFilter"), _ids(company, request, "CurrencyFilter", "CurrencyRef")
    types = request.get("AccountType") or request.get("PaymentMethodType")

    def passes(body: Body) -> bool:
        return (
            body["IsActive"] in wanted
            and (
                named is None or _matches(body.get("FullName") or body["Name"], named["MatchCriterion"], named["Name"])
            )
            and (currency is None or body.get("CurrencyRef", {}).get("ListID") in currency)
            and (not types or (body.get("AccountType") or body.get("PaymentMethodType")) in types)
        )

    return passes


def _transaction_filter(company: Company, request: Body) -> Callable[[Body], bool]:
    days = request.get("TxnDateRangeFilter", {})
    first, last = days.get("FromTxnDate") or "0001-01-01", days.get("ToTxnDate") or "9999-12-31"
    entities = _ids(company, request, "EntityFilter", "EntityRef")
    accounts = _ids(company, request, "AccountFilter", "AccountRef")
    currency = _ids(company, request, "CurrencyFilter", "CurrencyRef")
    number, paid = request.get("RefNumberFilter"), request.get("PaidStatus", "All")

    def passes(body: Body) -> bool:
        return (
            first <= body["TxnDate"] <= last
            and (entities is None or bool(entities & _parties(company, body)))
            and (accounts is None or bool(accounts & _accounts(company, body)))
            and (currency is None or body["CurrencyRef"]["ListID"] in currency)
            and (number is None or _matches(body.get("RefNumber") or "", number["MatchCriterion"], number["RefNumber"]))
            and (paid == "All" or (paid == "PaidOnly") == (company.items.left(body["TxnID"]) == 0))
        )

    return passes


def _ids(company: Company, request: Body, name: str, reference: str) -> set[str] | None:
    """The ids a filter names, with children where it says so; None if there is no such filter."""
    given = request.get(name)
    if given is None:
        return None
    records, kinds = company.records, REFERENCES[reference]
    ids: set[str] = set()
    for list_id in [*given.get("ListID", []), *filter(None, [given.get("ListIDWithChildren")])]:
        if records.find(list_id, *kinds) is None:
            raise bad_reference(kinds[0], list_id, name)
        ids.add(list_id)
    for full_name in [*given.get("FullName", []), *filter(None, [given.get("FullNameWithChildren")])]:
        found = records.named(full_name, *kinds)
        if found is None:
            raise bad_reference(kinds[0], full_name, name)
        ids.add(found["ListID"])
    if any(key.endswith("WithChildren") for key in given):
        ids |= _children(company, ids, kinds)
    return ids


def _children(company: Company, parents: set[str], kinds: Iterable[str]) -> set[str]:
    found = {
        body["ListID"]
        for kind in kinds
        for body in company.records.store.find(kind)
        if body.get("ParentRef", {}).get("ListID") in parents
    }
    return found | (_children(company, found, kinds) if found else set())


def _parties(company: Company, body: Body) -> set[str]:
    entry = company.records.store.get("legs", body["TxnID"]) or {"rows": []}
    named = {(body.get(name) or {}).get("ListID", "") for name in ("CustomerRef", "PayeeEntityRef")}
    return (named | {row[1] for row in entry["rows"]}) - {""}


def _accounts(company: Company, body: Body) -> set[str]:
    entry = company.records.store.get("legs", body["TxnID"]) or {"rows": []}
    return {row[0] for row in entry["rows"]}


def _matches(text: str, how: str, part: str) -> bool:
    text, part = text.casefold(), part.casefold()
    if how == "StartsWith":
        return text.startswith(part)
    return text.endswith(part) if how == "EndsWith" else part in text


# --- what is not kept as objects of a list ---


def deleted(company: Company, name: str, request: Body) -> list[Body]:
    """TxnDeletedQuery and ListDeletedQuery: without a filter, what was deleted in the last 90 days."""
    kinds = request["TxnDelType" if name == "TxnDeleted" else "ListDelType"]
    span, pc = request.get("DeletedDateRangeFilter", {}), company.records.pc
    first, last = pc.bound(span.get("FromDeletedDate"), end=False), pc.bound(span.get("ToDeletedDate"), end=True)
    return [body for kind in kinds for body in company.records.gone(kind, first, last)]


def host(company: Company) -> Body:
    return {
        "ProductName": "QuickBooks Enterprise Solutions 24.0", "MajorVersion": "34", "MinorVersion": "0",
        "Country": "US", "SupportedQBXMLVersion": ["12.0", "13.0"], "IsAutomaticLogin": "false",
        "QBFileMode": "SingleUser" if company.settings.get("single_user") else "MultiUser",
    }  # fmt: skip


def about(company: Company, owners: Iterable[str]) -> Body:
    name = company.settings["name"]
    body: Body = {"IsSampleCompany": "false", "CompanyName": name, "LegalCompanyName": name}
    values = extensions.shown(company, extensions.COMPANY, owners)
    return body | {"FirstMonthFiscalYear": "January"} | ({"DataExtRet": values} if values else {})


def preferences(company: Company) -> Body:
    closing = company.settings.get("closing_date")
    home = company.records.require("Currency", company.books.home)
    no, yes = "false", "true"
    return {
        "AccountingPreferences": {
            "IsUsingAccountNumbers": no, "IsRequiringAccounts": yes, "IsUsingClassTracking": no,
            "IsUsingAuditTrail": yes, "IsAssigningJournalEntryNumbers": no,
        } | ({"ClosingDate": closing} if closing else {}),
        "FinanceChargePreferences": {
            "GracePeriod": "0", "IsAssessingForOverdueCharges": no, "CalculateChargesFrom": "DueDate",
            "IsMarkedToBePrinted": no,
        },
        "JobsAndEstimatesPreferences": {
            "IsUsingEstimates": no, "IsUsingProgressInvoicing": no, "IsPrintingItemsWithZeroAmounts": no,
        },
        "MultiCurrencyPreferences": {
            "IsMultiCurrencyOn": yes, "HomeCurrencyRef": {"ListID": home["ListID"], "FullName": home["Name"]},
        },
        "PurchasesAndVendorsPreferences": {
            "IsUsingInventory": no, "DaysBillsAreDue": "10", "IsAutomaticallyUsingDiscounts": no,
        },
        "ReportsPreferences": {"AgingReportBasis": "AgeFromDueDate", "SummaryReportBasis": "Accrual"},
        "SalesAndCustomersPreferences": {
            "IsTrackingReimbursedExpensesAsIncome": no,
            "IsAutoApplyingPayments": str(bool(company.settings.get("auto_apply"))).lower(),
        },
        **_sales_tax(company),
        "TimeTrackingPreferences": {"FirstDayOfWeek": "Monday"},
        "CurrentAppAccessRights": {"IsAutomaticLoginAllowed": no, "IsPersonalDataAccessAllowed": no},
    }  # fmt: skip


def _sales_tax(company: Company) -> Body:
    """Shown where it is switched on."""
    tax_item = company.settings.get("sales_tax")
    if not tax_item:
        return {}
    item = company.records.require("ItemSalesTax", str(tax_item))
    codes = [company.records.named(name, "SalesTaxCode") or {} for name in ("Tax", "Non")]
    taxable, untaxed = ({"ListID": code["ListID"], "FullName": code["Name"]} for code in codes)
    return {
        "SalesTaxPreferences": {
            "DefaultItemSalesTaxRef": {"ListID": item["ListID"], "FullName": item["Name"]},
            "PaySalesTax": "Monthly",
            "DefaultTaxableSalesTaxCodeRef": taxable,
            "DefaultNonTaxableSalesTaxCodeRef": untaxed,
        }
    }
