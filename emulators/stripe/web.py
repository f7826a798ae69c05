"""The stand-in over HTTP: keys, forms, headers; and its controls under /_emulator/."""

import base64
import binascii
import hmac
from typing import TYPE_CHECKING

import orjson
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulators.faults import FaultMiddleware, set_faults
from emulators.stripe import controls
from emulators.stripe.errors import Body, StripeError, broken, forbidden, throttled, unauthorized
from emulators.stripe.params import decode_form
from emulators.stripe.settings import API_VERSION

if TYPE_CHECKING:
    from emulators.stripe.emulator import StripeEmulator

METHODS = ["GET", "POST", "DELETE"]
FAULT_BODIES = {500: broken().body, 429: throttled().body}
FAULT_HEADERS = {429: throttled().headers}


def application(emulator: "StripeEmulator") -> Starlette:
    async def serve(request: Request) -> Response:
        form = request.url.query if request.method == "GET" else (await request.body()).decode()
        return await run_in_threadpool(_serve, emulator, request, form)

    async def control(request: Request) -> Response:
        body = await request.body()
        return await run_in_threadpool(_control, emulator, request.path_params["name"], body)

    app = Starlette(
        routes=[
            Route("/_emulator/faults", set_faults, methods=["POST"]),
            Route("/_emulator/{name}", control, methods=["POST"]),
            Route("/{path:path}", serve, methods=METHODS),
        ],
        middleware=[Middleware(FaultMiddleware, emulator.faults, FAULT_BODIES, FAULT_HEADERS)],
    )
    app.state.faults = emulator.faults
    return app


def _serve(emulator: "StripeEmulator", request: Request, form: str) -> Response:
    headers = request.headers
    try:
        key = _key(headers.get("authorization", ""))
        if not hmac.compare_digest(key.encode(), emulator.key.encode()):
            raise unauthorized(key)
        resource = request.url.path.removeprefix("/v1/").partition("/")[0]
        if resource in emulator.forbidden:
            raise forbidden(key, resource)
        if emulator.office.over_limit():
            raise throttled()
        answer = emulator.answer(request.method, request.url.path, decode_form(form), headers.get("idempotency-key"))
    except StripeError as error:
        return _refusal(error)
    extra = {"Request-Id": answer.request_id}
    if "idempotency-key" in headers:
        extra["Idempotency-Key"] = headers["idempotency-key"]
    if answer.replayed:
        extra["Idempotent-Replayed"] = "true"
    return _json(200, answer.body, extra)


def _key(authorization: str) -> str:
    """The secret key, as a bearer's or as the user name of Basic."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _refusal(error: StripeError) -> Response:
    return _json(error.status, error.body, error.headers)


def _json(status: int, body: Body, headers: dict[str, str]) -> Response:
    content = orjson.dumps(body, option=orjson.OPT_INDENT_2)
    headers = {"Stripe-Version": API_VERSION, "Request-Id": "req_refused0000000", **headers}
    return Response(content, status, headers, media_type="application/json")


def _control(emulator: "StripeEmulator", name: str, body: bytes) -> Response:
    try:
        return _json(200, controls.use(emulator, name, orjson.loads(body or b"{}")), {})
    except StripeError as error:
        return _refusal(error)
    except (KeyError, TypeError, ValueError) as error:
        return _json(400, {"error": {"message": f"{type(error).__name__}: {error}"}}, {})
