"""Overview: does it tie out, and if not, why."""

from datetime import date
from html import escape
from typing import Any

import polars as pl
import streamlit as st

from pages import charts, chrome, files, style, words
from pages.context import Context
from reconcile import closing
from reconcile.proof import SETTLED_REASONS
from storage import measures, queries, search
from storage.queries import LinkView, Pulse, TieOut, Total

STANDINGS = ("matched", "posted", "pending", "waiting")
ITEM_ROWS_MAX = 1_000


def render(context: Context) -> None:
    chrome.top(context, "Overview")
    if chrome.connect_first(context):
        return
    assert context.link is not None
    assert context.pulse is not None
    if context.pulse.is_first:
        _first_sync(context.link, context.pulse, context)
        return
    if context.link.mode == "files":
        files.notes(context, context.link)
    found = queries.tie_out(context.database, context.link.id, context.now)
    if found is None:
        why = "Stripe's balance did not stand still, or something of Stripe's could not be read; it is on Syncs then."
        st.html(style.note(f"The opening balance is not known yet. {why} The next sync tries again."))
        return
    _figures(context, context.link, found)


def _first_sync(link: LinkView, pulse: Pulse, context: Context) -> None:
    """There are no figures yet: what is going on instead."""
    if pulse.current is None:
        problem = pulse.last.problem if pulse.last else None
        st.html(style.note(problem or "Nothing was synced yet. Start the first sync on the page Syncs.", "bad"))
        return
    st.html(
        f'<p class="t-head">Reading {escape(link.stripe.name)} and {escape(link.books.name)} for the first time</p>'
    )

    @st.fragment(run_every=chrome.WATCH_RUN_S)
    def watch() -> None:
        run = queries.pulse(context.database, link.id).current
        if run is not None:
            chrome.progress(run)
            st.caption(f"So far: {chrome.counts(run)}. The figures appear here as soon as both sides are read.")

    watch()


def _figures(context: Context, link: LinkView, found: TieOut) -> None:
    totals = queries.totals(context.database, link.id)
    today = found.proof.days.filter(pl.col("day") == found.day)
    currencies = today["currency"].to_list()
    st.html(_headlines(found, today))
    for violation in found.violations:
        st.html(style.note(violation, "bad"))
    st.html(_table(context, today, totals))
    st.caption(_summary(context, link, totals))
    st.html(_health(context, link, totals))
    entries = {each: sum(total.count for total in totals if total.currency == each) for each in currencies}
    currency = _choose(sorted(currencies, key=lambda each: -entries[each]))
    if currency is None:
        return
    clicked = _balances(context, link, found, currency)
    clicked = _measures(context, link, currency) or clicked
    if clicked:
        _entries(context, link, currency, *clicked)
    _difference(found, currency)


def _balances(context: Context, link: LinkView, found: TieOut, currency: str) -> list[str]:
    """Gives the bar that was clicked: its first and last day, and what it counts."""
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.html(f'<p class="t-head">Stripe balance and clearing account, {escape(currency)}</p>')
        days = found.proof.days.filter(pl.col("currency") == currency)
        st.plotly_chart(
            charts.balances(days, currency),
            key="balances",
            config={"displayModeBar": False},
            alt="Both balances per day",
        )
    with right:
        st.html('<p class="t-head">Entries per day</p>')
        counts = queries.activity(context.database, link.id, currency)
        alt = "Entries per day by state; a click lists them"
        return _clickable(charts.activity(counts), "activity", alt)


# ---- how it goes: each bar opens what it counts


def _measures(context: Context, link: LinkView, currency: str) -> list[str]:
    """Gives the bar of fees, refunds or disputes that was clicked: first and last day, and which of them."""
    days = measures.per_day(context.database, link.id, currency)
    today = link.today(context.now)
    left, middle, right = st.columns(3, gap="medium")
    with left:
        st.html(f'<p class="t-head">Waiting by days of age, {escape(currency)}</p>')
        ages = search.ages(context.database, link.id, currency, closing.spans(today))
        if point := _clickable(
            charts.ages(ages, currency), "ages", "How much waits by age; a click opens it in Review"
        ):
            _open(context, currency=currency, age=point[0])
    with middle:
        st.html('<p class="t-head">Settled, and waiting</p>')
        alt = "The share settled and the value waiting by day; a click opens what waits in Review"
        if point := _clickable(charts.settled(days, currency), "settled", alt):
            _open(context, currency=currency, **{"from": point[0], "to": point[1]})
    with right:
        st.html('<p class="t-head">Fees, refunds and disputes</p>')
        alt = "Fees as a share of volume; refunds and disputes; a click lists them"
        return _clickable(charts.costs(days, currency), "costs", alt)


