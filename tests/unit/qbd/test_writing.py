"""A document of which QuickBooks never says whether it is there: asked for some times, then a person is."""

from datetime import UTC, date, datetime, timedelta

from reconcile.postings import Posting
from storage import outbox
from storage.engine import Database
from sync.clock import FixedClock, SeededRng
from sync.ports import Response
from sync.qbd.writing import SEARCHES_MAX, Writing
from tests import factories

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
LOST = Response(status=0, body="", lost="0x80040414 a window waits")


def test_a_search_that_always_fails_waits_for_a_person_with_its_reason(sqlite_database: Database) -> None:
    clock = FixedClock(NOW)
    seeded, writing = factories.seed_link(sqlite_database, NOW), Writing(clock, SeededRng(1), 60)
    posting = Posting(
        marker="txn_1:fee:r1:s1",
        kind="purchase",
        dated=date(2026, 11, 1),
        currency="USD",
        amount_minor=320,
        account_id=factories.CLEARING,
        memo="ch_1 txn_1",
    )
    with sqlite_database.write() as conn:
        outbox.plan(conn, link_id=seeded.link_id, connection_id=seeded.ledger_id, postings=[posting], at=NOW)
        item = outbox.by_marker(conn, seeded.ledger_id, [posting.marker])[posting.marker]
        assert outbox.claim(conn, item, request_id="r", body="<xml/>", search_from=NOW, at=NOW, lease_s=60)
        item = outbox.get(conn, item.id)
        assert outbox.record_doubt(conn, item, 1, at=NOW, problem="The answer was lost.")
        asked = 0
        while request := writing.next_doubtful(conn, seeded.ledger_id, f"visit {asked}"):
            asked += 1
            assert asked <= SEARCHES_MAX
            writing.accept(conn, request, LOST)
            clock.advance(timedelta(hours=1).total_seconds())
        assert asked == SEARCHES_MAX
        given_up = outbox.get(conn, item.id)
        assert given_up.state == "waiting"
        (row,) = conn.execute(outbox.outbox.select())
        assert "A window in QuickBooks waits for an answer" in row.problem
        assert "retry" in row.problem
        assert outbox.retry(conn, item.id)
        again = writing.next_doubtful(conn, seeded.ledger_id, "another visit")
        assert again is not None
        assert again.purpose == "status", "it is looked for again before anything is written"
