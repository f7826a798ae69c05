"""A company file of QuickBooks Desktop on the page Connections: made, its password shown once, and how it does."""

from datetime import timedelta

from storage import connected, web_connectors
from storage.engine import Database
from sync import passwords
from tests.unit.pages.test_pages import NOW, context, draw, said


def test_a_company_file_is_connected_and_its_password_shown_once(sqlite_database: Database) -> None:
    app = draw("connections", context(sqlite_database))
    app.text_input(key="desktop-name").set_value("Larkspur Studio")
    next(each for each in app.button if each.label == "Connect a company file").click()
    app.run()
    assert not app.exception
    (shown,) = connected.all_of(sqlite_database)
    assert (shown.system, shown.name) == ("qbd", "Larkspur Studio")
    (password,) = [each.value for each in app.code if len(each.value) == passwords.LENGTH]
    with sqlite_database.read() as conn:
        assert passwords.fits(password, web_connectors.of(conn, shown.id).password_hash)
    assert "never came yet" in said(app)

    app.button(key="copied").click().run()
    assert password not in [each.value for each in app.code]

    app.button(key=f"pause-{shown.id}").click().run()
    assert "stopped" in said(app)
    app.button(key=f"password-{shown.id}").click().run()
    (newer,) = [each.value for each in app.code if len(each.value) == passwords.LENGTH]
    assert newer != password


def test_one_that_stays_away_for_more_than_three_intervals_says_how_to_bring_it_back(sqlite_database: Database) -> None:
    app = draw("connections", context(sqlite_database))
    app.text_input(key="desktop-name").set_value("Larkspur Studio")
    next(each for each in app.button if each.label == "Connect a company file").click()
    app.run()
    (shown,) = connected.all_of(sqlite_database)
    for silent, says in ((timedelta(minutes=15), False), (timedelta(minutes=16), True)):
        with sqlite_database.write() as conn:
            web_connectors.change(conn, shown.id, seen_at=NOW - silent, problem="A window waits.", problem_at=NOW)
        text = said(app.run())
        assert ("stays away" in text) == says
        assert "A window waits." in text