def _entries(context: Context, link: LinkView, currency: str, first: str, last: str, what: str) -> None:
    """What the bar that was clicked counts, with the ids on both sides."""
    ends = date.fromisoformat(first), date.fromisoformat(last)
    found, number = measures.entries(context.database, link.id, currency, *ends, what)
    span = words.day(ends[0]) if first == last else f"{words.day(ends[0])} to {words.day(ends[1])}"
    total = "" if number > len(found) else f" · {words.money(sum(each.amount_minor for each in found), currency)}"
    st.html(f'<p class="t-head">{escape(words.capitalised(what))}, {span} · {number:,}{total}</p>')
    rows = {
        "Amount": [words.amount(each.amount_minor, currency) for each in found],
        "Day": [each.day for each in found],
        "Stripe": [each.source_id for each in found],
        "What": [each.what.replace("_", " ") for each in found],
        "QuickBooks": [", ".join(words.document(document) for document in each.document_ids) for each in found],
        "Stands": [each.standing for each in found],
    }
    config = {
        "Amount": st.column_config.TextColumn(alignment="right", width=110),
        "Day": st.column_config.DateColumn(format="YYYY-MM-DD", width=95),
        "Stripe": st.column_config.TextColumn(width=230),
        "QuickBooks": st.column_config.TextColumn(width="medium"),
    }
    st.dataframe(pl.DataFrame(rows), hide_index=True, column_config=config, row_height=28, alt="Entries of a bar")
    if number > len(found):
        st.caption(f"The first {len(found):,} of {number:,}.")


def _clickable(figure: Any, key: str, alt: str) -> list[str]:
    """Draws it; gives what stands behind the bar that was just clicked."""
    config = {"displayModeBar": False}
    event: Any = st.plotly_chart(figure, key=key, config=config, alt=alt, on_select="rerun", selection_mode="points")
    found = [point["customdata"] for point in event.selection.points if point.get("customdata")]
    return [str(value) for value in found[0]] if found else []


def _open(context: Context, **query: str) -> None:
    if "review" in context.pages:
        st.switch_page(context.pages["review"], query_params=query)


# ---- the top: one line a currency


def _headlines(found: TieOut, today: pl.DataFrame) -> str:
    lines = [_headline(found, row["currency"], row["difference_minor"], row["status"]) for row in today.to_dicts()]
    return f'<div class="t-lines">{"".join(lines) or "No currency has moved since the cut-over."}</div>'


def _headline(found: TieOut, currency: str, difference: int, status: str) -> str:
    items = found.items_of(currency)
    why = _why(items)
    if status == "tied":
        return _line("good", f"{currency} tied out to {words.amount(0, currency)}")
    if status == "explained":
        return _line("good", f"{currency} tied out", f"{words.amount(difference, currency)} apart and explained: {why}")
    state = "bad" if "drift" in items["reason"].to_list() else "wait"
    if not difference:
        return _line(state, f"{currency} open", f"what is open cancels out: {why}")
    return _line(state, f"{currency} {words.amount(difference, currency)} open", why)


def _why(items: pl.DataFrame) -> str:
    """ "1 in transit to the bank, 2 waiting for review": what needs somebody comes last."""
    rows = sorted(_counts(items).items(), key=lambda row: (row[0] not in SETTLED_REASONS, row[0]))
    return ", ".join(f"{number:,} {words.item_reason(reason)}" for reason, number in rows)


def _counts(items: pl.DataFrame) -> dict[str, int]:
    """How many Stripe objects (or documents of nobody) there are for each reason."""
    record = pl.coalesce("source_id", "document_id", "reason")
    return dict(items.group_by("reason").agg(record.n_unique()).iter_rows())


def _line(state: str, head: str, rest: str = "") -> str:
    icon = style.ICONS[state]
    tail = f" · {escape(rest)}" if rest else ""
    return f'<div><span class="t-mark t-{state}">{icon}</span><b class="t-{state}">{escape(head)}</b>{tail}</div>'


# ---- the table: a row a currency


def _table(context: Context, today: pl.DataFrame, totals: list[Total]) -> str:
    head = [
        "",
        "Stripe balance",
        "Clearing account",
        "Difference",
        "Matched",
        "Posted",
        "Pending",
        "Waiting",
        "Oldest",
    ]
    rows = []
    for row in today.to_dicts():
        currency = row["currency"]
        sides = [words.amount(row[name], currency) for name in ("stripe_minor", "clearing_minor", "difference_minor")]
        mine = [total for total in totals if total.currency == currency]
        rows.append([f"<b>{escape(currency)}</b>", *sides, *(_standing(mine, name) for name in STANDINGS)])
        rows[-1].append(_oldest(context, mine))
    return style.table(head, rows, frozenset(range(1, len(head))))


