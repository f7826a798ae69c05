"""What all resources of the stand-in share: reading and saving objects, events, the time, and what is due later."""

from collections.abc import Callable
from typing import Any

from emulators.clock import ALPHABET, Clock, Rng
from emulators.store import Store
from emulators.stripe.errors import Body, StripeError, no_such
from emulators.stripe.settings import API_VERSION, Account, Hooks, Rates

# The fields by which each kind can be looked up. Fields with an underscore are the stand-in's own and never leave it.
KEYS: dict[str, tuple[str, ...]] = {
    "balance_transaction": ("currency", "source", "type", "_payout", "_unpaid", "_pending_until"),
    "bank_account": ("currency",),
    "charge": ("customer", "payment_intent", "transfer_group"),
    "credit_note": ("customer", "invoice"),
    "customer": ("email",),
    "delivery": ("_event",),
    "dispute": ("charge", "payment_intent"),
    "event": ("type", "_family", "_subfamily", "_delivered"),
    "invoice": ("customer", "status", "collection_method", "number", "_subscription"),
    "invoice_payment": ("invoice", "status", "_payment_intent", "_payment_record", "_type"),
    "invoiceitem": ("customer", "invoice", "_pending"),
    "payment_intent": ("customer",),
    "payment_method": ("customer", "type", "_token"),
    "payment_record": (),
    "payout": ("status", "destination", "_automatic"),
    "refund": ("charge", "payment_intent"),
    "webhook_endpoint": (),
}
PREFIXES = {
    "balance_transaction": "txn", "bank_account": "ba", "charge": "ch", "credit_note": "cn",
    "credit_note_line_item": "cnli", "customer": "cus", "customer_balance_transaction": "cbtxn", "dispute": "du",
    "event": "evt", "invoice": "in", "invoice_payment": "inpay", "invoiceitem": "ii", "line_item": "il",
    "payment_intent": "pi", "payment_method": "pm", "payment_record": "pr", "payout": "po", "refund": "re",
    "webhook_endpoint": "we",
}  # fmt: skip

Task = Callable[["Office", str], None]
Renderer = Callable[["Office", Body, Body], Body]  # what is shown so far, what is stored


