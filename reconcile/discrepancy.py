"""What can be wrong between the two systems: one vocabulary, and sentences a bookkeeper reads."""

from enum import StrEnum
from typing import NamedTuple

from reconcile.money import Money


class Code(StrEnum):
    """The kinds of discrepancy. Those in `INFORMATIVE` do not keep an accepted match from being posted."""

    UNMATCHED_STRIPE = "UNMATCHED_STRIPE"
    UNMATCHED_QBO = "UNMATCHED_QBO"
    MAY_BE_RECORDED = "MAY_BE_RECORDED"
    RECORDED_TWICE = "RECORDED_TWICE"
    DUPLICATE_CHARGE = "DUPLICATE_CHARGE"
    DUPLICATE_INVOICE = "DUPLICATE_INVOICE"
    WRONG_REFERENCE = "WRONG_REFERENCE"
    PARTIAL = "PARTIAL"
    OVERPAID = "OVERPAID"
    SPLIT_AMBIGUOUS = "SPLIT_AMBIGUOUS"
    AMOUNT_DIFF = "AMOUNT_DIFF"
    CURRENCY_DIFF = "CURRENCY_DIFF"
    COMPONENT_LIMIT = "COMPONENT_LIMIT"
    STALE_DECISION = "STALE_DECISION"


# A charge without any invoice is for the policies to decide; a part payment is simply one.
INFORMATIVE = frozenset((Code.UNMATCHED_STRIPE, Code.PARTIAL))

NOUNS = {
    "charge": "charge",
    "refund": "refund",
    "dispute": "dispute",
    "payout": "payout",
    "fee": "fee",
    "fees": "sum of fees",
    "adjustment": "adjustment",
    "invoice": "invoice",
    "payment": "payment",
    "sales_receipt": "sales receipt",
    "refund_receipt": "refund receipt",
    "credit_memo": "credit memo",
    "purchase": "expense",
    "ar_refund": "refund",
    "deposit": "deposit",
    "transfer": "transfer",
    "journal_entry": "journal entry",
}


class Discrepancy(NamedTuple):
    """One thing that does not agree. One of the ids may be missing; `text` names the records."""

    processor_id: str | None
    ledger_id: str | None
    code: Code
    text: str


def name(kind: str, number: str | None, record_id: str) -> str:
    """How a sentence calls a record: "Invoice INV-7", or by its id where it has no number."""
    noun = NOUNS.get(kind, kind).capitalize()
    return f"{noun} {number or record_id}"


def called(ledger_id: str | None) -> str:
    """The same of a document of which only the id is at hand: "Transfer 99" for transfer:99."""
    if ledger_id is None:
        return "A document"
    kind, _, number = ledger_id.rpartition(":")
    return name(kind, number, ledger_id)


def money(minor: int, currency: str) -> str:
    return str(Money(abs(minor), currency))


def listed(names: list[str]) -> str:
    """ "A", "A and B", "A, B and 3 more": at most three names, in the order given."""
    if len(names) > 3:
        return f"{', '.join(names[:2])} and {len(names) - 2} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
