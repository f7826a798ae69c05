"""Each action of a person as one function: it checks the role, does it, and writes the audit entry, all or nothing."""

from typing import Any

from storage import audit, connections, inbox, legs, mirror, outbox, runs, users
from storage.engine import Database
from storage.users import User
from sync.ports import Clock

# What each action takes.
NEEDS = {
    "run_now": "accountant",
    "retry_posting": "accountant",
    "retry_received": "accountant",
    "switch_posting": "accountant",
}
READING = "reading"  # the cursor of the books


class NotAllowedError(Exception):
    """The person's role does not allow this action."""

    def __init__(self, action: str) -> None:
        needed = NEEDS[action]
        super().__init__(
            f"This takes the role {needed} or higher. Ask somebody who has it, or an admin to give it to you."
        )


def may(user: User, action: str) -> bool:
    """Whether to offer an action. The action itself looks at the role again."""
    return user.is_at_least(NEEDS[action])


def run_now(database: Database, clock: Clock, actor: User, link_id: int) -> bool:
    """Asks for a sync of a link; False if one is under way or asked for already."""
    now = clock.now()
    with database.write() as conn:
        _check(conn, actor, "run_now")
        if runs.waiting(conn, link_id):
            return False
        runs.enqueue(conn, link_id=link_id, kind="sync", cause=actor.email, scheduled_for=now)
        audit.append(conn, now, [_entry(actor, "asked for a sync", f"link {link_id}", link_id)])
    return True


def retry_posting(database: Database, clock: Clock, actor: User, outbox_id: int) -> bool:
    """Sends a refused posting again with the next sync; False if it does not wait any more."""
    now = clock.now()
    with database.write() as conn:
        _check(conn, actor, "retry_posting")
        if not outbox.retry(conn, outbox_id):
            return False
        item = outbox.get(conn, outbox_id)
        connections.change_link(conn, item.link_id)  # so that it is decided again on what the books say now
        legs.record_retried(conn, item.link_id, [share.leg_id for share in item.posting.shares])
        audit.append(conn, now, [_entry(actor, "retried", item.posting.marker, item.link_id)])
    return True


def retry_received(database: Database, clock: Clock, actor: User, inbox_id: int) -> bool:
    """Fetches again, with the next sync, what could not be handled; False if it does not wait any more.

    The books have no fetching by id: there, everything is read again, once.
    """
    now = clock.now()
    with database.write() as conn:
        _check(conn, actor, "retry_received")
        event = inbox.release(conn, inbox_id)
        if event is None:
            return False
        if connections.connection(conn, event.connection_id).system != "stripe":
            mirror.forget_cursor(conn, event.connection_id, READING)
        entry = audit.Entry(actor=actor.email, action="retried", subject=f"event {event.event_id}")
        audit.append(conn, now, [entry])
    return True


def switch_posting(database: Database, clock: Clock, actor: User, link_id: int, on: bool) -> bool:
    """Lets a link post into the books, or stops it; False if it is that way already."""
    now = clock.now()
    with database.write() as conn:
        _check(conn, actor, "switch_posting")
        if not connections.switch_posting(conn, link_id, on):
            return False
        action = "switched posting on" if on else "switched posting off"
        audit.append(conn, now, [_entry(actor, action, f"link {link_id}", link_id)])
    return True


def _check(conn: Any, actor: User, action: str) -> None:
    """The role counts that the person has now, not the one at sign-in."""
    role = users.role_of(conn, actor.id) or ""
    if not User(id=actor.id, email=actor.email, name=actor.name, role=role).is_at_least(NEEDS[action]):
        raise NotAllowedError(action)


def _entry(actor: User, action: str, subject: str, link_id: int) -> audit.Entry:
    return audit.Entry(actor=actor.email, action=action, subject=subject, link_id=link_id)
