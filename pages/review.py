"""Review: what waits for a person, why, and both sides of it. What is looked at is named by its id in the URL."""

from collections import Counter
from datetime import date
from html import escape
from typing import Literal

import polars as pl
import streamlit as st

from pages import approvals, by_hand, chrome, compare, deciding, findings, noting, posted, style, together, url, words
from pages.context import Context
from pages.grid import pick
from reconcile import closing
from storage import review as waiting
from storage import search
from storage.queries import LinkView
from storage.review import Detail
from storage.search import Facet, Filter, Item, Page, Show
from sync import schedules

PAGE_SIZE = 50
UNMAPPED = ("unmapped_account", "unmapped_item")  # a choice on the page Mapping mends it
ALL = "all"
OTHERS_MAX = 9
Tab = Show | Literal["posted"]
TABS: dict[Tab, str] = {
    "waiting": "For review",
    "proposed": "Proposed",
    "posted": "Posted",
    "ignored": "Ignored",
    "problems": "Problems",
}
EMPTY = {
    "proposed": "No match is proposed.",
    "ignored": "Nothing is set aside. What somebody ignores is listed here, with who did it and why.",
    "problems": "Nothing that waits is held up by a problem.",
}
FILTERS = ("reason", "currency", "kind", "age", "from", "to", "q", "least", "asked")
KINDS = {
    "charge": "Charges",
    "refund": "Refunds",
    "payout": "Payouts",
    "dispute": "Disputes",
    "fees": "Fees",
    "movement": "Other movements",
}
LEG_STATES = {"matched": "good", "posted": "good", "ignored": "info", "waiting": "wait"}


def render(context: Context) -> None:
    chrome.top(context, "Review")
    if chrome.connect_first(context):
        return
    deciding.last_one(context)
    assert context.link is not None
    show = _tab()
    if show == "posted":
        posted.render(context, context.link.id)
        return
    if show == "waiting":
        approvals.render(context, context.link.id)
        findings.render(context, context.link.id)
    link = context.link
    known = search.facets(context.database, link.id, show)
    if not known and not url.text("item"):
        _nothing(context, show)
        return
    shown, number = _filtered(context, link, show, known)
    if not shown.total and not url.text("item"):
        st.html(style.note("Nothing fits these filters."))
        st.button("Clear the filters", key="clear", on_click=_clear)
        return
    if show == "proposed":
        together.offer(context, link.id)
    left, right = st.columns([5, 4], gap="small")  # at 1024 pixels the list needs this much
    with left:
        selected = _list(shown)
        _move(shown, selected)
        _pages(shown, number)
    with right:
        _detail(context, link, selected, _next_of(shown, selected))


def _tab() -> Tab:
    """What the page shows, as its address says."""
    first: Tab = "waiting"
    chosen = next((name for name in TABS if name == url.text("show")), first)
    st.session_state["show"] = chosen
    st.segmented_control(
        "Show",
        list(TABS),
        format_func=TABS.__getitem__,
        key="show",
        on_change=_turn_to,
        label_visibility="collapsed",
    )
    return chosen


def _turn_to() -> None:
    """Another tab has other reasons, so it begins without filters."""
    chosen = st.session_state["show"] or "waiting"
    st.query_params.clear()
    url.put("show", "" if chosen == "waiting" else chosen)


def _clear() -> None:
    for name in (*FILTERS, *url.PLACES):
        st.query_params.pop(name, None)


def _nothing(context: Context, show: Show) -> None:
    st.html(style.note(EMPTY.get(show) or nothing_waits(context), "good"))
    if show == "problems":
        chrome.go(context, "problems", "All problems, by cause")


def nothing_waits(context: Context) -> str:
    """ "Nothing waits. Last checked 2 minutes ago; next check in 3 minutes." """
    pulse = context.pulse
    if pulse is None or pulse.last_good is None or pulse.last_good.finished_at is None:
        return "Nothing waits yet: nothing was synced so far."
    checked = f"Nothing waits. Last checked {words.ago(pulse.last_good.finished_at, context.now)}"
    if not context.interval_s or context.link is None:
        return f"{checked}."
    due = schedules.next_due(context.link.schedule, context.link.time_zone, context.now, context.interval_s)
    return f"{checked}; next check in {words.span(due - context.now)}." if due else f"{checked}."


# ---- the list


def _filtered(context: Context, link: LinkView, show: Show, known: list[Facet]) -> tuple[Page, int]:
    """The page of items that the filters in the address ask for, and its number."""
    spans = {name: (first, last) for name, first, last in closing.spans(link.today(context.now))}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        reason = url.select("Reason", "reason", "reason", _reasons(known), ALL, width=230) if show == "waiting" else ALL
        kind = url.select("Kind", "kind", "kind", _kinds(known), ALL, width=150)
        currency = _currency(known)
        ages = {ALL: "Any age"} | {name: f"{name} days" for name in spans}
        age = url.select("Age", "age", "age", ages, ALL, width=125)
        asked = url.select("Asked", "asked", "asked", {ALL: "Asked or not", "me": "I am asked"}, ALL, width=125)
        text = url.search("Customer, amount, id, text", "q", "q", width=230)
    since, until = spans.get(age, (url.day("from"), url.day("to")))
    if age == ALL and (since or until):
        _days(since, until)
    number = max(1, url.number("page") or 1)
    wanted = Filter(
        show=show,
        reason="" if reason == ALL else reason,
        currency="" if currency == ALL else currency,
        kind="" if kind == ALL else kind,
        since=since,
        until=until,
        text=text,
        asked=context.user.email if asked == "me" else "",
    )
    return search.page(context.database, link.id, wanted, number=number, size=PAGE_SIZE), number


