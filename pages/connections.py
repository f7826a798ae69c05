"""Connections: open a Stripe account and a QuickBooks company, join them, and keep their credentials current."""

from functools import partial
from html import escape

import streamlit as st

from pages import chrome, desktop, opening, style, words
from pages.context import Context
from storage import connected
from storage.connected import ConnectionView
from sync import commands, hooks, setup
from sync.environment import hooks_url

NEEDS_ADMIN = "This takes the role admin."


def render(context: Context) -> None:
    chrome.top(context, "Connections")
    opening.last_outcome(context)
    desktop.show_password(context)
    found = connected.all_of(context.database)
    for each in found:
        _connection(context, each)
    opening.offer(context, found)


def _connection(context: Context, shown: ConnectionView) -> None:
    """One account or company: what it is, how it does, and what can be done with it."""
    left, right = st.columns([5, 2], vertical_alignment="center")
    left.html(_line(context, shown))
    with right, st.container(horizontal=True, horizontal_alignment="right"):
        if shown.system == "qbo":
            opening.consent_button(context, shown)
        _manage(context, shown)


def _line(context: Context, shown: ConnectionView) -> str:
    state, word = words.SIDE_STATES.get(shown.state, ("wait", shown.state))
    rows = [
        f"<b>{escape(words.SYSTEMS.get(shown.system, shown.system))}</b> {escape(shown.name)} "
        f"{style.identifier(shown.external_id, shown.external_id)} {chrome.badge(shown.mode)}",
        f"{style.mark(state, word)} <span class='t-quiet'>{escape(_more(context, shown))}</span>",
    ]
    rows += desktop.lines(shown, context.now)
    if shown.problem:
        rows.append(f'<span class="t-bad">{escape(shown.problem)}</span>')
    return f'<div class="t-lines">{"".join(f"<div>{row}</div>" for row in rows)}</div>'


def _more(context: Context, shown: ConnectionView) -> str:
    parts = []
    if shown.system == "stripe" and "key" in shown.secrets:
        parts.append(f"key since {words.day(shown.secrets['key'].date())}")
    if shown.consent_ends_at is not None and shown.state == "ready":
        parts.append(f"consent until {words.day(shown.consent_ends_at.date())}")
    if shown.system != "qbd":
        parts.append("webhooks" if hooks.CURRENT in shown.secrets else "no webhooks: changes are found at each sync")
    if hooks.BEFORE in shown.secrets and (ends := shown.secrets[hooks.BEFORE] + hooks.OVERLAP) > context.now:
        parts.append(f"the webhook secret before is valid until {words.day(ends.date())}")
    parts.append("" if shown.link_id is not None else "not joined yet")
    return " · ".join(filter(None, parts))


# ---- what can be done


def _manage(context: Context, shown: ConnectionView) -> None:
    allowed = commands.may(context.user, "connect")
    with st.popover("Manage", key=f"manage-{shown.id}", disabled=not allowed, help=None if allowed else NEEDS_ADMIN):
        if shown.system == "stripe":
            _key(context, shown)
        if shown.system == "qbd":
            desktop.manage(context, shown)
        else:
            _webhooks(context, shown)
        st.divider()
        st.caption("Disconnecting ends the access, switches posting off and keeps everything that was read and posted.")
        opening.button(
            context,
            f"Disconnect {shown.name}",
            partial(setup.disconnect, context.environment, context.user, shown.id),
            key=f"disconnect-{shown.id}",
            done=f"{shown.name} is disconnected."
            + (" Roll its key in Stripe's dashboard too." if shown.system == "stripe" else ""),
            disabled=shown.state == "disconnected",
        )


def _key(context: Context, shown: ConnectionView) -> None:
    with st.form(f"key-form-{shown.id}", clear_on_submit=True, border=False):
        st.text_input("New secret or restricted key", type="password", key=f"key-{shown.id}", autocomplete="off")
        opening.submit(
            context,
            "Replace the key",
            lambda: setup.replace_key(context.environment, context.user, shown.id, opening.take(f"key-{shown.id}")),
            done="The key is replaced; its history stays.",
        )


def _webhooks(context: Context, shown: ConnectionView) -> None:
    base, name = hooks_url(), "signing secret" if shown.system == "stripe" else "verifier token"
    st.markdown("**Webhooks** say at once what changed; without them a change is found at the next scheduled sync.")
    if base is not None:
        st.code(hooks.address(base, shown.system, shown.id), language=None, wrap_lines=True)
    else:
        st.caption("Set TIEOUT_URL to the public https address of this installation to receive any.")
    if shown.system == "stripe" and base is not None:
        opening.button(
            context,
            "Create the endpoint at Stripe" if hooks.CURRENT not in shown.secrets else "Create the endpoint anew",
            partial(setup.create_webhook, context.environment, context.user, shown.id),
            key=f"webhook-{shown.id}",
            done="Stripe sends its events here from now on.",
        )
    with st.form(f"secret-form-{shown.id}", clear_on_submit=True, border=False):
        st.text_input(f"Or its {name}", type="password", key=f"secret-{shown.id}", autocomplete="off")
        opening.submit(
            context,
            f"Use this {name}",
            lambda: setup.change_secret(
                context.environment, context.user, shown.id, opening.take(f"secret-{shown.id}")
            ),
            done=f"The {name} is stored; the one before is valid for three more days.",
        )
    if hooks.BEFORE in shown.secrets:
        opening.button(
            context,
            "Retire the secret before now",
            partial(setup.retire_secret, context.environment, context.user, shown.id),
            key=f"retire-{shown.id}",
            done="Only the newest secret is valid now.",
        )
