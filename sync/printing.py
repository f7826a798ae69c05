"""What the commands print."""

from datetime import datetime, timedelta
from typing import Any

import click

from reconcile.money import Money
from storage import budgets, connections, mirror, queries
from storage import trace as traces
from storage.connections import Connection
from sync import auditing
from sync.environment import Environment
from sync.qbo.limits import READS_A_MONTH

WARN_AHEAD = timedelta(days=90)


def status(environment: Environment) -> None:
    """Connections and links, and where every entry stands."""
    for name, value in environment.database.describe().items():
        click.echo(f"{name:14} {value}")
    with environment.database.read() as conn:
        for connection in connections.all_connections(conn):
            state = connection.state if connection.problem is None else f"{connection.state}: {connection.problem}"
            click.echo(f"{connection.system:14} {connection.name} ({connection.mode}) {state}")
            for line in _allowances(conn, connection, environment.clock.now()):
                click.echo(f"{'':14} {line}")
        for link in connections.all_links(conn):
            click.echo(f"{'link':14} {link.name}, from {link.cutover}, posting {'on' if link.posting_on else 'off'}")
            for line in traces.summary(conn, link.id):
                click.echo(f"{'':14} {line}")


def _allowances(conn: Any, connection: Connection, now: datetime) -> list[str]:
    """What Intuit counts and what ends."""
    if connection.system != "qbo":
        return []
    reads = budgets.reads_in_month(conn, connection.id, now)
    lines = [f"{reads:,} of {READS_A_MONTH:,} reads that QuickBooks counts in {budgets.month_of(now)}"]
    if connection.consent_ends_at is not None:
        ends = f"{connection.consent_ends_at:%Y-%m-%d}"
        soon = connection.consent_ends_at - now < WARN_AHEAD
        lines.append(f"The consent ends on {ends}: connect again before." if soon else f"consent until {ends}")
    return lines


def proof(environment: Environment, link_id: int | None, *, all_days: bool) -> int:
    """Both sides and the difference; 0 if every day shown is tied or explained, and no sum contradicts a balance."""
    with environment.database.read() as conn:
        wanted = [link.id for link in connections.all_links(conn) if link_id in (None, link.id)]
    if not wanted:
        click.echo("Nothing like that is connected.", err=True)
    proved = [_prove(environment, each, all_days=all_days) for each in wanted]
    return 0 if proved and all(proved) else 1


def _prove(environment: Environment, link_id: int, *, all_days: bool) -> bool:
    found = queries.tie_out(environment.database, link_id, environment.clock.now())
    if found is None:
        click.echo("There is nothing to prove before the first sync has come to its end.", err=True)
        return False
    days = found.proof.days if all_days else found.proof.days.filter(found.proof.days["day"] == found.day)
    for day in days.iter_rows(named=True):
        currency = day["currency"]
        click.echo(
            f"{day['day']} {currency}: Stripe {Money(day['stripe_minor'], currency)}, "
            f"clearing account {Money(day['clearing_minor'], currency)}, "
            f"difference {Money(day['difference_minor'], currency)} ({day['status']})"
        )
    for item in found.items.iter_rows(named=True):
        click.echo(f"    {Money(item['amount_minor'], item['currency'])}: {item['text']}")
    for violation in found.violations:
        click.echo(violation)
    return not found.violations and "open" not in days["status"].to_list()


def trace(environment: Environment, object_id: str) -> int:
    """The way of one object; 1 if nobody knows it."""
    with environment.database.read() as conn:
        lines = traces.trace(conn, object_id)
    for line in lines:
        click.echo(line)
    if not lines:
        click.echo(f"Nothing is known of {object_id}. Is it from before the cut-over, or of another account?", err=True)
    return 0 if lines else 1


def check(environment: Environment) -> int:
    """Whether the audit log is whole and what is stored is what it says was stored; 0 if so."""
    wrong = auditing.verify(environment.database, environment.clock, "command line", anew=True)
    with environment.database.read() as conn:
        wrong += mirror.verify(conn)
    for line in wrong:
        click.echo(line, err=True)
    if not wrong:
        click.echo("The audit log is whole, and all that is stored is as it says.")
    return 1 if wrong else 0
