"""Problems: what failed, by cause in plain words, each with what waits for it and the click that mends it."""

import hashlib
from collections.abc import Callable
from functools import partial
from html import escape

import polars as pl
import streamlit as st

from pages import again, causes, chrome, style, url, words
from pages.context import Context
from storage import problem_records, problems
from storage.problem_records import Record, Records
from storage.problems import Cause
from storage.queries import LinkView
from sync import commands, dispatch, retrying

PAGE_SIZE = 20
SOON = "They are tried again by the sync that begins now."
IDLE = "They do not wait any more."
# What a sync mends, and what another page does.
SYNCS = {"sync": "Sync now", "rate": "Ask again", "doubtful": "Look now", "closed": "I have reopened them: check again"}
LINKS = {
    "reconnect": ("connections", "Connect again"),
    "silent": ("connections", "Open Connections"),
    "to_stripe": ("sending", "Open To Stripe"),
    "customers": ("sending", "Pick the customers"),
}


def render(context: Context) -> None:
    chrome.top(context, "Problems")
    if chrome.connect_first(context):
        return
    assert context.link is not None
    found = problems.causes(context.database, context.link.id, context.now)
    st.html(headline(context, found))
    again.status(context, context.link)
    if not found:
        chrome.go(context, "review", "Go to Review")
    wanted = url.text("cause")
    for cause in found:
        _cause(context, context.link, cause, is_open=cause.id == wanted)
    if context.link.mode != "files":
        again.offer(context, context.link)


def headline(context: Context, found: list[Cause]) -> str:
    """The page's answer in a sentence."""
    if found:
        number = sum(cause.count for cause in found)
        waits = f" {words.count(number, 'record')} {'waits' if number == 1 else 'wait'} for it." if number else ""
        return style.note(f"{words.count(len(found), 'cause')} to be mended.{waits} Nothing is lost meanwhile.", "bad")
    pulse = context.pulse
    if pulse is None or pulse.last_good is None or pulse.last_good.finished_at is None:
        return style.note("Nothing has failed: nothing was synced so far. Start the first sync on the page Syncs.")
    checked = words.ago(pulse.last_good.finished_at, context.now)
    return style.note(
        f"Nothing has failed. Last synced {checked}. What waits for a decision about a payment is in Review.", "good"
    )


# ---- one cause


