"""Syncs: run one, watch it, see what each did; the connections, and whether anything is posted."""

from functools import partial
from html import escape
from zoneinfo import ZoneInfo

import polars as pl
import streamlit as st

from pages import chrome, deciding, style, switch, words
from pages.context import Context
from storage import queries, review
from storage.queries import HeldView, LinkView, Pulse, RunView, Side
from storage.review import PostingView
from sync import commands

COUNTS = {
    "fetched": "Fetched",
    "matched": "Matched",
    "planned": "Planned",
    "posted": "Posted",
    "sent": "Sent",
    "waiting": "To review",
}
RUN_STATES = {"queued": "→ queued", "running": "→ running", "done": "✓ done", "failed": "✕ failed"}


def render(context: Context) -> None:
    chrome.top(context, "Syncs")
    if chrome.connect_first(context):
        return
    assert context.link is not None
    assert context.pulse is not None
    _actions(context, context.link, context.pulse)
    if context.pulse.current is not None:
        _progress(context, context.link)
    elif context.pulse.last is not None and context.pulse.last.problem:
        st.html(style.note(context.pulse.last.problem, "bad"))
    st.html(_sides(context, context.link))
    _received(context, queries.held(context.database, context.link.id))
    _refused(context, review.refused_alone(context.database, context.link.id))
    st.html('<p class="t-head">History</p>')
    _history(queries.history(context.database, context.link.id), context.link)


def _actions(context: Context, link: LinkView, pulse: Pulse) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Run now",
            type="primary",
            key="run-now",
            disabled=pulse.current is not None or not commands.may(context.user, "run_now"),
            help=None if commands.may(context.user, "run_now") else "This takes the role accountant.",
            on_click=chrome.act,
            args=(partial(commands.run_now, context.database, context.clock, context.user, link.id),),
            kwargs={"done": "The sync starts in a moment.", "idle": "A sync is under way already."},
        )
        switch.posting(context, link)


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
    said = escape(side.problem) if side.problem else f'<span class="s">{checked}</span>'
    name = f"{escape(side.name)} {style.identifier(side.external_id, side.external_id)}"
    return [escape(words.SYSTEMS.get(side.system, side.system)), name, style.mark(state, word), said]


# ---- what could not be handled


def _received(context: Context, waiting: list[HeldView]) -> None:
    """Nothing that arrived is ever dropped: what we cannot handle is here, with its reason and a way to try again."""
    if not waiting:
        return
    st.html(f'<p class="t-head">Received, but not understood: {len(waiting):,}</p>')
    allowed = commands.may(context.user, "retry_received")
    for each in waiting:
        left, right = st.columns([9, 1], vertical_alignment="center")
        where = f"{words.SYSTEMS.get(each.system, each.system)} {style.identifier(each.object_id, each.object_id)}"
        left.html(f"<div>{where} {escape(each.type)}: {escape(each.problem)}</div>")
        right.button(
            "Try again",
            key=f"received-{each.id}",
            disabled=not allowed,
            on_click=chrome.act,
            args=(partial(commands.retry_received, context.database, context.clock, context.user, each.id),),
            kwargs={"done": "It is fetched again with the next sync.", "idle": "It does not wait any more."},
        )


def _refused(context: Context, postings: tuple[PostingView, ...]) -> None:
    """What was refused and belongs to no payment in Review."""
    if not postings:
        return
    st.html(f'<p class="t-head">Refused by QuickBooks: {len(postings):,}</p>')
    for posting in postings:
        st.html(style.note(posting.problem or "QuickBooks gave no reason.", "bad"))
        deciding.offer_retry(context, posting)


# ---- history


def _history(runs: list[RunView], link: LinkView) -> None:
    if not runs:
        st.caption("No sync was run yet.")
        return
    config = {
        "Started": st.column_config.TextColumn(width=125),
        "Asked by": st.column_config.TextColumn(width=95),
        "State": st.column_config.TextColumn(width=85),
        "Took": st.column_config.TextColumn(alignment="right", width=60),
        **{label: st.column_config.TextColumn(alignment="right", width=66) for label in COUNTS.values()},
        "What happened": st.column_config.TextColumn(width="large"),
    }
    st.dataframe(
        frame(runs, link), hide_index=True, column_config=config, row_height=30, height="content", alt="Past syncs"
    )


def frame(runs: list[RunView], link: LinkView) -> pl.DataFrame:
    """A row a run; times on the link's clock."""
    zone = ZoneInfo(link.time_zone)
    columns: dict[str, list[str]] = {
        "Started": [f"{(run.started_at or run.scheduled_for).astimezone(zone):%Y-%m-%d %H:%M}" for run in runs],
        "Asked by": [run.cause for run in runs],
        "State": [RUN_STATES.get(run.state, run.state) for run in runs],
        "Took": [words.clock_time(run.duration) for run in runs],
    }
    for name, label in COUNTS.items():
        columns[label] = [f"{run.counts[name]:,}" if run.counts.get(name) else "" for run in runs]
    columns["What happened"] = [run.problem or run.step for run in runs]
    return pl.DataFrame(columns)
