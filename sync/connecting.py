"""Making connections and the link between them: the same from the pages, the terminal and for the demo.

Whatever is connected again keeps its history: the connection stays, only its credentials are new, and only if they are
for the same account or company.
"""

from contextlib import suppress
from datetime import date
from typing import Any

from reconcile.postings import Mappings, Policies
from storage import audit, connections, leases
from storage.connections import Connection
from storage.records import to_json
from sync import chart
from sync.adapters import quickbooks_carry, stripe_client
from sync.environment import Environment, StandIns
from sync.errors import Rejected, Transient, Unauthorized
from sync.oauth import QuickBooksAccess, renew
from sync.ports import Request
from sync.qbo import faults
from sync.qbo.client import Client
from sync.qbo.tokens import LEASE_S, POLL_S, REFRESH
from sync.stripe.adapter import StripeProcessor
from sync.stripe.client import make_client

SANDBOX_API = "https://sandbox-quickbooks.api.intuit.com/v3"
MODE_OF_KEY = {"sk_live_": "live", "rk_live_": "live", "sk_test_": "test", "rk_test_": "test"}
EMULATED = "emulated"


# ---- modes


def mode_of_key(key: str) -> str:
    """live or test, as Stripe's key says. Raises Rejected for what is no secret or restricted key."""
    for prefix, mode in MODE_OF_KEY.items():
        if key.startswith(prefix):
            return mode
    raise Rejected("This is not a secret or restricted key of Stripe; those begin with sk_ or rk_.")


def stripe_settings(stand_ins: StandIns | None) -> dict[str, Any]:
    return {"api": stand_ins.stripe} if stand_ins else {}


def quickbooks_settings(mode: str, stand_ins: StandIns | None) -> dict[str, Any]:
    """The addresses of a mode; `discovery` in intuit-oauth's own words for Intuit's two discovery documents."""
    if stand_ins:
        discovery = f"{stand_ins.intuit}/.well-known/openid_configuration"
        return {"discovery": discovery, "api": f"{stand_ins.intuit}/v3"}
    return {"discovery": "sandbox", "api": SANDBOX_API} if mode == "test" else {"discovery": "production"}


# ---- Stripe


def connect_stripe(
    environment: Environment,
    key: str,
    mode: str,
    settings: dict[str, Any],
    *,
    actor: str = "tieout",
    again: Connection | None = None,
) -> tuple[int, str]:
    """Stores the account the key belongs to; gives the connection's id and the account's time zone.

    `again` is the connection whose key this replaces. Raises Rejected if the key is for something else.
    """
    account_id, name, zone = StripeProcessor(make_client(key, settings.get("api"))).account()
    if again is not None and (account_id, mode) != (again.external_id, again.mode):
        raise Rejected(
            f"This key is for another account: {name} ({account_id}, {mode}). {again.name} is {again.external_id}, "
            f"{again.mode}. Nothing was changed; give a key of that account."
        )
    now = environment.clock.now()
    with environment.database.write() as conn:
        known = connections.find_connection(conn, "stripe", account_id, mode)
        if known is None:
            connection_id = connections.add_connection(
                conn,
                system="stripe",
                external_id=account_id,
                name=name,
                mode=mode,
                settings=settings | {"time_zone": zone},
                at=now,
            )
        else:
            connection_id = known.id
            connections.change_settings(conn, connection_id, known.settings | settings | {"time_zone": zone})
            connections.set_state(conn, connection_id, "ready", None, now)
        connections.store_secret(conn, environment.vault, connection_id, "key", key, now)
        _record(conn, environment, actor, "connected" if known is None else "connected again", connection_id)
    return connection_id, zone


# ---- QuickBooks


def connect_quickbooks(environment: Environment, access: QuickBooksAccess, mode: str, *, actor: str = "tieout") -> int:
    """Stores a company and gives its connection's id; its name is read from the books, which proves the access.

    A company that is connected already gets the new access. Raises Unauthorized if the access does not open it.
    """
    if access.access_token is None:
        access = renew(access, environment.clock)
    name = company_name(access)
    now = environment.clock.now()
    with environment.database.write() as conn:
        known = connections.find_connection(conn, "qbo", access.realm_id, mode)
        connection_id = known.id if known else _add_company(conn, access, name, mode, now)
    holder = hold_refreshing(environment, connection_id)
    with environment.database.write() as conn:
        _store_access(conn, environment, connection_id, access)
        if known is not None:
            connections.change_settings(conn, connection_id, known.settings | access.settings)
        connections.rename(conn, connection_id, name)
        connections.set_state(conn, connection_id, "ready", None, environment.clock.now())
        _record(conn, environment, actor, "connected" if known is None else "connected again", connection_id)
        leases.give_back(conn, connection_id, REFRESH, holder)
    return connection_id


