"""Audit: the log looked through by what the address says, the whole way of a record, the chain, the spreadsheet."""

import csv
import io
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Connection, func, select, update
from streamlit.testing.v1 import AppTest

from pages import audit
from pages.tables import as_csv
from storage import audit as log
from storage import audit_view
from storage.audit_view import Filter
from storage.engine import Database
from storage.models import audit as table
from storage.models import audit_checks, outbox
from sync import auditing, commands
from sync.clock import FixedClock
from tests import factories
from tests.unit.pages.test_pages import NOW, context, draw, environment, own_main, press, said

__all__ = ["own_main"]  # a fixture
LINK = 1


def column(test: AppTest, name: str) -> list[str]:
    values: list[str] = test.dataframe[0].value[name].tolist()
    return values


def add(database: Database, *entries: log.Entry) -> None:
    with database.write() as conn:
        log.append(conn, NOW, entries)


def switched_off(database: Database) -> str:
    """A person does something; gives who."""
    shown = context(database, role="accountant")
    assert shown.link is not None
    assert commands.switch_posting(database, FixedClock(NOW), shown.user, shown.link.id, False)
    return shown.user.email


def test_the_address_says_what_is_shown(demo: Database) -> None:
    who = switched_off(demo)
    shown = context(demo, role="viewer")
    assert column(draw("audit", shown), "Who")[0] == who, "the newest first"
    assert "tieout" not in column(draw("audit", shown), "Who"), "people, unless somebody asks for the systems too"
    assert set(column(draw("audit", shown, actor="tieout"), "Who")) == {"tieout"}
    assert column(draw("audit", shown, action="switched posting off"), "Record") == ["link 1"]
    assert column(draw("audit", shown, q="POSTING off"), "Who") == [who]
    assert "No entry fits" in said(draw("audit", shown, to="2026-11-01"))
    assert column(draw("audit", shown, **{"from": "2026-11-02", "to": "2026-11-02"}), "Who")[0] == who
    draw("audit", shown, actor="nobody", action="x", **{"from": "x"}, before="x", entry="99", q="%_")


def test_pages_go_along_the_ids(demo: Database) -> None:
    with demo.read() as conn:
        all_ids = list(conn.execute(select(table.c.id).order_by(table.c.id.desc())).scalars())

    def ids(**place: int) -> list[int]:
        found = audit_view.page(demo, LINK, Filter(), size=100, **place)
        return [each.id for each in found.entries]

    walked, page = [], audit_view.page(demo, LINK, Filter(), size=100)
    assert page.newer is None
    while True:
        walked += [each.id for each in page.entries]
        if page.older is None:
            break
        page = audit_view.page(demo, LINK, Filter(), size=100, before=page.older)
    assert walked == all_ids
    assert ids(after=all_ids[100]) == all_ids[:100], "back to where one came from"
    test = draw("audit", context(demo), actor="all")
    press(test, "Older →")
    assert test.query_params["before"] == str(all_ids[49])


def test_a_record_shows_its_whole_way(demo: Database) -> None:
    with demo.read() as conn:
        posted = conn.execute(select(outbox).where(outbox.c.state == "posted", outbox.c.kind == "payment")).first()
    assert posted is not None
    source_id = next(word for word in posted.posting["memo"].split() if word.startswith("ch_"))
    steps = audit_view.way(demo, LINK, source_id)
    assert {step.name for step in steps} == {"stored", "match", "leg", "posting", "audit"}
    assert posted.document_id in {step.document_id for step in steps}
    assert audit_view.way(demo, LINK, posted.document_id), "also from the books' side"
    test = draw("audit", context(demo), record=source_id)
    assert f"{posted.marker} payment dated {posted.dated}: posted as {posted.document_id}" in said(test)
    actions = set(column(test, "What"))
    assert {"stored", "planned"} <= actions, "and what the log says of it, whoever did it"
    assert "Nothing is known of ch_gone" in said(draw("audit", context(demo), record="ch_gone"))


def test_an_entry_is_shown_with_what_it_is_about(demo: Database) -> None:
    test = draw("audit", context(demo), actor="tieout", entry="1000000")
    assert "There is no entry 1,000,000" in said(test)
    with demo.read() as conn:
        planned = conn.execute(select(table).where(table.c.action == "planned")).first()
    assert planned is not None
    text = said(draw("audit", context(demo), actor="tieout", entry=str(planned.id)))
    assert planned.hash[:12] in text
    assert "Posting" in text


