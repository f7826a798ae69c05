"""The PC that QuickBooks runs on: its wall clock, and the times QuickBooks prints from it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from emulators.clock import Clock

FIRST, LAST = "0001-01-01T00:00:00", "9999-12-31T23:59:59"


@dataclass
class Pc:
    """`ahead` is how far its clock is wrong. With `wrong_summer_offset` QuickBooks prints the offset of standard time
    all year, as it does on files of the United States (found in recorded answers)."""

    clock: Clock
    zone: ZoneInfo
    ahead: timedelta = timedelta()
    wrong_summer_offset: bool = True

    def now(self) -> datetime:
        return (self.clock.now() + self.ahead).astimezone(self.zone).replace(microsecond=0)

    def today(self) -> str:
        return self.now().date().isoformat()

    def epoch(self) -> int:
        return int(self.now().timestamp())

    def stamp(self, epoch: int) -> str:
        """ "2026-07-01T09:30:00-05:00": the hour on the wall, and an offset that may be wrong."""
        local = datetime.fromtimestamp(epoch, self.zone)
        offset = local.utcoffset() or timedelta()
        if self.wrong_summer_offset:
            offset -= local.dst() or timedelta()
        sign, minutes = "-" if offset < timedelta() else "+", abs(int(offset.total_seconds())) // 60
        return f"{local:%Y-%m-%dT%H:%M:%S}{sign}{minutes // 60:02}:{minutes % 60:02}"

    def bound(self, text: str | None, *, end: bool) -> str:
        """A bound of a filter as an hour on the wall: a date alone is its first or last second, an offset is obeyed."""
        if not text:
            return LAST if end else FIRST
        day, _, hour = text.partition("T")
        if not hour:
            return f"{day}T23:59:59" if end else f"{day}T00:00:00"
        whole = hour.partition("-")[0].partition("+")[0]
        padded = ":".join([*whole.split(":"), "00", "00"][:3])
        if len(hour) == len(whole):
            return f"{day}T{padded}"
        instant = datetime.fromisoformat(f"{day}T{padded}{hour[len(whole) :]}")
        return f"{instant.astimezone(self.zone):%Y-%m-%dT%H:%M:%S}"


def wall(text: str) -> int:
    """A sortable number of an hour on the wall, whatever offset was printed with it."""
    return int((datetime.fromisoformat(text[:19]) - datetime(1, 1, 1)).total_seconds())  # noqa: DTZ001 - no zone on purpose
