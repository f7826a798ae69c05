"""When syncs are due, and how a person chooses that."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger

from storage import audit, connections, schedules
from storage.engine import Database
from storage.records import to_json
from storage.schedules import Chosen, Schedule
from storage.users import User
from sync.commands import RefusedError, check, entry
from sync.ports import Clock

MINUTES_MIN, MINUTES_MAX = 1, 1_440
TIME = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d")
# Longer than between any two due times, also over a change of the clocks.
LOOK_BACK = {"hourly": timedelta(hours=3), "daily": timedelta(days=3), "weekly": timedelta(days=9)}


def choose_schedule(database: Database, clock: Clock, actor: User, link_id: int, schedule: Schedule | None) -> bool:
    """From now on a link is synced so; None: in the installation's interval. False if it was so already.

    Raises RefusedError for a schedule that cannot be kept.
    """
    now = clock.now()
    with database.write() as conn:
        check(conn, actor, "choose_schedule")
        link, before = connections.link(conn, link_id), schedules.of_link(conn, link_id)
        if (None if before is None else before.schedule) == schedule:
            return False
        if schedule is not None:
            _refuse_wrong(schedule)
        schedules.choose(conn, link_id, None if schedule is None else Chosen(schedule=schedule, since=now))
        detail = {"schedule": None if schedule is None else to_json(schedule)}
        audit.append(conn, now, [entry(actor, "changed the schedule", f"link {link.id}", link.id, detail)])
    return True


def _refuse_wrong(schedule: Schedule) -> None:
    if not MINUTES_MIN <= schedule.minutes <= MINUTES_MAX:
        raise RefusedError(f"Choose {MINUTES_MIN} to {MINUTES_MAX:,} minutes.")
    if not (0 <= schedule.minute < 60 and 0 <= schedule.weekday < 7):
        raise RefusedError("Choose a minute from 0 to 59 and a day of the week.")
    if not TIME.fullmatch(schedule.at):
        raise RefusedError("Write the time as 06:00.")


def last_due(chosen: Chosen | None, zone: str, now: datetime, interval_s: int) -> datetime | None:
    """The latest time at which a sync was due: every process that asks names the same one. None if there was none."""
    if chosen is None:
        return grid(now, interval_s)
    if chosen.schedule.kind == "never":
        return None
    if chosen.schedule.kind == "every":
        due: datetime | None = grid(now, chosen.schedule.minutes * 60)
    else:
        due = _last_of(_trigger(chosen.schedule, zone), now - LOOK_BACK[chosen.schedule.kind], now)
    return due if due is not None and due >= chosen.since else None


def next_due(chosen: Chosen | None, zone: str, now: datetime, interval_s: int) -> datetime | None:
    """The first time after now at which a sync is due; None if none ever is."""
    if chosen is None or chosen.schedule.kind == "every":
        seconds = interval_s if chosen is None else chosen.schedule.minutes * 60
        return grid(now, seconds) + timedelta(seconds=seconds)
    if chosen.schedule.kind == "never":
        return None
    return _after(_trigger(chosen.schedule, zone), now)


def grid(now: datetime, seconds: int) -> datetime:
    """The latest multiple of an interval."""
    since = int(now.timestamp())
    return datetime.fromtimestamp(since - since % seconds, UTC)


def _trigger(schedule: Schedule, zone: str) -> CronTrigger:
    if schedule.kind == "hourly":
        return CronTrigger(minute=schedule.minute, timezone=ZoneInfo(zone))
    hour, minute = schedule.at.split(":")
    weekday = schedule.weekday if schedule.kind == "weekly" else None
    return CronTrigger(day_of_week=weekday, hour=int(hour), minute=int(minute), timezone=ZoneInfo(zone))


def _last_of(trigger: CronTrigger, since: datetime, now: datetime) -> datetime | None:
    last, found = None, _after(trigger, since)
    while found is not None and found <= now:
        last, found = found, _after(trigger, found)
    return last


def _after(trigger: CronTrigger, moment: datetime) -> datetime | None:
    found: datetime | None = trigger.get_next_fire_time(None, moment + timedelta(microseconds=1))
    return None if found is None else found.astimezone(UTC)
