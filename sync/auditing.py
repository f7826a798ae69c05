"""Each action of a person about the audit log, as one function: like sync.commands."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from storage import audit, audit_view
from storage.audit import BEGIN, Mark
from storage.audit_view import EntryView, Filter
from storage.engine import Database
from storage.users import User
from sync.commands import check, entry
from sync.ports import Clock

Progress = Callable[[int], None]


def verify_chain(
    database: Database, clock: Clock, actor: User, *, anew: bool = False, progress: Progress = lambda _: None
) -> list[str]:
    """Verifies the chain from where the last check ended, or `anew` from its beginning; what is wrong with it.

    `progress` is told the last entry that was found whole. How far it came is kept for the next time.
    """
    with database.read() as conn:
        check(conn, actor, "verify_chain")
    return verify(database, clock, actor.email, anew=anew, progress=progress)


def verify(
    database: Database, clock: Clock, actor: str, *, anew: bool = False, progress: Progress = lambda _: None
) -> list[str]:
    """The same for the command line. In short reads: a long one would keep others from writing."""
    with database.read() as conn:
        last = audit.last_check(conn)
    mark, known = (BEGIN, None) if last is None or anew else (last[0], last)
    while True:
        with database.read() as conn:
            reached, wrong = audit.verify_after(conn, mark)
        is_end, mark = reached == mark, reached
        if wrong or is_end:
            break
        progress(mark.entry_id)
    if wrong or known is None or _is_news(mark, known):
        with database.write() as conn:
            audit.record_check(conn, mark, clock.now(), actor, wrong[0] if wrong else None)
    return wrong


def _is_news(mark: Mark, known: tuple[Mark, Any, str, str | None]) -> bool:
    return mark != known[0] or known[3] is not None


def export(database: Database, clock: Clock, actor: User, link_id: int, wanted: Filter) -> Iterator[EntryView]:
    """The entries that fit, the newest EXPORT_MAX of them; that they were exported is an entry too."""
    now = clock.now()
    with database.write() as conn:
        check(conn, actor, "export_audit")
        said = {name: str(value) for name, value in asdict(wanted).items() if value}
        audit.append(conn, now, [entry(actor, "exported the audit log", f"link {link_id}", link_id, said)])
    return audit_view.export(database, link_id, wanted)
