"""The steps to a first connection: a key of Stripe's, consent at Intuit, and the two joined."""

from collections.abc import Callable
from datetime import timedelta
from html import escape
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

import streamlit as st

from pages import chrome, desktop, style
from pages.context import Context
from storage import connected
from storage.connected import ConnectionView
from sync import callback, commands, setup
from sync.commands import RefusedError
from sync.environment import public_url

PROBLEM, GOING, SEEN = "connections-problem", "going-to-intuit", "consent-seen"
FRESH = timedelta(minutes=5)
COMPANIES = {"live": "My company", "test": "A sandbox company"}


# ---- what came of it


def last_outcome(context: Context) -> None:
    """What came of the last action, or of the way to Intuit and back."""
    if address := st.session_state.pop(GOING, None):
        _leave(address)
    last_problem()
    consent = connected.last_consent(context.database, context.session)
    if consent is None or consent.id == st.session_state.get(SEEN):
        return
    if consent.used_at is not None and context.now - consent.used_at < FRESH:
        st.html(style.note(consent.problem or "QuickBooks is connected.", "bad" if consent.problem else "good"))


def last_problem() -> None:
    """Why the last action was refused."""
    if problem := st.session_state.pop(PROBLEM, None):
        st.html(style.note(problem, "bad"))


def _leave(address: str) -> None:
    """Sends the browser to Intuit, in the same tab, so that it comes back to where it was."""
    chrome.leave(address)
    st.html(style.note("Intuit asks which company Tieout may open. You come back here by yourself.", "good"))
    st.link_button("Go on to Intuit", address)


def button(context: Context, label: str, action: Callable[[], bool], *, key: str, done: str, **options: Any) -> None:
    st.button(label, key=key, on_click=do, args=(context, action, done), **options)


def submit(context: Context, label: str, action: Callable[[], Any], *, done: str, **options: Any) -> None:
    """The button of a form."""
    st.form_submit_button(label, on_click=do, args=(context, action, done), **options)


def take(key: str) -> str:
    """What was typed into a field for secrets, which forgets it."""
    value = str(st.session_state.get(key, ""))
    st.session_state[key] = ""
    return value


def do(context: Context, action: Callable[[], Any], done: str) -> None:
    """Does it; a refusal stays on the page until the next action."""
    consent = connected.last_consent(context.database, context.session)
    said = {}
    try:
        if action():
            said[chrome.FLASH] = done
    except RefusedError as error:
        said[PROBLEM] = str(error)
    st.session_state.update(said | {SEEN: consent.id if consent else None})


# ---- the steps


def offer(context: Context, found: list[ConnectionView]) -> None:
    """What is still to be done, step by step; more accounts and companies are folded away."""
    free = [each for each in found if each.link_id is None]
    accounts = [each for each in free if each.system == "stripe"]
    allowed = commands.may(context.user, "connect")
    if not allowed and not found:
        st.html(style.note("Nothing is connected yet. Ask an admin to connect Stripe and QuickBooks."))
        return
    if not allowed:
        return
    if not found or free:
        _steps(context, accounts, [each for each in found if each.system != "stripe"])
    else:
        with st.expander("Connect another account or company", key="another"):
            _steps(context, [], [])


def _steps(context: Context, accounts: list[ConnectionView], companies: list[ConnectionView]) -> None:
    first, second, third = st.columns(3, gap="medium")
    with first:
        _heading("1", "Stripe", done=bool(accounts))
        if accounts:
            st.caption(f"{accounts[0].name} is connected.")
        else:
            _stripe(context)
    with second:
        _heading("2", "QuickBooks", done=bool(companies))
        if companies:
            st.caption(f"{companies[0].name} is connected.")
        if not companies or all(each.mode != account.mode for each in companies for account in accounts):
            _quickbooks(context, accounts)
    with third:
        _heading("3", "Join them", done=False)
        if accounts and companies:
            _join(context, accounts, companies)
        else:
            st.caption("As soon as both are connected, say from which day on Tieout is responsible.")


def _heading(number: str, text: str, *, done: bool) -> None:
    mark = f' <span class="t-good">{style.ICONS["good"]}</span>' if done else ""
    st.html(f'<p class="t-head">{number}. {escape(text)}{mark}</p>')


