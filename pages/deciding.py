"""The buttons of Review: a person decides on what is shown, by ids and by the version that was seen."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any, get_args

import streamlit as st

from pages import chrome, compare, style, words
from pages.context import Context
from reconcile.choices import How
from reconcile.records import Charge
from storage import review as waiting
from storage.review import Candidate, Detail, PostingView
from sync import commands

LAST = "last-decision"  # (ids, what was done) of this browser session
HOWS = {"sales_receipt": "a sales receipt", "unapplied_payment": "a credit of the customer"}
SETTLED_ELSEWHERE = ("refused", "undo_unclear", "undo_stopped")  # by a retry, or by undoing the rest
UNDONE = "Taken back. It returns to Review with the next sync."


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What a decision is about: the item as it is shown, and the item to show next."""

    context: Context
    link_id: int
    detail: Detail
    after: str

    def may(self, action: str) -> bool:
        return commands.may(self.context.user, action)

    def bound(self, command: Callable[..., int], *arguments: Any) -> Callable[[], int]:
        """A command on this item, bound to the version that is shown."""
        context, detail = self.context, self.detail
        head = (context.database, context.clock, context.user, self.link_id, detail.item.source_id)
        return partial(command, *head, *arguments, detail.version)


# ---- what is offered


def offer(desk: Desk, candidate: Candidate | None = None) -> None:
    """What can be done with the item, and with its first candidate."""
    detail = desk.detail
    if detail.item.reason in SETTLED_ELSEWHERE:
        return
    if candidate is not None:
        st.html(style.line(*compare.difference(detail, candidate)))
    with st.container(horizontal=True, vertical_alignment="center"):
        if candidate is not None:
            is_tie = sum(each.rank == candidate.rank for each in detail.candidates) > 1
            _accept(desk, candidate, is_best=not is_tie, key="1" if is_tie else "a")
            _reject(desk, candidate, key="x")
        if isinstance(detail.item.source, Charge):
            allowed = desk.may("record_without_invoice")
            key = f"record-{detail.item.source_id}"
            if st.button("Record without invoice…", key=key, disabled=not allowed, shortcut="w"):
                ask_how(desk)
        allowed = desk.may("ignore")
        if st.button("Ignore…", key=f"ignore-{detail.item.source_id}", disabled=not allowed, shortcut="i"):
            ask_why(desk)


def offer_other(desk: Desk, candidate: Candidate) -> None:
    """What can be done with another candidate."""
    if desk.detail.item.reason in SETTLED_ELSEWHERE:
        return
    st.html(style.line(*compare.difference(desk.detail, candidate)))
    with st.container(horizontal=True, vertical_alignment="center"):
        _accept(desk, candidate, is_best=False)
        _reject(desk, candidate)


def _accept(desk: Desk, candidate: Candidate, *, is_best: bool, key: str | None = None) -> None:
    """One answer that is better than all others takes A; of equally good ones a person points at one."""
    st.button(
        "Accept" if is_best else "This one",
        key=f"accept-{desk.detail.item.source_id}-{candidate.match_id}",
        type="primary" if is_best else "secondary",
        shortcut=key,
        disabled=not desk.may("accept_match"),
        on_click=_decide,
        args=(desk, desk.bound(commands.accept_match, candidate.match_id), f"Accepted: {compare.title(candidate)}."),
    )


def _reject(desk: Desk, candidate: Candidate, *, key: str | None = None) -> None:
    recorded = candidate.role == "already_recorded"
    st.button(
        "It is another one" if recorded else "Not these two",
        key=f"reject-{desk.detail.item.source_id}-{candidate.match_id}",
        shortcut=key,
        disabled=not desk.may("reject_match"),
        on_click=_decide,
        args=(
            desk,
            desk.bound(commands.reject_match, candidate.match_id),
            f"It will not be matched to {compare.title(candidate)}.",
        ),
    )


def offer_retry(context: Context, posting: PostingView) -> None:
    """A posting that QuickBooks refused: what it was, and another try."""
    what = f"{posting.kind.replace('_', ' ')} of {words.money(posting.amount_minor, posting.currency)}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Retry",
            key=f"retry-{posting.id}",
            type="primary",
            disabled=not commands.may(context.user, "retry_posting"),
            on_click=chrome.act,
            args=(partial(commands.retry_posting, context.database, context.clock, context.user, posting.id),),
            kwargs={
                "done": "It goes into QuickBooks with the next sync.",
                "idle": "It does not wait any more: somebody was quicker.",
            },
        )
        tries = words.count(posting.attempt, "try", "tries")
        st.caption(f"QuickBooks refused the {what}, dated {posting.dated}, after {tries}.")
    if posting.technical:
        with st.expander("For support", key=f"technical-{posting.id}"):
            st.code(posting.technical, language=None, wrap_lines=True)


