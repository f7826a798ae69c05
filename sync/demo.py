"""Connects the demo company: the stand-ins announce their addresses and keys in a file."""

import json
from datetime import date
from pathlib import Path
from typing import Any

from reconcile.postings import Policies
from storage import connections, runs
from storage.connections import Link
from sync import desktop_demo
from sync.connecting import connect_quickbooks, connect_stripe, make_link
from sync.environment import ANNOUNCEMENT, Environment
from sync.hooks import subscribe
from sync.oauth import QuickBooksAccess

MODE = "emulated"


def connect_demo(environment: Environment, hooks_address: str | None) -> None:
    """Waits for the stand-ins, connects them, and asks for the first sync."""
    announced = _await_announcement(environment)
    if "desktop" in announced:
        assert hooks_address is not None, "the Web Connector has to reach us"
        desktop_demo.connect_announced(environment, announced, hooks_address)
        desktop_demo.visit_soon(announced["desktop"]["desk"])
    else:
        connect_announced(environment, announced, hooks_address)
    with environment.database.write() as conn:
        link = connections.all_links(conn)[0]
        runs.enqueue(conn, link_id=link.id, kind="sync", cause="start", scheduled_for=environment.clock.now())


def connect_announced(environment: Environment, announced: dict[str, Any], hooks_address: str | None) -> None:
    """Makes connections and link as announced, or takes over the changed addresses of those that are there."""
    with environment.database.read() as conn:
        links, found = connections.all_links(conn), connections.all_connections(conn)
    if links:
        _update_addresses(environment, links[0], announced)
        return
    ids = {connection.system: connection.id for connection in found}  # of a start that was cut short
    stripe, books = announced["stripe"], announced["quickbooks"]
    ledger_id = ids.get("qbo") or connect_quickbooks(environment, _access(books), MODE)
    processor_id = ids.get("stripe")
    if processor_id is None:
        processor_id, _ = connect_stripe(environment, stripe["key"], MODE, {"api": stripe["api"]})
        if hooks_address:
            subscribe(environment, processor_id, hooks_address)
    make_link(
        environment,
        processor_id=processor_id,
        ledger_id=ledger_id,
        cutover=date.fromisoformat(announced["cutover"]),
        time_zone=announced.get("time_zone", "America/New_York"),
        policies=Policies(charge_without_invoice=announced.get("charge_without_invoice", "wait")),
        posting_on=True,
        actor="tieout",
    )


def _access(announced: dict[str, Any]) -> QuickBooksAccess:
    return QuickBooksAccess(
        realm_id=announced["realm_id"],
        client_id=announced["client_id"],
        client_secret=announced["client_secret"],
        refresh_token=announced["refresh_token"],
        webhook_secret=announced["verifier_token"],
        settings={name: announced[name] for name in ("api", "discovery", "limits") if name in announced},
    )


def _await_announcement(environment: Environment) -> dict[str, Any]:
    path: Path = environment.data_dir / ANNOUNCEMENT
    while not path.exists():
        environment.clock.sleep(0.2)
    announced: dict[str, Any] = json.loads(path.read_text())
    return announced


def _update_addresses(environment: Environment, link: Link, announced: dict[str, Any]) -> None:
    """The stand-ins may have moved to other ports since the last start."""
    quickbooks = {"api": announced["quickbooks"]["api"], "discovery": announced["quickbooks"]["discovery"]}
    moved = {link.processor_id: {"api": announced["stripe"]["api"]}, link.ledger_id: quickbooks}
    with environment.database.write() as conn:
        for connection_id, addresses in moved.items():
            settings = connections.connection(conn, connection_id).settings
            connections.change_settings(conn, connection_id, settings | addresses)
