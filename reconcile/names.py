"""Names of the one system's objects as they stand in the texts of the other."""

import re

MARKER = re.compile(r"\[tieout ([^\]\s]+)\]")  # ours, at the end of a memo
STRIPE_ID = re.compile(r"\b(?:ch|py|pi|in|cn|re|pyr|po|txn|dp|du)_[A-Za-z0-9]{8,}\b")


def stripe_ids(*texts: str) -> tuple[str, ...]:
    """Every Stripe id in these texts, each once."""
    return tuple(sorted({found for text in texts for found in STRIPE_ID.findall(text)}))


def marker_of(memo: str) -> str | None:
    """Our name for a document, if its memo carries one."""
    found = MARKER.search(memo)
    return found[1] if found else None
