"""What each status code, message set status and HRESULT of QuickBooks Desktop means for us, and what a person reads."""

import re

import pytest

from sync.errors import Ambiguous, Rejected, Stale, SyncError, Transient, Unclassified
from sync.ports import Response
from sync.qbd import faults

DOCUMENT = "<CheckRet><TxnID>A1-1417118624</TxnID></CheckRet>"
LOCKED = (
    "The list has been modified by another user.",
    "The transaction internals could not be locked.",
    "QuickBooks failed to acquire the lock for this object.",
    "The specified list element is in use.",
)

# (code, its words, what it means for a write, what for a question, words a person has to find); None: it is good
CODES: list[tuple[int, str, type[SyncError] | None, type[SyncError] | None, str]] = [
    (0, "Status OK", None, None, ""),
    (1, "A query request did not find a matching object.", Rejected, None, ""),
    (500, "The query request has not been fully completed.", Rejected, None, ""),
    (530, "The field is not supported.", Rejected, Rejected, "not supported"),
    (531, "The enumerated value is not supported.", Rejected, Rejected, "not supported"),
    (550, "The object was saved, but its notes were not.", None, Rejected, ""),
    (570, "The transaction was saved, but could not be linked.", None, Rejected, ""),
    (1000, "There has been an internal error.", Ambiguous, Transient, "problem of its own"),
    (1010, "The system is not available.", Ambiguous, Transient, "problem of its own"),
    (1030, "The request is not supported.", Rejected, Rejected, "support"),
    (1060, "The request ID is invalid.", Rejected, Rejected, "support"),
    (3000, "The given object ID is invalid.", Rejected, Rejected, "does not know"),
    (3010, "There was an error converting the boolean.", Rejected, Rejected, "support"),
    (3020, "There was an error converting the date.", Rejected, Rejected, "support"),
    (3030, "The range is invalid.", Rejected, Rejected, "support"),
    (3031, "The range is invalid.", Rejected, Rejected, "support"),
    (3040, "There was an error converting the amount.", Rejected, Rejected, "support"),
    (3045, "The string is too long.", Rejected, Rejected, "support"),
    (3070, "The string is too long.", Rejected, Rejected, "support"),
    (3100, "The name of the list element is already in use.", Rejected, Rejected, "name already"),
    (3120, "Object cannot be found.", Stale, Stale, "changed in QuickBooks"),
    (3140, "There is an invalid reference to QuickBooks Customer.", Rejected, Rejected, "Choose another"),
    *((code, words, Transient, Transient, "Somebody is working") for code in faults.LOCKS for words in LOCKED),
    (3180, "There was an error when saving a Check.", Rejected, Rejected, "when saving"),
    (3200, "The provided edit sequence is out-of-date.", Stale, Stale, "changed in QuickBooks"),
    (3210, "You cannot pay more than the amount due.", Stale, Stale, "amount due"),
    (3250, "This feature is not enabled.", Rejected, None, "Switch it on"),
    (3260, "Insufficient permission level.", Rejected, Rejected, "permission"),
    (3261, "The application has no permission.", Rejected, Rejected, "Integrated Applications"),
    (3290, "The lines are in another order.", Rejected, Rejected, "support"),
    (3391, "The iteratorID is not valid.", Rejected, Rejected, "not valid"),
    (-1, "", Ambiguous, Transient, "did not answer"),
    (4711, "Something nobody has heard of.", Rejected, Rejected, "nobody has heard of"),
]


def answer(code: int, text: str, content: str = "") -> Response:
    status = f'statusCode="{code}" statusSeverity="Error" statusMessage="{text}"'
    inner = f'<CheckAddRs requestID="r1" {status}>{content}</CheckAddRs>'
    return Response(status=200, body=f"<QBXML><QBXMLMsgsRs>{inner}</QBXMLMsgsRs></QBXML>")


@pytest.mark.parametrize(("code", "text", "of_write", "of_question", "words"), CODES)
def test_status_codes(
    code: int, text: str, of_write: type[SyncError] | None, of_question: type[SyncError] | None, words: str
) -> None:
    for expected, write in ((of_write, True), (of_question, False)):
        if expected is None:
            assert faults.check(answer(code, text), "r1", write=write).code == code
            continue
        with pytest.raises(expected) as raised:
            faults.check(answer(code, text), "r1", write=write)
        assert type(raised.value) is expected
        assert words in raised.value.plain
        assert str(code) not in raised.value.plain
        assert str(code) in raised.value.technical
        assert raised.value.plain.endswith(".")


@pytest.mark.parametrize("code", [500, 530, 550, 570])
def test_a_warning_with_the_document_is_a_document(code: int) -> None:
    """What was not saved of it shows in the comparison with what was posted."""
    assert faults.check(answer(code, "Warning", DOCUMENT), "r1", write=True).objects


@pytest.mark.parametrize("hresult", ["0x80040400", *faults.CALLS, "0x80040499"])
def test_hresults(hresult: str) -> None:
    """Only the one that says that nothing was looked at is taken for a refusal."""
    lost = Response(status=500, body="", lost=f"{hresult} There was an error.")
    is_malformed = hresult == "0x80040400"
    for write, expected in (
        (True, Rejected if is_malformed else Ambiguous),
        (False, Unclassified if is_malformed else Transient),
    ):
        with pytest.raises(expected) as raised:
            faults.check(lost, "r1", write=write)
        assert type(raised.value) is expected
        assert raised.value.plain.endswith(".")
        assert not re.search("0x|HRESULT", raised.value.plain)
        assert hresult in raised.value.technical
