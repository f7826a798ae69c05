"""Where Tieout sends its secrets: to the vendors' own addresses, and never on to where an answer points."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request as Asked
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from emulators.server import serve
from sync import oauth
from sync.clock import FixedClock
from sync.connecting import quickbooks_settings, stripe_settings
from sync.errors import SyncError, Unauthorized
from sync.oauth import QuickBooksAccess
from sync.ports import Request
from sync.qbo.client import Client
from sync.stripe.adapter import StripeProcessor
from sync.stripe.client import PacedClient, make_client

METHODS = ["GET", "POST"]


@dataclass
class Lure:
    """A vendor whose every answer says: go there instead."""

    address: str
    caught: list[str] = field(default_factory=list)


@pytest.fixture(params=[301, 302, 303, 307, 308])
def lure(request: pytest.FixtureRequest) -> Iterator[Lure]:
    caught: list[str] = []

    async def catch(asked: Asked) -> Response:
        caught.append(asked.url.path)
        return Response("{}")

    with serve(Starlette(routes=[Route("/{path:path}", catch, methods=METHODS)])) as elsewhere:

        async def point(asked: Asked) -> Response:
            return RedirectResponse(f"{elsewhere}/caught", request.param)

        with serve(Starlette(routes=[Route("/{path:path}", point, methods=METHODS)])) as address:
            yield Lure(address, caught)


class Tokens:
    def access_token(self) -> str:
        return "secret"

    def refresh(self, refused: str) -> str:
        return refused


def test_nobody_is_followed_to_another_host(lure: Lure) -> None:
    """Stripe's key, Intuit's tokens and the secret of the Intuit app stay where they were meant to go."""
    for client in (make_client("sk_test_1", lure.address), paced(lure.address)):
        with pytest.raises(SyncError):
            StripeProcessor(client).account()
    answer = Client(realm_id="1", tokens=Tokens(), address=f"{lure.address}/v3").send(
        Request(kind="write", path="payment", body="{}")
    )
    assert answer.status in (301, 302, 303, 307, 308)
    access = QuickBooksAccess(
        realm_id="1", client_id="i", client_secret="s", refresh_token="r", settings={"discovery": f"{lure.address}/d"}
    )
    for action in (oauth.renew, lambda given, _clock: oauth.revoke(given)):
        with pytest.raises(SyncError):
            action(access, FixedClock())
    assert lure.caught == []


def paced(address: str) -> Any:
    return make_client("sk_test_1", address, PacedClient(FixedClock(), 100))


@pytest.mark.parametrize(
    "realm_id", ["", "..", "1/../../oauth2", "1?x=", "1#", "1%2F2", "1@evil.example", "\uff11\uff12", "1\n2", "9" * 21]
)
def test_what_is_no_company_s_id_never_becomes_a_part_of_an_address(realm_id: str) -> None:
    with pytest.raises(Unauthorized, match="names no company"):
        oauth.redeem(None, "code", realm_id, {}, FixedClock())  # nobody is asked anything
    if not realm_id.isdigit() or not realm_id.isascii():
        with pytest.raises(AssertionError):
            Client(realm_id=realm_id, tokens=Tokens())


def test_the_addresses_are_the_vendors_own() -> None:
    assert stripe_settings(None) == {}, "the library's own: https://api.stripe.com"
    found = [quickbooks_settings(mode, None) for mode in ("live", "test")]
    addresses = [each["api"] for each in found if "api" in each]
    assert addresses == ["https://sandbox-quickbooks.api.intuit.com/v3"]
    assert Client.api_url_v3.startswith("https://quickbooks.api.intuit.com/")
