from datetime import UTC, datetime, timedelta

import pytest

from storage import users
from storage.engine import Database
from storage.models import sign_ins
from storage.users import User

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)


def make_link(database: Database, token: str = "link") -> int:
    with database.write() as conn:
        user_id = users.ensure_user(conn, email="a@example.com", name="A", role="reviewer")
        users.create_sign_in_link(conn, user_id, token, NOW)
    return user_id


def sign_in(database: Database, session: str, at: datetime, token: str = "link") -> User | None:
    with database.write() as conn:
        return users.open_session(conn, token, session, at)


def test_a_link_opens_a_session(database: Database) -> None:
    user_id = make_link(database)
    user = sign_in(database, "session", NOW)
    assert user == User(id=user_id, email="a@example.com", name="A", role="reviewer")
    with database.read() as conn:
        assert users.session_user(conn, "session", NOW + timedelta(hours=11)) == user
        assert users.session_user(conn, "session", NOW + timedelta(hours=12)) is None
        assert users.session_user(conn, "link", NOW) is None, "a link is no session"


def test_a_link_works_once_but_for_a_minute_of_grace(database: Database) -> None:
    make_link(database)
    assert sign_in(database, "first", NOW)
    assert sign_in(database, "second", NOW + timedelta(seconds=59))
    assert sign_in(database, "third", NOW + timedelta(seconds=60)) is None, "the minute counts from the first use"


@pytest.mark.parametrize(("token", "after"), [("other", timedelta()), ("link", users.LINK_LIFE), ("", timedelta())])
def test_unknown_and_old_links_open_nothing(database: Database, token: str, after: timedelta) -> None:
    make_link(database)
    assert sign_in(database, "session", NOW + after, token) is None
    with database.read() as conn:
        assert users.session_user(conn, "session", NOW + after) is None


def test_a_session_is_no_link(database: Database) -> None:
    make_link(database)
    assert sign_in(database, "session", NOW)
    assert sign_in(database, "another", NOW, token="session") is None


def test_only_hashes_are_stored(database: Database) -> None:
    make_link(database, "very-secret-link")
    sign_in(database, "very-secret-session", NOW, "very-secret-link")
    with database.read() as conn:
        stored = conn.execute(sign_ins.select()).all()
    assert len(stored) == 2
    assert "secret" not in str(stored)


def test_whoever_exists_keeps_the_role(database: Database) -> None:
    with database.write() as conn:
        first = users.ensure_user(conn, email="a@example.com", name="A", role="viewer")
        assert users.ensure_user(conn, email="a@example.com", name="B", role="admin") == first
        assert users.role_of(conn, first) == "viewer"


def test_roles_include_those_below() -> None:
    accountant = User(id=1, email="", name="", role="accountant")
    assert [role for role in users.ROLES if accountant.is_at_least(role)] == ["viewer", "reviewer", "accountant"]
    assert not User(id=1, email="", name="", role="").is_at_least("viewer")
