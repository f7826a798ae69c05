"""Closing a period: one person prepares it, another signs it off; it can be opened again, with a reason."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

from reconcile.closing import Drift, Sums
from storage import audit, closes, connections, users
from storage.closes import Close, Head, Look, Pack, Standing
from storage.memo import remembered
from storage.users import User
from sync.commands import NEEDS, RefusedError, check
from sync.environment import Environment

Made = TypeVar("Made", Look, Pack)
NOTE_MAX = 2_000  # characters
UNKNOWN = "The opening balance is not known yet. The next sync finds it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of the list that must be green or explained: good, wait (needs a note) or bad (nothing is prepared)."""

    state: str
    text: str


def look(environment: Environment, link_id: int, last: date) -> tuple[Look, list[Check]]:
    """The period as it is now, and whether it can be prepared. Raises RefusedError if there is nothing to look at."""
    database = environment.database
    found: Look = remembered(
        database, link_id, ("look", last), lambda conn: _made(closes.look, conn, environment, link_id, last)
    )
    with database.read() as conn:
        return found, checks(found, connections.link(conn, link_id))


def whole(environment: Environment, link_id: int, last: date) -> Pack:
    """The same with each document of the period, for whoever takes it along. Raises RefusedError as `look` does."""
    with environment.database.read() as conn:
        return _made(closes.pack, conn, environment, link_id, last)


def next_first(environment: Environment, link_id: int) -> date:
    """The first day of the next period to close."""
    with environment.database.read() as conn:
        return closes.first_day(conn, connections.link(conn, link_id))


def standings(environment: Environment, link_id: int) -> dict[int, Standing]:
    """By id of a period: whether it is whole, and how much of it has changed since it was prepared or signed."""
    return remembered(environment.database, link_id, "standings", lambda conn: closes.standings(conn, link_id))


def drifts(environment: Environment, link_id: int, known: Sequence[Head]) -> dict[int, list[Drift]]:
    """By id of a period: what is not as it was when it was prepared or signed."""
    name = ("drifts", *(each.id for each in known))  # what was prepared never changes
    return remembered(environment.database, link_id, name, lambda conn: closes.drifts(conn, link_id, known))


def one(environment: Environment, link_id: int, close_id: int) -> Close | None:
    """A period with its pack; None if there is no such."""
    return remembered(environment.database, link_id, ("close", close_id), lambda conn: closes.get(conn, close_id))


def checks(found: Look, link: connections.Link) -> list[Check]:
    """What must be green or explained."""
    last, over = found.figures.last, closes.ends_at(link, found.figures.last)
    synced = found.synced_at is not None and found.synced_at >= over
    open_count = len(found.open)
    untied = [each.id for each in found.payouts if each.rest_minor]
    return [
        Check(state="good", text=f"Everything is synced through {last}.")
        if synced
        else Check(state="bad", text=f"No sync began after {last} was over and read everything. Run one on Syncs."),
        *(Check(state="bad", text=text) for text in found.violations),
        Check(state="good", text="Nothing is open: each difference settles by itself or was decided.")
        if not open_count
        else Check(state="wait", text=f"{_count(open_count, 'item')} open. Settle them, or say in the note why not."),
        Check(state="good", text=f"{_count(len(found.payouts), 'payout')} tied to what is in them.")
        if not untied
        else Check(state="wait", text=f"These payouts do not tie: {', '.join(untied[:5])}. Say in the note why."),
        Check(state="good", text="No document is odd.")
        if not found.odd
        else Check(state="wait", text=f"{_count(len(found.odd), 'document')} to look at in Review, or explain them."),
    ]


def prepare(environment: Environment, actor: User, link_id: int, seen: Sums, note: str) -> int:
    """Keeps the period with the sums that the person saw, for somebody else to sign; gives its id.

    Raises RefusedError if these are others now, if something red is left, or something open unexplained.
    """
    now, note = environment.clock.now(), note.strip()[:NOTE_MAX]
    with environment.database.write() as conn:
        check(conn, actor, "prepare_close")
        link = connections.link(conn, link_id)
        found = _made(closes.pack, conn, environment, link_id, seen.last)
        if found.figures.sums != seen:
            raise RefusedError("The figures have changed since you looked at them. Look again, then prepare.")
        states = {each.state for each in checks(found, link)}
        if "bad" in states:
            raise RefusedError("Something red is left in the list. It has to be settled first.")
        if "wait" in states and not note:
            raise RefusedError("Something is open. Say in the note why the period can be closed all the same.")
        close_id = closes.prepare(conn, link_id, found, note, actor.email, now)
        _record(conn, environment, actor, "prepared a close", link_id, found.figures, note=note)
    return close_id


def sign_off(environment: Environment, actor: User, close_id: int) -> bool:
    """Freezes what somebody else prepared; False if somebody was quicker. Raises RefusedError if it has changed.

    Whoever is alone in being allowed to sign may sign what they prepared; the sign-off shows both names.
    """
    with environment.database.write() as conn:
        check(conn, actor, "sign_off")
        found = _get(conn, close_id)
        if found.prepared_by == actor.email and users.others_at_least(conn, NEEDS["sign_off"], actor.id):
            raise RefusedError("You prepared this period, so somebody else has to sign it off.")
        if closes.drift_now(conn, connections.link(conn, found.link_id), found):
            raise RefusedError("The books have changed since the period was prepared. It has to be prepared again.")
        if not closes.sign(conn, close_id, actor.email, environment.clock.now()):
            return False
        detail = {"digest": found.digest, "prepared by": found.prepared_by}
        _record(conn, environment, actor, "signed off", found.link_id, found.pack.figures, **detail)
    return True


def reopen(environment: Environment, actor: User, close_id: int, why: str) -> bool:
    """Takes a sign-off back, the last one first; what was signed is kept. False if somebody was quicker."""
    why = why.strip()[:NOTE_MAX]
    with environment.database.write() as conn:
        check(conn, actor, "sign_off")
        found = _get(conn, close_id)
        if not why:
            raise RefusedError("Say why the period is opened again: it is kept with the sign-off.")
        if not closes.is_last_signed(conn, found):
            raise RefusedError("A later period is signed off. Open that one again first.")
        if not closes.reopen(conn, close_id, actor.email, why, environment.clock.now()):
            return False
        _record(conn, environment, actor, "opened a period again", found.link_id, found.pack.figures, why=why)
    return True


def _made(
    make: Callable[[Any, int, date], Made | None], conn: Any, environment: Environment, link_id: int, last: date
) -> Made:
    link = connections.link(conn, link_id)
    first = closes.first_day(conn, link)
    if last < first:
        raise RefusedError(f"The next period to close begins on {first}.")
    if environment.clock.now() < closes.ends_at(link, last):
        raise RefusedError(f"{last} is not over yet.")
    try:
        found = make(conn, link_id, last)
    except ArithmeticError as error:
        raise RefusedError(f"{error} Run “tieout check”, and ask for help: the figures cannot be signed.") from None
    if found is None:
        raise RefusedError(UNKNOWN)
    return found


def _get(conn: Any, close_id: int) -> Close:
    found = closes.get(conn, close_id)
    if found is None:
        raise RefusedError("There is no such period. Look at the page again.")
    return found


def _record(
    conn: Any, environment: Environment, actor: User, action: str, link_id: int, figures: Sums, **detail: str
) -> None:
    subject = f"period {figures.first} to {figures.last}"
    entry = audit.Entry(actor=actor.email, action=action, subject=subject, link_id=link_id, detail=dict(detail))
    audit.append(conn, environment.clock.now(), [entry])


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
