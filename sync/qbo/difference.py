"""Whether the books show what was posted."""

from reconcile.postings import Posting
from reconcile.records import Document


def difference(posting: Posting, document: Document) -> str | None:
    """What the books say otherwise than was posted, in plain words; None if they agree."""
    if document.voided:
        return "Somebody voided this document in QuickBooks."
    parts = (
        ("amount", posting.amount_minor, document.amount_minor, posting.kind != "journal_entry"),
        ("currency", posting.currency, document.currency, True),
        ("date", posting.dated, document.dated, True),
        ("customer", posting.party_id, document.customer_id, posting.kind in ("payment", "sales_receipt")),
        ("account", posting.account_id, document.account_id, document.account_id is not None),
    )
    wrong = [
        f"{name} {found} instead of {wanted}" for name, wanted, found, counts in parts if counts and wanted != found
    ]
    return f"QuickBooks shows another {', '.join(wrong)}." if wrong else None
