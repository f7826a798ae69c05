"""The `tieout` command."""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from storage.engine import DatabaseError
from sync.environment import Environment, data_dir, open_environment

UI_PORT = 8501
FILE = click.Path(exists=True, dir_okay=False)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tieout")
def main() -> None:
    """Ties out Stripe with QuickBooks."""


@main.command()
@click.option("--single", is_flag=True, help="One process instead of three.")
@click.option("--port", default=UI_PORT, show_default=True, help="Where the pages are; the next free port if taken.")
@click.option("--interval", default=900, show_default=True, help="Seconds between scheduled syncs.")
def serve(single: bool, port: int, interval: int) -> None:
    """Starts the workbench for real accounts."""
    from sync.processes import start

    sys.exit(_plainly(lambda: start(port=port, interval_s=interval, single=single)))


@main.command()
@click.option("--reset", is_flag=True, help="Forget the demo company and all that was stored, and stop.")
@click.option("--seed", default=7, show_default=True, help="Another seed is another company.")
@click.option("--months", default=3, show_default=True)
@click.option("--port", default=UI_PORT, show_default=True)
@click.option("--interval", default=60, show_default=True, help="Seconds between scheduled syncs.")
@click.option("--single", is_flag=True, help="The workbench in one process.")
@click.option("--desktop", is_flag=True, help="The company keeps its books in QuickBooks Desktop, not Online.")
def demo(reset: bool, seed: int, months: int, port: int, interval: int, single: bool, desktop: bool) -> None:
    """Starts the workbench with an emulated company."""
    from sync.processes import World, start

    os.environ["TIEOUT_DEMO"] = "1"
    if reset:
        shutil.rmtree(data_dir(), ignore_errors=True)
        click.echo("The demo company is forgotten; the next start makes it anew.")
        return
    world = World(seed=seed, months=months, on_desktop=desktop)
    sys.exit(_plainly(lambda: start(port=port, interval_s=interval, single=single, world=world)))


@main.command()
def connect() -> None:
    """Connects a Stripe account and a QuickBooks Online company, or opens them again."""
    from sync.consent import connect_interactively

    sys.exit(_plainly(lambda: connect_interactively(_environment())))


@main.command("import")
@click.option("--stripe", "stripe_files", multiple=True, type=FILE, help="A report of Stripe; may be given again.")
@click.option("--quickbooks", "books_files", multiple=True, type=FILE, help="A report of QuickBooks; may be repeated.")
@click.option("--company", default="My files", show_default=True, help="Whose files these are.")
@click.option("--currency", help="The currency the books are kept in, if Stripe's report does not tell.")
@click.option("--clearing", help="The account that stands for the Stripe balance, if its name does not tell.")
@click.option("--dates", type=click.Choice(["mdy", "dmy"]), help="Month or day first, if the dates do not tell.")
@click.option("--time-zone", help="As America/New_York; where Stripe's report does not tell.")
@click.option("--report", type=click.Choice(["balance", "reconciliation"]), help="Which of Stripe's two it is.")
@click.option("--complete", "is_complete", is_flag=True, help="Of its days, QuickBooks has no more than this lists.")
def import_(stripe_files: tuple[str, ...], books_files: tuple[str, ...], **answers: Any) -> None:
    """Imports reports that Stripe and QuickBooks export: to tie out without connecting anything."""
    from sync.importing import import_files

    sys.exit(_plainly(lambda: import_files(_environment(), stripe_files, books_files, **answers)))


@main.command()
def sync() -> None:
    """Syncs now, here, and waits for the end."""
    from sync.processes import sync_now

    sys.exit(_plainly(lambda: sync_now(_environment())))


@main.command()
def status() -> None:
    """Says what is connected, whether it is posted, and where every entry stands."""
    from sync.printing import status as print_status

    _plainly(lambda: print_status(_environment()))


