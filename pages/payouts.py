"""Payouts: each as a small statement of what Stripe paid out, whether it ties, the bank's side, and its documents."""

import hashlib
from functools import partial
from html import escape

import polars as pl
import streamlit as st

from pages import chrome, style, words
from pages.context import Context
from reconcile.records import Payout
from storage import payouts
from storage.payouts import Entry, PayoutPage, PayoutView, Statement, Tie
from storage.queries import LinkView

PAGE_SIZE, ENTRIES_SIZE = 25, 50
ALL = "all"
BANK = {
    "pending": ("info", "on its way"),
    "in_transit": ("info", "on its way"),
    "paid": ("good", "arrived"),
    "failed": ("bad", "failed"),
    "canceled": ("bad", "cancelled"),
}
FILTERS = {"in_transit": "On the way to the bank", "arrived": "Arrived", "failed": "Failed or cancelled"}


def render(context: Context) -> None:
    chrome.top(context, "Payouts")
    if chrome.connect_first(context):
        return
    assert context.link is not None
    if wanted := st.query_params.get("payout"):
        _one(context, context.link, wanted)
        return
    shown, number = _filtered(context, context.link)
    if not shown.total:
        filtered = any(st.query_params.get(name) for name in ("bank", "currency", "q"))
        nothing = "No payout was read yet. Stripe's payouts appear here with the next sync."
        st.html(style.note("No payout fits these filters." if filtered else nothing))
        return
    _list(shown)
    _pages("page", shown.total, PAGE_SIZE, number, len(shown.rows))


# ---- the list


def _filtered(context: Context, link: LinkView) -> tuple[PayoutPage, int]:
    """The page of payouts that the filters in the URL ask for, and its number."""
    currencies = payouts.currencies(context.database, link.id)
    bank, currency = _of("bank", list(FILTERS)), _of("currency", currencies)
    st.session_state["bank"], st.session_state["payout-currency"] = bank, currency
    st.session_state["payout-q"] = text = st.query_params.get("q", "")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        _select("Bank", "bank", "bank", [ALL, *FILTERS], {ALL: "Arrived or not", **FILTERS})
        if len(currencies) > 1:
            _select("Currency", "currency", "payout-currency", [ALL, *currencies], {ALL: "All currencies"})
        st.text_input(
            "Search",
            key="payout-q",
            on_change=_narrow,
            args=("q", "payout-q"),
            placeholder="Payout or trace id",
            label_visibility="collapsed",
            width=320,
        )
    number = _number("page")
    shown = payouts.page(
        context.database,
        link.id,
        bank=None if bank == ALL else bank,
        currency=None if currency == ALL else currency,
        text=text,
        number=number,
        size=PAGE_SIZE,
    )
    return shown, number


def _of(name: str, known: list[str]) -> str:
    wanted = st.query_params.get(name)
    return wanted if wanted in known else ALL


def _select(label: str, name: str, key: str, options: list[str], titles: dict[str, str]) -> None:
    st.selectbox(
        label,
        options,
        format_func=lambda option: titles.get(option, option),
        key=key,
        on_change=_narrow,
        args=(name, key),
        label_visibility="collapsed",
        width=220,
    )


def _narrow(name: str, key: str) -> None:
    """A filter was changed: the URL says so, and the list begins at its start."""
    value = st.session_state[key]
    for stale in ("page", name):
        st.query_params.pop(stale, None)
    if value and value != ALL:
        st.query_params[name] = value


def _number(name: str) -> int:
    value = st.query_params.get(name, "1")
    return max(1, int(value)) if value.isdecimal() else 1


def _list(shown: PayoutPage) -> None:
    ids = [row.payout.id for row in shown.rows]
    # A grid's selection is a row number, so its key changes with its rows.
    key = f"payouts-{hashlib.sha256(' '.join(ids).encode()).hexdigest()[:12]}"
    st.dataframe(
        frame(shown.rows),
        key=key,
        hide_index=True,
        height=36 + 30 * max(1, len(ids)),
        row_height=30,
        on_select=partial(_open, key, ids),
        selection_mode="single-row",
        column_config={
            "Arrives": st.column_config.DateColumn(format="YYYY-MM-DD", width=90),
            "Amount": st.column_config.TextColumn(alignment="right", width=105),
            "Bank": st.column_config.TextColumn(width=105),
            "Ties": st.column_config.TextColumn(width=155),
            "QuickBooks": st.column_config.TextColumn(width=100),
            "Stripe": st.column_config.TextColumn(width=208),
        },
        alt="Payouts; select one to open it",
    )


