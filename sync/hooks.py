"""The secrets by which webhooks prove their sender. While one is changed, the one before is valid too."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any

import stripe

from storage import audit, connections
from storage.vault import Vault
from sync.environment import Environment
from sync.errors import Rejected, Unauthorized
from sync.stripe.client import API_VERSION, call, make_client
from sync.stripe.events import EVENT_TYPES

CURRENT, BEFORE = "webhook_secret", "webhook_secret_before"
OVERLAP = timedelta(days=3)  # Stripe tries to deliver an event for that long


def valid_secrets(conn: Any, vault: Vault, connection_id: int, now: datetime) -> list[str]:
    """One, or two while it is being changed; none if no webhooks are expected."""
    times = connections.secret_times(conn, connection_id)
    purposes = [CURRENT] if CURRENT in times else []
    if BEFORE in times and now < times[BEFORE] + OVERLAP:
        purposes.append(BEFORE)
    found = [connections.secret(conn, vault, connection_id, purpose) for purpose in purposes]
    return [secret for secret in found if secret]


def change_secret(conn: Any, environment: Environment, connection_id: int, secret: str, actor: str) -> bool:
    """A new secret; the one before stays valid for OVERLAP. False if it is the one already."""
    now, vault = environment.clock.now(), environment.vault
    present = connections.secret(conn, vault, connection_id, CURRENT)
    if present == secret:
        return False
    if present is not None:
        connections.store_secret(conn, vault, connection_id, BEFORE, present, now)
    connections.store_secret(conn, vault, connection_id, CURRENT, secret, now)
    entry = audit.Entry(actor=actor, action="changed webhook secret", subject=f"connection {connection_id}")
    audit.append(conn, now, [entry])
    return True


def retire(conn: Any, environment: Environment, connection_id: int, actor: str) -> bool:
    """The secret before the present one is not valid any more; False if there is none."""
    if not connections.forget_secrets(conn, connection_id, BEFORE):
        return False
    entry = audit.Entry(actor=actor, action="retired webhook secret", subject=f"connection {connection_id}")
    audit.append(conn, environment.clock.now(), [entry])
    return True


def address(base: str, system: str, connection_id: int) -> str:
    """Where the webhooks of a connection go."""
    return f"{base}/webhooks/{'stripe' if system == 'stripe' else 'quickbooks'}/{connection_id}"


def subscribe(environment: Environment, connection_id: int, base: str, *, actor: str = "tieout") -> None:
    """Asks Stripe to tell us of events as they happen, at our address; takes the place of an endpoint made earlier.

    Raises Rejected if the key may not do that.
    """
    with environment.database.read() as conn:
        connection = connections.connection(conn, connection_id)
        key = connections.secret(conn, environment.vault, connection_id, "key")
    client, url = make_client(str(key), connection.settings.get("api")), address(base, "stripe", connection_id)
    params: Any = {"url": url, "enabled_events": list(EVENT_TYPES), "api_version": API_VERSION}
    try:
        earlier = _endpoints(client, url)
        made = call(lambda: client.v1.webhook_endpoints.create(params))
    except Unauthorized as error:
        plain = (
            "Stripe does not let this key create webhook endpoints. Create one in Stripe's dashboard with the address "
            f"{url}, and paste its signing secret here."
        )
        raise Rejected(plain, technical=error.technical) from None
    with environment.database.write() as conn:
        change_secret(conn, environment, connection_id, str(made.secret), actor)
    _delete(client, earlier)


def unsubscribe(environment: Environment, connection_id: int, base: str) -> None:
    """Stripe sends nothing more to our address. Raises sync.errors."""
    with environment.database.read() as conn:
        connection = connections.connection(conn, connection_id)
        key = connections.secret(conn, environment.vault, connection_id, "key")
    if key:
        client = make_client(key, connection.settings.get("api"))
        _delete(client, _endpoints(client, address(base, "stripe", connection_id)))


def _endpoints(client: stripe.StripeClient, url: str) -> list[str]:
    found = call(lambda: list(client.v1.webhook_endpoints.list({"limit": 100}).auto_paging_iter()))
    return [each.id for each in found if each.url == url]


def _delete(client: stripe.StripeClient, endpoint_ids: list[str]) -> None:
    for endpoint_id in endpoint_ids:
        call(partial(client.v1.webhook_endpoints.delete, endpoint_id))
