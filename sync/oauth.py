"""Intuit's OAuth 2: where a person says yes, the code they come back with, and the end of an access."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import requests
from intuitlib.client import AuthClient
from intuitlib.enums import Scopes
from intuitlib.exceptions import AuthClientError

from sync.errors import Transient, Unauthorized
from sync.ports import Clock
from sync.qbo.tokens import CONSENT, IntuitClient, consent_end

REALM = re.compile("[0-9]{1,20}")  # it becomes a part of addresses and of questions
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class QuickBooksAccess:
    """What opens one company; secrets are not shown. `settings`: its addresses, unless Intuit's own, and limits.

    `access_token` and its end are None until the refresh token was used for the first time.
    """

    realm_id: str
    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    refresh_token: str = field(repr=False)
    access_token: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None
    consent_ends_at: datetime | None = None
    webhook_secret: str | None = field(default=None, repr=False)
    settings: dict[str, Any] = field(default_factory=dict)


def auth_client(client_id: str, client_secret: str, redirect_uri: str, discovery: str) -> AuthClient:
    """Intuit's client; `discovery` is `sandbox`, `production`, or the address of a discovery document."""
    return _ask(
        lambda: IntuitClient(client_id, client_secret, redirect_uri, environment=discovery),
        refused="Intuit did not answer as it should. Try again later.",
    )


def consent_address(client: AuthClient, state: str) -> str:
    """Where the person says yes; Intuit sends their browser back with a code and our `state`."""
    return str(client.get_authorization_url([Scopes.ACCOUNTING], state_token=state))


def redeem(client: AuthClient, code: str, realm_id: str, settings: dict[str, Any], clock: Clock) -> QuickBooksAccess:
    """The access that a code stands for. Raises Unauthorized if Intuit does not take it, or for no company's id."""
    if not REALM.fullmatch(realm_id):
        raise Unauthorized("Intuit's answer names no company. Connect to QuickBooks again.")
    refused = (
        "Intuit did not accept the consent: it was used already, is too old, or client id and secret are not those of "
        "your app. Connect to QuickBooks again."
    )
    _ask(lambda: client.get_bearer_token(code, realm_id=realm_id), refused=refused)
    return _access(client, realm_id, settings, clock)


def renew(access: QuickBooksAccess, clock: Clock) -> QuickBooksAccess:
    """The same access, with a token that works now. Raises Unauthorized if Intuit does not take it."""
    discovery = access.settings.get("discovery", "production")
    client = auth_client(access.client_id, access.client_secret, "", discovery)
    _ask(lambda: client.refresh(access.refresh_token), refused="QuickBooks no longer accepts this access.")
    return replace(_access(client, access.realm_id, access.settings, clock), webhook_secret=access.webhook_secret)


def revoke(access: QuickBooksAccess) -> bool:
    """Ends the access at Intuit, so that nobody can use it; False if it had ended already. Raises Transient."""
    client = auth_client(access.client_id, access.client_secret, "", access.settings.get("discovery", "production"))
    try:
        _ask(lambda: client.revoke(access.refresh_token), refused="It had ended already.")
    except Unauthorized:
        return False
    return True


def _access(client: AuthClient, realm_id: str, settings: dict[str, Any], clock: Clock) -> QuickBooksAccess:
    now = clock.now()
    return QuickBooksAccess(
        realm_id=realm_id,
        client_id=client.client_id,
        client_secret=client.client_secret,
        refresh_token=str(client.refresh_token),
        access_token=str(client.access_token),
        expires_at=now + timedelta(seconds=int(client.expires_in)),
        consent_ends_at=consent_end(client, now) or now + CONSENT,
        settings=settings,
    )


def _ask(action: Callable[[], T], *, refused: str) -> T:
    """Runs a call of Intuit's client; raises sync.errors instead of its own."""
    try:
        return action()
    except AuthClientError as error:
        technical = f"HTTP {error.status_code} intuit_tid {error.intuit_tid}"
        if error.status_code < 500:
            raise Unauthorized(refused, technical=technical) from None
        raise Transient("Intuit did not answer. Try again in a minute.", technical=technical) from None
    except (requests.exceptions.RequestException, ValueError, KeyError) as error:
        raise Transient("Intuit could not be reached. Try again in a minute.", technical=type(error).__name__) from None
