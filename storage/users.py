"""Users, the one-time links that sign them in, and their browser sessions. Of a token only its SHA-256 is kept."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, or_, select, update

from storage.engine import insert_ignore
from storage.models import sign_ins, users

SESSION_LIFE = timedelta(hours=12)
LINK_LIFE = timedelta(hours=1)
LINK_REUSE = timedelta(seconds=60)  # a double click, or a program that looks at links first, locks nobody out

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
    _add(conn, user_id, session_token, "session", now + SESSION_LIFE)
    return session_user(conn, session_token, now)


def session_user(conn: Connection, session_token: str, now: datetime) -> User | None:
    """Whose session this is; None if it is unknown or over."""
    row = conn.execute(
        select(users)
        .join(sign_ins, sign_ins.c.user_id == users.c.id)
        .where(
            sign_ins.c.token_hash == digest(session_token), sign_ins.c.kind == "session", sign_ins.c.expires_at > now
        )
    ).first()
    return None if row is None else User(id=row.id, email=row.email, name=row.name, role=row.role)


def role_of(conn: Connection, user_id: int) -> str | None:
    """The role a user has at this moment: it may have changed since they signed in."""
    return conn.execute(select(users.c.role).where(users.c.id == user_id)).scalar()


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _add(conn: Connection, user_id: int, token: str, kind: str, expires_at: datetime) -> None:
    conn.execute(sign_ins.insert().values(token_hash=digest(token), user_id=user_id, kind=kind, expires_at=expires_at))


def _remove_expired(conn: Connection, now: datetime) -> None:
    conn.execute(sign_ins.delete().where(sign_ins.c.expires_at <= now))
