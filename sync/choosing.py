"""Taking a choice of a mapping, whoever made it: a person on the page, or what was made on their request."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from reconcile.mapping import Role, chosen, problems, roles, with_choice
from reconcile.postings import Mappings
from storage import audit, chart, connections, mirror, outbox, runs
from storage.connections import Link
from storage.records import to_json


class ChoiceError(Exception):
    """A choice that cannot be used, with a sentence for the person who made it."""


def take(conn: Any, now: datetime, actor: str, link: Link, choices: Mapping[str, str | None]) -> bool:
    """Takes choices by role; False if they are what was chosen before.

    Raises ChoiceError for a choice that cannot be used, and for another clearing account once something was posted.
    """
    known = {role.id: role for role in roles_of(conn, link)}
    changes = {known[role_id]: value for role_id, value in choices.items() if role_id in known}
    changes = {role: value for role, value in changes.items() if chosen(link.mappings, role) != value}
    mappings = link.mappings
    for role, value in changes.items():
        _guard(conn, link, role, value)
        mappings = with_choice(mappings, role, value)
    if not changes:
        return False
    _refuse_wrong(conn, link, mappings, changes)
    detail = {role.id: [chosen(link.mappings, role), value] for role, value in changes.items()}
    values: dict[str, Any] = {"mappings": to_json(mappings)}
    if mappings.clearing != link.mappings.clearing:
        values["openings"] = None  # found anew: what a clearing account holds already is a part of them
    change(conn, now, actor, link, "changed mappings", detail, **values)
    return True


def roles_of(conn: Any, link: Link) -> list[Role]:
    return roles(link.mappings, chart.load_chosen(conn, link.ledger_id, link.mappings), link.balances)


def change(
    conn: Any, now: datetime, actor: str, link: Link, action: str, detail: dict[str, Any], **values: Any
) -> None:
    """Changes a link: audited, to be looked at again before posting is switched on, and planned with by a sync."""
    connections.change_link(conn, link.id, **values)
    connections.record_dry_run(conn, link.id, None, None)
    entry = audit.Entry(actor=actor, action=action, subject=f"link {link.id}", link_id=link.id, detail=detail)
    audit.append(conn, now, [entry])
    if not runs.queued(conn, link.id):
        runs.enqueue(conn, link_id=link.id, kind="sync", cause=actor, scheduled_for=now)


def _guard(conn: Any, link: Link, role: Role, value: str | None) -> None:
    """The clearing account stays once it holds documents: they would be torn apart."""
    before = chosen(link.mappings, role)
    if role.field == "clearing" and before and outbox.any_sent(conn, link.id):
        entry = mirror.load(conn, link.ledger_id, "account", [before]).get(before)
        if entry is not None and entry.active and value != before:
            raise ChoiceError(f"Documents were posted to “{entry.name}” already; the clearing account stays the same.")


def _refuse_wrong(conn: Any, link: Link, mappings: Mappings, changes: Mapping[Role, str | None]) -> None:
    lists = chart.load_chosen(conn, link.ledger_id, mappings)
    wrong = problems(mappings, lists, link.balances, chart.taken(conn, link))
    texts = [each.text for each in wrong if each.role in changes and not each.missing]
    if texts:
        raise ChoiceError(" ".join(texts))