def _standing(totals: list[Total], standing: str) -> str:
    mine = [total for total in totals if total.standing == standing]
    number = sum(total.count for total in mine)
    if not number:
        return '<span class="s">none</span>'
    figure = words.amount(sum(total.amount_minor for total in mine), mine[0].currency)
    return f'{figure}<br><span class="s">{words.count(number, "entry", "entries")}</span>'


def _oldest(context: Context, totals: list[Total]) -> str:
    times = [total.oldest for total in totals if total.standing == "waiting" and total.oldest]
    return words.span(context.now - min(times)) if times else ""


def _summary(context: Context, link: LinkView, totals: list[Total]) -> str:
    number = sum(total.count for total in totals)
    settled = sum(total.count for total in totals if total.state != "waiting")
    share = (
        f"{settled / number:.1%} of {words.count(number, 'entry', 'entries')} settled" if number else "no entries yet"
    )
    posting = "posting is on" if link.posting_on else "posting is off: nothing is written into QuickBooks"
    review = f"{words.count(context.waiting, 'payment')} to review"
    return f"{share} · {review} · {posting} · since {words.day(link.cutover)}, days in {link.time_zone}"


def _health(context: Context, link: LinkView, totals: list[Total]) -> str:
    """Each connection, what is on its way to the bank, how quick it is: one line."""
    parts = []
    for side in (link.stripe, link.books):
        state, word = words.SIDE_STATES.get(side.state, ("wait", side.state))
        checked = f"checked {words.ago(side.checked_at, context.now)}" if side.checked_at else ""
        name = escape(words.SYSTEMS.get(side.system, side.system))
        parts.append(f'{name} {style.mark(state, word)} <span class="t-quiet">{checked}</span>')
    moving = [each for each in totals if each.reason == "in_transit"]
    number = sum(each.count for each in moving)
    sums = words.listed([words.money(-each.amount_minor, each.currency) for each in moving])
    parts.append(f"{words.count(number, 'payout')} on the way to the bank{': ' if sums else ''}{sums}")
    speed = measures.speed(context.database, link.id)
    if speed is not None:
        text = f"payment to books: half within {words.brief(speed.median)}, 95 % within {words.brief(speed.slow)}"
        parts.append(f'<span title="the newest {speed.count:,} payments since the first sync">{text}</span>')
    return f'<div class="t-bar t-small">{"".join(f"<span>{part}</span>" for part in parts)}</div>'


def _choose(currencies: list[str]) -> str | None:
    """The currency of charts and list, the busiest first; without a choice to make, no control."""
    if len(currencies) < 2:
        return currencies[0] if currencies else None
    return st.segmented_control(
        "Currency",
        currencies,
        default=currencies[0],
        required=True,
        key="currency",
        bind="query-params",
        label_visibility="collapsed",
    )


# ---- the difference, item by item


def _difference(found: TieOut, currency: str) -> None:
    items = found.items_of(currency)
    if items.is_empty():
        return
    st.html('<p class="t-head">What the difference is made of</p>')
    counts = _counts(items)
    reasons = sorted(items["reason"].unique(), key=lambda reason: (reason in SETTLED_REASONS, reason))
    for reason in reasons:
        mine = items.filter(pl.col("reason") == reason).sort("from_day", descending=True)
        total = words.money(int(mine["amount_minor"].sum()), currency)
        label = f"{words.capitalised(words.item_reason(reason))} · {counts[reason]:,} · {total}"
        box = st.expander(label, key=f"items-{currency}-{reason}", on_change="rerun")
        if box.open:
            with box:
                _items(mine, currency)


def _items(items: pl.DataFrame, currency: str) -> None:
    shown = items.head(ITEM_ROWS_MAX)
    rows = {
        "Amount": [words.amount(minor, currency) for minor in shown["amount_minor"]],
        "Since": shown["from_day"].to_list(),
        "Stripe": shown["source_id"].fill_null("").to_list(),
        "QuickBooks": shown["document_id"].fill_null("").to_list(),
        "Why": shown["text"].to_list(),
    }
    config = {
        "Amount": st.column_config.TextColumn(alignment="right", width=110),
        "Since": st.column_config.DateColumn(format="YYYY-MM-DD", width=95),
        "Stripe": st.column_config.TextColumn(width=190),
        "QuickBooks": st.column_config.TextColumn(width=115),
        "Why": st.column_config.TextColumn(width="large"),
    }
    st.dataframe(
        pl.DataFrame(rows), hide_index=True, column_config=config, row_height=28, alt="Items of the difference"
    )
    if items.height > ITEM_ROWS_MAX:
        st.caption(f"The newest {ITEM_ROWS_MAX:,} of {items.height:,}.")
