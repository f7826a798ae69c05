"""The adapters of time and chance do what their ports say."""

import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from sync.clock import FixedClock, SeededRng, SystemClock, SystemRng
from sync.ports import Clock, Rng


@pytest.mark.parametrize("clock", [SystemClock(), FixedClock()])
def test_time_is_utc_and_moves_with_sleep(clock: Clock) -> None:
    before, ticks = clock.now(), clock.monotonic()
    clock.sleep(0.01)
    assert clock.now().tzinfo is UTC
    assert clock.now() - before >= timedelta(seconds=0.009)
    assert clock.monotonic() - ticks >= 0.009


def test_a_fixed_clock_waits_for_nobody() -> None:
    clock = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
    clock.sleep(86_400)
    assert clock.now() == datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize("rng", [SystemRng(), SeededRng(7)])
def test_chance_has_the_right_shape(rng: Rng) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", rng.token(43))
    assert rng.token(43) != rng.token(43)
    assert uuid.UUID(rng.uuid()).version == 4
    assert rng.uuid() != rng.uuid()
    assert all(0 <= rng.jitter() < 1 for _ in range(100))


def test_one_seed_gives_one_world() -> None:
    def draw(rng: Rng) -> tuple[str, str, float]:
        return rng.token(8), rng.uuid(), rng.jitter()

    assert draw(SeededRng(1)) == draw(SeededRng(1))
    assert draw(SeededRng(1)) != draw(SeededRng(2))
