"""What a change of rules would do, as lists of records."""

from html import escape

import streamlit as st

from pages import dry_run, style, words
from storage.dry_run import DocumentView
from storage.previews import SHOWN_MAX, Changes, Preview, Standing

TITLES = {
    "settled": "Newly matched or posted",
    "unsettled": "No longer matched or posted",
    "otherwise": "Posted otherwise",
    "waiting": "Wait for another reason",
}


def render(preview: Preview, key: str = "open") -> None:
    if preview.is_empty:
        looked = words.count(preview.looked_at, "entry", "entries")
        st.html(style.note(f"Nothing would change: {looked} looked at. What is posted already stays as it is.", "good"))
        return
    groups = {name: getattr(preview, name) for name in TITLES}
    rows = [[escape(TITLES[name]), f"{each.count:,}", sums(each)] for name, each in groups.items()]
    st.html(style.table(["What would change", "Entries", "Sum"], rows, frozenset((1, 2))))
    st.caption(f"Of {words.count(preview.looked_at, 'entry', 'entries')}. What is posted already stays as it is.")
    for name, each in groups.items():
        if each.count:
            with st.expander(f"{TITLES[name]}: {each.count:,}", key=f"preview-{key}-{name}"):
                _list(each)


def sums(found: Changes) -> str:
    return words.listed([words.money(minor, currency) for currency, minor in found.sums]) or "none"


def _list(found: Changes) -> None:
    rows = [
        [
            style.identifier(each.source_id, words.short(each.source_id)),
            escape(each.kind.replace("_", " ")),
            words.money(each.amount_minor, each.currency),
            standing(each.before),
            standing(each.after),
        ]
        for each in found.shown
    ]
    st.html(style.table(["Stripe", "Entry", "Amount", "Now", "Then"], rows, frozenset((2,))))
    if found.count > SHOWN_MAX:
        st.caption(f"The first {SHOWN_MAX:,} of {found.count:,}.")


def standing(said: Standing) -> str:
    """In a line: the documents that are planned, what it is matched to, or why it waits; as HTML."""
    if said.documents:
        return "<br>".join(map(_document, said.documents))
    if said.matched:
        return f"matched to {escape(words.listed([words.document(each) for each in said.matched]))}"
    return f'waits: {escape(words.reason(said.reason))}<br><span class="s">{escape(said.detail)}</span>'


def _document(shown: DocumentView) -> str:
    labels = f'<br><span class="s">{escape(", ".join(shown.labels))}</span>' if shown.labels else ""
    return f"{dry_run.KINDS[shown.kind][0]}: {escape(dry_run.effect(shown))}{labels}"