@main.command()
@click.option("--link", "link_id", type=int)
@click.option("--all-days", is_flag=True, help="Every day, not just the last.")
def proof(link_id: int | None, all_days: bool) -> None:
    """Shows the Stripe balance against the clearing account, with the difference itemised."""
    from sync.printing import proof as print_proof

    sys.exit(_plainly(lambda: print_proof(_environment(), link_id, all_days=all_days)))


@main.command()
def check() -> None:
    """Proves that nobody changed the audit log, and nothing that is stored but through it."""
    from sync.printing import check as print_check

    sys.exit(_plainly(lambda: print_check(_environment())))


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def simulate(options: tuple[str, ...]) -> None:
    """Runs seeds of faults against Tieout: --seeds N, --first N, --level engine|online|desktop, --pairs, --json."""
    from sync.simulating import simulate as run

    sys.exit(_plainly(lambda: run(options)))


@main.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def back_up(file: Path) -> None:
    """Writes what is stored into one file, as it is at this moment; a sync may be at work."""
    from sync.printing import back_up as write

    _plainly(lambda: write(_environment(), file))


@main.command()
@click.argument("object_id")
def trace(object_id: str) -> None:
    """Prints the way of one charge, refund, payout or document through all steps."""
    from sync.printing import trace as print_trace

    sys.exit(_plainly(lambda: print_trace(_environment(), object_id)))


@main.command("add-currency")
@click.argument("currency")
@click.option("--link", "link_id", type=int)
def add_currency(currency: str, link_id: int | None) -> None:
    """Makes the accounts in QuickBooks that a Stripe balance in another currency needs."""
    from sync.connecting import add_currency as add
    from sync.connecting import link_of

    def action() -> None:
        environment = _environment()
        add(environment, link_of(environment, link_id), currency.upper(), "command line")

    _plainly(action)


@main.command("rotate-key")
def rotate_key() -> None:
    """Makes a new key and seals every stored secret with it."""
    from sync.keys import rotate

    sys.exit(_plainly(lambda: rotate(data_dir())))


@main.group()
def model() -> None:
    """How likely answers are weighed: fit a new model, and decide whether to use it."""


@model.command("fit")
@click.option("--link", "link_id", type=int, required=True)
@click.option("--target", default=0.001, show_default=True, help="The share of false answers a tier may accept.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="The file to write.")
def fit(link_id: int, target: float, out: Path | None) -> None:
    """Makes a new model from the books of a link, and shows what it would change. It is not used yet."""
    from sync.modelling import fit_model

    _plainly(lambda: fit_model(_environment(), link_id, target, out))


@model.command("use")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--link", "link_id", type=int, required=True)
def use(file: Path, link_id: int) -> None:
    """Matches a link by the model in a file from the next sync on."""
    from sync.modelling import use_model

    _plainly(lambda: use_model(_environment(), link_id, file))


# ---- children of `serve` and `demo`; on further machines they are started by themselves


@main.command()
@click.option("--interval", default=900, show_default=True, help="Seconds between scheduled syncs.")
def worker(interval: int) -> None:
    """Syncs as they come due: one more worker on a shared PostgreSQL."""
    from sync.processes import work

    _plainly(lambda: work(_environment(), interval))


@main.command()
@click.option("--port", default=UI_PORT + 1, show_default=True)
def hooks(port: int) -> None:
    """Receives webhooks and Web Connectors: one more process on a shared PostgreSQL."""
    from sync.processes import serve_hooks

    _plainly(lambda: serve_hooks(_environment(), port))


def _environment() -> Environment:
    return open_environment()


def _plainly(action: Callable[[], Any]) -> Any:
    """Runs a command; what a user can mend is said in a sentence, without a traceback."""
    from reconcile.model import ModelError
    from storage.vault import VaultError
    from sync.errors import SyncError
    from sync.instance import AlreadyRunningError

    try:
        return action()
    except (DatabaseError, VaultError, SyncError, AlreadyRunningError, ModelError, OSError) as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
