"""What the stand-in refuses with, in Stripe's own error bodies."""

from typing import Any

Body = dict[str, Any]


class StripeError(Exception):
    """An answer that is not 200. With `effects_stay`, what was written before it is kept: a declined charge exists."""

    def __init__(
        self, status: int, error: Body, *, headers: dict[str, str] | None = None, effects_stay: bool = False
    ) -> None:
        super().__init__(f"{status} {error.get('code') or error['type']}: {error.get('message')}")
        self.status = status
        self.body: Body = {"error": error}
        self.headers = headers or {}
        self.effects_stay = effects_stay


def invalid(message: str, *, param: str | None = None, code: str | None = None, status: int = 400) -> StripeError:
    error: Body = {"message": message, "type": "invalid_request_error"}
    if param is not None:
        error["param"] = param
    if code is not None:
        error |= {"code": code, "doc_url": f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"}
    return StripeError(status, error)


def missing_param(name: str) -> StripeError:
    return invalid(f"Missing required param: {name}.", param=name, code="parameter_missing")


def unknown_param(name: str) -> StripeError:
    return invalid(f"Received unknown parameter: {name}", param=name, code="parameter_unknown")


def no_such(kind: str, id: str, param: str = "id", status: int = 404) -> StripeError:  # noqa: A002
    """404 for the object of the address, 400 for one that a parameter names."""
    message = f"No such {kind.replace('_', ' ')}: '{id}'"
    return invalid(message, param=param, code="resource_missing", status=status)


def no_such_route(method: str, path: str) -> StripeError:
    return invalid(f"Unrecognized request URL ({method}: {path}).", status=404)


def unauthorized(key: str) -> StripeError:
    if not key:
        message = "You did not provide an API key. Set your API key in the Authorization header."
    else:
        message = f"Invalid API Key provided: {key[:8]}{'*' * 12}{key[-4:]}"
    return StripeError(401, {"message": message, "type": "invalid_request_error"})


def forbidden(key: str, resource: str) -> StripeError:
    """A restricted key without the right to a resource."""
    right = f"rak_{resource.removesuffix('s')}_read"
    message = (
        f"The provided key '{key[:8]}{'*' * 12}{key[-4:]}' does not have the required permissions for this endpoint. "
        f"Having the '{right}' permission would allow this request to continue."
    )
    return StripeError(403, {"message": message, "type": "invalid_request_error"})


def declined(decline_code: str, charge: str, payment_intent: Body | None) -> StripeError:
    error = decline(decline_code, charge)
    if payment_intent is not None:
        error["payment_intent"] = payment_intent
    return StripeError(402, error, effects_stay=True)


def decline(decline_code: str, charge: str) -> Body:
    """As it stands in the answer and in `last_payment_error`."""
    code = {"expired_card": "expired_card", "incorrect_cvc": "incorrect_cvc"}.get(decline_code, "card_declined")
    return {
        "charge": charge,
        "code": code,
        "decline_code": decline_code,
        "doc_url": f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}",
        "message": "Your card has insufficient funds."
        if decline_code == "insufficient_funds"
        else "Your card was declined.",
        "type": "card_error",
    }


def other_use_of_key() -> StripeError:
    message = (
        "Keys for idempotent requests can only be used with the same parameters they were first used with. "
        "Try using a key other than the one you meant to use if you meant to execute a different request."
    )
    return StripeError(400, {"message": message, "type": "idempotency_error"})


def throttled(code: str = "rate_limit") -> StripeError:
    messages = {
        "rate_limit": "Request rate limit exceeded. Learn more about rate limits at https://stripe.com/docs/rate-limits.",
        "lock_timeout": "This object cannot be accessed right now because another API request or Stripe process "
        "is currently accessing it.",
    }
    error = {"code": code, "message": messages[code], "type": "invalid_request_error"}
    reason = {"rate_limit": "global-rate", "lock_timeout": "resource-specific"}[code]
    return StripeError(429, error, headers={"Stripe-Rate-Limited-Reason": reason})


def conflict() -> StripeError:
    message = "There is currently another in-progress request using this Idempotent Key."
    return StripeError(409, {"code": "idempotency_key_in_use", "message": message, "type": "idempotency_error"})


def broken() -> StripeError:
    return StripeError(500, {"message": "An unknown error occurred.", "type": "api_error"})
