"""Making connections and the link between them: the same for real accounts and for the demo's."""

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from intuitlib.client import AuthClient
from intuitlib.enums import Scopes
from intuitlib.exceptions import AuthClientError

from reconcile.postings import Policies
from storage import audit, connections
from storage.connections import Connection
from storage.records import to_json
from sync import chart
from sync.adapters import quickbooks_carry, stripe_client
from sync.environment import Environment
from sync.errors import Rejected, Unauthorized
from sync.qbo.tokens import CONSENT, IntuitClient
from sync.stripe.adapter import EVENT_TYPES, StripeProcessor
from sync.stripe.client import API_VERSION, call, make_client

SANDBOX_API = "https://sandbox-quickbooks.api.intuit.com/v3"
MODE_OF_KEY = {"sk_live_": "live", "rk_live_": "live", "sk_test_": "test", "rk_test_": "test"}


@dataclass(frozen=True, kw_only=True)
class QuickBooksAccess:
    """What opens one company; secrets are not shown. `settings`: its addresses, unless Intuit's own, and limits."""

    realm_id: str
    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    refresh_token: str = field(repr=False)
    webhook_secret: str | None = field(default=None, repr=False)
    settings: dict[str, Any] = field(default_factory=dict)


def mode_of_key(key: str) -> str:
    """live or test, as Stripe's key says. Raises Rejected for what is no secret or restricted key."""
    for prefix, mode in MODE_OF_KEY.items():
        if key.startswith(prefix):
            return mode
    raise Rejected("This is not a secret or restricted key of Stripe; those begin with sk_ or rk_.")


def connect_stripe(environment: Environment, key: str, mode: str, settings: dict[str, str]) -> tuple[int, str]:
    """Stores the account the key belongs to; gives the connection's id and the account's time zone."""
    account_id, name, zone = StripeProcessor(make_client(key, settings.get("api"))).account()
    connection_id = _keep(
        environment,
        system="stripe",
        external_id=account_id,
        name=name,
        mode=mode,
        settings=settings,
        secrets={"key": key},
    )
    return connection_id, zone


def connect_quickbooks(environment: Environment, access: QuickBooksAccess, mode: str) -> int:
    """Stores a company and gives its connection's id; its name is read from the books."""
    secrets = {
        "client_id": access.client_id,
        "client_secret": access.client_secret,
        "refresh_token": access.refresh_token,
    }
    if access.webhook_secret:
        secrets["webhook_secret"] = access.webhook_secret
    connection_id = _keep(
        environment,
        system="qbo",
        external_id=access.realm_id,
        name="QuickBooks company",
        mode=mode,
        settings=access.settings,
        secrets=secrets,
    )
    with environment.database.write() as conn:
        connections.record_consent(conn, connection_id, environment.clock.now() + CONSENT)  # until Intuit states it
        ledger = connections.connection(conn, connection_id)
    name = chart.company_name(quickbooks_carry(environment, ledger))
    with environment.database.write() as conn:
        connections.rename(conn, connection_id, name)
    return connection_id


def _keep(
    environment: Environment,
    *,
    system: str,
    external_id: str,
    name: str,
    mode: str,
    settings: dict[str, Any],
    secrets: dict[str, str],
) -> int:
    """Stores an account or company with what opens it. One that is known is opened again, and keeps all it has."""
    now = environment.clock.now()
    with environment.database.write() as conn:
        known = connections.find_connection(conn, system, external_id)
        if known is not None and known.mode != mode:
            raise Rejected(f"{known.name} is connected already, for {known.mode} and not for {mode}.")
        if known is None:
            connection_id = connections.add_connection(
                conn, system=system, external_id=external_id, name=name, mode=mode, settings=settings, at=now
            )
        else:
            connection_id = known.id
            connections.change_settings(conn, connection_id, known.settings | settings)
            connections.set_state(conn, connection_id, "ready", None, now)
        for purpose, value in secrets.items():
            connections.store_secret(conn, environment.vault, connection_id, purpose, value, now)
    return connection_id


def joined_to(environment: Environment, processor_id: int) -> int | None:
    """The company a Stripe account is joined to."""
    with environment.database.read() as conn:
        return next((link.ledger_id for link in connections.all_links(conn) if link.processor_id == processor_id), None)


