"""The routes other computers call: webhooks, health, and the Web Connector's.

A webhook is verified, stored as one inbox row, and answered.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import stripe
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from storage import connections
from sync import hooks, metrics
from sync.environment import Environment
from sync.ports import Hint
from sync.qbd import web as web_connector
from sync.qbo.notices import hints_of
from sync.reader import receive
from sync.sound import UNREADABLE, read_json
from sync.stripe.events import hint_of

BODY_LIMIT = 2_000_000  # bytes; Intuit sends up to about 1 MB
TOLERANCE_S = 300
REFUSED = JSONResponse({"error": "refused"}, status_code=400)


def routes(environment: Environment) -> list[Route]:
    async def stripe_webhook(request: Request) -> Response:
        return await _receive(environment, request, _stripe_hints)

    async def quickbooks_webhook(request: Request) -> Response:
        return await _receive(environment, request, _quickbooks_hints)

    async def health(_request: Request) -> Response:
        with environment.database.read():
            return JSONResponse({"status": "ok"})

    return [
        Route("/webhooks/stripe/{connection_id:int}", stripe_webhook, methods=["POST"]),
        Route("/webhooks/quickbooks/{connection_id:int}", quickbooks_webhook, methods=["POST"]),
        Route("/healthz", health),
        Route("/metrics", lambda request: metrics.answer(environment, request)),
        *web_connector.routes(environment),
    ]


def hooks_app(environment: Environment) -> Starlette:
    return Starlette(routes=routes(environment))


class Refusal(Exception):  # noqa: N818 - not an error of ours
    """Forged, stale or malformed: nothing of it is stored or logged."""


async def _receive(environment: Environment, request: Request, read: Any) -> Response:
    """2xx only after the commit; whatever is wrong, the sender learns nothing but that it was refused."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > BODY_LIMIT:
            return REFUSED
    try:
        await run_in_threadpool(_store, environment, request.path_params["connection_id"], request, body, read)
    except Refusal:
        return REFUSED
    return JSONResponse({"received": True})


def _store(environment: Environment, connection_id: int, request: Request, body: bytes, read: Any) -> None:
    now = environment.clock.now()
    with environment.database.read() as conn:
        secrets = hooks.valid_secrets(conn, environment.vault, connection_id, now)
        account_id = connections.connection(conn, connection_id).external_id if secrets else ""
    hints = _read_with_any(secrets, lambda secret: read(request, body, secret, now, account_id))
    with environment.database.write() as conn:
        receive(conn, connection_id, hints, channel="webhook", at=now)


def _read_with_any(secrets: list[str], read: Callable[[str], list[Hint]]) -> list[Hint]:
    """By the first secret that fits: while one is changed, two are valid."""
    for secret in secrets:
        try:
            return read(secret)
        except Refusal:
            continue
    raise Refusal


def _stripe_hints(request: Request, body: bytes, secret: str, now: datetime, _account_id: str) -> list[Hint]:
    """One event, classic or thin."""
    header = request.headers.get("stripe-signature", "")
    try:
        text = body.decode()
        stripe.WebhookSignature.verify_header(text, header, secret, tolerance=TOLERANCE_S)
        signed_at = datetime.fromtimestamp(int(dict(_pairs(header))["t"]), UTC)
        if signed_at > now + timedelta(seconds=TOLERANCE_S):  # the library lets the future pass
            raise Refusal
        return [hint_of(read_json(text))]
    except (stripe.SignatureVerificationError, *UNREADABLE):
        raise Refusal from None


def _pairs(header: str) -> list[tuple[str, str]]:
    return [(name.strip(), value) for name, _, value in (part.partition("=") for part in header.split(","))]


def _quickbooks_hints(request: Request, body: bytes, secret: str, now: datetime, realm_id: str) -> list[Hint]:
    expected = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    try:
        given = base64.b64decode(request.headers.get("intuit-signature", ""), validate=True)
        if not hmac.compare_digest(expected, given):
            raise Refusal
        return hints_of(read_json(body), realm_id, now)
    except (binascii.Error, *UNREADABLE):
        raise Refusal from None
