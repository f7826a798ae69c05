"""The gate in front of the pages: nothing is answered without a session but health, hooks and the sign-in link.

A one-time link (`/sign-in?token=...`, printed where Tieout was started or made by an admin), an address with its
password, or a provider (sync.provider) opens a session; a cookie carries it.
"""

import hashlib
import re
from collections.abc import Callable
from functools import partial
from html import escape
from typing import Any
from urllib.parse import parse_qs, quote

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from storage import users
from storage.engine import Database
from storage.users import SESSION_LIFE, User
from sync import oidc, passwords
from sync.ports import Clock, Rng
from sync.qbd import qwc

SIGN_IN = "/sign-in"
PROVIDER, PROVIDER_BACK = f"{SIGN_IN}/provider", f"{SIGN_IN}/provider/back"
OPEN_PATHS = frozenset(("/_stcore/health", "/healthz", SIGN_IN, PROVIDER, PROVIDER_BACK))
CONNECTOR_PATHS = frozenset((qwc.PATH, qwc.SUPPORT_PATH))  # the Web Connector signs in by itself, and looks first
HOOKS = "/webhooks/"  # each verifies its sender by itself

# Scripts and styles are Streamlit's own, which needs inline styles and eval; whatever they want comes from here alone.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; connect-src 'self'; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # The address of a sign-in holds a secret, so no other site learns it. With "no-referrer" a browser would say
    # "Origin: null" of our own form too, and nobody could sign in with a password.
    "referrer-policy": "same-origin",
}
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Tieout</title><style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }}
body {{ max-width: 34rem; margin: 20vh auto; padding: 0 1.5rem }}
h1 {{ font-size: 1.25rem; margin: 0 0 .5rem }} p {{ margin: 0; opacity: .8 }}
form {{ margin: 1.5rem 0 0 }} label {{ display: block; margin: 0 0 .75rem; max-width: 20rem }}
input {{ display: block; font: inherit; width: 100%; box-sizing: border-box; padding: .4rem .5rem }}
button, .go {{ font: inherit; padding: .4rem 1rem }}
.go {{ display: inline-block; margin: 1.5rem 0 0; border: 1px solid; border-radius: 4px; text-decoration: none }}
</style></head><body><h1>{title}</h1><p>{text}</p>{more}</body></html>
"""
FORM = f"""<form method="post" action="{SIGN_IN}"><label>E-mail
<input name="email" type="email" autocomplete="username" required autofocus></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<input type="hidden" name="next" value="{{next}}"><button>Sign in</button></form>"""
CHOICE = """<p><a class="go" href="{go}">Sign in with {name}</a></p>"""
OWN = f"""<p><small><a href="{SIGN_IN}?with=password">An admin's password</a></small></p>"""
ADMINS_ONLY = (
    "Links and passwords of Tieout's own let in admins only here. Sign in with {name}; if that does not work, ask an "
    "admin."
)
UNKNOWN = "Open the sign-in link printed where Tieout was started or that an admin gave you, or sign in here."
WRONG = (
    "This address and password do not fit together, or there were too many wrong ones: then wait 15 minutes. "
    "Whoever forgot the password asks an admin for a sign-in link."
)
BODY_MAX = 4_096  # bytes of a sign-in form


def cookie_name(database: Database) -> str:
    """Browsers share cookies between ports, so each installation has a name of its own."""
    return f"tieout_{hashlib.sha256(database.url.encode()).hexdigest()[:8]}"


def sign_in_path(token: str) -> str:
    """What follows host and port in a sign-in link."""
    return f"{SIGN_IN}?token={token}"


