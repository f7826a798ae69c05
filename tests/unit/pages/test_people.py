"""Users and one's account, drawn without a browser."""

from pathlib import Path

from streamlit.testing.v1 import AppTest

from storage import users
from storage.engine import Database
from tests.unit.pages.test_pages import NOW, context, draw, own_main, said

__all__ = ["own_main"]


def find(database: Database, email: str) -> users.User:
    with database.read() as conn:
        found = users.find(conn, email=email)
    assert found is not None
    return found


def test_an_admin_adds_somebody_and_hands_over_the_link_once(sqlite_database: Database, tmp_path: Path) -> None:
    app = draw("users", context(sqlite_database))
    app.text_input(key="user-email").set_value("rita@example.com")
    app.text_input(key="user-name").set_value("Rita")
    app.selectbox(key="user-role").select("reviewer")
    press(app, "Add")
    (link,) = [each.value for each in app.code]
    with sqlite_database.write() as conn:
        rita = users.open_session(conn, link.partition("token=")[2], "hers", NOW)
    assert rita is not None
    assert rita.role == "reviewer"
    press(app, "I have copied it")
    assert not app.code
    app.selectbox(key=f"role-{rita.id}").select("accountant").run()
    assert find(sqlite_database, "rita@example.com").role == "accountant"


def test_the_only_admin_is_told_why_the_role_stays(sqlite_database: Database) -> None:
    app = draw("users", context(sqlite_database))
    admin = find(sqlite_database, "admin@example.com")
    app.selectbox(key=f"role-{admin.id}").select("viewer").run()
    assert "is the only admin" in said(app)
    assert next(box for box in app.selectbox if box.label == f"Role of {admin.name}").value == "admin"


def test_others_see_what_roles_may_do_and_can_change_nothing(sqlite_database: Database) -> None:
    app = draw("users", context(sqlite_database, "manager"))
    assert "changed by an admin" in said(app)
    assert not app.button
    assert not app.selectbox


def test_a_password_is_set_and_the_field_forgets_it(sqlite_database: Database) -> None:
    app = draw("account", context(sqlite_database, "viewer"))
    app.text_input(key="new").set_value("a few good words")
    press(app, "Set password")
    assert app.text_input(key="new").value == ""
    with sqlite_database.read() as conn:
        assert users.password_of(conn, "viewer@example.com", NOW) is not None


def press(app: AppTest, label: str) -> None:
    next(each for each in app.button if each.label == label).click().run()
    assert not app.exception
