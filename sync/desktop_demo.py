"""Connects the demo company whose books are in QuickBooks Desktop, as a person would: the .qwc file and its password go
to the desk the stand-in's PC stands on, a visit brings the lists, and what is missing in them is asked for.
"""

from datetime import date
from threading import Thread
from typing import Any

import requests

from reconcile.mapping import Chart, Role, candidates, proposal
from reconcile.postings import Policies
from storage import chart, connections
from sync import choosing, desktop, mapping
from sync.adapters import stripe_client
from sync.connecting import connect_stripe, make_link
from sync.environment import Environment
from sync.hooks import subscribe
from sync.stripe.adapter import StripeProcessor

MODE, ACTOR, NAME = "emulated", "tieout", "Larkspur Studio LLC"
PATIENCE_S, WAIT_S, VISIT_S = 60, 0.5, 600
INTERVAL_MINUTES = 1


def connect_announced(environment: Environment, announced: dict[str, Any], hooks_address: str) -> None:
    """Makes connections and link, or lets the Web Connector sign in again at an address that may have changed."""
    desk, stripe = announced["desktop"]["desk"], announced["stripe"]
    with environment.database.read() as conn:
        links, found = connections.all_links(conn), connections.all_connections(conn)
    known = {each.system: each.id for each in found}  # of an earlier start, perhaps one that was cut short
    if "qbd" in known:
        sign_in = desktop.new_password(environment, known["qbd"], actor=ACTOR)
    else:
        sign_in = desktop.connect_desktop(environment, NAME, MODE, interval_minutes=INTERVAL_MINUTES)
    _hand_over(environment, desk, sign_in, hooks_address)
    if links:
        with environment.database.write() as conn:
            settings = connections.connection(conn, links[0].processor_id).settings
            connections.change_settings(conn, links[0].processor_id, settings | {"api": stripe["api"]})
        return
    visit(desk)
    processor_id = known.get("stripe")
    if processor_id is None:
        processor_id, _ = connect_stripe(environment, stripe["key"], MODE, {"api": stripe["api"]})
        subscribe(environment, processor_id, hooks_address)
    link_id = make_link(
        environment,
        processor_id=processor_id,
        ledger_id=sign_in.connection_id,
        cutover=date.fromisoformat(announced["cutover"]),
        time_zone=announced.get("time_zone", "America/New_York"),
        policies=Policies(),
        posting_on=True,
        actor=ACTOR,
        create_missing=False,
    )
    _map(environment, link_id)


def visit(desk: str) -> None:
    """Update Selected in the Web Connector; gives when that is over."""
    requests.post(f"{desk}/_emulator/update", timeout=VISIT_S).raise_for_status()


def visit_soon(desk: str) -> None:
    """The same, without waiting: the visit itself waits for what our worker decides."""
    Thread(target=visit, args=(desk,), daemon=True, name="first visit").start()


def _hand_over(environment: Environment, desk: str, sign_in: desktop.SignIn, hooks_address: str) -> None:
    """The Web Connector looks at our support page first, which is another process that may still be starting."""
    qwc = desktop.qwc_file(environment, sign_in.connection_id, hooks_address).decode()
    until = environment.clock.monotonic() + PATIENCE_S
    while True:
        given = {"qwc": qwc, "password": sign_in.password}
        answer = requests.post(f"{desk}/_emulator/applications", json=given, timeout=PATIENCE_S)
        if answer.ok or environment.clock.monotonic() > until:
            answer.raise_for_status()
            return
        environment.clock.sleep(WAIT_S)


def _map(environment: Environment, link_id: int) -> None:
    """Chooses what is there by its usual name, and asks for the rest, as the buttons of the page Mapping do."""
    now = environment.clock.now()
    with environment.database.read() as conn:
        link = connections.link(conn, link_id)
        processor = connections.connection(conn, link.processor_id)
    balances = StripeProcessor(stripe_client(environment, processor)).balance()
    with environment.database.write() as conn:
        connections.record_balances(conn, link_id, balances, now)  # in what currencies something is to be chosen
        link = connections.link(conn, link_id)
        lists, taken = chart.load(conn, link.ledger_id), chart.taken(conn, link)
        wanted = {role.id: proposal(role, lists, taken) or _bank(role, lists) for role in choosing.roles_of(conn, link)}
        choosing.take(conn, now, ACTOR, link, {role_id: found for role_id, found in wanted.items() if found})
        link = connections.link(conn, link_id)
        for problem in chart.check(conn, link):
            if problem.missing and problem.role.name:
                mapping.ask_for(conn, link, problem.role, problem.role.name, ACTOR, now)


def _bank(role: Role, lists: Chart) -> str | None:
    """Payouts go to the company's first bank account."""
    clearing = {each.name for each in lists.accounts.values() if each.name.startswith("Stripe")}
    fitting = candidates(role, lists) if role.field == "bank" else {}
    return next((key for key, each in sorted(fitting.items()) if each.name not in clearing), None)