def company_name(access: QuickBooksAccess) -> str:
    """Asks the company itself. Raises Unauthorized if the access is not for it."""
    client = Client(realm_id=access.realm_id, tokens=_Held(access), address=access.settings.get("api"))
    answer = client.send(Request(kind="read", path="query", body="SELECT * FROM CompanyInfo"))
    if answer.status in (401, 403):
        raise Unauthorized(f"The consent does not open the company {access.realm_id}. Connect to QuickBooks again.")
    found = faults.check(answer, write=False)["QueryResponse"].get("CompanyInfo") or [{}]
    return str(found[0].get("CompanyName") or "QuickBooks company")


class _Held:
    """Tokens that are not stored yet."""

    def __init__(self, access: QuickBooksAccess) -> None:
        self._token = str(access.access_token)

    def access_token(self) -> str:
        return self._token

    def refresh(self, refused: str) -> str:  # noqa: ARG002
        raise Unauthorized("A token as new as this is not refreshed.")


def _add_company(conn: Any, access: QuickBooksAccess, name: str, mode: str, now: Any) -> int:
    return connections.add_connection(
        conn, system="qbo", external_id=access.realm_id, name=name, mode=mode, settings=access.settings, at=now
    )


def hold_refreshing(environment: Environment, connection_id: int) -> str:
    """Keeps every worker from renewing the old access and storing it over the new one."""
    holder, clock = environment.rng.uuid(), environment.clock
    for _ in range(int(2 * LEASE_S / POLL_S)):
        with environment.database.write() as conn:
            if leases.take(conn, connection_id, REFRESH, holder, clock.now(), LEASE_S):
                return holder
        clock.sleep(POLL_S)
    raise Transient("QuickBooks' access is being renewed elsewhere. Try again in a minute.")


def _store_access(conn: Any, environment: Environment, connection_id: int, access: QuickBooksAccess) -> None:
    assert access.access_token is not None
    assert access.expires_at is not None
    assert access.consent_ends_at is not None
    values = {
        "client_id": access.client_id,
        "client_secret": access.client_secret,
        "refresh_token": access.refresh_token,
        "access_token": access.access_token,
        "access_expires_at": access.expires_at.isoformat(),
    }
    if access.webhook_secret:
        values["webhook_secret"] = access.webhook_secret
    for purpose, value in values.items():
        connections.store_secret(conn, environment.vault, connection_id, purpose, value, environment.clock.now())
    connections.record_consent(conn, connection_id, access.consent_ends_at)


# ---- the link


def joined_to(environment: Environment, processor_id: int) -> int | None:
    """The company a Stripe account is joined to."""
    with environment.database.read() as conn:
        return next((link.ledger_id for link in connections.all_links(conn) if link.processor_id == processor_id), None)


def make_link(  # noqa: PLR0913 - each is one fact of the link
    environment: Environment,
    *,
    processor_id: int,
    ledger_id: int,
    cutover: date,
    time_zone: str,
    policies: Policies,
    posting_on: bool,
    actor: str,
    create_missing: bool = True,
) -> int:
    """Joins them, with the mappings that the chart of accounts suggests. Raises Rejected if they do not go together.

    `create_missing` makes the accounts, items and the vendor that the company lacks; without it nothing is written
    into the books.
    """
    with environment.database.read() as conn:
        sides = [connections.connection(conn, side) for side in (processor_id, ledger_id)]
        taken = [link for link in connections.all_links(conn) if link.processor_id == processor_id]
    if sides[0].mode != sides[1].mode:
        raise Rejected(f"A {sides[0].mode} Stripe account cannot be joined to a {sides[1].mode} company.")
    if taken:
        raise Rejected(f"{sides[0].name} is joined to {taken[0].name} already. A Stripe account has one company.")
    mappings = _mappings(environment, sides) if create_missing else Mappings()
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
        connections.change_link(conn, link_id, mappings=to_json(mappings), openings=None)
        detail = {"currency": currency, "clearing": mappings.clearing[currency]}
        entry = audit.Entry(
            actor=actor, action="added currency", subject=f"link {link_id}", link_id=link_id, detail=detail
        )
        audit.append(conn, environment.clock.now(), [entry])


def _mappings(environment: Environment, sides: list[Connection]) -> Mappings:
    """The defaults, everything made that they lack; also for the other currencies that Stripe keeps a balance in."""
    carry = quickbooks_carry(environment, sides[1])
    home = chart.home_currency(carry)
    mappings = chart.prepare(carry, home)
    for currency in _settlement_currencies(environment, sides[0], home):
        with suppress(Rejected):  # the company has one currency: what comes in others waits, and says what to do
            mappings = chart.add_currency(carry, mappings, currency)
    return mappings


def _record(conn: Any, environment: Environment, actor: str, action: str, connection_id: int) -> None:
    """In the audit log: who, which account, which mode; never a secret."""
    made = connections.connection(conn, connection_id)
    detail = {"system": made.system, "external_id": made.external_id, "mode": made.mode}
    entry = audit.Entry(actor=actor, action=action, subject=f"connection {connection_id}", detail=detail)
    audit.append(conn, environment.clock.now(), [entry])
