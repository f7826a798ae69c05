"""QuickBooks Online's objects as our records. Unknown fields are ignored; a missing one raises KeyError."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from reconcile.money import to_minor
from reconcile.names import marker_of, stripe_ids
from reconcile.records import (
    Account,
    AccountLeg,
    Applied,
    Company,
    Customer,
    Document,
    DocumentKind,
    Named,
    Record,
    TaxCode,
    TaxRate,
)
from sync.qbo.wire import KIND, LINKED_KIND
from sync.sound import sound

Body = Mapping[str, Any]

COUNTERPART = re.compile(r"\[tieout (cus_[A-Za-z0-9]+)\]")


def document(entity: str, body: Body, home_currency: str) -> Document:
    """Any transaction. Amounts are in its CurrencyRef, or in the home currency where it names none."""
    currency = _ref(body, "CurrencyRef") or home_currency
    kind: DocumentKind = KIND[entity]  # type: ignore[assignment]
    memo = body.get("PrivateNote") or ""
    reference = body.get("DocNumber") or body.get("PaymentRefNum")
    total = body.get("TotalAmt", body.get("Amount", 0))
    effect = LEGS.get(entity)
    legs = effect(body, lambda value: to_minor(value, currency)) if effect else []
    found = Document(
        id=f"{kind}:{body['Id']}",
        kind=kind,
        ledger_id=body["Id"],
        version=body["SyncToken"],
        currency=currency,
        amount_minor=to_minor(total, currency),
        dated=date.fromisoformat(body["TxnDate"]),
        open_minor=to_minor(_open(body), currency),
        due_date=date.fromisoformat(body["DueDate"]) if body.get("DueDate") else None,
        customer_id=_ref(body, "CustomerRef"),
        customer_name=(body.get("CustomerRef") or {}).get("name"),
        customer_email=(body.get("BillEmail") or {}).get("Address"),
        doc_number=reference,
        memo=memo,
        marker=marker_of(memo),
        external_ids=_stripe_ids(body),
        applied=_applied(body, currency),
        account_id=_ref(body, "DepositToAccountRef") or _ref(body, "AccountRef"),
        legs=tuple(AccountLeg(account_id=account, amount_minor=minor) for account, minor in legs if account),
        tax_minor=to_minor((body.get("TxnTaxDetail") or {}).get("TotalTax", 0), currency),
        tax_code=_tax_code(body),
        exchange_rate=None if currency == home_currency else str(body.get("ExchangeRate", 1)),
        voided=memo.startswith("Voided") and not total,
        updated_at=_instant(body),
    )
    return sound(found)


def customer(body: Body, home_currency: str) -> Customer:
    return Customer(
        id=body["Id"],
        name=body["DisplayName"],
        email=(body.get("PrimaryEmailAddr") or {}).get("Address"),
        currency=_ref(body, "CurrencyRef") or home_currency,
        active=body.get("Active", True),
        counterpart_id=counterpart(body),
    )


def counterpart(body: Body) -> str | None:
    """The Stripe customer that our line in a customer's notes names."""
    found = COUNTERPART.search(body.get("Notes") or "")
    return found.group(1) if found else None


def account(body: Body, home_currency: str) -> Account:
    currency = _ref(body, "CurrencyRef") or home_currency
    return Account(
        id=body["Id"],
        name=body.get("FullyQualifiedName") or body["Name"],
        type=body["AccountType"],
        currency=currency,
        active=body.get("Active", True),
        balance_minor=to_minor(body.get("CurrentBalance", 0), currency),
    )


def named(body: Body, home_currency: str) -> Named:
    """An item, a vendor, a class, a location or a payment method."""
    name = body.get("DisplayName") or body.get("FullyQualifiedName") or body["Name"]
    currency = _ref(body, "CurrencyRef") or home_currency
    return Named(id=body["Id"], name=name, currency=currency, active=body.get("Active", True))


def tax_rate(body: Body, _home_currency: str) -> TaxRate:
    percent = str(body.get("RateValue", 0))
    return TaxRate(id=body["Id"], name=body.get("Name", ""), percent=percent, active=body.get("Active", True))


def tax_code(body: Body, _home_currency: str) -> TaxCode:
    """One without rates of purchases is of a company that knows sales tax only."""
    return TaxCode(
        id=body["Id"],
        name=body["Name"],
        taxable=body.get("Taxable", True),
        sales=_rates(body, "SalesTaxRateList"),
        purchases=_rates(body, "PurchaseTaxRateList"),
        active=body.get("Active", True),
    )


def _rates(body: Body, name: str) -> tuple[str, ...]:
    details = (body.get(name) or {}).get("TaxRateDetail") or []
    return tuple(str(detail["TaxRateRef"]["value"]) for detail in details)


def company(body: Body, _home_currency: str) -> Company:
    """From Preferences: the home currency, the day the books are closed through, and what is applied unasked."""
    closed = (body.get("AccountingInfoPrefs") or {}).get("BookCloseDate")
    home = (body.get("CurrencyPrefs") or {}).get("HomeCurrency") or {}
    sales = body.get("SalesFormsPrefs") or {}
    return Company(
        id="company",
        name="",
        home_currency=home.get("value", "USD"),
        closed_through=date.fromisoformat(closed) if closed else None,
        applies_by_itself=bool(sales.get("AutoApplyCredit") or sales.get("AutoApplyPayments")),
    )


