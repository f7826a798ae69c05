"""To Stripe: which invoices of the books would go there, the switch that lets them, what waits, and who is who."""

from functools import partial
from html import escape
from typing import get_args

import polars as pl
import streamlit as st

from pages import chrome, style, words
from pages.context import Context
from reconcile.postings import Sending
from reconcile.records import Customer
from storage import sending_view
from storage.queries import LinkView
from storage.sending_view import Doubt, InvoiceView, Total, View
from sync import commands, dispatch

AT_MOST = 50
MODES = {
    "off": "off",
    "draft": "drafts only",
    "finalize": "finalized, not mailed",
    "send": "finalized and sent by e-mail",
}
WARNINGS = {
    "pay_link": "with QuickBooks' own pay link: a customer could pay twice. Switch online payments off in QuickBooks.",
    "new_customer": "for customers that Stripe does not know yet; they are made there.",
    "no_email": "for customers without an e-mail address, so Stripe cannot mail them.",
}
RETRIED = ("refused", "gone_at_stripe")
UNDECIDED = "payment_under_way"  # a payment that may be for it waits in Review
NEEDS = "This takes the role accountant."


def render(context: Context) -> None:
    chrome.top(context, "To Stripe")
    if chrome.connect_first(context) or chrome.from_files(context):
        return
    assert context.link is not None
    link, shown = context.link, sending_view.view(context.database, context.link.id, AT_MOST)
    st.html(style.note(headline(shown, has_synced=_has_synced(context)), "good" if shown.mode != "off" else "wait"))
    _switch(context, link, shown)
    for warning, number in sorted(shown.warnings.items()):
        st.html(style.line("wait", f"{words.count(number, 'invoice')} {WARNINGS[warning]}"))
    if shown.totals:
        st.html(
            style.table(
                ["", "", "Invoices", "Open", ""], [_total(each, shown.mode) for each in shown.totals], frozenset((2, 3))
            )
        )
    _waiting(context, link, shown)
    _doubts(context, link, shown)
    _invoices(context, link, shown)
    _differing(context, link, shown)
    _refused(context, link, shown)
    _second(context, link, shown)
    _lone(context, link, shown)


def _has_synced(context: Context) -> bool:
    return context.pulse is not None and not context.pulse.is_first


def headline(shown: View, *, has_synced: bool) -> str:
    """The page's answer in a sentence."""
    if not has_synced:
        return "Nothing was synced yet. After the first sync this page shows what would go to Stripe."
    number, waiting = shown.count("do"), shown.count("wait")
    waits = f" {words.count(waiting, 'invoice')} {'waits' if waiting == 1 else 'wait'}." if waiting else ""
    if shown.mode == "off":
        if not number:
            return f"Nothing would go to Stripe: no invoice since the cut-over is open.{waits}"
        sums = words.listed(_sums(shown.totals))
        return f"{words.count(number, 'invoice')} would go to Stripe: {sums}.{waits} Nothing is sent until you say so."
    return f"Invoices go to Stripe by themselves: {MODES[shown.mode]}.{waits}"


def _sums(totals: tuple[Total, ...]) -> list[str]:
    """What would be collected, by currency."""
    sums: dict[str, int] = {}
    for total in totals:
        if total.kind == "do":
            sums[total.currency] = sums.get(total.currency, 0) + total.open_minor
    return [words.money(minor, currency) for currency, minor in sorted(sums.items())]


def _total(total: Total, mode: str) -> list[str]:
    state = {"do": "info", "wait": "wait", "rest": "good"}[total.kind]
    reason = words.sending(total.reason, would=mode == "off")
    amount = words.amount(total.open_minor, total.currency)
    group = {"do": "would be sent" if mode == "off" else "being sent", "wait": "waiting", "rest": "done"}[total.kind]
    return [style.mark(state, group), escape(reason), f"{total.count:,}", amount, escape(total.currency)]


# ---- the switch


def _switch(context: Context, link: LinkView, shown: View) -> None:
    allowed = commands.may(context.user, "switch_sending")
    label = f"Sending: {MODES[shown.mode]}"
    with (
        st.container(horizontal=True, vertical_alignment="center"),
        st.popover(label, disabled=not allowed, help=None if allowed else NEEDS, key="sending"),
    ):
        modes = [mode for mode in get_args(Sending) if mode != "off"]
        current = modes.index(shown.mode) if shown.mode in modes else 1
        mode = st.radio("How far invoices go at Stripe", modes, current, format_func=MODES.__getitem__, key="mode")
        if shown.mode == "off":
            st.markdown(
                "What this page shows is sent with the next sync, and every new invoice after it by itself. "
                "Finalized invoices cannot be taken back, only voided."
            )
        _button(context, link, mode, shown.seen, "Confirm and switch on" if shown.mode == "off" else "Change")
        if shown.mode != "off":
            _button(context, link, "off", shown.seen, "Switch sending off")


