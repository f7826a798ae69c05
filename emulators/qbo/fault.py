"""What the API answers instead of an object: a Fault, in the service's form or in the gateway's."""

from typing import Any

VALIDATION, SERVICE, AUTHENTICATION = "ValidationFault", "SystemFault", "AUTHENTICATION"


class QboFault(Exception):  # noqa: N818 - the API calls it a Fault
    """The request was refused; `status` and `body` are what goes over the wire."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        self.status, self.body = status, body
        super().__init__(f"{status} {body}")

    @property
    def code(self) -> str:
        fault = self.body.get("Fault") or self.body["fault"]
        return str((fault.get("Error") or fault["error"])[0]["code"])


def refused(code: int, message: str, detail: str, element: str = "", *, status: int = 400) -> QboFault:
    error = {"Message": message, "Detail": detail, "code": str(code), "element": element}
    kind = VALIDATION if status < 500 else SERVICE
    return QboFault(status, {"Fault": {"Error": [error], "type": kind}})


def stopped_at_gateway(status: int, code: int, name: str, detail: str) -> QboFault:
    """The form of what never reached the service: lower-case keys, and no `time`."""
    message = f"message={name}; errorCode={code:06}; statusCode={status}"
    error = {"message": message, "detail": detail, "code": str(code), "element": None}
    body: dict[str, Any] = {
        "warnings": None,
        "intuitObject": None,
        "fault": {"error": [error], "type": AUTHENTICATION if status == 401 else "SERVICE"},
        "report": None,
        "queryResponse": None,
        "batchItemResponse": [],
        "attachableResponse": [],
        "syncErrorResponse": None,
        "requestId": None,
        "time": 0,
        "status": None,
        "cdcresponse": [],
    }
    return QboFault(status, body)


def missing(name: str) -> QboFault:
    return refused(
        2020,
        "Required param missing, need to supply the required value for the API",
        f"Required parameter {name} is missing in the request",
        name,
    )


def unknown_property(name: str) -> QboFault:
    return refused(
        2010,
        "Request has invalid or unsupported property",
        f"Property Name:{name} specified is unsupported or invalid",
        name,
    )


def invalid_reference(name: str, value: object) -> QboFault:
    return refused(2500, "Invalid Reference Id", f"Invalid Reference Id : {name} element id {value} not found", name)


def too_long(name: str, length_max: int) -> QboFault:
    return refused(
        2050,
        "String length is either shorter or longer than supported by specification",
        f"String length specified does not match the supported length. Min:0 Max:{length_max}",
        name,
    )


def invalid(name: str, detail: str) -> QboFault:
    return refused(2030, "Invalid value", f"Invalid value for {name}: {detail}", name)


def not_found(entity: str, object_id: object) -> QboFault:
    return refused(
        610,
        "Object Not Found",
        f"Object Not Found : {entity} {object_id} does not exist, or something "
        "you're trying to use has been made inactive. Check the fields with accounts, customers, items, vendors or "
        "employees.",
    )


def inactive(name: str, label: str) -> QboFault:
    return refused(
        610,
        "Object Not Found",
        f"Object Not Found : Something you're trying to use has been made "
        f"inactive ({label}). Check the fields with accounts, customers, items, vendors or employees.",
        name,
    )


def stale() -> QboFault:
    return refused(
        5010,
        "Stale Object Error",
        "Stale Object Error : You and root were working on this at the same "
        "time. Someone else finished before you did, so your work was not saved.",
    )


def wrong_currency(detail: str, element: str = "CurrencyRef") -> QboFault:
    return refused(2220, "Invalid currency", f"Currency error : {detail}", element)


def against_rules(detail: str, code: int = 6000) -> QboFault:
    return refused(
        code,
        "A business validation error has occurred while processing your request",
        f"Business Validation Error: {detail}",
    )
