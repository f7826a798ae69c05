"""The rolling re-list: what events missed is found by listing the last half year again, a slice at a time.

Stripe's lists filter by creation only, so a change of an older object shows up nowhere but in its events. A round goes
over all slices (a kind, thirty days) in a week; each sync does those that are due, within a bound of requests.
"""

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from storage import mirror, openings
from sync.reader import Reader

KINDS = ("charge", "refund", "dispute", "payout", "processor_invoice", "credit_note", "customer")
REACH, SLICE, ROUND = timedelta(days=180), timedelta(days=30), timedelta(days=7)
SLICES = len(KINDS) * (REACH // SLICE)
PAGES = 10  # requests of one sync at most
CURSOR = "relisting"


class Relisting:
    """Where the round stands is a cursor: its begin, the slice, and the place within it."""

    def __init__(self, reader: Reader) -> None:
        self._reader, self._database, self._clock = reader, reader.database, reader.clock
        self._cutover = openings.cutover_instant(reader.link.cutover, reader.link.time_zone)

    def hurry(self) -> None:
        """A new round, now, as fast as the bound allows: nobody knows what was missed."""
        now = self._clock.now()
        self._move(_round(now - ROUND, now))

    def go_on(self) -> int:
        """Lists what is due; gives how many objects had changed without an event."""
        with self._database.read() as conn:
            position = mirror.cursor(conn, self._reader.connection_id, CURSOR)
        if position is None:
            now = self._clock.now()
            self._move(_round(now, now))
            return 0
        changed = 0
        for _ in range(PAGES):
            position = self._due(position)
            if position is None:
                break
            number, position = self._read_page(position)
            changed += number
        return changed

    def _due(self, position: dict[str, Any]) -> dict[str, Any] | None:
        """The position to read at, if it is time: slice n of a round is due when n of its parts have passed."""
        now, began = self._clock.now(), datetime.fromisoformat(position["began"])
        if position["slice"] >= SLICES:
            return _round(now, now) if now - began >= ROUND else None
        return position if now - began >= ROUND * (position["slice"] + 1) / SLICES else None

    def _read_page(self, position: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        kind, since, until = self._window(position)
        began = self._clock.now()
        ask = partial(self._reader.processor.window, kind, since, until, position["after"])
        page = self._reader.ask_list(kind, ask) if since < until else None
        after = page.cursor if page else None
        position = position | {"after": after, "slice": position["slice"] + (after is None)}
        with self._database.write() as conn:
            changed = self._reader.keep(conn, page.objects if page else (), began)
            mirror.move_cursor(conn, self._reader.connection_id, CURSOR, position, self._clock.now())
        return len(changed), position

    def _window(self, position: dict[str, Any]) -> tuple[str, datetime, datetime]:
        """The newest window first; nothing of before the cut-over that was not listed to begin with."""
        window, number = divmod(position["slice"], len(KINDS))
        kind, until = KINDS[number], datetime.fromisoformat(position["until"]) - window * SLICE
        return kind, max(until - SLICE, self._reader.processor.start_of(kind, self._cutover)), until

    def _move(self, position: dict[str, Any]) -> None:
        with self._database.write() as conn:
            mirror.move_cursor(conn, self._reader.connection_id, CURSOR, position, self._clock.now())


def _round(began: datetime, until: datetime) -> dict[str, Any]:
    return {"began": began.isoformat(), "until": until.isoformat(), "slice": 0, "after": None}