def _button(context: Context, link: LinkView, mode: Sending, seen: str, label: str) -> None:
    command = partial(dispatch.switch_sending, context.database, context.clock, context.user, link.id, mode, seen)
    st.button(
        label,
        key=f"switch-sending-{mode == 'off'}",
        type="secondary" if mode == "off" else "primary",
        on_click=chrome.act,
        args=(command,),
        kwargs={"done": f"Sending is {MODES[mode]} now.", "idle": "It is that way already."},
    )


# ---- what waits


def _waiting(context: Context, link: LinkView, shown: View) -> None:
    """Each with its reason, and what to do about it."""
    number = shown.count("wait")
    if not number:
        return
    st.html(f'<p class="t-head">Waiting: {number:,}</p>')
    found = sending_view.invoices(context.database, link.id, "wait", size=AT_MOST)
    for each in (each for each in found if each.reason in RETRIED):
        left, right = st.columns([9, 1], vertical_alignment="center")
        left.html(f"<div>{' · '.join(_row(each)[:3])}<br>{_row(each)[3]}</div>")
        _retry(context, link, each, right)
    rows = [_row(each) for each in found if each.reason not in RETRIED]
    if rows:
        st.html(style.table(["Invoice", "Customer", "Open", "Why"], rows, frozenset((2,))))
    if any(each.reason == UNDECIDED for each in found):
        chrome.go(context, "review", "Decide in Review")
    if number > AT_MOST:
        st.caption(f"and {number - AT_MOST:,} more")


def _row(each: InvoiceView) -> list[str]:
    return [
        style.titled(each.invoice_id, _name(each)),
        escape(each.customer),
        style.keep(words.money(each.open_minor, each.currency)),
        f'{style.mark("wait", words.sending(each.reason))}<br><span class="s">{escape(each.detail)}</span>',
    ]


def _retry(context: Context, link: LinkView, each: InvoiceView, where: st.delta_generator.DeltaGenerator) -> None:
    where.button(
        "Try again" if each.reason == "refused" else "Send again",
        key=f"retry-{each.invoice_id}",
        disabled=not commands.may(context.user, "retry_invoice"),
        on_click=chrome.act,
        args=(
            partial(dispatch.retry_invoice, context.database, context.clock, context.user, link.id, each.invoice_id),
        ),
        kwargs={"done": "It is tried again with the next sync.", "idle": "It does not wait any more."},
    )


# ---- customers


def _doubts(context: Context, link: LinkView, shown: View) -> None:
    """Customers of the books that may be at Stripe already."""
    if not shown.doubts:
        return
    st.html('<p class="t-head">Customers: the same, or not?</p>')
    for doubt in shown.doubts:
        st.html(f"<div><b>{_person(doubt.customer)}</b> in QuickBooks may be, at Stripe:</div>")
        for candidate in doubt.candidates:
            _candidate(context, link, doubt, candidate)
        ids = [candidate.id for candidate in doubt.candidates]
        _decision(
            context,
            "Make a new one",
            f"new-{doubt.customer.id}",
            "It is made at Stripe when an invoice of it is sent.",
            partial(
                dispatch.reject_counterparts,
                context.database,
                context.clock,
                context.user,
                link.id,
                doubt.customer.id,
                ids,
            ),
            "decide_customer",
        )


def _candidate(context: Context, link: LinkView, doubt: Doubt, candidate: Customer) -> None:
    head = (context.database, context.clock, context.user, link.id, doubt.customer.id)
    name = f"{doubt.customer.id}-{candidate.id}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.html(f"<div>{_person(candidate)} {style.identifier(candidate.id, words.short(candidate.id))}</div>")
        same = partial(dispatch.accept_counterpart, *head, candidate.id)
        _decision(context, "Accept", f"same-{name}", f"{doubt.customer.name} is linked.", same, "decide_customer")
        other = partial(dispatch.reject_counterparts, *head, [candidate.id])
        _decision(context, "Not this one", f"apart-{name}", "They are kept apart.", other, "decide_customer")


def _differing(context: Context, link: LinkView, shown: View) -> None:
    """Customers whose name or address was changed on both sides: nothing of Stripe's is overwritten."""
    for each in shown.differing:
        told = ", ".join(f"{name}: {here} in QuickBooks, {there} in Stripe" for name, here, there in each.differing)
        text = f"{each.books.name}: {each.problem} {told}. Change it in one of the two so that they agree, or leave it."
        with st.container(horizontal=True, vertical_alignment="center"):
            st.html(style.line("wait", text))
            args = (context.database, context.clock, context.user, link.id, each.books.id)
            leave = partial(dispatch.leave_contact, *args)
            _decision(context, "Leave", f"differ-{each.books.id}", "They may differ.", leave, "decide_customer")