class Gate:
    """ASGI middleware that lets only signed-in browsers through."""

    def __init__(self, app: ASGIApp, database: Database, clock: Clock) -> None:
        self._app, self._database, self._clock = app, database, clock
        self._cookie = cookie_name(database)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):  # the start and the end of the server
            await self._app(scope, receive, send)
            return
        if scope["type"] == "http":
            send = _with_headers(send)
        if _is_open(scope) or await self._is_signed_in(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _refusal(scope)(scope, receive, send)

    async def _is_signed_in(self, scope: Scope) -> bool:
        if scope["type"] == "websocket" and not _is_same_origin(scope):
            return False
        token = HTTPConnection(scope).cookies.get(self._cookie)
        if not token:
            return False
        return await run_in_threadpool(find_user, self._database, self._clock, token) is not None


def find_user(database: Database, clock: Clock, session_token: str | None) -> User | None:
    """Who is behind a session cookie."""
    if not session_token:
        return None
    with database.read() as conn:
        return users.session_user(conn, session_token, clock.now())


def sign_in_routes(database: Database, clock: Clock, rng: Rng) -> list[Route]:
    """The route that opens a session."""

    async def by_link(request: Request) -> Response:
        if request.method == "HEAD":  # whoever only looks at the link does not use it
            return Response()
        token = request.query_params.get("token", "")
        if not token:
            return form("Sign in", "", "/", 200, own="with" in request.query_params)
        text = "This link was used already or is too old. Ask an admin for a new one, or sign in here."
        opened = partial(_open_session, database, clock, token)
        return await let_in(request, opened, "/", text)

    async def by_password(request: Request) -> Response:
        if not _is_same_origin(request.scope):  # another site may not sign this browser in
            return refuse("You are not signed in", "Open Tieout itself to sign in.", 403)
        typed = await _typed(request)
        if typed is None:
            return refuse("You are not signed in", "This is not what the sign-in page sends.", 413)
        email, password, path = typed
        return await let_in(request, partial(_open_by_password, database, clock, email, password), path, WRONG)

    async def let_in(request: Request, opened: Callable[[str], User | None], path: str, wrong: str) -> Response:
        session_token = rng.token(43)
        try:
            user = await run_in_threadpool(opened, session_token)
        except AdminsOnlyError as error:
            return form("You are not signed in", str(error), path, 403)
        if user is None:
            return form("You are not signed in", wrong, path, 401, own=True)
        return signed_in(request, database, session_token, path)

    return [Route(SIGN_IN, by_link), Route(SIGN_IN, by_password, methods=["POST"])]


async def _typed(request: Request) -> tuple[str, str, str] | None:
    """Address, password and where to go; None if it is no such form."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > BODY_MAX:
            return None
    fields = {name: values[0] for name, values in parse_qs(body.decode(errors="replace")).items()}
    return users.normal(fields.get("email", "")), fields.get("password", ""), safe_path(fields.get("next", "/"))


def safe_path(path: str) -> str:
    """Where to go after the sign-in: never to another site."""
    return path if re.fullmatch(r"/[a-z-]*(\?[\w=&%.:+-]*)?", path) else "/"


def signed_in(request: Request, database: Database, session_token: str, path: str) -> Response:
    """The answer that gives the browser its session."""
    response = RedirectResponse(path, status_code=303, headers={"cache-control": "no-store"})
    response.set_cookie(
        cookie_name(database),
        session_token,
        max_age=int(SESSION_LIFE.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return response


def _open_session(database: Database, clock: Clock, token: str, session_token: str) -> User | None:
    with database.write() as conn:
        return _allowed(users.open_session(conn, token, session_token, clock.now()))


def _open_by_password(database: Database, clock: Clock, email: str, password: str, session_token: str) -> User | None:
    """Takes as long for an address nobody has, and hashes outside of any transaction."""
    now = clock.now()
    with database.read() as conn:
        stored = users.password_of(conn, email, now)
    fits = (passwords.fits(password[: passwords.LENGTH_MAX], stored or passwords.NOBODY) and stored) or None
    with database.write() as conn:
        return _allowed(users.open_session_by_password(conn, email, session_token, now, fits=fits))


class AdminsOnlyError(Exception):
    """A link or a password of our own, where only admins may use those."""


def _allowed(user: User | None) -> User | None:
    """Raised inside the transaction, so that nothing of it stays: no session, and a link not used up."""
    provider = oidc.configured()
    if user is None or user.role == "admin" or provider is None or oidc.is_local_for_all():
        return user
    raise AdminsOnlyError(ADMINS_ONLY.format(name=provider.name))


def _is_open(scope: Scope) -> bool:
    if scope["type"] != "http":
        return False
    path: str = scope["path"]
    return path in OPEN_PATHS or path in CONNECTOR_PATHS or (scope["method"] == "POST" and path.startswith(HOOKS))


def _is_same_origin(scope: Scope) -> bool:
    """A page of another site, or of another port here, may not use this browser's session."""
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    return origin is None or origin.partition("://")[2] == headers.get("host")


def _refusal(scope: Scope) -> Response:
    wants_page = scope["method"] == "GET" and "text/html" in Headers(scope=scope).get("accept", "")
    if not wants_page:
        return PlainTextResponse("Not signed in.", 401)
    query = scope["query_string"].decode("latin-1")
    text = UNKNOWN if oidc.is_local_for_all() else ""
    return form("You are not signed in", text, f"{scope['path']}{'?' if query else ''}{query}", 401)


def refuse(title: str, text: str, status: int, more: str = "") -> Response:
    """A page that says why there is nothing else to see. `text` and `more` are HTML."""
    page = PAGE.format(title=title, text=text, more=more)
    return HTMLResponse(page, status, headers={"cache-control": "no-store"})


def form(title: str, text: str, path: str, status: int, *, own: bool = False) -> Response:
    """The page with every way to sign in that there is; `own`: passwords too where they are for admins only."""
    provider, fields = oidc.configured(), FORM.format(next=escape(path))
    if provider is not None:
        choice = CHOICE.format(go=f"{PROVIDER}?next={quote(path)}", name=escape(provider.name))
        fields = choice + (fields if own or oidc.is_local_for_all() else OWN)
    return refuse(title, escape(text), status, fields)


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers: Any = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return send_with_headers
