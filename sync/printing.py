"""What the commands print."""

from datetime import datetime, timedelta
from typing import Any

import click

from reconcile.draft import book_day
from reconcile.money import Money
from storage import budgets, connections
from storage import trace as traces
from storage.connections import Connection
from storage.proof import tie_out
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
    """Both sides and the difference; 0 if every currency's last day is tied or explained."""
    open_days = 0
    with environment.database.read() as conn:
        for link in connections.all_links(conn):
            if link_id not in (None, link.id):
                continue
            today = book_day(environment.clock.now(), link.time_zone)
            found = tie_out(conn, link, today)
            days = found.days if all_days else found.days.filter(found.days["day"] == today)
            for day in days.iter_rows(named=True):
                currency = day["currency"]
                click.echo(
                    f"{day['day']} {currency}: Stripe {Money(day['stripe_minor'], currency)}, "
                    f"clearing account {Money(day['clearing_minor'], currency)}, "
                    f"difference {Money(day['difference_minor'], currency)} ({day['status']})"
                )
                open_days += day["status"] == "open"
            for item in found.items.filter(found.items["until_day"].is_null()).iter_rows(named=True):
                click.echo(f"    {Money(item['amount_minor'], item['currency'])}: {item['text']}")
    return 0 if not open_days else 1


def trace(environment: Environment, object_id: str) -> int:
    """The way of one object; 1 if nobody knows it."""
    with environment.database.read() as conn:
        lines = traces.trace(conn, object_id)
    for line in lines:
        click.echo(line)
    if not lines:
        click.echo(f"Nothing is known of {object_id}. Is it from before the cut-over, or of another account?", err=True)
    return 0 if lines else 1
