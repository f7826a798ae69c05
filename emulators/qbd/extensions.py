"""Custom fields (OwnerID 0, seen by users) and private data of an application (OwnerID is its GUID)."""

from collections.abc import Iterable

from emulators.qbd.company import Company
from emulators.qbd.records import ITEMS, LISTS
from emulators.qbd.refusals import Refused, bad_reference, bad_value, gone, not_saved
from emulators.store import Body

CUSTOM_FIELDS_MAX = 7  # of one kind of name, Pro and Premier
COMPANY = "Company"
BYTES_MAX = 4096  # private data of one object, of all applications together


def define(company: Company, definition: Body) -> Body:
    store = company.records.store
    name = f"{definition['OwnerID'].upper()}|{definition['DataExtName'].casefold()}"
    if store.get("DataExtDef", name) is not None:
        raise Refused(3100, f'The name "{definition["DataExtName"]}" of the list element is already in use.')
    if definition["OwnerID"] == "0":
        for assigned in definition.get("AssignToObject", []):
            taken = [each for each in store.find("DataExtDef") if assigned in each.get("AssignToObject", [])]
            if sum(each["OwnerID"] == "0" for each in taken) >= CUSTOM_FIELDS_MAX:
                raise not_saved("DataExtDef", "All custom fields are in use.")
    made = {"DataExtListRequire": "false", "DataExtTxnRequire": "false", "DataExtFormatString": ""} | definition
    made["DataExtID"] = str(store.number("DataExtID"))
    store.put("DataExtDef", name, made, created=0)
    return made


def definitions(company: Company, owners: Iterable[str] = (), assigned: Iterable[str] = ()) -> list[Body]:
    owners, assigned = {owner.upper() for owner in owners}, set(assigned)
    return [
        each
        for each in company.records.store.find("DataExtDef", oldest_first=True)
        if (not owners or each["OwnerID"].upper() in owners)
        and (not assigned or assigned & set(each.get("AssignToObject", [])))
    ]


def write(company: Company, request: Body, *, is_new: bool) -> Body:
    """Stores a value: DataExtAdd only where there is none yet, DataExtMod either way."""
    definition, target = _definition(company, request), _target(company, request)
    store = company.records.store
    values = store.get("extensions", target) or {}
    name = f"{request['OwnerID'].upper()}|{request['DataExtName'].casefold()}"
    if is_new and name in values:
        raise not_saved("DataExt", "The data extension already has a value.")
    values[name] = {
        "OwnerID": request["OwnerID"], "DataExtName": definition["DataExtName"],
        "DataExtType": definition["DataExtType"], "DataExtValue": request["DataExtValue"],
    }  # fmt: skip
    limit = 255 if definition["DataExtType"] == "STR255TYPE" else 1024
    if len(request["DataExtValue"]) > limit:
        raise bad_value("DataExtValue", request["DataExtValue"][:40], f"It is longer than {limit} characters.")
    if sum(len(each["DataExtValue"]) for each in values.values()) > BYTES_MAX:
        raise not_saved("DataExt", "The data of this object is full.")
    with store.transaction():
        store.put("extensions", target, values, created=0)
        _touch(company, target)
    return dict(values[name])


def remove(company: Company, request: Body) -> None:
    _definition(company, request)
    target = _target(company, request)
    values = company.records.store.get("extensions", target) or {}
    if values.pop(f"{request['OwnerID'].upper()}|{request['DataExtName'].casefold()}", None) is None:
        raise gone(request["DataExtName"])
    with company.records.store.transaction():
        company.records.store.put("extensions", target, values, created=0)
        _touch(company, target)


def shown(company: Company, target: str, owners: Iterable[str]) -> list[Body]:
    values = company.records.store.get("extensions", target) or {}
    wanted = {owner.upper() for owner in owners}
    return [value for value in values.values() if value["OwnerID"].upper() in wanted]


def _definition(company: Company, request: Body) -> Body:
    name = f"{request['OwnerID'].upper()}|{request['DataExtName'].casefold()}"
    found = company.records.store.get("DataExtDef", name)
    kind = request.get("ListDataExtType") or request.get("TxnDataExtType") or COMPANY
    if found is None or kind not in found.get("AssignToObject", []):
        raise bad_reference("DataExtDef", request["DataExtName"], kind)
    return found


def _target(company: Company, request: Body) -> str:
    if request.get("OtherDataExtType"):
        return COMPANY
    records = company.records
    if request.get("TxnDataExtType"):
        object_id = str(request["TxnID"])
        found = records.find(object_id, request["TxnDataExtType"])
    else:
        kind, ref = request["ListDataExtType"], request["ListObjRef"]
        kinds = [each for each in (ITEMS if kind == "Item" else (kind,)) if each in LISTS]
        object_id = ref.get("ListID") or ref.get("FullName", "")
        found = records.find(object_id, *kinds) if ref.get("ListID") else records.named(object_id, *kinds)
    if found is None:
        raise gone(object_id)
    target = str(found.get("ListID") or found["TxnID"])
    company.records.guard_lock(target, "DataExt")
    return target


def _touch(company: Company, target: str) -> None:
    """A value belongs to its object: the object was modified."""
    kind = company.records.kind_of(target)
    if kind is not None:
        company.records.save(kind, company.records.require(kind, target))
