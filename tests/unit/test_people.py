from datetime import timedelta
from pathlib import Path

import pytest

from storage import audit, users
from storage.engine import Database
from storage.models import audit as audit_table
from storage.users import User
from sync import passwords, people
from sync.commands import NotAllowedError, RefusedError
from sync.environment import Environment
from tests import factories

PASSWORD = "a few good words"


@pytest.fixture
def environment(sqlite_database: Database, tmp_path: Path) -> Environment:
    return factories.still_environment(sqlite_database, tmp_path)


@pytest.fixture
def admin(environment: Environment) -> User:
    with environment.database.write() as conn:
        user_id = users.ensure_user(conn, email="admin@example.com", name="Ada", role="admin")
    return User(id=user_id, email="admin@example.com", name="Ada", role="admin")


def enter(environment: Environment, link: str, session: str) -> User | None:
    with environment.database.write() as conn:
        return users.open_session(conn, link.partition("token=")[2], session, environment.clock.now())


def inside(environment: Environment, session: str) -> User | None:
    with environment.database.read() as conn:
        return users.session_user(conn, session, environment.clock.now())


def test_somebody_new_comes_in_by_a_link_and_stays_within_the_role(environment: Environment, admin: User) -> None:
    link = people.add(environment, admin, " Rita@Example.com ", "Rita", "reviewer")
    rita = enter(environment, link, "hers")
    assert rita is not None
    assert (rita.email, rita.role) == ("rita@example.com", "reviewer")
    with pytest.raises(NotAllowedError, match="admin"):
        people.change_role(environment, rita, rita.id, "admin")
    with pytest.raises(RefusedError, match="here already"):
        people.add(environment, admin, "RITA@example.com", "", "viewer")
    assert people.change_role(environment, admin, rita.id, "accountant")
    assert not people.change_role(environment, admin, rita.id, "accountant")
    now = inside(environment, "hers")
    assert now is not None
    assert now.role == "accountant", "also where she is signed in already"


@pytest.mark.parametrize("email", ["", "rita", "rita@", "rita@here", "a b@example.com", "x@example.com\nBcc: y@z.com"])
def test_what_is_no_address_is_refused(environment: Environment, admin: User, email: str) -> None:
    with pytest.raises(RefusedError, match="not an e-mail address"):
        people.add(environment, admin, email, "", "viewer")


def test_whoever_leaves_is_out_at_once_and_for_good(environment: Environment, admin: User) -> None:
    link = people.add(environment, admin, "rita@example.com", "Rita", "admin")
    rita = enter(environment, link, "hers")
    assert rita is not None
    people.set_password(environment, rita, users.digest("hers"), "", PASSWORD)
    unused = people.invite(environment, admin, rita.id)
    assert people.let_go(environment, admin, rita.id)
    assert not people.let_go(environment, admin, rita.id)
    assert inside(environment, "hers") is None
    assert enter(environment, unused, "again") is None
    with pytest.raises(NotAllowedError):
        people.invite(environment, rita, admin.id)
    with environment.database.read() as conn:
        assert users.password_of(conn, "rita@example.com", environment.clock.now()) is None
    with pytest.raises(RefusedError, match="Let them in again first"):
        people.invite(environment, admin, rita.id)
    assert people.take_back(environment, admin, rita.id)
    assert enter(environment, people.invite(environment, admin, rita.id), "back") is not None


def test_the_last_admin_stays(environment: Environment, admin: User) -> None:
    for action in (
        lambda: people.change_role(environment, admin, admin.id, "viewer"),
        lambda: people.let_go(environment, admin, admin.id),
    ):
        with pytest.raises(RefusedError, match="only admin"):
            action()
    people.add(environment, admin, "rita@example.com", "Rita", "admin")
    assert people.change_role(environment, admin, admin.id, "viewer")


def test_a_password_is_ones_own_and_signs_other_browsers_out(environment: Environment, admin: User) -> None:
    for token in ("first", "second"):
        enter(environment, people.invite(environment, admin, admin.id), token)
    with pytest.raises(RefusedError, match="12 to 200"):
        people.set_password(environment, admin, users.digest("first"), "", "short")
    with pytest.raises(RefusedError, match="no password"):
        people.set_password(environment, admin, users.digest("first"), "", "ADMIN@example.com")
    assert people.set_password(environment, admin, users.digest("first"), "", PASSWORD)
    assert inside(environment, "first") is not None
    assert inside(environment, "second") is None
    with pytest.raises(RefusedError, match="present password"):
        people.set_password(environment, admin, users.digest("first"), "wrong", "another few words")
    assert people.set_password(environment, admin, users.digest("first"), PASSWORD, "another few words")
    with environment.database.read() as conn:
        stored = users.password_of(conn, admin.email, environment.clock.now())
    assert stored is not None
    assert passwords.fits("another few words", stored)


def test_signing_out_ends_this_browser_alone(environment: Environment, admin: User) -> None:
    for token in ("first", "second"):
        enter(environment, people.invite(environment, admin, admin.id), token)
    people.sign_out(environment, admin, users.digest("first"))
    assert inside(environment, "first") is None
    assert inside(environment, "second") is not None


def test_the_audit_says_who_did_what_and_holds_no_secret(environment: Environment, admin: User) -> None:
    link = people.add(environment, admin, "rita@example.com", "Rita", "viewer")
    people.set_password(environment, admin, "", "", PASSWORD)
    with environment.database.read() as conn:
        assert audit.verify(conn) == []
        rows = conn.execute(audit_table.select().order_by(audit_table.c.id)).all()
    assert [(row.actor, row.action, row.subject) for row in rows] == [
        ("admin@example.com", "added a user", "user rita@example.com"),
        ("admin@example.com", "made a sign-in link", "user rita@example.com"),
        ("admin@example.com", "set a password", "user admin@example.com"),
    ]
    assert PASSWORD not in str(rows)
    assert link.partition("token=")[2] not in str(rows)


def test_wrong_passwords_lock_for_a_while(environment: Environment, admin: User) -> None:
    clock = environment.clock
    people.set_password(environment, admin, "", "", PASSWORD)
    with environment.database.write() as conn:
        for _ in range(users.TRIES):
            assert users.password_of(conn, admin.email, clock.now()) is not None
            assert users.open_session_by_password(conn, admin.email, "no", clock.now(), fits=None) is None
        assert users.password_of(conn, admin.email, clock.now()) is None
        later = clock.now() + users.LOCK + timedelta(seconds=1)
        stored = users.password_of(conn, admin.email, later)
        assert stored is not None
        assert users.open_session_by_password(conn, admin.email, "yes", later, fits=stored) is not None
        assert users.open_session_by_password(conn, admin.email, "no", later, fits="scrypt$of$before") is None
