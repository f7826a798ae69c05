"""Accepting all proposed matches above a confidence: how many and how much first, then a list, then a yes."""

from collections import defaultdict
from html import escape

import streamlit as st

from pages import chrome, deciding, style, url, words
from pages.context import Context
from storage import likely
from storage.likely import Likely
from sync import commands, confirming

LEAST = {"999000": "99.9 %", "995000": "99.5 %", "990000": "99 %", "950000": "95 %"}
FIRST = "999000"


def offer(context: Context, link_id: int) -> None:
    """One line above the list of what is proposed."""
    with st.container(horizontal=True, vertical_alignment="center"):
        least = url.select("Confidence", "least", "least", LEAST, FIRST, width=110)
        found = likely.proposed(context.database, link_id, int(least))
        if not found:
            st.caption(f"No match is proposed at {LEAST[least]} or more that leaves no difference.")
            return
        label = f"Accept all {len(found):,} at {LEAST[least]} or more: {sums(found)}"
        allowed = commands.may(context.user, "accept_match")
        if st.button(label, key="accept-likely", disabled=not allowed):
            ask(context, link_id, found)


def sums(found: list[Likely]) -> str:
    totals: dict[str, int] = defaultdict(int)
    for each in found:
        totals[each.currency] += each.amount_minor
    return words.listed([words.money(minor, currency) for currency, minor in sorted(totals.items())])


@st.dialog("Accept all of these", width="large")
def ask(context: Context, link_id: int, found: list[Likely]) -> None:
    """What is listed here is what is accepted: what has changed meanwhile is left alone."""
    st.html(f"<div><b>{words.count(len(found), 'match', 'matches')}, {escape(sums(found))}</b></div>")
    rows = [
        [
            style.identifier(each.source_id, words.short(each.source_id)),
            words.money(each.amount_minor, each.currency),
            escape(words.listed([words.document(document_id) for document_id in each.document_ids])),
            words.chance(each.probability_ppm),
        ]
        for each in found
    ]
    with st.container(height=min(60 + 32 * len(rows), 420), border=False):
        st.html(style.table(["Stripe", "Amount", "QuickBooks", "Likely"], rows, frozenset((1, 3))))
    if st.button(f"Accept {len(found):,}", key="accept-them", type="primary"):
        try:
            done = confirming.accept_likely(context.database, context.clock, context.user, link_id, found)
        except commands.RefusedError as error:
            st.error(str(error))
            return
        deciding.remember(done.decision_ids, f"{words.count(len(done.decision_ids), 'match', 'matches')} accepted.")
        left = f" {len(done.left):,} had changed meanwhile and wait." if done.left else ""
        held = f" {len(done.held):,} wait for a second person." if done.held else ""
        st.session_state[chrome.FLASH] = f"Accepted {len(done.decision_ids):,}.{left}{held}"
        st.rerun()