def _cause(context: Context, link: LinkView, cause: Cause, *, is_open: bool) -> None:
    state, title = causes.state(cause), causes.title(cause, _side(link, cause))
    with st.container(border=True, key=f"cause-{_name(cause)}"):
        st.html(
            f'<div><b class="t-{state}">{style.ICONS[state]} {escape(title)}</b></div>'
            f'<div class="t-quiet">{escape(figures(context, cause))}</div><div>{escape(causes.advice(cause))}</div>'
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            _mends(context, link, cause)
        if cause.count:
            _records(context, link, cause, is_open=is_open)


def _name(cause: Cause) -> str:
    """For a style sheet and a test; of what has a text for a key, its digest."""
    return _key(cause.id) if cause.kind == "refused" else cause.id.replace(":", "-")


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _side(link: LinkView, cause: Cause) -> str:
    sides = {str(side.id): words.SYSTEMS.get(side.system, side.system) for side in (link.stripe, link.books)}
    return sides.get(cause.key, "")


def figures(context: Context, cause: Cause) -> str:
    """How many, how much, how old."""
    sums = words.listed([words.money(minor, currency) for currency, minor in cause.sums])
    age = f"the oldest since {words.span(context.now - cause.oldest)}" if cause.oldest else ""
    if not cause.count:
        age = f"for {words.span(context.now - cause.oldest)}" if cause.oldest else ""
    return " · ".join(filter(None, (causes.waiting(cause), sums, age)))


def _mends(context: Context, link: LinkView, cause: Cause) -> None:
    """What mends all of it, in one click."""
    if cause.kind in SYNCS:
        _sync(context, link, cause, SYNCS[cause.kind])
    if cause.kind in LINKS:
        chrome.go(context, *LINKS[cause.kind])
    match cause.kind:
        case "mapping":
            query = {"role": cause.key} if cause.key else {}
            chrome.go(context, "mapping", "Choose another one" if cause.key else "Open Mapping", **query)
        case "closed":
            chrome.go(context, "mapping", "Date them the first open day", role="closed_period")
        case "by_hand":
            chrome.go(context, "review", "Open in Review", reason=cause.key)
        case "refused":
            _refused(context, link, cause)
        case "unreadable" | "unfetched" | "unknown":
            _received(context, link, cause)


def _refused(context: Context, link: LinkView, cause: Cause) -> None:
    if cause.key == "permission":
        chrome.go(context, "connections", "Open Connections")
    command = partial(retrying.retry_cause, context.database, context.clock, context.user, link.id, cause.key)
    _button(context, cause, f"Try {causes.waiting(cause)} again", command, "retry_posting", is_main=True)


def _received(context: Context, link: LinkView, cause: Cause) -> None:
    number, side = causes.waiting(cause), int(cause.key)
    head = (context.database, context.clock, context.user, link.id)
    retry = partial(retrying.retry_all_received, *head, cause.kind, side)
    _button(context, cause, f"Fetch {number} again", retry, "retry_received", is_main=cause.kind != "unknown")
    if cause.kind == "unknown":
        leave = partial(retrying.leave_all_received, *head, side)
        _button(context, cause, f"Leave {number}", leave, "leave_received", done="They are off the list.")


def _sync(context: Context, link: LinkView, cause: Cause, label: str) -> None:
    command = partial(commands.run_now, context.database, context.clock, context.user, link.id)
    idle = "A sync is under way already."
    _button(context, cause, label, command, "run_now", done="The sync starts in a moment.", idle=idle, is_main=True)


def _button(
    context: Context,
    cause: Cause,
    label: str,
    command: Callable[[], int],
    action: str,
    *,
    done: str = SOON,
    idle: str = IDLE,
    is_main: bool = False,
) -> None:
    allowed = commands.may(context.user, action)
    st.button(
        label,
        key=f"{action}-{_key(cause.id + label)}",
        type="primary" if is_main else "secondary",
        disabled=not allowed,
        help=None if allowed else f"This takes the role {commands.NEEDS[action]}.",
        on_click=chrome.act,
        args=(lambda: bool(command()),),
        kwargs={"done": done, "idle": idle},
    )


# ---- its records


def _records(context: Context, link: LinkView, cause: Cause, *, is_open: bool) -> None:
    box = st.expander(f"Show {causes.waiting(cause)}", expanded=is_open, key=f"box-{_key(cause.id)}", on_change="rerun")
    if not box.open:
        return
    number = (url.number("page") or 1) if is_open else 1
    shown = problem_records.records(context.database, link.id, cause, context.now, number=number, size=PAGE_SIZE)
    with box:
        selected = _list(cause, shown, number)
        if selected is not None:
            _record(context, link, cause, selected)


def _list(cause: Cause, shown: Records, number: int) -> Record | None:
    """The grid; gives the record that is looked at, if one is."""
    ids = [row.row_id for row in shown.rows]
    wanted = url.text("record") if url.text("cause") == cause.id else ""
    # A grid's selection is a row number. So its key changes with its rows, and the address says which row is selected.
    key = f"records-{_key(' '.join([cause.id, *ids]))}"
    st.session_state[key] = {"selection": {"rows": [ids.index(wanted)] if wanted in ids else [], "columns": []}}
    st.dataframe(
        frame(shown),
        key=key,
        hide_index=True,
        height=36 + 28 * max(1, len(ids)),
        row_height=28,
        on_select=partial(_select, key, cause.id, ids),
        selection_mode="single-row",
        column_config={
            "Date": st.column_config.DateColumn(format="YYYY-MM-DD", width=90),
            "Amount": st.column_config.TextColumn(alignment="right", width=120),
            "Why": st.column_config.TextColumn(width="large"),
        },
        alt="What waits; select one to see what can be done with it",
    )
    first = (number - 1) * PAGE_SIZE + 1
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.caption(f"{first:,} to {first + len(ids) - 1:,} of {shown.total:,}" if ids else "No such page.")
        pages = -(-shown.total // PAGE_SIZE)
        if pages > 1:
            turner = f"page-{_key(cause.id)}-{number}"
            st.pagination(
                pages, default=min(number, pages), key=turner, width=180, on_change=_turn, args=(turner, cause.id)
            )
    return next((row for row in shown.rows if row.row_id == wanted), None)


def frame(shown: Records) -> pl.DataFrame:
    """A row a record."""
    return pl.DataFrame(
        {
            "Record": [row.object_id for row in shown.rows],
            "What": [row.name.replace("_", " ") for row in shown.rows],
            "Date": [row.dated for row in shown.rows],
            "Amount": [words.money(row.amount[1], row.amount[0]) if row.amount else "" for row in shown.rows],
            "Why": [row.text for row in shown.rows],
        },
        schema_overrides={"Date": pl.Date},
    )


def _select(key: str, cause_id: str, ids: list[str]) -> None:
    rows = st.session_state[key]["selection"]["rows"]
    url.put("cause", cause_id)
    url.put("record", ids[rows[0]] if rows else "")


def _turn(key: str, cause_id: str) -> None:
    url.put("cause", cause_id)
    url.put("record", "")
    url.put("page", st.session_state[key])


def _record(context: Context, link: LinkView, cause: Cause, record: Record) -> None:
    """What can be done with one of them."""
    st.html(f"<div>{style.identifier(record.object_id, record.object_id)} {escape(record.text)}</div>")
    with st.container(horizontal=True, vertical_alignment="center"):
        _retry(context, link, cause, record)
        about = record.source_id or record.object_id
        st.button(
            "Show what reading it again would change",
            key=f"look-{_key(record.row_id)}",
            disabled=not again.may(context),
            on_click=again.look,
            args=(context, link, partial(retrying.scope_of, context.database, link.id, about)),
        )
        chrome.go(context, "audit", "Its whole way", record=about)
        if record.source_id and cause.kind != "doubtful":
            chrome.go(context, "review", "Open in Review", item=record.source_id)
    if record.technical:
        with st.expander("For support", key=f"technical-{_key(record.row_id)}"):
            st.code(record.technical, language=None, wrap_lines=True)


def _retry(context: Context, link: LinkView, cause: Cause, record: Record) -> None:
    head = (context.database, context.clock, context.user, link.id)
    done, idle = "It is tried again by the sync that begins now.", "It does not wait any more."
    command: Callable[[], int]
    match cause.kind:
        case "refused":
            action, command = "retry_posting", partial(retrying.retry_postings, *head, [int(record.row_id)])
        case "unreadable" | "unfetched" | "unknown":
            action, command = "retry_received", partial(retrying.retry_received, *head, [int(record.row_id)])
        case "to_stripe":
            action, command = "retry_invoice", partial(dispatch.retry_invoice, *head, record.row_id)
        case "customers":
            action, command = "make_customer", partial(dispatch.make_customer, *head, record.row_id)
        case _:
            return
    _button(context, cause, "Try this one again", command, action, done=done, idle=idle)
