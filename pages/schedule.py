"""When a link is synced by itself: shown on Syncs, and chosen there."""

from datetime import time
from functools import partial
from zoneinfo import ZoneInfo

import streamlit as st

from pages import chrome, words
from pages.context import Context
from storage.queries import LinkView
from storage.schedules import Schedule
from sync import commands, schedules

KINDS = {
    "": "as Tieout was started",
    "every": "every so many minutes",
    "hourly": "hourly",
    "daily": "daily",
    "weekly": "weekly",
    "never": "only when somebody asks",
}
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
KIND, MINUTES, MINUTE, AT, DAY, NEWS = (
    f"schedule-{name}" for name in ("kind", "minutes", "minute", "at", "day", "news")
)


def offer(context: Context, link: LinkView) -> None:
    """What is chosen, when the next sync is due, and the choice itself."""
    allowed = commands.may(context.user, "choose_schedule")
    now = None if link.schedule is None else link.schedule.schedule
    with st.popover(f"Schedule: {told(context, now)}", disabled=not allowed, key="schedule"):
        kind = st.selectbox("Sync", list(KINDS), _place(now), format_func=KINDS.__getitem__, key=KIND)
        _when(link, kind, now or Schedule(kind="every"))
        if kind:
            st.checkbox(
                "Also as soon as Stripe or QuickBooks tell of news",
                True if now is None else now.on_news,
                key=NEWS,
            )
        st.button(
            "Keep this schedule",
            type="primary",
            key="keep-schedule",
            on_click=_keep,
            args=(context, link),
        )
    due = schedules.next_due(link.schedule, link.time_zone, context.now, context.interval_s or 900)
    zone = ZoneInfo(link.time_zone)
    st.caption(f"Next: {due.astimezone(zone):%Y-%m-%d %H:%M} ({link.time_zone})" if due else "Nothing is due.")


def told(context: Context, schedule: Schedule | None) -> str:
    """A schedule in words: "weekly on Monday at 06:00"."""
    if schedule is None:
        return _every((context.interval_s or 900) // 60)
    return {
        "every": _every(schedule.minutes),
        "hourly": f"hourly at minute {schedule.minute}",
        "daily": f"daily at {schedule.at}",
        "weekly": f"weekly on {DAYS[schedule.weekday]} at {schedule.at}",
        "never": "only when asked for",
    }[schedule.kind]


def _every(minutes: int) -> str:
    number, unit = (minutes // 60, "hour") if minutes % 60 == 0 else (minutes, "minute")
    return f"every {unit}" if number == 1 else f"every {words.count(number, unit)}"


def _place(schedule: Schedule | None) -> int:
    return 0 if schedule is None else list(KINDS).index(schedule.kind)


def _when(link: LinkView, kind: str, now: Schedule) -> None:
    """What else has to be said of a kind."""
    if kind == "every":
        st.number_input("Minutes between two syncs", 1, schedules.MINUTES_MAX, now.minutes, key=MINUTES)
    if kind == "hourly":
        st.number_input("At minute", 0, 59, now.minute, key=MINUTE)
    if kind == "weekly":
        st.selectbox("On", DAYS, now.weekday, key=DAY)
    if kind in ("daily", "weekly"):
        st.time_input(f"At ({link.time_zone})", time.fromisoformat(now.at), key=AT, step=60 * 15)


def _keep(context: Context, link: LinkView) -> None:
    """As the boxes are at the click."""
    said, kind = st.session_state, st.session_state[KIND]
    schedule = None
    if kind:
        schedule = Schedule(
            kind=kind,
            minutes=said.get(MINUTES, 15),
            minute=said.get(MINUTE, 0),
            at=f"{said.get(AT, time(6)):%H:%M}",
            weekday=DAYS.index(said.get(DAY, DAYS[0])),
            on_news=said.get(NEWS, True),
        )
    choose = partial(schedules.choose_schedule, context.database, context.clock, context.user, link.id, schedule)
    chrome.act(choose, done="The schedule is kept.", idle="It was so already.")
