"""Our name inside a document of the books, as we write it. How it is read: reconcile.names."""

from reconcile.postings import Posting

NOTE_LENGTH = 4000  # Desktop's Memo takes 4,095 characters; PrivateNote's limit is unverified with Intuit


def note(posting: Posting) -> str:
    """What stands in the document's memo: the Stripe ids in full, and our marker."""
    return f"{posting.memo[: NOTE_LENGTH - 300]} [tieout {posting.mark}]"
