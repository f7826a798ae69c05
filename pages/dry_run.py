"""Dry run: what would be posted, document by document, and what waits. Nothing is written by looking."""

from html import escape

import streamlit as st

from pages import chrome, opening, style, switch, words
from pages.context import Context
from storage import chart, dry_run
from storage.dry_run import DocumentView, Sum
from storage.queries import LinkView
from sync import commands

PAGE_SIZE = 25
KINDS = {
    "payment": ("Payment", "Payments"),
    "sales_receipt": ("Sales receipt", "Sales receipts"),
    "refund_receipt": ("Refund receipt", "Refund receipts"),
    "purchase": ("Expense", "Expenses"),
    "deposit": ("Deposit", "Deposits"),
    "transfer": ("Transfer", "Transfers"),
    "journal_entry": ("Journal entry", "Journal entries"),
    "credit_memo": ("Credit memo", "Credit memos"),
    "ar_refund": ("Refund of a credit", "Refunds of credits"),
    "invoice": ("Invoice", "Invoices"),
}
CHANGES = {
    "link": "changes a payment of ours",
    "move": "takes a payment of ours off its invoice",
    "restore": "gives a document of ours what it said when it was posted",
}
ALL = "all"


def render(context: Context) -> None:
    chrome.top(context, "Dry run")
    if chrome.connect_first(context) or chrome.from_files(context):
        return
    assert context.link is not None
    assert context.pulse is not None
    opening.last_problem()
    if context.pulse.is_first:
        st.html(style.note("Both sides are still being read for the first time. What would be posted is here then."))
        return
    link, sums = context.link, dry_run.planned(context.database, context.link.id)
    _headline(context, link, sums)
    left, right = st.columns(2, gap="medium")
    with left:
        _planned(sums)
    with right:
        _waiting(context, link)
    if sums:
        _documents(context, link, sums)


def _headline(context: Context, link: LinkView, sums: list[Sum]) -> None:
    number = sum(each.count for each in sums)
    if link.posting_on:
        text = f"Posting is on: {words.count(number, 'document')} planned goes into QuickBooks with the next sync."
        text = text if number == 1 else text.replace("planned goes", "planned go")
        done = "Posting is on, and everything that can be posted is in QuickBooks."
        st.html(style.note(text if number else done, "info" if number else "good"))
        switch.posting(context, link)
        return
    missing = chart.count_problems(context.database, link.id)
    if missing:
        st.html(style.note(f"{words.count(missing, 'mapping')} cannot be used yet: what needs them waits below."))
        chrome.go(context, "mapping", "Open Mapping")
    if context.pulse is not None and context.pulse.current is not None:
        st.html(style.note("A sync is planning anew right now; look at the result when it has ended."))
        return
    commands.open_dry_run(context.database, context.clock, context.user, link.id)
    text = (
        f"{words.count(number, 'document')} would be written into {link.books.name}. Nothing is written while posting "
        "is off; what waits goes nowhere either way."
    )
    st.html(style.note(text, "good"))
    switch.posting(context, link)


def _planned(sums: list[Sum]) -> None:
    st.html('<p class="t-head">Would be posted</p>')
    if not sums:
        st.caption("Nothing is planned.")
        return
    rows = [
        [escape(KINDS[each.name][1]), f"{each.count:,}", words.money(each.amount_minor, each.currency)] for each in sums
    ]
    st.html(style.table(["Documents", "Number", "Sum"], rows, frozenset((1, 2))))


def _waiting(context: Context, link: LinkView) -> None:
    st.html('<p class="t-head">Waits, and why</p>')
    found = dry_run.waiting(context.database, link.id)
    if not found:
        st.caption("Nothing waits for anybody.")
        return
    rows = [
        [
            escape(words.capitalised(words.reason(each.name))),
            f"{each.count:,}",
            words.money(each.amount_minor, each.currency),
        ]
        for each in found
    ]
    st.html(style.table(["Reason", "Entries", "Sum"], rows, frozenset((1, 2))))
    chrome.go(context, "review", "Decide in Review")


# ---- the documents


def _documents(context: Context, link: LinkView, sums: list[Sum]) -> None:
    counts: dict[str, int] = {}
    for each in sums:
        counts[each.name] = counts.get(each.name, 0) + each.count
    labels = {ALL: f"All ({sum(counts.values()):,})"} | {
        kind: f"{KINDS[kind][1]} ({number:,})" for kind, number in counts.items()
    }
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        kind = st.selectbox(
            "Documents",
            list(labels),
            format_func=labels.__getitem__,
            key="dry-kind",
            label_visibility="collapsed",
            width=260,
        )
        total = sum(counts.values()) if kind == ALL else counts[kind]
        pages = -(-total // PAGE_SIZE)
        number = st.pagination(pages, key=f"dry-page-{kind}", width=220) if pages > 1 else 1
    found = dry_run.documents(
        context.database, link.id, kind=None if kind == ALL else kind, number=number, size=PAGE_SIZE
    )
    rows = [_row(each) for each in found]
    st.html(style.table(["Date", "Document", "For", "What it does", "Amount"], rows, frozenset((4,))))


def _row(shown: DocumentView) -> list[str]:
    labels = f' <span class="s">{escape(", ".join(shown.labels))}</span>' if shown.labels else ""
    return [
        shown.dated.isoformat(),
        f'<span title="{escape(shown.memo)}">{KINDS[shown.kind][0]}</span>',
        escape(shown.party),
        f"{escape(effect(shown))}{labels}",
        words.money(shown.amount_minor, shown.currency),
    ]


def effect(shown: DocumentView) -> str:
    """What a document does to accounts, in a line: "into Stripe clearing; pays invoice 1042 55.00"."""
    if shown.change is not None:
        return ", ".join(filter(None, [CHANGES[shown.change], _applied(shown)]))
    lines = ", ".join(f"{line.name} {words.amount(line.amount_minor, shown.currency)}" for line in shown.lines)
    if shown.kind == "transfer":
        return f"{shown.account} → {shown.other_account}"
    if shown.kind == "journal_entry":
        sides = (("Dr", 1), ("Cr", -1))
        return "; ".join(
            f"{side} "
            + ", ".join(
                f"{line.name} {words.amount(abs(line.amount_minor), shown.currency)}"
                for line in shown.lines
                if line.amount_minor * sign > 0
            )
            for side, sign in sides
        )
    if shown.kind == "payment":
        return f"into {shown.account}; {_applied(shown)}"
    if shown.kind == "ar_refund":
        return f"out of {shown.account}; {_applied(shown)}"
    way = "out of" if shown.kind in ("purchase", "refund_receipt") else "into"
    return f"{way} {shown.account}; {lines}"


def _applied(shown: DocumentView) -> str:
    word = "applied to" if shown.change else "pays out" if shown.kind == "ar_refund" else "pays"
    paid = [f"{word} {part.name} {words.amount(part.amount_minor, shown.currency)}" for part in shown.applied]
    rest = 0 if shown.change else shown.amount_minor - sum(part.amount_minor for part in shown.applied)
    credit = f"{words.amount(rest, shown.currency)} stays as the customer's credit" if rest else ""
    return ", ".join(filter(None, [*paid, credit]))
