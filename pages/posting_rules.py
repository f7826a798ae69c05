"""What is recorded otherwise than by default, and when: an ordered list, of which the first rule that fits counts."""

from collections.abc import Callable
from dataclasses import replace
from html import escape
from typing import Any, get_args

import streamlit as st

from pages import opening, words
from reconcile.labels import Labels, PostingRule, RuleKind, WithoutInvoice
from reconcile.mapping import COST
from reconcile.money import MoneyError, to_minor
from reconcile.records import Named
from reconcile.rulebook import RuleBook
from storage.chart import MappingView

LABELS = {
    "item_id": ("Item of the sale", "items"),
    "class_id": ("Class", "classes"),
    "location_id": ("Location", "departments"),
    "payment_method_id": ("Payment method", "payment_methods"),
}
KINDS: dict[str, str] = {
    "": "anything",
    "payment": "payments of invoices",
    "sale": "sales without an invoice",
    "refund": "refunds",
    "fee": "Stripe's fees",
    "dispute": "disputes",
}
HOWS: dict[str, str] = {
    "": "as by default",
    "wait": "waits in Review",
    "sales_receipt": "becomes a sales receipt",
    "unapplied_payment": "becomes a credit of its customer",
}
FIELDS = {
    "currency": "Paid in (currency)",
    "metadata_key": "Metadata key",
    "metadata_value": "Metadata value",
    "product": "Product id",
    "text": "Description has",
    "customer": "Customer or e-mail has",
    "least": "Amount from",
    "most": "Amount to",
}
Edit = Callable[[RuleBook], None]


def render(draft: RuleBook, view: MappingView, edit: Edit, *, may: bool) -> None:
    st.html('<p class="t-head">Posting</p>')
    st.caption("The first rule that fits counts for a document of a payment; what it leaves open is as by default.")
    for place, rule in enumerate(draft.posting):
        _line(draft, view, edit, place, rule, may=may)
    if may:
        with st.expander("Add a rule", key="add-rule"):
            _form(draft, view, edit)


def _line(draft: RuleBook, view: MappingView, edit: Edit, place: int, rule: PostingRule, *, may: bool) -> None:
    rules = draft.posting
    earlier = (*rules[: place - 1], rule, rules[place - 1], *rules[place + 1 :]) if place else rules
    without = (*rules[:place], *rules[place + 1 :])
    left, right = st.columns([9, 3], vertical_alignment="center")
    left.html(f"<div>{place + 1}. {escape(condition(rule))} → {escape(effect(rule, view))}</div>")
    steps = (("Earlier", "up", earlier, not place), ("Remove", "off", without, False))
    with right, st.container(horizontal=True, horizontal_alignment="right"):
        for label, name, after, off in steps:
            st.button(
                label,
                key=f"{name}-{place}",
                on_click=edit,
                args=(replace(draft, posting=tuple(after)),),
                disabled=off or not may,
            )


def condition(rule: PostingRule) -> str:
    """ "refunds, paid in EUR, metadata site = shop, description has “pro”"."""
    value = f" = {rule.metadata_value}" if rule.metadata_value else ""
    parts = (
        KINDS[rule.kind] if rule.kind else "",
        f"paid in {rule.currency}" if rule.currency else "",
        f"metadata {rule.metadata_key}{value}" if rule.metadata_key else "",
        f"product {rule.product}" if rule.product else "",
        f"description has “{rule.text}”" if rule.text else "",
        f"customer has “{rule.customer}”" if rule.customer else "",
        f"from {words.money(rule.least_minor, rule.currency or '')}" if rule.least_minor else "",
        f"up to {words.money(rule.most_minor, rule.currency or '')}" if rule.most_minor else "",
    )
    return ", ".join(filter(None, parts))


def effect(rule: PostingRule, view: MappingView) -> str:
    found = []
    for name, (title, table) in LABELS.items():
        value, entries = getattr(rule.labels, name), getattr(view.chart, table)
        if value:
            found.append(f"{title.lower()} {entries[value].name if value in entries else value}")
    if rule.account_id:
        account = view.chart.accounts.get(rule.account_id)
        found.append(f"to {account.name if account else rule.account_id}")
    if rule.how:
        found.append(f"without an invoice it {HOWS[rule.how]}")
    return ", ".join(found)


def _form(draft: RuleBook, view: MappingView, edit: Edit) -> None:
    with st.form("rule-form", border=False):
        st.markdown("**When** all of these hold (leave out what does not matter):")
        columns = st.columns(5)
        columns[0].selectbox("About", list(KINDS), format_func=KINDS.__getitem__, key="rule-kind")
        for number, (name, title) in enumerate(FIELDS.items(), start=1):
            columns[number % 5].text_input(title, key=f"rule-{name}")
        st.markdown("**Then** record it with:")
        shown: dict[str, tuple[str, dict[str, Any]]] = {
            name: (title, getattr(view.chart, table)) for name, (title, table) in LABELS.items()
        }
        costs = {key: each for key, each in view.chart.accounts.items() if each.type in COST}
        shown |= {"account_id": ("Account of Stripe's fees", costs)}
        shown = {name: pair for name, pair in shown.items() if pair[1]}
        places = st.columns(len(shown) + 1)
        for column, (name, (title, entries)) in zip(places, shown.items(), strict=False):
            with column:
                _select(name, title, entries)
        places[-1].selectbox("A payment without an invoice", list(HOWS), format_func=HOWS.__getitem__, key="rule-how")
        st.form_submit_button("Add to the draft", on_click=_add, args=(draft, edit), type="primary")


def _select(name: str, title: str, entries: dict[str, Named]) -> None:
    labels = {"": "as by default"} | {key: each.name for key, each in entries.items() if each.active}
    st.selectbox(title, list(labels), format_func=labels.__getitem__, key=f"rule-{name}")


def _add(draft: RuleBook, edit: Edit) -> None:
    try:
        edit(replace(draft, posting=(*draft.posting, _typed())))
    except MoneyError as error:
        st.session_state[opening.PROBLEM] = f"{error} Type an amount such as 100.00, and its currency."


def _typed() -> PostingRule:
    """Raises MoneyError for an amount that is none."""
    said = {name: str(st.session_state.get(f"rule-{name}", "")).strip() for name in FIELDS}
    currency = said["currency"].upper() or None
    least, most = (_minor(said[name], currency or "") for name in ("least", "most"))
    chosen = {name: st.session_state.get(f"rule-{name}") or None for name in (*LABELS, "account_id", "kind", "how")}
    kind, how = chosen["kind"], chosen["how"]
    assert kind in (None, *get_args(RuleKind))
    assert how in (None, *get_args(WithoutInvoice))
    return PostingRule(
        currency=currency,
        metadata_key=said["metadata_key"] or None,
        metadata_value=said["metadata_value"] or None,
        product=said["product"] or None,
        text=said["text"] or None,
        customer=said["customer"] or None,
        kind=kind,
        least_minor=least,
        most_minor=most,
        labels=Labels(**{name: chosen[name] for name in LABELS}),
        account_id=chosen["account_id"],
        how=how,
    )


def _minor(text: str, currency: str) -> int | None:
    return to_minor(text.replace(",", ""), currency) if text else None
