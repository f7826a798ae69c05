"""stripe-python, set up once: no telemetry, our own retries, its exceptions turned into sync.errors."""

import logging
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import requests
import stripe

from sync.errors import Forbidden, Rejected, SyncError, Transient, Unauthorized, Unclassified
from sync.ports import Clock
from sync.sound import UNREADABLE, is_name

stripe.enable_telemetry = False  # it would write a file into the user's home and send platform details
logging.getLogger("stripe").setLevel(logging.WARNING)  # below, it writes down whole answers: names, secrets of webhooks

API_VERSION = "2026-10-28.endive"
TIMEOUT_S = 30
CARD_KEYS = frozenset({"card", "card_present", "interac_present"})
CARD_FIELDS = frozenset({"object", "id", "brand", "last4"})
PER_SECOND = {"live": 100, "test": 25}  # what Stripe allows an account, by the mode of its key
NUMBER = re.compile(r"(?<![0-9A-Za-z_])(?:\d[ -]?){12,18}\d(?![0-9A-Za-z_])")
REFERENCES = frozenset({"id", "value", "trace_id", "number"})  # a bank's own, which may look like a card's number
SHARE = 0.9  # of it: requests arrive less evenly than they leave
RIGHT = re.compile(r"\brak_[a-z_]+")  # what Stripe calls the right of a restricted key that a request lacks
STRANGE = "Stripe gave an answer Tieout does not know. Nothing was changed."
T = TypeVar("T")


class Straight(requests.Session):
    """Goes where it is sent and nowhere else: what answers with another address is not followed there."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - the library's name
        return None


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of a list as plain values; `cursor` is the id after which it goes on, None at its end."""

    bodies: tuple[dict[str, Any], ...]
    cursor: str | None


class PacedClient(stripe.RequestsClient):
    """Sends no more requests a second than Stripe takes; only one worker at a time reads an account."""

    def __init__(self, clock: Clock, per_second: float) -> None:
        super().__init__(timeout=TIMEOUT_S, session=Straight())
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
        http_client=paced or stripe.RequestsClient(timeout=TIMEOUT_S, session=Straight()),
    )


def call(action: Callable[[], T]) -> T:
    """Runs a call of the client; raises sync.errors instead of Stripe's, also where its answer is of no known form."""
    try:
        return action()
    except stripe.StripeError as error:
        raise translate(error) from error
    except UNREADABLE as odd:
        raise Unclassified(STRANGE, technical=type(odd).__name__) from None


def listed(action: Callable[[], Any]) -> Listed:
    """Asks for one page of a list. Raises sync.errors."""

    def ask() -> Listed:
        page = action()
        bodies = tuple(plain(each) for each in page.data)
        cursor = bodies[-1]["id"] if page.has_more and bodies else None
        if cursor is not None and not is_name(cursor):
            raise ValueError("a list that goes on after nothing")
        return Listed(bodies, cursor)

    return call(ask)


def _masked(found: re.Match[str]) -> str:
    """Somebody typed a card's number where none belongs: only its end is kept."""
    digits = re.sub(r"\D", "", found.group())
    return f"…{digits[-4:]}" if digits[0] in "23456" and _is_checked(digits) else found.group()


def _is_checked(digits: str) -> bool:
    """By Luhn's check digit, which every card number has."""
    doubled = [int(each) * (2 if place % 2 else 1) for place, each in enumerate(reversed(digits))]
    return sum(each - 9 if each > 9 else each for each in doubled) % 10 == 0


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
    return Unclassified(STRANGE, technical=technical)


def plain(found: Any) -> dict[str, Any]:
    """A Stripe object as plain JSON values, without card data beyond brand and last four; what is none has none."""
    body: dict[str, Any] = found.to_dict(for_json=True) if isinstance(found, stripe.StripeObject) else {}
    return {key: _without_card_data(key, value) for key, value in body.items()}


def _without_card_data(key: str, value: Any) -> Any:
    if isinstance(value, str) and key not in REFERENCES:
        return NUMBER.sub(_masked, value)
    if isinstance(value, list):
        return [_without_card_data(key, part) for part in value]
    if not isinstance(value, dict):
        return value
    kept = value
    if key in CARD_KEYS or value.get("object") == "card":
        kept = {name: part for name, part in value.items() if name in CARD_FIELDS}
    return {name: _without_card_data(name, part) for name, part in kept.items()}
