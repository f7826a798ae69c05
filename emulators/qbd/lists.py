"""Lists: accounts, customers, vendors, items and the short ones."""

from emulators.qbd.company import Company
from emulators.qbd.records import ENTITIES, ITEMS, LISTS, full_name_of
from emulators.qbd.refusals import Refused, bad_value, gone, missing, out_of_date
from emulators.store import Body

REFERS = ("ClassRef", "SalesTaxCodeRef", "ItemSalesTaxRef", "PreferredPaymentMethodRef", "AccountRef", "TaxVendorRef")
# Lists the stand-in keeps no more of than their names: terms, sales representatives, types, templates.
UNKNOWN = ("TermsRef", "SalesRepRef", "CustomerTypeRef")


def add(company: Company, kind: str, body: Body) -> Body:
    with company.records.store.transaction():
        if body.pop("OpenBalance", None) or body.pop("OpenBalanceDate", None):
            raise bad_value("OpenBalance", "", "This company file takes opening balances by journal entries only.")
        body.setdefault("IsActive", "true")
        _complete(company, kind, body)
        return company.records.add(kind, body)


def _complete(company: Company, kind: str, body: Body) -> None:
    if ":" in body["Name"] or not body["Name"].strip():
        raise bad_value("Name", body["Name"], "A name is not empty and has no colon.")
    full_name_of(company.records, kind, body)
    for reference in REFERS:
        company.records.refer(reference, body, kind)
    for reference in UNKNOWN:
        if body.get(reference):
            raise bad_value(reference, str(body[reference]), "There is no such record in this company file.")
    if kind in (*ENTITIES, "Account"):
        currency = company.records.refer("CurrencyRef", body, kind)
        body["CurrencyRef"] = {"ListID": currency["ListID"] if currency else company.books.home}
    if kind in ITEMS and "SalesOrPurchase" in body:
        if not body["SalesOrPurchase"].get("AccountRef"):
            raise missing("AccountRef")
        company.account(body["SalesOrPurchase"], "AccountRef", kind)


def modify(company: Company, kind: str, changes: Body) -> Body:
    with company.records.store.transaction():
        body = company.records.find(changes["ListID"], kind)
        if body is None:
            raise gone(changes["ListID"])
        if body["EditSequence"] != changes["EditSequence"]:
            raise out_of_date(changes["EditSequence"], body if company.switches.current_in_stale else None)
        company.records.guard_lock(body["ListID"], kind)
        return change(company, kind, body, changes)


def change(company: Company, kind: str, body: Body, changes: Body) -> Body:
    old_name = body["FullName"]
    body |= {name: value for name, value in changes.items() if name not in ("ListID", "EditSequence")}
    body = {name: value for name, value in body.items() if value not in (None, "")}
    _complete(company, kind, body)
    company.records.save(kind, body)
    if body["FullName"] != old_name:
        for child in company.records.store.find(kind):
            if child.get("ParentRef", {}).get("ListID") == body["ListID"]:
                change(company, kind, child, {})
    return body


def delete(company: Company, kind: str, list_id: str) -> Body:
    """What ListDeletedQuery will tell of it. What transactions use cannot be deleted."""
    with company.records.store.transaction():
        body = company.records.find(list_id, kind) if kind in LISTS else None
        if body is None:
            raise gone(list_id)
        company.records.guard_lock(list_id, kind)
        if _is_used(company, list_id):
            text = "QuickBooks error message: The list element is used in transactions and cannot be deleted."
            raise Refused(3170, f'There was an error when modifying "{body["Name"]}".  {text}')
        return company.records.remove(kind, body)


def _is_used(company: Company, list_id: str) -> bool:
    return any(
        list_id in (account, party)
        for entry in company.records.store.find("legs")
        for account, party, _, _ in entry["rows"]
    )
