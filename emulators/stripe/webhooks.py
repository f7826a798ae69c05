"""Webhook endpoints, and the signed deliveries of events to them."""

import hashlib
import hmac
import http.client
from datetime import UTC, datetime
from urllib.parse import urlsplit

import orjson

from emulators.stripe.errors import Body, invalid
from emulators.stripe.lists import page
from emulators.stripe.office import Office
from emulators.stripe.params import Params

UPDATE_PARAMS = ("description", "disabled", "enabled_events", "metadata", "url")
CREATE_PARAMS = ("api_version", "description", "enabled_events", "metadata", "url")
LIST_PARAMS = ("created",)


def create(office: Office, params: Params) -> Body:
    body: Body = {
        "id": office.new_id("webhook_endpoint"), "object": "webhook_endpoint",
        "api_version": params.text("api_version"), "application": None, "created": office.now(),
        "description": params.text("description"), "enabled_events": _events(params), "livemode": False,
        "metadata": params.metadata(), "status": "enabled", "url": _url(params),
        "_secret": f"whsec_{office.rng.token(32)}",
    }  # fmt: skip
    office.save(body)
    return office.render(body) | {"secret": body["_secret"]}


def _url(params: Params) -> str:
    url = params.required("url")
    if urlsplit(url).scheme not in ("http", "https"):
        raise invalid(
            "Invalid URL: An explicit scheme (such as https) must be provided.", param="url", code="url_invalid"
        )
    return url


def _events(params: Params) -> list[str]:
    events = params.texts("enabled_events")
    if not events:
        raise invalid("You must provide at least one enabled event.", param="enabled_events")
    return events


def update(office: Office, params: Params, id: str) -> Body:  # noqa: A002
    body = office.get("webhook_endpoint", id)
    body["metadata"] = params.metadata(body["metadata"])
    if "description" in params:
        body["description"] = params.text("description")
    if "url" in params:
        body["url"] = _url(params)
    if "enabled_events" in params:
        body["enabled_events"] = _events(params)
    if "disabled" in params:
        body["status"] = "disabled" if params.boolean("disabled") else "enabled"
    office.save(body)
    return office.render(body)


def delete(office: Office, _: Params, id: str) -> Body:  # noqa: A002
    office.get("webhook_endpoint", id)
    office.store.delete("webhook_endpoint", id)
    return {"id": id, "object": "webhook_endpoint", "deleted": True}


def retrieve(office: Office, _: Params, id: str) -> Body:  # noqa: A002
    return office.render(office.get("webhook_endpoint", id))


def list_(office: Office, params: Params) -> Body:
    return page(office, "webhook_endpoint", params, "/v1/webhook_endpoints")


# --- deliveries ---


def signature(payload: bytes, secret: str, timestamp: int) -> str:
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + payload, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


def deliver_due(office: Office) -> int:
    """Sends what is due, outside of any transaction, and tells how much that was."""
    due = office.store.find("delivery", created_lte=office.clock.timestamp(), oldest_first=True, limit=100)
    for delivery in due:
        _deliver(office, delivery)
    return len(due)


def _deliver(office: Office, delivery: Body) -> None:
    endpoint = office.store.get("webhook_endpoint", delivery["endpoint"])
    event = office.store.get("event", delivery["_event"])
    if endpoint is None or event is None or endpoint["status"] != "enabled":
        office.store.delete("delivery", delivery["id"])
        return
    first = delivery["attempt"] == 1 and not delivery.get("held_back")
    if first and office.mishaps.chance(office.hooks.disorder):
        _hold_back(office, delivery)
        return
    body = thin(office, event) if office.hooks.thin else office.render(event)
    payload = orjson.dumps(body, option=orjson.OPT_INDENT_2)
    accepted = _send(office, endpoint, payload)
    if accepted and office.mishaps.chance(office.hooks.duplicates):
        _send(office, endpoint, payload)
    _record(office, delivery, accepted)


def thin(office: Office, event: Body) -> Body:
    """The same event as an event destination of API v2 gets it: the object's name and no more."""
    pointed = event["data"]["object"]
    created = datetime.fromtimestamp(event["created"], UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    classic = {"snapshot_event": event["id"]} if office.hooks.thin_name_classic else {}
    return classic | {
        "id": f"evt_test_65{event['id'][4:]}", "object": "v2.core.event", "type": f"v1.{event['type']}",
        "livemode": False, "created": created, "context": None, "reason": None,
        "related_object": {
            "id": pointed["id"], "type": pointed["object"], "url": f"/v1/{pointed['object']}s/{pointed['id']}",
        },
    }  # fmt: skip


def _hold_back(office: Office, delivery: Body) -> None:
    with office.store.transaction():
        office.store.delete("delivery", delivery["id"])
        due = delivery["due"] + office.hooks.disorder_s
        held = delivery | {"due": due, "held_back": True}
        office.store.put("delivery", held["id"], held, created=due, keys={"_event": held["_event"]})


def _send(office: Office, endpoint: Body, payload: bytes) -> bool:
    """Whether the receiver answered with a 2xx."""
    target = urlsplit(endpoint["url"])
    kind = http.client.HTTPSConnection if target.scheme == "https" else http.client.HTTPConnection
    connection = kind(target.netloc, timeout=office.hooks.timeout_s)
    headers = {
        "Content-Type": "application/json; charset=utf-8", "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        "Stripe-Signature": signature(payload, endpoint["_secret"], office.clock.timestamp()),
    }  # fmt: skip
    try:
        connection.request("POST", f"{target.path or '/'}?{target.query}".rstrip("?"), payload, headers)
        return 200 <= connection.getresponse().status < 300
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _record(office: Office, delivery: Body, accepted: bool) -> None:
    """What was accepted is done; the rest is tried again later, and given up in the end."""
    with office.store.transaction():
        office.store.delete("delivery", delivery["id"])
        event = office.get("event", delivery["_event"])
        waits = office.hooks.retry_s
        if not accepted and delivery["attempt"] <= len(waits):
            wait_s = waits[delivery["attempt"] - 1]
            office.plan_delivery(event["id"], delivery["endpoint"], delivery["attempt"] + 1, wait_s)
            return
        pending = max(event["pending_webhooks"] - (1 if accepted else 0), 0)
        office.save(event | {"pending_webhooks": pending, "_delivered": pending == 0})