# ---- questions


@st.dialog("Ignore")
def ask_why(desk: Desk) -> None:
    st.write("It is set aside: nothing is posted, and the proof lists it with your name and this reason.")
    reason = st.text_area("Reason", key=f"why-{desk.detail.item.source_id}")
    if st.button("Ignore it", key="ignore-it", type="primary"):
        answer(desk, desk.bound(commands.ignore, reason), "Ignored.")


@st.dialog("Record without invoice")
def ask_how(desk: Desk) -> None:
    item = desk.detail.item
    how = st.radio("As", get_args(How), format_func=HOWS.__getitem__, key=f"how-{item.source_id}")
    text = st.text_input("Find the customer", item.customer, key=f"who-{item.source_id}")
    found = waiting.customers(desk.context.database, desk.link_id, text)
    names = {each.id: f"{each.name} · {each.email}" if each.email else each.name for each in found}
    if not names:
        st.caption("No active customer in QuickBooks is called so.")
    customer = st.selectbox("Customer", list(names), format_func=lambda key: names.get(key, key), key="customer")
    if st.button("Record it", key="record-it", type="primary", disabled=customer is None):
        command = desk.bound(commands.record_without_invoice, how, customer)
        answer(desk, command, f"Recorded as {HOWS[how]}: {names[str(customer)]}.")


def answer(desk: Desk, command: Callable[[], int | tuple[int, ...]], done: str) -> None:
    """Closes the question if the command was done; else says why not."""
    try:
        _remember(desk, command(), done)
    except commands.RefusedError as error:
        st.error(str(error))
        return
    st.session_state[chrome.FLASH] = done
    st.rerun()


# ---- what was done


def _decide(desk: Desk, command: Callable[[], int], done: str) -> None:
    """Does it, remembers how to take it back, and goes on to the next item."""

    def act() -> bool:
        _remember(desk, command(), done)
        return True

    chrome.act(act, done=done, idle="")


def _remember(desk: Desk, made: int | tuple[int, ...], done: str) -> None:
    item = desk.detail.item
    who = item.customer or words.short(item.source_id)
    remember(
        made if isinstance(made, tuple) else (made,), f"{words.money(item.amount_minor, item.currency)}, {who}. {done}"
    )
    st.query_params.pop("item", None)
    if desk.after:
        st.query_params["item"] = desk.after


def remember(decision_ids: tuple[int, ...], done: str) -> None:
    """What this person decided last."""
    st.session_state[LAST] = (decision_ids, done)


def last_one(context: Context) -> None:
    """What this person decided last, with a way back."""
    if LAST not in st.session_state:
        return
    decision_ids, done = st.session_state[LAST]
    with st.container(horizontal=True, vertical_alignment="center"):
        _undo(context, decision_ids, key="undo-last", shortcut="u")
        st.html(f'<span class="t-quiet">{escape(done)} The next sync carries it out.</span>')


def standing(context: Context, link_id: int, source_id: str) -> None:
    """What people decided of an object before, each with a way back."""
    for stored in waiting.standing(context.database, link_id, source_id):
        said = stored.decision
        documents = words.listed([words.document(part.ledger_id) for part in said.parts])
        short = words.listed([words.SHORT[part.short_as] for part in said.parts if part.short_as])
        parts = (words.DECISIONS[said.kind], documents, short, f"by {said.actor}, {words.ago(stored.at, context.now)}")
        with st.container(horizontal=True, vertical_alignment="center"):
            _undo(
                context,
                (stored.id,),
                key=f"undo-{stored.id}",
                action=commands.maker(said),
                label="Post it again" if said.kind == "undone" else "Undo",
            )
            st.html(escape(f"{' · '.join(filter(None, parts))}{f': {said.reason}' if said.reason else ''}"))


def _undo(
    context: Context,
    decision_ids: tuple[int, ...],
    *,
    key: str,
    action: str = "reject_match",
    shortcut: str | None = None,
    label: str = "Undo",
) -> None:
    st.button(
        label,
        key=key,
        shortcut=shortcut,
        disabled=not commands.may(context.user, action),
        on_click=_take_back,
        args=(context, decision_ids),
    )


def _take_back(context: Context, decision_ids: tuple[int, ...]) -> None:
    def command() -> bool:
        undone = [commands.undo(context.database, context.clock, context.user, each) for each in decision_ids]
        return any(undone)

    chrome.act(command, done=UNDONE, idle="It was taken back already.")
    st.session_state.pop(LAST, None)
