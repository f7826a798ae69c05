"""Joins a link to its adapters: credentials out of the vault, addresses out of the connection."""

import stripe

from storage import connections
from storage.connections import Connection, Link
from sync.environment import Environment
from sync.errors import Rejected, Unauthorized
from sync.files import books
from sync.qbd.adapter import DesktopPeople, QuickBooksDesktop
from sync.qbo import limits
from sync.qbo.adapter import QuickBooksOnline
from sync.qbo.client import Client
from sync.qbo.limits import Carry
from sync.qbo.people import QuickBooksPeople
from sync.qbo.tokens import VaultTokens
from sync.qbo.window import QuickBooksWindow
from sync.stripe.adapter import StripeProcessor
from sync.stripe.client import PER_SECOND, PacedClient, make_client
from sync.worker import Adapters

DISCOVERY = "production"  # intuit-oauth's own word for Intuit's discovery document
VISITS_ONLY = (
    "Tieout reaches QuickBooks Desktop only when its Web Connector visits, which also brings its lists. Choose Update "
    "Selected in the Web Connector, then look here again."
)


def connect(environment: Environment, link: Link, lease_s: float = 150) -> Adapters | None:
    """Both sides of a link; None if it is one of files.

    Raises Unauthorized if one of them must be connected again first.
    """
    with environment.database.read() as conn:
        processor = connections.connection(conn, link.processor_id)
        ledger = connections.connection(conn, link.ledger_id)
    if processor.mode == books.MODE:
        return None
    for side in (processor, ledger):
        # A key of Stripe's may work again by itself; an access that Intuit has ended never does.
        if side.state == "disconnected" or (side.state == "reconnect" and side.system == "qbo"):
            raise Unauthorized(side.problem or f"{side.name} must be connected again.")
    if ledger.system == "qbd":
        return Adapters(
            processor=StripeProcessor(stripe_client(environment, processor)),
            ledger=QuickBooksDesktop(environment.database, environment.clock, environment.rng),
            carry=None,
            people=DesktopPeople(environment.database, environment.clock, link),
        )
    client = quickbooks_client(environment, ledger)
    ours = limits.of(environment.database, environment.clock, ledger)
    carry = limits.within(ours, client.send)
    return Adapters(
        processor=StripeProcessor(stripe_client(environment, processor)),
        ledger=QuickBooksOnline(
            environment.database,
            environment.clock,
            environment.rng,
            ours,
            lease_s=lease_s,
        ),
        carry=client.send,
        people=QuickBooksPeople(carry),
        books=QuickBooksWindow(carry),
    )


def stripe_client(environment: Environment, processor: Connection) -> stripe.StripeClient:
    per_second = PER_SECOND.get(processor.mode)
    paced = PacedClient(environment.clock, per_second) if per_second else None
    return make_client(_secret(environment, processor, "key"), processor.settings.get("api"), paced)


def quickbooks_carry(environment: Environment, ledger: Connection) -> Carry:
    """For what is asked outside the ledger port, by whoever waits for the answer. Raises Rejected for QuickBooks
    Desktop, which calls us.
    """
    if ledger.system == "qbd":
        raise Rejected(VISITS_ONLY)
    ours = limits.of(environment.database, environment.clock, ledger)
    return limits.within(ours, quickbooks_client(environment, ledger).send)


def quickbooks_client(environment: Environment, ledger: Connection) -> Client:
    tokens = VaultTokens(
        environment.database,
        environment.vault,
        environment.clock,
        environment.rng,
        ledger.id,
        ledger.settings.get("discovery", DISCOVERY),
    )
    address = ledger.settings.get("api")
    return Client(realm_id=ledger.external_id, tokens=tokens, clock=environment.clock, address=address)


def _secret(environment: Environment, connection: Connection, purpose: str) -> str:
    with environment.database.read() as conn:
        found = connections.secret(conn, environment.vault, connection.id, purpose)
    if found is None:
        raise Unauthorized(f"The connection to {connection.name} has no key. Connect it again.")
    return found