def _stripe(context: Context) -> None:
    with st.form("stripe-form", clear_on_submit=True, border=False):
        st.text_input("Secret or restricted key", type="password", key="stripe-key", autocomplete="off")
        submit(
            context,
            "Connect Stripe",
            lambda: setup.connect_stripe(context.environment, context.user, take("stripe-key")),
            done="Stripe is connected.",
            type="primary",
        )
    st.caption(
        "A restricted key that may read is enough. The key is stored encrypted and never shown again; whether it is "
        "live or for tests is seen from the key."
    )


def _quickbooks(context: Context, accounts: list[ConnectionView]) -> None:
    mode = _mode(context, accounts)
    known = callback.known_client(context.environment, mode)
    with st.form("quickbooks-form", clear_on_submit=True, border=False):
        if known is None:
            st.text_input("Client id of your Intuit app", key="client-id", autocomplete="off")
            st.text_input("Client secret", type="password", key="client-secret", autocomplete="off")
        submit(context, "Connect QuickBooks", lambda: _go(context, mode), done="", type="primary")
    if known is None:
        st.caption("Add this redirect URI to the app at developer.intuit.com, under Keys & credentials:")
        st.code(f"{_origin()}{callback.PATH}", language=None, wrap_lines=True)
    desktop.offer(context, mode)


def _mode(context: Context, accounts: list[ConnectionView]) -> str:
    """That of the account to be joined; without one the person chooses. Stand-ins have only theirs."""
    if context.environment.stand_ins() is not None:
        return "emulated"
    if accounts:
        return accounts[0].mode
    chosen = st.segmented_control(
        "Company", list(COMPANIES), default="live", format_func=COMPANIES.__getitem__, key="mode", required=True
    )
    return str(chosen)


def consent_button(context: Context, shown: ConnectionView) -> None:
    """Asks Intuit again for a company that is connected."""
    broken = shown.state != "ready"
    button(
        context,
        "Connect again",
        lambda: _go(context, shown.mode, shown.id),
        key=f"again-{shown.id}",
        done="",
        type="primary" if broken else "secondary",
        disabled=not commands.may(context.user, "reconnect"),
    )


def _go(context: Context, mode: str, connection_id: int | None = None) -> bool:
    typed = (st.session_state.get("client-id", ""), take("client-secret"))
    st.session_state[GOING] = setup.begin_consent(
        context.environment,
        context.user,
        session=context.session,
        origin=_origin(),
        mode=mode,
        client=typed if connection_id is None else None,
        connection_id=connection_id,
    )
    return False  # it is not done yet


def _origin() -> str:
    """Where this browser looks at our pages, for Intuit to send it back to."""
    seen = urlsplit(str(st.context.url or ""))
    return public_url() or f"{seen.scheme}://{seen.netloc}"


def _join(context: Context, accounts: list[ConnectionView], companies: list[ConnectionView]) -> None:
    names = {each.id: f"{each.name} ({each.mode})" for each in (*accounts, *companies)}
    account = accounts[0]
    if len(accounts) > 1:
        chosen = st.selectbox("Account", [each.id for each in accounts], format_func=names.__getitem__, key="account")
        account = next(each for each in accounts if each.id == chosen)
    fitting = [each.id for each in companies if each.mode == account.mode]
    if not fitting:
        st.caption(f"{account.name} is {account.mode}; connect a QuickBooks company that is {account.mode} too.")
        return
    with st.form("join-form", border=False):
        st.selectbox("Company", fitting, format_func=names.__getitem__, key="company", disabled=len(fitting) < 2)
        first = context.now.date().replace(day=1)
        st.date_input("First day Tieout is responsible for", first, key="cutover", format="YYYY-MM-DD")
        zones = sorted(available_timezones())
        zone = account.time_zone if account.time_zone in zones else "Etc/UTC"
        st.selectbox("Days begin and end in", zones, index=zones.index(zone), key="zone")
        submit(context, "Join them", lambda: _join_now(context, account.id), done=_JOINED, type="primary")
    st.caption("Best the first day of a month or year whose predecessor is closed. Nothing is posted yet.")


_JOINED = "Joined. Both sides are read now; meanwhile look at the mappings."


def _join_now(context: Context, account_id: int) -> bool:
    state = st.session_state
    setup.join(context.environment, context.user, account_id, state["company"], state["cutover"], state["zone"])
    return True
