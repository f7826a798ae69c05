"""What surrounds every page: title, where we are, how current it is, who is signed in."""

import json
from collections.abc import Callable
from datetime import timedelta
from html import escape
from time import monotonic

import streamlit as st

from pages import style, words
from pages.context import Context
from storage import queries
from storage.queries import LinkView, Pulse, RunView
from storage.users import ROLES
from sync.commands import RefusedError

WATCH_S, WATCH_RUN_S = 10, 2
CONSENT_WARNING = timedelta(days=14)
MODES = {
    "emulated": ("EMULATED", "info", "Stand-ins on this machine: no real account is touched."),
    "test": ("TEST", "wait", "Stripe's test mode: no real money."),
    "live": ("LIVE", "bad", "Real accounts."),
    "files": ("FILES", "info", "Imported reports: nothing is connected, and nothing can be posted."),
}
FLASH = "flash"
PACE, PACE_KNOWN_S = "pace", 5  # where each step of a run was when somebody began to look


def top(context: Context, title: str) -> None:
    """The first line of a page. Also shows what came of the last action."""
    theme = "dark" if st.context.theme.type == "dark" else "light"
    st.html(style.SHEET.replace(".dark", ":root") if theme == "dark" else style.SHEET)
    if message := st.session_state.get(FLASH):
        st.toast(message)
    left, right = st.columns(2, vertical_alignment="center")
    left.html(_title(context.link, title))
    if context.link is not None and context.pulse is not None:
        with right:
            _watch(context, context.link, context.pulse)
    if context.user.role == ROLES[0]:
        st.caption("You are a viewer: look at and export everything. What would change something is switched off.")
    if context.link is not None and title != "Connections":
        _warn(context, context.link)


def drawn() -> None:
    """A page was drawn to its end, so what came of the last action was said; a view broken off would say it again."""
    st.session_state.pop(FLASH, None)


def leave(address: str) -> None:
    """Sends the browser to an address that is none of Streamlit's pages, in the same tab."""
    target = json.dumps(address).replace("<", "\\u003c")
    st.html(f"<script>window.location.assign({target})</script>", unsafe_allow_javascript=True)


def go(context: Context, path: str, label: str, **query: str) -> None:
    """A link to another page, to what `query` says."""
    if path in context.pages:
        st.page_link(context.pages[path], label=label, query_params=query or None)


def _warn(context: Context, link: LinkView) -> None:
    """A connection that must be made again stops everything, so every page says it."""
    for side in (link.stripe, link.books):
        if side.state == "limited":
            st.html(style.note(f"Not everything is read. {side.problem}", "bad"))
            go(context, "connections", "Open Connections")
        elif side.state != "ready":
            text = side.problem or f"{side.name} must be connected again."
            st.html(style.note(f"Nothing is synced: {text}", "bad"))
            go(context, "connections", "Connect again")
        elif side.consent_ends_at is not None and side.consent_ends_at - context.now < CONSENT_WARNING:
            ends = words.day(side.consent_ends_at.date())
            st.html(style.note(f"The consent to {side.name} ends on {ends}. Connect it again before then."))
            go(context, "connections", "Connect again")


def act(action: Callable[[], int], *, done: str, idle: str) -> None:
    """Does what a button promises, and remembers the sentence that says what came of it."""
    try:
        st.session_state[FLASH] = done if action() else idle
    except RefusedError as error:
        st.session_state[FLASH] = str(error)


def connect_first(context: Context) -> bool:
    """Says how to begin if nothing is connected; gives whether that was said."""
    if context.link is None:
        text = "Nothing is connected yet. Connect a Stripe account and a QuickBooks company to begin."
        more = "To look around with a demo company, start Tieout with “make run”; it appears here when it is set up."
        st.html(style.note(f"{text} {more}"))
        go(context, "connections", "Connect")
        go(context, "files", "Or try it with reports you export: nothing is connected")
        _await_link(context)
    return context.link is None


