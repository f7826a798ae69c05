"""The stand-ins' only sources of time and chance, so that one seed gives one world."""

import random  # noqa: TID251 - this module is the stand-ins' Rng
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

T = TypeVar("T")

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Clock:
    """Real time, until `set` holds it still to write history; `release` lets it run again."""

    def __init__(self, held_at: datetime | None = None) -> None:
        self._held_at = held_at

    def now(self) -> datetime:
        return self._held_at or datetime.now(UTC)  # noqa: TID251 - this module is the stand-ins' Clock

    def timestamp(self) -> int:
        return int(self.now().timestamp())

    def set(self, instant: datetime) -> None:
        self._held_at = instant.astimezone(UTC)

    def advance(self, step: timedelta) -> None:
        self.set(self.now() + step)

    def release(self) -> None:
        self._held_at = None


class Rng:
    """Seeded chance."""

    def __init__(self, seed: int | str) -> None:
        self._random = random.Random(seed)  # noqa: S311 - chance for a simulation, not for secrets

    def token(self, length: int) -> str:
        return "".join(self._random.choices(ALPHABET, k=length))

    def chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def between(self, low: int, high: int) -> int:
        """An integer, both ends included."""
        return self._random.randint(low, high)

    def pick(self, choices: Sequence[T], weights: Sequence[float] | None = None) -> T:
        return self._random.choices(choices, weights)[0]

    def shuffle(self, items: list[T]) -> None:
        self._random.shuffle(items)
