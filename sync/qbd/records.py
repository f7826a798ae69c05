"""QuickBooks Desktop's objects as our records. Unknown elements are ignored; a missing one raises ValueError.

TimeModified is kept out of the records: QuickBooks prints a wrong offset in summer time, so it names no instant.
"""

from collections.abc import Callable, Mapping
from datetime import date
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
)
from sync.qbd.markup import local
from sync.qbd.qbxml import value
from sync.qbd.wire import KIND
from sync.sound import sound

Currencies = Mapping[str, str]  # the ISO code of each currency's ListID; empty in a company with one currency
Minor = Callable[[str | None], int]
Legs = list[tuple[str | None, int]]

HOME_OF_COUNTRY = {"US": "USD", "CA": "CAD", "UK": "GBP", "GB": "GBP", "AU": "AUD"}
STRIPE_ID_FIELD = "Stripe ID"
SOLD = ("ItemService", "ItemOtherCharge", "ItemNonInventory", "ItemInventory", "ItemInventoryAssembly")
TAX_ITEMS = ("ItemSalesTax", "ItemSalesTaxGroup")  # what a sale is taxed by: Desktop's counterpart of a tax code
NAMED = {"Vendor": "vendor", "Class": "class", "PaymentMethod": "payment_method"} | dict.fromkeys(SOLD, "item")
TYPES = {  # QuickBooks' types of accounts in the words the rest of Tieout knows
    "AccountsReceivable": "Accounts Receivable",
    "AccountsPayable": "Accounts Payable",
    "OtherCurrentAsset": "Other Current Asset",
    "OtherCurrentLiability": "Other Current Liability",
    "LongTermLiability": "Long Term Liability",
    "FixedAsset": "Fixed Asset",
    "OtherAsset": "Other Asset",
    "CreditCard": "Credit Card",
    "CostOfGoodsSold": "Cost of Goods Sold",
    "OtherIncome": "Other Income",
    "OtherExpense": "Other Expense",
}


