"""What waits for the yes of a second person: who asked, what it will do, how much; approved or declined on Review."""

from functools import partial
from html import escape

import streamlit as st

from pages import chrome, style, words
from pages.context import Context
from storage import approvals
from storage.approvals import Stored
from sync import approving, commands
from sync.commands import RefusedError

APPROVED = "Approved. The next sync carries it out."
IDLE = "It does not wait any more: somebody was quicker."


def render(context: Context, link_id: int) -> None:
    """Above what waits for review; nothing, if nothing waits for a second person."""
    found = approvals.waiting(context.database, link_id)
    if not found:
        return
    with st.expander(f"Waiting for approval: {len(found):,}", expanded=True, key="approvals"):
        for asked in found:
            _one(context, asked)


def about(context: Context, link_id: int, source_id: str) -> None:
    """Says of one item that somebody asked for something already."""
    for asked in approvals.waiting(context.database, link_id):
        if asked.ask.subject == source_id:
            st.html(style.note(f"{_who(context, asked)} asked: {asked.ask.text}. It waits for a second person."))


def _who(context: Context, asked: Stored) -> str:
    return "You" if asked.asked_by == context.user.id else asked.asker


def _one(context: Context, asked: Stored) -> None:
    ask = asked.ask
    money = words.money(ask.amount_minor, ask.currency)
    who = f"{_who(context, asked)} asked {words.ago(asked.asked_at, context.now)}"
    st.html(
        f"<div><b>{money}</b> · {escape(ask.text)}<br>"
        f'<span class="t-quiet">{escape(who)} · {style.identifier(ask.subject, words.short(ask.subject))}</span></div>'
    )
    is_own, may = asked.asked_by == context.user.id, commands.may(context.user, "approve")
    head = (context.database, context.clock, context.user, asked.id)
    with st.container(horizontal=True):
        st.button(
            "Approve",
            key=f"approve-{asked.id}",
            type="primary",
            disabled=is_own or not may,
            help="It takes another person than the one who asked." if is_own else None,
            on_click=chrome.act,
            args=(partial(approving.approve, *head),),
            kwargs={"done": APPROVED, "idle": IDLE},
        )
        label = "Withdraw…" if is_own else "Decline…"
        if st.button(label, key=f"decline-{asked.id}", disabled=not (is_own or may)):
            ask_why(context, asked)


@st.dialog("Decline")
def ask_why(context: Context, asked: Stored) -> None:
    st.write(f"It is not done: {asked.ask.text}. The payment goes on waiting in Review.")
    reason = st.text_area("Reason", key=f"declined-{asked.id}")
    if st.button("Decline it", key="decline-it", type="primary"):
        try:
            done = approving.decline(context.database, context.clock, context.user, asked.id, reason)
        except RefusedError as error:
            st.error(str(error))
            return
        st.session_state[chrome.FLASH] = "Declined." if done else IDLE
        st.rerun()
