"""OAuth 2: codes, access tokens of an hour, refresh tokens that change their value about once a day."""

from datetime import timedelta
from typing import Any

from emulators.clock import Clock, Rng
from emulators.store import Store

ACCESS_SECONDS = 3_600
REFRESH_SECONDS = 8_726_400  # 101 days, rolling
HARD_SECONDS = 5 * 365 * 86_400  # from the connection on, whatever is refreshed
ROTATION = timedelta(hours=24)


class OAuthError(Exception):
    def __init__(self, error: str, description: str, status: int = 400) -> None:
        self.status, self.body = status, {"error": error, "error_description": description}
        super().__init__(f"{error}: {description}")


class OAuth:
    """Codes and tokens are rows of the store: a restart keeps a connection."""

    def __init__(self, store: Store, clock: Clock, rng: Rng) -> None:
        self.store, self.clock, self.rng = store, clock, rng
        self.rotate_always = False

    def issue_code(self, redirect_uri: str) -> str:
        code = f"AB1{self._token(40)}"
        body = {"redirect_uri": redirect_uri, "expires": self.clock.timestamp() + 600}
        self.store.put("code", code, body, created=self.clock.timestamp())
        return code

    def exchange(self, code: str, redirect_uri: str) -> dict[str, Any]:
        with self.store.transaction():
            body = self.store.get("code", code)
            self.store.delete("code", code)
        if body is None or body["expires"] < self.clock.timestamp() or body["redirect_uri"] != redirect_uri:
            raise OAuthError("invalid_grant", "The code is unknown, used, expired or of another redirect_uri.")
        return self.issue_tokens()

    def issue_tokens(self) -> dict[str, Any]:
        return self._answer(self._new_refresh(self.clock.timestamp()))

    def refresh(self, token: str) -> dict[str, Any]:
        with self.store.transaction():
            now = self.clock.timestamp()
            body = self.store.get("refresh", token)
            if body is None or body["expires"] <= now or body["hard_expires"] <= now:
                raise OAuthError("invalid_grant", "Incorrect or invalid refresh token")
            if self.rotate_always or now - body["issued"] >= ROTATION.total_seconds():
                self.store.delete("refresh", token)
                body = self._new_refresh(body["connected"])
            else:
                body["expires"] = now + REFRESH_SECONDS
                self.store.put("refresh", token, body, created=now)
            return self._answer(body)

    def _new_refresh(self, connected: int) -> dict[str, Any]:
        now = self.clock.timestamp()
        body: dict[str, Any] = {
            "token": f"RT1-{self._token(40)}",
            "issued": now,
            "connected": connected,
            "expires": now + REFRESH_SECONDS,
            "hard_expires": connected + HARD_SECONDS,
        }
        self.store.put("refresh", body["token"], body, created=now)
        return body

    def _answer(self, refresh: dict[str, Any]) -> dict[str, Any]:
        now = self.clock.timestamp()
        access = f"eyJ{self._token(60)}"
        body = {"token": access, "expires": now + ACCESS_SECONDS, "refresh": refresh["token"]}
        self.store.put("access", access, body, created=now)
        return {
            "token_type": "bearer",
            "access_token": access,
            "expires_in": ACCESS_SECONDS,
            "refresh_token": refresh["token"],
            "x_refresh_token_expires_in": refresh["expires"] - now,
            "x_refresh_token_hard_expires_in": refresh["hard_expires"] - now,
        }

    def valid(self, access: str) -> bool:
        body = self.store.get("access", access)
        return body is not None and body["expires"] > self.clock.timestamp()

    def revoke(self, token: str) -> None:
        """Either token ends the connection."""
        with self.store.transaction():
            access = self.store.get("access", token)
            refresh = access["refresh"] if access else token
            if access is None and self.store.get("refresh", refresh) is None:
                raise OAuthError("invalid_grant", "The token is unknown.")
            self.store.delete("refresh", refresh)
            for row in self.store.find("access"):
                if row["refresh"] == refresh:
                    self.store.delete("access", row["token"])

    def expire_access_tokens(self) -> None:
        for row in self.store.find("access"):
            self.store.put("access", row["token"], row | {"expires": 0}, created=0)

    def _token(self, length: int) -> str:
        """Never the same twice, even where a stored world is opened again with its first seed."""
        return f"{self.store.number('token')}x{self.rng.token(length)}"
