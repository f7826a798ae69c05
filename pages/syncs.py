"""Syncs: run one, watch it, see what each did; the connections, and whether anything is posted."""

from collections.abc import Callable
from functools import partial
from html import escape
from zoneinfo import ZoneInfo

import polars as pl
import streamlit as st

from pages import again, chrome, schedule, style, switch, words
from pages.context import Context
from storage import problems, queries
from storage.queries import LinkView, RunView, Side
from sync import allowances, commands

COUNTS = {
    "fetched": "Fetched",
    "matched": "Matched",
    "planned": "Planned",
    "posted": "Posted",
    "sent": "Sent",
    "waiting": "To review",
}
KINDS = {"sync": "sync", "look": "look only", "again": "again"}
STARTS, UNDER_WAY = "The sync starts in a moment.", "A sync is under way already."
RUN_STATES = {"queued": "→ queued", "running": "→ running", "done": "✓ done", "failed": "✕ failed"}


def render(context: Context) -> None:
    chrome.top(context, "Syncs")
    if chrome.connect_first(context):
        return
    assert context.link is not None
    assert context.pulse is not None
    _actions(context, context.link)
    if context.pulse.current is not None:
        _progress(context, context.link)
    elif context.pulse.last is not None and context.pulse.last.problem:
        st.html(style.note(context.pulse.last.problem, "bad"))
    st.html(_sides(context, context.link))
    failed = len(problems.causes(context.database, context.link.id, context.now))
    if failed:
        st.html(style.note(f"{words.count(failed, 'cause')} to be mended: the page Problems says what and how.", "bad"))
        chrome.go(context, "problems", "Open Problems")
    if context.link.mode != "files":
        again.status(context, context.link)
        again.offer(context, context.link)
    st.html('<p class="t-head">History</p>')
    _history(queries.history(context.database, context.link.id), context.link)


def _actions(context: Context, link: LinkView) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Run now",
            type="primary",
            key="run-now",
            disabled=not commands.may(context.user, "run_now"),
            help=None if commands.may(context.user, "run_now") else "This takes the role accountant.",
            on_click=chrome.act,
            args=(partial(commands.run_now, context.database, context.clock, context.user, link.id),),
            kwargs={"done": STARTS, "idle": UNDER_WAY},
        )
        if len(context.links) > 1:
            _run_more(context, link)
        switch.posting(context, link)
        if link.mode != "files":
            schedule.offer(context, link)


def _run_more(context: Context, link: LinkView) -> None:
    """Other books too: those that share the company with these, or all."""
    head = (context.database, context.clock, context.user)
    choices: list[tuple[str, int, Callable[[], int]]] = [
        ("All", len(context.links), partial(commands.run_all, *head)),
        (
            f"All of {link.books.name}",
            sum(each.books.id == link.books.id for each in context.links),
            partial(commands.run_connection, *head, link.books.id),
        ),
    ]
    with st.popover("Run more", disabled=not commands.may(context.user, "run_now"), key="run-more"):
        for label, number, run in choices:
            if number > 1:
                st.button(
                    f"{label} · {number:,} Stripe accounts",
                    key=f"run-{label}",
                    on_click=chrome.act,
                    args=(run,),
                    kwargs={"done": STARTS, "idle": UNDER_WAY},
                )


def _progress(context: Context, link: LinkView) -> None:
    @st.fragment(run_every=chrome.WATCH_RUN_S)
    def watch() -> None:
        run = queries.pulse(context.database, link.id).current
        if run is not None:
            chrome.progress(run)
            st.caption(f"So far: {chrome.counts(run)}.")

    watch()


# ---- the connections


def _sides(context: Context, link: LinkView) -> str:
    rows = [_side(context, side) for side in (link.stripe, link.books)]
    return style.table(["Connection", "Account", "State", ""], rows)


def _side(context: Context, side: Side) -> list[str]:
    state, word = words.SIDE_STATES.get(side.state, ("wait", side.state))
    checked = f"checked {words.ago(side.checked_at, context.now)}" if side.checked_at else ""
    more = allowances.of_connection(context.database, side.id, context.now)
    quiet = " · ".join(filter(None, [checked, *more]))
    said = escape(side.problem) if side.problem else f'<span class="s">{escape(quiet)}</span>'
    name = f"{escape(side.name)} {style.identifier(side.external_id, side.external_id)}"
    return [escape(words.SYSTEMS.get(side.system, side.system)), name, style.mark(state, word), said]


# ---- history


def _history(runs: list[RunView], link: LinkView) -> None:
    if not runs:
        st.caption("No sync was run yet.")
        return
    config = {
        "Started": st.column_config.TextColumn(width=125),
        "Asked by": st.column_config.TextColumn(width=95),
        "Kind": st.column_config.TextColumn(width=75),
        "State": st.column_config.TextColumn(width=85),
        "Took": st.column_config.TextColumn(alignment="right", width=60),
        **{label: st.column_config.TextColumn(alignment="right", width=66) for label in COUNTS.values()},
        "What happened": st.column_config.TextColumn(width="large"),
    }
    st.dataframe(
        frame(runs, link), hide_index=True, column_config=config, row_height=30, height="content", alt="Past syncs"
    )


def frame(runs: list[RunView], link: LinkView) -> pl.DataFrame:
    """A row a run; times on the link's clock. What none of them counted has no column."""
    zone = ZoneInfo(link.time_zone)
    columns: dict[str, list[str]] = {
        "Started": [f"{(run.started_at or run.scheduled_for).astimezone(zone):%Y-%m-%d %H:%M}" for run in runs],
        "Asked by": [run.cause for run in runs],
        "Kind": [KINDS.get(run.kind, run.kind) for run in runs],
        "State": [RUN_STATES.get(run.state, run.state) for run in runs],
        "Took": [words.clock_time(run.duration) for run in runs],
    }
    for name, label in COUNTS.items():
        if any(run.counts.get(name) for run in runs):
            columns[label] = [f"{run.counts[name]:,}" if run.counts.get(name) else "" for run in runs]
    columns["What happened"] = [run.problem or run.step for run in runs]
    return pl.DataFrame(columns)
