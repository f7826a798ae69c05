"""Close: the period's pack, the list that must be green or explained, and its sign-off by a second person."""

from calendar import monthrange
from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from html import escape

import polars as pl
import streamlit as st

from pages import chrome, opening, style, tables, url, words
from pages.context import Context
from pages.workbook import workbook
from reconcile.closing import Balance, Difference, Drift, Line
from reconcile.money import to_decimal
from storage import closes
from storage.closes import Close, Head, Look, Pack
from storage.queries import LinkView
from sync import closing, commands
from sync.commands import RefusedError

STATES = {
    "prepared": ("wait", "prepared, to be signed off"),
    "signed": ("good", "signed off"),
    "reopened": ("info", "opened again"),
}
SHOWN_MAX = 200  # differences on the page; the workbook has them all
EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def render(context: Context) -> None:
    chrome.top(context, "Close")
    if chrome.connect_first(context):
        return
    assert context.link is not None
    opening.last_problem()
    known = closes.heads(context.database, context.link.id)
    wanted = next((each.id for each in known if each.id == url.number("close")), None)
    chosen = closing.one(context.environment, context.link.id, wanted) if wanted is not None else None
    if chosen is not None:
        _one(context, context.link, chosen)
        return
    _past(context, context.link, known)
    _next(context, context.link, known)


# ---- what was closed


def _past(context: Context, link: LinkView, known: list[Head]) -> None:
    if not known:
        return
    standings = closing.standings(context.environment, link.id)
    st.html('<p class="t-head">Periods</p>')
    for each in known:
        left, right = st.columns([8, 2], vertical_alignment="center")
        stands = standings.get(each.id)
        text = f"{words.count(stands.drift, 'change')} since" if stands and stands.drift else ""
        lost = (
            ""
            if stands is None or stands.is_whole
            else style.mark("bad", "the stored figures are not what was prepared")
        )
        left.html(
            f"<div><b>{each.first} to {each.last}</b> · {style.mark(*STATES[each.state])} · {escape(_who(each))} "
            f"{style.mark('bad', text) if text else ''} {lost}</div>"
        )
        right.button("Open", key=f"open-{each.id}", on_click=url.put, args=("close", each.id))


def _who(each: Head) -> str:
    parts = [f"prepared by {each.prepared_by}"]
    parts += [f"signed by {each.signed_by}"] if each.signed_by else []
    parts += [f"opened again by {each.reopened_by}: {each.why}"] if each.reopened_by else []
    return ", ".join(parts)


def _one(context: Context, link: LinkView, chosen: Close) -> None:
    """One period as it was prepared, with what has changed since and the next step."""
    st.button("← All periods", key="all-periods", on_click=url.put, args=("close", None))
    st.html(
        f'<div class="t-bar"><span class="t-amount">{chosen.first} to {chosen.last}</span>'
        f"{style.mark(*STATES[chosen.state])} <span>{escape(_who(chosen))}</span></div>"
    )
    if chosen.note:
        st.html(style.note(f"Note of {chosen.prepared_by}: {chosen.note}"))
    drift = closing.drifts(context.environment, link.id, [chosen]).get(chosen.id, [])
    if drift and chosen.state != "reopened":
        _drift(chosen, drift)
    _step(context, chosen)
    _export(chosen.pack, chosen, lambda: chosen.pack)
    _pack(chosen.pack)


def _drift(chosen: Close, drift: list[Drift]) -> None:
    when = "signed off" if chosen.state == "signed" else "prepared"
    st.html(style.note(f"{words.count(len(drift), 'figure')} of this period changed after it was {when}.", "bad"))
    rows = []
    for each in drift:
        figures = (
            words.amount(minor, each.currency) if minor is not None else "nothing"
            for minor in (each.was_minor, each.now_minor)
        )
        side = "Stripe" if each.what == "stripe" else "Clearing account"
        name = words.document(each.name) if ":" in each.name else words.capitalised(each.name.replace("_", " "))
        titled = style.titled(each.name, name)
        rows.append([side, titled, style.keep(each.day.isoformat()) if each.day else "", each.currency, *figures])
    st.html(style.table(["", "What", "Day", "", "Was", "Is"], rows, frozenset((4, 5))))
    st.caption("Put right in QuickBooks what should not have changed; or open the period again and close it anew.")


