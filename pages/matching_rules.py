"""How records are matched: windows, where numbers of invoices are looked for, what is taken without asking."""

from collections.abc import Callable, Collection
from dataclasses import replace

import streamlit as st

from reconcile.rulebook import DAYS_MAX, TIERS, RuleBook
from reconcile.rules import Rules

DAYS = {
    "invoice_days_before": "An invoice may be older than its payment by",
    "invoice_days_after": "... or newer by",
    "record_days_before": "A record typed in may be older than the payment by",
    "record_days_after": "... or newer by",
    "payout_days_before": "A transfer may be older than the payout's arrival by",
    "payout_days_after": "... or newer by",
    "fees_days": "One expense for many fees may be apart from them by",
}


def render(draft: RuleBook, certified: Collection[str], edit: Callable[[RuleBook], None], *, may: bool) -> None:
    """`certified` are the tiers that may take by themselves."""
    st.html('<p class="t-head">Matching</p>')
    rules = draft.matching
    with st.form("matching-form", border=False):
        names = list(DAYS.items())
        for row in (names[:4], names[4:]):
            _days(rules, row, may=may)
        left, right = st.columns(2)
        left.text_input(
            "Metadata that holds the number of an invoice, the first that is there counts",
            ", ".join(rules.reference_fields),
            key="rule-fields",
            disabled=not may,
        )
        right.text_input(
            "Only what looks like this is a number (# for digits; empty: anything that an invoice is called)",
            ", ".join(rules.reference_patterns),
            key="rule-patterns",
            placeholder="INV-#, SO #",
            disabled=not may,
        )
        st.checkbox(
            "The description of a payment may name an invoice",
            rules.reads_description,
            key="rule-description",
            disabled=not may,
        )
        known = [tier for tier in TIERS if tier in certified]
        st.multiselect(
            "Taken without asking, because enough answers were reviewed and right",
            known,
            [tier for tier in known if tier not in rules.only_propose],
            format_func=TIERS.__getitem__,
            key="rule-tiers",
            disabled=not may or not known,
            placeholder="Nothing" if known else "Nothing yet: no way of guessing is certified",
        )
        take = lambda: edit(replace(draft, matching=_typed(rules, known)))  # noqa: E731 - what the button does
        st.form_submit_button("Take into the draft", on_click=take, disabled=not may)


def _days(rules: Rules, row: list[tuple[str, str]], *, may: bool) -> None:
    for column, (name, title) in zip(st.columns(4, vertical_alignment="bottom"), row, strict=False):
        label, present = f"{title} (days)", getattr(rules, name)
        column.number_input(label, 0, DAYS_MAX[name], present, key=f"rule-{name}", disabled=not may)


def _typed(rules: Rules, known: Collection[str]) -> Rules:
    state = st.session_state
    off = [tier for tier in known if tier not in state["rule-tiers"]]
    return replace(
        rules,
        **{name: int(state[f"rule-{name}"]) for name in DAYS},
        reference_fields=_names(state["rule-fields"]),
        reference_patterns=_names(state["rule-patterns"]),
        reads_description=bool(state["rule-description"]),
        only_propose=tuple(sorted({*(tier for tier in rules.only_propose if tier not in known), *off})),
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.strip() for each in text.split(",") if each.strip()))
