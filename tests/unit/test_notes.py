"""Notes stay with their object, say who is asked, and decide nothing."""

from datetime import UTC, datetime

import pytest

from storage import audit_view, notes, review, search, users
from storage.engine import Database
from storage.search import Filter
from storage.users import User
from sync import noting
from sync.clock import FixedClock
from sync.commands import NotAllowedError, RefusedError
from tests import factories

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)


def person(database: Database, name: str, role: str) -> User:
    with database.write() as conn:
        user_id = users.ensure_user(conn, email=f"{name}@example.com", name=name, role=role)
    return User(id=user_id, email=f"{name}@example.com", name=name, role=role)


def test_a_question_is_on_the_list_of_whom_it_asks_until_it_is_answered(database: Database) -> None:
    where, clock = factories.seed_company(database, NOW).link_id, FixedClock(NOW)
    rita, otto = person(database, "rita", "reviewer"), person(database, "otto", "accountant")
    item, other = search.page(database, where).items[:2]
    before = review.detail(database, where, item.source_id)

    def asked(whom: User) -> list[str]:
        return [each.source_id for each in search.page(database, where, Filter(asked=whom.email)).items]

    noting.add_note(database, clock, rita, where, item.source_id, " Is this the deposit? ", otto.email)
    noting.add_note(database, clock, rita, where, other.source_id, "Seen.")
    assert (asked(otto), asked(rita)) == ([item.source_id], [])
    assert review.detail(database, where, item.source_id) == before, "it decides nothing"
    noting.add_note(database, clock, otto, where, item.source_id, "Yes.", rita.email)
    assert (asked(otto), asked(rita)) == ([], [item.source_id])
    noting.add_note(database, clock, rita, where, item.source_id, "Thanks.")
    assert asked(rita) == []
    said = notes.about(database, where, item.source_id)
    assert [(note.actor, note.text) for note in said] == [
        (rita.email, "Is this the deposit?"),
        (otto.email, "Yes."),
        (rita.email, "Thanks."),
    ]
    entries = audit_view.page(database, where, audit_view.Filter(subject=item.source_id, action="noted")).entries
    assert [entry.detail.get("asked") for entry in entries] == [None, rita.email, otto.email]


def test_who_may_not_is_refused(sqlite_database: Database) -> None:
    where, clock = factories.seed_link(sqlite_database, NOW).link_id, FixedClock(NOW)
    rita, viewer = (person(sqlite_database, role, role) for role in ("reviewer", "viewer"))
    with pytest.raises(NotAllowedError):
        noting.add_note(sqlite_database, clock, viewer, where, "ch_1", "Hm.")
    for text, whom in (("  ", None), ("Hm.", "nobody@example.com")):
        with pytest.raises(RefusedError):
            noting.add_note(sqlite_database, clock, rita, where, "ch_1", text, whom)
    with sqlite_database.write() as conn:
        users.change(conn, viewer.id, left_at=NOW)
    with pytest.raises(RefusedError, match="has no access"):
        noting.add_note(sqlite_database, clock, rita, where, "ch_1", "Hm.", viewer.email)
    assert notes.about(sqlite_database, where, "ch_1") == []
