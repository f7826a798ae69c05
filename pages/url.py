"""What a page shows is in its address: choices, texts, days and places, so that a link shows the same to others.

A choice that was changed goes into the address, and the list begins at its start: the names of `PLACES` are dropped.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

import streamlit as st

PLACES = ("page", "before", "after", "entry", "cause", "document", "item")


def choice(name: str, known: Sequence[str], default: str) -> str:
    wanted = text(name)
    return wanted if wanted in known else default


def text(name: str) -> str:
    return str(st.query_params.get(name, "")).replace("\0", "")  # PostgreSQL takes none


def day(name: str) -> date | None:
    try:
        return date.fromisoformat(text(name))
    except ValueError:
        return None


def number(name: str) -> int | None:
    value = text(name)
    return int(value) if value.isascii() and value.isdecimal() and len(value) <= 18 else None


def put(name: str, value: Any) -> None:
    """Says it in the address; an empty value leaves it."""
    st.query_params.pop(name, None)
    if value:
        st.query_params[name] = str(value)


def narrow(name: str, key: str, default: str = "") -> None:
    """A filter was changed."""
    for place in PLACES:
        st.query_params.pop(place, None)
    value = st.session_state[key]
    put(name, "" if value == default else value)


def select(label: str, name: str, key: str, options: dict[str, str], default: str, *, width: int = 200) -> str:
    """A choice of the page, by value and title; gives the one the address asks for."""
    chosen = choice(name, list(options), default)
    st.session_state[key] = chosen
    st.selectbox(
        label,
        list(options),
        format_func=options.__getitem__,
        key=key,
        on_change=narrow,
        args=(name, key, default),
        label_visibility="collapsed",
        width=width,
    )
    return chosen


def search(label: str, name: str, key: str, *, width: int = 220) -> str:
    """A text of the page."""
    st.session_state[key] = text(name)
    st.text_input(
        label, key=key, on_change=narrow, args=(name, key), placeholder=label, label_visibility="collapsed", width=width
    )
    return text(name)


def pick_day(label: str, name: str, key: str) -> date | None:
    """A day of the page, or none."""
    st.session_state[key] = day(name)
    st.date_input(label, key=key, on_change=narrow, args=(name, key), format="YYYY-MM-DD", width=135)
    return day(name)
