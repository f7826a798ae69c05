"""Each action of a person as one function: it checks the role, does it, and writes the audit entry, all or nothing."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from reconcile.choices import How, Part, PersonDecision
from storage import audit, chart, connections, decisions, legs, mirror, outbox, runs, undoing, users
from storage.decisions import Stored
from storage.engine import Database
from storage.imports import Import
from storage.queries import PENDING
from storage.users import User
from sync.files.importing import Answers as Answers  # noqa: PLC0414 - for the page
from sync.files.importing import Side, import_file
from sync.files.table import FileError
from sync.holding import HeldError, ask_for, carries, hold, named, passed
from sync.holding import RefusedError as RefusedError  # noqa: PLC0414 - for all who catch it
from sync.ports import Clock

# What each action takes.
NEEDS = {
    "run_now": "accountant",
    "retry_posting": "accountant",
    "retry_received": "accountant",
    "switch_posting": "accountant",
    "accept_match": "reviewer",
    "reject_match": "reviewer",
    "record_without_invoice": "accountant",
    "ignore": "accountant",
    "connect": "admin",
    "reconnect": "accountant",
    "map": "accountant",
    "switch_sending": "accountant",
    "retry_invoice": "accountant",
    "decide_customer": "reviewer",
    "make_customer": "accountant",
    "mend": "accountant",
    "import_report": "accountant",
    "verify_chain": "viewer",
    "export_audit": "viewer",
    "sync_again": "accountant",
    "leave_received": "accountant",
    "prepare_close": "accountant",
    "sign_off": "manager",
    "manage_users": "admin",
    "set_password": "viewer",
    "undo_posted": "accountant",
    "add_note": "reviewer",
    "match_documents": "reviewer",
    "match_short": "accountant",
    "approve": "accountant",
    "change_approval_limit": "manager",
    "choose_schedule": "accountant",
}
# What made each kind of decision, where it is not called so.
MAKERS = {"match": "accept_match", "not_match": "reject_match", "undone": "undo_posted"}
READING = "reading"  # the cursor of the books


class NotAllowedError(RefusedError):
    """The person's role does not allow this action."""

    def __init__(self, action: str) -> None:
        needed = NEEDS[action]
        super().__init__(
            f"This takes the role {needed} or higher. Ask somebody who has it, or an admin to give it to you."
        )


def may(user: User, action: str) -> bool:
    """Whether to offer an action. The action itself looks at the role again."""
    return user.is_at_least(NEEDS[action])


def maker(said: PersonDecision) -> str:
    """The action that undoing a decision takes: the one that made it."""
    if any(part.short_minor for part in said.parts):
        return "match_short"
    return MAKERS.get(said.kind, said.kind)


def run_now(database: Database, clock: Clock, actor: User, link_id: int) -> bool:
    """Asks for a sync of a link; False if one is under way or asked for already."""
    return _run(database, clock, actor, [link_id]) == 1


def run_connection(database: Database, clock: Clock, actor: User, connection_id: int) -> int:
    """Asks for a sync of every link of a connection; gives of how many, those under way left out."""
    with database.read() as conn:
        links = connections.all_links(conn)
    mine = [link.id for link in links if connection_id in (link.processor_id, link.ledger_id)]
    return _run(database, clock, actor, mine)


def run_all(database: Database, clock: Clock, actor: User) -> int:
    """The same of every link there is."""
    with database.read() as conn:
        links = connections.all_links(conn)
    return _run(database, clock, actor, [link.id for link in links])


def _run(database: Database, clock: Clock, actor: User, link_ids: Sequence[int]) -> int:
    now, number = clock.now(), 0
    with database.write() as conn:
        check(conn, actor, "run_now")
        for link_id in link_ids:
            if runs.waiting(conn, link_id):
                continue
            runs.enqueue(conn, link_id=link_id, kind="sync", cause=actor.email, scheduled_for=now)
            audit.append(conn, now, [entry(actor, "asked for a sync", f"link {link_id}", link_id)])
            number += 1
    return number


def retry_posting(database: Database, clock: Clock, actor: User, outbox_id: int) -> bool:
    """Sends a refused posting again with the next sync; False if it does not wait any more."""
    now = clock.now()
    with database.write() as conn:
        check(conn, actor, "retry_posting")
        if not outbox.retry(conn, outbox_id):
            return False
        item = outbox.get(conn, outbox_id)
        connections.change_link(conn, item.link_id)  # so that it is decided again on what the books say now
        legs.record_retried(conn, item.link_id, [share.leg_id for share in item.posting.shares])
        if item.posting.undoes:
            undoing.record_retried(conn, connections.link(conn, item.link_id), item)
        audit.append(conn, now, [entry(actor, "retried", item.posting.marker, item.link_id)])
    return True