class Office:
    """One Stripe account. Resources are modules of functions that take it as their first argument."""

    def __init__(self, store: Store, clock: Clock, rng: Rng, account: Account, async_capture_s: int) -> None:
        self.store, self.clock, self.rng = store, clock, rng
        self.account, self.async_capture_s = account, async_capture_s
        self.rates, self.hooks = Rates(), Hooks()
        self.mishaps = Rng(f"mishaps {rng.token(8)}")  # chance of its own: what goes wrong must not change the world
        self.requests_per_s: int | None = None
        self.served = (0, 0)  # the current second, and the requests in it
        self.unique_numbers = True  # of invoices
        self.next_errors: list[StripeError] = []  # what the next requests are refused with
        self.renderers: dict[str, Renderer] = {}
        self.tasks: dict[str, Task] = {}
        self.request: Body = {"id": None, "idempotency_key": None}  # what events say they were caused by
        self._as_of: int | None = None
        with store.transaction():
            self._epoch = _base62(store.number("starts"), 3)  # the same seed after a restart: other ids

    # --- time ---

    def now(self) -> int:
        return self.clock.timestamp() if self._as_of is None else self._as_of

    def over_limit(self) -> bool:
        """Counts a request over HTTP."""
        second, count = self.served
        now = self.clock.timestamp()
        self.served = (now, count + 1) if second == now else (now, 1)
        return self.requests_per_s is not None and self.served[1] > self.requests_per_s

    def later(self, at: int, task: str, id: str) -> None:  # noqa: A002
        """Once at `at`, however often it is asked for."""
        job = {"task": task, "id": id, "at": at}
        self.store.put("job", f"{task}:{id}:{at}", job, created=at)

    def run_due(self) -> int:
        """Does what is due, in order, each at its own time, however late we are. Tells how much that was."""
        done = 0
        with self.store.transaction():
            while jobs := self.store.find("job", created_lte=self.clock.timestamp(), oldest_first=True, limit=1):
                job = jobs[0]
                self.store.delete("job", f"{job['task']}:{job['id']}:{job['at']}")
                self._run(job)
                done += 1
        return done

    def _run(self, job: Body) -> None:
        self._as_of = job["at"]
        caused_by, self.request = self.request, {"id": None, "idempotency_key": None}
        try:
            self.tasks[job["task"]](self, job["id"])
        finally:
            self._as_of, self.request = None, caused_by

    # --- objects ---

    def new_id(self, kind: str, prefix: str | None = None) -> str:
        return f"{prefix or PREFIXES[kind]}_{self._epoch}{self.rng.token(21)}"

    def save(self, body: Body) -> None:
        kind = body["object"]
        keys = {name: _key(body.get(name)) for name in KEYS[kind]}
        self.store.put(kind, body["id"], body, created=body["created"], keys=keys)

    def get(self, kind: str, id: str, param: str = "id", status: int = 404) -> Body:  # noqa: A002
        """The object as stored; refuses as Stripe does when there is none."""
        body = self.store.get(kind, id)
        if body is None:
            raise no_such(kind, id, param, status)
        return body

    def named(self, kind: str, id: str, param: str) -> Body:  # noqa: A002
        """An object that a parameter names."""
        return self.get(kind, id, param, status=400)

    def render(self, body: Body) -> Body:
        """As it is sent: without our own fields, with what is kept elsewhere."""
        shown = {name: value for name, value in body.items() if not name.startswith("_")}
        renderer = self.renderers.get(body["object"])
        return renderer(self, shown, body) if renderer else shown

    # --- events ---

    def emit(
        self, type: str, body: Body, previous: Body | None = None, api_version: str = API_VERSION,  # noqa: A002
    ) -> Body:  # fmt: skip
        """Tells the world that `body` changed; `previous` holds the old values of what changed."""
        family, *rest = type.split(".")
        data: Body = {"object": self.render(body)}
        if previous is not None:
            data["previous_attributes"] = previous
        event: Body = {
            "id": self.new_id("event"), "object": "event", "api_version": api_version, "created": self.now(),
            "data": data, "livemode": False, "pending_webhooks": 0, "request": dict(self.request), "type": type,
            "_family": family, "_subfamily": ".".join([family, *rest[:1]]), "_delivered": True,
            "_n": self.store.number("events"),
        }  # fmt: skip
        if self.hooks.mute:
            return event
        endpoints = [endpoint for endpoint in self.endpoints() if listens(endpoint, type)]
        if endpoints:
            event |= {"pending_webhooks": len(endpoints), "_delivered": False}
        self.save(event)
        for endpoint in endpoints:
            self.plan_delivery(event["id"], endpoint["id"])
        return event

    def endpoints(self) -> list[Body]:
        found = self.store.find("webhook_endpoint", oldest_first=True)
        return [endpoint for endpoint in found if endpoint["status"] == "enabled"]

    def plan_delivery(self, event: str, endpoint: str, attempt: int = 1, wait_s: int = 0) -> None:
        """Kept in the store, so that a restart forgets none."""
        number = self.store.number("deliveries")
        due = self.now() + wait_s
        body = {"id": f"{number}", "_event": event, "endpoint": endpoint, "attempt": attempt, "due": due}
        self.store.put("delivery", f"{number}", body, created=due, keys={"_event": event})


def listens(endpoint: Body, type: str) -> bool:  # noqa: A002
    return "*" in endpoint["enabled_events"] or type in endpoint["enabled_events"]


def _key(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


def _base62(number: int, length: int) -> str:
    text = ""
    for _ in range(length):
        number, digit = divmod(number, 62)
        text = ALPHABET[digit] + text
    return text
