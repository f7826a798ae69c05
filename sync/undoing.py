"""Undo of what is in the books: a person's command, checked, audited, all or nothing. The next sync carries it out."""

from typing import Any

from reconcile.choices import PersonDecision
from storage import audit, connections, legs, undoing
from storage.engine import Database
from storage.hanging import named
from storage.undoing import Undo
from storage.users import User
from sync.commands import RefusedError, check, check_connected, entry, sync_soon
from sync.holding import HeldError, ask_for, carries, hold, passed
from sync.ports import Clock

CHANGED = "This has changed since you looked at it. Look again, then decide."


def undo_posted(  # noqa: PLR0913 - all of it is what the person saw and said
    database: Database,
    clock: Clock,
    actor: User,
    link_id: int,
    document_id: str,
    version: str,
    reason: str,
    *,
    is_reconciled: bool,
    with_fee: bool = False,
) -> int:
    """Begins to take back a document of ours with all that books the same; gives the decision's id.

    `version` is of what the person saw it would do; `is_reconciled` is their answer whether a bank statement has been
    reconciled with it, which QuickBooks does not tell. Both the answer and the reason are kept in the audit.
    """
    with database.write() as conn:
        check(conn, actor, "undo_posted")
        answers = [reason, is_reconciled, with_fee]
        made = _undo_posted(conn, clock.now(), actor, link_id, document_id, version, *answers)
    return passed(made)


@carries("undo_posted")
def _undo_posted(  # noqa: PLR0913, PLR0917 - all of it is what the person saw and said
    conn: Any,
    now: Any,
    actor: User,
    link_id: int,
    document_id: str,
    version: str,
    reason: str,
    is_reconciled: bool,
    with_fee: bool,
    *,
    approved: bool = False,
) -> int | HeldError:
    connections.change_link(conn, link_id)  # before any row: locks are taken in one order
    check_connected(conn, link_id)
    if not reason.strip():
        raise RefusedError("Say why it is to be undone: Review and the audit show the reason.")
    link = connections.link(conn, link_id)
    found = undoing.preview(conn, link, document_id, with_fee=with_fee, is_reconciled=is_reconciled)
    if found is None:
        raise RefusedError("It is not in QuickBooks any more. Look again.")
    if found.obstacles:
        raise RefusedError(" ".join(found.obstacles))
    if found.version != version:
        raise RefusedError(CHANGED)
    text = f"Undo {' and '.join(named(step.document) for step in found.steps)}: {reason.strip()}"
    arguments = [document_id, version, reason, is_reconciled, with_fee]
    ask = ask_for(link_id, "undo_posted", found.source_id, legs.of_ids(conn, link_id, found.leg_ids), text, arguments)
    if not approved and (held := hold(conn, now, actor, ask)):
        return held
    said = PersonDecision(
        source_id=found.source_id, kind="undone", actor=actor.email, reason=_sentence(reason), leg_ids=found.leg_ids
    )
    decision_id = undoing.begin(conn, link, found, said, now)
    detail = _detail(found, decision_id, reason, is_reconciled=is_reconciled)
    audit.append(conn, now, [entry(actor, "asked to undo", found.source_id, link_id, detail)])
    sync_soon(conn, link_id, actor.email, now)
    return decision_id


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _detail(found: Undo, decision_id: int, reason: str, *, is_reconciled: bool) -> dict[str, object]:
    return {
        "decision": decision_id,
        "reason": reason.strip(),
        "reconciled": is_reconciled,
        "documents": [
            {"document": step.document.id, "version": step.document.version, "how": step.how} for step in found.steps
        ],
        "effects": list(found.effects),
    }
