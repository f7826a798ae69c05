"""Change notices: queued in the transaction of the change, posted to the app's address until it answers 2xx."""

import base64
import hashlib
import hmac
import threading
import urllib.error
import urllib.request
from datetime import UTC

import orjson

from emulators.clock import Clock, Rng
from emulators.qbo.checks import Body
from emulators.store import Store

RETRY_SECONDS = (10, 20, 30, 300, 1200, 7200, 14400, 21600)
EVENTS_MAX = 100
# The last three are not documented: they follow the pattern of the first.
VERBS = {
    "Create": "created",
    "Update": "updated",
    "Delete": "deleted",
    "Void": "voided",
    "Merge": "merged",
    "Emailed": "emailed",
}


class Webhooks:
    def __init__(self, store: Store, clock: Clock, rng: Rng, realm_id: str, verifier_token: str) -> None:
        self.store, self.clock, self.rng, self.realm_id = store, clock, rng, realm_id
        self.verifier_token, self.url, self.legacy = verifier_token, "", False
        self.duplicates = 0.0  # the chance that a delivery comes twice
        self._sending = threading.Lock()
        self._wake, self._stopped = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def configure(self, url: str | None, verifier_token: str | None = None) -> None:
        """Notices of what happens from now on go to `url`, from a thread; None stops them."""
        self.verifier_token = verifier_token or self.verifier_token
        self.url = url or ""
        if self.url and self._thread is None:
            self._stopped.clear()
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()

    def close(self) -> None:
        self._stopped.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
            self._thread = None

    def notice(self, entity: str, object_id: str, operation: str) -> None:
        if not self.url:
            return
        now = self.clock.now().astimezone(UTC)
        number = self.store.number("webhook")
        digits = f"{number:032x}"
        event: Body = {
            "id": f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}",
            "entity": entity,
            "object": object_id,
            "operation": operation,
            "time": now.strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z",
            "attempts": 0,
            "due": now.timestamp(),
        }
        self.store.put("event", event["id"], event, created=number)
        self._wake.set()

    def deliver(self) -> int:
        """Sends what is due, up to 100 notices a delivery; gives the number that arrived."""
        arrived = 0
        with self._sending:
            while self.url:
                now = self.clock.now().timestamp()
                waiting = self.store.find("event", oldest_first=True, limit=10 * EVENTS_MAX)
                due = [event for event in waiting if event["due"] <= now][:EVENTS_MAX]
                if not due:
                    break
                arrived += self._send_batch(due)
        return arrived

    def _send_batch(self, events: list[Body]) -> int:
        payload = legacy_payload(events, self.realm_id) if self.legacy else cloud_events(events, self.realm_id)
        body = orjson.dumps(payload)
        taken = self._send(body)
        if taken and self.duplicates and self.rng.chance(self.duplicates):
            self._send(body)
        for event in events:
            if taken or event["attempts"] >= len(RETRY_SECONDS):
                self.store.delete("event", event["id"])
            else:
                event["due"] = self.clock.now().timestamp() + RETRY_SECONDS[event["attempts"]]
                event["attempts"] += 1
                self.store.put("event", event["id"], event, created=0)
        return len(events) if taken else 0

    def _send(self, body: bytes) -> bool:
        kind = "application/json" if self.legacy else "application/cloudevents-batch+json"
        headers = {"Content-Type": kind, "intuit-signature": signature(self.verifier_token, body)}
        headers["User-Agent"] = "intuit_notification_prod"
        request = urllib.request.Request(self.url, data=body, headers=headers)  # noqa: S310 - the app's own address
        try:
            with urllib.request.urlopen(request, timeout=3) as answer:  # noqa: S310
                return bool(200 <= answer.status < 300)
        except (urllib.error.URLError, OSError):
            return False

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._wake.wait(0.5)
            self._wake.clear()
            self.deliver()


def signature(verifier_token: str, body: bytes) -> str:
    return base64.b64encode(hmac.new(verifier_token.encode(), body, hashlib.sha256).digest()).decode()


def cloud_events(events: list[Body], realm_id: str) -> list[Body]:
    return [
        {
            "specversion": "1.0",
            "id": event["id"],
            "source": "intuit.dsnBgbseACLLRZNxo2dfc4evmEJdxde58xeeYcZliOU=",
            "type": f"qbo.{event['entity'].lower()}.{VERBS[event['operation']]}.v1",
            "datacontenttype": "application/json",
            "time": event["time"],
            "intuitentityid": event["object"],
            "intuitaccountid": realm_id,
            "data": {},
        }
        for event in events
    ]


def legacy_payload(events: list[Body], realm_id: str) -> Body:
    entities = [
        {
            "id": event["object"],
            "operation": event["operation"],
            "name": event["entity"],
            "lastUpdated": event["time"][:23] + "Z",
        }
        for event in events
    ]
    return {"eventNotifications": [{"realmId": realm_id, "dataChangeEvent": {"entities": entities}}]}
