"""Adding, changing, voiding and deleting transactions.

Each kind completes its body, says its legs and what it opens.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from emulators.qbd import banking, receipts, sales
from emulators.qbd.books import Leg
from emulators.qbd.company import Company
from emulators.qbd.money import wire
from emulators.qbd.refusals import bad_value, gone, out_of_date
from emulators.store import Body

Opened = tuple[str, str, int] | None


@dataclass(frozen=True)
class Kind:
    complete: Callable[[Company, str, Body], Body]
    legs: Callable[[Company, str, Body], list[Leg]]
    opens: Callable[[Company, str, Body], Opened] = lambda *_: None
    apply: Callable[[Company, Body], None] = lambda *_: None


SALE = Kind(sales.complete, sales.legs, sales.opens)
KINDS = {
    "Invoice": SALE, "CreditMemo": SALE, "SalesReceipt": SALE,
    "ReceivePayment": Kind(
        receipts.complete_payment, receipts.payment_legs, receipts.payment_opens, receipts.apply_payment),
    "ARRefundCreditCard": Kind(
        receipts.complete_refund, receipts.refund_legs, receipts.refund_opens, receipts.apply_refund),
    "Check": Kind(banking.complete_check, banking.check_legs, banking.opens, banking.apply_check),
    "Deposit": Kind(banking.complete_deposit, banking.deposit_legs),
    "Transfer": Kind(banking.complete_transfer, banking.transfer_legs),
    "JournalEntry": Kind(banking.complete_journal, banking.journal_legs, banking.opens),
}  # fmt: skip
AMOUNTS = ("Amount", "TotalAmount", "DepositTotal", "Subtotal", "SalesTaxTotal")


def add(company: Company, kind: str, body: Body) -> Body:
    """Writes a transaction; gives it as it is stored. Raises `Refused` and has then changed nothing."""
    with company.records.store.transaction():
        company.dated(body)
        body = KINDS[kind].complete(company, kind, body)
        _guard_locks(company, kind, body)
        if kind == "ReceivePayment" and receipts.is_credit_only(body):
            receipts.apply_payment(company, body)
            return body
        used = body.pop("SetCredit", [])
        made = company.records.add(kind, body)
        _post(company, kind, made)
        _set_credits(company, made, used)
        return made


def _post(company: Company, kind: str, body: Body) -> None:
    way, txn_id = KINDS[kind], body["TxnID"]
    _open(company, kind, body)
    way.apply(company, body)
    company.books.post(kind, txn_id, body["TxnDate"], body["CurrencyRef"]["ListID"], way.legs(company, kind, body))
    company.records.rewrite(kind, body)
    banking.mark_deposited(company, body, deposited=True)
    _touch_paid(company, company.items.via(txn_id))


def _open(company: Company, kind: str, body: Body) -> None:
    opened = KINDS[kind].opens(company, kind, body)
    if opened is not None:
        party, account, total = opened
        home = company.home_amount(body, total)
        company.items.open(body["TxnID"], kind, party, account, total, home)


def _unpost(company: Company, body: Body) -> None:
    links = company.items.via(body["TxnID"])
    for link in links:
        company.items.unlink(link)
    company.books.unpost(body["TxnID"])
    banking.mark_deposited(company, body, deposited=False)
    _touch_paid(company, links)


def _touch_paid(company: Company, links: list[Body]) -> None:
    if company.switches.payments_touch_invoices:
        for charge in dict.fromkeys(link["charge"] for link in links if link["charge"] != link["via"]):
            kind = company.records.kind_of(charge)
            if kind is not None:
                company.records.save(kind, company.records.require(kind, charge))


def _set_credits(company: Company, invoice: Body, used: list[Body]) -> None:
    """An invoice that uses credits of the customer."""
    if used:
        one = {"TxnID": invoice["TxnID"], "SetCredit": used}
        as_payment = invoice | {"TxnID": "", "_total": 0, "TotalAmount": "0.00", "_applied": [one]}
        receipts.apply_payment(company, as_payment)


def modify(company: Company, kind: str, changes: Body) -> Body:
    """`changes` are a Mod request; None as a value takes a field away."""
    with company.records.store.transaction():
        old = company.records.find(changes["TxnID"], kind)
        if old is None:
            raise gone(changes["TxnID"])
        if old["EditSequence"] != changes["EditSequence"]:
            raise out_of_date(changes["EditSequence"], old if company.switches.current_in_stale else None)
        return change(company, kind, old, changes)


def change(company: Company, kind: str, old: Body, changes: Body) -> Body:
    company.guard_period(old["TxnDate"])
    if kind in banking.DEPOSITABLE:
        banking.guard_deposited(company, old["TxnID"])
    merged = old | {
        name: value for name, value in changes.items() if name not in ("TxnID", "EditSequence", "SetCredit")
    }
    body: Body = {name: value for name, value in merged.items() if value not in (None, "")}
    body["_applied"] = _still_applied(company, old)
    _guard_locks(company, kind, body)
    _unpost(company, old)
    company.dated(body)
    body = KINDS[kind].complete(company, kind, body)
    company.records.save(kind, body)
    _post(company, kind, body)
    if company.items.left(body["TxnID"]) < 0:
        raise bad_value("Amount", wire(body["_total"]), "More than that is applied to other transactions.")
    _set_credits(company, body, changes.get("SetCredit", []))
    return body


def _still_applied(company: Company, body: Body) -> list[Body]:
    """What it was applied to may have been deleted or voided since."""
    linked = {link[side] for link in company.items.via(body["TxnID"]) for side in ("charge", "credit")}
    return [each for each in body.get("_applied", []) if each["TxnID"] in linked]


def void(company: Company, kind: str, txn_id: str) -> Body:
    """The document stays, its money goes."""
    with company.records.store.transaction():
        body = _removable(company, kind, txn_id)
        _unpost(company, body)
        links = company.items.links(txn_id)
        company.items.close(txn_id)
        _touch_paid(company, [link for link in links if link["charge"] != txn_id])
        sales.void(body, kind)
        body |= {name: "0.00" for name in AMOUNTS if name in body} | {"_total": 0, "_applied": [], "_open": None}
        body["Memo"] = f"VOID: {body.get('Memo', '')}".strip()
        for lines in ("ExpenseLineRet", "DepositLineRet", "JournalDebitLine", "JournalCreditLine"):
            for line in body.get(lines, []):
                line["Amount"] = "0.00"
        _open(company, kind, body)
        company.records.save(kind, body)
        return body


def delete(company: Company, kind: str, txn_id: str) -> Body:
    """What TxnDeletedQuery will tell of it."""
    with company.records.store.transaction():
        body = _removable(company, kind, txn_id)
        _unpost(company, body)
        links = company.items.links(txn_id)
        company.items.close(txn_id)
        told = company.records.remove(kind, body)
        _touch_paid(company, [link for link in links if link["charge"] != txn_id])
        return told


def _removable(company: Company, kind: str, txn_id: str) -> Body:
    body = company.records.find(txn_id, kind)
    if body is None:
        raise gone(txn_id)
    company.guard_period(body["TxnDate"])
    _guard_locks(company, kind, body)
    if kind in banking.DEPOSITABLE:
        banking.guard_deposited(company, txn_id)
    return body


def _guard_locks(company: Company, kind: str, body: Body) -> None:
    """Somebody may have the document open, its customer, or what it is applied to."""
    held: list[Any] = [body.get("TxnID"), (body.get("CustomerRef") or {}).get("ListID")]
    for each in body.get("_applied", []):
        held += [each["TxnID"], *(credit["CreditTxnID"] for credit in each.get("SetCredit", []))]
    for object_id in filter(None, held):
        company.records.guard_lock(object_id, kind)
