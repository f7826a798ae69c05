"""The switch that decides whether anything is written into the books. It asks once more."""

from functools import partial

import streamlit as st

from pages import chrome
from pages.context import Context
from storage.queries import LinkView
from sync import commands


def posting(context: Context, link: LinkView) -> None:
    allowed = commands.may(context.user, "switch_posting")
    label = "Posting is on" if link.posting_on else "Posting is off"
    with st.popover(label, disabled=not allowed, key="posting"):
        if link.posting_on:
            st.markdown("Stop writing into QuickBooks? What is planned keeps until you switch posting on again.")
        elif commands.has_seen_dry_run(context.database, link.id):
            st.markdown("Write into QuickBooks from the next sync on? Everything planned so far is posted then.")
        else:
            st.markdown("Look at the dry run first: it shows every document that would be written.")
            chrome.go(context, "dry-run", "Open the dry run")
            return
        st.button(
            "Switch posting off" if link.posting_on else "Switch posting on",
            key="switch-posting",
            type="primary",
            on_click=chrome.act,
            args=(
                partial(
                    commands.switch_posting, context.database, context.clock, context.user, link.id, not link.posting_on
                ),
            ),
            kwargs={
                "done": f"Posting is {'off' if link.posting_on else 'on'} now.",
                "idle": "It was switched already.",
            },
        )