def make_link(
    environment: Environment,
    *,
    processor_id: int,
    ledger_id: int,
    cutover: date,
    time_zone: str,
    policies: Policies,
    posting_on: bool,
    actor: str,
) -> int:
    """Joins them, with the default mappings; makes the accounts that are missing in the company."""
    with environment.database.read() as conn:
        sides = [connections.connection(conn, side) for side in (processor_id, ledger_id)]
    if sides[0].mode != sides[1].mode:
        raise Rejected(f"A {sides[0].mode} Stripe account cannot be joined to a {sides[1].mode} company.")
    carry = quickbooks_carry(environment, sides[1])
    home = chart.home_currency(carry)
    mappings = chart.prepare(carry, home)
    for currency in _settlement_currencies(environment, sides[0], home):
        with suppress(Rejected):  # the company has one currency: what comes in others waits, and says what to do
            mappings = chart.add_currency(carry, mappings, currency)
    with environment.database.write() as conn:
        link_id = connections.add_link(
            conn,
            processor_id=processor_id,
            ledger_id=ledger_id,
            name=sides[1].name,
            cutover=cutover,
            time_zone=time_zone,
            mappings=mappings,
            policies=policies,
            posting_on=posting_on,
        )
        detail = {"stripe": sides[0].external_id, "quickbooks": sides[1].external_id, "cutover": cutover.isoformat()}
        entry = audit.Entry(actor=actor, action="connected", subject=f"link {link_id}", link_id=link_id, detail=detail)
        audit.append(conn, environment.clock.now(), [entry])
    return link_id


def _settlement_currencies(environment: Environment, processor: Connection, home: str) -> list[str]:
    """In what other currencies than the company's Stripe keeps a balance."""
    balance = StripeProcessor(stripe_client(environment, processor)).balance()
    return sorted(currency for currency in balance if currency != home)


def link_of(environment: Environment, link_id: int | None) -> int:
    """A link by its id, or the only one. Raises Rejected if there is none, or which one is not clear."""
    with environment.database.read() as conn:
        ids = [link.id for link in connections.all_links(conn)]
    if link_id in ids:
        return link_id
    if link_id is None and len(ids) == 1:
        return ids[0]
    raise Rejected(f"Say which link: {', '.join(map(str, ids))}." if ids else "Nothing is connected yet.")


def add_currency(environment: Environment, link_id: int, currency: str, actor: str) -> None:
    """Makes what a Stripe balance in another currency needs in the company. Raises Rejected if it cannot be."""
    with environment.database.read() as conn:
        link = connections.link(conn, link_id)
        ledger = connections.connection(conn, link.ledger_id)
    mappings = chart.add_currency(quickbooks_carry(environment, ledger), link.mappings, currency)
    with environment.database.write() as conn:
        connections.change_link(conn, link_id, mappings=to_json(mappings))
        detail = {"currency": currency, "clearing": mappings.clearing[currency]}
        entry = audit.Entry(
            actor=actor, action="added currency", subject=f"link {link_id}", link_id=link_id, detail=detail
        )
        audit.append(conn, environment.clock.now(), [entry])


def subscribe(environment: Environment, key: str, settings: dict[str, str], connection_id: int, hooks: str) -> None:
    """Asks Stripe to tell us of events as they happen, at our public address."""
    client = make_client(key, settings.get("api"))
    params: Any = {
        "url": f"{hooks}/webhooks/stripe/{connection_id}",
        "enabled_events": list(EVENT_TYPES),
        "api_version": API_VERSION,
    }
    endpoint = call(lambda: client.v1.webhook_endpoints.create(params))
    with environment.database.write() as conn:
        now = environment.clock.now()
        connections.store_secret(conn, environment.vault, connection_id, "webhook_secret", str(endpoint.secret), now)


# ---- OAuth


def auth_client(client_id: str, client_secret: str, redirect_uri: str, discovery: str) -> AuthClient:
    """Intuit's client; `discovery` is `sandbox`, `production`, or the address of a discovery document."""
    return IntuitClient(client_id, client_secret, redirect_uri, environment=discovery)


def consent_address(client: AuthClient, state: str) -> str:
    """Where the person says yes; Intuit sends their browser back with a code and our `state`."""
    return str(client.get_authorization_url([Scopes.ACCOUNTING], state_token=state))


def redeem(client: AuthClient, code: str, realm_id: str) -> str:
    """The refresh token for a code. Raises Unauthorized if Intuit does not take it."""
    try:
        client.get_bearer_token(code, realm_id=realm_id)
    except AuthClientError as error:
        plain = "QuickBooks did not accept the consent. Start again with `tieout connect`."
        raise Unauthorized(plain, technical=f"HTTP {error.status_code}") from None
    return str(client.refresh_token)
