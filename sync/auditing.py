"""Each action of a person about the audit log, as one function: like sync.commands."""

from collections.abc import Callable, Iterator
from dataclasses import asdict

from storage import audit, audit_view
from storage.audit import BEGIN
from storage.audit_view import EntryView, Filter
from storage.engine import Database
from storage.users import User
from sync.commands import check, entry
from sync.environment import Environment
from sync.ports import Clock

Progress = Callable[[int], None]


def verify_chain(
    environment: Environment, actor: User, *, anew: bool = False, progress: Progress = lambda _: None
) -> list[str]:
    """Verifies the chain from where the last check ended, or `anew` from its beginning; what is wrong with it.

    `progress` is told the last entry that was found whole. How far it came is kept for the next time.
    """
    with environment.database.read() as conn:
        check(conn, actor, "verify_chain")
    return verify(environment, actor.email, anew=anew, progress=progress)


def verify(
    environment: Environment, actor: str, *, anew: bool = False, progress: Progress = lambda _: None
) -> list[str]:
    """The same for the command line and the worker. In short reads: a long one would keep others from writing.

    A last check that we did not sign is reported until somebody has the whole chain verified `anew`.
    """
    database, vault = environment.database, environment.vault
    with database.read() as conn:
        last = None if anew else audit.last_check(conn, vault)
    if last is not None and not last.is_ours:
        return [audit.NOT_OURS]
    mark = BEGIN if last is None else last.mark
    while True:
        with database.read() as conn:
            reached, wrong = audit.verify_after(conn, mark)
        is_end, mark = reached == mark, reached
        if wrong or is_end:
            break
        progress(mark.entry_id)
    problem = wrong[0] if wrong else None
    if last is None or (mark, problem) != (last.mark, last.problem):
        with database.write() as conn:
            audit.record_check(conn, vault, mark, environment.clock.now(), actor, problem)
    return wrong


def export(database: Database, clock: Clock, actor: User, link_id: int, wanted: Filter) -> Iterator[EntryView]:
    """The entries that fit, the newest EXPORT_MAX of them; that they were exported is an entry too."""
    now = clock.now()
    with database.write() as conn:
        check(conn, actor, "export_audit")
        said = {name: str(value) for name, value in asdict(wanted).items() if value}
        audit.append(conn, now, [entry(actor, "exported the audit log", f"link {link_id}", link_id, said)])
    return audit_view.export(database, link_id, wanted)
