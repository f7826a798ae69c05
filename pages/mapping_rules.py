"""The rules of the page Mapping: what is recorded otherwise than by default, and when. The first that fits counts."""

from html import escape

import streamlit as st

from pages import opening
from pages.context import Context
from reconcile.labels import LabelRule, Labels
from reconcile.records import Named
from storage.chart import MappingView
from sync import commands
from sync import mapping as actions

LABELS = {
    "item_id": ("Item of the sale", "items"),
    "class_id": ("Class", "classes"),
    "location_id": ("Location", "departments"),
    "payment_method_id": ("Payment method", "payment_methods"),
}
FIELDS = ("rule-currency", "rule-key", "rule-value", "rule-product", "rule-text")


def render(context: Context, view: MappingView) -> None:
    st.html('<p class="t-head">Rules</p>')
    st.caption("The first rule that fits a payment counts for its documents, its fees and its refunds.")
    rules = list(view.mappings.rules)
    for place, rule in enumerate(rules):
        _line(context, view, rules, place, rule)
    if commands.may(context.user, "map"):
        with st.expander("Add a rule", key="add-rule"):
            _form(context, view, rules)


def _line(context: Context, view: MappingView, rules: list[LabelRule], place: int, rule: LabelRule) -> None:
    act, off = opening.button, not commands.may(context.user, "map")
    earlier = [*rules[: place - 1], rule, rules[place - 1], *rules[place + 1 :]] if place else rules
    without = [*rules[:place], *rules[place + 1 :]]
    left, right = st.columns([9, 3], vertical_alignment="center")
    left.html(f"<div>{place + 1}. {escape(condition(rule))} → {escape(effect(rule.labels, view))}</div>")
    with right, st.container(horizontal=True, horizontal_alignment="right"):
        act(
            context,
            "Earlier",
            lambda: _save(context, rules, earlier),
            key=f"up-{place}",
            done="Moved.",
            disabled=off or not place,
        )
        act(
            context, "Remove", lambda: _save(context, rules, without), key=f"off-{place}", done="Removed.", disabled=off
        )


def condition(rule: LabelRule) -> str:
    """ "paid in EUR, metadata site = shop, text has “pro”"."""
    value = f" = {rule.metadata_value}" if rule.metadata_value else ""
    parts = (
        f"paid in {rule.currency}" if rule.currency else "",
        f"metadata {rule.metadata_key}{value}" if rule.metadata_key else "",
        f"product {rule.product}" if rule.product else "",
        f"description has “{rule.text}”" if rule.text else "",
    )
    return ", ".join(filter(None, parts))


def effect(labels: Labels, view: MappingView) -> str:
    found = []
    for name, (title, table) in LABELS.items():
        value, entries = getattr(labels, name), getattr(view.chart, table)
        if value:
            found.append(f"{title.lower()} {entries[value].name if value in entries else value}")
    return ", ".join(found)


def _form(context: Context, view: MappingView, rules: list[LabelRule]) -> None:
    with st.form("rule-form", border=False):
        st.markdown("**When** all of these hold (leave out what does not matter):")
        columns = st.columns(5)
        titles = ("Paid in (currency)", "Metadata key", "Metadata value", "Product id", "Description has")
        for column, key, title in zip(columns, FIELDS, titles, strict=True):
            column.text_input(title, key=key)
        st.markdown("**Then** record it with:")
        shown = {name: (title, getattr(view.chart, table)) for name, (title, table) in LABELS.items()}
        shown = {name: pair for name, pair in shown.items() if pair[1]}
        for column, (name, (title, entries)) in zip(st.columns(len(shown) or 1), shown.items(), strict=False):
            with column:
                _select(name, title, entries)
        add = lambda: _save(context, rules, [*rules, _typed()])  # noqa: E731 - what the button does
        opening.submit(context, "Add the rule", add, done="Added.", type="primary")


def _select(name: str, title: str, entries: dict[str, Named]) -> None:
    labels = {"": "as by default"} | {key: each.name for key, each in entries.items() if each.active}
    st.selectbox(title, list(labels), format_func=labels.__getitem__, key=f"rule-{name}")


def _typed() -> LabelRule:
    currency, key, value, product, text = (st.session_state.get(name, "").strip() or None for name in FIELDS)
    return LabelRule(
        currency=currency.upper() if currency else None,
        metadata_key=key,
        metadata_value=value,
        product=product,
        text=text,
        labels=Labels(**{name: st.session_state.get(f"rule-{name}") or None for name in LABELS}),
    )


def _save(context: Context, seen: list[LabelRule], rules: list[LabelRule]) -> bool:
    assert context.link is not None
    return actions.change_rules(context.environment, context.user, context.link.id, seen, rules)
