"""`tieout connect`: asks for what it needs, opens both sides, and joins them with posting switched off.

Sides that are joined already are opened again: a key was replaced, or Intuit's consent has ended.
"""

import hmac
import threading
from dataclasses import dataclass, field
from typing import Any

import click
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from reconcile.postings import Policies
from sync.connecting import (
    EMULATED,
    connect_quickbooks,
    connect_stripe,
    joined_to,
    make_link,
    mode_of_key,
    quickbooks_settings,
    stripe_settings,
)
from sync.environment import Environment
from sync.errors import Rejected, Unauthorized
from sync.oauth import QuickBooksAccess, auth_client, consent_address, redeem

ACTOR = "command line"
PORT = 8502
PATH = "/oauth/quickbooks"
WAIT_S = 600


@dataclass
class Consent:
    """One answer of Intuit's, caught on a loopback port."""

    state: str
    arrived: threading.Event = field(default_factory=threading.Event)
    code: str = ""
    realm_id: str = ""

    async def catch(self, request: Request) -> PlainTextResponse:
        query = request.query_params
        if not hmac.compare_digest(query.get("state", ""), self.state):
            return PlainTextResponse("This is not the answer to the question asked here.", status_code=400)
        self.code, self.realm_id = query.get("code", ""), query.get("realmId", "")
        self.arrived.set()
        return PlainTextResponse("Thank you. Go back to the terminal; this page can be closed.")


def connect_interactively(environment: Environment) -> int:
    """Asks at the terminal; gives the exit status."""
    stand_ins = environment.stand_ins()
    key = click.prompt("Stripe secret or restricted key", hide_input=True)
    mode = EMULATED if stand_ins else mode_of_key(key)
    client_id = click.prompt("Client id of your Intuit app")
    client_secret = click.prompt("Client secret of your Intuit app", hide_input=True)
    access = ask_consent(environment, client_id, client_secret, quickbooks_settings(mode, stand_ins))
    ledger_id = connect_quickbooks(environment, access, mode, actor=ACTOR)
    processor_id, zone = connect_stripe(environment, key, mode, stripe_settings(stand_ins), actor=ACTOR)
    joined = joined_to(environment, processor_id)
    if joined not in (None, ledger_id):
        raise Rejected("This Stripe account is joined to another company already.")
    if joined is not None:
        click.echo("Connected again. The next sync goes on where the last one stopped.")
        return 0
    cutover = click.prompt("First day Tieout is responsible for", type=click.DateTime(["%Y-%m-%d"]))
    create = click.confirm("Create the accounts it needs in QuickBooks where they are missing?", default=True)
    make_link(
        environment,
        processor_id=processor_id,
        ledger_id=ledger_id,
        cutover=cutover.date(),
        time_zone=zone,
        policies=Policies(),
        posting_on=False,
        actor=ACTOR,
        create_missing=create,
    )
    click.echo("Connected. Posting is off: start `tieout serve`, look at the dry run, then switch posting on.")
    return 0


def ask_consent(
    environment: Environment, client_id: str, client_secret: str, settings: dict[str, Any]
) -> QuickBooksAccess:
    """Sends the person to Intuit and waits for the answer. Raises Unauthorized if none comes, or a no."""
    client = auth_client(client_id, client_secret, f"http://localhost:{PORT}{PATH}", settings["discovery"])
    consent = Consent(state=environment.rng.token(32))
    with _Listener(consent):
        click.echo(f"Open this page, choose the company and say yes:\n{consent_address(client, consent.state)}")
        if not consent.arrived.wait(WAIT_S) or not consent.code:
            raise Unauthorized("QuickBooks gave no consent. Start again with `tieout connect`.")
    return redeem(client, consent.code, consent.realm_id, settings, environment.clock)


class _Listener:
    """Serves the redirect on loopback until the answer is there."""

    def __init__(self, consent: Consent) -> None:
        app = Starlette(routes=[Route(PATH, consent.catch)])
        config = uvicorn.Config(app, host="127.0.0.1", port=PORT, log_level="critical", access_log=False)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            self._thread.join(0.01)

    def __exit__(self, *_error: Any) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=5)
