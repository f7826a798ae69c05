"""Audit: who did what and when, the whole way of each record, and whether anybody has changed the log."""

import hashlib
import json
from collections.abc import Iterable
from functools import partial
from html import escape
from zoneinfo import ZoneInfo

import polars as pl
import streamlit as st

from pages import chrome, style, url, words
from pages.context import Context
from pages.tables import as_csv
from storage import audit_view
from storage.audit_view import PEOPLE, Checked, EntryView, Filter, Page
from storage.queries import LinkView
from storage.trace import Step
from sync import auditing

PAGE_SIZE = 50
ALL = "all"
DETAIL_MAX = 120  # characters of it in the list
LONG, SHORT = "%Y-%m-%d %H:%M:%S", "%d %b %H:%M"
STEPS = {
    "event": "Event received",
    "stored": "Read",
    "match": "Matched",
    "decision": "Decided by a person",
    "leg": "Entry",
    "posting": "Posting",
    "to Stripe": "To Stripe",
    "write": "Written to Stripe",
    "audit": "In the log",
}


def render(context: Context) -> None:
    chrome.top(context, "Audit")
    if chrome.connect_first(context):
        return
    assert context.link is not None
    _chain(context)
    wanted = _filtered(context)
    shown = _page(context, context.link, wanted)
    if wanted.subject:
        _way(context, context.link, wanted.subject)
    if not shown.entries:
        _nothing(wanted)
        return
    selected = url.number("entry")
    if selected is None:
        _list(context.link, shown)
        _turning(context, context.link, shown, wanted)
        return
    left, right = st.columns([5, 4], gap="small")
    with left:
        _list(context.link, shown, selected)
        _turning(context, context.link, shown, wanted)
    with right:
        _entry(context, context.link, selected)


def _nothing(wanted: Filter) -> None:
    if wanted == Filter(actor=PEOPLE):
        text = "Nobody has done anything yet. What people decide, choose and switch is listed here."
        st.html(style.note(text, "info"))
        st.button("Show what Tieout did by itself", key="show-all", on_click=url.put, args=("actor", ALL))
        return
    st.html(style.note("No entry fits these filters."))
    st.button("Clear the filters", key="clear", on_click=st.query_params.clear)


# ---- the chain


def _chain(context: Context) -> None:
    found = audit_view.checked(context.database, context.environment.vault)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.html(style.line(*chain_said(found, context)))
        rest = found.last_id - found.entry_id
        label = f"Verify {words.count(rest, 'new entry', 'new entries')}" if found.at else "Verify the log"
        if rest > 0 and not found.problem:
            st.button(label, key="verify", on_click=_verify, args=(context,))
        elif found.at:
            anew = {"anew": True}
            st.button("Verify all again", key="verify-all", on_click=_verify, args=(context,), kwargs=anew)


def chain_said(found: Checked, context: Context) -> tuple[str, str]:
    """Whether each entry is still as it was written and in its place, as a state and a sentence."""
    if found.at is None:
        return "wait", f"{words.count(found.last_id, 'entry', 'entries')}, not verified yet."
    when = f"{words.ago(found.at, context.now)} by {found.actor}"
    if found.problem:
        return (
            "bad",
            f"{found.problem} Found {when}. Restore a backup from before, and ask who can write to the database.",
        )
    seal = f"seal {found.hash[:12]}"
    return "good", f"Chain verified up to entry {found.entry_id:,} of {found.last_id:,}, {when} ({seal})."


def _verify(context: Context, *, anew: bool = False) -> None:
    bar = st.progress(0.0, text="Verifying")
    last = max(1, audit_view.checked(context.database, context.environment.vault).last_id)

    def progress(entry_id: int) -> None:
        bar.progress(min(1.0, entry_id / last), text=f"Verified up to entry {entry_id:,} of {last:,}")

    def action() -> bool:
        return not auditing.verify_chain(context.environment, context.user, anew=anew, progress=progress)

    chrome.act(action, done="Every entry is as it was written.", idle="The log was changed.")


