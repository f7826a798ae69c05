"""The day a movement belongs to, and what a closed period does to it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from reconcile.postings import Posting
from reconcile.records import Movement
from reconcile.snapshot import Snapshot


def book_day(instant: datetime, time_zone: str) -> date:
    """The calendar day of an instant where the books are kept."""
    return instant.astimezone(ZoneInfo(time_zone)).date()


def day_of(snapshot: Snapshot, movements: Sequence[Movement]) -> date:
    """The day of movements that are booked together: that of the first, but never before the cut-over.

    The fee of a payout that was on its way then is booked on the first day, as the opening holds what it was paid from.
    """
    return max(book_day(movements[0].created_at, snapshot.time_zone), snapshot.cutover)


def before_cutover(snapshot: Snapshot, movements: Sequence[Movement]) -> bool:
    return book_day(movements[0].created_at, snapshot.time_zone) < snapshot.cutover


def is_closed(snapshot: Snapshot, day: date) -> bool:
    return is_closed_day(snapshot.closed_through, day)


def is_closed_day(closed_through: date | None, day: date) -> bool:
    return closed_through is not None and day <= closed_through


def closed_problem(snapshot: Snapshot, day: date) -> tuple[str, str] | None:
    """Why nothing can be dated `day`, if by policy it waits until the period is opened again."""
    if not is_closed(snapshot, day) or snapshot.policies.closed_period == "first_open_day":
        return None
    detail = (
        f"The books are closed through {snapshot.closed_through}, and this belongs to {day}. Reopen them, then retry."
    )
    return "closed_period", detail


def first_open_day(snapshot: Snapshot, day: date) -> date:
    """`day`, or if it is closed the first one that is not."""
    if snapshot.closed_through is None:
        return day
    return max(day, snapshot.closed_through + timedelta(days=1))


def out_of_closed(snapshot: Snapshot, posting: Posting) -> Posting:
    """A document dated into a closed period, dated the first open day instead, which its memo then says."""
    return first_open(posting, snapshot.closed_through)


def first_open(posting: Posting, closed_through: date | None) -> Posting:
    if closed_through is None or posting.dated > closed_through:
        return posting
    note = f"Belongs to {posting.dated}; the books are closed through {closed_through}."
    return replace(posting, dated=closed_through + timedelta(days=1), memo=f"{posting.memo} {note}")
