"""Some days, or one record, again: first what it would change, then doing it. Shown on Syncs and on Problems."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import polars as pl
import streamlit as st

from pages import chrome, style, words
from pages.context import Context
from storage import again
from storage.again import Asked, Found, Scope
from storage.queries import LinkView
from sync import commands, retrying

RECENT = timedelta(hours=1)
DAYS = 7  # that are proposed
DAY = "YYYY-MM-DD"
SINCE, UNTIL, RECORD = "again-since", "again-until", "again-id"
CLOSED = "again-closed"  # the look that this browser session has put away
WHATS = {"new": "new", "changed": "changed", "gone": "gone", "unreadable": "cannot be read"}


def may(context: Context) -> bool:
    return commands.may(context.user, "sync_again")


def offer(context: Context, link: LinkView) -> None:
    """Asks for days or a record, and begins with a look."""
    with st.expander("Sync some days, or one record, again", key="again"):
        st.caption("First it is shown what that would change. Nothing is ever posted twice.")
        today = link.today(context.now)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.date_input("From", today - timedelta(days=DAYS - 1), key=SINCE, format=DAY, width=140)
            st.date_input("Through", today, key=UNTIL, format=DAY, width=140)
            st.button(
                "Show what these days would change",
                key="look-days",
                disabled=not may(context),
                on_click=look,
                args=(context, link, _days),
            )
        with st.container(horizontal=True, vertical_alignment="bottom"):
            wanted = st.text_input("Or one record", key=RECORD, placeholder="ch_…, evt_…, payment:12", width=295)
            st.button(
                "Show what this record would change",
                key="look-record",
                disabled=not may(context) or not wanted.strip(),
                on_click=look,
                args=(context, link, lambda: _record(context, link)),
            )


def _days() -> Scope:
    """As the boxes are at the click: whoever types a day and clicks at once changes both in the same moment."""
    since, until = st.session_state[SINCE], st.session_state[UNTIL]
    if since is None or until is None:
        raise commands.RefusedError("Say the first and the last day.")
    return Scope(since=since, until=until)


def _record(context: Context, link: LinkView) -> Scope:
    return retrying.scope_of(context.database, link.id, st.session_state[RECORD])


def look(context: Context, link: LinkView, scope: Callable[[], Scope]) -> None:
    """Asks what a scope would change."""

    def action() -> bool:
        return retrying.look_again(context.database, context.clock, context.user, link.id, scope())

    chrome.act(action, done="Looking. This page shows what it finds.", idle="That is being looked at already.")


# ---- what came of it


def status(context: Context, link: LinkView) -> None:
    """The last look or sync again, while it is news."""
    asked = again.latest(context.database, link.id)
    if asked is None or st.session_state.get(CLOSED) == asked.run_id:
        return
    if asked.finished_at is None:
        st.html(style.note(f"{words.capitalised(_doing(asked))}: {about(asked.scope)}. It takes a moment.", "wait"))
        return
    if context.now - asked.finished_at > RECENT:
        return
    if asked.problem:
        st.html(style.note(f"{about(asked.scope)} could not be read again: {asked.problem}", "bad"))
    elif asked.found is not None:
        _found(context, link, asked, asked.found)
    else:
        st.html(style.note(f"{about(asked.scope)}, synced again: {done(asked)}", "good"))
    st.button("Close", key="again-close", on_click=_close, args=(asked.run_id,))


def _doing(asked: Asked) -> str:
    return "looking at what would change" if asked.kind == "look" else "syncing again"


def _close(run_id: int) -> None:
    st.session_state[CLOSED] = run_id


def about(scope: Scope) -> str:
    if scope.since is not None and scope.until is not None:
        return f"{words.day(scope.since)} to {words.day(scope.until)}"
    return words.listed([object_id for _, object_id in scope.objects])


def done(asked: Asked) -> str:
    """What a sync again did, in a sentence."""
    number = {name: asked.counts.get(name, 0) for name in ("fetched", "planned", "posted")}
    if not any(number.values()):
        return "nothing has changed."
    parts = [f"{words.count(number['fetched'], 'object')} had changed"] if number["fetched"] else []
    parts += [f"{words.count(number['planned'], 'posting')} planned"] if number["planned"] else []
    parts += [f"{words.count(number['posted'], 'write')} into QuickBooks"] if number["posted"] else []
    return f"{words.listed(parts)}."


def _found(context: Context, link: LinkView, asked: Asked, found: Found) -> None:
    is_news = bool(found.number or found.retried)
    st.html(style.note(f"{about(asked.scope)}: {said(found)}", "wait" if is_news else "good"))
    if found.changes:
        st.dataframe(
            frame(found),
            hide_index=True,
            row_height=28,
            height=min(36 + 28 * len(found.changes), 320),
            column_config={"Change": st.column_config.TextColumn(width=110)},
            alt="What would change",
        )
        if found.number > len(found.changes):
            st.caption(f"The first {len(found.changes):,} of {found.number:,}.")
    st.button(
        "Do it" if is_news else "Sync it again anyway",
        key="again-do",
        type="primary" if is_news else "secondary",
        disabled=not may(context),
        on_click=chrome.act,
        args=(partial(retrying.sync_again, context.database, context.clock, context.user, link.id, asked.scope),),
        kwargs={"done": "It is synced again in a moment.", "idle": "That is under way already."},
    )


def said(found: Found) -> str:
    """What a look found, in sentences."""
    by_what: dict[str, int] = {}
    for what, _, number in found.counts:
        by_what[what] = by_what.get(what, 0) + number
    parts = [f"{number:,} {WHATS[what]}" for what, number in by_what.items()]
    text = f"of {words.count(found.read, 'object')} read, {words.listed(parts) or 'none has changed'}."
    if found.retried:
        text += f" {words.count(found.retried, 'refused posting')} would be tried again."
    if found.kept:
        stay = "stays as it is" if found.kept == 1 else "stay as they are"
        text += f" {words.count(found.kept, 'document')} in QuickBooks {stay}."
    if found.without_books:
        text += " QuickBooks could not be asked now: it is read when its Web Connector visits."
    if not found.number and not found.retried:
        text += " Nothing would change."
    return text


def frame(found: Found) -> pl.DataFrame:
    """A row a change."""
    return pl.DataFrame(
        {
            "Change": [WHATS[each.what] for each in found.changes],
            "Kind": [each.kind.replace("_", " ") for each in found.changes],
            "Record": [each.id for each in found.changes],
            "What differs": [each.problem or ", ".join(each.fields).replace("_", " ") for each in found.changes],
        }
    )
