"""What QuickBooks Online's answers mean for us, and what a person is told of them."""

from typing import Any

from sync.errors import Ambiguous, Cause, Rejected, Stale, SyncError, Transient, Unauthorized, Unclassified
from sync.ports import Response
from sync.qbo.wire import decode
from sync.sound import UNREADABLE

# Intuit's codes (its page "Error codes", as of November 2026) in a bookkeeper's words.
PLAIN = {
    "610": "something this refers to (a customer, account or invoice) was deleted or made inactive in QuickBooks. "
    "Make it active again, or choose another.",
    "2500": "something this refers to (a customer, account or item) does not exist in QuickBooks any more. "
    "Choose another.",
    "2220": "the currency does not fit the customer or the account. Choose ones of the same currency.",
    "5020": "the QuickBooks user who connected Tieout may not do this. Connect with a user who may.",
    "6140": "QuickBooks has a document with this number already.",
    "6190": "the QuickBooks subscription has a problem. Open QuickBooks to see it, then retry.",
    "6200": "the books are closed for this date. Reopen them, then retry.",
    "6210": "the books are closed for this date. Reopen them, then retry.",
    "6240": "QuickBooks has something with this name already.",
}

CAUSES: dict[str, Cause] = {
    "610": "reference",
    "2500": "reference",
    "2220": "currency",
    "5020": "permission",
    "6140": "number",
    "6190": "subscription",
    "6200": "closed_period",
    "6210": "closed_period",
}

THROTTLED_S = 60.0


def check(response: Response, *, write: bool) -> Any:
    """The decoded body of a good answer. Raises one of sync.errors for every other."""
    if response.lost is not None:
        raise _lost(response, write=write)
    body = _decode(response)
    try:
        fault = _fault(body) or _throttled_inside(body)
    except UNREADABLE:  # of a form that is none of QuickBooks'
        body, fault = None, None
    if response.status == 200 and body is not None and fault is None:
        return body
    raise _classify(response, fault, write=write)


def of_item(content: Any) -> SyncError | None:
    """What went wrong with one item of a batch that was answered 200; None for nothing."""
    try:
        fault = _fault(content)
    except UNREADABLE as odd:
        return Ambiguous("QuickBooks gave an answer Tieout does not know.", technical=repr(odd)[:300])
    return None if fault is None else _classify(Response(status=200, body=""), fault, write=True)


def strange(odd: Exception, *, write: bool) -> SyncError:
    """A good answer whose content is not what was asked for."""
    technical = f"{type(odd).__name__}: {odd}"[:300]
    if write:
        plain = (
            "QuickBooks answered with something else. Tieout looks whether the document arrived before it tries again."
        )
        return Ambiguous(plain, technical=technical)
    return Unclassified(
        "QuickBooks answered with something else than was asked. Nothing was changed.", technical=technical
    )


def has_fault(content: Any) -> bool:
    """Whether a piece of an answer says that it could not be given."""
    return _fault(content) is not None


def _throttled_inside(body: Any) -> dict[str, str] | None:
    """A limit that was met in the middle of an answer to change data capture: the whole is asked for again."""
    answers = body.get("CDCResponse") if isinstance(body, dict) else None
    answers = [answer for answer in answers if isinstance(answer, dict)] if isinstance(answers, list) else []
    parts = [part for answer in answers for part in answer.get("QueryResponse", [])]
    faults = [fault for fault in map(_fault, [*answers, *parts]) if fault is not None]
    return next((fault for fault in faults if _is_throttle(fault)), None)


def _is_throttle(fault: dict[str, str]) -> bool:
    return fault["code"] == "3001" or "ThrottleExceeded" in fault["text"]


def _lost(response: Response, *, write: bool) -> SyncError:
    plain = "QuickBooks did not answer."
    if write and not (response.lost or "").startswith("unsent"):
        return Ambiguous(
            f"{plain} Tieout looks whether the document arrived before it tries again.", technical=response.lost or ""
        )
    return Transient(f"{plain} The sync goes on by itself when it does.", technical=response.lost or "")


def _classify(response: Response, fault: dict[str, str] | None, *, write: bool) -> SyncError:
    technical = f"HTTP {response.status} intuit_tid {response.headers.get('intuit_tid', '-')} {fault or ''}"
    code, text = (fault or {}).get("code", ""), (fault or {}).get("text", "")
    if response.status == 429 or (fault is not None and _is_throttle(fault)):
        wait_s = _asked_wait(response)
        return Transient("QuickBooks asked us to slow down.", technical=technical, code=code, retry_after_s=wait_s)
    if response.status in (401, 403) or code in ("3200", "3100", "120"):
        plain = "QuickBooks no longer accepts the connection. Connect to QuickBooks again."
        return Unauthorized(plain, technical=technical, code=code)
    theirs = (fault or {}).get("type") == "SystemFault"  # of an item of a batch too: it may have been written
    if response.status >= 500 or theirs or (response.status == 200 and fault is None):
        plain = "QuickBooks had a problem of its own."
        return Ambiguous(plain, technical=technical) if write else Transient(plain, technical=technical)
    if code == "5010" and "period closed" not in text.lower():
        return Stale("It was changed in QuickBooks meanwhile.", technical=technical, code=code)
    if fault is not None and response.status in (200, 400):
        reason = PLAIN.get(code) or text or "no reason given."
        cause = CAUSES.get(code, "")
        return Rejected(f"QuickBooks refused this document: {reason}", technical=technical, code=code, cause=cause)
    return Unclassified("QuickBooks gave an answer Tieout does not know.", technical=technical, code=code)


def _asked_wait(response: Response) -> float:
    """Intuit's page says a minute; an answer that asks for more gets it."""
    asked = response.headers.get("retry-after", "")
    return max(THROTTLED_S, float(asked) if asked.isdigit() else 0)


def _decode(response: Response) -> Any:
    try:
        return decode(response.body)
    except ValueError:
        return None


def _fault(body: Any) -> dict[str, str] | None:
    """The first error of either form of a fault: the API's (capital F) or the gateway's."""
    if not isinstance(body, dict):
        return None
    fault = body.get("Fault") or body.get("fault")
    if not isinstance(fault, dict):
        return None
    errors = fault.get("Error") or fault.get("error") or [{}]
    error = {str(key).lower(): value for key, value in errors[0].items()}
    text = " ".join(str(error.get(part) or "") for part in ("message", "detail")).strip()
    return {"code": str(error.get("code") or ""), "text": text, "type": str(fault.get("type") or "")}