def open_dry_run(database: Database, clock: Clock, actor: User, link_id: int) -> bool:
    """Remembers that somebody who may switch posting on has seen what it would post; False if they may not."""
    now = clock.now()
    with database.write() as conn:
        role = users.role_of(conn, actor.id) or ""
        if not replace(actor, role=role).is_at_least(NEEDS["switch_posting"]):
            return False
        seen = connections.link(conn, link_id)
        if seen.dry_run_by != actor.email:
            audit.append(conn, now, [entry(actor, "opened the dry run", f"link {link_id}", link_id)])
        connections.record_dry_run(conn, link_id, actor.email, now)
    return True


def has_seen_dry_run(database: Database, link_id: int) -> bool:
    """Whether an accountant has seen it since mappings or policies changed."""
    with database.read() as conn:
        return connections.link(conn, link_id).dry_run_at is not None


def switch_posting(database: Database, clock: Clock, actor: User, link_id: int, on: bool) -> bool:
    """Lets a link post into the books, or stops it; False if it is that way already.

    It is let only once an accountant has opened its dry run, as its mappings and policies are now.
    """
    now = clock.now()
    with database.write() as conn:
        check(conn, actor, "switch_posting")
        check_connected(conn, link_id)
        if on and connections.link(conn, link_id).dry_run_at is None:
            raise RefusedError("Look at the dry run first: open the page Dry run, then switch posting on there.")
        uncoded = chart.uncoded(conn, connections.link(conn, link_id)) if on else []
        if uncoded:
            raise RefusedError(f"Every document needs a tax code in this company. {' '.join(uncoded)} Open Mapping.")
        if not connections.switch_posting(conn, link_id, on):
            return False
        action = "switched posting on" if on else "switched posting off"
        audit.append(conn, now, [entry(actor, action, f"link {link_id}", link_id)])
    return True


def import_report(
    database: Database, clock: Clock, actor: User, name: str, content: bytes, answers: Answers, side: Side | None = None
) -> Import:
    """Takes over a report exported from Stripe or QuickBooks; what it says is stored with who imported it.

    Raises RefusedError, with nothing stored, if the file as a whole cannot be taken.
    """
    with database.read() as conn:
        check(conn, actor, "import_report")
    try:
        return import_file(database, clock.now(), actor.email, name, content, answers, side)
    except FileError as error:
        raise RefusedError(str(error)) from None


# ---- decisions about what waits. `version` is that of the item the person saw; they give the decision's id.


def accept_match(
    database: Database, clock: Clock, actor: User, link_id: int, source_id: str, match_id: str, version: int
) -> int:
    """Takes one of the answers that matching proposed, with its amounts."""
    with database.write() as conn:
        check(conn, actor, "accept_match")
        made = _accept(conn, clock.now(), actor, link_id, source_id, match_id, version)
    return passed(made)


@carries("accept_match")
def _accept(
    conn: Any,
    now: Any,
    actor: User,
    link_id: int,
    source_id: str,
    match_id: str,
    version: int,
    *,
    approved: bool = False,
) -> int | HeldError:
    waiting = waiting_legs(conn, link_id, source_id, version)
    parts = _parts(conn, link_id, source_id, match_id)
    text = f"Match to {named(conn, link_id, [part.ledger_id for part in parts])}"
    ask = ask_for(link_id, "accept_match", source_id, waiting, text, [source_id, match_id, version])
    if not approved and (held := hold(conn, now, actor, ask)):
        return held
    said = PersonDecision(source_id=source_id, kind="match", actor=actor.email, parts=parts)
    return record_decision(conn, now, link_id, said, waiting, "Accepted")


def reject_match(
    database: Database, clock: Clock, actor: User, link_id: int, source_id: str, match_id: str, version: int
) -> int:
    """Not these two, for good. A payment that looked recorded can be matched to its invoice then."""
    now = clock.now()
    with database.write() as conn:
        check(conn, actor, "reject_match")
        waiting = waiting_legs(conn, link_id, source_id, version)
        parts = tuple(Part(ledger_id=part.ledger_id) for part in _parts(conn, link_id, source_id, match_id))
        said = PersonDecision(source_id=source_id, kind="not_match", actor=actor.email, parts=parts)
        return record_decision(conn, now, link_id, said, waiting, "Kept apart")


def record_without_invoice(
    database: Database,
    clock: Clock,
    actor: User,
    link_id: int,
    source_id: str,
    how: How,
    customer_id: str,
    version: int,
) -> int:
    """A charge becomes a sales receipt or a credit of a customer."""
    with database.write() as conn:
        check(conn, actor, "record_without_invoice")
        made = _record_without(conn, clock.now(), actor, link_id, source_id, how, customer_id, version)
    return passed(made)


