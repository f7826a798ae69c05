"""Users, the links and passwords that sign them in, and their browser sessions.

Of a token only its SHA-256 is kept, of a password only the hash that the caller made.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, or_, select, update

from storage.engine import Database, insert_ignore
from storage.models import sign_ins, users

SESSION_LIFE = timedelta(hours=12)
LINK_LIFE = timedelta(hours=1)
INVITATION_LIFE = timedelta(days=7)
LINK_REUSE = timedelta(seconds=60)  # a double click, or a program that looks at links first, locks nobody out
TRIES, LOCK = 5, timedelta(minutes=15)  # wrong passwords in a row, and how long no other is looked at then

ROLES = ("viewer", "reviewer", "accountant", "manager", "admin")  # each may do what those before it may


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who is signed in."""

    id: int
    email: str
    name: str
    role: str

    def is_at_least(self, role: str) -> bool:
        return self.role in ROLES and ROLES.index(self.role) >= ROLES.index(role)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserView:
    """What the page Users shows of somebody."""

    user: User
    has_password: bool
    has_left: bool
    sessions: int


def ensure_user(conn: Connection, *, email: str, name: str, role: str) -> int:
    """The user with this address, made if there is none. Whoever exists keeps name and role."""
    assert role in ROLES
    insert_ignore(conn, users, [{"email": email, "name": name, "role": role}])
    return int(conn.execute(select(users.c.id).where(users.c.email == email)).scalar_one())


def create_sign_in_link(conn: Connection, user_id: int, token: str, now: datetime, life: timedelta = LINK_LIFE) -> None:
    """Lets whoever brings `token` sign in as this user, once."""
    _add(conn, user_id, token, "link", now + life)


def open_session(conn: Connection, token: str, session_token: str, now: datetime) -> User | None:
    """Trades a one-time token for a browser session; None if it is unknown, used or too old."""
    _remove_expired(conn, now)
    fresh = or_(sign_ins.c.used_at.is_(None), sign_ins.c.used_at > now - LINK_REUSE)
    used = conn.execute(
        update(sign_ins)
        .where(sign_ins.c.token_hash == digest(token), sign_ins.c.kind == "link", sign_ins.c.expires_at > now, fresh)
        .values(used_at=func.coalesce(sign_ins.c.used_at, now))
    )
    if used.rowcount != 1:
        return None
    user_id = conn.execute(select(sign_ins.c.user_id).where(sign_ins.c.token_hash == digest(token))).scalar_one()
    return _begin(conn, user_id, session_token, now)


def password_of(conn: Connection, email: str, now: datetime) -> str | None:
    """The hash to compare a password with; None if there is none, or too many were wrong a moment ago."""
    row = conn.execute(select(users).where(users.c.email == email, users.c.left_at.is_(None))).first()
    if row is None or (row.locked_until is not None and row.locked_until > now):
        return None
    return str(row.password_hash) if row.password_hash else None


def open_session_by_password(
    conn: Connection, email: str, session_token: str, now: datetime, *, fits: str | None
) -> User | None:
    """A session for whoever brought the password with the hash `fits`, if it is still that user's; None otherwise.

    A wrong one (`fits` is None) is counted.
    """
    _remove_expired(conn, now)
    if fits is None:
        tries = func.coalesce(users.c.wrong_tries, 0) + 1
        conn.execute(update(users).where(users.c.email == email).values(wrong_tries=tries))
        many = (users.c.email == email, users.c.wrong_tries >= TRIES)
        conn.execute(update(users).where(*many).values(wrong_tries=0, locked_until=now + LOCK))
        return None
    found = conn.execute(
        update(users)
        .where(users.c.email == email, users.c.password_hash == fits)
        .values(wrong_tries=0)
        .returning(users.c.id)
    ).scalar()
    return None if found is None else _begin(conn, found, session_token, now)


def open_session_by_address(conn: Connection, email: str, session_token: str, now: datetime) -> User | None:
    """A session for the user with an address that somebody trusted has verified; None without one who has access."""
    _remove_expired(conn, now)
    found = conn.execute(select(users.c.id).where(users.c.email == email, users.c.left_at.is_(None))).scalar()
    return None if found is None else _begin(conn, found, session_token, now)