def test_the_chain_is_verified_on_from_where_it_was(demo: Database) -> None:
    test = draw("audit", context(demo, role="viewer"))
    assert "not verified yet" in said(test)
    press(test, "Verify the log")
    first = audit_view.checked(demo, environment(demo).vault)
    assert (first.entry_id, first.problem) == (first.last_id, None)
    assert f"Chain verified up to entry {first.entry_id:,} of {first.last_id:,}" in said(test)

    add(demo, *(log.Entry(actor="a@example.com", action="did", subject="x") for _ in range(3)))
    test = draw("audit", context(demo))
    press(test, "Verify 3 new entries")
    assert audit_view.checked(demo, environment(demo).vault).entry_id == first.entry_id + 3

    with demo.write() as conn:  # behind the application's back
        conn.execute(table.delete().where(table.c.id == first.entry_id + 3))
    add(demo, log.Entry(actor="b@example.com", action="did", subject="y"))
    press(draw("audit", context(demo)), "Verify all again")
    assert audit_view.checked(demo, environment(demo).vault).problem is None, "what is left hangs together"
    assert auditing.verify(environment(demo), "test") == []
    with demo.write() as conn:
        conn.execute(update(table).where(table.c.id == 2).values(actor="nobody"))
    assert auditing.verify(environment(demo), "test") == [], "verified before"
    (wrong,) = auditing.verify(environment(demo), "test", anew=True)
    assert wrong.startswith("Audit entry 2 ")
    assert "Audit entry 2 " in said(draw("audit", context(demo)))


def test_entries_removed_from_the_end_are_missed(demo: Database) -> None:
    assert auditing.verify(environment(demo), "test") == []
    with demo.write() as conn:
        last = audit_view.table.c.id
        conn.execute(table.delete().where(last > 10))
    (wrong,) = auditing.verify(environment(demo), "test")
    assert "is not the one that was verified before" in wrong


def test_a_whole_other_chain_is_not_the_one_that_was_verified(demo: Database) -> None:
    """Somebody who can write to the database, but has no key, computes every hash anew, and those of the checks too."""
    here = environment(demo)
    assert auditing.verify(here, "test") == []
    add(demo, log.Entry(actor="a@example.com", action="did", subject="x"))
    assert auditing.verify(here, "test") == []
    with demo.write() as conn:
        assert conn.execute(select(func.count()).select_from(audit_checks)).scalar() == 1, "no older one to go back to"
        conn.execute(update(table).where(table.c.id == 2).values(actor="nobody"))
        forge(conn)
        assert log.verify(conn) == [], "by itself it is whole"
        last = log.Mark(*conn.execute(select(table.c.id, table.c.hash).order_by(table.c.id.desc()).limit(1)).one())
    assert "is not the one that was verified before" in auditing.verify(here, "test")[0]
    with demo.write() as conn:
        conn.execute(update(audit_checks).values(entry_id=last.entry_id, entry_hash=last.hash, problem=None))
    assert auditing.verify(here, "test") == [log.NOT_OURS]
    shown = draw("audit", context(demo))
    assert log.NOT_OURS in said(shown)
    press(shown, "Verify all again")
    assert auditing.verify(here, "test") == [], "somebody has seen it"


def forge(conn: Connection) -> None:
    previous = log.START
    for row in conn.execute(select(table).order_by(table.c.id)).all():
        names = ("actor", "action", "subject", "link_id", "detail", "digest")
        made = log.chain(previous, row.at, log.Entry(**{name: getattr(row, name) for name in names}))
        conn.execute(update(table).where(table.c.id == row.id).values(previous=previous, hash=made))
        previous = made


def test_the_spreadsheet_has_what_fits_and_no_formulas(sqlite_database: Database) -> None:
    factories.seed_link(sqlite_database, NOW)
    evil = log.Entry(actor="=cmd()", action="did", subject="@x", detail={"note": 'a, "b"\n-c'})
    add(sqlite_database, evil, replace(evil, actor="somebody"))
    shown = context(sqlite_database, role="viewer")
    assert shown.link is not None
    wanted = Filter(actor="=cmd()")
    found = auditing.export(sqlite_database, FixedClock(NOW + timedelta(days=1)), shown.user, shown.link.id, wanted)
    head, row = csv.reader(io.StringIO(as_csv(audit.csv_frame(found, shown.link))))
    assert head[:5] == ["Entry", "When", "Who", "What", "Record"]
    assert row[1:5] == ["2026-11-02T07:00:00-05:00", "'=cmd()", "did", "'@x"]
    (exported,) = audit_view.page(sqlite_database, shown.link.id, Filter(action="exported the audit log")).entries
    assert (exported.actor, exported.detail) == (shown.user.email, {"actor": "=cmd()"})
