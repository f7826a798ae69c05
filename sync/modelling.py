"""Fits a model to the books of one link, offline, shows what it would change, and adopts it when somebody says so."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from reconcile.certify import threshold
from reconcile.fitting import fit
from reconcile.frames import ledger_frame, processor_frame
from reconcile.matching import Verdict
from reconcile.model import Model, ModelError
from storage import audit, connections, decisions, mirror, snapshot, work
from storage.connections import Link
from storage.records import DOCUMENT_KINDS
from sync.deciding import match_work, model_of
from sync.environment import Environment

SHOWN = 20  # changes printed one by one
# Invoices and charges alone are hardly enough below this; a model fitted to less tells chance from agreement badly.
CHARGES_MIN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An object that another model decides otherwise."""

    source_id: str
    before: str
    after: str


def fit_model(environment: Environment, link_id: int, target: float, path: Path | None) -> None:
    """Writes a new model into a file and prints what it would change; nothing is matched by it yet."""
    with environment.database.read() as conn:
        link = connections.link(conn, link_id)
        said = decisions.labels(conn, link_id)
        frames = _everything(conn, link)
    charges = frames[0].filter(frames[0]["kind"] == "charge").height
    if charges < CHARGES_MIN:
        raise ModelError(f"There are only {charges} charges; a model needs {CHARGES_MIN}. The present one stays.")
    found = {tier: threshold(labels, target) for tier, labels in said.items()}
    model = fit(*frames, base=model_of(link)).certified({tier: ppm for tier, ppm in found.items() if ppm is not None})
    path = path or environment.data_dir / "models" / f"{model.version}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(model.to_json(), encoding="utf-8")
    click.echo(f"Model {model.version}, fitted to {charges:,} charges, is in {path}.")
    for tier, labels in sorted(said.items()):
        wrong = sum(not right for _, right in labels)
        certified = found[tier]
        verdict = f"accepts from {certified / 10_000:.2f} % on" if certified is not None else "goes on to propose"
        click.echo(f"{tier}: {len(labels):,} answers reviewed, {wrong:,} of them wrong; {verdict}.")
    _print_changes(changes(environment, link, model))


def use_model(environment: Environment, link_id: int, path: Path) -> None:
    """The link is matched by the model in a file from now on; what is waiting is decided anew."""
    try:
        model = Model.from_json(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ModelError(f"{path} is no model.") from error
    now = environment.clock.now()
    with environment.database.write() as conn:
        before = model_of(connections.link(conn, link_id)).version
        connections.change_link(conn, link_id, model=model.to_json())
        detail = {"before": before, "after": model.version, "thresholds": dict(model.thresholds)}
        entry = audit.Entry(
            actor="command line", action="changed the model", subject=f"link {link_id}", link_id=link_id, detail=detail
        )
        audit.append(conn, now, [entry])
    click.echo(f"Model {model.version} decides from the next sync on; before it was {before}.")


def changes(environment: Environment, link: Link, model: Model) -> list[Change]:
    """What of everything open would be decided otherwise."""
    with environment.database.read() as conn:
        found = work.load(conn, link)
    before, after = (match_work(link, found, each) for each in (model_of(link), model))
    rows = [(each, _words(before.verdict(each)), _words(after.verdict(each))) for each in sorted(before.verdicts)]
    return [Change(source_id=each, before=old, after=new) for each, old, new in rows if old != new]


def _words(verdict: Verdict) -> str:
    documents = ", ".join(each.ledger_id for each in verdict.proposals[0].allocations) if verdict.proposals else ""
    word = {"auto": "accepted", "proposed": "proposed", "none": "nothing"}[verdict.decision]
    return f"{word} {documents}".strip()


def _print_changes(found: list[Change]) -> None:
    if not found:
        click.echo("It would change nothing of what is open now.")
        return
    kinds = Counter((each.before.split()[0], each.after.split()[0]) for each in found)
    click.echo(f"It would change {len(found):,} of the answers that are open now:")
    for (before, after), count in sorted(kinds.items()):
        click.echo(f"  {count:,} from {before} to {after}")
    for each in found[:SHOWN]:
        click.echo(f"  {each.source_id}: {each.before}; then {each.after}")


def _everything(conn: Any, link: Link) -> tuple[Any, Any]:
    """Both sides of a link, settled or not."""
    company = str(link.ledger_id)

    def all_of(*kinds: str) -> list[Any]:
        return mirror.load_all(conn, link.processor_id, kinds)

    movements, charges, customers = all_of("movement"), all_of("charge"), all_of("customer")
    payments, invoices = all_of("invoice_payment"), all_of("processor_invoice")
    documents = mirror.load_all(conn, link.ledger_id, DOCUMENT_KINDS)
    people = {each.id: each for each in mirror.load_all(conn, link.ledger_id, ["customer"])}
    known = [snapshot.with_customer(each, people) for each in documents]
    fields = link.policies.matching.reference_fields
    left = processor_frame(
        company, charges, [], [], [], movements, payments, invoices, customers, reference_fields=fields
    )
    return left, ledger_frame(company, known)
