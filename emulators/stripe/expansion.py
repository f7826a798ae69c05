"""`expand[]`: ids replaced by the objects they name, up to four levels deep."""

from collections.abc import Iterable
from typing import Any

from emulators.stripe.errors import Body, invalid
from emulators.stripe.office import PREFIXES, Office

DEPTH_MAX = 4
KINDS = {prefix: kind for kind, prefix in PREFIXES.items()} | {"py": "charge", "pyr": "refund", "dp": "dispute"}
SUBLISTS = {("charge", "refunds"): ("refund", "charge"), ("invoice", "payments"): ("invoice_payment", "invoice")}


def expand(office: Office, body: Body, paths: Iterable[str]) -> Body:
    for path in paths:
        steps = path.split(".")
        if len([step for step in steps if step != "data"]) > DEPTH_MAX:
            message = f"You cannot expand more than {DEPTH_MAX} levels of a property. Property: {path}."
            raise invalid(message, param="expand", code="property_expansion_max_depth")
        _expand(office, body, steps, path)
    return body


def _expand(office: Office, body: Body, steps: list[str], path: str) -> None:
    step, *rest = steps
    if body.get("object") == "list":
        if step != "data":
            raise _not_expandable(path)
        for item in body["data"]:
            if rest:
                _expand(office, item, rest, path)
        return
    if step not in body and (body.get("object"), step) in SUBLISTS:
        body[step] = sublist(office, body, step)
    if body.get("object") == "invoice" and step == "amount_paid_off_stripe":
        body[step] = office.get("invoice", body["id"])["_off_stripe"]
        return
    if body.get("object") == "customer" and step == "invoice_credit_balance":
        stored = office.get("customer", body["id"])
        currency = stored["currency"] or office.account.default_currency
        body[step] = {currency: -stored["balance"]} if stored["balance"] else {}
        return
    if step not in body or step == "id":
        if "object" in body or step == "id":
            raise _not_expandable(path)
        return
    body[step] = _expanded(office, body[step], rest, path)


def _expanded(office: Office, value: Any, rest: list[str], path: str) -> Any:
    if isinstance(value, list):
        return [_expanded(office, item, rest, path) for item in value]
    if isinstance(value, str):
        value = resolve(office, value, path)
    elif value is not None and not isinstance(value, dict):
        raise _not_expandable(path)
    if rest and isinstance(value, dict):
        _expand(office, value, rest, path)
    return value


def resolve(office: Office, id: str, path: str) -> Body:  # noqa: A002
    kind = KINDS.get(id.partition("_")[0])
    found = office.store.get(kind, id) if kind else None
    if found is None:
        raise _not_expandable(path)
    return office.render(found)


def sublist(office: Office, body: Body, name: str) -> Body:
    kind, key = SUBLISTS[body["object"], name]
    found = office.store.find(kind, where={key: body["id"]}, limit=11)
    url = {
        "refunds": f"/v1/charges/{body['id']}/refunds",
        "payments": f"/v1/invoice_payments?invoice={body['id']}",
    }[name]
    data = [office.render(item) for item in found[:10]]
    return {"object": "list", "data": data, "has_more": len(found) > 10, "url": url}


def _not_expandable(path: str) -> Exception:
    return invalid(f"This property cannot be expanded ({path}).", param="expand")