def _step(context: Context, chosen: Close) -> None:
    allowed = commands.may(context.user, "sign_off")
    if chosen.state == "prepared":
        opening.button(
            context,
            "Sign off",
            lambda: closing.sign_off(context.environment, context.user, chosen.id),
            key="sign-off",
            done="Signed off. Later changes to this period are shown here.",
            type="primary",
            disabled=not allowed,
            help=None if allowed else "This takes the role manager.",
        )
    elif chosen.state == "signed":
        with st.popover("Open again", disabled=not allowed, key="reopen"), st.form("reopen-form", border=False):
            st.text_input("Why", key="reopen-why", max_chars=200)
            opening.submit(context, "Open the period again", lambda: _reopen(context, chosen), done="It is open again.")


def _reopen(context: Context, chosen: Close) -> bool:
    return closing.reopen(context.environment, context.user, chosen.id, str(st.session_state["reopen-why"]))


# ---- the next period


def _next(context: Context, link: LinkView, known: list[Head]) -> None:
    first = closing.next_first(context.environment, link.id)
    st.html(f'<p class="t-head">Next: from {first}</p>')
    yesterday = link.today(context.now) - timedelta(days=1)
    if yesterday < first:
        st.html(style.note(f"The next period begins on {first}; there is nothing to close yet.", "good"))
        return
    last = url.day("through") or min(_month_end(first), yesterday)
    left, _ = st.columns([2, 8])
    st.session_state["through"] = max(first, min(last, yesterday))
    with left:
        st.date_input(
            "Through",
            min_value=first,
            max_value=yesterday,
            key="through",
            format="YYYY-MM-DD",
            on_change=url.narrow,
            args=("through", "through"),
        )
    try:
        found, checks = closing.look(context.environment, link.id, st.session_state["through"])
    except RefusedError as error:
        st.html(style.note(str(error), "bad"))
        return
    st.html(f'<div class="t-lines">{"".join(style.line(each.state, each.text) for each in checks)}</div>')
    if not any(each.state == "prepared" and each.last == found.figures.last for each in known):
        _prepare(context, link, found, checks)
    _export(found, None, partial(closing.whole, context.environment, link.id, found.figures.last))
    _pack(found)


def _month_end(day: date) -> date:
    return day.replace(day=monthrange(day.year, day.month)[1])


def _prepare(context: Context, link: LinkView, found: Look, checks: list[closing.Check]) -> None:
    allowed = commands.may(context.user, "prepare_close") and all(each.state != "bad" for each in checks)
    with st.form("prepare-form", border=False):
        st.text_area("Note for whoever signs it off", key="close-note", height=80, max_chars=closing.NOTE_MAX)
        opening.submit(
            context,
            "Prepare",
            lambda: _keep(context, link, found),
            done="Prepared. Somebody else signs it off.",
            type="primary",
            disabled=not allowed,
        )


def _keep(context: Context, link: LinkView, found: Look) -> bool:
    note = str(st.session_state["close-note"])
    closing.prepare(context.environment, context.user, link.id, found.figures, note)
    return True


# ---- the pack


def _export(found: Look, close: Close | None, whole: Callable[[], Pack]) -> None:
    """Each document is read only when somebody takes the list of them along."""
    name = f"close-{found.figures.first}-{found.figures.last}"
    with st.container(horizontal=True, vertical_alignment="center"):
        file = f"{name}.xlsx"
        st.download_button(
            "Excel workbook", lambda: workbook(whole(), close), file, EXCEL, key="excel", on_click="ignore"
        )
        label = "CSV of the clearing account"
        st.download_button(label, lambda: _csv(whole()), f"{name}.csv", "text/csv", key="csv", on_click="ignore")
        st.caption("To print this page or keep it as PDF, use your browser's print.")


def _pack(found: Look) -> None:
    for balance in found.figures.balances:
        _currency(found, balance)
    _payouts(found)
    if found.changes:
        with st.expander("What people did since the last sign-off"):
            rows = [[escape(words.capitalised(action)), f"{number:,}"] for action, number in found.changes]
            st.html(style.table(["What", "Times"], rows, frozenset((1,))))


