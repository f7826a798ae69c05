"""HTTP: the routes of the Accounting API, of OAuth 2 and of the stand-in's own controls."""

import base64
import html
import itertools
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import orjson
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulators.faults import FaultMiddleware, set_faults
from emulators.qbo.checks import Body
from emulators.qbo.fault import QboFault, refused, stopped_at_gateway
from emulators.qbo.oauth import OAuthError

if TYPE_CHECKING:
    from emulators.qbo.emulator import QboEmulator

PAGE = """<!doctype html><meta charset="utf-8"><title>Connect to QuickBooks</title><link rel="icon" href="data:,">
<body style="font-family:sans-serif;max-width:30em;margin:4em auto">
<h1>{company}</h1><p>{client} asks for access to this company's books.</p>
<form method="get"><input type="hidden" name="auto" value="1">{fields}
<button>Connect</button> <button name="deny" value="1">No thanks</button></form>"""

BROKEN = "An application error has occurred while processing your request"
FAULT_BODIES = {
    500: refused(10000, BROKEN, "System Failure Error", status=500).body,
    429: stopped_at_gateway(429, 3001, "ThrottleExceeded", "Too many requests; wait 60 seconds.").body,
}

Endpoint = Callable[[Request], Awaitable[Response]]


class Pages:
    """The endpoints, bound to one stand-in."""

    def __init__(self, emulator: "QboEmulator") -> None:
        self.emulator = emulator

    # --- Accounting API -----------------------------------------------------------------------------------------------

    def guarded(self, serve: Callable[[Request, bytes], Body]) -> Endpoint:
        """Checks the token and the realm, and turns a QboFault into its answer."""

        async def endpoint(request: Request) -> Response:
            raw = await request.body()
            try:
                self._admit(request)
                return answer(200, serve(request, raw))
            except QboFault as fault:
                return self._fault(fault)

        return endpoint

    def _admit(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not self.emulator.oauth.valid(token):
            raise stopped_at_gateway(401, 3200, "AuthenticationFailed", "Token expired" if token else "Token missing")
        if request.path_params["realm"] != self.emulator.realm_id:
            raise stopped_at_gateway(403, 3100, "ApplicationAuthorizationFailed", "No access to this company")
        self.emulator.api.throttle(batch=request.url.path.endswith("/batch"))

    def _fault(self, fault: QboFault) -> Response:
        body = fault.body
        if "Fault" in body:
            body = body | {"time": self.emulator.records.now().isoformat(timespec="milliseconds")}
            if self.emulator.switches.faults_as_200:
                return answer(200, body)
        return answer(fault.status, body)

    def write(self, request: Request, raw: bytes) -> Body:
        return self.emulator.api.write(request.path_params["entity"], request.query_params, parsed(raw))

    def read(self, request: Request, _raw: bytes) -> Body:
        return self.emulator.api.read(
            request.path_params["entity"], request.path_params.get("id"), request.query_params
        )

    def query(self, request: Request, raw: bytes) -> Body:
        return self.emulator.api.query(
            raw.decode(errors="replace") if request.method == "POST" else request.query_params.get("query", "")
        )

    def changes(self, request: Request, _raw: bytes) -> Body:
        return self.emulator.api.changes(request.query_params)

    def batch(self, request: Request, raw: bytes) -> Body:
        return self.emulator.api.batch(request.query_params, parsed(raw))

    # --- OAuth 2 ------------------------------------------------------------------------------------------------------

    async def discovery(self, request: Request) -> Response:
        base = str(request.base_url).rstrip("/")
        return JSONResponse(
            {
                "issuer": base,
                "authorization_endpoint": f"{base}/oauth2/authorize",
                "token_endpoint": f"{base}/oauth2/v1/tokens/bearer",
                "revocation_endpoint": f"{base}/oauth2/v1/tokens/revoke",
                "userinfo_endpoint": f"{base}/oauth2/v1/userinfo",
                "jwks_uri": f"{base}/oauth2/v1/jwks",
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code", "refresh_token"],
                "scopes_supported": ["openid", "com.intuit.quickbooks.accounting"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            }
        )

    async def authorize(self, request: Request) -> Response:
        """A page with a Connect button; with auto=1 the consent is taken as given."""
        params = dict(request.query_params)
        redirect_uri = params.get("redirect_uri", "")
        if params.get("client_id") != self.emulator.client_id or not redirect_uri.startswith(("http://", "https://")):
            return HTMLResponse("<h1>Unknown client_id, or no redirect_uri</h1>", status_code=400)
        if params.get("auto") != "1":
            fields = "".join(
                f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
                for name, value in params.items()
            )
            company = self.emulator.records.require("CompanyInfo", "1")["CompanyName"]
            return HTMLResponse(PAGE.format(company=html.escape(company), client="An app", fields=fields))
        result = {"state": params.get("state", "")}
        if "deny" in params:
            result |= {"error": "access_denied"}
        else:
            code = self.emulator.oauth.issue_code(redirect_uri)
            result |= {"code": code, "realmId": self.emulator.realm_id}
        joint = "&" if "?" in redirect_uri else "?"
        return RedirectResponse(redirect_uri + joint + urlencode(result), status_code=302)

    async def token(self, request: Request) -> Response:
        form = await request.form()
        try:
            self._known_client(request)
            grant = form.get("grant_type")
            if grant == "authorization_code":
                tokens = self.emulator.oauth.exchange(str(form.get("code")), str(form.get("redirect_uri")))
            elif grant == "refresh_token":
                tokens = self.emulator.oauth.refresh(str(form.get("refresh_token")))
            else:
                raise OAuthError("unsupported_grant_type", f"{grant} is not supported.")
        except OAuthError as error:
            return JSONResponse(error.body, status_code=error.status)
        if request.headers.get("x-include-refresh-token-hard-expires-in") != "true":
            tokens.pop("x_refresh_token_hard_expires_in")
        return JSONResponse(tokens, headers={"Cache-Control": "no-cache, no-store"})

    async def revoke(self, request: Request) -> Response:
        try:
            self._known_client(request)
            self.emulator.oauth.revoke(str(parsed(await request.body()).get("token")))
        except OAuthError as error:
            return JSONResponse(error.body, status_code=error.status)
        return Response(status_code=200)

    def _known_client(self, request: Request) -> None:
        expected = base64.b64encode(f"{self.emulator.client_id}:{self.emulator.client_secret}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {expected}":
            raise OAuthError("invalid_client", "Client authentication failed.", 401)

    async def user(self, _request: Request) -> Response:
        return JSONResponse({"sub": "1", "email": "owner@example.com", "emailVerified": True})

    async def jwks(self, _request: Request) -> Response:
        return JSONResponse({"keys": []})

    # --- controls -----------------------------------------------------------------------------------------------------

    async def switches(self, request: Request) -> Response:
        if request.method == "POST":
            try:
                self.emulator.switch(**await request.json())
            except (TypeError, ValueError) as error:
                return JSONResponse({"error": str(error)}, status_code=400)
        return JSONResponse(asdict(self.emulator.switches))

    async def webhooks(self, request: Request) -> Response:
        body = await request.json()
        self.emulator.webhooks.configure(body.get("url"), body.get("verifier_token"))
        self.emulator.webhooks.duplicates = float(body.get("duplicates", 0))
        return JSONResponse({"url": self.emulator.webhooks.url})

    async def tokens(self, _request: Request) -> Response:
        return JSONResponse(self.emulator.issue_tokens() | {"realm_id": self.emulator.realm_id})

    async def expire(self, _request: Request) -> Response:
        self.emulator.oauth.expire_access_tokens()
        return JSONResponse({})

    async def tick(self, _request: Request) -> Response:
        await run_in_threadpool(self.emulator.tick)
        return JSONResponse({})

    async def trial_balance(self, request: Request) -> Response:
        text = request.query_params.get("as_of")
        return JSONResponse(self.emulator.trial_balance(date.fromisoformat(text) if text else None))


def parsed(raw: bytes) -> Body:
    try:
        body = json.loads(raw or b"{}", parse_float=Decimal)
    except ValueError as error:
        raise refused(2010, "Request has invalid or unsupported property", f"The body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise refused(2010, "Request has invalid or unsupported property", "The body is not an object.")
    return body


def answer(status: int, body: Any) -> Response:
    return Response(orjson.dumps(body), status_code=status, media_type="application/json")


class TransactionIds:
    """Every answer, a fault's too, carries an intuit_tid."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.numbers = app, itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        number = next(self.numbers)

        async def with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"intuit_tid", f"1-{number:08x}-tieout".encode())]
            await send(message)

        await self.app(scope, receive, with_id)


def application(emulator: "QboEmulator") -> Starlette:
    pages, company = Pages(emulator), "/v3/company/{realm}"
    routes = [
        Route(f"{company}/query", pages.guarded(pages.query), methods=["GET", "POST"]),
        Route(f"{company}/cdc", pages.guarded(pages.changes), methods=["GET"]),
        Route(f"{company}/batch", pages.guarded(pages.batch), methods=["POST"]),
        Route(f"{company}/{{entity}}", pages.guarded(pages.write), methods=["POST"]),
        Route(f"{company}/{{entity}}", pages.guarded(pages.read), methods=["GET"]),
        Route(f"{company}/{{entity}}/{{id}}", pages.guarded(pages.read), methods=["GET"]),
        Route("/.well-known/openid_configuration", pages.discovery),
        Route("/oauth2/authorize", pages.authorize),
        Route("/oauth2/v1/tokens/bearer", pages.token, methods=["POST"]),
        Route("/oauth2/v1/tokens/revoke", pages.revoke, methods=["POST"]),
        Route("/oauth2/v1/userinfo", pages.user),
        Route("/oauth2/v1/jwks", pages.jwks),
        Route("/_emulator/faults", set_faults, methods=["POST"]),
        Route("/_emulator/switches", pages.switches, methods=["GET", "POST"]),
        Route("/_emulator/webhooks", pages.webhooks, methods=["POST"]),
        Route("/_emulator/tokens", pages.tokens, methods=["POST"]),
        Route("/_emulator/expire-tokens", pages.expire, methods=["POST"]),
        Route("/_emulator/tick", pages.tick, methods=["POST"]),
        Route("/_emulator/trial-balance", pages.trial_balance, methods=["GET"]),
    ]
    middleware = [Middleware(TransactionIds), Middleware(FaultMiddleware, emulator.faults, FAULT_BODIES)]
    app = Starlette(routes=routes, middleware=middleware)
    app.state.faults = emulator.faults
    return app
