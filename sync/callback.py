"""Intuit's consent in the browser: a person is sent there from a page of ours, and comes back to our own route.

The answer counts only in the browser session that asked, once, and only for a while. Everybody else learns nothing.
"""

import os
from contextlib import suppress
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from storage import connections, consents, users
from storage.consents import Consent
from storage.users import User
from sync.commands import may
from sync.connecting import connect_quickbooks, quickbooks_settings
from sync.environment import Environment
from sync.errors import SyncError
from sync.gate import cookie_name, find_user, refuse
from sync.oauth import auth_client, consent_address, redeem, revoke

PATH = "/oauth/quickbooks"
BACK = "/connections"  # the page that says what came of it
CLIENT_SETTINGS = ("TIEOUT_INTUIT_CLIENT_ID", "TIEOUT_INTUIT_CLIENT_SECRET")
STRANGE = "This answer of QuickBooks belongs to no question that was asked here. Start again on the page Connections."


def known_client(environment: Environment, mode: str, connection_id: int | None = None) -> tuple[str, str] | None:
    """Id and secret of the Intuit app: this connection's, those of the settings, or another company's of this mode."""
    named = tuple(os.environ.get(name, "") for name in CLIENT_SETTINGS)
    with environment.database.read() as conn:
        companies = [each.id for each in connections.all_connections(conn) if (each.system, each.mode) == ("qbo", mode)]
        stored = {each: _stored_client(conn, environment, each) for each in companies}
    own = stored.pop(connection_id, None) if connection_id else None
    found = (own, named, *stored.values())
    return next(((str(pair[0]), str(pair[1])) for pair in found if pair and all(pair)), None)


def _stored_client(conn: Any, environment: Environment, connection_id: int) -> tuple[str | None, ...]:
    purposes = ("client_id", "client_secret")
    return tuple(connections.secret(conn, environment.vault, connection_id, purpose) for purpose in purposes)


def begin(
    environment: Environment,
    user: User,
    *,
    session: str,
    mode: str,
    origin: str,
    client: tuple[str, str],
    connection_id: int | None = None,
) -> str:
    """Where to send the person's browser. `session` is the hash of theirs, `origin` where it looks at our pages.

    Raises SyncError if Intuit cannot be reached or does not know the app.
    """
    settings = quickbooks_settings(mode, environment.stand_ins())
    state, redirect = environment.rng.token(43), f"{origin.rstrip('/')}{PATH}"
    address = consent_address(auth_client(*client, redirect, settings["discovery"]), state)
    with environment.database.write() as conn:
        consents.begin(
            conn,
            environment.vault,
            state=state,
            session=session,
            user_id=user.id,
            connection_id=connection_id,
            mode=mode,
            redirect_uri=redirect,
            client=client,
            at=environment.clock.now(),
        )
    return address


def routes(environment: Environment) -> list[Route]:
    """Where Intuit sends the browser back to, behind the gate."""

    async def come_back(request: Request) -> Response:
        if request.method == "HEAD":  # whoever only looks does not use the answer up
            return Response()
        token = request.cookies.get(cookie_name(environment.database), "")
        known = await run_in_threadpool(_accept, environment, token, dict(request.query_params))
        if not known:
            return refuse("Nothing was connected", STRANGE, 400)
        return RedirectResponse(BACK, status_code=303, headers={"cache-control": "no-store"})

    return [Route(PATH, come_back)]


def _accept(environment: Environment, token: str, answer: dict[str, str]) -> bool:
    """Opens what the person agreed to, and keeps what came of it for the page. False for a strange answer."""
    user = find_user(environment.database, environment.clock, token)
    if user is None:
        return False
    with environment.database.write() as conn:
        state, session = answer.get("state", ""), users.digest(token)
        found = consents.use(conn, environment.vault, state=state, session=session, at=environment.clock.now())
    if found is None:
        return False
    consent, client = found
    problem, opened_id = None, None
    try:
        problem = _problem(environment, consent, user, answer)
        opened_id = None if problem else _open(environment, consent, client, user, answer)
    except SyncError as error:
        problem = error.plain
    with environment.database.write() as conn:
        consents.finish(conn, consent.id, opened_id=opened_id, problem=problem)
    return True


def _problem(environment: Environment, consent: Consent, user: User, answer: dict[str, str]) -> str | None:
    """Why the code is not even redeemed: so nothing was opened, at Intuit either."""
    action = "connect" if consent.connection_id is None else "reconnect"
    if user.id != consent.user_id or not may(user, action):
        return STRANGE
    if not answer.get("code") or not answer.get("realmId"):
        return "QuickBooks gave no consent: it was declined, or no company was chosen. Nothing was changed."
    if consent.connection_id is None:
        return None
    with environment.database.read() as conn:
        expected = connections.connection(conn, consent.connection_id)
    if answer["realmId"] == expected.external_id:
        return None
    return (
        f"You chose another company (id {answer['realmId']}). This connection is to {expected.name} "
        f"(id {expected.external_id}). Nothing was changed; connect again and choose that one."
    )


def _open(
    environment: Environment, consent: Consent, client: tuple[str, str], user: User, answer: dict[str, str]
) -> int:
    settings = quickbooks_settings(consent.mode, environment.stand_ins())
    intuit = auth_client(*client, consent.redirect_uri, settings["discovery"])
    access = redeem(intuit, answer["code"], answer["realmId"], settings, environment.clock)
    try:
        return connect_quickbooks(environment, access, consent.mode, actor=user.email)
    except SyncError:
        with suppress(SyncError):
            revoke(access)  # nobody keeps it
        raise