def _csv(found: Pack) -> str:
    """A row a document, amounts in major units."""
    rows = [
        (each.document_id, each.day, each.currency, str(to_decimal(each.amount_minor, each.currency)))
        for each in found.figures.booked
    ]
    schema = {"Document": pl.String, "Day": pl.Date, "Currency": pl.String, "Amount": pl.String}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return tables.as_csv(frame.with_columns(pl.col("Amount").cast(pl.Decimal(38, 4))))


def _currency(found: Look, balance: Balance) -> None:
    currency = balance.currency
    st.html(f'<p class="t-head">{escape(currency)}</p>')
    left, right = st.columns(2, gap="medium")
    figures = found.figures
    ends = balance.stripe_opening_minor, balance.stripe_closing_minor
    left.html(_roll("Stripe balance", currency, ends, figures.stripe))
    ends = balance.clearing_opening_minor, balance.clearing_closing_minor
    right.html(_roll("Clearing account", currency, ends, figures.clearing))
    mine = [each for each in found.differences if each.currency == currency]
    total = words.money(balance.difference_minor, currency)
    if not mine:
        st.html(style.line("good", f"Both sides are equal on {figures.last}: the difference is {total}."))
    else:
        st.html(f'<p class="t-head">The difference of {total}, to zero</p>')
        st.html(_differences(mine, currency))
    fees = [line for line in found.fees if line.currency == currency]
    ages = [line for line in found.ageing if line.currency == currency]
    left, right = st.columns(2, gap="medium")
    if fees:
        left.html(_lines("Fees and taxes", fees))
    if ages:
        right.html(_lines("Open items by days", ages))


def _roll(title: str, currency: str, ends: tuple[int, int], lines: tuple[Line, ...]) -> str:
    rows = [["Opening", "", words.amount(ends[0], currency)]]
    rows += [_line(line) for line in lines if line.currency == currency]
    rows.append(["<b>Closing</b>", "", f"<b>{words.amount(ends[1], currency)}</b>"])
    return style.table([title, "Number", currency], rows, frozenset((1, 2)))


def _differences(mine: list[Difference], currency: str) -> str:
    rows = []
    for each in mine[:SHOWN_MAX]:
        state = style.mark("good" if each.settled else "wait", words.item_reason(each.reason))
        since, figure = style.keep(each.since.isoformat()), words.amount(each.amount_minor, currency)
        rows.append([state, escape(each.text), since, figure])
    if len(mine) > SHOWN_MAX:
        rest = sum(each.amount_minor for each in mine[SHOWN_MAX:])
        text = f"{len(mine) - SHOWN_MAX:,} more, all in the workbook"
        rows.append(["", text, "", words.amount(rest, currency)])
    total = sum(each.amount_minor for each in mine)
    rows.append(["", "<b>Together</b>", "", f"<b>{words.amount(total, currency)}</b>"])
    return style.table(["Why", "What", "Since", currency], rows, frozenset((3,)))


def _lines(title: str, lines: list[Line]) -> str:
    return style.table([title, "Number", lines[0].currency], [_line(line) for line in lines], frozenset((1, 2)))


def _line(line: Line) -> list[str]:
    name = words.capitalised(line.name.replace("_", " "))
    return [escape(name), f"{line.count:,}", words.amount(line.amount_minor, line.currency)]


def _payouts(found: Look) -> None:
    if not found.payouts:
        return
    st.html('<p class="t-head">Payouts</p>')
    rows = []
    for each in found.payouts[:SHOWN_MAX]:
        if each.rest_minor is None:
            ties = style.mark("wait", "not itemised by Stripe")
        elif each.rest_minor:
            ties = style.mark("bad", f"{words.money(each.rest_minor, each.currency)} apart")
        else:
            ties = style.mark("good", "ties to the cent")
        documents = "<br>".join(style.titled(item, words.document(item)) for item in each.document_ids)
        rows.append(
            [
                style.keep(each.arrives_on.isoformat()),
                style.identifier(each.id, each.id),
                words.money(each.amount_minor, each.currency),
                escape(each.status.replace("_", " ")),
                ties,
                documents or "none",
            ]
        )
    st.html(style.table(["Arrives", "Payout", "Amount", "Bank", "Ties", "QuickBooks"], rows, frozenset((2,))))
    if len(found.payouts) > SHOWN_MAX:
        st.caption(f"{len(found.payouts) - SHOWN_MAX:,} more are in the workbook.")
