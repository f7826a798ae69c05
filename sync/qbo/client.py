"""python-quickbooks, wrapped once: this subclass owns the transport.

The library alone has no timeout, no refresh, no way to see the HTTP status, and sends its objects' defaults along
(exchange rate 1, floats). So it is given bytes we froze ourselves, and gives back bytes with their status.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import requests
from quickbooks import QuickBooks
from requests.adapters import HTTPAdapter

from sync.clock import SystemClock
from sync.errors import Transient, Unauthorized
from sync.ports import Clock, Request, Response

MINOR_VERSION = 75
CONNECT_TIMEOUT_S = 10
KEPT_HEADERS = ("intuit_tid", "retry-after", "content-type")


class Tokens(Protocol):
    """Where the bearer comes from."""

    def access_token(self) -> str:
        """The token to use now; refreshed ahead of its expiry."""
        ...

    def refresh(self, refused: str) -> str:
        """A newer token than the one that was refused."""
        ...


class Client(QuickBooks):  # type: ignore[misc]
    """One company. Not shared between threads."""

    def __new__(cls, **_settings: Any) -> "Client":
        client: Client = QuickBooks.__new__(cls, minorversion=MINOR_VERSION)
        return client

    def __init__(
        self, *, realm_id: str, tokens: Tokens, address: str | None = None, clock: Clock | None = None
    ) -> None:
        assert realm_id.isascii(), "checked where it came from"
        assert realm_id.isdigit(), "a company's id is a number"
        self.company_id = realm_id
        self.tokens, self.clock = tokens, clock or SystemClock()
        if address:
            self.api_url_v3 = address
        self.session = requests.Session()
        self.session.mount("http://", HTTPAdapter(max_retries=0))
        self.session.mount("https://", HTTPAdapter(max_retries=0))

    def send(self, request: Request) -> Response:
        """Carries one request of the ledger port. Never raises: a lost answer comes back as `lost`."""
        try:
            token = self.tokens.access_token()
            answer = self._send_once(request, token)
            if answer.status == 401:
                answer = self._send_once(request, self.tokens.refresh(token))
        except Unauthorized:
            return Response(status=401, body="{}")
        except Transient as error:
            return Response(status=0, body="", lost=f"unsent: {error.technical}")
        except requests.exceptions.ConnectionError as error:
            return Response(status=0, body="", lost=_how_lost(error))
        except requests.exceptions.RequestException as error:
            return Response(status=0, body="", lost=f"lost: {type(error).__name__}")
        return answer

    def process_request(  # the library's own seam for transports
        self, request_type: str, url: str, headers: Mapping[str, str], params: Mapping[str, str], data: Any
    ) -> requests.Response:
        timeout = (CONNECT_TIMEOUT_S, self._deadline_s)
        return self.session.request(
            request_type,
            url,
            headers={**headers, "Authorization": f"Bearer {self._token}"},
            params={**params},  # the library writes into the caller's dict; ours is never reused
            data=data or None,
            timeout=timeout,
            allow_redirects=False,
        )

    def _send_once(self, request: Request, token: str) -> Response:
        self._token, self._deadline_s = token, request.deadline_s
        query = {**request.query, "minorversion": str(MINOR_VERSION)}
        url = f"{self.api_url}/company/{self.company_id}/{request.path}"
        text = request.path == "query"
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/text" if text else "application/json",
        }
        method = "POST" if request.body else "GET"
        if request.send_by is not None and self.clock.now() > request.send_by:
            raise Transient("Tieout was held up before it could send this.", technical="held up past its lease")
        answer = self.process_request(method, url, headers, query, request.body.encode())
        kept = {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers}
        return Response(status=answer.status_code, body=answer.text, headers=kept)


def _how_lost(error: requests.exceptions.ConnectionError) -> str:
    """`unsent` if no connection was made, so that nothing can have been applied; else `lost`."""
    cause = getattr(error.args[0], "reason", None) if error.args else None
    refused = isinstance(error, requests.exceptions.ConnectTimeout) or type(cause).__name__ == "NewConnectionError"
    return f"{'unsent' if refused else 'lost'}: {type(error).__name__}"
