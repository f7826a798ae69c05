"""Notes of people about what waits, and whom they ask."""

from storage import audit, notes, users
from storage.engine import Database
from storage.notes import Note
from storage.users import User
from sync.commands import RefusedError, check, entry
from sync.ports import Clock

LENGTH_MAX = 2_000  # characters


def add_note(
    database: Database, clock: Clock, actor: User, link_id: int, source_id: str, text: str, asked: str | None = None
) -> int:
    """Keeps what somebody said about a Stripe object; gives the note's id. `asked`: the address of whom they ask.

    The newest note says who is asked, so that an answer that asks nobody ends it. A note decides nothing.
    """
    now, text = clock.now(), text.strip()[:LENGTH_MAX]
    with database.write() as conn:
        check(conn, actor, "add_note")
        if not text:
            raise RefusedError("Say what is to be known about it, or what you ask.")
        if asked is not None and not users.has_access(conn, asked):
            raise RefusedError(f"{asked} has no access. Ask somebody else.")
        note_id = notes.add(conn, link_id, source_id, Note(at=now, actor=actor.email, text=text, asked=asked))
        detail = {"text": text} | ({"asked": asked} if asked else {})
        audit.append(conn, now, [entry(actor, "noted", source_id, link_id, detail)])
    return note_id
