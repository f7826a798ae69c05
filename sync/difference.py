"""Whether the books show what was posted."""

from reconcile.postings import Posting
from reconcile.records import Document


def difference(posting: Posting, document: Document) -> str | None:
    """What the books say otherwise than was posted, in plain words; None if they agree.

    Of a posting that changes a document its references must be resolved.
    """
    if document.voided:
        return "Somebody voided this document in QuickBooks."
    if posting.change in ("link", "move"):
        amounts = {part.id: part.amount_minor for part in document.applied}
        missing = [part.id for part in posting.applied if amounts.get(part.id) != part.amount_minor]
        return f"QuickBooks does not show it applied to {' and '.join(missing)}." if missing else None
    parts = (
        ("amount", posting.amount_minor, document.amount_minor, posting.kind != "journal_entry"),
        ("currency", posting.currency, document.currency, True),
        ("date", posting.dated, document.dated, True),
        ("customer", posting.party_id, document.customer_id, posting.kind in ("payment", "sales_receipt")),
        ("mark in its memo", posting.mark, document.marker, True),
        ("account", posting.account_id, document.account_id, document.account_id is not None),
    )
    wrong = [
        f"{name} {found} instead of {wanted}" for name, wanted, found, counts in parts if counts and wanted != found
    ]
    return f"QuickBooks shows another {', '.join(wrong)}." if wrong else None