class Books:
    """Reads the objects of one company, whose currencies it knows; `currency_of` gives an account's by its ListID."""

    def __init__(
        self, home_currency: str, currencies: Currencies, currency_of: Callable[[str], str | None] = lambda _: None
    ) -> None:
        self._home, self._currencies, self._currency_of = home_currency, currencies, currency_of

    def read(self, element: Any) -> tuple[str, str, Record]:
        """Kind, id and record of any *Ret element. Raises ValueError."""
        kind, object_id, record = self._read(element)
        return kind, object_id, sound(record)

    def _read(self, element: Any) -> tuple[str, str, Record]:
        name = local(element).removesuffix("Ret")
        if name in KIND:
            found = self.document(element)
            return found.kind, found.id, found
        if name == "Account":
            return "account", need(element, "ListID"), self._account(element)
        if name == "Customer":
            return "customer", need(element, "ListID"), self._customer(element)
        if name in TAX_ITEMS:
            list_id = need(element, "ListID")
            name = need(element, "Name")
            return "tax_code", list_id, TaxCode(id=list_id, name=name, taxable=True, active=_is_active(element))
        if name in NAMED:
            return NAMED[name], need(element, "ListID"), self._named(element)
        raise ValueError(f"{name} is nothing Tieout reads")

    def document(self, element: Any) -> Document:
        """Any transaction. Amounts are in its CurrencyRef, or in the home currency where it names none; a transfer
        never names one: it is in that of its accounts.
        """
        entity = local(element).removesuffix("Ret")
        kind: DocumentKind = KIND[entity]  # type: ignore[assignment]
        currency = self._transferred(element) if entity == "Transfer" else self._currency(element)

        def minor(text: str | None) -> int:
            return to_minor(text or "0", currency)

        memo, reference = value(element, "Memo") or "", value(element, "RefNumber")
        total, txn_id = _total(entity, element, minor), need(element, "TxnID")
        due = value(element, "DueDate")
        found = Document(
            id=f"{kind}:{txn_id}",
            kind=kind,
            ledger_id=txn_id,
            version=need(element, "EditSequence"),
            currency=currency,
            amount_minor=total,
            dated=date.fromisoformat(need(element, "TxnDate")),
            open_minor=minor(next(filter(None, (value(element, name) for name in OPEN)), None)),
            due_date=date.fromisoformat(due) if due else None,
            customer_id=value(element, "CustomerRef", "ListID"),
            customer_name=value(element, "CustomerRef", "FullName"),
            doc_number=reference,
            memo=memo,
            marker=marker_of(memo),
            external_ids=stripe_ids(memo, reference or ""),
            applied=_applied(entity, element, minor),
            account_id=next(filter(None, (value(element, name, "ListID") for name in ACCOUNT)), None),
            legs=tuple(
                AccountLeg(account_id=account, amount_minor=amount)
                for account, amount in (LEGS[entity](element, minor, total) if entity in LEGS else [])
                if account
            ),
            tax_minor=minor(value(element, "SalesTaxTotal")),
            tax_code=value(element, "ItemSalesTaxRef", "ListID") if value(element, "SalesTaxTotal") else None,
            exchange_rate=None if currency == self._home else value(element, "ExchangeRate") or "1",
            voided=memo.startswith("VOID:") and not total,
        )
        return sound(found)

    def _account(self, element: Any) -> Account:
        currency, kind = self._currency(element), need(element, "AccountType")
        return Account(
            id=need(element, "ListID"),
            name=value(element, "FullName") or need(element, "Name"),
            type=TYPES.get(kind, kind),
            currency=currency,
            active=_is_active(element),
            balance_minor=to_minor(value(element, "Balance") or "0", currency),
        )

    def _customer(self, element: Any) -> Customer:
        return Customer(
            id=need(element, "ListID"),
            name=value(element, "FullName") or need(element, "Name"),
            email=value(element, "Email"),
            currency=self._currency(element),
            active=_is_active(element),
            counterpart_id=next(
                (
                    value(each, "DataExtValue")
                    for each in element.findall("DataExtRet")
                    if value(each, "DataExtName") == STRIPE_ID_FIELD
                ),
                None,
            ),
        )

    def _named(self, element: Any) -> Named:
        """An item, a vendor, a class or a payment method."""
        name = value(element, "FullName") or need(element, "Name")
        return Named(
            id=need(element, "ListID"), name=name, currency=self._currency(element), active=_is_active(element)
        )

    def _transferred(self, transfer: Any) -> str:
        if not self._currencies:
            return self._home
        sides = ("TransferFromAccountRef", "TransferToAccountRef")
        found = {self._currency_of(need_ref(transfer, side)) for side in sides}
        if len(found) != 1 or None in found:
            names = " and ".join(value(transfer, side, "FullName") or "?" for side in sides)
            raise ValueError(f"it does not name its currency, and its accounts {names} have not one and the same")
        return str(found.pop())

    def _currency(self, element: Any) -> str:
        list_id = value(element, "CurrencyRef", "ListID")
        if list_id is None:
            return self._home
        if list_id not in self._currencies:
            raise ValueError(f"its currency {value(element, 'CurrencyRef', 'FullName')} is not known")
        return self._currencies[list_id]


def is_kept(element: Any) -> bool:
    """Not discounts and subtotals, which stand in the list of items too but are neither sold nor a tax."""
    name = local(element).removesuffix("Ret")
    return not name.startswith("Item") or name in (*SOLD, *TAX_ITEMS)


def company(preferences: Any | None, name: str, country: str, currencies: Currencies) -> Company:
    """From PreferencesRet: the home currency, the day the books are closed through, and what is applied unasked."""
    home, closed, applies = HOME_OF_COUNTRY.get(country.upper(), "USD"), None, None
    if preferences is not None:
        home = home_currency(preferences, currencies) or home
        closed = value(preferences, "AccountingPreferences", "ClosingDate")
        applies = value(preferences, "SalesAndCustomersPreferences", "IsAutoApplyingPayments")
    return Company(
        id="company",
        name=name,
        home_currency=home,
        closed_through=date.fromisoformat(closed) if closed else None,
        applies_by_itself=applies == "true",
    )


def home_currency(preferences: Any, currencies: Currencies) -> str | None:
    """None in a company with one currency, and before its list of currencies was read."""
    return currencies.get(value(preferences, "MultiCurrencyPreferences", "HomeCurrencyRef", "ListID") or "")


def need(element: Any, name: str) -> str:
    """Raises ValueError where it is missing."""
    found = value(element, name)
    if found is None:
        raise ValueError(f"it has no {name}")
    return found


