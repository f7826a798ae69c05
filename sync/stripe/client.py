"""stripe-python, set up once: no telemetry, our own retries, its exceptions turned into sync.errors."""

import re
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

import stripe

from sync.errors import Forbidden, Rejected, SyncError, Transient, Unauthorized, Unclassified
from sync.ports import Clock

stripe.enable_telemetry = False  # it would write a file into the user's home and send platform details

API_VERSION = "2026-10-28.endive"
TIMEOUT_S = 30
CARD_KEYS = frozenset({"card", "card_present", "interac_present"})
CARD_FIELDS = frozenset({"object", "id", "brand", "last4"})
PER_SECOND = {"live": 100, "test": 25}  # what Stripe allows an account, by the mode of its key
SHARE = 0.9  # of it: requests arrive less evenly than they leave
RIGHT = re.compile(r"\brak_[a-z_]+")  # what Stripe calls the right of a restricted key that a request lacks
T = TypeVar("T")


class PacedClient(stripe.RequestsClient):
    """Sends no more requests a second than Stripe takes; only one worker at a time reads an account."""

    def __init__(self, clock: Clock, per_second: float) -> None:
        super().__init__(timeout=TIMEOUT_S)
        self._clock, self._interval = clock, timedelta(seconds=1 / (per_second * SHARE))
        self._next: datetime | None = None
        self._turn = threading.Lock()

    def request(self, *arguments: Any, **options: Any) -> Any:
        with self._turn:
            now = self._clock.now()
            wait = max(timedelta(), (self._next or now) - now)
            self._next = now + wait + self._interval
        if wait:
            self._clock.sleep(wait.total_seconds())
        return super().request(*arguments, **options)


def make_client(key: str, address: str | None = None, paced: PacedClient | None = None) -> stripe.StripeClient:
    """A client for one account; `address` replaces Stripe's own (the stand-in's)."""
    return stripe.StripeClient(
        key,
        base_addresses={"api": address} if address else {},
        stripe_version=API_VERSION,
        max_network_retries=0,  # we own the waiting: it goes through the Clock and respects what Stripe says
        http_client=paced or stripe.RequestsClient(timeout=TIMEOUT_S),
    )


def call(action: Callable[[], T]) -> T:
    """Runs a call of the client; raises sync.errors instead of Stripe's."""
    try:
        return action()
    except stripe.StripeError as error:
        raise translate(error) from error


def translate(error: stripe.StripeError) -> SyncError:
    """What a Stripe error means for us. Reads only: nothing of it can have been half done."""
    technical = f"{type(error).__name__} {error.http_status} {error.code} request {error.request_id}"
    if isinstance(error, stripe.PermissionError):
        right = RIGHT.search(str(error.user_message or ""))
        plain = "Stripe's key may not do this. In Stripe, edit the key and give it the right to"
        plain = f"{plain} ({right.group()})." if right else f"{plain}."
        return Forbidden(plain, technical=technical, code=right.group() if right else "")
    if isinstance(error, stripe.AuthenticationError):
        plain = "Stripe refused the key. Give Tieout a key that may read payments, payouts, invoices and credit notes."
        return Unauthorized(plain, technical=technical)
    if isinstance(error, stripe.RateLimitError):
        return Transient("Stripe asked us to slow down; the sync goes on by itself.", technical=technical)
    if isinstance(error, stripe.APIConnectionError) or (error.http_status or 0) >= 500 or error.http_status == 409:
        return Transient("Stripe did not answer; the sync goes on by itself when it does.", technical=technical)
    if isinstance(error, stripe.InvalidRequestError):
        return Rejected(f"Stripe refused a request: {error.user_message}", technical=technical, code=error.code or "")
    return Unclassified("Stripe gave an answer Tieout does not know. Nothing was changed.", technical=technical)


def plain(found: stripe.StripeObject) -> dict[str, Any]:
    """A Stripe object as plain JSON values, without card data beyond brand and last four."""
    body: dict[str, Any] = found.to_dict(for_json=True)
    return {key: _without_card_data(key, value) for key, value in body.items()}


def _without_card_data(key: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_without_card_data(key, part) for part in value]
    if not isinstance(value, dict):
        return value
    kept = value
    if key in CARD_KEYS or value.get("object") == "card":
        kept = {name: part for name, part in value.items() if name in CARD_FIELDS}
    return {name: _without_card_data(name, part) for name, part in kept.items()}
