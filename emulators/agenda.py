"""What is still to happen: actions with a time each, done in order of time."""

import heapq
from collections.abc import Callable
from datetime import datetime
from itertools import count

Action = Callable[[], None]


class Agenda:
    def __init__(self) -> None:
        self._entries: list[tuple[datetime, int, Action]] = []
        self._numbers = count()  # of the same time: in the order they were planned

    def at(self, when: datetime, action: Action) -> None:
        heapq.heappush(self._entries, (when, next(self._numbers), action))

    def run(self, until: datetime, arrive: Callable[[datetime], None]) -> None:
        """Does what is due up to `until`, calling `arrive` with the time of each action before it.

        Actions may plan further ones; what lies beyond `until` stays planned.
        """
        while self._entries and self._entries[0][0] <= until:
            when, _, action = heapq.heappop(self._entries)
            arrive(when)
            action()