def need_ref(element: Any, name: str) -> str:
    """The ListID of a reference. Raises ValueError where it is missing."""
    found = value(element, name, "ListID")
    if found is None:
        raise ValueError(f"it has no {name}")
    return found


# ---- parts

OPEN = ("BalanceRemaining", "CreditRemaining", "UnusedPayment")
ACCOUNT = ("DepositToAccountRef", "RefundFromAccountRef", "AccountRef")
CREDITED = ("Invoice", "Check", "JournalEntry")  # what a credit memo can be set against
APPLIED = {
    "ReceivePayment": ("AppliedToTxnRet", "Amount"),
    "ARRefundCreditCard": ("RefundAppliedToTxnRet", "RefundAmount"),
}


def _is_active(element: Any) -> bool:
    return value(element, "IsActive") != "false"


def _total(entity: str, element: Any, minor: Minor) -> int:
    """An invoice names no total, a journal entry neither."""
    if entity == "Invoice":
        return minor(value(element, "Subtotal")) + minor(value(element, "SalesTaxTotal"))
    if entity == "JournalEntry":
        return sum(minor(value(line, "Amount")) for line in element.findall("JournalDebitLine"))
    return minor(value(element, "TotalAmount") or value(element, "DepositTotal") or value(element, "Amount"))


def _applied(entity: str, element: Any, minor: Minor) -> tuple[Applied, ...]:
    """What a payment, refund or credit is set against, and the payments that a deposit takes to the bank."""
    if entity == "Deposit":
        found = [(line, "TxnType", "Amount") for line in element.findall("DepositLineRet")]
    elif entity == "CreditMemo":  # linked amounts are below zero or above, by the side they are seen from
        linked = [line for line in element.findall("LinkedTxn") if value(line, "TxnType") in CREDITED]
        found = [(line, "TxnType", "Amount") for line in linked]
    else:
        name, amount = APPLIED.get(entity, ("", ""))
        found = [(line, "TxnType", amount) for line in element.findall(name)] if name else []
    parts = []
    for line, type_name, amount in found:
        kind, txn_id = KIND.get(value(line, type_name) or ""), value(line, "TxnID")
        if kind and txn_id:
            part = minor(value(line, amount))
            parts.append(Applied(id=f"{kind}:{txn_id}", amount_minor=abs(part) if entity == "CreditMemo" else part))
    return tuple(parts)


def _into(element: Any, _minor: Minor, total: int) -> Legs:
    return [(value(element, "DepositToAccountRef", "ListID"), total)]


def _refunded(element: Any, _minor: Minor, total: int) -> Legs:
    return [(value(element, "RefundFromAccountRef", "ListID"), -total)]


def _check(element: Any, minor: Minor, total: int) -> Legs:
    legs: Legs = [(value(element, "AccountRef", "ListID"), -total)]
    for line in element.findall("ExpenseLineRet"):
        legs.append((value(line, "AccountRef", "ListID"), minor(value(line, "Amount"))))
    return legs


def _deposit(element: Any, minor: Minor, total: int) -> Legs:
    legs: Legs = [(value(element, "DepositToAccountRef", "ListID"), total)]
    for line in element.findall("DepositLineRet"):
        legs.append((value(line, "AccountRef", "ListID"), -minor(value(line, "Amount"))))
    for line in element.findall("CashBackInfoRet"):
        legs.append((value(line, "AccountRef", "ListID"), minor(value(line, "Amount"))))
    return legs


def _transfer(element: Any, _minor: Minor, total: int) -> Legs:
    return [
        (value(element, "TransferFromAccountRef", "ListID"), -total),
        (value(element, "TransferToAccountRef", "ListID"), total),
    ]


def _journal_entry(element: Any, minor: Minor, _total: int) -> Legs:
    return [
        (value(line, "AccountRef", "ListID"), sign * minor(value(line, "Amount")))
        for name, sign in (("JournalDebitLine", 1), ("JournalCreditLine", -1))
        for line in element.findall(name)
    ]


LEGS: dict[str, Callable[[Any, Minor, int], Legs]] = {
    "ReceivePayment": _into,
    "SalesReceipt": _into,
    "ARRefundCreditCard": _refunded,
    "Check": _check,
    "Deposit": _deposit,
    "Transfer": _transfer,
    "JournalEntry": _journal_entry,
}
