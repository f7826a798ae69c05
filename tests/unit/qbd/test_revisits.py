"""What is asked for again by its id: transfers one round a day, and nothing called gone that was only left out."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert

from storage import mirror
from storage.engine import Database
from storage.models import mirror as mirror_table
from sync.qbd import revisits
from tests import factories

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
FRESH = {"again": [], "n": 0}


@pytest.mark.parametrize("every", [timedelta(minutes=5), timedelta(hours=24)], ids=["all day", "once a day"])
def test_each_transfer_is_asked_for_once_a_day(sqlite_database: Database, every: timedelta) -> None:
    seeded = factories.seed_link(sqlite_database, NOW)
    ids = [f"transfer:{number:X}-1" for number in range(1, 251)]
    with sqlite_database.write() as conn:
        for each in ids:
            conn.execute(insert(mirror_table).values(_row(seeded.ledger_id, each)))
        mirror.claim(conn, seeded.ledger_id, ids[:-1])  # the last is nobody's business
    position, now, days = dict(FRESH), NOW, []
    for _ in range(3):
        asked: list[str] = []
        end = now + timedelta(hours=24)
        most = 0
        while now < end:
            with sqlite_database.read() as conn:
                position = revisits.begin(conn, seeded.ledger_id, position, 100, now) | {"at": now.isoformat()}
            most = max(most, len(position["again"]))
            while position["again"]:
                chunk = revisits.chunk(position, 100)
                assert len(chunk) <= 100
                asked += chunk
                position, gone = revisits.after(position, chunk, chunk, 0)
                assert gone == []
            now += every
        days.append((sorted(asked), most))
    asked, most = days[-1]
    assert set(asked) == set(ids[:-1])
    assert most <= (100 if every < timedelta(hours=1) else 2_400)


def _row(connection_id: int, object_id: str) -> dict[str, object]:
    return {
        "connection_id": connection_id, "kind": "transfer", "object_id": object_id, "record": {}, "raw": "",
        "digest": "", "version": 1, "deleted": False, "open": False, "claimed": False, "updated_at": NOW,
    }  # fmt: skip


def test_what_an_answer_leaves_out_is_asked_for_alone_before_it_is_called_gone() -> None:
    position = FRESH | {"again": ["transfer:1", "transfer:2", "transfer:3"], "alone": []}
    position, gone = revisits.after(position, revisits.chunk(position, 100), ["transfer:1"], 500)
    assert gone == []
    assert revisits.chunk(position, 100) == ["transfer:2"]
    position, gone = revisits.after(position, ["transfer:2"], ["transfer:2"], 0)
    assert gone == [], "it was left out because the answer ended"
    position, gone = revisits.after(position, revisits.chunk(position, 100), [], 500)
    assert (gone, position["again"]) == (["transfer:3"], [])


def test_documents_of_one_kind_are_asked_for_together() -> None:
    position = FRESH | {"again": ["invoice:1", "invoice:2", "payment:3"], "alone": []}
    assert revisits.chunk(position, 100) == ["invoice:1", "invoice:2"]
    position, _ = revisits.after(position, ["invoice:1", "invoice:2"], ["invoice:1", "invoice:2"], 0)
    assert revisits.chunk(position, 100) == ["payment:3"]