# ---- the filters, all in the address


def _filtered(context: Context) -> Filter:
    people = [each for each in audit_view.actors(context.database) if each not in audit_view.SYSTEMS]
    actors = {PEOPLE: "People", ALL: "People and systems", **{each: each for each in (*people, *audit_view.SYSTEMS)}}
    actions = {ALL: "Every action", **{each: words.capitalised(each) for each in audit_view.actions(context.database)}}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        subject = url.search("Record: an id of either side", "record", "audit-record", width=220)
        actor = url.select("Who", "actor", "audit-actor", actors, ALL if subject.strip() else PEOPLE, width=170)
        action = url.select("What", "action", "audit-action", actions, ALL, width=170)
        text = url.search("Words in it", "q", "audit-q", width=150)
        since = url.pick_day("From", "from", "audit-from")  # last, so that both stay together where there is less room
        until = url.pick_day("Through", "to", "audit-to")
    return Filter(
        actor=None if actor == ALL else actor,
        action=None if action == ALL else action,
        subject=subject.strip(),
        since=since,
        until=until,
        text=text,
    )


def _page(context: Context, link: LinkView, wanted: Filter) -> Page:
    before, after = url.number("before"), url.number("after")
    return audit_view.page(context.database, link.id, wanted, before=before, after=after, size=PAGE_SIZE)


def _turning(context: Context, link: LinkView, shown: Page, wanted: Filter) -> None:
    """Newer, older, and the way into a spreadsheet."""
    with st.container(horizontal=True, vertical_alignment="center"):
        newer, older = shown.newer, shown.older
        st.button("← Newer", key="newer", disabled=newer is None, on_click=_turn, args=("after", newer))
        st.button("Older →", key="older", disabled=older is None, on_click=_turn, args=("before", older))
        st.download_button(
            "Download as CSV",
            data=partial(_csv, context, link, wanted),
            file_name="audit.csv",
            mime="text/csv",
            key="export",
            on_click="ignore",
            help=f"What fits these filters, the newest {audit_view.EXPORT_MAX:,} at most.",
        )


def _turn(name: str, entry_id: int | None) -> None:
    for place in url.PLACES:
        st.query_params.pop(place, None)
    url.put(name, entry_id)


def _csv(context: Context, link: LinkView, wanted: Filter) -> str:
    found = auditing.export(context.database, context.clock, context.user, link.id, wanted)
    return as_csv(csv_frame(found, link))


def csv_frame(entries: Iterable[EntryView], link: LinkView) -> pl.DataFrame:
    """A row an entry, for a spreadsheet: times on the link's clock with their offset."""
    zone = ZoneInfo(link.time_zone)
    rows = (
        (
            each.id,
            each.at.astimezone(zone).isoformat(timespec="seconds"),
            each.actor,
            each.action,
            each.subject,
            json.dumps(each.detail, default=str, ensure_ascii=False) if each.detail else "",
            each.hash,
        )
        for each in entries
    )
    names = ("Entry", "When", "Who", "What", "Record", "Detail", "Seal")
    schema = {name: pl.Int64 if name == "Entry" else pl.String for name in names}
    return pl.DataFrame(rows, schema=schema, orient="row")


# ---- the list


def _list(link: LinkView, shown: Page, selected: int | None = None) -> None:
    ids = [each.id for each in shown.entries]
    # A grid's selection is a row number. So its key changes with its rows, and the address says which row is selected.
    key = f"audit-{hashlib.sha256(' '.join(map(str, ids)).encode()).hexdigest()[:12]}"
    at = [ids.index(selected)] if selected in ids else []
    st.session_state[key] = {"selection": {"rows": at, "columns": []}}
    st.dataframe(
        frame(shown.entries, link, narrow=selected is not None),
        key=key,
        hide_index=True,
        height=36 + 28 * len(ids),
        row_height=28,
        on_select=partial(_select, key, ids),
        selection_mode="single-row",
        column_config={
            "When": st.column_config.TextColumn(width=125 if selected is None else 85),
            "Who": st.column_config.TextColumn(width=150 if selected is None else 90),
            "What": st.column_config.TextColumn(width=130 if selected is None else 95),
            "Record": st.column_config.TextColumn(width=230 if selected is None else 120),
            "Detail": st.column_config.TextColumn(width="large"),
        },
        alt="Entries of the audit log; select one to see the whole of it",
    )