@carries("record_without_invoice")
def _record_without(  # noqa: PLR0913 - all of it is what the person saw and said
    conn: Any,
    now: Any,
    actor: User,
    link_id: int,
    source_id: str,
    how: How,
    customer_id: str,
    version: int,
    *,
    approved: bool = False,
) -> int | HeldError:
    waiting = waiting_legs(conn, link_id, source_id, version)
    link = connections.link(conn, link_id)
    charges = mirror.load(conn, link.processor_id, "charge", [source_id])
    if not charges:
        raise RefusedError("Only charges can be recorded without an invoice.")
    customer = mirror.load(conn, link.ledger_id, "customer", [customer_id]).get(customer_id)
    if customer is None or not customer.active:
        raise RefusedError("QuickBooks has no such active customer any more. Choose another one.")
    if customer.currency not in (None, charges[source_id].currency):
        raise RefusedError(f"{customer.name} is billed in {customer.currency}. Choose another customer.")
    text = f"Record without an invoice, as {how.replace('_', ' ')} of {customer.name}"
    arguments = [source_id, how, customer_id, version]
    ask = ask_for(link_id, "record_without_invoice", source_id, waiting, text, arguments)
    if not approved and (held := hold(conn, now, actor, ask)):
        return held
    said = PersonDecision(
        source_id=source_id, kind="record_without_invoice", actor=actor.email, how=how, customer_id=customer_id
    )
    return record_decision(conn, now, link_id, said, waiting, "To be recorded without an invoice")


def ignore(
    database: Database, clock: Clock, actor: User, link_id: int, source_id: str, reason: str, version: int
) -> int:
    """Sets an object aside: it stays a part of the difference, listed with this person's name and reason."""
    with database.write() as conn:
        check(conn, actor, "ignore")
        made = _ignore(conn, clock.now(), actor, link_id, source_id, reason, version)
    return passed(made)


@carries("ignore")
def _ignore(
    conn: Any,
    now: Any,
    actor: User,
    link_id: int,
    source_id: str,
    reason: str,
    version: int,
    *,
    approved: bool = False,
) -> int | HeldError:
    if not reason.strip():
        raise RefusedError("Say why it is to be ignored: the proof lists the reason.")
    waiting = [row for row in waiting_legs(conn, link_id, source_id, version) if not row.before_cutover]
    if not waiting:
        raise RefusedError("It is from before the cut-over: the opening balance covers it.")
    ask = ask_for(link_id, "ignore", source_id, waiting, f"Ignore it: {reason.strip()}", [source_id, reason, version])
    if not approved and (held := hold(conn, now, actor, ask)):
        return held
    said = PersonDecision(source_id=source_id, kind="ignore", actor=actor.email, reason=reason.strip())
    return record_decision(conn, now, link_id, said, waiting, "Set aside")


def undo(database: Database, clock: Clock, actor: User, decision_id: int) -> bool:
    """Takes a decision back while nothing was posted for it; False if it does not stand any more.

    An undo that was not sent yet is called off; after it, what was undone is posted again as it is decided then.
    """
    with database.write() as conn:
        stored = decisions.get(conn, decision_id)
        check(conn, actor, maker(stored.decision))
        made = _undo(conn, clock.now(), actor, stored.link_id, decision_id)
    return passed(made)


@carries("undo")
def _undo(
    conn: Any, now: Any, actor: User, link_id: int, decision_id: int, *, approved: bool = False
) -> bool | HeldError:
    connections.change_link(conn, link_id)
    stored = decisions.get(conn, decision_id)
    said = stored.decision
    if stored.state == "standing" and _call_off(conn, stored, actor, now):
        return True
    if said.kind == "undone" and stored.state == "standing":  # then it is posted again
        rows = legs.of_ids(conn, link_id, said.leg_ids)
        ask = ask_for(link_id, "undo", said.source_id, rows, "Post it again", [decision_id])
        if not approved and (held := hold(conn, now, actor, ask)):
            return held
    if not decisions.undo(conn, decision_id, actor.email, now):
        return False
    _take_back(conn, link_id, said)
    audit.append(conn, now, [entry(actor, "undid", said.source_id, link_id, _detail(said, decision_id))])
    sync_soon(conn, link_id, actor.email, now)
    return True


def _call_off(conn: Any, stored: Stored, actor: User, now: Any) -> bool:
    """Whether it was an undo of documents that had not all gone out: then the rest of it does not."""
    link = connections.link(conn, stored.link_id)
    rows = undoing.under_way(conn, link, stored.decision.leg_ids) if stored.decision.kind == "undone" else []
    if not rows:
        return False
    if any(item.state != "planned" for item in rows):
        raise RefusedError("It is on its way into QuickBooks already. Wait until the sync has ended.")
    undoing.call_off(conn, link, rows[0], None, actor.email, now)
    audit.append(conn, now, [entry(actor, "called off the undo", stored.decision.source_id, link.id)])
    sync_soon(conn, link.id, actor.email, now)
    return True


