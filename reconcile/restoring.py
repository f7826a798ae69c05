"""Which documents of ours, changed by somebody, can get the content again that they were posted with.

In QuickBooks Online all. QuickBooks Desktop changes everything by its SDK but refunds, and all of a journal entry but
its memo. Source: the Mod requests of the schema of qbXML 13.0, which has no ARRefundCreditCardMod and no Memo in
JournalEntryMod.
"""

from reconcile.postings import Posting, PostingKind
from reconcile.records import Document

FIXED_ON_DESKTOP: tuple[PostingKind, ...] = ("ar_refund",)


def obstacle_on_desktop(posting: Posting, document: Document) -> str | None:
    """Why a document of QuickBooks Desktop cannot be restored, for a person; None if it can."""
    if posting.kind in FIXED_ON_DESKTOP:
        return "QuickBooks Desktop lets nobody but its users change a refund."
    if posting.kind == "journal_entry" and document.marker != posting.mark:
        return "QuickBooks Desktop lets nobody but its users change the memo of a journal entry."
    return None
