"""Postings as QuickBooks Online's JSON. Frozen into the outbox, so the same posting always gives the same bytes."""

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from reconcile.money import to_decimal
from reconcile.postings import Posting, PostingLine
from sync.markers import note
from sync.sound import read_json

ENTITY = {
    "payment": "Payment",
    "sales_receipt": "SalesReceipt",
    "refund_receipt": "RefundReceipt",
    "purchase": "Purchase",
    "deposit": "Deposit",
    "transfer": "Transfer",
    "journal_entry": "JournalEntry",
    "invoice": "Invoice",
    "credit_memo": "CreditMemo",
}
KIND = {entity: kind for kind, entity in ENTITY.items()}
LINKED_AS = ENTITY | {"purchase": "Expense"}  # what a payment's line calls what it is applied to
LINKED_KIND = {name: kind for kind, name in LINKED_AS.items()} | {"Check": "purchase"}

_encoder = msgspec.json.Encoder(decimal_format="number", order="deterministic")


def encode(body: Any) -> str:
    """JSON text with Decimals as plain numbers: no float on the way out."""
    return _encoder.encode(body).decode()


decode = read_json


def request_id(posting: Posting, attempt: int) -> str:
    """QuickBooks' `requestid` (at most 50 characters) of one frozen body.

    Only a body that was refused, so that nothing was written, is ever built anew, under the next attempt's id.
    """
    return "t" + hashlib.sha256(f"{posting.marker}/{attempt}".encode()).hexdigest()[:40]


def write_body(posting: Posting, home_currency: str) -> str:
    """The document a posting asks for. A company without multi-currency is never told of a currency."""
    builders = {
        "invoice": _invoice,
        "payment": _payment,
        "sales_receipt": _receipt,
        "refund_receipt": _receipt,
        "credit_memo": _credit_memo,
        "purchase": _purchase,
        "deposit": _deposit,
        "transfer": _transfer,
        "journal_entry": _journal_entry,
    }
    currency: dict[str, Any] = {} if posting.currency == home_currency else {"CurrencyRef": _ref(posting.currency)}
    if posting.exchange_rate is not None:
        currency["ExchangeRate"] = Decimal(posting.exchange_rate)
    return encode(_common(posting) | currency | _labels(posting) | builders[posting.kind](posting))


def change_body(posting: Posting, home_currency: str, current: Mapping[str, Any]) -> str:
    """What makes of the present document the one a posting with a target asks for; its amounts are not sent anew.

    Intuit takes a payment's lines all or none, and a sparse update without its total as one of the lines' sum.
    """
    head = {"Id": current["Id"], "SyncToken": current["SyncToken"]}
    if posting.change == "restore":
        lines = {"Line": current.get("Line", [])} if posting.kind == "payment" else {}  # its links are not ours to undo
        return encode(decode(write_body(posting, home_currency)) | head | lines)
    kept = [line for line in current.get("Line", []) if posting.change == "link" or not _pays_invoice(line)]
    body = head | {"sparse": True, "Line": [*kept, *_applied_lines(posting)]}
    return encode(
        body | {name: current[name] for name in ("CustomerRef", "TotalAmt", "CurrencyRef") if name in current}
    )


def _pays_invoice(line: Mapping[str, Any]) -> bool:
    return any(linked.get("TxnType") == "Invoice" for linked in line.get("LinkedTxn", []))


def _common(posting: Posting) -> dict[str, Any]:
    return {
        "TxnDate": posting.dated.isoformat(),
        "PrivateNote": note(posting),
    }


def _labels(posting: Posting) -> dict[str, Any]:
    """Location and payment method are the document's; of a journal entry, each line has its location."""
    location = posting.location_id if posting.kind != "journal_entry" else None
    labels = {"DepartmentRef": location, "PaymentMethodRef": posting.payment_method_id}
    return {name: _ref(value) for name, value in labels.items() if value}


def _payment(posting: Posting) -> dict[str, Any]:
    return {
        "CustomerRef": _ref(posting.party_id),
        "TotalAmt": _amount(posting, posting.amount_minor),
        "DepositToAccountRef": _ref(posting.account_id),
        "PaymentRefNum": posting.reference,
        "ProcessPayment": False,
        "Line": _applied_lines(posting),
    }