def _take_back(conn: Any, link_id: int, said: PersonDecision) -> None:
    """Returns the legs that the decision settled to review. Fees we post stay: they are true in any case."""
    link = connections.link(conn, link_id)
    rows = legs.of_sources(conn, link_id, [said.source_id])
    if said.kind == "undone":
        rows = [row for row in rows if row.id in said.leg_ids and row.state == "waiting" and not row.markers]
    else:
        rows = [
            row
            for row in rows
            if row.id in said.leg_ids and (said.kind == "ignore" or row.kind == "gross" or row.document_ids)
        ]
    markers = sorted({marker for row in rows for marker in row.markers})
    outbox.withdraw(conn, link_id, markers)
    if outbox.begun(conn, link_id, markers):
        raise RefusedError(
            "It is in QuickBooks already, or on its way there. To take it back, undo its document: Review, Posted."
        )
    documents = {document for row in rows for document in row.document_ids}
    free = [each for each in documents if not legs.matched_elsewhere(conn, link_id, each, said.source_id)]
    mirror.release(conn, link.ledger_id, free)
    movements = legs.record_withdrawn(conn, link_id, [row.id for row in rows])
    mirror.reopen_movements(conn, link.processor_id, movements)


def waiting_legs(conn: Any, link_id: int, source_id: str, version: int) -> list[Any]:
    """The legs that wait and are not planned, while the item is as the person saw it. Others wait until we are done."""
    connections.change_link(conn, link_id)
    rows = legs.of_sources(conn, link_id, [source_id])
    if legs.version_of(rows) != version:
        raise RefusedError("This has changed since you looked at it. Look again, then decide.")
    found = [row for row in rows if row.state == "waiting" and not row.markers]
    if all(row.reason in PENDING for row in found):
        raise RefusedError("This waits for no decision now.")
    return found


def _parts(conn: Any, link_id: int, source_id: str, match_id: str) -> tuple[Part, ...]:
    """The documents of an answer, and how much of each."""
    found = legs.allocations(conn, link_id, source_id, match_id)
    if found is None:
        raise RefusedError("This answer is not offered any more. Look again, then decide.")
    return tuple(Part(ledger_id=part["ledger_id"], amount_minor=part["amount_minor"]) for part in found)


def record_decision(conn: Any, now: Any, link_id: int, said: PersonDecision, waiting: Sequence[Any], what: str) -> int:
    leg_ids = tuple(row.id for row in waiting)
    said = replace(said, leg_ids=leg_ids)
    decision_id = decisions.add(conn, link_id, said, now)
    legs.record_said(conn, link_id, leg_ids, f"{what} by {said.actor}; the next sync carries it out.")
    entry = audit.Entry(
        actor=said.actor,
        action=what.lower(),
        subject=said.source_id,
        link_id=link_id,
        detail=_detail(said, decision_id),
    )
    audit.append(conn, now, [entry])
    sync_soon(conn, link_id, said.actor, now)
    return decision_id


def _detail(said: PersonDecision, decision_id: int) -> dict[str, Any]:
    return {
        "decision": decision_id,
        "kind": said.kind,
        "documents": [part.ledger_id for part in said.parts],
        "short": [[part.ledger_id, part.short_minor, part.short_as] for part in said.parts if part.short_minor],
        "reason": said.reason,
        "how": said.how,
        "customer": said.customer_id,
    }


def sync_soon(conn: Any, link_id: int, cause: str, now: Any) -> None:
    if not runs.queued(conn, link_id):
        runs.enqueue(conn, link_id=link_id, kind="sync", cause=cause, scheduled_for=now)


def check_connected(conn: Any, link_id: int) -> None:
    """Whether there is anything to write into."""
    if connections.connection(conn, connections.link(conn, link_id).ledger_id).mode == "files":
        raise RefusedError("These books are known from files only: nothing can be written. Connect the company.")


def check(conn: Any, actor: User, action: str) -> None:
    """The role counts that the person has now, not the one at sign-in."""
    role = users.role_of(conn, actor.id) or ""
    if not User(id=actor.id, email=actor.email, name=actor.name, role=role).is_at_least(NEEDS[action]):
        raise NotAllowedError(action)


def entry(actor: User, action: str, subject: str, link_id: int, detail: dict[str, Any] | None = None) -> audit.Entry:
    return audit.Entry(actor=actor.email, action=action, subject=subject, link_id=link_id, detail=detail or {})
