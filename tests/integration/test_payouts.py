"""What the page Payouts reads, on both databases."""

from dataclasses import replace
from datetime import UTC, datetime

from reconcile.records import Fee, Movement, Payout, PayoutItems, Record
from storage import mirror, payouts
from storage.engine import Database
from tests import factories

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
BIG = 3_000_000_000_00  # more than 32 bits hold


def movement(name: str, category: str, gross: int, fee: int = 0) -> Movement:
    return Movement(
        id=f"txn_{name}",
        created_at=NOW,
        currency="USD",
        gross_minor=gross,
        fee_minor=fee,
        net_minor=gross - fee,
        fees=(Fee(kind="stripe_fee", amount_minor=fee),) if fee else (),
        category=category,
        type=category,
        source_id=f"src_{name}",
        status="available",
    )


PAYOUT = Payout(
    id="po_big",
    created_at=NOW,
    currency="USD",
    amount_minor=BIG - 40_00,
    status="paid",
    arrives_on=NOW.date(),
    automatic=True,
    movement_id="txn_out",
    trace_id="TRACE-77",
)
INSIDE = (
    movement("a", "charge", BIG, 30_00),
    movement("b", "charge", 20_00, 10_00),
    movement("c", "refund", -20_00),
    movement("out", "payout", -(BIG - 40_00)),
)


def store(database: Database, connection_id: int, *records: Record) -> None:
    kinds = {Payout: "payout", Movement: "movement", PayoutItems: "payout_items"}
    rows = [(kinds[type(each)], each.id, each, "{}") for each in records]  # type: ignore[union-attr]
    with database.write() as conn:
        mirror.store(conn, connection_id, rows, at=NOW, actor="test")


def test_a_payout_ties_to_what_stripe_lists_for_it_or_says_why_not(database: Database) -> None:
    seeded = factories.seed_link(database, NOW)
    items = PayoutItems(id="po_big", movement_ids=tuple(each.id for each in INSIDE))
    standing = []

    def look() -> payouts.Statement:
        found = payouts.statement(database, seeded.link_id, "po_big")
        assert found is not None
        standing.append((found.view.tie.standing, found.view.tie.rest_minor))
        return found

    assert payouts.statement(database, seeded.link_id, "po_big") is None
    store(database, seeded.processor_id, PAYOUT)
    assert look().lines == ()
    store(database, seeded.processor_id, items, *INSIDE[1:])
    look()
    store(database, seeded.processor_id, INSIDE[0])
    found = look()
    store(database, seeded.processor_id, replace(INSIDE[2], gross_minor=-19_99, net_minor=-19_99))
    look()
    assert standing[0] == ("not_itemised", 0)
    assert standing[1][0] == "unread"
    assert standing[2:] == [("ties", 0), ("apart", 1)]
    assert [(line.category, line.count, line.gross_minor, line.fee_minor, line.net_minor) for line in found.lines] == [
        ("charge", 2, BIG + 20_00, 40_00, BIG - 20_00),
        ("refund", 1, -20_00, 0, -20_00),
    ]


def test_payouts_are_filtered_and_paged_and_name_their_transfer_or_why_there_is_none(database: Database) -> None:
    seeded = factories.seed_company(database, NOW)
    link_id = seeded.link_id
    everything = payouts.page(database, link_id, size=100)
    days = [row.payout.arrives_on for row in everything.rows]
    assert days == sorted(days, reverse=True)
    assert everything.total == len(everything.rows) == 13
    paged = [payouts.page(database, link_id, number=number, size=5).rows for number in (1, 2, 3, 4)]
    assert tuple(row for rows in paged for row in rows) == everything.rows
    moving = payouts.page(database, link_id, bank="in_transit")
    assert {row.payout.status for row in moving.rows} == {"in_transit"}
    assert moving.total == sum(row.payout.status == "in_transit" for row in everything.rows) > 0
    store(database, seeded.processor_id, PAYOUT)
    assert [row.payout.id for row in payouts.page(database, link_id, text="TRACE-7").rows] == ["po_big"]
    assert payouts.page(database, link_id, text="%").total == 0
    assert payouts.page(database, link_id, currency="EUR").total == 0
    assert payouts.currencies(database, link_id) == ["USD"]
    posted = [row for row in everything.rows if row.document_ids]
    assert len(posted) > 5
    assert all(each.startswith("transfer:") for row in posted for each in row.document_ids)
    assert [row.payout.id for row in everything.rows if bool(row.waits) == bool(row.document_ids)] == []


def test_the_entries_of_a_payout_come_a_page_at_a_time(database: Database) -> None:
    seeded = factories.seed_link(database, NOW)
    items = PayoutItems(id="po_big", movement_ids=tuple(each.id for each in INSIDE))
    store(database, seeded.processor_id, PAYOUT, items, *INSIDE)
    ids = [
        each.movement.id
        for number in (1, 2, 3)
        for each in payouts.entries(database, seeded.link_id, "po_big", number=number, size=2)
    ]
    assert ids == sorted(each.id for each in INSIDE)
    [refund] = payouts.entries(database, seeded.link_id, "po_big", category="refund")
    assert (refund.movement.id, refund.states, refund.document_ids) == ("txn_c", (), ())
