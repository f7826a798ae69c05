"""What QuickBooks Desktop's answers mean for us, and what a person is told of them.

Codes: Intuit's page "Status codes in response messages"; HRESULTs: the samples of its SDK.
"""

from reconcile.names import STRIPE_ID
from sync.errors import Ambiguous, Cause, Rejected, Stale, SyncError, Transient, Unclassified
from sync.ports import Response
from sync.qbd.qbxml import DAMAGED, Answer, answer

NOTHING_FOUND = (1, 500, 3250)  # 3250: a feature that is switched off has nothing
ITERATOR_GONE = 3391
BUSY = ("modified by another user", "could not be locked", "acquire the lock", "list element is in use")
LOCKS = (3170, 3175, 3176, 3180)
STALE = (3120, 3200, 3210)
LATER = (1000, 1010)
HALF_DONE = (550, 570)
MALFORMED = "0x80040400"  # the whole set was refused before anything of it was done

OURS = (1030, 1060, 3010, 3020, 3030, 3031, 3040, 3045, 3070, 3290)  # only a mistake of Tieout's brings these

PLAIN = dict.fromkeys(
    OURS, "it did not understand what Tieout sent. Nothing was written. Report this to Tieout's support."
) | {
    3000: "something this refers to has an id QuickBooks does not know.",
    3100: "QuickBooks has something with this name already.",
    3140: "something this refers to (a customer, account or item) is not in QuickBooks any more. Choose another.",
    3250: "this feature is switched off in QuickBooks. Switch it on there, then retry.",
    3260: "the QuickBooks user who let Tieout in may not do this, or the books are closed for this date. Give the "
    "permission or reopen the books, then retry.",
    3261: "Tieout has no permission for this. Open Edit, Preferences, Integrated Applications in QuickBooks, give it, "
    "then retry.",
}
CAUSES: dict[int, Cause] = {3000: "reference", 3140: "reference", 3260: "permission", 3261: "permission"}
CALLS = {
    "0x80040401": "QuickBooks could not be reached. Open QuickBooks with the company file, then update again.",
    "0x80040402": "QuickBooks met a problem of its own. Close it and open it again, then update again.",
    "0x80040408": "QuickBooks could not be started. Open it with the company file, then update again.",
    "0x8004040A": "Another company file is open in QuickBooks. Open the right one, then update again.",
    "0x80040410": "The company file is open in single-user mode. Switch to multi-user mode in QuickBooks, then update "
    "again.",
    "0x80040414": "A window in QuickBooks waits for an answer. Close it, then update again.",
    "0x80040416": "QuickBooks is not running. Open it with the company file, then update again.",
    "0x80040417": "No company file is open in QuickBooks. Open it, then update again.",
    "0x80040420": "QuickBooks does not let Tieout in. Open Edit, Preferences, Integrated Applications in QuickBooks as "
    "its administrator, allow Tieout, then update again.",
}


def check(response: Response, request_id: str, *, write: bool) -> Answer:
    """The answer, if it is one to the request and good. Raises one of sync.errors for every other."""
    if response.lost is not None:
        raise _failed(response.lost, write=write)
    try:
        found = answer(response.body)
    except ValueError as error:
        raise _unclear(DAMAGED, repr(error), write=write) from None
    if found.request_id != request_id:
        raise _unclear(DAMAGED, f"answer to {found.request_id!r}, asked was {request_id!r}", write=write)
    error_ = of_answer(found, write=write)
    if error_ is not None:
        raise error_
    return found


def of_answer(found: Answer, *, write: bool) -> SyncError | None:
    """What went wrong; None for nothing. A query that finds nothing is good."""
    code, technical = found.code, f"{found.kind} {found.code} {found.text}"
    if code == 0 or (not write and code in NOTHING_FOUND):
        return None
    if write and (code in HALF_DONE or (found.objects and code < 1000)):
        return None  # it is in the books; what is missing of it shows in the comparison
    if code in LATER:
        return _unclear("QuickBooks had a problem of its own.", technical, write=write)
    if code in LOCKS and any(words in found.text.lower() for words in BUSY):
        return Transient("Somebody is working on this in QuickBooks.", technical=technical, code=str(code))
    if code in STALE:
        return Stale(f"It was changed in QuickBooks meanwhile: {found.text}", technical=technical, code=str(code))
    if code == -1:
        return _unclear("QuickBooks did not answer.", technical, write=write)
    reason = PLAIN.get(code) or found.text or "no reason given."
    cause = CAUSES.get(code, "")
    return Rejected(f"QuickBooks refused this: {reason}", technical=technical, code=str(code), cause=cause)


def of_call(hresult: str, message: str) -> str:
    """In plain words, why QuickBooks or its Web Connector could not do what it was asked."""
    known = {code.lower(): text for code, text in CALLS.items()}
    return known.get(hresult.strip().lower()) or f"QuickBooks could not be asked: {STRIPE_ID.sub('', message)[:300]}"


def _failed(lost: str, *, write: bool) -> SyncError:
    """The set was not worked off: QuickBooks gave an HRESULT, or nobody gave anything."""
    code = lost.partition(" ")[0].lower()
    if code == MALFORMED:
        plain = "QuickBooks did not understand what Tieout sent. Nothing was written. Report this to Tieout's support."
        return Rejected(plain, technical=lost) if write else Unclassified(plain, technical=lost)
    return _unclear(of_call(code, lost.partition(" ")[2]), lost, write=write)


def _unclear(plain: str, technical: str, *, write: bool) -> SyncError:
    if write:
        again = f"{plain} Tieout looks whether the document arrived before it tries again."
        return Ambiguous(again, technical=technical)
    return Transient(plain, technical=technical)
