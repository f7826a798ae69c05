"""The accounts, items and vendors a link needs in the company: found by name, made where they are missing."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from reconcile.money import THREE_DECIMAL
from reconcile.postings import ROLES, Mappings
from sync.errors import Rejected
from sync.ports import Request, Response
from sync.qbo import faults
from sync.qbo.wire import encode

Carry = Callable[[Request], Response]

CLEARING = "Stripe clearing"
FEES = "Stripe fees"
VENDOR = "Stripe"
SALE = "Stripe sale"
REFUND = "Stripe refund"
OPENING = "Opening Balance Equity"
# What each role's account is made as; one that is missing here is only looked for, QuickBooks makes it itself.
ROLE_TYPES = {
    "disputes_receivable": "Other Current Asset",
    "dispute_losses": "Expense",
    "dispute_fees": "Expense",
    "reserve": "Other Current Asset",
    "refunds_owed": "Other Current Liability",
}
LATER = ("bridge", "rounding")  # made when a currency needs them


def prepare(carry: Carry, home_currency: str) -> Mappings:
    """Default mappings for the home currency. Looks before it makes, so that it may be run again."""
    income = _find(carry, "Account", "AccountType = 'Income'")
    bank = _find_bank(carry, home_currency)
    clearing = _ensure(carry, "Account", "Name", CLEARING, {"AccountType": "Bank", "CurrencyRef": _ref(home_currency)})
    fees = _ensure(carry, "Account", "Name", FEES, {"AccountType": "Expense"})
    opening = _find(carry, "Account", f"Name = '{OPENING}'") or _find(carry, "Account", "AccountType = 'Equity'")
    vendor = _ensure(carry, "Vendor", "DisplayName", VENDOR, {"CurrencyRef": _ref(home_currency)})
    service = {"Type": "Service", "IncomeAccountRef": _ref(income["Id"])} if income else {"Type": "Service"}
    sale = _ensure(carry, "Item", "Name", SALE, service)
    refund = _ensure(carry, "Item", "Name", REFUND, service)
    return Mappings(
        clearing={home_currency: clearing["Id"]},
        bank={home_currency: bank["Id"]} if bank else {},
        fees={"stripe_fee": fees["Id"], "payment_method_passthrough_fee": fees["Id"], "tax": fees["Id"]},
        fee_vendor=vendor["Id"],
        sales_item=sale["Id"],
        refund_item=refund["Id"],
        sales_tax_code=_tax_code(carry),
        opening_account=opening["Id"] if opening else None,
        accounts=_role_accounts(carry) | _rounding(carry, home_currency),
    )


def add_currency(carry: Carry, mappings: Mappings, currency: str) -> Mappings:
    """With what a Stripe balance in another currency needs: a clearing account and a vendor of that currency, the bank
    account its payouts go to if there is one, and the bridge.

    Raises Rejected if the company keeps its books in one currency only.
    """
    if not _has_currencies(carry):
        raise Rejected(
            f"QuickBooks keeps these books in one currency. Switch on Multicurrency there (Account and settings, "
            f"Advanced), then add {currency} again. It cannot be switched off."
        )
    ref = {"CurrencyRef": _ref(currency)}
    _ensure(carry, "CompanyCurrency", "Code", currency, {})
    clearing = _ensure(carry, "Account", "Name", f"{CLEARING} ({currency})", {"AccountType": "Bank"} | ref)
    vendor = _ensure(carry, "Vendor", "DisplayName", f"{VENDOR} ({currency})", ref)
    bridge = _ensure(carry, "Account", "Name", ROLES["bridge"], {"AccountType": "Bank"})
    bank = _find_bank(carry, currency)
    return replace(
        mappings,
        clearing=mappings.clearing | {currency: clearing["Id"]},
        bank=mappings.bank | ({currency: bank["Id"]} if bank else {}),
        foreign_vendors=mappings.foreign_vendors | {currency: vendor["Id"]},
        accounts=mappings.accounts | {"bridge": bridge["Id"]} | _rounding(carry, currency),
    )


def _rounding(carry: Carry, currency: str) -> dict[str, str]:
    """Where what the books cannot keep of a currency with three decimals goes."""
    if currency not in THREE_DECIMAL:
        return {}
    return {"rounding": _ensure(carry, "Account", "Name", ROLES["rounding"], {"AccountType": "Expense"})["Id"]}


def _tax_code(carry: Carry) -> str | None:
    """The company's only tax code; of several an accountant chooses."""
    found = _query(carry, "SELECT * FROM TaxCode").get("TaxCode", [])
    taxable = [str(body["Id"]) for body in found if body.get("Taxable") and body.get("Active", True)]
    return taxable[0] if len(taxable) == 1 else None


def _find_bank(carry: Carry, currency: str) -> dict[str, Any] | None:
    """The first bank account of a currency that is none of ours; one that names none is kept in home currency."""
    home = home_currency(carry)
    found = _query(carry, "SELECT * FROM Account WHERE AccountType = 'Bank' MAXRESULTS 1000").get("Account", [])
    return next(
        (
            body
            for body in found
            if (body.get("CurrencyRef") or {}).get("value", home) == currency
            and not body["Name"].startswith((CLEARING, ROLES["bridge"]))
        ),
        None,
    )


def _has_currencies(carry: Carry) -> bool:
    found = _query(carry, "SELECT * FROM Preferences").get("Preferences", [{}])[0]
    return bool((found.get("CurrencyPrefs") or {}).get("MultiCurrencyEnabled"))


def _role_accounts(carry: Carry) -> dict[str, str]:
    found = {}
    for role, name in ROLES.items():
        if role in ROLE_TYPES:
            found[role] = _ensure(carry, "Account", "Name", name, {"AccountType": ROLE_TYPES[role]})["Id"]
        elif role not in LATER and (account := _find(carry, "Account", f"Name = '{name}'")):
            found[role] = account["Id"]
    return found


def home_currency(carry: Carry) -> str:
    found = _query(carry, "SELECT * FROM Preferences").get("Preferences", [{}])[0]
    return str(((found.get("CurrencyPrefs") or {}).get("HomeCurrency") or {}).get("value", "USD"))


def company_name(carry: Carry) -> str:
    found = _query(carry, "SELECT * FROM CompanyInfo").get("CompanyInfo", [{}])[0]
    return str(found.get("CompanyName") or "QuickBooks company")


def _ensure(carry: Carry, entity: str, name_field: str, name: str, rest: dict[str, Any]) -> dict[str, Any]:
    found = _find(carry, entity, f"{name_field} = '{name}'")
    if found is not None:
        return found
    body = encode({name_field: name} | rest)
    request_id = "s" + hashlib.sha256(body.encode()).hexdigest()[:40]
    request = Request(kind="write", path=entity.lower(), body=body, query={"requestid": request_id})
    made: dict[str, Any] = faults.check(carry(request), write=True)[entity]
    return made


def _find(carry: Carry, entity: str, where: str) -> dict[str, Any] | None:
    found = _query(carry, f"SELECT * FROM {entity} WHERE {where}").get(entity, [])  # noqa: S608 - our own words
    return next(iter(found), None)


def _query(carry: Carry, text: str) -> dict[str, Any]:
    body = faults.check(carry(Request(kind="read", path="query", body=text)), write=False)
    answer: dict[str, Any] = body["QueryResponse"]
    return answer


def _ref(value: str) -> dict[str, str]:
    return {"value": value}
