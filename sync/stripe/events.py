"""What Stripe's events point at: classic ones, and thin ones that carry no object at all.

An event is only a hint. Its body is rendered in the API version it was made under (up to 30 days ago, or whatever an
older webhook endpoint is fixed to), so nothing of it is used but which object to fetch again, and where to look for it.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sync.ports import Hint
from sync.sound import UNREADABLE, instant, sound_hint
from sync.stripe.records import KIND_OF_OBJECT

# What a webhook endpoint of ours subscribes to, and which events of the list are looked at.
EVENT_TYPES = (
    "charge.succeeded",
    "charge.failed",
    "charge.pending",
    "charge.expired",
    "charge.updated",
    "charge.captured",
    "charge.refunded",
    "charge.refund.updated",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "payout.created",
    "payout.updated",
    "payout.paid",
    "payout.failed",
    "payout.canceled",
    "payout.reconciliation_completed",
    "invoice_payment.paid",
    "invoice.finalized",
    "invoice.paid",
    "invoice.updated",
    "invoice.overpaid",
    "invoice.voided",
    "invoice.marked_uncollectible",
    "invoice.deleted",
    "credit_note.created",
    "credit_note.updated",
    "credit_note.voided",
    "customer.created",
    "customer.updated",
    "customer.deleted",
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
)
MATTERS = frozenset(EVENT_TYPES)
SUBSCRIPTION = "subscription"  # not mirrored: what it has are invoices, and those are fetched
KINDS = KIND_OF_OBJECT | {"subscription": SUBSCRIPTION}
THIN = "v2.core.event"


def hint_of(event: Mapping[str, Any]) -> Hint:
    """What an event points at. Raises one of UNREADABLE if it is no event."""
    return sound_hint(_of_thin(event) if event.get("object") == THIN else _of_classic(event))


def hint_or_unknown(event: Mapping[str, Any], at: datetime) -> Hint:
    """The same, but an event that cannot be read waits by itself, as one of a kind nobody knows."""
    try:
        return hint_of(event)
    except UNREADABLE:
        digest = hashlib.sha256(json.dumps(event, sort_keys=True, default=str).encode()).hexdigest()[:32]
        return Hint(event_id=f"unreadable:{digest}", kind="", object_id="", occurred_at=at, type="unreadable")


def _of_classic(event: Mapping[str, Any]) -> Hint:
    pointed = event["data"]["object"]
    object_id, created = str(pointed.get("id") or ""), pointed.get("created")
    return Hint(
        event_id=event["id"],
        kind=KINDS.get(pointed.get("object", ""), "") if object_id else "",
        object_id=object_id,
        occurred_at=instant(event["created"]),
        type=event["type"],
        object_created_at=instant(created) if isinstance(created, int) else None,
    )


def _of_thin(event: Mapping[str, Any]) -> Hint:
    """The same row as the classic event of the same thing, if Stripe says which that is."""
    related = event.get("related_object") or {}
    object_id = str(related.get("id") or "")
    return Hint(
        event_id=event.get("snapshot_event") or event["id"],
        kind=KINDS.get(str(related.get("type", "")).removeprefix("v1."), "") if object_id else "",
        object_id=object_id,
        occurred_at=datetime.fromisoformat(event["created"]).astimezone(UTC),
        type=event["type"].removeprefix("v1."),
    )
