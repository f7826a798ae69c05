"""QuickBooks Desktop on the page Connections: the company file's Web Connector, its password and its .qwc file."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from html import escape
from typing import Any

import streamlit as st

from pages import chrome, style, words
from pages.context import Context
from storage.connected import ConnectionView
from sync import commands, setup
from sync.commands import RefusedError

SHOWN, PROBLEM = "desktop-password", "connections-problem"
LATE = (
    "Open QuickBooks with this company file, then the Web Connector (File, App Management, Update Web Services in "
    "QuickBooks), tick the box beside Tieout and choose Update Selected. Leave Auto-Run on and both open."
)
CARRIED = {"read": "QuickBooks is being read", "write": "a document is on its way into QuickBooks"}


def lines(shown: ConnectionView, now: datetime) -> list[str]:
    """How its visits go, as lines of HTML."""
    visits = shown.visits
    if visits is None or shown.state != "ready":
        return []
    seen = "never came yet" if visits.seen_at is None else f"last contact {words.ago(visits.seen_at, now)}"
    parts = [
        f"Web Connector as {visits.user_name}",
        seen,
        f"every {words.span(visits.interval)}",
        f"{words.count(visits.queued, 'document')} ready to be written" if visits.queued else "",
        CARRIED.get(visits.in_flight or "", ""),
    ]
    rows = [f'<span class="t-quiet">{escape(" · ".join(filter(None, parts)))}</span>']
    if visits.paused:
        rows.append(style.mark("wait", "stopped: nothing is asked of QuickBooks until somebody allows it again"))
    elif visits.seen_at is None:
        rows.append(style.mark("wait", "Download the .qwc file under Manage and open it in the Web Connector."))
    elif visits.is_late(now):
        rows.append(style.mark("wait", f"The Web Connector stays away. {LATE}"))
    if visits.problem and visits.problem_at is not None:
        when = words.ago(visits.problem_at, now)
        rows.append(f'<span class="t-bad">{escape(visits.problem)}</span> <span class="t-quiet">({when})</span>')
    return rows


def show_password(context: Context) -> None:
    """What was just made, until the person says that they have it."""
    made = st.session_state.get(SHOWN)
    if made is None:
        return
    st.html(style.note("Copy this password now: it is not shown again. The Web Connector asks for it once."))
    st.code(made.password, language=None)
    with st.container(horizontal=True):
        _download(context, made.connection_id, f"qwc-new-{made.connection_id}")
        st.button("I have copied it", key="copied", on_click=st.session_state.pop, args=(SHOWN, None))


def offer(context: Context, mode: str) -> None:
    """For a company that keeps its books in QuickBooks Desktop."""
    with (
        st.expander("Or QuickBooks Desktop", key="desktop"),
        st.form("desktop-form", clear_on_submit=True, border=False),
    ):
        st.text_input("Name of the company", key="desktop-name", autocomplete="off")
        st.form_submit_button("Connect a company file", on_click=_keep, args=(partial(_connect, context, mode),))
        st.caption(
            "You get a .qwc file and a password for Intuit's Web Connector, which runs on the computer with QuickBooks."
        )


def manage(context: Context, shown: ConnectionView) -> None:
    """The file again, a new password, and stopping its visits."""
    assert shown.visits is not None
    _download(context, shown.id, f"qwc-{shown.id}")
    make = partial(setup.new_desktop_password, context.environment, context.user, shown.id)
    st.button("Make a new password", key=f"password-{shown.id}", on_click=_keep, args=(make,))
    st.caption("The password before opens nothing any more; type the new one into the Web Connector.")
    paused = shown.visits.paused
    st.button(
        "Allow visits again" if paused else "Stop after this request",
        key=f"pause-{shown.id}",
        on_click=_pause,
        args=(context, shown.id, not paused),
        disabled=not commands.may(context.user, "reconnect"),
    )


def _download(context: Context, connection_id: int, key: str) -> None:
    try:
        content = setup.qwc_file(context.environment, connection_id)
    except RefusedError as error:
        st.caption(str(error))
        return
    st.download_button("Download the .qwc file", content, "tieout.qwc", "application/octet-stream", key=key)


def _connect(context: Context, mode: str) -> Any:
    name = str(st.session_state.get("desktop-name", ""))
    return setup.connect_desktop(context.environment, context.user, name, mode)


def _keep(make: Callable[[], Any]) -> None:
    try:
        st.session_state[SHOWN] = make()
    except RefusedError as error:
        st.session_state[PROBLEM] = str(error)


def _pause(context: Context, connection_id: int, paused: bool) -> None:
    try:
        setup.pause_desktop(context.environment, context.user, connection_id, paused)
    except RefusedError as error:
        st.session_state[PROBLEM] = str(error)
        return
    st.session_state[chrome.FLASH] = "Stopped." if paused else "The next visit goes on."
