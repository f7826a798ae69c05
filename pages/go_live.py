"""Go-live: the first day of Tieout's, what was found on both sides then, and the entry that brings them together."""

from html import escape

import streamlit as st

from pages import chrome, dry_run, mapping, opening, style, words
from pages.context import Context
from storage import chart, go_live
from storage.go_live import GoLive, HeldView, MixedPayout, PayoutView, Start

STATES = {
    "planned": "is planned; it is written with the first posting",
    "sending": "is on its way into QuickBooks",
    "doubtful": "is looked for in QuickBooks",
    "waiting": "was refused by QuickBooks: see Syncs",
    "posted": "is in QuickBooks",
    "verified": "is in QuickBooks",
}
DONE = ("posted", "verified")


def render(context: Context) -> None:
    chrome.top(context, "Go-live")
    if chrome.connect_first(context) or chrome.from_files(context):
        return
    assert context.link is not None
    opening.last_problem()
    view = go_live.view(context.database, context.link.id)
    _step(1, "The cut-over")
    st.html(
        f"Tieout is responsible from <b>{words.day(view.cutover)}</b> on, days in {escape(view.time_zone)}. What "
        "Stripe moved before that day is in one opening entry, and is never posted again."
    )
    if view.starts is None:
        st.html(style.note("What Stripe held then is not known yet: the next sync finds it."))
        return
    _step(2, "What was found on both sides that morning")
    st.html(_found(view.starts))
    for start in view.starts:
        _behind(start)
    _step(3, "The opening entry")
    _entry(context, view.starts)
    number = 4
    if any(start.disputes or start.reserved_minor for start in view.starts):
        _step(number, "Disputes that were open and reserves that were held that morning")
        _disputes(context, view.starts)
        number += 1
    _step(number, "The first payouts")
    _payouts(view)
    _step(number + 1, "Look at everything that would be posted, then switch posting on")
    chrome.go(context, "dry-run", "Open the dry run")


def _step(number: int, text: str) -> None:
    st.html(f'<p class="t-head">{number}. {escape(text)}</p>')


# ---- the figures


def _found(starts: tuple[Start, ...]) -> str:
    head = ["", "Stripe balance", "Payouts on their way", "Clearing must hold", "Holds already", "Opening entry"]
    rows = []
    for start in starts:
        figures = (
            start.stripe_minor,
            start.in_transit_minor,
            start.needed_minor,
            start.existing_minor,
            start.needed_minor - start.existing_minor,
        )
        rows.append([f"<b>{escape(start.currency)}</b>", *(words.amount(each, start.currency) for each in figures)])
    return style.table(head, rows, frozenset(range(1, len(head))))


def _behind(start: Start) -> None:
    """The records behind two of the figures."""
    if start.payouts:
        label = f"Payouts on their way, {start.currency} · {len(start.payouts):,}"
        with st.expander(label, key=f"way-{start.currency}"):
            rows = [_on_its_way(each, start) for each in start.payouts]
            st.html(style.table(["Payout", "", "Amount"], rows, frozenset((2,))))
    if start.held:
        label = f"In the clearing account before, {start.currency} · {start.held_count:,}"
        with st.expander(label, key=f"held-{start.currency}"):
            rows = [_held(each, start) for each in start.held]
            st.html(style.table(["Date", "Document", "Left there"], rows, frozenset((2,))))
            if start.held_count > len(start.held):
                st.caption(f"The newest {len(start.held):,} of {start.held_count:,}.")


def _on_its_way(payout: PayoutView, start: Start) -> list[str]:
    arrives = f"arrives {words.day(payout.arrives_on)}"
    return [style.identifier(payout.id, words.short(payout.id)), arrives, _money(payout.amount_minor, start)]


def _held(held: HeldView, start: Start) -> list[str]:
    name = escape(words.document(held.document_id, held.number))
    return [words.day(held.dated), name, _money(held.amount_minor, start)]


def _money(minor: int, start: Start) -> str:
    return words.money(minor, start.currency)


# ---- the entry


def _entry(context: Context, starts: tuple[Start, ...]) -> None:
    assert context.link is not None
    is_done = any(start.state in DONE for start in starts)
    if not is_done:
        view = chart.view(context.database, context.link.id)
        for role in view.roles:
            if role.field in ("clearing", "opening_account") and (role.key is None or role.key in _currencies(starts)):
                mapping.role_row(context, view, role)
    for start in starts:
        st.html(style.line(*_standing(start)))


def _currencies(starts: tuple[Start, ...]) -> set[str]:
    return {start.currency for start in starts}


def _standing(start: Start) -> tuple[str, str]:
    amount = start.needed_minor - start.existing_minor
    if start.entry is not None:
        state = "good" if start.state in DONE else "info" if start.state == "planned" else "wait"
        dated = words.day(start.entry.dated)
        stands = STATES.get(str(start.state), "")
        return state, f"{start.currency}, {dated}: {dry_run.effect(start.entry)}. It {stands}."
    if not amount:
        return "good", f"{start.currency}: both sides agree already; no entry is needed."
    return "wait", (
        f"{start.currency}: {words.money(abs(amount), start.currency)} is not planned yet. Choose both accounts above; "
        "the next sync plans it, unless the books are closed for that day."
    )


# ---- disputes


def _disputes(context: Context, starts: tuple[Start, ...]) -> None:
    assert context.link is not None
    st.caption(
        "Stripe had taken this money already, so it is not in the balance above. If it stands on an account of yours, "
        "say so; otherwise each gets an entry of its own, Disputes receivable (or Stripe reserve) against the other "
        "side of the opening balance, and is closed when the dispute ends or Stripe lets the money go."
    )
    rows = [
        [style.identifier(each.id, words.short(each.id)), _money(each.taken_minor, start)]
        for start in starts
        for each in start.disputes
    ]
    rows += [["Held in reserve", _money(start.reserved_minor, start)] for start in starts if start.reserved_minor]
    st.html(style.table(["", "Taken by then"], rows, frozenset((1,))))
    mapping.policy_row(context, chart.view(context.database, context.link.id), "open_items")


# ---- the first payouts


def _payouts(view: GoLive) -> None:
    if not view.mixed:
        st.caption("No payout since then holds anything older.")
        return
    st.caption(
        "These payouts also hold what Stripe moved before the cut-over. They are posted as a whole; their older part "
        "is in the opening entry."
    )
    rows = [_payout(each) for each in view.mixed]
    st.html(style.table(["Payout", "Arrives", "Older", "Newer", "Payout's total"], rows, frozenset((2, 3, 4))))


def _payout(mixed: MixedPayout) -> list[str]:
    count = words.count(mixed.older_count, "movement")
    return [
        style.identifier(mixed.id, words.short(mixed.id)),
        words.day(mixed.arrives_on),
        f'{words.money(mixed.older_minor, mixed.currency)} <span class="s">({count})</span>',
        words.money(mixed.newer_minor, mixed.currency),
        words.money(mixed.older_minor + mixed.newer_minor, mixed.currency),
    ]
