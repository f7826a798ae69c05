"""The second person: says yes or no to what another one asked for, once; what has changed meanwhile is not done."""

from typing import Any

from storage import approvals, audit, connections, users
from storage.approvals import Stored
from storage.engine import Database
from storage.users import User
from sync import mending, pairing, undoing
from sync.commands import RefusedError, check, entry
from sync.holding import CARRIED
from sync.ports import Clock

LATER = (mending, pairing, undoing)  # where the rest of CARRIED is
# What the role of an action is called, where the command is called otherwise.
ROLE = {"undo": "undo_posted"}


class _StaleError(Exception):
    """What was asked for cannot be done any more."""


def approve(database: Database, clock: Clock, actor: User, approval_id: int) -> bool:
    """Does what another person asked for; False if it does not wait any more.

    Raises RefusedError if it was the same person, and if it cannot be done as things are now: it waits no longer then.
    """
    now = clock.now()
    try:
        with database.write() as conn:
            check(conn, actor, "approve")
            asked = approvals.get(conn, approval_id)
            if asked is None or asked.state != "waiting":
                return False
            connections.change_link(conn, asked.ask.link_id)  # before any row: locks are taken in one order
            _check_second(conn, actor, asked)
            if not approvals.settle(conn, approval_id, "approved", actor.id, now):
                return False
            _carry_out(conn, now, asked)
            detail = {"approval": approval_id, "asked by": asked.asker, "what": asked.ask.text}
            audit.append(conn, now, [entry(actor, "approved", asked.ask.subject, asked.ask.link_id, detail)])
    except _StaleError as error:
        _record_stale(database, now, actor, approval_id, str(error))
        raise RefusedError(f"It was not done, and waits no longer. {error}") from None
    return True


def decline(database: Database, clock: Clock, actor: User, approval_id: int, reason: str) -> bool:
    """Says no, with a reason, also to what one asked for oneself; False if it does not wait any more."""
    now = clock.now()
    with database.write() as conn:
        asked = approvals.get(conn, approval_id)
        is_own = asked is not None and asked.asked_by == actor.id
        check(conn, actor, _role_of(asked) if asked and is_own else "approve")
        if not reason.strip():
            raise RefusedError("Say why not: whoever asked for it reads the reason.")
        if asked is None or not approvals.settle(conn, approval_id, "declined", actor.id, now, reason.strip()):
            return False
        detail = {"approval": approval_id, "asked by": asked.asker, "what": asked.ask.text, "reason": reason.strip()}
        audit.append(conn, now, [entry(actor, "declined", asked.ask.subject, asked.ask.link_id, detail)])
    return True


def _role_of(asked: Stored) -> str:
    """What the action is called where roles are looked up."""
    return ROLE.get(asked.ask.action, asked.ask.action)


def _check_second(conn: Any, actor: User, asked: Stored) -> None:
    if asked.asked_by == actor.id:
        raise RefusedError("You asked for this yourself. It takes the yes of another person.")
    check(conn, actor, _role_of(asked))


def _carry_out(conn: Any, now: Any, asked: Stored) -> None:
    """As the person who asked, in the role they have now. Raises _StaleError."""
    asker = User(id=asked.asked_by, email=asked.asker, name="", role=users.role_of(conn, asked.asked_by) or "")
    try:
        check(conn, asker, _role_of(asked))
        done = CARRIED[asked.ask.action](conn, now, asker, asked.ask.link_id, *asked.ask.arguments, approved=True)
    except RefusedError as error:
        raise _StaleError(str(error)) from None
    if done is False:
        raise _StaleError("Somebody has done something about it meanwhile.")


def _record_stale(database: Database, now: Any, actor: User, approval_id: int, why: str) -> None:
    with database.write() as conn:
        asked = approvals.get(conn, approval_id)
        if asked and approvals.settle(conn, approval_id, "stale", actor.id, now, why):
            detail = {"approval": approval_id, "asked by": asked.asker, "what": asked.ask.text, "why": why}
            audit.append(conn, now, [entry(actor, "could not approve", asked.ask.subject, asked.ask.link_id, detail)])
