"""What the commands print."""

import click

from reconcile.draft import book_day
from reconcile.money import Money
from storage import connections
from storage import trace as traces
from storage.proof import tie_out
from sync.environment import Environment


def status(environment: Environment) -> None:
    """Connections, how current they are, and what waits."""
    for name, value in environment.database.describe().items():
        click.echo(f"{name:14} {value}")
    with environment.database.read() as conn:
        for connection in connections.all_connections(conn):
            state = connection.state if connection.problem is None else f"{connection.state}: {connection.problem}"
            click.echo(f"{connection.system:14} {connection.name} ({connection.mode}) {state}")
        for link in connections.all_links(conn):
            click.echo(f"{'link':14} {link.name}, from {link.cutover}, posting {'on' if link.posting_on else 'off'}")
            for line in traces.summary(conn, link.id):
                click.echo(f"{'':14} {line}")


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
