"""Files: import the reports that Stripe and QuickBooks export, see what was understood, and what was refused."""

from collections.abc import Sequence
from datetime import date
from html import escape

import polars as pl
import streamlit as st

from pages import chrome, style, words
from pages.context import Context
from pages.tables import as_csv
from storage import imports
from storage.imports import Import, Refused
from storage.queries import LinkView
from sync import commands
from sync.commands import Answers, RefusedError

COMPANY = "My files"
LINK = "link"  # the switch in the sidebar
TYPES = ["csv", "txt", "tsv", "xlsx"]
SIZE_MAX_MB = 50
OUTCOMES = "files-outcomes"
COUNTS = {"rows": "Rows", "new": "New", "changed": "Changed", "unchanged": "Unchanged", "refused": "Refused"}
DATES = {None: "as the file tells", "mdy": "month first: 9/14/2026", "dmy": "day first: 14/9/2026"}
REPORTS = {None: "as the file tells", False: "the balance report", True: "the payout reconciliation report"}
LACKING = {
    "stripe": "Stripe's side is missing. Import its itemised balance report (Reports, Balance, Balance change from "
    "activity) or its payout reconciliation report.",
    "payouts": "Stripe's payouts are missing, so its balance only grows here. Import the itemised payouts (Reports, "
    "Balance, Payouts) or the payout reconciliation report.",
    "books": "The books are missing. Import QuickBooks' Invoice List and the transactions of the clearing account.",
    "clearing": "The account that stands for the Stripe balance is missing, so nothing can be proved. Import "
    "QuickBooks' Transaction Detail by Account of the Stripe clearing account.",
    "start": "The clearing account held money before the first entry; what Stripe held then is not known and counts as "
    "nothing. Import Stripe's balance summary of the same days (Reports, Balance).",
}
HOW = (
    "From Stripe: the itemised balance and payouts reports, or the payout reconciliation report, as CSV; the balance "
    "summary tells what was there before. From QuickBooks: the Invoice List, and the Transaction Detail by Account of "
    "the account that stands for Stripe, as CSV or Excel. Nothing leaves this machine, and nothing can be posted."
)


def render(context: Context) -> None:
    chrome.top(context, "Files")
    link = context.link if context.link is not None and context.link.mode == "files" else None
    if context.environment.demo:
        st.html(style.note("This is the demo: it takes no files. Start your own workbench with “tieout serve”."))
        return
    _upload(context, link)
    _outcomes()
    if link is None:
        return
    notes(context, link)
    _next(context)
    found = imports.history(context.database, link.id)
    _history(context, found)
    for each in standing(found):
        _refused(each)


def notes(context: Context, link: LinkView) -> None:
    """What the proof of imported files still lacks, for every page that shows it."""
    lacking = imports.lacking(context.database, link.id)
    for name in lacking:
        if name != "payouts" or "stripe" not in lacking:
            st.html(style.note(LACKING[name]))
    ends = _ends(imports.history(context.database, link.id), link)
    if not lacking and ends[0] is not None and ends[1] is not None and abs((ends[0] - ends[1]).days) > 7:
        sides = f"Stripe's files end on {words.day(ends[0])}, the books' on {words.day(ends[1])}"
        st.html(style.note(f"{sides}: what only one of them reaches is open. Import reports of the same days."))


def _ends(found: Sequence[Import], link: LinkView) -> list[date | None]:
    """The last day of each side."""
    return [
        max((each.last_day for each in found if each.connection_id == side.id and each.last_day), default=None)
        for side in (link.stripe, link.books)
    ]


# ---- the upload


def _upload(context: Context, link: LinkView | None) -> None:
    allowed = commands.may(context.user, "import_report")
    st.caption(HOW)
    st.file_uploader(
        "Reports of Stripe and QuickBooks",
        type=TYPES,
        accept_multiple_files=True,
        key="upload",
        max_upload_size=SIZE_MAX_MB,
        label_visibility="collapsed",
        disabled=not allowed,
    )
    with st.expander("What a file may not tell by itself"):
        _questions(link)
    st.button(
        "Import",
        type="primary",
        key="import",
        disabled=not allowed or not st.session_state.get("upload"),
        help=None if allowed else "This takes the role accountant.",
        on_click=_import,
        args=(context,),
    )


def _questions(link: LinkView | None) -> None:
    left, right = st.columns(2)
    left.text_input("Company", value=link.name if link else COMPANY, key="answer-company", max_chars=60)
    left.text_input("Account that stands for the Stripe balance", key="answer-clearing")
    left.text_input("Currency of the books", key="answer-currency", max_chars=3)
    right.selectbox("Dates", list(DATES), format_func=DATES.__getitem__, key="answer-dates")
    right.selectbox("Stripe's report", list(REPORTS), format_func=REPORTS.__getitem__, key="answer-report")
    right.text_input("Time zone, as America/New_York", key="answer-zone")
    st.checkbox(
        "Of its days, QuickBooks has no more than the report lists: take out what earlier files had and it has not",
        key="answer-complete",
    )


