"""Review: what waits for a person, why, and both sides of it. What is looked at is named by its id in the URL."""

import hashlib
from datetime import timedelta
from functools import partial
from html import escape

import polars as pl
import streamlit as st

from pages import chrome, compare, deciding, findings, posted, style, url, words
from pages.context import Context
from storage import review as waiting
from storage.queries import LinkView
from storage.review import Detail, Item, Page

PAGE_SIZE = 50
UNMAPPED = ("unmapped_account", "unmapped_item")  # a choice on the page Mapping mends it
ALL = "all"
OTHERS_MAX = 9
TABS = {"waiting": "For review", "posted": "Posted"}
LEG_STATES = {"matched": "good", "posted": "good", "ignored": "info", "waiting": "wait"}


def render(context: Context) -> None:
    chrome.top(context, "Review")
    if chrome.connect_first(context):
        return
    deciding.last_one(context)
    assert context.link is not None
    if _tab() == "posted":
        posted.render(context, context.link.id)
        return
    findings.render(context, context.link.id)
    if not context.waiting:
        st.html(style.note(nothing_waits(context), "good"))
        return
    link = context.link
    shown, number = _filtered(context, link)
    if not shown.total:
        st.html(style.note("Nothing that waits fits these filters."))
        return
    left, right = st.columns([5, 4], gap="small")  # at 1024 pixels the list needs this much
    with left:
        selected = _list(shown)
        _pages(shown, number)
    with right:
        _detail(context, link, selected, _next_of(shown, selected))


def _tab() -> str:
    """What the page shows, as its address says."""
    chosen = url.choice("show", list(TABS), "waiting")
    st.session_state["show"] = chosen
    st.segmented_control(
        "Show",
        list(TABS),
        format_func=TABS.__getitem__,
        key="show",
        on_change=url.narrow,
        args=("show", "show", "waiting"),
        label_visibility="collapsed",
    )
    return chosen


def nothing_waits(context: Context) -> str:
    """ "Nothing waits. Last checked 2 minutes ago; next check in 3 minutes." """
    pulse = context.pulse
    if pulse is None or pulse.last_good is None or pulse.last_good.finished_at is None:
        return "Nothing waits yet: nothing was synced so far."
    checked = f"Nothing waits. Last checked {words.ago(pulse.last_good.finished_at, context.now)}"
    if not context.interval_s:
        return f"{checked}."
    seconds = context.interval_s - int(context.now.timestamp()) % context.interval_s
    return f"{checked}; next check in {words.span(timedelta(seconds=seconds))}."


# ---- the list


def _filtered(context: Context, link: LinkView) -> tuple[Page, int]:
    """The page of items that the filters in the URL ask for, and its number."""
    reasons = waiting.reasons(context.database, link.id)
    codes = sorted(reasons, key=lambda code: -reasons[code])
    st.session_state["reason"] = reason = wanted if (wanted := st.query_params.get("reason")) in codes else ALL
    st.session_state["q"] = text = st.query_params.get("q", "")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox(
            "Reason",
            [ALL, *codes],
            format_func=lambda code: _reason_label(code, reasons),
            key="reason",
            on_change=_narrow,
            args=("reason",),
            label_visibility="collapsed",
            width=260,
        )
        st.text_input(
            "Search",
            key="q",
            on_change=_narrow,
            args=("q",),
            placeholder="Customer, amount, id, text",
            label_visibility="collapsed",
            width=320,
        )
    number = _page_number()
    shown = waiting.page(
        context.database,
        link.id,
        reason=None if reason == ALL else reason,
        text=text,
        number=number,
        size=PAGE_SIZE,
    )
    return shown, number


def _narrow(name: str) -> None:
    """A filter was changed: the URL says so, and the list begins at its start."""
    value = st.session_state[name]
    for stale in ("page", "item", name):
        st.query_params.pop(stale, None)
    if value and value != ALL:
        st.query_params[name] = value


def _reason_label(code: str, reasons: dict[str, int]) -> str:
    if code == ALL:
        return f"All reasons ({sum(reasons.values()):,})"
    return f"{words.capitalised(words.reason(code))} ({reasons.get(code, 0):,})"


def _page_number() -> int:
    value = st.query_params.get("page", "1")
    return max(1, int(value)) if value.isdecimal() else 1


def _list(shown: Page) -> str:
    """The grid of items; gives the id of the one to show: that of the URL, or the first."""
    ids = [item.source_id for item in shown.items]
    wanted = st.query_params.get("item", "")
    selected = wanted or (ids[0] if ids else "")
    # A grid's selection is a row number. So its key changes with its rows, and the URL says which row is selected.
    key = f"items-{hashlib.sha256(' '.join(ids).encode()).hexdigest()[:12]}"
    st.session_state[key] = {"selection": {"rows": [ids.index(selected)] if selected in ids else [], "columns": []}}
    st.dataframe(
        _frame(shown.items),
        key=key,
        hide_index=True,
        height=min(36 + 30 * len(ids), 640),
        row_height=30,
        on_select=partial(_select, key, ids),
        selection_mode="single-row",
        column_config={
            "Date": st.column_config.DateColumn(format="D MMM", width=58),
            "Customer": st.column_config.TextColumn(width=110),
            "Amount": st.column_config.TextColumn(alignment="right", width=104),
            "Reason": st.column_config.TextColumn(width=118),
        },
        alt="What waits for review",
    )
    return selected


