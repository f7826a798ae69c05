"""The only sources of time, chance and new ids. See Clock and Rng in sync.ports; tests use the fixed ones."""

import random  # noqa: TID251 - this is the Rng
import secrets  # noqa: TID251 - this is the Rng
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta

URL_SAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 - this is the Clock

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class FixedClock:
    """Stands still; `sleep` and `advance` move it, and nobody waits. Threads may share it."""

    def __init__(self, now: datetime = datetime(2026, 11, 2, 12, tzinfo=UTC)) -> None:
        assert now.tzinfo is not None
        self._start = now.astimezone(UTC)
        self._passed_s = 0.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._passed_s)

    def monotonic(self) -> float:
        return self._passed_s

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        assert seconds >= 0
        with self._lock:
            self._passed_s += seconds


class SystemRng:
    def token(self, length: int) -> str:
        return "".join(secrets.choice(URL_SAFE) for _ in range(length))

    def uuid(self) -> str:
        return str(uuid.uuid4())  # noqa: TID251 - this is the Rng

    def jitter(self) -> float:
        return random.random()  # noqa: S311 - spreads retries; keeps no secret


class SeededRng:
    """The same seed gives the same values in the same order."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311 - for tests

    def token(self, length: int) -> str:
        return "".join(self._random.choices(URL_SAFE, k=length))

    def uuid(self) -> str:
        return str(uuid.UUID(bytes=self._random.randbytes(16), version=4))

    def jitter(self) -> float:
        return self._random.random()
