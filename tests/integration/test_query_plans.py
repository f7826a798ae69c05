"""What a sync asks the database costs what it finds: no table is gone through again for each row of another."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import event, select

from storage import (
    audit_view,
    closes,
    connections,
    markers,
    measures,
    payouts,
    posted,
    problems,
    proof,
    queries,
    review,
    search,
    sending_view,
    settled,
    statistics,
    tallies,
)
from storage.engine import Database
from storage.models import legs, outbox
from tests.integration.conftest import Company
from tests.integration.test_rows import paid_charge, use

# Equal to one of these, nearly every row of a link is: an index on them alone finds everything there is.
COARSE = {"link_id", "connection_id", "kind", "state", "open", "deleted", "claimed"}
LOOP = re.compile(r"^(?:SCAN|SEARCH) (\S+)(.*)$")
EQUAL = re.compile(r"(\w+)=\?")


@pytest.fixture
def statements(sqlite_database: Database) -> Iterator[dict[str, Any]]:
    """Every SELECT that is made, with the last values it was made with."""
    seen: dict[str, Any] = {}

    def note(_: Any, __: Any, statement: str, values: Any, ___: Any, many: bool) -> None:
        if not many and "SELECT" in statement and not statement.startswith(("PRAGMA", "EXPLAIN")):
            seen[statement] = values

    event.listen(sqlite_database.engine, "before_cursor_execute", note)
    yield seen
    event.remove(sqlite_database.engine, "before_cursor_execute", note)


def repeated(plan: list[tuple[int, int, int, str]]) -> Iterator[str]:
    """The steps of a plan that are done once for each row of another step."""
    loops: dict[int, int] = {}
    correlated = set[int]()
    for step, parent, _, detail in plan:
        if detail.startswith("CORRELATED") or parent in correlated:
            correlated.add(step)
        if LOOP.match(detail):
            loops[parent] = loops.get(parent, 0) + 1
            if loops[parent] > 1 or parent in correlated:
                yield detail


def is_coarse(detail: str) -> bool:
    """Whether a step reads nearly all of a table: unless an index, or what a list has, narrows it down."""
    found = LOOP.match(detail)
    assert found
    if any(each in found[2] for each in ("AUTOMATIC", "USING INTEGER PRIMARY KEY", "VIRTUAL TABLE")):
        return False
    return set(EQUAL.findall(found[2])) <= COARSE


def look_at_pages(company: Company, charge: str) -> None:
    """What the pages read of the only link."""
    database, now = company.environment.database, company.environment.clock.now()
    [link] = queries.links(database)
    for show in ("waiting", "proposed", "ignored", "problems"):
        search.page(database, link.id, search.Filter(show=show, text="blue"))  # type: ignore[arg-type]
    review.detail(database, link.id, charge)
    posted.page(database, link.id)
    posted.detail(database, link.id, charge)
    posted.not_undone(database, link.id)
    problems.causes(database, link.id, now)
    payouts.page(database, link.id)
    audit_view.page(database, link.id, audit_view.Filter())
    audit_view.way(database, link.id, charge)
    measures.per_day(database, link.id, "USD")
    measures.speed(database, link.id)
    measures.entries(database, link.id, "USD", link.today(now), link.today(now), "fees")
    queries.tie_out(database, link.id, now)
    queries.totals(database, link.id)
    queries.activity(database, link.id, "USD")
    sending_view.view(database, link.id)
    with database.read() as conn:
        closes.pack(conn, link.id, now.date())
        list(settled.unasked(conn, connections.link(conn, link.id), now.date() - timedelta(days=60)))


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_no_table_is_gone_through_for_each_row_of_another(company: Company, statements: dict[str, Any]) -> None:
    charge = paid_charge(company)
    company.stripe.request("POST", "/v1/refunds", {"charge": charge, "amount": 500})
    use(company, "disputes", charge=charge)
    for _ in range(2):
        company.pass_time(days=4)
        company.sync()
    look_at_pages(company, charge)
    found = set()
    with company.environment.database.read() as conn:
        cursor = conn.connection.cursor()
        for statement, values in statements.items():
            plan = cursor.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
            found |= {(detail, statement) for detail in repeated(plan) if is_coarse(detail)}
    assert not found, "\n\n".join(f"{detail}\n{statement}" for detail, statement in sorted(found))


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_what_is_planned_is_found_among_what_was_posted_with_and_without_figures(company: Company) -> None:
    """A small database keeps none; a large one does after a sync, and then SQLite would go by the link."""
    paid_charge(company)
    company.sync()
    database = company.environment.database
    planned = select(outbox.c.id).where(markers.of_link(1), outbox.c.state == "planned")
    wanted = "USING INDEX ix_outbox_due (connection_id=? AND state=?)"
    assert wanted in plan_of(database, planned)
    assert not statistics.refresh(database)
    assert statistics.refresh(database, rows_min=1)
    with database.read() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM sqlite_stat1 WHERE tbl = 'outbox'").scalar()
    assert wanted in plan_of(database, planned)


def test_what_was_undone_is_found_among_what_was_posted(sqlite_database: Database) -> None:
    """In SQLite's own view the link would do as well, and everything it ever posted would be read for each day."""
    query = proof.undone_query(1)
    for _ in range(2):
        assert "USING INDEX ix_outbox_undoes" in plan_of(sqlite_database, query)
        assert statistics.refresh(sqlite_database, rows_min=0)


def test_a_day_is_counted_without_going_through_all_movements(
    sqlite_database: Database, statements: dict[str, Any]
) -> None:
    for _ in range(2):
        statements.clear()
        with sqlite_database.read() as conn:
            tallies.settled(conn, 1, legs.c.dated.in_([date(2026, 9, 1)]))
            [(statement, values)] = statements.items()
            steps = conn.connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
        plan = " | ".join(step[3] for step in steps)
        assert "USING INDEX ix_legs_dated (link_id=? AND dated=?)" in plan
        assert "ix_legs_movement" not in plan
        assert statistics.refresh(sqlite_database, rows_min=0)


def plan_of(database: Database, query: Any) -> str:
    with database.read() as conn:
        told = query.compile(conn, compile_kwargs={"literal_binds": True})
        return " | ".join(row[3] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {told}"))