def _next_of(shown: Page, selected: str) -> str:
    """The item to show once the selected one is decided; "" for none."""
    ids = [item.source_id for item in shown.items]
    if selected not in ids:
        return ids[0] if ids else ""
    at = ids.index(selected)
    return (ids[at + 1 :] or ids[:at][-1:] or [""])[0]


def _select(key: str, ids: list[str]) -> None:
    rows = st.session_state[key]["selection"]["rows"]
    if rows:
        st.query_params["item"] = ids[rows[0]]


def _frame(items: tuple[Item, ...]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "Date": [item.dated for item in items],
            "Customer": [
                item.customer or f"{words.kind(item.source_id)} {words.short(item.source_id)}" for item in items
            ],
            "Amount": [words.money(item.amount_minor, item.currency) for item in items],
            "Reason": [words.reason(item.reason) for item in items],
        }
    )


def _pages(shown: Page, number: int) -> None:
    pages = -(-shown.total // PAGE_SIZE)
    first = (number - 1) * PAGE_SIZE + 1
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.caption(
            f"{first:,} to {first + len(shown.items) - 1:,} of {shown.total:,}" if shown.items else "No such page."
        )
        if pages > 1:
            key = f"page-{number}"  # a new one for each page, because the URL says which it is
            st.pagination(pages, default=min(number, pages), key=key, width=180, on_change=_turn, args=(key,))


def _turn(key: str) -> None:
    st.query_params.pop("item", None)
    st.query_params["page"] = str(st.session_state[key])


# ---- both sides


def _detail(context: Context, link: LinkView, source_id: str, after: str) -> None:
    detail = waiting.detail(context.database, link.id, source_id)
    if detail is None:
        st.html(style.note(f"{source_id} does not wait any more. Choose another one.", "good"))
        deciding.standing(context, link.id, source_id)
        return
    desk = deciding.Desk(context=context, link_id=link.id, detail=detail, after=after)
    st.html(_head(detail.item))
    st.html(style.note(detail.item.detail, "bad" if detail.item.reason == "refused" else "wait"))
    if detail.item.reason in UNMAPPED:
        chrome.go(context, "mapping", "Open Mapping")
    if detail.item.reason == "undo_stopped":
        chrome.go(context, "review", "Open Posted", show="posted", q=source_id)
    for posting in detail.postings:
        if posting.state == "waiting":
            deciding.offer_retry(context, posting)
    if not detail.candidates:
        st.html(compare.stripe_side(detail))
        if detail.item.reason not in deciding.SETTLED_ELSEWHERE:
            st.caption("QuickBooks has no document that could belong to it.")
            deciding.offer(desk)
    for number, candidate in enumerate(detail.candidates[: OTHERS_MAX + 1]):
        why = " ".join(each for each in candidate.reasons if each != detail.item.detail)
        if number == 0:
            deciding.offer(desk, candidate)
            st.html(compare.both_sides(detail, candidate))
            st.caption(f"{compare.title(candidate)}: {words.ROLES.get(candidate.role, candidate.role)}. {_plain(why)}")
            continue
        with st.expander(f"Or {compare.title(candidate)}", key=f"candidate-{source_id}-{number}"):
            deciding.offer_other(desk, candidate)
            st.html(compare.both_sides(detail, candidate))
            st.caption(_plain(why))
    deciding.standing(context, link.id, source_id)
    with st.expander("All entries of this object", key=f"legs-{source_id}"):
        st.html(_legs(detail))


def _head(item: Item) -> str:
    parts = [
        f'<span class="t-amount">{words.money(item.amount_minor, item.currency)}</span>',
        f"<span>{escape(item.customer)}</span>" if item.customer else "",
        f'<span class="t-quiet">{words.kind(item.source_id)} {style.identifier(item.source_id, item.source_id)}</span>',
    ]
    return f'<div class="t-bar">{"".join(parts)}</div>'


def _legs(detail: Detail) -> str:
    rows: list[list[str]] = [
        [
            escape(leg.kind.replace("_", " ")),
            words.money(leg.amount_minor, leg.currency),
            style.mark(LEG_STATES[leg.state], leg.state),
            escape(leg.detail),
            style.identifier(leg.movement_id, words.short(leg.movement_id)),
        ]
        for leg in detail.legs
    ]
    return style.table(["Entry", "Amount", "State", "Why", "Movement"], rows, frozenset((1,)))


def _plain(text: str) -> str:
    """Text of others in a caption: none of it is markup."""
    for sign in "\\`*_[]$~<>#|":
        text = text.replace(sign, f"\\{sign}")
    return text