def frame(rows: tuple[PayoutView, ...]) -> pl.DataFrame:
    """A row a payout."""
    return pl.DataFrame(
        {
            "Arrives": [row.payout.arrives_on for row in rows],
            "Amount": [words.money(row.payout.amount_minor, row.payout.currency) for row in rows],
            "Bank": [_mark(*_bank(row.payout)) for row in rows],
            "Ties": [_mark(*tie(row.tie, row.payout.currency)) for row in rows],
            "QuickBooks": [words.listed([words.document(each) for each in row.document_ids]) for row in rows],
            "Stripe": [row.payout.id for row in rows],
        },
        schema_overrides={"Arrives": pl.Date},
    )


def _mark(state: str, word: str) -> str:
    return f"{style.ICONS[state]} {word}"


def _bank(payout: Payout) -> tuple[str, str]:
    return BANK.get(payout.status, ("wait", payout.status))


def tie(found: Tie, currency: str) -> tuple[str, str]:
    """Whether a payout ties to what is in it, as a state and a few words."""
    match found.standing:
        case "ties":
            return "good", "ties to the cent"
        case "apart":
            return "bad", f"{words.money(found.rest_minor, currency)} apart"
        case "unread":
            return "wait", "not all read yet"
        case _:
            return "wait", "not itemised by Stripe"


def _open(key: str, ids: list[str]) -> None:
    rows = st.session_state[key]["selection"]["rows"]
    if rows:
        st.query_params["payout"] = ids[rows[0]]


def _close() -> None:
    for name in ("payout", "category", "entries"):
        st.query_params.pop(name, None)