def _import(context: Context) -> None:
    """Takes every chosen file, Stripe's first, for they tell the currency; each stands for itself."""
    state = st.session_state
    answers = Answers(
        company=state["answer-company"],
        clearing=state["answer-clearing"].strip() or None,
        currency=state["answer-currency"].strip().upper() or None,
        dates=state["answer-dates"],
        time_zone=state["answer-zone"].strip() or None,
        is_reconciliation=state["answer-report"],
        is_complete=state["answer-complete"],
    )
    waiting, outcomes = [(file.name, file.getvalue()) for file in state["upload"]], []
    for is_last_try in (False, True):  # books before their Stripe file are tried once more
        again = []
        for name, content in waiting:
            try:
                done = commands.import_report(context.database, context.clock, context.user, name, content, answers)
            except RefusedError as error:
                again.append((name, content))
                if is_last_try:
                    outcomes.append((name, "bad", str(error)))
            else:
                state[LINK] = done.link_id
                outcomes.append((name, "wait" if done.problems else "good", _said(done)))
        waiting = again
    state[OUTCOMES] = outcomes


def _said(done: Import) -> str:
    """ "Stripe payouts, itemised: 12 rows, 12 new." """
    counts = done.counts
    parts = [f"{counts[name]:,} {name}" for name in ("new", "changed", "unchanged", "refused") if counts.get(name)]
    parts += [f"{counts['not_needed']:,} not needed"] if counts.get("not_needed") else []
    parts += [f"{counts['taken_out']:,} taken out"] if counts.get("taken_out") else []
    rows = words.count(counts["rows"], "row")
    return f"{done.report}: {rows}{': ' if parts else ''}{', '.join(parts)}."


def _outcomes() -> None:
    for name, state, text in st.session_state.get(OUTCOMES, ()):
        st.html(style.note(f"{name}: {text}", state))


def _next(context: Context) -> None:
    with st.container(horizontal=True):
        chrome.go(context, "", "Does it tie out?")  # the first page has no path
        chrome.go(context, "review", "What waits for you")


# ---- what was imported


def _history(context: Context, found: list[Import]) -> None:
    if not found:
        return
    head = ["File", "Report", "Days", *COUNTS.values(), "Sums of the rows taken", ""]
    numbers = frozenset(range(3, 3 + len(COUNTS)))
    rows = []
    for each in found:
        days = f"{words.day(each.first_day)} to {words.day(each.last_day)}" if each.first_day and each.last_day else ""
        when = f"{words.ago(each.at, context.now)} by {each.actor}"
        said = "<br>".join(escape(note) for note in each.notes)
        rows.append(
            [
                f"{escape(each.name)}<br><span class='s'>{escape(when)}</span>",
                f"{escape(each.report)}<br><span class='s'>{said}</span>",
                days,
                *(f"{each.counts.get(name, 0):,}" for name in COUNTS),
                "<br>".join(_sums(each)),
                "",
            ]
        )
    st.html('<p class="t-head">Imported files</p>')
    st.html(style.table(head, rows, numbers))


def _sums(each: Import) -> list[str]:
    """To compare with the report's own totals."""
    return [
        escape(", ".join(f"{name.replace('_', ' ')} {words.money(minor, currency)}" for name, minor in sums.items()))
        for currency, sums in sorted(each.sums.items())
    ]


def standing(found: Sequence[Import]) -> list[Import]:
    """Imports with refused rows that no later import of the same report has made good, the newest first."""
    return [
        each
        for place, each in enumerate(found)
        if each.problems and not any(_covers(new, each) for new in found[:place])
    ]


def _covers(new: Import, old: Import) -> bool:
    if (new.connection_id, new.report) != (old.connection_id, old.report):
        return False
    if new.name == old.name:
        return True
    days = (new.first_day, old.first_day, old.last_day, new.last_day)
    return None not in days and list(days) == sorted(days)  # type: ignore[type-var]


def _refused(each: Import) -> None:
    """The rows that were not taken, each with what to do; the way to try again is to import the corrected file."""
    number = words.count(len(each.problems), "row")
    with st.expander(f"{each.name}: {number} refused", expanded=True):
        st.caption("Correct these in the file and import it again: rows taken already stay as they are.")
        frame = problems_frame(each.problems)
        st.dataframe(frame, hide_index=True, row_height=30, alt=f"Refused rows of {each.name}")
        st.download_button(
            "Download refused rows",
            data=as_csv(frame),
            file_name=f"refused-{each.id}.csv",
            mime="text/csv",
            key=f"download-{each.id}",
        )


def problems_frame(problems: Sequence[Refused]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "Line": [each.line for each in problems],
            "Column": [each.column for each in problems],
            "Value": [each.value for each in problems],
            "What to do": [each.text for each in problems],
        },
        schema={"Line": pl.Int64, "Column": pl.String, "Value": pl.String, "What to do": pl.String},
    )
