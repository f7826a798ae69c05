"""Connects the demo company: the stand-ins announce their addresses and keys in a file."""

import json
from datetime import date
from pathlib import Path
from typing import Any

from reconcile.postings import Policies
from storage import audit, connections, runs
from storage.connections import Link
from sync import chart
from sync.adapters import quickbooks_client
from sync.environment import Environment
from sync.stripe.adapter import EVENT_TYPES, StripeProcessor
from sync.stripe.client import API_VERSION, call, make_client

ANNOUNCEMENT = "emulators.json"
MODE = "emulated"


def connect_demo(environment: Environment, hooks_address: str | None) -> None:
    """Waits for the stand-ins, connects them, and asks for the first sync."""
    connect_announced(environment, _await_announcement(environment), hooks_address)
    with environment.database.write() as conn:
        link = connections.all_links(conn)[0]
        runs.enqueue(conn, link_id=link.id, kind="sync", cause="start", scheduled_for=environment.clock.now())


def connect_announced(environment: Environment, announced: dict[str, Any], hooks_address: str | None) -> None:
    """Makes connections and link as announced, or takes over the changed addresses of those that are there."""
    with environment.database.read() as conn:
        links = connections.all_links(conn)
    if links:
        _update_addresses(environment, links[0], announced)
    else:
        _make_link(environment, announced, hooks_address)


def _await_announcement(environment: Environment) -> dict[str, Any]:
    path: Path = environment.data_dir / ANNOUNCEMENT
    while not path.exists():
        environment.clock.sleep(0.2)
    announced: dict[str, Any] = json.loads(path.read_text())
    return announced


def _make_link(environment: Environment, announced: dict[str, Any], hooks_address: str | None) -> None:
    ledger_id = _connect_quickbooks(environment, announced["quickbooks"])
    processor_id, zone = _connect_stripe(environment, announced["stripe"], hooks_address)
    with environment.database.read() as conn:
        ledger = connections.connection(conn, ledger_id)
    carry = quickbooks_client(environment, ledger).send
    mappings = chart.prepare(carry, chart.home_currency(carry))
    with environment.database.write() as conn:
        connections.add_link(
            conn,
            processor_id=processor_id,
            ledger_id=ledger_id,
            name=ledger.name,
            cutover=date.fromisoformat(announced["cutover"]),
            time_zone=zone,
            mappings=mappings,
            policies=Policies(charge_without_invoice=announced.get("charge_without_invoice", "wait")),
            posting_on=True,
        )
        entry = audit.Entry(actor="tieout", action="connected", subject="demo company", detail={"mode": MODE})
        audit.append(conn, environment.clock.now(), [entry])


def _connect_quickbooks(environment: Environment, announced: dict[str, Any]) -> int:
    now = environment.clock.now()
    with environment.database.write() as conn:
        connection_id = connections.add_connection(
            conn,
            system="qbo",
            external_id=announced["realm_id"],
            name=announced["company_name"],
            mode=MODE,
            settings={"api": announced["api"], "discovery": announced["discovery"]},
            at=now,
        )
        secrets = {name: announced[name] for name in ("client_id", "client_secret", "refresh_token")}
        secrets["webhook_secret"] = announced["verifier_token"]
        for purpose, value in secrets.items():
            connections.store_secret(conn, environment.vault, connection_id, purpose, value, now)
    return connection_id


def _connect_stripe(environment: Environment, announced: dict[str, Any], hooks_address: str | None) -> tuple[int, str]:
    client = make_client(announced["key"], announced["api"])
    account_id, name, zone = StripeProcessor(client).account()
    now = environment.clock.now()
    with environment.database.write() as conn:
        connection_id = connections.add_connection(
            conn,
            system="stripe",
            external_id=account_id,
            name=name,
            mode=MODE,
            settings={"api": announced["api"]},
            at=now,
        )
        connections.store_secret(conn, environment.vault, connection_id, "key", announced["key"], now)
    if hooks_address:
        _subscribe(environment, client, connection_id, hooks_address)
    return connection_id, zone


def _subscribe(environment: Environment, client: Any, connection_id: int, hooks_address: str) -> None:
    """Asks Stripe to tell us of events as they happen."""
    url = f"{hooks_address}/webhooks/stripe/{connection_id}"
    params = {"url": url, "enabled_events": list(EVENT_TYPES), "api_version": API_VERSION}
    endpoint = call(lambda: client.v1.webhook_endpoints.create(params))
    with environment.database.write() as conn:
        now = environment.clock.now()
        connections.store_secret(conn, environment.vault, connection_id, "webhook_secret", endpoint.secret, now)


def _update_addresses(environment: Environment, link: Link, announced: dict[str, Any]) -> None:
    """The stand-ins may have moved to other ports since the last start."""
    quickbooks = {"api": announced["quickbooks"]["api"], "discovery": announced["quickbooks"]["discovery"]}
    with environment.database.write() as conn:
        connections.change_settings(conn, link.processor_id, {"api": announced["stripe"]["api"]})
        connections.change_settings(conn, link.ledger_id, quickbooks)