# entity -> (kind in the mirror, reader); documents are read by `document`
OTHERS: dict[str, tuple[str, Callable[[Body, str], Record]]] = {
    "Preferences": ("company", company),
    "Account": ("account", account),
    "Customer": ("customer", customer),
    "Vendor": ("vendor", named),
    "Item": ("item", named),
    "Class": ("class", named),
    "Department": ("department", named),
    "PaymentMethod": ("payment_method", named),
    "TaxRate": ("tax_rate", tax_rate),
    "TaxCode": ("tax_code", tax_code),
}


def read(entity: str, body: Body, home_currency: str) -> tuple[str, str, Record]:
    """Kind, id and record of any object of the company."""
    if entity in OTHERS:
        kind, reader = OTHERS[entity]
        record = sound(reader(body, home_currency))
        return kind, "company" if kind == "company" else body["Id"], record
    found = document(entity, body, home_currency)
    return found.kind, found.id, found


def updated(body: Body) -> str:
    """Raises one of UNREADABLE for what is no time: it becomes a part of questions."""
    told: str = body["MetaData"]["LastUpdatedTime"]
    datetime.fromisoformat(told)
    return told


# ---- what each transaction does to accounts

Minor = Callable[[Any], int]
Legs = list[tuple[str | None, int]]


def _into(body: Body, minor: Minor) -> Legs:
    return [(_ref(body, "DepositToAccountRef"), minor(body["TotalAmt"]))]


def _out_of(body: Body, minor: Minor) -> Legs:
    return [(_ref(body, "DepositToAccountRef"), -minor(body["TotalAmt"]))]


def _purchase(body: Body, minor: Minor) -> Legs:
    sign = 1 if body.get("Credit") else -1
    spent: Legs = [(_ref(body, "AccountRef"), sign * minor(body["TotalAmt"]))]
    for line in body.get("Line", []):
        detail = line.get("AccountBasedExpenseLineDetail")
        if detail:
            spent.append((_ref(detail, "AccountRef"), -sign * minor(line["Amount"])))
    return spent


def _deposit(body: Body, minor: Minor) -> Legs:
    legs = _into(body, minor)
    for line in body.get("Line", []):
        legs.append((_ref(line.get("DepositLineDetail") or {}, "AccountRef"), -minor(line["Amount"])))
    return legs


def _transfer(body: Body, minor: Minor) -> Legs:
    amount = minor(body["Amount"])
    return [(_ref(body, "FromAccountRef"), -amount), (_ref(body, "ToAccountRef"), amount)]


def _journal_entry(body: Body, minor: Minor) -> Legs:
    legs: Legs = []
    for line in body["Line"]:
        detail = line.get("JournalEntryLineDetail") or {}
        sign = 1 if detail.get("PostingType") == "Debit" else -1
        legs.append((_ref(detail, "AccountRef"), sign * minor(line.get("Amount", 0))))
    return legs


LEGS: dict[str, Callable[[Body, Minor], Legs]] = {
    "Payment": _into,
    "SalesReceipt": _into,
    "RefundReceipt": _out_of,
    "Purchase": _purchase,
    "Deposit": _deposit,
    "Transfer": _transfer,
    "JournalEntry": _journal_entry,
}


# ---- parts


def _open(body: Body) -> Decimal | int:
    """What is unpaid (invoice), unapplied (payment) or unused (credit memo)."""
    for name in ("Balance", "UnappliedAmt", "RemainingCredit"):
        if name in body:
            return body[name]  # type: ignore[no-any-return]
    return 0


def _tax_code(body: Body) -> str | None:
    """Of the first line that is taxed."""
    details = [line.get("SalesItemLineDetail") or {} for line in body.get("Line", [])]
    codes = [_ref(detail, "TaxCodeRef") for detail in details]
    return next((code for code in codes if code not in (None, "NON")), None)


def _applied(body: Body, currency: str) -> tuple[Applied, ...]:
    found = []
    for line in body.get("Line", []):
        for linked in line.get("LinkedTxn", []):
            kind = LINKED_KIND.get(linked["TxnType"])
            if kind:
                amount = to_minor(line.get("Amount", 0), currency)
                found.append(Applied(id=f"{kind}:{linked['TxnId']}", amount_minor=amount))
    return tuple(found)


def _stripe_ids(body: Body) -> tuple[str, ...]:
    memo = (body.get("CustomerMemo") or {}).get("value") or ""
    texts = (body.get("PrivateNote") or "", body.get("PaymentRefNum") or "", body.get("DocNumber") or "", memo)
    return stripe_ids(*texts)


def _ref(body: Body, name: str) -> str | None:
    value = (body.get(name) or {}).get("value")
    return None if value is None else str(value)


def _instant(body: Body) -> datetime:
    return datetime.fromisoformat(updated(body)).astimezone(UTC)