def from_files(context: Context) -> bool:
    """Says that there is nothing to set up where both sides are imported reports; gives whether that was said."""
    is_so = context.link is not None and context.link.mode == "files"
    if is_so:
        text = "These books are known from files only, so nothing is posted or sent. Connect both sides for that."
        st.html(style.note(text))
        go(context, "connections", "Connect")
    return is_so


def _await_link(context: Context) -> None:
    """Somebody may be connecting right now, in the terminal or as the demo starts."""

    @st.fragment(run_every=WATCH_RUN_S)
    def watch() -> None:
        if queries.links(context.database):
            st.rerun()

    watch()


def badge(mode: str) -> str:
    word, state, hint = MODES[mode]
    return f'<span class="t-badge t-{state}" title="{escape(hint)}">{word}</span>'


def progress(run: RunView) -> None:
    """How far a run is; a bar that only moves while nobody knows how much there is."""
    reached = f"{run.done:,} of {run.total:,}" if run.total else f"{run.done:,}" if run.done else ""
    step = "Waiting for the worker to take it up" if run.state == "queued" else run.step or "Starting"
    text = " · ".join(filter(None, (step, reached, _left(run))))
    if run.total:
        st.progress(min(1.0, run.done / run.total), text=text)
    else:
        st.html(f'<div style="padding-bottom:.4rem">{escape(text)}</div><div class="t-run"></div>')


def _left(run: RunView) -> str:
    """How long a step still takes at the pace it has had since somebody looked; nothing before that is known."""
    began, first = st.session_state.setdefault(PACE, {}).setdefault((run.id, run.step), (monotonic(), run.done))
    gone, done = monotonic() - began, run.done - first
    if not run.total or gone < PACE_KNOWN_S or done <= 0:
        return ""
    left_s = gone * (run.total - run.done) / done
    return "less than a minute left" if left_s < 60 else f"about {words.count(round(left_s / 60), 'minute')} left"


def counts(run: RunView) -> str:
    """What a run did: "1,204 fetched, 87 posted"."""
    return ", ".join(f"{number:,} {name}" for name, number in run.counts.items() if number) or "nothing new"


def _title(link: LinkView | None, title: str) -> str:
    parts = [f"<h1>{escape(title)}</h1>"]
    if link is not None:
        parts.append(f"<span>{escape(link.name)}</span>")
        parts.append(badge(link.mode))
    return f'<div class="t-bar">{"".join(parts)}</div>'


def _watch(context: Context, link: LinkView, pulse: Pulse) -> None:
    """Looks every few seconds whether a sync began or ended, and then draws the whole page anew."""

    beats = 0

    @st.fragment(run_every=WATCH_RUN_S if pulse.current else WATCH_S)
    def beat() -> None:
        nonlocal beats
        beats += 1
        seen = queries.pulse(context.database, link.id)
        if beats > 1 and _stage(seen) != _stage(pulse):  # the first beat is part of drawing the whole page
            st.rerun()
        st.html(_currency_of_data(context, seen))

    beat()


def _stage(pulse: Pulse) -> tuple[int | None, int | None]:
    return (pulse.current.id if pulse.current else None, pulse.last.id if pulse.last else None)


def _currency_of_data(context: Context, pulse: Pulse) -> str:
    now = context.clock.now()
    parts = []
    if pulse.current is not None:
        step = pulse.current.step or "starting"
        parts.append(f'<span class="t-info">↻ syncing: {escape(step[0].lower() + step[1:])}</span>')
    elif pulse.last is not None and pulse.last.state == "failed":
        parts.append(style.mark("bad", "last sync failed"))
    if pulse.last_good is not None and pulse.last_good.finished_at is not None:
        parts.append(f"<span>last sync {words.brief(now - pulse.last_good.finished_at)} ago</span>")
        started = pulse.last_good.started_at or pulse.last_good.finished_at
        parts.append(
            f'<span title="how old the oldest of these figures may be">lag {words.brief(now - started)}</span>'
        )
    parts.append(f'<span title="role: {escape(context.user.role)}">{escape(context.user.email)}</span>')
    return f'<div class="t-bar t-right t-quiet">{" · ".join(parts)}</div>'
