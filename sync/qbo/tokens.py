"""The access to one company: refreshed ahead of time, by one worker at a time.

Intuit replaces the refresh token now and then, and the one before is refused from then on. So whoever refreshes holds a
lease in the database, and what Intuit answered is stored before the new access is used; the others take it from there.
"""

from datetime import datetime, timedelta
from typing import Any

import requests
from intuitlib.client import AuthClient
from intuitlib.exceptions import AuthClientError

from storage import connections, leases
from storage.engine import Database
from storage.vault import Vault
from sync.errors import SyncError, Transient, Unauthorized
from sync.ports import Clock, Rng

AHEAD = timedelta(minutes=5)
TIMEOUT_S = 20
LEASE_S = 60.0  # longer than any refresh takes
POLL_S = 0.1
CONSENT = timedelta(days=5 * 365)  # Intuit ends a connection after five years, whatever was refreshed
REFRESH = "refresh"


class IntuitClient(AuthClient):  # type: ignore[misc]
    """Intuit's client, with a time limit, and asking when the consent ends."""

    def request(self, *arguments: Any, **options: Any) -> requests.Response:
        headers = {"x-include-refresh-token-hard-expires-in": "true"} | dict(options.pop("headers", None) or {})
        options["allow_redirects"] = False  # what is asked here holds secrets, and goes to Intuit alone
        answer: requests.Response = super().request(*arguments, **{"timeout": TIMEOUT_S, **options, "headers": headers})
        return answer


def consent_end(client: AuthClient, now: datetime) -> datetime | None:
    """When a person has to consent again, if Intuit said so."""
    stated = getattr(client, "x_refresh_token_hard_expires_in", None)
    return None if stated is None else now + timedelta(seconds=int(stated))


class VaultTokens:
    """Implements sync.qbo.client.Tokens on the vault."""

    def __init__(
        self, database: Database, vault: Vault, clock: Clock, rng: Rng, connection_id: int, discovery: str
    ) -> None:
        self._database, self._vault, self._clock = database, vault, clock
        self._connection_id, self._discovery = connection_id, discovery
        self._holder = rng.uuid()
        self._client: IntuitClient | None = None
        self._token: str | None = None
        self._expires_at: datetime | None = None

    def access_token(self) -> str:
        if not self._is_good():
            return self._renew(refused=None)
        assert self._token is not None
        return self._token

    def refresh(self, refused: str) -> str:
        return self._renew(refused)

    def _renew(self, refused: str | None) -> str:
        """A newer token: somebody else's, if they were quicker."""
        until = self._clock.now() + timedelta(seconds=2 * LEASE_S)
        while self._clock.now() < until:
            with self._database.write() as conn:
                self._load(conn)
                if self._is_good() and self._token not in (None, refused):
                    return str(self._token)
                now = self._clock.now()
                mine = leases.take(conn, self._connection_id, REFRESH, self._holder, now, LEASE_S)
            if mine:
                return self._refresh()
            self._clock.sleep(POLL_S)
        raise Transient("QuickBooks' access is being renewed elsewhere.", technical="the lease stayed taken")

    def _refresh(self) -> str:
        """Asks Intuit, holding the lease and no transaction."""
        try:
            client = self._ask_intuit()
        except SyncError:
            with self._database.write() as conn:
                leases.give_back(conn, self._connection_id, REFRESH, self._holder)
            raise
        now = self._clock.now()
        expires_at = now + timedelta(seconds=int(client.expires_in))
        values = {
            "refresh_token": str(client.refresh_token),
            "access_token": str(client.access_token),
            "access_expires_at": expires_at.isoformat(),
        }
        with self._database.write() as conn:
            for purpose, value in values.items():
                connections.store_secret(conn, self._vault, self._connection_id, purpose, value, now)
            stated = consent_end(client, now)
            if stated is not None:
                connections.record_consent(conn, self._connection_id, stated)
            leases.give_back(conn, self._connection_id, REFRESH, self._holder)
        self._token, self._expires_at = values["access_token"], expires_at
        return values["access_token"]

    def _ask_intuit(self) -> IntuitClient:
        with self._database.read() as conn:
            client_id, client_secret, token = (
                connections.secret(conn, self._vault, self._connection_id, purpose)
                for purpose in ("client_id", "client_secret", "refresh_token")
            )
        try:
            if self._client is None or (self._client.client_id, self._client.client_secret) != (
                client_id,
                client_secret,
            ):
                self._client = IntuitClient(client_id, client_secret, "", environment=self._discovery)
            self._client.refresh(refresh_token=token)
        except AuthClientError as error:
            raise _refusal(error) from None
        except requests.exceptions.RequestException as error:
            technical = f"refresh {type(error).__name__}"
            raise Transient("QuickBooks did not renew the access.", technical=technical) from None
        return self._client

    def _is_good(self) -> bool:
        return self._token is not None and self._expires_at is not None and self._clock.now() < self._expires_at - AHEAD

    def _load(self, conn: Any) -> None:
        self._token = connections.secret(conn, self._vault, self._connection_id, "access_token")
        expires_at = connections.secret(conn, self._vault, self._connection_id, "access_expires_at")
        self._expires_at = datetime.fromisoformat(expires_at) if expires_at else None


def _refusal(error: AuthClientError) -> SyncError:
    technical = f"refresh HTTP {error.status_code} intuit_tid {error.intuit_tid}"
    if error.status_code == 400:
        plain = "QuickBooks no longer accepts the connection. Connect to QuickBooks again."
        return Unauthorized(plain, technical=technical)
    if error.status_code == 401:
        plain = "Intuit refuses the client id or secret of your app. Connect to QuickBooks again, with the right ones."
        return Unauthorized(plain, technical=technical)
    return Transient("QuickBooks did not renew the access.", technical=technical)
