"""What colleagues said about an item, and a question to one of them."""

from html import escape

import streamlit as st

from pages import chrome, style, words
from pages.context import Context
from storage import notes, users
from sync import commands, noting
from sync.commands import RefusedError

NOBODY = "Nobody: just a note"


def said(context: Context, link_id: int, source_id: str) -> None:
    """Every note, the oldest first; whom the newest asks."""
    found = notes.about(context.database, link_id, source_id)
    for note in found:
        asks = f" asks {note.asked}" if note.asked else ""
        head = f"{note.actor}{asks}, {words.ago(note.at, context.now)}"
        st.html(f'<div><span class="t-quiet">{escape(head)}:</span> {escape(note.text)}</div>')
    if found and found[-1].asked == context.user.email:
        st.html(style.line("wait", "You are asked. Answer with a note, or decide."))


def offer(context: Context, link_id: int, source_id: str) -> None:
    allowed = commands.may(context.user, "add_note")
    if st.button("Note…", key=f"note-{source_id}", disabled=not allowed, shortcut="n"):
        ask(context, link_id, source_id)


@st.dialog("Note")
def ask(context: Context, link_id: int, source_id: str) -> None:
    st.write("It stays with the payment and in the audit. Nothing is decided by it.")
    text = st.text_area("Note", key=f"note-text-{source_id}", max_chars=noting.LENGTH_MAX)
    people = [each.user for each in users.everybody(context.database, context.now) if not each.has_left]
    names = {each.email: f"{each.name} · {each.email}" for each in people if each.email != context.user.email}
    asked = st.selectbox("Whom do you ask?", [NOBODY, *names], format_func=lambda key: names.get(key, key), key="asked")
    if st.button("Keep it", key="keep-note", type="primary"):
        head = (context.database, context.clock, context.user, link_id, source_id)
        try:
            noting.add_note(*head, text, None if asked == NOBODY else asked)
        except RefusedError as error:
            st.error(str(error))
            return
        st.session_state[chrome.FLASH] = "Noted."
        st.rerun()