def _pages(name: str, total: int, size: int, number: int, shown: int) -> None:
    first, pages = (number - 1) * size + 1, -(-total // size)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.caption(f"{first:,} to {first + shown - 1:,} of {total:,}" if shown else "No such page.")
        if pages > 1:
            key = f"{name}-{number}"  # a new one for each page, because the URL says which it is
            st.pagination(pages, default=min(number, pages), key=key, width=180, on_change=_turn, args=(name, key))


def _turn(name: str, key: str) -> None:
    st.query_params[name] = str(st.session_state[key])


# ---- one payout


def _one(context: Context, link: LinkView, payout_id: str) -> None:
    st.button("← All payouts", key="all-payouts", on_click=_close)
    found = payouts.statement(context.database, link.id, payout_id)
    if found is None:
        st.html(style.note(f"{payout_id} is not known. Is it of another account, or not read yet?"))
        return
    payout = found.view.payout
    st.html(
        f'<div class="t-bar"><span class="t-amount">{words.money(payout.amount_minor, payout.currency)}</span>'
        f'<span class="t-quiet">payout {style.identifier(payout.id, payout.id)}</span></div>'
    )
    st.html(style.line(*_verdict(found)))
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.html('<p class="t-head">What is in it</p>')
        st.html(contents(found))
    with right:
        st.html('<p class="t-head">Bank and QuickBooks</p>')
        st.html(_sides(found.view))
        if found.fees:
            st.html('<p class="t-head">Fees by kind</p>')
            st.html(fees_by_kind(found))
    if found.lines:
        _entries(context, link, found)


def _verdict(found: Statement) -> tuple[str, str]:
    payout, seen = found.view.payout, found.view.tie
    number = words.count(seen.movements, "entry", "entries")
    match seen.standing:
        case "ties":
            return "good", f"It ties to the cent: the {number} that Stripe lists for it, its own included, make zero."
        case "apart":
            rest = words.money(seen.rest_minor, payout.currency)
            return "bad", f"It does not tie: the {number} that Stripe lists for it leave {rest} over. Ask Stripe why."
        case "unread":
            return "wait", f"Not all of the {number} that Stripe lists for it were read yet. The next sync reads them."
    if not payout.automatic:
        return "wait", "Somebody started this payout by hand, so Stripe does not say which payments are in it."
    return "wait", "Stripe has not said yet what is in it. It does so once the payout is put together."


def contents(found: Statement) -> str:
    """The statement: a line a category, the payout's own fee, and the amount paid out."""
    payout = found.view.payout
    rows = []
    for line in found.lines:
        figures = (line.gross_minor, -line.fee_minor, line.net_minor)
        rows.append([escape(_plain(line.category)), f"{line.count:,}"])
        rows[-1] += [words.amount(figure, payout.currency) for figure in figures]
    if not rows:
        return '<p class="t-quiet">Not known.</p>'
    total = sum(line.net_minor for line in found.lines)
    sums = [
        sum(line.gross_minor for line in found.lines),
        -sum(line.fee_minor for line in found.lines),
        total,
    ]
    count = sum(line.count for line in found.lines)
    rows.append(["<b>Together</b>", f"{count:,}", *(f"<b>{words.amount(each, payout.currency)}</b>" for each in sums)])
    own = total - payout.amount_minor
    if own:
        rest = "Fee of the payout itself" if found.view.tie.standing == "ties" else "Not explained"
        rows.append([rest, "", "", "", words.amount(-own, payout.currency)])
    rows.append(["<b>Paid out</b>", "", "", "", f"<b>{words.amount(payout.amount_minor, payout.currency)}</b>"])
    return style.table(["", "Entries", "Gross", "Fees", f"Net, {payout.currency}"], rows, frozenset(range(1, 5)))


def fees_by_kind(found: Statement) -> str:
    """What Stripe took, the payout's own fee among it; if it ties, also what is not told apart by kind yet."""
    payout = found.view.payout
    kinds = [(_plain(kind), taken) for kind, taken in found.fees]
    total = sum(taken for _, taken in kinds)
    if found.view.tie.standing == "ties":
        own = payout.amount_minor - sum(line.net_minor for line in found.lines)
        every = own - sum(line.fee_minor for line in found.lines)
        kinds += [("Not decided yet", every - total)] if every != total else []
        total = every
    rows = [[escape(kind), words.amount(taken, payout.currency)] for kind, taken in kinds]
    rows.append(["<b>Together</b>", f"<b>{words.amount(total, payout.currency)}</b>"])
    return style.table(["Kind", payout.currency], rows, frozenset((1,)))


def _sides(view: PayoutView) -> str:
    payout = view.payout
    state, word = _bank(payout)
    day = "arrived on" if payout.status == "paid" else "expected on"
    documents = "<br>".join(style.titled(each, words.document(each)) for each in view.document_ids)
    rows = [
        ["Bank", style.mark(state, word)],
        [words.capitalised(day), escape(payout.arrives_on.isoformat())],
        ["Bank's trace id", style.identifier(payout.trace_id, payout.trace_id) if payout.trace_id else "not known yet"],
        ["How", f"{'automatic' if payout.automatic else 'by hand'}, {escape(payout.method)}"],
        ["In QuickBooks", documents or escape(view.waits or "nothing")],
    ]
    return style.table(["", ""], rows)


def _plain(code: str) -> str:
    return words.capitalised(code.replace("_", " "))


def _entries(context: Context, link: LinkView, found: Statement) -> None:
    st.html('<p class="t-head">Entry by entry</p>')
    categories = {line.category: line.count for line in found.lines}
    st.session_state["payout-category"] = category = _of("category", list(categories))
    if len(categories) > 1:
        titles = {ALL: "All kinds", **{each: f"{_plain(each)} ({count:,})" for each, count in categories.items()}}
        st.selectbox(
            "Kind",
            [ALL, *categories],
            format_func=lambda option: titles[option],
            key="payout-category",
            on_change=_choose_kind,
            label_visibility="collapsed",
            width=240,
        )
    number = _number("entries")
    rows = payouts.entries(
        context.database,
        link.id,
        found.view.payout.id,
        category=None if category == ALL else category,
        number=number,
        size=ENTRIES_SIZE,
    )
    config = {
        "Made": st.column_config.DateColumn(format="YYYY-MM-DD", width=90),
        **{name: st.column_config.TextColumn(alignment="right", width=95) for name in ("Gross", "Fees", "Net")},
    }
    st.dataframe(entry_frame(rows), hide_index=True, column_config=config, row_height=28, alt="Entries of the payout")
    total = categories[category] if category != ALL else found.view.tie.movements
    _pages("entries", total, ENTRIES_SIZE, number, len(rows))


def _choose_kind() -> None:
    st.query_params.pop("entries", None)
    _narrow("category", "payout-category")


def entry_frame(rows: list[Entry]) -> pl.DataFrame:
    """A row a movement, with the ids of both sides."""
    moved = [row.movement for row in rows]
    return pl.DataFrame(
        {
            "Made": [each.created_at.date() for each in moved],
            "Kind": [_plain(each.category) for each in moved],
            "Gross": [words.amount(each.gross_minor, each.currency) for each in moved],
            "Fees": [words.amount(-each.fee_minor, each.currency) for each in moved],
            "Net": [words.amount(each.net_minor, each.currency) for each in moved],
            "State": [" and ".join(row.states) or "not decided yet" for row in rows],
            "QuickBooks": [words.listed([words.document(each) for each in row.document_ids]) for row in rows],
            "Stripe": [each.source_id or "" for each in moved],
            "Movement": [each.id for each in moved],
        },
        schema_overrides={"Made": pl.Date},
    )
