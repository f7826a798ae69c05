"""QuickBooks' webhooks, in both forms: CloudEvents, and `eventNotifications` of before 2026.

Each only says that something changed; the next reading of the books finds out what. So what cannot be read of a genuine
delivery still makes the books be read, and nothing of it is lost.
"""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sync.ports import Hint
from sync.qbo.wire import encode
from sync.sound import UNREADABLE, sound_hint

UNKNOWN = "books:unknown"


def hints_of(body: Any, realm_id: str, now: datetime) -> list[Hint]:
    """What a delivery says of one company. Others of the same app may be in it too: they are not ours to read."""
    hints = []
    for form, event in _events(body):
        try:
            realm, hint = _cloud(event) if form == "cloud" else _legacy(event)
        except UNREADABLE:
            realm, hint = realm_id, _unknown(event, now)
        if realm == realm_id:
            hints.append(hint)
    return hints


def _events(body: Any) -> Iterator[tuple[str, Any]]:
    """Every event by itself, with the form it has."""
    if isinstance(body, list):
        yield from (("cloud", event) for event in body)
    elif isinstance(body, dict) and isinstance(body.get("eventNotifications"), list):
        for notification in body["eventNotifications"]:
            realm = notification.get("realmId") if isinstance(notification, dict) else None
            entities = (notification.get("dataChangeEvent") or {}).get("entities") if realm else None
            if isinstance(entities, list):
                yield from (("legacy", (str(realm), entity)) for entity in entities)
            else:
                yield "unknown", notification
    else:
        yield "unknown", body


def _cloud(event: Any) -> tuple[str, Hint]:
    """`qbo.invoice.updated.v1`. The suffixes of voided, merged and e-mailed are not documented."""
    hint = _hint(
        event_id=str(event["id"]),
        kind=f"books:{event['type'].split('.')[1]}",
        object_id=str(event["intuitentityid"]),
        occurred_at=datetime.fromisoformat(event["time"]),
        type=event["type"],
    )
    return str(event["intuitaccountid"]), hint


def _legacy(event: Any) -> tuple[str, Hint]:
    """It has no id of its own: a repeated delivery is known by all it says."""
    realm, entity = event
    name, operation, at = entity["name"], entity["operation"], entity["lastUpdated"]
    hint = _hint(
        event_id=f"{realm}:{name}:{entity['id']}:{operation}:{at}",
        kind=f"books:{name.lower()}",
        object_id=str(entity["id"]),
        occurred_at=datetime.fromisoformat(at),
        type=f"{name}.{operation}".lower(),
    )
    return realm, hint


def _hint(**said: Any) -> Hint:
    """Raises ValueError for an instant of no zone, too."""
    hint = sound_hint(Hint(**said))
    if hint.occurred_at.tzinfo is None:
        raise ValueError("It names no time zone.")
    return hint


def _unknown(event: Any, now: datetime) -> Hint:
    digest = hashlib.sha256(encode(event).encode()).hexdigest()[:32]
    return Hint(event_id=f"unknown:{digest}", kind=UNKNOWN, object_id="", occurred_at=now, type="unknown")
