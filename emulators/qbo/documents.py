"""Create, update, delete and void: the same way for every entity, each in one transaction of the store.

A document that a payment is applied to (an invoice, say) may change under it. Then those payments are taken off,
the change is made, and they are applied again as far as they still fit; the rest becomes unapplied credit.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from emulators.qbo import lists, open_items, payment, sales, spending
from emulators.qbo.books import Leg
from emulators.qbo.checks import Body, checked
from emulators.qbo.company import Company
from emulators.qbo.fault import against_rules, missing, not_found, refused, stale
from emulators.qbo.fields import ENTITIES, SHAPES, SINGLES, TRANSACTIONS

Complete = Callable[[Company, str, Body, Body], Body]


@dataclass(frozen=True)
class Kind:
    """What tells one entity from another."""

    complete: Complete
    legs: Callable[[Company, str, Body], list[Leg]] | None = None
    opens: Callable[[Company, str, Body], open_items.Opened | None] | None = None
    undo: Callable[[Company, Body], None] | None = None


SALE = Kind(sales.complete, sales.legs, sales.opens)
PERSON = Kind(lists.complete_person)
KINDS = {
    "Invoice": SALE,
    "SalesReceipt": SALE,
    "CreditMemo": SALE,
    "RefundReceipt": SALE,
    "Payment": Kind(payment.complete, payment.legs, undo=payment.undo),
    "Purchase": Kind(spending.complete_purchase, spending.purchase_legs, spending.purchase_opens),
    "Deposit": Kind(spending.complete_deposit, spending.deposit_legs, undo=spending.undo_deposit),
    "Transfer": Kind(spending.complete_transfer, spending.transfer_legs),
    "JournalEntry": Kind(spending.complete_journal, spending.journal_legs, spending.journal_opens),
    "Customer": PERSON,
    "Vendor": PERSON,
    "Account": Kind(lists.complete_account),
    "Item": Kind(lists.complete_item),
    "Class": Kind(lists.complete_class),
    "Department": Kind(lists.complete_class),
    "PaymentMethod": Kind(lists.complete_method),
    "Term": Kind(lists.complete_term),
    "CompanyCurrency": Kind(lists.complete_currency),
    "Preferences": Kind(lists.complete_as_it_is),
    "CompanyInfo": Kind(lists.complete_as_it_is),
}
# Sent back by clients that save what they read; always worked out here.
DERIVED = (
    "MetaData",
    "domain",
    "sparse",
    "status",
    "LinkedTxn",
    "Balance",
    "HomeBalance",
    "BalanceWithJobs",
    "HomeTotalAmt",
    "UnappliedAmt",
    "RemainingCredit",
    "CurrentBalance",
    "CurrentBalanceWithSubAccounts",
    "Classification",
    "FullyQualifiedName",
    "TxnStatus",
    "AutoDocNumber",
    "Level",
    "OpenBalanceDate",
)
HEAD = ("Id", "SyncToken", "MetaData", "domain", "sparse", "LinkedTxn")
NUMBERED = ("Invoice", "SalesReceipt", "CreditMemo", "RefundReceipt")
VOIDABLE = ("Payment", "SalesReceipt", "Invoice")
NOT_SPARSE = ("Deposit",)  # Intuit's service takes every update of a deposit as a full one


def create(company: Company, entity: str, request: Body, *, allow_duplicate: bool = False) -> Body:
    kind = _kind(entity, "create")
    with company.records.store.transaction():
        body = _cleaned(entity, request)
        body.pop("Id", None)
        body.pop("SyncToken", None)
        if entity in TRANSACTIONS:
            body.setdefault("TxnDate", company.records.today())
            company.guard_period(body["TxnDate"])
            lists.refer_labels(company, body)
        body = kind.complete(company, entity, body, {})
        lists.guard_name(company, entity, body, {})
        if entity in NUMBERED:
            company.number_document(entity, body, {}, allow_duplicate)
        company.records.add(entity, body)
        if kind.legs:
            _post(company, kind, entity, body)
            company.records.rewrite(entity, body)
        if entity == "CreditMemo" and company.preferences["SalesFormsPrefs"].get("AutoApplyCredit"):
            return _use_credit(company, body)
        return body


def _use_credit(company: Company, memo: Body) -> Body:
    """With the preference AutoApplyCredit, a payment of zero applies a new credit memo to the oldest open invoices."""
    left, lines = company.minor(memo, memo["TotalAmt"]), []
    for document in open_items.waiting(company, f"Customer:{memo['CustomerRef']['value']}", "charge"):
        entity, _, object_id = document.partition(":")
        amount = min(left, open_items.left_of(company, document)) if entity == "Invoice" else 0
        if amount:
            left -= amount
            lines.append(payment.line_to(amount, memo, object_id, "Invoice"))
    used = company.minor(memo, memo["TotalAmt"]) - left
    if used:
        lines.append(payment.line_to(used, memo, memo["Id"], "CreditMemo"))
        request = {"CustomerRef": memo["CustomerRef"], "TotalAmt": 0, "TxnDate": memo["TxnDate"], "Line": lines}
        create(company, "Payment", request)
    return company.records.require("CreditMemo", memo["Id"])


def update(company: Company, entity: str, request: Body) -> Body:
    kind = _kind(entity, "update")
    with company.records.store.transaction():
        old = _current(company, entity, request)
        body = _merged(entity, _cleaned(entity, request), old, request.get("sparse") in (True, "true"), request)
        if entity in TRANSACTIONS:
            body.setdefault("TxnDate", old["TxnDate"])
            company.guard_period(min(body["TxnDate"], old["TxnDate"]))
            lists.refer_labels(company, body)
        body = kind.complete(company, entity, body, old)
        if entity in NUMBERED:
            company.number_document(entity, body, old)
        lists.guard_name(company, entity, body, old)
        _change(company, kind, entity, old, body, "Update")
        return company.records.require(entity, old["Id"])


def void(company: Company, entity: str, request: Body) -> Body:
    if entity not in VOIDABLE:
        raise refused(500, "Unsupported Operation", f"Operation void is not supported for {entity}.")
    with company.records.store.transaction():
        old = _current(company, entity, request)
        company.guard_period(old["TxnDate"])
        paid = entity == "Invoice" and open_items.payers_of(company, f"Invoice:{old['Id']}")
        if paid and not company.switches.void_paid_invoices:
            raise against_rules("You can't void this invoice: a payment is applied to it.")
        body = _emptied(entity, old)
        _change(company, KINDS[entity], entity, old, body, "Void")
        return company.records.require(entity, old["Id"])


def delete(company: Company, entity: str, request: Body) -> Body:
    kind = _kind(entity, "delete")
    if entity not in TRANSACTIONS:
        raise refused(
            500, "Unsupported Operation", f"Operation delete is not supported for {entity}; make it inactive."
        )
    with company.records.store.transaction():
        old = _current(company, entity, request)
        company.guard_period(old["TxnDate"])
        _guard_deposited(company, entity, old, None)
        with _payers_lifted(company, f"{entity}:{old['Id']}"):
            _unpost(company, kind, entity, old)
            open_items.close_item(company, f"{entity}:{old['Id']}")
            company.records.remove(entity, old)
        return {"Id": old["Id"], "domain": "QBO", "status": "Deleted"}


def _kind(entity: str, operation: str) -> Kind:
    kind = KINDS.get(entity)
    if kind is None or (entity in SINGLES and operation != "update"):
        raise refused(500, "Unsupported Operation", f"Operation {operation} is not supported for {entity}.")
    return kind


# --- bodies -----------------------------------------------------------------------------------------------------------


def _cleaned(entity: str, request: Body) -> Body:
    assert entity in ENTITIES
    body = checked(entity, request)
    for name in DERIVED:
        body.pop(name, None)
    if entity != "Payment":
        body.pop("TotalAmt", None)
    return body


def _current(company: Company, entity: str, request: Body) -> Body:
    if request.get("Id") in (None, ""):
        raise missing("Id")
    if request.get("SyncToken") in (None, ""):
        raise missing("SyncToken")
    old = company.records.get(entity, str(request["Id"]))
    if old is None:
        raise not_found(entity, request["Id"])
    if str(request["SyncToken"]) != old["SyncToken"]:
        raise stale()
    return old


def _merged(entity: str, clean: Body, old: Body, sparse: bool, request: Body) -> Body:
    """A sparse update keeps what is not sent, and clears what is sent empty; a full one clears all that is not sent."""
    kept: Body = {name: old[name] for name in HEAD if name in old}
    if entity in SINGLES:  # settings are changed one by one; there is no clearing them
        return _deep(old, clean, request) | kept
    if sparse and entity not in NOT_SPARSE:
        kept = {name: value for name, value in old.items() if name in clean or name not in request or name in HEAD}
        if "CurrencyRef" in clean and clean["CurrencyRef"] != old.get("CurrencyRef"):
            kept.pop("ExchangeRate", None)
    elif entity not in TRANSACTIONS:
        clean.setdefault("Active", old.get("Active", True))
    head = {name: old[name] for name in HEAD if name in old}
    return kept | clean | head


def _deep(old: Body, new: Body, request: Body) -> Body:
    merged = {name: value for name, value in old.items() if name in new or request.get(name, value) not in (None, "")}
    for name, value in new.items():
        both = isinstance(value, dict) and isinstance(old.get(name), dict)
        merged[name] = _deep(old[name], value, request[name]) if both else value
    return merged


def _emptied(entity: str, old: Body) -> Body:
    body = {**old, "PrivateNote": "Voided", "TotalAmt": 0}
    if "HomeTotalAmt" in body:
        body["HomeTotalAmt"] = 0
    if entity == "Payment":
        return body | {"Line": [], "UnappliedAmt": 0}
    body["Balance"] = 0
    if "HomeBalance" in body:
        body["HomeBalance"] = 0
    if "TxnTaxDetail" in body:
        body["TxnTaxDetail"] = {"TotalTax": 0}
    for line in body["Line"]:
        line["Amount"] = 0
        for name in ("Qty", "UnitPrice"):
            line.get(line["DetailType"], {}).pop(name, None)
    return body


# --- books ------------------------------------------------------------------------------------------------------------


def _change(company: Company, kind: Kind, entity: str, old: Body, body: Body, operation: str) -> None:
    if kind.legs is None:
        company.records.save(entity, body, operation)
        return
    _guard_deposited(company, entity, old, body)
    document = f"{entity}:{old['Id']}"
    if kind.opens and kind.opens(company, entity, old) == kind.opens(company, entity, body):
        company.books.unpost(document)
        _post_legs(company, kind, entity, body)
        open_items.fill_open(company, document, body)
        company.records.save(entity, body, operation)
        return
    with _payers_lifted(company, document):
        _unpost(company, kind, entity, old)
        company.records.save(entity, body, operation)
        _post(company, kind, entity, body)
        company.records.rewrite(entity, body)


def _post(company: Company, kind: Kind, entity: str, body: Body) -> None:
    _post_legs(company, kind, entity, body)
    opened = kind.opens and kind.opens(company, entity, body)
    if opened:
        open_items.open_item(company, f"{entity}:{body['Id']}", opened)
        open_items.fill_open(company, f"{entity}:{body['Id']}", body)


def _post_legs(company: Company, kind: Kind, entity: str, body: Body) -> None:
    assert kind.legs is not None
    legs = kind.legs(company, entity, body)
    company.books.post(f"{entity}:{body['Id']}", body["TxnDate"], body["CurrencyRef"]["value"], legs)


def _unpost(company: Company, kind: Kind, entity: str, body: Body) -> None:
    company.books.unpost(f"{entity}:{body['Id']}")
    if kind.undo:
        kind.undo(company, body)


@contextmanager
def _payers_lifted(company: Company, document: str) -> Iterator[None]:
    """Takes the payments applied to a document off, and afterwards applies them again as far as they fit."""
    payers = [company.records.require("Payment", payer) for payer in open_items.payers_of(company, document)]
    for payer in payers:
        _unpost(company, KINDS["Payment"], "Payment", payer)
    yield
    for payer in payers:
        lines = payer["Line"]
        payment.refit(company, payer)
        _post(company, KINDS["Payment"], "Payment", payer)
        if payer["Line"] != lines:
            company.records.touch("Payment", payer)
            company.records.on_change("Payment", payer["Id"], "Update")


def _guard_deposited(company: Company, entity: str, old: Body, new: Body | None) -> None:
    """What lies in a bank deposit keeps its money until it is taken out of the deposit."""
    if company.records.store.get("deposited", f"{entity}:{old['Id']}") is None:
        return
    names = ("TotalAmt", "DepositToAccountRef", "CurrencyRef", "ExchangeRate")
    if new is None or any(new.get(name) != old.get(name) for name in names):
        raise refused(
            6540,
            "Deposited Transaction cannot be changed",
            "Deposited Transaction cannot be changed : If "
            "you want to change or delete this transaction, you must first delete it from the deposit.",
        )


assert set(KINDS) <= set(SHAPES)
