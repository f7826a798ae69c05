"""Mapping: which account, item, vendor and label each role of a link means in QuickBooks; policies and limits."""

from collections.abc import Callable
from functools import partial
from html import escape
from typing import Any

import streamlit as st

from pages import boxes, chrome, opening, style, words
from pages.context import Context
from reconcile.mapping import Role, candidates, chosen, proposal
from reconcile.money import to_decimal
from storage import chart
from storage.chart import MappingView
from sync import commands
from sync import mapping as actions

POLICIES: dict[str, tuple[str, dict[str, str]]] = {
    "charge_without_invoice": (
        "A charge for which no invoice is found",
        {
            "wait": "waits in Review",
            "sales_receipt": "becomes a sales receipt",
            "unapplied_payment": "becomes a credit of its customer",
        },
    ),
    "closed_period": (
        "What belongs to a period that is closed",
        {"wait": "waits in Review", "first_open_day": "is dated the first open day"},
    ),
    "refund": (
        "A refund of a paid invoice",
        {"receipt": "becomes a refund receipt", "receivables": "goes through the customer's account"},
    ),
    "open_items": (
        "A dispute that was open, or a reserve held, at the cut-over",
        {
            "unsaid": "not said: the end of a dispute is not posted",
            "post": "gets an opening entry, and its end is posted",
            "in_books": "is in the books already: the end of a dispute is recorded by hand",
        },
    ),
}

SAVED = "Saved. The next sync plans with it."
VISIT = "It is made, and chosen, with the next visit of the Web Connector (Update Selected)."


def render(context: Context) -> None:
    chrome.top(context, "Mapping")
    if chrome.connect_first(context) or chrome.from_files(context):
        return
    assert context.link is not None
    opening.last_problem()
    view = chart.view(context.database, context.link.id)
    if not view.is_read:
        first = "visit of the Web Connector" if view.by_visits else "sync"
        st.html(style.note(f"QuickBooks' chart of accounts was not read yet; the first {first} does that."))
        if not view.by_visits:
            _read_again(context)
        return
    _summary(context, view)
    wanted = _wanted(context, view)
    _roles(context, view, but=wanted)
    st.html('<p class="t-head">Where there is a choice</p>')
    _policies(context, view, but=wanted)
    chrome.go(context, "rules", "What is recorded otherwise, and when: Rules")
    chrome.go(context, "go-live", "Next: go live")


def _may(context: Context) -> bool:
    return commands.may(context.user, "map")


# ---- the top: is it complete, and what completes it


def _summary(context: Context, view: MappingView) -> None:
    broken = [each.text for each in view.problems if not each.missing]
    proposed = _proposals(view)
    coming = [each for each in view.asked.values() if each.state != "refused"]
    makeable = [
        role
        for role in view.missing
        if role.name and role.id not in proposed and role.id not in {each.subject for each in coming}
    ]
    if not view.problems:
        st.html(style.note("Every choice is made, and fits what QuickBooks has.", "good"))
    for text in broken:
        st.html(style.note(f"{text} What needs it waits. Choose another one.", "bad"))
    if view.missing:
        names = words.listed([role.title for role in view.missing[:4]]) + (" ..." if len(view.missing) > 4 else "")
        st.html(style.note(f"{words.count(len(view.missing), 'choice')} missing: {names}. What needs them waits."))
    if coming:
        names = words.listed(sorted({f"“{each.name}”" for each in coming}))
        st.html(style.note(f"Asked for: {names}. {VISIT}"))
    with st.container(horizontal=True):
        if proposed:
            opening.button(
                context,
                f"Take {words.count(len(proposed), 'proposal')}",
                lambda: _act(context, actions.choose, proposed),
                key="take-proposals",
                done="Taken. The next sync plans with it.",
                type="primary",
                disabled=not _may(context),
            )
        if makeable:
            opening.button(
                context,
                f"Create {words.count(len(makeable), 'missing one')} in QuickBooks",
                lambda: _create_all(context, makeable),
                key="create-missing",
                done=_made(view, "Created and chosen."),
                type="secondary" if proposed else "primary",
                disabled=not _may(context),
                help=", ".join(str(role.name) for role in makeable),
            )
        if not view.by_visits:
            _read_again(context)


def _made(view: MappingView, done: str) -> str:
    return f"Asked for. {VISIT}" if view.by_visits else done


def _create_all(context: Context, roles: list[Role]) -> bool:
    for role in roles:  # several may be filled by the same account
        _act(context, actions.create, role.id)
    return True


def _proposals(view: MappingView) -> dict[str, str]:
    """What has the right name already, by role; also for roles that are not needed yet."""
    taken = {*view.taken, *view.mappings.clearing.values()}
    found = {role.id: proposal(role, view.chart, taken) for role in view.roles if chosen(view.mappings, role) is None}
    return {role_id: value for role_id, value in found.items() if value}


def _read_again(context: Context) -> None:
    opening.button(
        context,
        "Read QuickBooks' lists again",
        lambda: _act(context, actions.read_chart),
        key="read-chart",
        done="Read again.",
        disabled=not _may(context),
    )


def _act(context: Context, action: Callable[..., bool], *arguments: Any) -> bool:
    assert context.link is not None
    return action(context.environment, context.user, context.link.id, *arguments)


# ---- the one that somebody came for


def _wanted(context: Context, view: MappingView) -> str:
    """The role or policy that the address names, above all others; gives which it is."""
    wanted = str(st.query_params.get("role", ""))
    role = next((each for each in view.roles if each.id == wanted), None)
    if role is None and wanted not in POLICIES:
        return ""
    with st.container(border=True, key="wanted"):
        st.html('<p class="t-head">What waits needs this</p>')
        if role is not None:
            role_row(context, view, role)
        else:
            policy_row(context, view, wanted)
        chrome.go(context, "problems", "Back to Problems")
    return wanted


