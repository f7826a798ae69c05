"""Iterators: the result of a query as it was at the start, handed out page by page, each page once."""

import uuid
from dataclasses import dataclass

from emulators.clock import Clock
from emulators.qbd.company import Switches
from emulators.qbd.refusals import Refused, bad_value

Row = tuple[str, str]  # kind, id


@dataclass
class Open:
    query: str
    rows: list[Row]
    used_at: int


class Iterators:
    def __init__(self, clock: Clock, switches: Switches) -> None:
        self.clock, self.switches = clock, switches
        self._open: dict[str, Open] = {}
        self._number = 0

    def start(self, query: str, rows: list[Row], count: int | None) -> tuple[str, list[Row], int]:
        """(its id, the first page, how many are left)"""
        if count is None:
            raise bad_value("MaxReturned", "", "An iterator needs a number of objects per page.")
        rows = rows[::-1] if self.switches.newest_first else rows
        self._number += 1
        name = uuid.uuid5(uuid.NAMESPACE_OID, f"{self._number} {self.clock.now()}")
        iterator_id = f"{{{name}}}"
        self._open[iterator_id] = Open(query, rows[count:], self.clock.timestamp())
        return iterator_id, rows[:count], len(rows[count:])

    def take(self, iterator_id: str, query: str, count: int | None) -> tuple[list[Row], int]:
        """The next page and how many are left; a count of 0 ends it."""
        found, now = self._open.get(iterator_id), self.clock.timestamp()
        idle = self.switches.iterator_idle_s
        if found is None or found.query != query or (idle is not None and now - found.used_at > idle):
            raise Refused(3391, f'The iteratorID "{iterator_id}" is not valid.')
        page = found.rows if count is None else found.rows[:count]
        found.rows, found.used_at = found.rows[len(page) :], now
        left = len(found.rows)
        if count == 0 or left == 0:
            del self._open[iterator_id]
        return page, left

    def clear(self) -> None:
        self._open.clear()
