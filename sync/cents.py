"""The cents between what a foreign document was to come to and what QuickBooks made of it (row 19).

Planned in the transaction that records the document, so that its leg is never without the entry that completes it.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

from reconcile.currencies import cent_entry
from reconcile.records import Document
from storage import connections, legs, mirror, outbox
from storage.outbox import Item

PLANNER = "tieout"  # asked for by nobody, and not of a plan either


def complete(conn: Any, item: Item, document: Document, at: datetime) -> None:
    """Plans the entry, if the document is of an account in home currency and came to another amount."""
    if item.posting.exchange_rate is None or item.posting.target:
        return
    link = connections.link(conn, item.link_id)
    home = mirror.home_currency(conn, item.connection_id)
    accounts = link.mappings.accounts
    if item.posting.account_id not in (link.mappings.clearing.get(home), accounts.get("bridge")):
        return
    exchange = accounts.get("exchange")
    entry = cent_entry(item.posting, document.exchange_rate, home, exchange) if exchange else None
    if entry is None:
        return
    outbox.plan(conn, link_id=item.link_id, connection_id=item.connection_id, postings=[entry], at=at, asked_by=PLANNER)
    if entry.shares:
        (first, *rest), (moved,) = item.posting.shares, entry.shares
        kept = replace(first, amount_minor=first.amount_minor - moved.amount_minor)
        outbox.reshare(conn, item, (kept, *rest))
        legs.rebook(conn, item.link_id, [first.leg_id], None, entry.marker)
