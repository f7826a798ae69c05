"""How QuickBooks says no: a status of one request, or an HRESULT of a whole message set, in its own words.

Codes and texts: Intuit's table "status codes in response messages" and recorded answers.
"""

from emulators.store import Body

NOT_IN_LIST = "Invalid argument.  The specified record does not exist in the list."


class Refused(Exception):  # noqa: N818 - a status
    """One request is not done. `current` is the object as it is now, where QuickBooks includes it."""

    def __init__(self, code: int, text: str, *, severity: str = "Error", current: Body | None = None) -> None:
        super().__init__(text)
        self.code, self.text, self.severity, self.current = code, text, severity, current


class Failed(Exception):  # noqa: N818 - an HRESULT
    """The whole call fails: there is no answer, only an HRESULT."""

    def __init__(self, hresult: str, text: str) -> None:
        super().__init__(text)
        self.hresult, self.text = hresult, text


def malformed(why: str) -> Failed:
    """QuickBooks itself does not say why; a stand-in may."""
    return Failed("0x80040400", f"QuickBooks found an error when parsing the provided XML text stream. ({why})")


def no_match(kind: str) -> Refused:
    text = f"A query request did not find a matching object in QuickBooks: {kind}"
    return Refused(1, text, severity="Info")


def gone(object_id: str) -> Refused:
    return Refused(
        3120, f'Object "{object_id}" specified in the request cannot be found.  QuickBooks error message: {NOT_IN_LIST}'
    )


def bad_reference(kind: str, name: str, where: str) -> Refused:
    text = f'There is an invalid reference to QuickBooks {kind} "{name}" in the {where}.'
    return Refused(3140, f"{text}  QuickBooks error message: {NOT_IN_LIST}")


def bad_value(field: str, value: str, why: str) -> Refused:
    text = f'The "{field}" field has an invalid value "{value}".  QuickBooks error message: {why}'
    return Refused(3210, text)


def missing(field: str) -> Refused:
    return Refused(3040, f'There is a missing element: "{field}".')


def name_taken(name: str) -> Refused:
    return Refused(3100, f'The name "{name}" of the list element is already in use.')


def out_of_date(sequence: str, current: Body | None) -> Refused:
    return Refused(3200, f'The provided edit sequence "{sequence}" is out-of-date.', current=current)


def not_saved(kind: str, why: str) -> Refused:
    return Refused(3180, f"There was an error when saving a {kind}.  QuickBooks error message: {why}")


def period_closed(day: str) -> Refused:
    return Refused(
        3260,
        "Insufficient permission level to perform this action.  "
        f"QuickBooks error message: The books are closed up to {day}.",
    )


LOCKS = (
    (3175, "There was an error adding, modifying or deleting {what}.", "The specified list element is in use."),
    (
        3176,
        "The related transactions of {what} could not be changed.",
        "The transaction internals could not be locked.",
    ),
    (3170, "There was an error when modifying {what}.", "This list has been modified by another user."),
    (3180, "There was an error when saving {what}.", "QuickBooks failed to acquire the lock for this object."),
)


def locked(what: str, number: int = 0) -> Refused:
    """Somebody else has it open; `number` picks one of the four ways QuickBooks says so."""
    code, text, why = LOCKS[number % len(LOCKS)]
    return Refused(code, f"{text.format(what=what)}  QuickBooks error message: {why}")
