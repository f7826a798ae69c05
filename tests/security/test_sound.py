"""What is read of others is held to what our records say: JSON that says one thing once, whole figures, sound texts."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from reconcile.records import Charge
from sync.ports import Hint
from sync.sound import FIGURE_MAX, instant, read_json, sound, sound_hint

CHARGE = Charge(
    id="ch_1", created_at=datetime(2026, 11, 20, tzinfo=UTC), currency="USD", amount_minor=100, captured_minor=100,
    refunded_minor=0, status="succeeded", movement_id=None,
)  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["NaN", '{"a": Infinity}', '{"a": 1, "a": 2}', '[{"b": {"a": 1, "a": 1}}]', "[" * 100_000, "9" * 5_000, ""],
)
def test_json_that_is_none_or_says_two_things_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_json(text)


def test_a_fraction_is_exact() -> None:
    assert read_json('{"a": 0.1, "b": 1e400}') == {"a": Decimal("0.1"), "b": Decimal("1e400")}


@pytest.mark.parametrize(
    "changes",
    [
        {"amount_minor": 1.5}, {"amount_minor": "100"}, {"amount_minor": True}, {"amount_minor": None},
        {"amount_minor": float("nan")}, {"amount_minor": FIGURE_MAX + 1}, {"currency": "US"}, {"currency": "usd"},
        {"currency": "USDX"}, {"id": ""}, {"id": "x" * 181}, {"id": 7}, {"status": None}, {"description": "\ud800"},
        {"description": "a\0b"}, {"metadata": {"a\0": "b"}}, {"metadata": {"a": 1}}, {"customer_id": "x" * 300},
        {"customer_id": ["x"]}, {"created_at": "yesterday"},
        {"created_at": datetime(1, 1, 1, tzinfo=UTC)}, {"created_at": datetime(9999, 12, 31, tzinfo=UTC)},
    ],
)  # fmt: skip
def test_a_record_of_other_types_than_its_own_is_refused(changes: dict[str, Any]) -> None:
    for good in (CHARGE, replace(CHARGE, metadata={"currency": "usd", "id": "", "type": "x" * 300})):
        assert sound(good) == good
    with pytest.raises(ValueError, match=r"."):
        sound(replace(CHARGE, **changes))


@pytest.mark.parametrize("seconds", [10**18, -(10**18), 10**40])
def test_a_moment_that_no_calendar_has_is_refused(seconds: int) -> None:
    with pytest.raises(ArithmeticError):
        instant(seconds)


@pytest.mark.parametrize("changes", [{"event_id": ""}, {"event_id": 7}, {"type": "x" * 101}, {"object_id": "a\0"}])
def test_an_event_that_cannot_be_stored_is_refused(changes: dict[str, Any]) -> None:
    hint = Hint(event_id="evt_1", kind="charge", object_id="ch_1", occurred_at=CHARGE.created_at, type="charge.updated")
    assert sound_hint(hint) == hint
    with pytest.raises(ValueError, match="no event"):
        sound_hint(replace(hint, **changes))
