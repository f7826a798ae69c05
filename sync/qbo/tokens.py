"""The access to one company: refreshed ahead of time, the rotated token stored before it is used."""

from datetime import datetime, timedelta

from intuitlib.client import AuthClient
from intuitlib.exceptions import AuthClientError

from storage import connections
from storage.engine import Database
from storage.vault import Vault
from sync.errors import Transient, Unauthorized
from sync.ports import Clock

AHEAD = timedelta(minutes=5)


class VaultTokens:
    """Implements sync.qbo.client.Tokens on the vault."""

    def __init__(self, database: Database, vault: Vault, clock: Clock, connection_id: int, discovery: str) -> None:
        self._database, self._vault, self._clock = database, vault, clock
        self._connection_id, self._discovery = connection_id, discovery
        self._token: str | None = None
        self._expires_at: datetime | None = None

    def access_token(self) -> str:
        if self._token is None:
            self._load()
        if self._token is None or self._expires_at is None or self._clock.now() >= self._expires_at - AHEAD:
            return self._refresh()
        return self._token

    def refresh(self, refused: str) -> str:
        self._load()
        if self._token is not None and self._token != refused:
            return self._token  # somebody else refreshed meanwhile
        return self._refresh()

    def _load(self) -> None:
        self._token = self._secret("access_token")
        expires_at = self._secret("access_expires_at")
        self._expires_at = datetime.fromisoformat(expires_at) if expires_at else None

    def _refresh(self) -> str:
        try:
            client = AuthClient(
                self._secret("client_id"), self._secret("client_secret"), "", environment=self._discovery
            )
            client.refresh(refresh_token=self._secret("refresh_token"))
        except AuthClientError as error:
            if error.status_code in (400, 401):
                plain = "QuickBooks no longer accepts the connection. Connect to QuickBooks again."
                raise Unauthorized(plain, technical=f"refresh HTTP {error.status_code}") from None
            raise Transient("QuickBooks did not renew the access.", technical=f"HTTP {error.status_code}") from None
        self._store(client.access_token, client.refresh_token, int(client.expires_in))
        return str(client.access_token)

    def _store(self, access_token: str, refresh_token: str, lifetime_s: int) -> None:
        now = self._clock.now()
        expires_at = now + timedelta(seconds=lifetime_s)
        values = {
            "access_token": access_token,
            "refresh_token": refresh_token,
            "access_expires_at": expires_at.isoformat(),
        }
        with self._database.write() as conn:
            for purpose, value in values.items():
                connections.store_secret(conn, self._vault, self._connection_id, purpose, value, now)
        self._token, self._expires_at = access_token, expires_at

    def _secret(self, purpose: str) -> str | None:
        with self._database.read() as conn:
            return connections.secret(conn, self._vault, self._connection_id, purpose)