def _begin(conn: Connection, user_id: int, session_token: str, now: datetime) -> User | None:
    _add(conn, user_id, session_token, "session", now + SESSION_LIFE)
    return session_user(conn, session_token, now)


def session_user(conn: Connection, session_token: str, now: datetime) -> User | None:
    """Whose session this is; None if it is unknown or over."""
    row = conn.execute(
        select(users)
        .join(sign_ins, sign_ins.c.user_id == users.c.id)
        .where(
            sign_ins.c.token_hash == digest(session_token),
            sign_ins.c.kind == "session",
            sign_ins.c.expires_at > now,
            users.c.left_at.is_(None),
        )
    ).first()
    return None if row is None else _user(row)


def close_session(conn: Connection, session: str) -> None:
    """Signs one browser out; `session` is the digest of its token."""
    conn.execute(sign_ins.delete().where(sign_ins.c.token_hash == session, sign_ins.c.kind == "session"))


def close_sessions(conn: Connection, user_id: int, *, but: str = "") -> None:
    """Signs a user out everywhere, also of links not yet used; `but` the session with this digest."""
    conn.execute(sign_ins.delete().where(sign_ins.c.user_id == user_id, sign_ins.c.token_hash != but))


def role_of(conn: Connection, user_id: int) -> str | None:
    """The role a user has at this moment: it may have changed since they signed in. None for who has left."""
    return conn.execute(select(users.c.role).where(users.c.id == user_id, users.c.left_at.is_(None))).scalar()


def has_access(conn: Connection, email: str) -> bool:
    these = (users.c.email == email, users.c.left_at.is_(None))
    return conn.execute(select(users.c.id).where(*these)).first() is not None


def find(conn: Connection, *, email: str | None = None, user_id: int | None = None) -> User | None:
    """By address or by id."""
    row = conn.execute(select(users).where(users.c.email == email if email else users.c.id == user_id)).first()
    return None if row is None else _user(row)


def change(conn: Connection, user_id: int, **values: object) -> None:
    conn.execute(update(users).where(users.c.id == user_id).values(**values))


def password_hash(conn: Connection, user_id: int) -> str | None:
    return conn.execute(select(users.c.password_hash).where(users.c.id == user_id)).scalar()


def count_admins(conn: Connection) -> int:
    """Those who may sign in. They stay as they are until the transaction ends."""
    where = (users.c.role == "admin", users.c.left_at.is_(None))
    return len(conn.execute(select(users.c.id).where(*where).with_for_update()).all())


def others_at_least(conn: Connection, role: str, user_id: int) -> int:
    """How many but this user may do what the role may."""
    roles = ROLES[ROLES.index(role) :]
    where = (users.c.role.in_(roles), users.c.left_at.is_(None), users.c.id != user_id)
    return int(conn.execute(select(func.count()).select_from(users).where(*where)).scalar_one())


def everybody(database: Database, now: datetime) -> list[UserView]:
    """By address, those who have left last."""
    open_ones = (
        select(func.count())
        .select_from(sign_ins)
        .where(sign_ins.c.user_id == users.c.id, sign_ins.c.kind == "session", sign_ins.c.expires_at > now)
        .scalar_subquery()
    )
    with database.read() as conn:
        rows = conn.execute(select(users, open_ones.label("sessions")).order_by(users.c.email)).all()
    found = [
        UserView(
            user=_user(row),
            has_password=bool(row.password_hash),
            has_left=row.left_at is not None,
            sessions=row.sessions,
        )
        for row in rows
    ]
    return sorted(found, key=lambda each: each.has_left)


def _user(row: Any) -> User:
    return User(id=row.id, email=row.email, name=row.name, role=row.role)


def normal(email: str) -> str:
    """An address as it is kept."""
    return email.strip().casefold()


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _add(conn: Connection, user_id: int, token: str, kind: str, expires_at: datetime) -> None:
    conn.execute(sign_ins.insert().values(token_hash=digest(token), user_id=user_id, kind=kind, expires_at=expires_at))


def _remove_expired(conn: Connection, now: datetime) -> None:
    conn.execute(sign_ins.delete().where(sign_ins.c.expires_at <= now))
