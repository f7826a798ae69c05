"""Boxes whose value is stored as soon as somebody chooses it.

A browser sends the values of all boxes with each click, as it shows them. When what is stored was changed by another
button, it may still show what was stored before, and that must not be taken for a choice: the box is a new one then.
"""

from collections.abc import Callable
from typing import Any, cast

import streamlit as st

KNOWN = "boxes"


def keyed(box: str, stored: Any) -> str:
    """The key of a box that shows `stored`: another one whenever that was changed by anything but the box itself."""
    known = _known()
    seen, number = known.get(box, (stored, 0))
    number += seen != stored
    known[box] = (stored, number)
    key = _key(box, number)
    st.session_state[key] = stored
    return key


def keep(box: str, key: str, store: Callable[[Any], None]) -> None:
    """Stores what somebody chose in a box; what a browser says of a box of before nobody chose."""
    known = _known()
    _, number = known[box]
    if key == _key(box, number):
        value = st.session_state[key]
        known[box] = (value, number)
        store(value)


def _key(box: str, number: int) -> str:
    return f"{box}-{number}" if number else box


def _known() -> dict[str, tuple[Any, int]]:
    """Of each box what it shows, and how often it was made anew."""
    return cast("dict[str, tuple[Any, int]]", st.session_state.setdefault(KNOWN, {}))
