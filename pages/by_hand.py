"""Matching by hand on Review: several invoices for a payment, or several payments for an invoice, until nothing is
left unexplained.
"""

from functools import partial
from typing import Literal

import streamlit as st

from pages import deciding, style, words
from pages.deciding import Desk
from reconcile.choices import Short
from reconcile.dividing import DivisionError, divide
from reconcile.records import Charge, Document
from storage import matchable
from storage.matchable import Choice, Waiting
from sync import commands, pairing

Answer = Short | Literal["open"]
CHOSEN_MAX = 25  # invoices of one payment: as many as somebody looks through
OPEN: Literal["open"] = "open"  # what is missing is still owed
MISSING: dict[Answer, str] = {
    OPEN: "It is still owed: it stays open on the invoice",
    "fee": "Somebody else kept it as a fee (a bank, another processor)",
    "write_off": "It is written off: too little to ask for",
}


def offer(desk: Desk) -> None:
    """The button; only charges pay invoices."""
    item = desk.detail.item
    if not isinstance(item.source, Charge) or item.reason in deciding.SETTLED_ELSEWHERE:
        return
    allowed = desk.may("match_documents")
    if st.button("Match to others…", key=f"by-hand-{item.source_id}", disabled=not allowed, shortcut="m"):
        ask(desk)


@st.dialog("Match to others", width="large")
def ask(desk: Desk) -> None:
    form(desk)


def form(desk: Desk) -> None:
    """What is chosen is matched as it is shown; what has changed meanwhile is refused."""
    detail, charge = desk.detail, desk.detail.item.source
    assert isinstance(charge, Charge)
    key = detail.item.source_id
    proposed = [part[1] for part in detail.candidates[0].parts if part[0]] if detail.candidates else []
    chosen = st.session_state.get(f"invoices-{key}", proposed)
    top = st.container()
    text = st.text_input("Find invoices by customer, number or amount", detail.item.customer, key=f"find-{key}")
    found = matchable.choice(desk.context.database, desk.link_id, detail, text, also=chosen)
    invoices, others = _choose(key, found, proposed)
    paid = [charge, *(each.charge for each in others)]
    with top:
        short = _difference(desk, found, paid, invoices)
    versions = {charge.id: detail.version} | {each.charge.id: each.version for each in others}
    head = (desk.context.database, desk.context.clock, desk.context.user, desk.link_id)
    seen = [matchable.payable(each) for each in invoices]
    command = partial(pairing.match_documents, *head, versions, seen)
    if short is not None and short != OPEN:
        command = partial(pairing.match_short, *head, versions, seen, short)
    if st.button("Match", key="match-by-hand", type="primary", disabled=short is None):
        names = words.listed([words.document(each.id, each.doc_number) for each in invoices])
        deciding.answer(desk, command, f"Matched to {names}.")


def _choose(key: str, found: Choice, proposed: list[str]) -> tuple[list[Document], list[Waiting]]:
    known = {each.id: each for each in found.invoices}
    ids = st.multiselect(
        "Invoices with something open",
        list(known),
        [each for each in proposed if each in known],
        format_func=lambda each: _invoice(known[each]) if each in known else each,
        key=f"invoices-{key}",
        max_selections=CHOSEN_MAX,
    )
    beside = {each.charge.id: each for each in found.payments}
    more = []
    if beside:
        more = st.multiselect(
            "Together with other payments of this customer",
            list(beside),
            format_func=lambda each: _payment(beside[each].charge) if each in beside else each,
            key=f"payments-{key}",
        )
    return [known[each] for each in ids if each in known], [beside[each] for each in more if each in beside]


def _invoice(document: Document) -> str:
    number = words.document(document.id, document.doc_number)
    owed = words.money(document.open_minor, document.currency)
    return f"{number} · {document.customer_name or 'no customer'} · {owed} open · {document.dated.isoformat()}"


def _payment(charge: Charge) -> str:
    day = charge.created_at.date().isoformat()
    return f"{words.money(charge.captured_minor, charge.currency)} · {day} · {words.short(charge.id)}"


def _difference(desk: Desk, found: Choice, paid: list[Charge], invoices: list[Document]) -> Answer | None:
    """Says what is left, and asks how that comes; gives the answer (OPEN where nothing is to be explained), or None
    while it cannot be matched.
    """
    if not invoices:
        st.caption("Choose the invoices that this pays.")
        return None
    currency = paid[0].currency
    try:
        division = divide(matchable.paid(paid), [matchable.payable(each) for each in invoices], currency)
    except DivisionError as error:
        st.html(style.line("bad", str(error)))
        return None
    if division.left_minor:
        figure, who = words.money(division.left_minor, currency), invoices[0].customer_name or "the customer"
        st.html(style.line("wait", f"Difference {figure}: it stays with {who} as credit."))
        return OPEN
    if not division.open_minor:
        st.html(style.line("good", "Difference 0.00"))
        return OPEN
    return _explain(desk, division.open_minor, currency, found.limit_minor)


def _explain(desk: Desk, missing: int, currency: str, limit: int) -> Answer | None:
    key, figure = desk.detail.item.source_id, words.money(missing, currency)
    within = missing <= limit and desk.may("match_short")
    st.html(style.line("wait", f"Difference {figure} missing. Say how that comes."))
    answers: list[Answer] = list(MISSING) if within else [OPEN]
    answer = st.radio("What is missing", answers, index=None, format_func=MISSING.__getitem__, key=f"missing-{key}")
    if missing > limit:
        st.caption(f"Up to {words.money(limit, currency)} can be closed as a fee or written off; see Mapping.")
    elif not within:
        st.caption(f"To close it as a fee or write it off takes the role {commands.NEEDS['match_short']} or higher.")
    if answer is not None and answer != OPEN:
        st.html(style.line("good", f"Difference 0.00: the invoice is closed, {figure} of it against that account."))
    return answer
