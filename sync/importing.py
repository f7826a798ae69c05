"""`tieout import`: what the upload page does, in the terminal."""

from pathlib import Path
from typing import Any

import click

from reconcile.money import Money
from storage import users
from storage.imports import Import
from sync.commands import RefusedError, import_report
from sync.environment import Environment
from sync.files.importing import Answers, Side
from sync.processes import OWNER, make_worker

SHOWN_MAX = 20  # refused rows that are printed; the page Files has all of them


def import_files(
    environment: Environment, stripe_files: tuple[str, ...], books_files: tuple[str, ...], **said: Any
) -> int:
    """Stripe's files first, for they tell the currency; 0 if every row of every file was taken."""
    answers = Answers(
        **{name: value for name, value in said.items() if name != "report"},
        is_reconciliation={"balance": False, "reconciliation": True, None: None}[said["report"]],
    )
    given: list[tuple[Side, str]] = [
        *(("stripe", path) for path in stripe_files),
        *(("quickbooks", path) for path in books_files),
    ]
    if not given:
        click.echo("Name at least one file: --stripe report.csv, --quickbooks report.xlsx.", err=True)
        return 1
    refused = 0
    for side, path in given:
        try:
            refused += _import(environment, side, Path(path), answers)
        except RefusedError as error:
            click.echo(f"{Path(path).name}: {error}", err=True)
            refused += 1
    worker = make_worker(environment)
    while worker.work():
        click.echo(worker.problem or "Matched. See it with `tieout serve`, or with `tieout proof`.")
    return 0 if not refused else 1


def _import(environment: Environment, side: Side, path: Path, answers: Answers) -> int:
    """Whoever can use this terminal is the owner. Gives how many rows were refused."""
    email, name, role = OWNER
    with environment.database.write() as conn:
        actor_id = users.ensure_user(conn, email=email, name=name, role=role)
    actor = users.User(id=actor_id, email=email, name=name, role=role)
    done = import_report(environment.database, environment.clock, actor, path.name, path.read_bytes(), answers, side)
    for line in describe(done):
        click.echo(line)
    for problem in done.problems[:SHOWN_MAX]:
        where = f"line {problem.line}, {problem.column}" if problem.column else f"line {problem.line}"
        click.echo(f"    {where}: {problem.value!r}: {problem.text}", err=True)
    if len(done.problems) > SHOWN_MAX:
        click.echo(f"    and {len(done.problems) - SHOWN_MAX:,} more, on the page Files.", err=True)
    return len(done.problems)


def describe(done: Import) -> list[str]:
    """What was understood and taken, to compare with the report's own totals."""
    counts = done.counts
    gone = [f"{counts['taken_out']:,} documents of earlier files taken out"] if "taken_out" in counts else []
    period = f", {done.first_day} to {done.last_day}" if done.first_day else ""
    lines = [f"{done.name}: {done.report}{period}"]
    parts = [f"{counts[name]:,} {name.replace('_', ' ')}" for name in ("new", "changed", "unchanged", "not_needed")]
    lines.append(f"    {counts['rows']:,} rows: {', '.join([*parts, *gone])}, {counts['refused']:,} refused")
    for currency, sums in sorted(done.sums.items()):
        figures = ", ".join(f"{name.replace('_', ' ')} {Money(minor, currency)}" for name, minor in sums.items())
        lines.append(f"    {figures}")
    return [*lines, *(f"    {note}" for note in done.notes)]
