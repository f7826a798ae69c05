"""Each step of a payment's way is durable once and only once, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import update

from reconcile.postings import Leg, LegDecision, Mappings, Policies, Posting, Share
from reconcile.records import Customer, Document
from storage import audit, connections, inbox, legs, mirror, outbox, runs
from storage.engine import Database
from storage.legs import MovementFacts
from storage.models import audit as audit_table
from sync.clock import FixedClock, SeededRng
from sync.deciding import decide
from sync.qbo.writing import ABSENT, Writing

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
POSTING = Posting(
    marker="txn_1:charge:r1:s1",
    kind="payment",
    dated=date(2026, 11, 2),
    currency="USD",
    amount_minor=10_000,
    account_id="35",
    memo="ch_1 txn_1",
    party_id="20",
    shares=(Share(leg_id="txn_1:gross", amount_minor=10_000),),
)


@pytest.fixture
def link(database: Database) -> connections.Link:
    with database.write() as conn:
        ids = [
            connections.add_connection(
                conn, system=system, external_id=system, name=system, mode="test", settings={}, at=NOW
            )
            for system in ("stripe", "qbo")
        ]
        link_id = connections.add_link(
            conn,
            processor_id=ids[0],
            ledger_id=ids[1],
            name="test",
            cutover=date(2026, 9, 1),
            time_zone="Etc/UTC",
            mappings=Mappings(clearing={"USD": "35"}),
            policies=Policies(),
            posting_on=True,
        )
        return connections.link(conn, link_id)


def plan(database: Database, link: connections.Link, *postings: Posting) -> int:
    with database.write() as conn:
        connections.record_decided(conn, link.id, connections.link(conn, link.id).revision)
        return outbox.plan(conn, link_id=link.id, connection_id=link.ledger_id, postings=postings, at=NOW)


def claim(database: Database, link: connections.Link, at: datetime = NOW) -> outbox.Item | None:
    with database.write() as conn:
        item = next(iter(outbox.ready(conn, link.ledger_id, at)), None)
        if item is None or not outbox.claim(conn, item, request_id="r", body="{}", search_from=at, at=at, lease_s=60):
            return None
        return outbox.get(conn, item.id)


def switch(database: Database, link: connections.Link, *, on: bool) -> None:
    with database.write() as conn:
        connections.change_link(conn, link.id, posting_on=on)
        connections.record_decided(conn, link.id, connections.link(conn, link.id).revision)


def test_nothing_is_sent_on_an_older_view_than_the_last(database: Database, link: connections.Link) -> None:
    plan(database, link, POSTING)
    with database.write() as conn:
        mirror.touch_links(conn, link.ledger_id)
    assert claim(database, link) is None
    with database.write() as conn:
        assert outbox.withdraw(conn, link.id) == [POSTING]
    changed = replace(POSTING, amount_minor=5_000)
    assert plan(database, link, changed) == 1
    claimed = claim(database, link)
    assert claimed is not None
    assert claimed.posting == changed
    with database.write() as conn:
        assert outbox.withdraw(conn, link.id) == []  # on its way: it stays what it was


def test_a_marker_is_planned_once(database: Database, link: connections.Link) -> None:
    assert plan(database, link, POSTING) == 1
    assert plan(database, link, POSTING, replace(POSTING, amount_minor=1)) == 0


def test_of_many_workers_one_gets_the_row(database: Database, link: connections.Link) -> None:
    plan(database, link, POSTING)
    with ThreadPoolExecutor(6) as pool:
        claimed = [item for item in pool.map(lambda _: claim(database, link), range(12)) if item]
    assert [item.attempt for item in claimed] == [1]


def test_a_worker_that_slept_past_its_lease_cannot_overwrite_its_successor(
    database: Database, link: connections.Link
) -> None:
    plan(database, link, POSTING)
    slept = claim(database, link)
    assert slept is not None
    with database.write() as conn:
        assert outbox.doubt_expired(conn, link.ledger_id, LATER) == 1
        (doubtful,) = outbox.doubtful(conn, link.ledger_id, LATER)
        assert outbox.claim(conn, doubtful, request_id="other", body="other", search_from=LATER, at=LATER, lease_s=60)
        assert not outbox.record_refused(
            conn, slept.id, slept.attempt, problem="late", technical="", nothing_written=True
        )
        again = outbox.get(conn, slept.id)
    assert (again.request_id, again.body, again.attempt) == ("r", "{}", 2)  # the bytes frozen at the first claim


def test_nothing_is_sent_before_its_predecessor_or_while_posting_is_off(
    database: Database, link: connections.Link
) -> None:
    second = replace(POSTING, marker="txn_2:refund:r1:s1", after=POSTING.marker)
    plan(database, link, second, POSTING)
    switch(database, link, on=False)
    assert claim(database, link) is None
    switch(database, link, on=True)
    first = claim(database, link)
    assert first is not None
    assert first.posting == POSTING
    assert claim(database, link) is None
    with database.write() as conn:
        assert outbox.record_posted(conn, [outbox.Written(first.id, first.attempt, "payment:1", "0", None)], NOW)
    later = claim(database, link)
    assert later is not None
    assert later.posting == second


def test_what_was_certainly_refused_is_built_anew_what_may_be_written_is_looked_for(
    database: Database, link: connections.Link
) -> None:
    plan(database, link, POSTING)
    for certain, state in ((True, "planned"), (False, "doubtful")):
        item = claim(database, link)
        assert item is not None
        with database.write() as conn:
            outbox.record_refused(conn, item.id, item.attempt, problem="no", technical="", nothing_written=certain)
            assert outbox.retry(conn, item.id)
            assert outbox.get(conn, item.id).state == state


def test_a_leg_is_posted_when_all_of_its_postings_are(database: Database, link: connections.Link) -> None:
    leg = Leg(
        id="txn_1:gross", movement_id="txn_1", kind="gross", category="charge", currency="USD", amount_minor=10_000
    )
    markers = (POSTING.marker, "txn_1:charge:r1:s2")
    decision = LegDecision(leg=leg, state="waiting", reason="queued", detail="-", source_id="ch_1", markers=markers)
    facts = {
        "txn_1": MovementFacts(dated=date(2026, 11, 2), created_at=NOW, before_cutover=False, balance_type="payments")
    }
    plan(database, link, POSTING, replace(POSTING, marker=markers[1]))
    with database.write() as conn:
        assert legs.record(conn, link.id, [decision], facts, NOW) == [decision]
        assert legs.record(conn, link.id, [decision], facts, NOW) == []  # nothing new, so no audit
    for number in (1, 2):
        item = claim(database, link)
        assert item is not None
        with database.write() as conn:
            outbox.record_posted(conn, [outbox.Written(item.id, item.attempt, f"payment:{number}", "0", None)], NOW)
            legs.record_posted(conn, link.id, [leg.id])
            (row,) = legs.of_sources(conn, link.id, ["ch_1"])
        assert row.state == ("waiting" if number == 1 else "posted")


def test_the_mirror_changes_and_audits_only_what_changed(database: Database, link: connections.Link) -> None:
    blue = ("customer", "cus_1", Customer(id="cus_1", name="Blue Foods"), "{}")

    def store(*objects: tuple[str, str, Customer | Document | None, str]) -> int:
        with database.write() as conn:
            return len(mirror.store(conn, link.processor_id, objects, at=NOW, actor="test"))

    assert store(blue) == 1
    assert store(blue) == 0
    assert store(("customer", "cus_1", Customer(id="cus_1", name="Blue Foods Ltd"), "{}")) == 1
    assert store(("customer", "cus_1", None, "")) == 1
    with database.read() as conn:
        assert mirror.load(conn, link.processor_id, "customer", ["cus_1"]) == {}
        assert connections.link(conn, link.id).revision == link.revision + 3
        assert audit.verify(conn) == []


@pytest.mark.parametrize("column", ["actor", "subject", "digest", "detail"])
def test_a_changed_audit_entry_is_found(database: Database, column: str) -> None:
    with database.write() as conn:
        entries = [audit.Entry(actor="a", action="b", subject=str(number), digest="d") for number in range(3)]
        audit.append(conn, NOW, entries)
        audit.append(conn, LATER, entries)
        assert audit.verify(conn) == []
        value = {"x": 1} if column == "detail" else "changed"
        conn.execute(update(audit_table).where(audit_table.c.id == 2).values({column: value}))
        assert len(audit.verify(conn)) == 1


def test_a_removed_audit_entry_is_found(database: Database) -> None:
    with database.write() as conn:
        audit.append(conn, NOW, [audit.Entry(actor="a", action="b", subject=str(number)) for number in range(3)])
        conn.execute(audit_table.delete().where(audit_table.c.id == 2))
        assert len(audit.verify(conn)) == 1


def test_what_is_half_sent_is_finished_as_it_was_planned(database: Database, link: connections.Link) -> None:
    """A leg that two documents share: one is in the books, so the other is not decided without it."""
    postings = [
        replace(POSTING, marker=f"txn_1:charge:r1:s{step}", shares=(Share(leg_id="txn_1:gross", amount_minor=5_000),))
        for step in (1, 2)
    ]
    plan(database, link, *postings, replace(POSTING, marker="txn_2:charge:r1:s1", shares=()))
    leg = Leg(
        id="txn_1:gross", movement_id="txn_1", kind="gross", category="charge", currency="USD", amount_minor=10_000
    )
    markers = tuple(posting.marker for posting in postings)
    decision = LegDecision(leg=leg, state="waiting", reason="queued", detail="", source_id="ch_1", markers=markers)
    facts = MovementFacts(dated=date(2026, 11, 2), created_at=NOW, before_cutover=False, balance_type="payments")
    with database.write() as conn:
        legs.record(conn, link.id, [decision], {"txn_1": facts}, NOW)
        first, *_ = outbox.ready(conn, link.ledger_id, NOW)
        outbox.claim(conn, first, request_id="r", body="{}", search_from=NOW, at=NOW, lease_s=60)
        outbox.record_posted(conn, [outbox.Written(first.id, 1, "payment:1", "0", None)], NOW)
        connections.change_link(conn, link.id)
    decide(database, FixedClock(NOW), link.id)
    with database.read() as conn:
        found = outbox.by_marker(conn, link.ledger_id, [*markers, "txn_2:charge:r1:s1"])
        assert [found[marker].state for marker in sorted(found)] == ["posted", "planned", "withdrawn"]
        (row,) = legs.of_sources(conn, link.id, ["ch_1"])
    assert row.markers == list(markers)


def test_nothing_is_sent_again_while_posting_is_off(database: Database, link: connections.Link) -> None:
    plan(database, link, POSTING)
    writing = Writing(FixedClock(NOW), SeededRng(), lease_s=150)
    with database.write() as conn:
        (item,) = outbox.ready(conn, link.ledger_id, NOW)
        outbox.claim(conn, item, request_id="r", body="{}", search_from=NOW, at=NOW, lease_s=60)
        outbox.record_doubt(conn, outbox.get(conn, item.id), 1, at=NOW, problem="lost")
        outbox.record_look_up(conn, outbox.get(conn, item.id), ABSENT)
        connections.switch_posting(conn, link.id, on=False)
        assert writing.next_doubtful(conn, link.ledger_id) is None
        connections.switch_posting(conn, link.id, on=True)
        request = writing.next_doubtful(conn, link.ledger_id)
    assert request is not None
    assert request.kind == "write"


def test_an_event_counts_once_whoever_brings_it(database: Database, link: connections.Link) -> None:
    event = {"event_id": "evt_1", "type": "charge.updated", "kind": "charge", "object_id": "ch_1", "occurred_at": NOW}
    with database.write() as conn:
        assert inbox.receive(conn, link.processor_id, [event], channel="webhook", at=NOW) == 1
        assert inbox.receive(conn, link.processor_id, [event], channel="poll", at=NOW) == 0
        (due,) = inbox.due(conn, link.processor_id, NOW)
        inbox.finish(conn, [due.id])
        assert inbox.due(conn, link.processor_id, NOW) == []


def test_one_run_a_due_time_and_one_at_work_a_link(database: Database, link: connections.Link) -> None:
    def enqueue(at: datetime) -> bool:
        with database.write() as conn:
            return runs.enqueue(conn, link_id=link.id, kind="sync", cause="schedule", scheduled_for=at)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lambda _: enqueue(NOW), range(8))) == 1
    assert enqueue(LATER)

    def take(at: datetime) -> runs.Run | None:
        with database.write() as conn:
            return runs.take(conn, at, 60)

    first = take(NOW)
    assert first is not None
    assert take(NOW) is None  # the other waits for it
    resumed = take(LATER)  # its worker is gone
    assert resumed is not None
    assert resumed.id == first.id
    with database.write() as conn:  # it was only slow, but the run is not its any more
        assert runs.report(conn, first, step="", counts={}, at=LATER, lease_s=60) is None
        runs.finish(conn, first, counts={}, at=LATER)
    assert take(LATER) is None
    with database.write() as conn:
        runs.finish(conn, resumed, counts={}, at=LATER)
    second = take(LATER)
    assert second is not None
    assert second.id != first.id
