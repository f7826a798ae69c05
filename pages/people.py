"""Users: who may open Tieout and in which role. Account: one's own password, and signing out."""

from collections.abc import Callable
from functools import partial
from html import escape

import streamlit as st

from pages import boxes, chrome, opening, style, words
from pages.context import Context
from storage import users
from storage.users import ROLES, UserView
from sync import commands, oidc, people
from sync.commands import RefusedError
from sync.environment import public_url

LINK = "sign-in-link"
PASSWORD_PX = 320
MAY = {
    "viewer": "sees everything, changes nothing",
    "reviewer": "answers what waits in Review",
    "accountant": "syncs, maps, switches posting, mends, prepares periods",
    "manager": "signs periods off, opens them again",
    "admin": "connects accounts, adds users",
}


# ---- Users


def render(context: Context) -> None:
    chrome.top(context, "Users")
    opening.last_problem()
    if not commands.may(context.user, "manage_users"):
        st.html(style.note("Users and their roles are changed by an admin."))
        st.html(_roles())
        return
    _show_link()
    for shown in users.everybody(context.database, context.now):
        _row(context, shown)
    _add(context)
    st.html('<p class="t-head">What each role may do</p>')
    st.html(_roles())


def _roles() -> str:
    return style.table(["Role", "May also"], [[words.capitalised(role), escape(text)] for role, text in MAY.items()])


def _show_link() -> None:
    """What was just made, until the admin says that they have it."""
    path = st.session_state.get(LINK)
    if path is None:
        return
    st.html(style.note("Send this link to the person: it signs in once, within a week. It is not shown again."))
    if provider := oidc.configured():
        who = "Everybody here" if oidc.is_local_for_all() else "Whoever is no admin"
        more = "also" if oidc.is_local_for_all() else "only"
        st.caption(f"{who} can {more} sign in with {provider.name}, by the address you gave: that needs no link.")
    st.code(f"{_origin()}{path}", language=None, wrap_lines=True)
    st.button("I have copied it", key="copied-link", on_click=st.session_state.pop, args=(LINK, None))


def _origin() -> str:
    return public_url() or (st.context.url or "").split("/users")[0]


def _row(context: Context, shown: UserView) -> None:
    """Somebody, with what can be done about them; the role is saved as soon as it is chosen."""
    person, is_self = shown.user, shown.user.id == context.user.id
    who, role, more = st.columns([5, 3, 4], vertical_alignment="center")
    signs_in = _ways(shown)
    now = f"{words.count(shown.sessions, 'browser')} signed in" if shown.sessions else "not signed in"
    state = "has left" if shown.has_left else f"{signs_in} · {now}"
    quiet = f'<span class="t-quiet">{escape(" · ".join((person.email, state)))}</span>'
    who.html(f"<div>{escape(person.name)}{' (you)' if is_self else ''}<br>{quiet}</div>")
    with role:
        _choose_role(context, shown)
    with more, st.container(horizontal=True):
        if shown.has_left:
            again = partial(people.take_back, context.environment, context.user, person.id)
            opening.button(context, "Let in again", again, key=f"back-{person.id}", done=f"{person.name} may sign in.")
            return
        invite = partial(people.invite, context.environment, context.user, person.id)
        st.button("New sign-in link", key=f"invite-{person.id}", on_click=_keep, args=(invite,))
        leave = partial(people.let_go, context.environment, context.user, person.id)
        done = f"{person.name} is signed out everywhere and may not sign in any more."
        opening.button(context, "Take away", leave, key=f"leave-{person.id}", done=done, disabled=is_self)


def _ways(shown: UserView) -> str:
    """How somebody can sign in."""
    provider = oidc.configured()
    ways = [f"with {provider.name}"] if provider else []
    if shown.user.role == "admin" or oidc.is_local_for_all():
        ways.append("with a password" if shown.has_password else "by link" if ways else "by link only")
    return " or ".join(ways)


def _choose_role(context: Context, shown: UserView) -> None:
    box = f"role-{shown.user.id}"
    key = boxes.keyed(box, shown.user.role)
    st.selectbox(
        f"Role of {shown.user.name}",
        ROLES,
        key=key,
        format_func=words.capitalised,
        label_visibility="collapsed",
        disabled=shown.has_left,
        on_change=boxes.keep,
        args=(box, key, partial(_change_role, context, shown)),
    )


def _change_role(context: Context, shown: UserView, role: str) -> None:
    change = partial(people.change_role, context.environment, context.user, shown.user.id, role)
    opening.do(context, change, f"{shown.user.name} is {words.article(role)} now.")


def _add(context: Context) -> None:
    st.html('<p class="t-head">Somebody new</p>')
    with st.form("user-form", border=False):
        left, middle, right = st.columns(3)
        left.text_input("E-mail", key="user-email", autocomplete="off")
        middle.text_input("Name", key="user-name", autocomplete="off")
        right.selectbox("Role", ROLES, key="user-role", format_func=words.capitalised)
        st.form_submit_button("Add", on_click=_invite_new, args=(context,))


def _invite_new(context: Context) -> None:
    typed = (st.session_state[key] for key in ("user-email", "user-name", "user-role"))
    _keep(partial(people.add, context.environment, context.user, *typed))


def _keep(make: Callable[[], str]) -> None:
    try:
        st.session_state[LINK] = make()
    except RefusedError as error:
        st.session_state[opening.PROBLEM] = str(error)


# ---- Account


def account(context: Context) -> None:
    chrome.top(context, "Your account")
    opening.last_problem()
    user = context.user
    role = f"{words.article(user.role)}: {MAY[user.role]}"
    st.html(f"<p>{escape(user.name)}, {escape(user.email)}. You are {escape(role)}.</p>")
    leave = partial(people.sign_out, context.environment, user, context.session)
    opening.button(context, "Sign out", leave, key="sign-out", done="")  # app.py then shows the way back in
    st.html('<p class="t-head">Password</p>')
    with st.form("password-form", clear_on_submit=True, border=False):
        boxes = (("Present password, if you have one", "present", "off"), ("New password", "new", "new-password"))
        for label, key, fill in boxes:
            st.text_input(label, type="password", key=key, autocomplete=fill, width=PASSWORD_PX)
        opening.submit(
            context,
            "Set password",
            lambda: people.set_password(
                context.environment, user, context.session, opening.take("present"), opening.take("new")
            ),
            done="The password is set. Every other browser of yours is signed out.",
        )
    st.caption(f"At least {people.PASSWORD_MIN} characters. Sign in with it at /sign-in; a session lasts twelve hours.")
