"""What the commands print."""

import os
from functools import partial
from pathlib import Path

import click

from reconcile.money import Money
from storage import backup, carried, connections, queries
from storage import check as stored
from storage import trace as traces
from storage.vault import FILE_NAME, KEYS_VARIABLE
from sync import allowances, auditing
from sync.environment import Environment

SHOWN = 50  # sentences of one kind


def status(environment: Environment) -> None:
    """Connections and links, and where every entry stands."""
    for name, value in environment.database.describe().items():
        click.echo(f"{name:14} {value}")
    with environment.database.read() as conn:
        for connection in connections.all_connections(conn):
            state = connection.state if connection.problem is None else f"{connection.state}: {connection.problem}"
            click.echo(f"{connection.system:14} {connection.name} ({connection.mode}) {state}")
            for line in allowances.of_connection(environment.database, connection.id, environment.clock.now()):
                click.echo(f"{'':14} {line}")
        for link in connections.all_links(conn):
            click.echo(f"{'link':14} {link.name}, from {link.cutover}, posting {'on' if link.posting_on else 'off'}")
            for line in traces.summary(conn, link.id):
                click.echo(f"{'':14} {line}")


def proof(environment: Environment, link_id: int | None, *, all_days: bool) -> int:
    """Both sides and the difference; 0 if every day shown is tied or explained, and no sum contradicts a balance."""
    with environment.database.read() as conn:
        wanted = [link.id for link in connections.all_links(conn) if link_id in (None, link.id)]
    if not wanted:
        click.echo("Nothing like that is connected.", err=True)
    proved = [_prove(environment, each, all_days=all_days) for each in wanted]
    return 0 if proved and all(proved) else 1


def _prove(environment: Environment, link_id: int, *, all_days: bool) -> bool:
    found = queries.tie_out(environment.database, link_id, environment.clock.now(), everything=True)
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
    wrong = stored.run(environment.database)
    verify = partial(auditing.verify, environment, "command line")
    is_readable = all(each.remedy != stored.UNREADABLE for each in wrong)
    # On from the last check too: the newest entries may be gone.
    if is_readable and (broken := verify() or verify(anew=True)):
        wrong.insert(0, stored.Wrong(tuple(broken), stored.RESTORE))
    if not wrong and (sums := carried.verify(environment.database)):  # of what is damaged nothing is added up
        wrong.append(stored.Wrong(tuple(sums), "Nothing is to be done."))
    for each in wrong:
        for line in each.texts[:SHOWN]:
            click.echo(line, err=True)
        if len(each.texts) > SHOWN:
            click.echo(f"... and {len(each.texts) - SHOWN} more of the same kind.", err=True)
        click.echo(f"    {each.remedy}", err=True)
    if not wrong:
        click.echo("The audit log is whole, and all that is stored is as it says.")
    return 1 if wrong else 0


def back_up(environment: Environment, file: Path) -> None:
    """Writes a backup, and says what is in it and what is not."""
    made = backup.back_up(environment.database, file)
    click.echo(f"{file}: {made.bytes / 1_000_000:,.1f} MB, up to entry {made.entry_id:,} of the audit log.")
    key = KEYS_VARIABLE if KEYS_VARIABLE in os.environ else str(environment.data_dir / FILE_NAME)
    click.echo(f"The key that opens its secrets is not in it. Keep a copy of {key} too, in another place.")
