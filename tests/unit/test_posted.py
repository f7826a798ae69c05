"""The list of what was posted, and what it says of an undo."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from storage import connections, posted, undoing
from storage.engine import Database
from storage.posted import Detail
from storage.users import User
from sync import commands
from sync.clock import FixedClock
from sync.commands import RefusedError
from sync.undoing import undo_posted
from tests import factories
from tests.factories import Seeded

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
ADMIN = User(id=1, email="admin@example.com", name="Admin", role="admin")
on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def company(database: Database) -> Seeded:
    return factories.seed_company(database, NOW)


def a_fee(database: Database, company: Seeded) -> Detail:
    first = next(each for each in posted.page(database, company.link_id, size=500) if each.kind == "purchase")
    found = posted.detail(database, company.link_id, first.document_id)
    assert found is not None
    return found


def ask(database: Database, company: Seeded, seen: Detail, **said: Any) -> int:
    answers = {"is_reconciled": False} | said
    where = (company.link_id, seen.view.document_id, seen.undo.version, "Wrong customer")
    return undo_posted(database, FixedClock(NOW), ADMIN, *where, **answers)


def test_a_page_after_the_other_shows_each_document_once(database: Database, company: Seeded) -> None:
    whole = posted.page(database, company.link_id, size=1_000)
    first = posted.page(database, company.link_id, size=10)
    second = posted.page(database, company.link_id, size=10, before=first[-1].row_id)
    assert [*first, *second] == whole[:20]
    assert len({each.document_id for each in whole}) == len(whole)
    assert posted.page(database, company.link_id, size=1_000, before=whole[-1].row_id) == []


@on_sqlite
def test_words_and_amounts_are_found(database: Database, company: Seeded) -> None:
    seen = a_fee(database, company).view
    amount = f"{seen.amount_minor // 100:,}.{seen.amount_minor % 100:02}"
    for words in (seen.cause, seen.cause.upper(), amount, f"{amount} {seen.cause}"):
        found = posted.page(database, company.link_id, text=words)
        assert seen.document_id in [each.document_id for each in found], words
    assert posted.page(database, company.link_id, text="nothing-says-this") == []


@on_sqlite
def test_an_amount_is_meant_in_its_currency(database: Database, company: Seeded) -> None:
    seen = a_fee(database, company).view
    yen = text("UPDATE outbox SET posting = REPLACE(posting, '\"USD\"', '\"JPY\"') WHERE marker = :marker")
    with database.write() as conn:
        conn.execute(yen, {"marker": seen.marker})
    for figure, is_there in (
        (f"{seen.amount_minor:,}", True),
        (f"{seen.amount_minor // 100}.{seen.amount_minor % 100:02}", False),
    ):
        found = posted.page(database, company.link_id, text=figure, size=1_000)
        assert (seen.document_id in [each.document_id for each in found]) == is_there, figure


@on_sqlite
def test_an_undo_is_asked_for_and_called_off(database: Database, company: Seeded) -> None:
    seen = a_fee(database, company)
    assert seen.undo.obstacles == ()
    with pytest.raises(RefusedError, match="Say why"):
        undo_posted(
            database, FixedClock(NOW), ADMIN, company.link_id, seen.view.document_id, seen.undo.version, " ",
            is_reconciled=False,
        )  # fmt: skip
    with pytest.raises(RefusedError, match="changed since"):
        ask(database, company, seen, is_reconciled=True)  # what would be done then is something else
    decision_id = ask(database, company, seen)
    now = posted.detail(database, company.link_id, seen.view.document_id)
    assert now is not None
    assert (now.decision_id, now.may_be_called_off, now.view.is_being_undone) == (decision_id, True, True)
    assert commands.undo(database, FixedClock(NOW), ADMIN, decision_id)
    again = posted.detail(database, company.link_id, seen.view.document_id)
    assert again is not None
    assert (again.decision_id, again.undo.obstacles) == (None, ())
    assert posted.not_undone(database, company.link_id) == [], "a person called it off: there is nothing to tell"


@on_sqlite
def test_what_was_called_off_by_itself_is_told_until_it_is_asked_again(database: Database, company: Seeded) -> None:
    seen = a_fee(database, company)
    ask(database, company, seen)
    with database.write() as conn:
        link = connections.link(conn, company.link_id)
        (item,) = undoing.under_way(conn, link, seen.undo.leg_ids)
        undoing.call_off(conn, link, item, "Somebody changed it.", "tieout", NOW)
    (told,) = posted.not_undone(database, company.link_id)
    assert (told.document_id, told.problem) == (seen.view.document_id, "Somebody changed it.")
    ask(database, company, seen)
    assert posted.not_undone(database, company.link_id) == []


@on_sqlite
def test_without_posting_nothing_is_undone(database: Database, company: Seeded) -> None:
    with database.write() as conn:
        connections.switch_posting(conn, company.link_id, False)
    (obstacle,) = a_fee(database, company).undo.obstacles
    assert "Posting is switched off" in obstacle


@on_sqlite
def test_what_books_no_payment_of_its_own_cannot_be_undone(database: Database, company: Seeded) -> None:
    (opening,) = posted.page(database, company.link_id, text="opening-usd")
    found = posted.detail(database, company.link_id, opening.document_id)
    assert found is not None
    assert "It books no payment of its own" in found.undo.obstacles[0]