def _currency(known: list[Facet]) -> str:
    """Without a choice to make, no control."""
    found = sorted({facet.currency for facet in known})
    if len(found) < 2:
        return ALL
    options = {ALL: "All currencies"} | {each: each for each in found}
    return url.select("Currency", "currency", "currency", options, ALL, width=140)


def _reasons(known: list[Facet]) -> dict[str, str]:
    """The most frequent first."""
    counts = Counter[str]()
    for each in known:
        counts[each.reason] += each.count
    named = {code: f"{words.capitalised(words.reason(code))} ({number:,})" for code, number in counts.most_common()}
    return {ALL: f"All reasons ({counts.total():,})"} | named


def _kinds(known: list[Facet]) -> dict[str, str]:
    counts = Counter[str]()
    for each in known:
        counts[each.kind] += each.count
    return {ALL: "All kinds"} | {kind: f"{name} ({counts[kind]:,})" for kind, name in KINDS.items() if counts[kind]}


def _days(since: date | None, until: date | None) -> None:
    """Days are chosen in a chart of Overview; here they are named, and let go of."""
    ends = [f"{word} {words.day(day)}" for word, day in (("from", since), ("through", until)) if day]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"Only {words.day(since) if since and since == until else ' '.join(ends)}")
        st.button("All days", key="all-days", on_click=_drop_days)


def _drop_days() -> None:
    for name in ("from", "to", *url.PLACES):
        st.query_params.pop(name, None)


def _list(shown: Page) -> str:
    """The grid of items; gives the id of the one to show: that of the URL, or the first."""
    columns = {
        "Date": st.column_config.DateColumn(format="D MMM", width=58),
        "Customer": st.column_config.TextColumn(width=110),
        "Amount": st.column_config.TextColumn(alignment="right", width=104),
        "Reason": st.column_config.TextColumn(width=118),
    }
    ids = [item.source_id for item in shown.items]
    return pick(_frame(shown.items), ids, "item", columns, "What waits for review")


def _next_of(shown: Page, selected: str) -> str:
    """The item to show once the selected one is decided; "" for none."""
    ids = [item.source_id for item in shown.items]
    if selected not in ids:
        return ids[0] if ids else ""
    at = ids.index(selected)
    return (ids[at + 1 :] or ids[:at][-1:] or [""])[0]


def _move(shown: Page, selected: str) -> None:
    """From one item to the next, also by J and K."""
    ids = [item.source_id for item in shown.items]
    at = ids.index(selected) if selected in ids else -1
    steps = (("Previous", "k", at - 1), ("Next", "j", at + 1))
    with st.container(horizontal=True):
        for label, key, to in steps:
            there = ids[to] if 0 <= to < len(ids) else ""
            st.button(label, key=f"go-{key}", shortcut=key, disabled=not there, on_click=url.put, args=("item", there))


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
        sums = words.listed([words.money(minor, currency) for currency, minor in shown.sums])
        places = f"{first:,} to {first + len(shown.items) - 1:,} of {shown.total:,} · together {sums}"
        st.caption(places if shown.items else "No such page.")
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
    if detail.item.state == "ignored":
        _ignored(context, link, detail)
        return
    desk = deciding.Desk(context=context, link_id=link.id, detail=detail, after=after)
    st.html(_head(detail.item))
    approvals.about(context, link.id, source_id)
    noting.said(context, link.id, source_id)
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
    _candidates(desk)
    with st.container(horizontal=True, vertical_alignment="center"):
        by_hand.offer(desk)
        noting.offer(context, link.id, source_id)
        chrome.go(context, "audit", "Its whole way", record=source_id)
    deciding.standing(context, link.id, source_id)
    with st.expander("All entries of this object", key=f"legs-{source_id}"):
        st.html(_legs(detail))


def _candidates(desk: deciding.Desk) -> None:
    """The best one open, the others folded."""
    detail = desk.detail
    for number, candidate in enumerate(detail.candidates[: OTHERS_MAX + 1]):
        why = " ".join(each for each in candidate.reasons if each not in detail.item.detail)
        if number == 0:
            deciding.offer(desk, candidate)
            st.html(compare.both_sides(detail, candidate))
            st.caption(f"{compare.title(candidate)}: {words.ROLES.get(candidate.role, candidate.role)}. {_plain(why)}")
            continue
        with st.expander(f"Or {compare.title(candidate)}", key=f"candidate-{detail.item.source_id}-{number}"):
            deciding.offer_other(desk, candidate)
            st.html(compare.both_sides(detail, candidate))
            st.caption(_plain(why))


def _ignored(context: Context, link: LinkView, detail: Detail) -> None:
    st.html(_head(detail.item))
    deciding.standing(context, link.id, detail.item.source_id)
    st.html(compare.stripe_side(detail))
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