def _applied_lines(posting: Posting) -> list[dict[str, Any]]:
    return [
        {
            "Amount": _amount(posting, applied.amount_minor),
            "LinkedTxn": [{"TxnId": applied.id.partition(":")[2], "TxnType": LINKED_AS[applied.id.partition(":")[0]]}],
        }
        for applied in posting.applied
    ]


def _invoice(posting: Posting) -> dict[str, Any]:
    """As a receipt, but owed; what is taken off is a line of its own."""
    body = _receipt(posting)
    del body["DepositToAccountRef"]
    if posting.discount_minor:
        amount = _amount(posting, posting.discount_minor)
        body["Line"].append({"Amount": amount, "DetailType": "DiscountLineDetail", "DiscountLineDetail": {}})
    return body


def _credit_memo(posting: Posting) -> dict[str, Any]:
    """As a receipt, but on receivables."""
    body = _receipt(posting)
    del body["DepositToAccountRef"]
    return body


def _receipt(posting: Posting) -> dict[str, Any]:
    code = {"TaxCodeRef": _ref(posting.tax_code)} if posting.tax_code else {}
    tax = {"TxnTaxDetail": {"TotalTax": _amount(posting, posting.tax_minor)}} if posting.tax_code else {}
    return tax | {
        "CustomerRef": _ref(posting.party_id),
        "DepositToAccountRef": _ref(posting.account_id),
        "DocNumber": posting.reference,
        "Line": [
            _line(posting, line, "SalesItemLineDetail", {"ItemRef": _ref(line.item_id)} | code)
            for line in posting.lines
        ],
    }


def _fee_tax(posting: Posting) -> dict[str, Any]:
    """With codes on the lines, Stripe's own figure for the tax: QuickBooks is not to work out another."""
    if not any(line.tax_code for line in posting.lines):
        return {}
    total = {"TotalTax": _amount(posting, posting.tax_minor)}
    return {"GlobalTaxCalculation": "TaxExcluded", "TxnTaxDetail": total}


def _purchase(posting: Posting) -> dict[str, Any]:
    return _fee_tax(posting) | {
        "PaymentType": "Cash",
        "AccountRef": _ref(posting.account_id),
        "EntityRef": {"value": posting.party_id, "type": posting.payee.capitalize()},
        "DocNumber": posting.reference,
        "Line": [
            _line(posting, line, "AccountBasedExpenseLineDetail", {"AccountRef": _ref(line.account_id)})
            for line in posting.lines
        ],
    }


def _deposit(posting: Posting) -> dict[str, Any]:
    return _fee_tax(posting) | {
        "DepositToAccountRef": _ref(posting.account_id),
        "Line": [
            _line(posting, line, "DepositLineDetail", {"AccountRef": _ref(line.account_id)}) for line in posting.lines
        ]
        + [line | {"LinkedTxn": [line["LinkedTxn"][0] | {"TxnLineId": "0"}]} for line in _applied_lines(posting)],
    }


def _transfer(posting: Posting) -> dict[str, Any]:
    return {
        "FromAccountRef": _ref(posting.account_id),
        "ToAccountRef": _ref(posting.other_account_id),
        "Amount": _amount(posting, posting.amount_minor),
    }


def _journal_entry(posting: Posting) -> dict[str, Any]:
    return {
        "DocNumber": posting.reference,
        "Line": [
            _line(
                posting,
                line,
                "JournalEntryLineDetail",
                {
                    "PostingType": "Debit" if line.amount_minor > 0 else "Credit",
                    "AccountRef": _ref(line.account_id),
                }
                | ({"Entity": {"Type": "Customer", "EntityRef": _ref(line.party_id)}} if line.party_id else {}),
            )
            for line in posting.lines
        ],
    }


def _line(posting: Posting, line: PostingLine, detail_type: str, detail: dict[str, Any]) -> dict[str, Any]:
    location = posting.location_id if posting.kind == "journal_entry" else None
    labels = {"ClassRef": posting.class_id, "DepartmentRef": location, "TaxCodeRef": line.tax_code}
    return {
        "Amount": _amount(posting, line.amount_minor if line.item_id else abs(line.amount_minor)),
        "Description": line.description,
        "DetailType": detail_type,
        detail_type: detail | {name: _ref(value) for name, value in labels.items() if value},
    }


def _ref(value: str | None) -> dict[str, str | None]:
    return {"value": value}


def _amount(posting: Posting, minor: int) -> Decimal:
    return to_decimal(minor, posting.currency)
