"""Payment methods, made from Stripe's test tokens."""

from dataclasses import dataclass

from emulators.stripe.errors import Body, invalid, no_such
from emulators.stripe.lists import page
from emulators.stripe.office import Office
from emulators.stripe.params import Params

CREATE_PARAMS = ("billing_details", "card", "metadata", "type", "us_bank_account")
LIST_PARAMS = ("customer", "type")


@dataclass(frozen=True)
class Token:
    type: str = "card"
    brand: str = "visa"
    last4: str = "4242"
    country: str = "US"
    funding: str = "credit"
    decline_code: str | None = None
    fails_later: str | None = None  # a bank debit that is sent back before it succeeds
    asks_customer: bool = False


TOKENS = {
    "pm_card_visa": Token(),
    "pm_card_visa_debit": Token(last4="5556", funding="debit"),
    "pm_card_mastercard": Token(brand="mastercard", last4="4444"),
    "pm_card_amex": Token(brand="amex", last4="8431"),
    "pm_card_gb": Token(last4="0000", country="GB"),
    "pm_card_de": Token(last4="0016", country="DE"),
    "pm_card_fr": Token(last4="0003", country="FR"),
    "pm_card_jp": Token(last4="0003", country="JP"),
    "pm_card_ca": Token(last4="0000", country="CA"),
    "pm_card_chargeDeclined": Token(last4="0002", decline_code="generic_decline"),
    "pm_card_visa_chargeDeclined": Token(last4="0002", decline_code="generic_decline"),
    "pm_card_chargeDeclinedInsufficientFunds": Token(last4="9995", decline_code="insufficient_funds"),
    "pm_card_visa_chargeDeclinedInsufficientFunds": Token(last4="9995", decline_code="insufficient_funds"),
    "pm_card_chargeDeclinedExpiredCard": Token(last4="0069", decline_code="expired_card"),
    "pm_card_threeDSecure2Required": Token(last4="3220", asks_customer=True),
    "pm_usBankAccount": Token(type="us_bank_account", last4="6789"),
    "pm_usBankAccount_success": Token(type="us_bank_account", last4="6789"),
    "pm_usBankAccount_insufficientFunds": Token(type="us_bank_account", last4="2222", fails_later="insufficient_funds"),
}
SOURCES = {"tok_visa": "pm_card_visa", "tok_mastercard": "pm_card_mastercard", "tok_gb": "pm_card_gb",
           "tok_chargeDeclined": "pm_card_chargeDeclined"}  # fmt: skip


def named(office: Office, name: str, customer: str | None, param: str = "payment_method") -> Body:
    """The payment method of an id or of a test token; a token stands for one payment method per customer."""
    token = SOURCES.get(name, name)
    if token not in TOKENS:
        body = office.named("payment_method", name, param)
        if body["customer"] not in (None, customer):
            raise invalid("The provided PaymentMethod belongs to another customer.", param=param)
        return body
    found = office.store.find("payment_method", where={"_token": f"{token}:{customer}"}, limit=1)
    return found[0] if found else make(office, token, {"_token": f"{token}:{customer}"})


def make(office: Office, token_name: str, changes: Body) -> Body:
    token = TOKENS[token_name]
    body: Body = {
        "id": office.new_id("payment_method"), "object": "payment_method", "allow_redisplay": "unspecified",
        "billing_details": no_billing_details(), "created": office.now(), "customer": None, "customer_account": None,
        "livemode": False, "metadata": {}, "type": token.type, "_name": token_name, "_token": None,
    }  # fmt: skip
    body[token.type] = _card(token) if token.type == "card" else _bank_account(token)
    office.save(body | changes)
    return body | changes


def no_billing_details() -> Body:
    address = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
    return {"address": address, "email": None, "name": None, "phone": None, "tax_id": None}


def _card(token: Token) -> Body:
    return {
        "brand": token.brand, "checks": _checks(), "country": token.country, "display_brand": token.brand,
        "exp_month": 8, "exp_year": 2031, "fingerprint": f"fp{token.brand}{token.last4}{token.country}",
        "funding": token.funding, "generated_from": None, "last4": token.last4,
        "networks": {"available": [token.brand], "preferred": None}, "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True}, "wallet": None,
    }  # fmt: skip


def _checks() -> Body:
    return {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"}


def _bank_account(token: Token) -> Body:
    return {
        "account_holder_type": "individual", "account_type": "checking", "bank_name": "STRIPE TEST BANK",
        "financial_connections_account": None, "fingerprint": f"fpbank{token.last4}", "last4": token.last4,
        "networks": {"preferred": "ach", "supported": ["ach"]}, "routing_number": "110000000", "status_details": {},
    }  # fmt: skip


def charge_details(method: Body, amount: int) -> Body:
    """`payment_method_details` of a charge."""
    if method["type"] != "card":
        bank = method[method["type"]]
        shared = ("account_holder_type", "account_type", "bank_name", "fingerprint", "last4", "routing_number")
        details = {name: bank[name] for name in shared} | {"mandate": None, "payment_reference": None}
        return {"type": method["type"], method["type"]: details}
    card = method["card"]
    same = ("brand", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4", "regulated_status")
    return {
        "type": "card",
        "card": {name: card[name] for name in same}
        | {
            "amount_authorized": amount, "authorization_code": None, "checks": _checks(),
            "extended_authorization": {"status": "disabled"},
            "incremental_authorization": {"status": "unavailable"}, "installments": None, "mandate": None,
            "multicapture": {"status": "unavailable"}, "network": card["brand"], "network_token": {"used": False},
            "network_transaction_id": None,
            "overcapture": {"maximum_amount_capturable": amount, "status": "unavailable"},
            "three_d_secure": None, "transaction_link_id": None, "wallet": None,
        },
    }  # fmt: skip


def token_of(method: Body) -> Token:
    return TOKENS[method["_name"]]


def create(office: Office, params: Params) -> Body:
    """Cards by the test tokens only (`card[token]=tok_visa`): numbers are no business of the stand-in."""
    kind = params.choice("type", ("card", "us_bank_account")) or "card"
    token = SOURCES.get(params.part("card").text("token") or "tok_visa")
    if token is None:
        raise no_such("token", str(params.part("card").text("token")), "card[token]", status=400)
    name = token if kind == "card" else "pm_usBankAccount_success"
    details = params.part("billing_details")
    texts = {key: details.text(key) for key in ("email", "name", "phone") if key in details}
    billing = no_billing_details() | texts
    return office.render(make(office, name, {"metadata": params.metadata(), "billing_details": billing}))


def attach(office: Office, params: Params, id: str) -> Body:  # noqa: A002
    customer = office.named("customer", params.required("customer"), "customer")["id"]
    body = named(office, id, customer) | {"customer": customer}
    office.save(body)
    office.emit("payment_method.attached", body)
    return office.render(body)


def detach(office: Office, _: Params, id: str) -> Body:  # noqa: A002
    old = office.get("payment_method", id)
    body = old | {"customer": None}
    office.save(body)
    office.emit("payment_method.detached", body, {"customer": old["customer"]})
    return office.render(body)


def retrieve(office: Office, _: Params, id: str) -> Body:  # noqa: A002
    return office.render(office.get("payment_method", id))


def list_(office: Office, params: Params) -> Body:
    where = {"customer": params.text("customer"), "type": params.text("type")}
    return page(office, "payment_method", params, "/v1/payment_methods", where)
