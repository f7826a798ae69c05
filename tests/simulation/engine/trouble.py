"""What goes wrong, where: crash points and faults by the place they strike at and its number, and how often each did.

A place is a commit or a call: `fetch` (Stripe), `read`, `look up`, `post` (QuickBooks), `webhook`. A crash is an
exception that nothing catches: whoever was at work is thrown away, and what was not committed with it.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from sqlite3 import Connection as DriverConnection
from sqlite3 import OperationalError as FullError
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from storage.engine import Database

CRASHES = ("crash before", "crash after")
AT: Mapping[str, tuple[str, ...]] = {
    "commit": (*CRASHES, "disk full", "rival"),
    "fetch": (
        *CRASHES, "429", "500", "reset", "slow", "truncated", "refused", "forbidden", "pause", "pause after",
        "meanwhile", "jump",
    ),
    "read": (
        *CRASHES, "429", "500", "reset", "unsent", "slow", "truncated", "garbage", "expired", "pause", "meanwhile",
        "jump",
    ),
    "look up": (*CRASHES, "429", "500", "reset", "truncated", "garbage", "pause", "meanwhile", "slow"),
    "post": (
        *CRASHES, "429", "500", "500 after", "reset", "lost", "late", "unsent", "slow", "truncated", "garbage",
        "expired", "pause", "pause after", "meanwhile", "jump",
    ),
    "webhook": (*CRASHES, "disk full"),
}  # fmt: skip


class Crash(BaseException):
    """The process is gone. Not an Exception: nothing may catch it."""


@dataclass(frozen=True, order=True)
class Fault:
    """`what` strikes at the `number`th time (from 0) that `place` is reached in a round."""

    place: str
    number: int
    what: str

    def __str__(self) -> str:
        return f"{self.what} at {self.place} {self.number}"


@dataclass
class Trouble:
    """The faults of the present round; `struck` and `reached` count over all rounds."""

    script: dict[tuple[str, int], str] = field(default_factory=dict)
    crash_at: tuple[int, ...] = ()  # at these of all crash points, numbered as they are reached, anew after each crash
    points: int = 0
    place: str = "commit"  # what a commit counts as
    rival: Callable[[], None] = lambda: None  # another process is at work before a commit of ours
    back_up_at: int = 0  # after so many commits of a seed the database is copied; 0: never
    commits: int = 0
    backup: bytes | None = None
    reached: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    _numbers: Counter[str] = field(default_factory=Counter)
    _rests: bool = False

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Other processes than ours are at work: nothing strikes them."""
        before, self._rests = self._rests, True
        try:
            yield
        finally:
            self._rests = before

    def forget(self) -> None:
        """The next seed counts anew."""
        self.begin()
        self.back_up_at, self.commits, self.backup = 0, 0, None
        self.reached, self.struck = Counter(), Counter()

    def begin(self, faults: tuple[Fault, ...] = (), crash_at: tuple[int, ...] = ()) -> None:
        """A round with these faults."""
        self.script = {(fault.place, fault.number): fault.what for fault in faults}
        self.crash_at, self.points = crash_at, 0
        self._numbers.clear()

    def at(self, place: str) -> str:
        """What strikes here now; "" for nothing."""
        if self._rests:
            return ""
        number = self._numbers[place]
        self._numbers[place] += 1
        self.reached[place] += 1
        what = self.script.pop((place, number), "")
        if what:
            self.struck[f"{place}: {what}"] += 1
        return what

    def committed(self, driver: DriverConnection) -> None:
        self.commits += 1
        if self.commits == self.back_up_at:
            self.backup = driver.serialize()

    def point(self, place: str, when: str, what: str) -> None:
        """A crash point: the process may end here."""
        if self._rests:
            return
        self.points += 1
        name = f"crash {when}"
        if self.crash_at and self.crash_at[0] == self.points - 1:
            self.crash_at, self.points, what = self.crash_at[1:], 0, name
            self.struck[f"{place}: {name}"] += 1
        if what == name:
            raise Crash(f"{when} {place}")


@dataclass(frozen=True)
class Watched(Database):
    """A database whose commits are crash points, and whose disk may be full.

    It keeps one connection, which lives in memory, and so saves what it takes to get one from a pool.
    """

    trouble: Trouble = field(default_factory=Trouble)
    only: list[Connection] = field(default_factory=list)

    @contextmanager
    def _unit(self, **options: Any) -> Iterator[Connection]:
        driver, conn = self.driver, self.only[0]
        self._held.units += 1
        assert self._held.units == 1, "a unit of work inside another one"
        try:
            driver.execute(f"PRAGMA query_only={'OFF' if options.get('writes') else 'ON'}")
            with conn.begin():
                yield conn
        finally:
            self._held.units -= 1

    @property
    def driver(self) -> DriverConnection:
        if not self.only:
            self.only.append(self.engine.connect())
        found = self.only[0].connection.driver_connection
        assert isinstance(found, DriverConnection)
        return found

    def close(self) -> None:
        for conn in self.only:
            conn.close()
        super().close()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        place = self.trouble.place
        what = self.trouble.at(place)
        if what == "rival" and not self._held.units:
            self.trouble.rival()
        with super().write() as conn:
            yield conn
            self.trouble.point(place, "before", what)
            if what == "disk full":
                raise OperationalError("COMMIT", {}, FullError("database or disk is full"))
        self.trouble.committed(self.driver)
        self.trouble.point(place, "after", what)

    @property
    def is_busy(self) -> bool:
        """Whether somebody is inside a unit of work."""
        return self._held.units > 0
