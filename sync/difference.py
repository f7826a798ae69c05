"""Whether the books show what was posted."""

from collections import Counter
from typing import Any

from reconcile.money import Money
from reconcile.postings import Posting
from reconcile.records import Document
from storage import mirror
from storage.outbox import Item


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
        ("amount", _total(posting), Money(document.amount_minor, document.currency), posting.kind != "journal_entry"),
        ("currency", posting.currency, document.currency, True),
        ("date", posting.dated, document.dated, True),
        ("customer", posting.party_id, document.customer_id, posting.kind in ("payment", "sales_receipt")),
        ("mark in its memo", posting.mark, document.marker, True),
        ("account", posting.account_id, document.account_id, document.account_id is not None),
    )
    wrong = [
        f"{name} {found} instead of {wanted}" for name, wanted, found, counts in parts if counts and wanted != found
    ]
    if wrong:
        return f"QuickBooks shows another {', '.join(wrong)}."
    return "QuickBooks shows other accounts or amounts on its lines." if _has_other_lines(posting, document) else None


def outdated(conn: Any, item: Item) -> str | None:
    """Why a document is not to be restored as it is now; None if it differs as the person saw who asked for it."""
    posting = item.posting
    known: dict[str, Document] = mirror.load(conn, item.connection_id, posting.kind, [posting.target or ""])
    document = known.get(posting.target or "")
    if document is None or document.voided:
        return "Somebody deleted or voided it in QuickBooks meanwhile."
    wrong = difference(posting, document)
    if wrong is None:
        return "Somebody put it back in QuickBooks meanwhile."
    return None if wrong == posting.seen else f"Somebody changed it again in QuickBooks. {wrong}"


def _total(posting: Posting) -> Money:
    return Money(posting.amount_minor, posting.currency)


def _has_other_lines(posting: Posting, document: Document) -> bool:
    """Of a journal entry, which has no total: what each account gets. Lines may be split or put together."""
    if posting.kind != "journal_entry":
        return False
    wanted, found = Counter[str](), Counter[str]()
    for line in posting.lines:
        wanted[line.account_id or ""] += line.amount_minor
    for leg in document.legs:
        found[leg.account_id] += leg.amount_minor
    return {each: minor for each, minor in wanted.items() if minor} != {each: n for each, n in found.items() if n}
