"""A document of QuickBooks Desktop gets the content again that it was posted with: the Mod request that says so.

A Mod carries the document's EditSequence, so QuickBooks refuses it if anybody changed the document since the look right
before. Of its lines those named by their TxnLineID stay, -1 adds one, and the others go. What a payment is applied to
is not ours to undo: it stays where it is as far as the amount goes, and what is left goes to what it was posted for.
Source: Intuit's "QBSDK Programmer's Guide", on modifying transactions and their lines; the schema of qbXML 13.0.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from reconcile.money import to_minor
from reconcile.postings import Posting
from reconcile.records import Applied
from sync.qbd.qbxml import Node, amount, value

NEW_LINE = "-1"
APPLIED = "AppliedToTxnAdd"  # its TxnID and PaymentAmount come first
LINES = {  # by kind: a line as it is added; as QuickBooks shows and changes it its name ends in Ret and Mod
    "invoice": "InvoiceLine",
    "sales_receipt": "SalesReceiptLine",
    "credit_memo": "CreditMemoLine",
    "purchase": "ExpenseLine",
}
SIDES = {"JournalDebitLine": "Debit", "JournalCreditLine": "Credit"}


def mod(posting: Posting, added: Sequence[Node], target: Any, open_minor: Mapping[str, int]) -> list[Node]:
    """What makes of the present document (`target`, its *Ret) the one that `added`, the content of its Add, would make.

    `open_minor` is what is open on the invoices it was posted for, by document id.
    """
    head: list[Node] = [(name, value(target, name)) for name in ("TxnID", "EditSequence")]
    kept = [(name, content) for name, content in added if name not in ("ExternalGUID", "IsAutoApply")]
    if posting.kind == "journal_entry":
        return [*head, *((name, content) for name, content in kept if name != "Memo" and name not in SIDES),
                *_sides(kept, target)]  # fmt: skip
    if posting.kind == "payment":
        discounts = {str(part[0][1]): part[2:] for part in (_pairs(each) for name, each in kept if name == APPLIED)}
        links = _links(posting, target, open_minor, discounts)
        return [*head, *(node for node in kept if node[0] != APPLIED), *links]
    if posting.kind == "deposit":
        return [*head, *_deposit(kept, target)]
    line = LINES.get(posting.kind, "")
    shown = _ids(target.findall(f"{line}Ret")) if line else iter(())
    nodes = [
        _named(f"{line}Mod", content, shown) if name == f"{line}Add" else (name, content) for name, content in kept
    ]
    if posting.kind == "purchase" and target.find("ItemLineRet") is not None:
        nodes.append(("ClearItemLines", "true"))
    return [*head, *nodes]


def _sides(added: Iterable[Node], target: Any) -> Iterator[Node]:
    """A line that is kept stays on its side: debits take the place of debits, credits of credits."""
    shown = {side: _ids(target.findall(side)) for side in SIDES}
    for name, content in added:
        if name in SIDES:
            yield _named("JournalLineMod", [("JournalLineType", SIDES[name]), *_pairs(content)], shown[name])


def _deposit(added: Iterable[Node], target: Any) -> Iterator[Node]:
    """A line that takes a payment stays with that payment."""
    lines = target.findall("DepositLineRet")
    payments = {value(line, "TxnID"): line for line in lines if value(line, "TxnID")}
    accounts = _ids(line for line in lines if not value(line, "TxnID"))
    for name, content in added:
        if name != "DepositLineAdd":
            yield name, content
            continue
        taken = next((str(text) for key, text in _pairs(content) if key == "PaymentTxnID"), None)
        line = payments.get(taken)
        shown = accounts if taken is None else _ids([] if line is None else [line])
        yield _named("DepositLineMod", content, shown)


def _pairs(content: Any) -> Sequence[Node]:
    return content or ()


def _ids(lines: Iterable[Any]) -> Iterator[str]:
    return (value(line, "TxnLineID") or NEW_LINE for line in lines)


def _named(name: str, content: Any, shown: Iterator[str]) -> Node:
    """In the place of the next line that is there; a new one after the last."""
    return name, [("TxnLineID", next(shown, NEW_LINE)), *content]


def _links(
    posting: Posting, target: Any, open_minor: Mapping[str, int], discounts: Mapping[str, Sequence[Node]]
) -> list[Node]:
    """None if they stay as they are; else all of them, for what is left out may count as taken off."""
    currency = posting.currency
    present = {
        value(each, "TxnID") or "": to_minor(value(each, "Amount") or "0", currency)
        for each in target.findall("AppliedToTxnRet")
    }
    own = {part.id.partition(":")[2]: part for part in posting.applied}
    wanted, left = {}, posting.amount_minor
    for txn_id in sorted(present, key=lambda each: each not in own):
        wanted[txn_id] = min(present[txn_id], left)
        left -= wanted[txn_id]
    for txn_id, part in own.items():
        there = wanted.get(txn_id, 0)
        more = max(0, min(part.amount_minor - there, open_minor.get(part.id, 0), left))
        if more:
            wanted[txn_id] = there + more
            left -= more
    if wanted == present:
        return []
    return [
        (
            "AppliedToTxnMod",
            [("TxnID", txn_id), ("PaymentAmount", amount(minor, currency)), *_closed(own, txn_id, minor, discounts)],
        )
        for txn_id, minor in wanted.items()
    ]


def _closed(
    own: Mapping[str, Applied], txn_id: str, minor: int, discounts: Mapping[str, Sequence[Node]]
) -> Sequence[Node]:
    """What was closed without money beside a payment, where that is all there again."""
    return discounts.get(txn_id, ()) if txn_id in own and own[txn_id].amount_minor == minor else ()
