"""Customers."""

from emulators.stripe import payment_methods
from emulators.stripe.errors import Body, invalid
from emulators.stripe.lists import page
from emulators.stripe.office import Office
from emulators.stripe.params import Params

TEXTS = ("description", "email", "name", "phone", "tax_exempt")
WRITE_PARAMS = (*TEXTS, "address", "balance", "invoice_prefix", "invoice_settings", "metadata",
                "preferred_locales", "shipping")  # fmt: skip
CREATE_PARAMS = (*WRITE_PARAMS, "payment_method")
LIST_PARAMS = ("created", "email")
ADDRESS = ("city", "country", "line1", "line2", "postal_code", "state")


def create(office: Office, params: Params) -> Body:
    body: Body = {
        "id": office.new_id("customer"), "object": "customer", "address": None, "balance": 0, "created": office.now(),
        "currency": None, "customer_account": None, "default_source": None, "delinquent": False, "description": None,
        "discount": None, "email": None, "invoice_prefix": office.rng.token(8).upper(),
        "invoice_settings": {
            "custom_fields": None, "default_payment_method": None, "footer": None, "rendering_options": None,
        },
        "livemode": False, "metadata": {}, "name": None, "next_invoice_sequence": 1, "phone": None,
        "preferred_locales": [], "shipping": None, "tax_exempt": "none", "test_clock": None,
    }  # fmt: skip
    body |= _changes(params, body)
    office.save(body)
    office.emit("customer.created", body)
    if method := params.text("payment_method"):
        payment_methods.attach(office, Params({"customer": body["id"]}), method)
    return office.render(body)


def _changes(params: Params, old: Body) -> Body:
    changes: Body = {name: params.text(name) for name in TEXTS if name in params}
    if "@" not in (changes.get("email") or "@"):
        raise invalid(f"Invalid email address: {changes['email']}", param="email", code="email_invalid")
    changes["metadata"] = params.metadata(old["metadata"])
    if "address" in params:
        changes["address"] = address(params.part("address"))
    if "balance" in params:
        changes["balance"] = params.integer("balance")
    if "invoice_prefix" in params:
        changes["invoice_prefix"] = params.text("invoice_prefix")
    if "shipping" in params:
        shipping = params.part("shipping")
        changes["shipping"] = {
            "address": address(shipping.part("address")),
            "name": shipping.text("name"),
            "phone": shipping.text("phone"),
        }
    if "preferred_locales" in params:
        changes["preferred_locales"] = params.texts("preferred_locales")
    if "invoice_settings" in params:
        settings = params.part("invoice_settings")
        texts = {name: settings.text(name) for name in ("default_payment_method", "footer") if name in settings}
        changes["invoice_settings"] = old["invoice_settings"] | texts
    return changes


def address(params: Params) -> Body | None:
    return {name: params.text(name) for name in ADDRESS} if params.values else None


def update(office: Office, params: Params, id: str) -> Body:  # noqa: A002
    old = office.get("customer", id)
    changes = {name: value for name, value in _changes(params, old).items() if old[name] != value}
    office.save(old | changes)
    if changes:
        office.emit("customer.updated", old | changes, {name: old[name] for name in changes})
    return office.render(old | changes)


def delete(office: Office, _: Params, id: str) -> Body:  # noqa: A002
    """Its charges and invoices keep its id; asked for, it says no more than that it was deleted."""
    body = office.get("customer", id)
    office.emit("customer.deleted", body)
    office.store.delete("customer", id)
    office.store.put("deleted_customer", id, {}, created=office.now())
    return _grave(id)


def _grave(id: str) -> Body:  # noqa: A002
    return {"id": id, "object": "customer", "deleted": True}


def retrieve(office: Office, _: Params, id: str) -> Body:  # noqa: A002
    if office.store.get("deleted_customer", id) is not None:
        return _grave(id)
    return office.render(office.get("customer", id))


def list_(office: Office, params: Params) -> Body:
    return page(office, "customer", params, "/v1/customers", {"email": params.text("email")})
