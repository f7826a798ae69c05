"""When syncs are due, in the link's zone, and what a person may choose."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from storage import schedules as stored
from storage import users
from storage.engine import Database
from storage.schedules import Chosen, Schedule
from storage.users import User
from sync import scheduler
from sync.clock import FixedClock
from sync.commands import NotAllowedError, RefusedError
from sync.schedules import choose_schedule, last_due, next_due
from tests import factories

ZONE = "America/New_York"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def chosen(since: datetime = LONG_AGO, **said: Any) -> Chosen:
    return Chosen(schedule=Schedule(**said), since=since)


def local(*moment: int) -> datetime:
    return datetime(*moment, tzinfo=ZoneInfo(ZONE)).astimezone(UTC)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("said", "now", "last", "following"),
    [
        ({"kind": "every", "minutes": 45}, (2026, 11, 21, 12, 1), (2026, 11, 21, 11, 30), (2026, 11, 21, 12, 15)),
        ({"kind": "hourly", "minute": 50}, (2026, 11, 21, 12, 1), (2026, 11, 21, 11, 50), (2026, 11, 21, 12, 50)),
        ({"kind": "daily", "at": "06:00"}, (2026, 11, 21, 5, 59), (2026, 11, 20, 6, 0), (2026, 11, 21, 6, 0)),
        ({"kind": "daily", "at": "06:00"}, (2026, 11, 21, 6, 0), (2026, 11, 21, 6, 0), (2026, 11, 22, 6, 0)),
        # Saturday; Monday is 0.
        (
            {"kind": "weekly", "at": "18:30", "weekday": 0},
            (2026, 11, 21, 9),
            (2026, 11, 16, 18, 30),
            (2026, 11, 23, 18, 30),
        ),
        # The clocks go forward at 2 on 8 March, and back at 2 on 1 November: daily is once a day all the same.
        ({"kind": "daily", "at": "06:00"}, (2026, 3, 8, 7), (2026, 3, 8, 6), (2026, 3, 9, 6)),
        ({"kind": "daily", "at": "06:00"}, (2026, 11, 1, 7), (2026, 11, 1, 6), (2026, 11, 2, 6)),
    ],
)
def test_due_times(
    said: dict[str, Any], now: tuple[int, ...], last: tuple[int, ...], following: tuple[int, ...]
) -> None:
    moment = local(*now)
    assert last_due(chosen(**said), ZONE, moment, 900) == local(*last)
    assert next_due(chosen(**said), ZONE, moment, 900) == local(*following)


@pytest.mark.parametrize(("at", "repeats"), [("02:30", 0), ("01:30", 1)])
def test_no_day_is_skipped_when_the_clocks_change(at: str, repeats: int) -> None:
    """On 8 March there is no 02:30; on 1 November 01:30 comes twice, and a sync more does no harm."""
    for start, more in ((datetime(2026, 3, 6, tzinfo=UTC), 0), (datetime(2026, 10, 30, tzinfo=UTC), repeats)):
        ticks = [start + timedelta(minutes=10 * number) for number in range(6 * 24 * 5)]
        due = {last_due(chosen(start, kind="daily", at=at), ZONE, tick, 900) for tick in ticks} - {None}
        days = [each.astimezone(ZoneInfo(ZONE)).date() for each in due if each]
        assert (len(days), len(set(days))) == (5 + more, 5)


def test_what_was_due_before_it_was_chosen_is_not_made_up_for() -> None:
    now = local(2026, 11, 21, 12)
    assert last_due(chosen(now - timedelta(hours=1), kind="weekly"), ZONE, now, 900) is None
    assert last_due(chosen(now - timedelta(minutes=1), kind="every", minutes=60), ZONE, now, 900) == now
    assert last_due(chosen(kind="never"), ZONE, now, 900) is next_due(chosen(kind="never"), ZONE, now, 900) is None
    assert last_due(None, ZONE, now, 900) == now


def person(database: Database, role: str) -> User:
    with database.write() as conn:
        user_id = users.ensure_user(conn, email=f"{role}@example.com", name=role, role=role)
    return User(id=user_id, email=f"{role}@example.com", name=role, role=role)


def test_a_chosen_schedule_is_kept_to(database: Database) -> None:
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    link_id, clock = factories.seed_link(database, now).link_id, FixedClock(now)
    accountant = person(database, "accountant")
    daily = Schedule(kind="daily", at="06:00")
    with pytest.raises(NotAllowedError):
        choose_schedule(database, clock, person(database, "reviewer"), link_id, daily)
    for wrong in (
        Schedule(kind="every", minutes=0),
        Schedule(kind="daily", at="6"),
        Schedule(kind="weekly", weekday=7),
    ):
        with pytest.raises(RefusedError):
            choose_schedule(database, clock, accountant, link_id, wrong)
    assert choose_schedule(database, clock, accountant, link_id, daily)
    assert not choose_schedule(database, clock, accountant, link_id, daily)
    assert scheduler.enqueue_due(database, clock, 900) == 0
    assert scheduler.enqueue_due(database, FixedClock(now + timedelta(days=1)), 900) == 1
    with database.read() as conn:
        assert stored.of_link(conn, link_id) == Chosen(schedule=daily, since=now)
    assert choose_schedule(database, clock, accountant, link_id, None)
