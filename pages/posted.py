"""What Tieout posted, and its undo: what it would do, what keeps it from being done, and a question before it is."""

from functools import partial
from html import escape

import polars as pl
import streamlit as st

from pages import chrome, style, url, words
from pages.context import Context
from pages.grid import pick
from storage import posted
from storage.posted import Detail, PostedView
from storage.undoing import Step
from sync import commands, undoing

PAGE_SIZE = 50
HOWS = {
    "void": "is voided",
    "delete": "is deleted",
    "entry": "stays; an opposite {} is made",
    "stay": "stays: it moves no money",
    None: "cannot be undone",
}
ASKED = "It is undone in QuickBooks with the next sync, and goes back to Review."
NO, YES = "No, or not yet", "Yes, it is marked R in the register"


def render(context: Context, link_id: int) -> None:
    """The list on the left, one document and its undo on the right."""
    for each in posted.not_undone(context.database, link_id):
        what = f"{words.document(each.document_id)} of {words.money(each.amount_minor, each.currency)}"
        st.html(style.note(f"{what} was not undone. {each.problem}", "bad"))
    text = url.search("Customer, amount, id", "q", "posted-q", width=320)
    shown = posted.page(context.database, link_id, text=text, before=url.number("before"), size=PAGE_SIZE)
    if not shown:
        st.html(style.note("Nothing that was posted fits this." if text else "Nothing is posted yet.", "good"))
        return
    left, right = st.columns([5, 4], gap="small")
    with left:
        chosen = _list(shown)
        _pages(shown)
    with right:
        _detail(context, link_id, chosen)


def _list(shown: list[PostedView]) -> str:
    """The grid; gives the id of the document to show: that of the address, or the first."""
    columns = {
        "Date": st.column_config.DateColumn(format="D MMM", width=58),
        "Document": st.column_config.TextColumn(width=130),
        "Customer": st.column_config.TextColumn(width=110),
        "Amount": st.column_config.TextColumn(alignment="right", width=104),
        "For": st.column_config.TextColumn(width=118),
    }
    return pick(_frame(shown), [view.document_id for view in shown], "document", columns, "What was posted")


def _frame(shown: list[PostedView]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "Date": [view.dated for view in shown],
            "Document": [_title(view) for view in shown],
            "Customer": [view.customer for view in shown],
            "Amount": [words.money(view.amount_minor, view.currency) for view in shown],
            "For": ["being undone" if view.is_being_undone else words.short(view.cause) for view in shown],
        }
    )


def _title(view: PostedView) -> str:
    return words.document(view.document_id, view.document.doc_number if view.document else None)


def _pages(shown: list[PostedView]) -> None:
    with st.container(horizontal=True):
        if url.number("before") is not None:
            st.button("Newest", key="posted-newest", on_click=_turn, args=(None,))
        if len(shown) == PAGE_SIZE:
            st.button("Older", key="posted-older", on_click=_turn, args=(shown[-1].row_id,))


def _turn(before: int | None) -> None:
    url.put("document", "")
    url.put("before", before)


# ---- one document


def _detail(context: Context, link_id: int, document_id: str) -> None:
    found = posted.detail(context.database, link_id, document_id)
    if found is None:
        st.html(style.note(f"{words.document(document_id)} is not in QuickBooks any more. Choose another one.", "good"))
        return
    view = found.view
    head = [
        f'<span class="t-amount">{words.money(view.amount_minor, view.currency)}</span>',
        f"<span>{escape(view.customer)}</span>" if view.customer else "",
        f'<span class="t-quiet">{escape(_title(view))} {style.identifier(view.cause, words.short(view.cause))}</span>',
    ]
    st.html(f'<div class="t-bar">{"".join(head)}</div>')
    if found.decision_id is not None:
        _under_way(context, found)
        return
    st.html(what_would_be_done(found))
    for obstacle in found.undo.obstacles:
        st.html(style.note(obstacle, "wait"))
    may = commands.may(context.user, "undo_posted") and not found.undo.obstacles
    if st.button("Undo…", key=f"undo-{document_id}", disabled=not may):
        ask(context, link_id, document_id)
    chrome.go(context, "audit", "Its whole way", record=view.cause)


def what_would_be_done(found: Detail) -> str:
    """Each document with what happens to it, and what follows, as HTML."""
    rows = [
        [
            f"{escape(words.document(step.document.id, step.document.doc_number))}<br>"
            f'<span class="s">{words.day(step.document.dated)}</span>',
            style.keep(words.money(step.document.amount_minor, step.document.currency)),
            escape(_how(step)),
        ]
        for step in found.undo.steps
    ]
    effects = "".join(f"<div>{escape(effect)}</div>" for effect in found.undo.effects)
    return style.table(["Document", "Amount", "What an undo does"], rows, frozenset((1,))) + effects


def _how(step: Step) -> str:
    text = HOWS[step.how].format((step.entry_kind or "").replace("_", " "))
    return f"{text} on {words.day(step.entry_on)}" if step.entry_on else text


def _under_way(context: Context, found: Detail) -> None:
    st.html(style.note("It is being undone. The next sync carries it out.", "wait"))
    command = partial(commands.undo, context.database, context.clock, context.user, found.decision_id or 0)
    st.button(
        "Leave it posted",
        key=f"call-off-{found.view.document_id}",
        disabled=not (commands.may(context.user, "undo_posted") and found.may_be_called_off),
        on_click=chrome.act,
        args=(command,),
        kwargs={"done": "It stays posted.", "idle": "It was undone already."},
    )


@st.dialog("Undo what was posted", width="large")
def ask(context: Context, link_id: int, document_id: str) -> None:
    """The last look: what QuickBooks does not tell is asked, and what is shown here is what is done."""
    reconciled = st.radio(
        "Was it reconciled with a bank statement in QuickBooks? Tieout cannot see that.", [NO, YES], index=None,
        key=f"reconciled-{document_id}",
    )  # fmt: skip
    first = posted.detail(context.database, link_id, document_id)
    with_fee = False
    if first is not None and first.undo.fee_minor:
        fee = words.money(first.undo.fee_minor, first.undo.currency)
        with_fee = st.checkbox(f"Undo its fee of {fee} as well", key=f"with-fee-{document_id}")
    found = posted.detail(context.database, link_id, document_id, with_fee=with_fee, is_reconciled=reconciled == YES)
    if found is None:
        st.html(style.note("It is not in QuickBooks any more.", "good"))
        return
    st.html(what_would_be_done(found))
    for obstacle in found.undo.obstacles:
        st.html(style.note(obstacle, "wait"))
    reason = st.text_input("Why", key=f"why-undo-{document_id}")
    if st.button("Undo it", key="undo-it", type="primary", disabled=reconciled is None or bool(found.undo.obstacles)):
        try:
            undoing.undo_posted(
                context.database, context.clock, context.user, link_id, document_id, found.undo.version, reason,
                is_reconciled=reconciled == YES, with_fee=with_fee,
            )  # fmt: skip
        except commands.RefusedError as error:
            st.error(str(error))
            return
        st.session_state[chrome.FLASH] = ASKED
        st.rerun()
