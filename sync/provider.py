"""The routes to and from a provider that says who people are. Who comes back becomes a session of our own.

Only somebody whom an admin has added is let in, in the role they have here; what the provider says of roles counts for
nothing. The attempt is kept by the browser that began it, sealed, and opens with the state that comes back only.
"""

import logging
from functools import partial

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from storage import users
from storage.vault import VaultError
from sync import gate, oidc
from sync.environment import Environment, public_url
from sync.oidc import Attempt, Provider, RefusedSignInError

PURPOSE = "sign-in"
STRANGE = "This sign-in was not begun in this browser, or was used already. Begin again."

log = logging.getLogger(__name__)


def routes(environment: Environment) -> list[Route]:
    """None without a provider. Raises DatabaseError for half of one."""
    oidc.check_settings()
    provider = oidc.configured()
    if provider is None:
        return []
    cookie = f"{gate.cookie_name(environment.database)}_provider"

    async def go(request: Request) -> Response:
        path = gate.safe_path(request.query_params.get("next", "/"))
        try:
            begun = partial(oidc.begin, provider, environment.rng, _redirect_uri(request), path)
            address, state, attempt = await run_in_threadpool(begun, environment.clock.now())
        except RefusedSignInError as error:
            return _refuse(error)
        sealed = environment.vault.seal(PURPOSE, state, msgspec.json.encode(attempt).decode())
        response = RedirectResponse(address, status_code=303, headers={"cache-control": "no-store"})
        response.set_cookie(
            cookie,
            sealed.decode(),
            max_age=int(oidc.LIFE.total_seconds()),
            path=gate.PROVIDER,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return response

    async def come_back(request: Request) -> Response:
        if request.method == "HEAD":  # whoever only looks does not use the answer up
            return Response()
        session_token, answer = environment.rng.token(43), dict(request.query_params)
        try:
            attempt = _attempt(environment, request.cookies.get(cookie, ""), answer.get("state", ""))
            await run_in_threadpool(_open, environment, provider, attempt, answer, session_token)
        except RefusedSignInError as error:
            response = _refuse(error)
        else:
            response = gate.signed_in(request, environment.database, session_token, attempt.path)
        response.delete_cookie(cookie, path=gate.PROVIDER)
        return response

    return [Route(gate.PROVIDER, go), Route(gate.PROVIDER_BACK, come_back)]


def _redirect_uri(request: Request) -> str:
    return f"{public_url() or str(request.base_url).rstrip('/')}{gate.PROVIDER_BACK}"


def _attempt(environment: Environment, sealed: str, state: str) -> Attempt:
    try:
        return msgspec.json.decode(environment.vault.open(PURPOSE, state, sealed.encode()), type=Attempt)
    except (VaultError, msgspec.MsgspecError):
        raise RefusedSignInError(STRANGE) from None


def _open(
    environment: Environment, provider: Provider, attempt: Attempt, answer: dict[str, str], session_token: str
) -> None:
    """A session for the user with the address that the provider vouches for."""
    email = oidc.identify(provider, attempt, answer, environment.clock.now())
    with environment.database.write() as conn:
        user = users.open_session_by_address(conn, email, session_token, environment.clock.now())
        known = users.find(conn, email=email)
    if user is not None:
        return
    if known is not None:
        raise RefusedSignInError(
            f"The access of {email} was taken away. An admin can give it again, on the page Users."
        )
    raise RefusedSignInError(f"{email} is not invited. An admin has to add this address first, on the page Users.")


def _refuse(error: RefusedSignInError) -> Response:
    log.warning("sign-in by the provider refused: %s", error)
    return gate.form("You are not signed in", str(error), "/", 403)
