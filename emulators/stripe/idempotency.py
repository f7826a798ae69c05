"""Idempotency keys: the first answer is given again for a day, to the same request only."""

import hashlib

import orjson

from emulators.stripe.errors import Body, StripeError, invalid, other_use_of_key
from emulators.stripe.office import Office
from emulators.stripe.settings import IDEMPOTENCY_S

KEY_CHARS_MAX = 255


def fingerprint(method: str, path: str, values: Body) -> str:
    return hashlib.sha256(orjson.dumps([method, path, values], option=orjson.OPT_SORT_KEYS)).hexdigest()


def recall(office: Office, key: str, request: str) -> Body | None:
    """The answer that was given to this key: {"status", "body"}."""
    if len(key) > KEY_CHARS_MAX:
        raise invalid("Idempotency keys can be at most 255 characters long.")
    saved = office.store.get("answer", key)
    if saved is None or saved["at"] + IDEMPOTENCY_S <= office.now():
        return None
    if saved["request"] != request:
        raise other_use_of_key()
    return saved


def remember(office: Office, key: str, request: str, answer: Body | StripeError) -> None:
    """Only what was executed; a request that failed its validation may be mended and sent again."""
    failed = isinstance(answer, StripeError)
    status, body = (answer.status, answer.body) if isinstance(answer, StripeError) else (200, answer)
    saved = {"at": office.now(), "request": request, "status": status, "body": body, "failed": failed}
    office.store.put("answer", key, saved, created=office.now())
