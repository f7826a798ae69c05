from datetime import UTC, datetime

import pytest

from storage import audit, connections, outbox, queries, review, search, users
from storage.engine import Database
from storage.models import audit as audit_table
from storage.search import Filter
from storage.users import User
from sync import commands
from sync.clock import FixedClock
from tests import factories

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
CLOCK = FixedClock(NOW)


def user(database: Database, role: str) -> User:
    with database.write() as conn:
        user_id = users.ensure_user(conn, email=f"{role}@example.com", name=role, role=role)
    return User(id=user_id, email=f"{role}@example.com", name=role, role=role)


def actions(database: Database) -> list[tuple[str, str]]:
    with database.read() as conn:
        assert audit.verify(conn) == []
        rows = conn.execute(audit_table.select().order_by(audit_table.c.id)).all()
    return [(row.actor, row.action) for row in rows]


def test_run_now_queues_one_run(database: Database) -> None:
    seeded = factories.seed_link(database, NOW)
    accountant = user(database, "accountant")
    assert commands.run_now(database, CLOCK, accountant, seeded.link_id)
    assert not commands.run_now(database, CLOCK, accountant, seeded.link_id), "it is queued already"
    [run] = queries.history(database, seeded.link_id)
    assert (run.cause, run.state, run.scheduled_for) == ("accountant@example.com", "queued", NOW)
    assert actions(database) == [("accountant@example.com", "asked for a sync")]


def test_books_that_share_a_connection_are_synced_together(database: Database) -> None:
    """Those under way are left out, and counted by nobody."""
    seeded, person = factories.seed_link(database, NOW), user(database, "accountant")
    second = factories.add_link(database, seeded, NOW, "Another shop")
    with database.write() as conn:
        other = connections.add_connection(
            conn, system="qbo", external_id="2", name="Another company", mode="emulated", settings={}, at=NOW
        )
    third = factories.add_link(database, seeded, NOW, "A third shop", other)
    assert commands.run_connection(database, CLOCK, person, seeded.processor_id) == 1
    assert commands.run_connection(database, CLOCK, person, seeded.ledger_id) == 1
    assert commands.run_all(database, CLOCK, person) == 1
    assert [len(queries.history(database, each)) for each in (seeded.link_id, second, third)] == [1, 1, 1]
    assert actions(database) == [("accountant@example.com", "asked for a sync")] * 3


@pytest.mark.parametrize("role", ["viewer", "reviewer"])
def test_roles_below_accountant_may_not(sqlite_database: Database, role: str) -> None:
    seeded, person = factories.seed_link(sqlite_database, NOW), user(sqlite_database, role)
    assert not commands.may(person, "run_now")
    for command in (
        lambda: commands.run_now(sqlite_database, CLOCK, person, seeded.link_id),
        lambda: commands.run_all(sqlite_database, CLOCK, person),
        lambda: commands.switch_posting(sqlite_database, CLOCK, person, seeded.link_id, False),
        lambda: commands.retry_posting(sqlite_database, CLOCK, person, 1),
    ):
        with pytest.raises(commands.NotAllowedError, match="accountant"):
            command()
    assert actions(sqlite_database) == []
    assert queries.history(sqlite_database, seeded.link_id) == []


def test_the_role_of_this_moment_counts(sqlite_database: Database) -> None:
    seeded, person = factories.seed_link(sqlite_database, NOW), user(sqlite_database, "viewer")
    claims = User(id=person.id, email=person.email, name=person.name, role="admin")
    with pytest.raises(commands.NotAllowedError):
        commands.run_now(sqlite_database, CLOCK, claims, seeded.link_id)


def test_switch_posting_takes_an_accountant_who_has_opened_the_dry_run(database: Database) -> None:
    seeded, person = factories.seed_link(database, NOW, posting_on=False), user(database, "accountant")
    assert not commands.open_dry_run(database, CLOCK, user(database, "reviewer"), seeded.link_id)
    with pytest.raises(commands.RefusedError, match="Look at the dry run first"):
        commands.switch_posting(database, CLOCK, person, seeded.link_id, True)
    assert commands.open_dry_run(database, CLOCK, person, seeded.link_id)
    assert commands.switch_posting(database, CLOCK, person, seeded.link_id, True)
    assert not commands.switch_posting(database, CLOCK, person, seeded.link_id, True)
    with database.read() as conn:
        assert connections.link(conn, seeded.link_id).posting_on
    assert commands.switch_posting(database, CLOCK, person, seeded.link_id, False)
    assert [action for _, action in actions(database)] == [
        "opened the dry run",
        "switched posting on",
        "switched posting off",
    ]


def test_retry_posting(database: Database) -> None:
    seeded, person = factories.seed_company(database, NOW), user(database, "accountant")
    [item] = search.page(database, seeded.link_id, Filter(reason="refused")).items
    detail = review.detail(database, seeded.link_id, item.source_id)
    assert detail is not None
    [posting] = detail.postings
    assert commands.retry_posting(database, CLOCK, person, posting.id)
    assert not commands.retry_posting(database, CLOCK, person, posting.id)
    with database.read() as conn:
        assert outbox.get(conn, posting.id).state == "planned"
    assert review.detail(database, seeded.link_id, item.source_id) is None, "it waits for nobody now"
    assert actions(database)[-1] == ("accountant@example.com", "retried")