# ---- a row a role


def _roles(context: Context, view: MappingView, but: str) -> None:
    group = ""
    for role in view.roles:
        if role.id == but:
            continue
        if role.field == "labels" and not view.chart.of(role.entity):
            continue  # the company does not use them
        if role.group != group:
            group = role.group
            st.html(f'<p class="t-head">{escape(group)}</p>')
        role_row(context, view, role)


def role_row(context: Context, view: MappingView, role: Role) -> None:
    """A role, what is chosen for it, and what else could be done; saved as soon as it is chosen."""
    name, choice, more = st.columns([4, 5, 3], vertical_alignment="center")
    name.html(_title(view, role))
    taken = {*view.taken} if role.field == "clearing" else {*view.taken, *view.mappings.clearing.values()}
    fitting, present = candidates(role, view.chart, taken), chosen(view.mappings, role)
    proposed = None if present else proposal(role, view.chart, taken)
    labels = {"": "not chosen"} | {key: _label(entry) for key, entry in fitting.items()}
    labels |= {present: labels.get(present, "cannot be used any more")} if present else {}
    box = f"map-{role.id}"
    key = boxes.keyed(box, present or "")
    with choice:
        st.selectbox(
            role.title,
            list(labels),
            format_func=labels.__getitem__,
            key=key,
            label_visibility="collapsed",
            disabled=not _may(context),
            on_change=boxes.keep,
            args=(box, key, partial(_choose, context, role.id)),
        )
    asked = None if present else view.asked.get(role.id)
    with more:
        if proposed:
            st.caption(f"proposed: {_label(fitting[proposed])}")
        elif asked and asked.state != "refused":
            st.caption(f"“{asked.name}” is made with the next visit")
        elif role.name and not present:
            opening.button(
                context,
                f"Create “{role.name}”",
                partial(_act, context, actions.create, role.id),
                key=f"create-{role.id}",
                done=_made(view, f"“{role.name}” is created and chosen."),
                disabled=not _may(context),
            )
            if asked:
                st.caption(f"not made: {asked.problem}")


def _title(view: MappingView, role: Role) -> str:
    """With a mark: chosen, missing, or broken; without one if it is not needed."""
    problem = next((each for each in view.problems if each.role.id == role.id), None)
    state = "" if problem is None else "wait" if problem.missing else "bad"
    if not state and chosen(view.mappings, role):
        state = "good"
    mark = f'<span class="t-{state}">{style.ICONS[state]}</span> ' if state else ""
    optional = "" if role.needed else ' <span class="t-quiet">(if needed)</span>'
    return f"{mark}{escape(role.title)}{optional}"


def _choose(context: Context, role_id: str, value: str) -> None:
    opening.do(context, lambda: _act(context, actions.choose, {role_id: value or None}), SAVED)


def _label(entry: Any) -> str:
    kind = getattr(entry, "type", "")
    return f"{entry.name} · {kind}" if kind else str(entry.name)


# ---- policies


def _policies(context: Context, view: MappingView, but: str) -> None:
    for field in POLICIES:
        if field != but:
            policy_row(context, view, field)
    for currency in dict.fromkeys((view.chart.home_currency, *sorted(view.mappings.clearing))):
        _limit_rows(context, view, currency)


def policy_row(context: Context, view: MappingView, field: str) -> None:
    """A choice, saved as soon as it is made; "not said" is offered only while nothing was said."""
    title, options = POLICIES[field]
    name, choice, _ = st.columns([4, 5, 3], vertical_alignment="center")
    name.html(escape(title))
    box, present = f"policy-{field}", getattr(view.policies, field)
    key = boxes.keyed(box, present)
    with choice:
        st.selectbox(
            title,
            [each for each in options if each != "unsaid" or present == "unsaid"],
            format_func=options.__getitem__,
            key=key,
            label_visibility="collapsed",
            disabled=not _may(context),
            on_change=boxes.keep,
            args=(box, key, partial(_change_policy, context, field)),
        )


def _limit_rows(context: Context, view: MappingView, currency: str) -> None:
    short, limit = view.policies.short_limit(currency), view.policies.approval_limits.get(currency)
    _limit_row(
        f"How much of a payment may be missing, {currency}",
        f"limit-short-{currency}",
        str(to_decimal(short, currency)),
        "so that it can be closed as a fee or written off; 0: never",
        lambda typed: _act(context, actions.change_limit, "short_limits", currency, typed),
        context,
        may=_may(context),
    )
    _limit_row(
        f"Above what amount a second person must approve, {currency}",
        f"limit-approval-{currency}",
        "" if limit is None else str(to_decimal(limit, currency)),
        "empty: never; a manager sets it",
        lambda typed: _act(context, actions.change_approval_limit, currency, typed),
        context,
        may=commands.may(context.user, "change_approval_limit"),
    )


def _limit_row(
    title: str, box: str, present: str, hint: str, change: Callable[[str], bool], context: Context, *, may: bool
) -> None:
    """Saved as soon as it is typed."""
    name, choice, more = st.columns([4, 5, 3], vertical_alignment="center")
    name.html(escape(title))
    key = boxes.keyed(box, present)

    def save(typed: str) -> None:
        opening.do(context, lambda: change(typed), SAVED)

    with choice:
        st.text_input(
            title,
            key=key,
            label_visibility="collapsed",
            disabled=not may,
            on_change=boxes.keep,
            args=(box, key, save),
        )
    more.caption(hint)


def _change_policy(context: Context, field: str, value: str) -> None:
    opening.do(context, lambda: _act(context, actions.change_policy, field, value), SAVED)
