"""What is odd about documents in QuickBooks, each with what can be done about it."""

from functools import partial
from html import escape

import streamlit as st

from pages import chrome, style, words
from pages.context import Context
from storage import queries
from storage.findings import Finding, Offer
from sync import commands, mending

SHOWN_MAX = 20
TITLES = {
    "applies_by_itself": "A setting of QuickBooks",
    "changed": "Changed in QuickBooks",
    "gone": "Gone from QuickBooks",
    "credit_left": "Credit and open invoices",
    "copied": "Copied in QuickBooks",
    "back": "Undone, and there again",
    "recorded_twice": "Recorded twice?",
    "not_deposited": "Not deposited",
    "in_the_bank": "Beside the clearing account",
    "credit_note": "Credit note of Stripe",
    "settled_outside": "Paid outside of Stripe",
    "applied_unasked": "Applied by itself",
}


def render(context: Context, link_id: int) -> None:
    """Folded, above what waits; nothing, if nothing is odd."""
    found = queries.odd(context.database, link_id)
    if not found:
        return
    with st.expander(f"Documents in QuickBooks to look at: {len(found):,}"):
        for finding in found[:SHOWN_MAX]:
            _one(context, link_id, finding)
        if len(found) > SHOWN_MAX:
            st.caption(f"And {len(found) - SHOWN_MAX:,} more; they follow when these are done.")


def _one(context: Context, link_id: int, finding: Finding) -> None:
    title = f"{TITLES[finding.code]}: {words.reason(finding.reason)}" if finding.reason else TITLES[finding.code]
    head = (title, words.day(finding.dated), words.money(finding.amount_minor, finding.currency))
    text = words.capitalised(finding.text)
    st.html(f"<div><b>{escape(' · '.join(head))}</b><br>{escape(text)}</div>")
    with st.container(horizontal=True, vertical_alignment="center"):
        for offer in finding.offers:
            _offer(context, link_id, finding, offer)
        st.html(style.identifier(finding.document_id, words.document(finding.document_id)))


def _offer(context: Context, link_id: int, finding: Finding, offer: Offer) -> None:
    command = partial(
        mending.mend, context.database, context.clock, context.user, link_id, finding.id, finding.version, offer
    )
    st.button(
        offer.label,
        key=f"mend-{finding.id}-{offer.action}-{offer.other_id}",
        disabled=not commands.may(context.user, "mend"),
        on_click=chrome.act,
        args=(command,),
        kwargs={
            "done": f"{offer.label}: done with the next sync.",
            "idle": "It is settled already: somebody was quicker.",
        },
    )
