"""A list of which one row is chosen; the address says which, so that it can be sent to somebody."""

from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import sha256
from typing import Any

import polars as pl
import streamlit as st

from pages import url

ROW_PX, HEAD_PX, HEIGHT_MAX_PX = 30, 36, 640


def pick(frame: pl.DataFrame, ids: Sequence[str], place: str, columns: Mapping[str, Any], alt: str) -> str:
    """Draws the grid, a row for each of `ids`; gives the id that the address has in `place`, or the first, or ""."""
    chosen = url.text(place) or (ids[0] if ids else "")
    # A grid's selection is a row number, so its key changes with its rows.
    key = f"{place}-{sha256(' '.join(ids).encode()).hexdigest()[:12]}"
    st.session_state[key] = {"selection": {"rows": [ids.index(chosen)] if chosen in ids else [], "columns": []}}
    st.dataframe(
        frame,
        key=key,
        hide_index=True,
        height=min(HEAD_PX + ROW_PX * len(ids), HEIGHT_MAX_PX),
        row_height=ROW_PX,
        on_select=partial(_select, key, ids, place),
        selection_mode="single-row",
        column_config=columns,
        alt=alt,
    )
    return chosen


def _select(key: str, ids: Sequence[str], place: str) -> None:
    rows = st.session_state[key]["selection"]["rows"]
    if rows:
        url.put(place, ids[rows[0]])