def frame(entries: tuple[EntryView, ...], link: LinkView, *, narrow: bool = False) -> pl.DataFrame:
    zone = ZoneInfo(link.time_zone)
    columns = {
        "When": [f"{each.at.astimezone(zone):{SHORT if narrow else LONG}}" for each in entries],
        "Who": [each.actor for each in entries],
        "What": [each.action for each in entries],
        "Record": [each.object_id for each in entries],
    }
    if not narrow:
        columns["Detail"] = [said(each)[:DETAIL_MAX] for each in entries]
    return pl.DataFrame(columns)


def said(each: EntryView) -> str:
    """The detail of an entry as a line of text, without what says nothing."""
    return "; ".join(f"{name.replace('_', ' ')}: {_plain(value)}" for name, value in _told(each).items())


def _told(each: EntryView) -> dict[str, object]:
    return {name: value for name, value in each.detail.items() if value not in (None, "", [])}


def _title(name: str) -> str:
    return words.capitalised(name.replace("_", " "))


def _plain(value: object) -> str:
    if isinstance(value, list) and not any(isinstance(each, dict | list) for each in value):
        return ", ".join("nothing" if each is None else str(each) for each in value)
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def _select(key: str, ids: list[int]) -> None:
    rows = st.session_state[key]["selection"]["rows"]
    url.put("entry", ids[rows[0]] if rows else "")


# ---- one entry, and the way of its record


def _entry(context: Context, link: LinkView, entry_id: int) -> None:
    found = audit_view.entry(context.database, entry_id)
    if found is None:
        st.html(style.note(f"There is no entry {entry_id:,}."))
        return
    zone = ZoneInfo(link.time_zone)
    rows = [
        ["Entry", f"{found.id:,}"],
        ["When", f"{found.at.astimezone(zone):%Y-%m-%d %H:%M:%S} ({escape(link.time_zone)})"],
        ["Who", escape(found.actor)],
        ["What", escape(words.capitalised(found.action))],
        ["Record", style.identifier(found.subject, found.object_id)],
        *([escape(_title(name)), escape(_plain(value))] for name, value in _told(found).items()),
        ["Seal", style.identifier(found.hash, found.hash[:12])],
    ]
    st.html(style.table(["", ""], rows))
    if not url.text("record"):
        _way(context, link, found.object_id, narrow=True)


def _way(context: Context, link: LinkView, object_id: str, *, narrow: bool = False) -> None:
    """From Stripe's event to the document in QuickBooks."""
    steps = [step for step in audit_view.way(context.database, link.id, object_id) if step.name != "audit"]
    if not steps:
        if url.text("record"):
            st.html(
                style.note(f"Nothing is known of {object_id}. Is it of another account, or from before the cut-over?")
            )
        return
    st.html(f'<p class="t-head">The way of {style.identifier(object_id, object_id)}</p>')
    rows = [_step(step, link) for step in steps]
    if narrow:
        below = '{}<br><span class="s">{}</span>'
        st.html(style.table(["", ""], [[below.format(*row[:2]), below.format(*row[2:])] for row in rows]))
    else:
        st.html(style.table(["Step", "When", "What", "QuickBooks"], rows))


def _step(step: Step, link: LinkView) -> list[str]:
    when = f"{step.at.astimezone(ZoneInfo(link.time_zone)):%Y-%m-%d %H:%M}" if step.at else ""
    documents = [words.document(each) for each in (step.document_id or "").split(", ") if ":" in each]
    return [
        escape(STEPS[step.name]),
        f'<span class="t-keep">{when}</span>',
        style.titled(step.object_id, step.text),
        escape(words.listed(documents)),
    ]