def _second(context: Context, link: LinkView, shown: View) -> None:
    """QuickBooks gives a customer one currency: who pays in another one needs a second customer there."""
    for customer in shown.second:
        text = f"{_person(customer)} paid in {customer.currency}, and is in QuickBooks in another currency only."
        with st.container(horizontal=True, vertical_alignment="center"):
            st.html(f"<div>{text} {style.identifier(customer.id, words.short(customer.id))}</div>")
            _set_aside(context, link, customer, f"Make in QuickBooks, in {customer.currency}", customer.currency or "")


def _refused(context: Context, link: LinkView, shown: View) -> None:
    """Stripe's customers that QuickBooks did not take."""
    for customer, problem in shown.refused:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.html(style.line("bad", f"{customer.name or customer.id} could not be made in QuickBooks: {problem}"))
            _set_aside(context, link, customer, "Try again", customer.currency or "")


def _lone(context: Context, link: LinkView, shown: View) -> None:
    """Stripe's customers without a counterpart."""
    if not shown.lone:
        return
    number = f"{len(shown.lone)}{' or more' if len(shown.lone) == AT_MOST else ''}"
    with st.expander(f"Customers only at Stripe: {number}"):
        on = not shown.makes_customers
        _decision(
            context,
            "Make all of them in QuickBooks, and new ones too" if on else "Stop making them in QuickBooks",
            "all-customers",
            "It is so from the next sync on, while sending is on." if on else "They are left alone.",
            partial(dispatch.switch_customers, context.database, context.clock, context.user, link.id, on),
            "switch_sending",
        )
        for customer in shown.lone:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.html(f"<div>{_person(customer)} {style.identifier(customer.id, words.short(customer.id))}</div>")
                _set_aside(context, link, customer, "Make in QuickBooks")


def _set_aside(context: Context, link: LinkView, customer: Customer, label: str, currency: str = "") -> None:
    head = (context.database, context.clock, context.user, link.id, customer.id, currency)
    make, leave = partial(dispatch.make_customer, *head), partial(dispatch.leave_customer, *head)
    key = f"{customer.id}{currency}"
    _decision(context, label, f"make-{key}", "It is made with the next sync.", make, "make_customer")
    _decision(context, "Leave", f"leave-{key}", "It is left alone.", leave, "make_customer")


def _decision(context: Context, label: str, key: str, done: str, command: partial[bool], action: str) -> None:
    st.button(
        label,
        key=key,
        disabled=not commands.may(context.user, action),
        on_click=chrome.act,
        args=(command,),
        kwargs={"done": done, "idle": "That was decided already."},
    )


def _person(customer: Customer) -> str:
    return escape(" · ".join(filter(None, (customer.name, customer.email))) or customer.id)


# ---- all invoices


def _invoices(context: Context, link: LinkView, shown: View) -> None:
    for kind, title in (("do", "Would be sent" if shown.mode == "off" else "Being sent"), ("rest", "At Stripe")):
        if not shown.count(kind):
            continue
        st.html(f'<p class="t-head">{title}: {shown.count(kind):,}</p>')
        rows = sending_view.invoices(context.database, link.id, kind, size=AT_MOST * 4)
        config = {name: st.column_config.TextColumn(alignment="right") for name in ("Amount", "Open")}
        st.dataframe(
            frame(rows, shown.mode), hide_index=True, column_config=config, row_height=30, height="content", alt=title
        )


def frame(rows: list[InvoiceView], mode: str) -> pl.DataFrame:
    """A row an invoice."""
    return pl.DataFrame(
        {
            "Date": [f"{row.dated:%Y-%m-%d}" for row in rows],
            "Invoice": [_name(row) for row in rows],
            "Customer": [row.customer for row in rows],
            "Amount": [words.amount(row.amount_minor, row.currency) for row in rows],
            "Open": [words.amount(row.open_minor, row.currency) for row in rows],
            "Currency": [row.currency for row in rows],
            "State": [words.sending(row.reason, would=mode == "off") for row in rows],
            "Note": [", ".join(words.WARNED[each] for each in row.warnings) for row in rows],
            "Stripe": [row.processor_invoice_id or "" for row in rows],
        }
    )


def _name(each: InvoiceView) -> str:
    return words.document(each.invoice_id, each.number)
