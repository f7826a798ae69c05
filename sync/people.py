"""Each action about those who use Tieout as one function: it checks the role, does it, and writes the audit entry."""

import re
from typing import Any

from storage import audit, users
from storage.users import ROLES, User
from sync import passwords
from sync.commands import RefusedError, check
from sync.environment import Environment
from sync.gate import sign_in_path

PASSWORD_MIN = 12
ADDRESS_MAX = 100  # characters, as the audit keeps of who did it
ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")


def add(environment: Environment, actor: User, email: str, name: str, role: str) -> str:
    """Somebody new, by e-mail address; gives the path of the link that lets them in, once, within a week."""
    email, now = users.normal(email), environment.clock.now()
    with environment.database.write() as conn:
        check(conn, actor, "manage_users")
        if not ADDRESS.fullmatch(email) or len(email) > ADDRESS_MAX:
            raise RefusedError(f"“{email}” is not an e-mail address. Type it as name@company.com.")
        if users.find(conn, email=email) is not None:
            raise RefusedError(f"{email} is here already. Change the role in the list below.")
        _check_role(role)
        user_id = users.ensure_user(conn, email=email, name=name.strip()[:200] or email, role=role)
        audit.append(conn, now, [_entry(actor, "added a user", email, role=role)])
    return invite(environment, actor, user_id)


def invite(environment: Environment, actor: User, user_id: int) -> str:
    """A new sign-in link for somebody, for whoever forgot a password too; links made before stay good."""
    token, now = environment.rng.token(32), environment.clock.now()
    with environment.database.write() as conn:
        check(conn, actor, "manage_users")
        person = _person(conn, user_id)
        if users.role_of(conn, user_id) is None:
            raise RefusedError(f"{person.email} has no access. Let them in again first.")
        users.create_sign_in_link(conn, user_id, token, now, users.INVITATION_LIFE)
        audit.append(conn, now, [_entry(actor, "made a sign-in link", person.email)])
    return sign_in_path(token)


def change_role(environment: Environment, actor: User, user_id: int, role: str) -> bool:
    """From now on, also where the person is signed in already; False if it is the role they have."""
    with environment.database.write() as conn:
        check(conn, actor, "manage_users")
        person = _person(conn, user_id)
        _check_role(role)
        if person.role == role:
            return False
        _keep_an_admin(conn, person)
        users.change(conn, user_id, role=role)
        entry = _entry(actor, "changed a role", person.email, before=person.role, after=role)
        audit.append(conn, environment.clock.now(), [entry])
    return True


def let_go(environment: Environment, actor: User, user_id: int) -> bool:
    """Signs somebody out for good; what they did stays theirs. False if they had left already."""
    now = environment.clock.now()
    with environment.database.write() as conn:
        check(conn, actor, "manage_users")
        person = _person(conn, user_id)
        if users.role_of(conn, user_id) is None:
            return False
        _keep_an_admin(conn, person)
        users.change(conn, user_id, left_at=now, password_hash=None)
        users.close_sessions(conn, user_id)
        audit.append(conn, now, [_entry(actor, "took away the access", person.email)])
    return True


def take_back(environment: Environment, actor: User, user_id: int) -> bool:
    """Lets somebody in again who had left, in their old role, with a new link; False if they had not left."""
    with environment.database.write() as conn:
        check(conn, actor, "manage_users")
        person = _person(conn, user_id)
        if users.role_of(conn, user_id) is not None:
            return False
        users.change(conn, user_id, left_at=None)
        audit.append(conn, environment.clock.now(), [_entry(actor, "gave access again", person.email)])
    return True


def set_password(environment: Environment, actor: User, session: str, present: str, new: str) -> bool:
    """One's own; signs the person out everywhere else. `session` is the digest of the browser's token."""
    now = environment.clock.now()
    with environment.database.write() as conn:
        check(conn, actor, "set_password")
        stored = users.password_hash(conn, actor.id)
    if stored and not passwords.fits(present[: passwords.LENGTH_MAX], stored):
        raise RefusedError("The present password is not right. Whoever forgot it asks an admin for a sign-in link.")
    if not PASSWORD_MIN <= len(new) <= passwords.LENGTH_MAX:
        raise RefusedError(f"A password has {PASSWORD_MIN} to {passwords.LENGTH_MAX} characters; a few words are good.")
    if new.casefold() in (actor.email.casefold(), actor.name.casefold()):
        raise RefusedError("Your name or address is no password. Take something only you know.")
    hashed = passwords.hash_of(new, environment.rng.token(16))
    with environment.database.write() as conn:
        check(conn, actor, "set_password")  # hashing takes a while: they may have left, or set another one meanwhile
        if users.password_hash(conn, actor.id) != stored:
            raise RefusedError("Your password was changed elsewhere a moment ago. Try again with that one.")
        users.change(conn, actor.id, password_hash=hashed, wrong_tries=0, locked_until=None)
        users.close_sessions(conn, actor.id, but=session)
        audit.append(conn, now, [_entry(actor, "set a password", actor.email)])
    return True


def sign_out(environment: Environment, actor: User, session: str) -> bool:
    """This browser; everybody may."""
    with environment.database.write() as conn:
        users.close_session(conn, session)
        audit.append(conn, environment.clock.now(), [_entry(actor, "signed out", actor.email)])
    return True


def _person(conn: Any, user_id: int) -> User:
    person = users.find(conn, user_id=user_id)
    if person is None:
        raise RefusedError("There is no such user. Look at the list again.")
    return person


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise RefusedError(f"There is no role “{role}”.")


def _keep_an_admin(conn: Any, person: User) -> None:
    if person.role == "admin" and users.role_of(conn, person.id) and users.count_admins(conn) == 1:
        raise RefusedError(f"{person.email} is the only admin. Make somebody else an admin first.")


def _entry(actor: User, action: str, subject: str, **detail: str) -> audit.Entry:
    return audit.Entry(actor=actor.email, action=action, subject=f"user {subject}", detail=detail)
