"""Days as Stripe counts them: UTC, weekends do not count."""

from datetime import UTC, date, datetime, timedelta

from emulators.stripe.settings import DAY_S

PAYOUT_TIME_S = 1_800  # automatic payouts are made at half past midnight, UTC


def midnight(timestamp: int) -> int:
    return timestamp - timestamp % DAY_S


def business_days_later(timestamp: int, days: int) -> int:
    """Midnight of the `days`-th business day after the one of `timestamp`."""
    day = date_of(timestamp)
    while days > 0:
        day += timedelta(days=1)
        if day.weekday() < 5:
            days -= 1
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def next_payout_time(timestamp: int) -> int:
    """The first moment, not before `timestamp`, at which payouts are made."""
    due = midnight(timestamp) + PAYOUT_TIME_S
    if due < timestamp:
        due += DAY_S
    while date_of(due).weekday() >= 5:
        due += DAY_S
    return due


def date_of(timestamp: int) -> date:
    return datetime.fromtimestamp(timestamp, UTC).date()
