"""Rules: how records are matched and what is recorded otherwise; tried on what is open before they are saved.

What a person changes here is a draft of theirs until they save it.
"""

from dataclasses import dataclass, replace

import streamlit as st

from pages import chrome, matching_rules, opening, posting_rules, previewed, style, words
from pages.context import Context
from reconcile.rulebook import RuleBook
from storage import chart
from storage.previews import Preview
from sync import commands, ruling

DRAFT, TRIED = "rules-draft", "rules-tried"
DAYS = (30, 90, 365)  # to look back
SAVED = "Saved. The next sync decides what is open by these rules."


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What a draft would change in the books of a link."""

    link_id: int
    book: RuleBook
    preview: Preview
    past: Preview | None = None


def render(context: Context) -> None:
    chrome.top(context, "Rules")
    if chrome.connect_first(context) or chrome.from_files(context):
        return
    assert context.link is not None
    opening.last_problem()
    view = chart.view(context.database, context.link.id)
    saved = ruling.book_of(view.mappings, view.policies)
    draft = _draft(context, saved)
    _offer(context, saved, draft)
    edit = lambda book: _keep(context, saved, book)  # noqa: E731 - what every control of the page does
    may = commands.may(context.user, "map")
    matching_rules.render(draft, ruling.certified(context.database, context.link.id), edit, may=may)
    posting_rules.render(draft, view, edit, may=may)


def _draft(context: Context, saved: RuleBook) -> RuleBook:
    """What the person is working on; nothing of it is left once other rules are saved."""
    assert context.link is not None
    key, begun_on, draft = st.session_state.get(DRAFT, (context.link.id, saved, saved))
    return draft if (key, begun_on) == (context.link.id, saved) else saved


def _keep(context: Context, saved: RuleBook, book: RuleBook) -> None:
    assert context.link is not None
    st.session_state[DRAFT] = (context.link.id, saved, book)


def _offer(context: Context, saved: RuleBook, draft: RuleBook) -> None:
    """What would change comes first, then saving."""
    assert context.link is not None
    link_id, off = context.link.id, not commands.may(context.user, "map")
    if draft == saved:
        text = "These rules are in force. Change them below; what that would do is shown before it is saved."
        st.html(style.note(text, "info"))
        return
    tried: Tried | None = st.session_state.get(TRIED)
    is_tried = tried is not None and (tried.link_id, tried.book) == (link_id, draft)
    st.html(style.note("Changed, and not saved yet. Look at what would change, then save."))
    with st.container(horizontal=True):
        opening.button(
            context,
            "Show what would change",
            lambda: _try(context, link_id, draft),
            key="try-rules",
            done="Nothing was written: this is what would change.",
            type="secondary" if is_tried else "primary",
            disabled=off,
        )
        opening.button(
            context,
            "Save the rules",
            lambda: ruling.change_rules(context.environment, context.user, link_id, saved, draft),
            key="save-rules",
            done=SAVED,
            type="primary" if is_tried else "secondary",
            disabled=off or not is_tried,
        )
        st.button("Discard the changes", key="discard-rules", on_click=_discard)
    if tried is not None and is_tried:
        _show(context, link_id, tried, off=off)


def _show(context: Context, link_id: int, tried: Tried, *, off: bool) -> None:
    previewed.render(tried.preview)
    if tried.past is not None:
        days = words.count(st.session_state["look-back-days"], "day")
        st.html(f'<p class="t-head">The last {days}, as if nothing of them had been decided yet</p>')
        previewed.render(tried.past, key="past")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox("Days", DAYS, key="look-back-days", label_visibility="collapsed", width=90, on_change=_forget)
        opening.button(
            context,
            "Look back over so many days",
            lambda: _look_back(context, link_id, tried),
            key="look-back",
            done="Nothing was written: this is what these rules would have made of those days.",
            disabled=off,
        )


def _look_back(context: Context, link_id: int, tried: Tried) -> bool:
    days = int(st.session_state["look-back-days"])
    past = ruling.look_back(context.environment, context.user, link_id, tried.book, days)
    st.session_state[TRIED] = replace(tried, past=past)
    return True


def _forget() -> None:
    """Other days were chosen."""
    tried: Tried | None = st.session_state.get(TRIED)
    if tried is not None:
        st.session_state[TRIED] = replace(tried, past=None)


def _try(context: Context, link_id: int, draft: RuleBook) -> bool:
    preview = ruling.preview_rules(context.environment, context.user, link_id, draft)
    st.session_state[TRIED] = Tried(link_id=link_id, book=draft, preview=preview)
    return True


def _discard() -> None:
    st.session_state.pop(DRAFT, None)
    st.session_state.pop(TRIED, None)
