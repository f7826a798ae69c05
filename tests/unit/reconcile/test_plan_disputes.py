"""Rows 11 to 13 and 18: what Stripe takes and may give back."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from reconcile.frames import processor_frame
from reconcile.postings import ROLES, Plan, Policies, Posting, Share
from reconcile.records import Dispute, Document, Movement
from reconcile.snapshot import DisputeBooks, OpenDispute, Opening, Snapshot
from tests.unit.reconcile.test_plan import MAPPINGS, NOON, decide, movement, only, reasons, snapshot

MAPPED = replace(MAPPINGS, accounts={role: role for role in ROLES})


def dispute(status: str = "needs_response", *movement_ids: str) -> Dispute:
    return Dispute(
        id="du_1",
        created_at=NOON,
        currency="USD",
        amount_minor=10_000,
        status=status,
        charge_id="ch_1",
        movement_ids=movement_ids,
    )


def disputed(moved: list[Movement], found: Dispute, **rest: object) -> Snapshot:
    return snapshot(moved, [], mappings=MAPPED, disputes={found.id: found}, **rest)


WITHDRAWN = movement("txn_3", "du_1", -10_000, 1_500, "dispute")


def lines(posting: Posting) -> dict[str | None, int]:
    return {line.account_id: line.amount_minor for line in posting.lines}


def entries(plan: Plan) -> dict[str, dict[str | None, int]]:
    return {posting.marker: lines(posting) for posting in plan.postings}


def test_row_11_a_withdrawal_is_one_entry_of_both_its_legs() -> None:
    found = decide(disputed([WITHDRAWN], dispute("needs_response", "txn_3")))
    entry = only(found, "journal_entry")
    assert lines(entry) == {"clearing": -11_500, "disputes_receivable": 10_000, "dispute_fees": 1_500}
    assert set(entry.shares) == {
        Share(leg_id="txn_3:gross", amount_minor=-10_000),
        Share(leg_id="txn_3:stripe_fee", amount_minor=-1_500),
    }
    assert entry.dated == date(2026, 9, 14)
    assert "du_1" in entry.memo


def test_row_12_a_return_after_its_withdrawal_was_settled_is_compared_by_its_own_amount() -> None:
    back = movement("txn_4", "du_1", 6_000, 0, "dispute_reversal")
    won = dispute("won", "txn_3", "txn_4")
    rows = processor_frame("1", [], [], [won], [], [back], [], [], [])
    assert rows.select("id", "amount_minor").rows() == [("txn_4", 6_000)]
    later = movement("txn_5", "du_1", -500, 0, "dispute")
    rows = processor_frame("1", [], [], [dispute("lost", "txn_3", "txn_5")], [], [later], [], [], [])
    assert rows.select("id", "amount_minor").rows() == [("du_1", -500)]


def test_row_11_a_withdrawal_in_question_can_still_be_posted_after_its_fee() -> None:
    lookalike = Document(
        id="journal_entry:9",
        kind="journal_entry",
        ledger_id="9",
        version="0",
        currency="USD",
        amount_minor=9_000,
        dated=date(2026, 9, 14),
        external_ids=("du_1",),
    )
    asked = disputed([WITHDRAWN], dispute("lost", "txn_3"))
    found = decide(replace(asked, documents={lookalike.id: lookalike}))
    assert reasons(found)["txn_3:gross"] == "AMOUNT_DIFF"
    fee = only(found, "journal_entry")
    assert lines(fee) == {"clearing": -1_500, "dispute_fees": 1_500}
    again = decide(replace(asked, decided_legs=frozenset({"txn_3:stripe_fee"})))
    assert fee.marker not in entries(again)
    assert entries(again)["txn_3:dispute:r1:s1"] == {"clearing": -10_000, "disputes_receivable": 10_000}


def test_row_13_a_dispute_recorded_in_part_by_somebody_else_is_not_closed_by_us() -> None:
    theirs = Document(
        id="journal_entry:9",
        kind="journal_entry",
        ledger_id="9",
        version="0",
        currency="USD",
        amount_minor=10_000,
        dated=date(2026, 9, 14),
        external_ids=("du_1",),
    )
    back = movement("txn_4", "du_1", 6_000, 0, "dispute_reversal", created_at=NOON + timedelta(days=9))
    asked = disputed([WITHDRAWN, back], dispute("won", "txn_3", "txn_4"))
    found = decide(replace(asked, documents={theirs.id: theirs}))
    assert reasons(found)["txn_3:gross"] == "already_recorded"
    assert list(entries(found)) == ["txn_3:dispute-fee:r1:s1", "txn_4:dispute:r1:s1"]


def test_row_11_waits_for_its_accounts() -> None:
    unmapped = replace(disputed([WITHDRAWN], dispute("lost", "txn_3")), mappings=MAPPINGS)
    assert set(reasons(decide(unmapped)).values()) == {"unmapped_account"}
    assert not decide(unmapped).postings


def test_row_12_a_won_dispute_ends_at_nothing() -> None:
    back = movement("txn_4", "du_1", 10_000, -1_500, "dispute_reversal", created_at=NOON + timedelta(days=9))
    found = decide(disputed([WITHDRAWN, back], dispute("won", "txn_3", "txn_4")))
    assert list(entries(found)) == ["txn_3:dispute:r1:s1", "txn_4:dispute:r1:s1"]
    assert entries(found)["txn_4:dispute:r1:s1"] == {
        "clearing": 11_500,
        "disputes_receivable": -10_000,
        "dispute_fees": -1_500,
    }


def test_row_13_a_lost_dispute_is_closed_by_an_entry_of_its_own() -> None:
    found = decide(disputed([WITHDRAWN], dispute("lost", "txn_3")))
    closing = found.postings[-1]
    assert (closing.marker, closing.after) == ("du_1:close:r1:s1", "txn_3:dispute:r1:s1")
    assert lines(closing) == {"dispute_losses": 10_000, "disputes_receivable": -10_000}
    assert closing.shares == ()


def test_row_13_a_dispute_booked_earlier_is_closed_on_the_day_stripe_said_so() -> None:
    closed_at = datetime(2026, 10, 3, 2, tzinfo=UTC)  # still the 2nd where the books are kept
    books = DisputeBooks(
        held_minor=10_000, movement_ids=frozenset({"txn_3"}), last_day=date(2026, 9, 14), closed_at=closed_at
    )
    found = disputed([], dispute("lost", "txn_3"), dispute_books={"du_1": books})
    assert only(decide(found), "journal_entry").dated == date(2026, 10, 2)
    closed_books = replace(found, closed_through=date(2026, 10, 31))
    assert only(decide(closed_books), "journal_entry").dated == date(2026, 11, 1)
    assert not decide(replace(found, dispute_books={"du_1": replace(books, held_minor=0, closings=1)})).postings


@pytest.mark.parametrize("status", ["appeal_needs_response", "appeal_under_review", "something new"])
def test_row_13_a_dispute_in_a_state_that_is_new_is_not_closed(status: str) -> None:
    """Lost, then appealed: what was closed stays closed, what was not stays open until it is decided."""
    for books in (DisputeBooks(closings=1), DisputeBooks(held_minor=10_000)):
        known = replace(books, movement_ids=frozenset({"txn_3"}), last_day=date(2026, 9, 14))
        found = disputed([], dispute(status, "txn_3"), dispute_books={"du_1": known})
        assert decide(found).postings == ()
        lost = replace(found, disputes={"du_1": dispute("lost", "txn_3")})
        assert len(decide(lost).postings) == (1 if books.held_minor else 0)


def test_row_13_partly_won_and_an_appeal_won_later() -> None:
    part = movement("txn_4", "du_1", 4_000, 0, "dispute_reversal", created_at=NOON + timedelta(days=9))
    found = decide(disputed([WITHDRAWN, part], dispute("won", "txn_3", "txn_4")))
    assert entries(found)["du_1:close:r1:s1"] == {"dispute_losses": 6_000, "disputes_receivable": -6_000}

    books = DisputeBooks(held_minor=0, closings=1, movement_ids=frozenset({"txn_3"}), last_day=date(2026, 9, 14))
    won = movement("txn_5", "du_1", 10_000, 0, "dispute_reversal")
    appealed = decide(disputed([won], dispute("won", "txn_3", "txn_5"), dispute_books={"du_1": books}))
    assert entries(appealed)["du_1:close:r2:s1"] == {"dispute_losses": -10_000, "disputes_receivable": 10_000}


def test_row_13_what_only_the_rate_changed_is_no_loss_of_the_dispute() -> None:
    taken = movement("txn_3", "du_1", -10_800, 0, "dispute", exchange_rate="1.08")
    back = movement("txn_4", "du_1", 11_000, 0, "dispute_reversal", exchange_rate="1.1")
    euro = replace(dispute("won", "txn_3", "txn_4"), currency="EUR")
    found = decide(disputed([taken, back], euro))
    assert entries(found)["du_1:close:r1:s1"] == {"exchange": -200, "disputes_receivable": 200}


def test_row_13_nothing_is_closed_before_all_its_movements_are_booked() -> None:
    assert len(decide(disputed([WITHDRAWN], dispute("won", "txn_3", "txn_4"))).postings) == 1
    assert not decide(disputed([], dispute("lost", "txn_3"))).postings  # from before the cut-over
    assert not decide(disputed([], dispute("warning_closed"))).postings  # an inquiry


def test_row_18_a_reserve_is_an_entry_from_the_payments_side_only() -> None:
    held = movement("txn_6", "", -5_000, 0, "risk_reserved_funds", source_id=None)
    other = replace(held, id="txn_7", gross_minor=5_000, net_minor=5_000, balance_type="risk_reserved")
    found = decide(disputed([held, other], dispute()))
    assert lines(only(found, "journal_entry")) == {"clearing": -5_000, "reserve": 5_000}
    assert reasons(found) == {"txn_6:gross": "queued", "txn_7:gross": "reserve_balance"}


def test_row_18b_a_hold_and_its_release_make_no_document() -> None:
    def hold(id_: str, amount: int, hours: int) -> Movement:
        type_ = f"payout_minimum_balance_{'hold' if amount < 0 else 'release'}"
        when = NOON + timedelta(hours=hours)
        return movement(id_, "", amount, 0, "other_adjustment", source_id=None, type=type_, created_at=when)

    first, second, release = hold("txn_1", -700, 0), hold("txn_2", -900, 1), hold("txn_3", 700, 2)
    found = decide(snapshot([first, second, release], []))
    assert reasons(found) == {
        "txn_1:gross": "cancels_out",
        "txn_3:gross": "cancels_out",
        "txn_2:gross": "minimum_balance",
    }
    assert not found.postings


OPEN_THEN = Opening(
    currency="USD",
    stripe_minor=0,
    in_transit_minor=0,
    existing_minor=0,
    disputes=(OpenDispute(id="du_1", taken_minor=10_000, movement_ids=("txn_2",)),),
)
OPENED = {"du_1:opening:r1:s1": {"disputes_receivable": 10_000, "equity": -10_000}}


def test_row_21_a_dispute_that_was_open_at_the_cutover_is_opened_and_closed() -> None:
    post, rest = Policies(open_items="post"), {"openings": (OPEN_THEN,)}
    still_open = disputed([], dispute("needs_response", "txn_2"), policies=post, **rest)
    assert entries(decide(still_open)) == OPENED
    lost = disputed([], dispute("lost", "txn_2"), policies=post, **rest)
    closing = {"du_1:close:r1:s1": {"disputes_receivable": -10_000, "dispute_losses": 10_000}}
    assert entries(decide(lost)) == OPENED | closing
    back = movement("txn_4", "du_1", 10_000, 0, "dispute_reversal")
    won = entries(decide(disputed([back], dispute("won", "txn_2", "txn_4"), policies=post, **rest)))
    assert won == OPENED | {"txn_4:dispute:r1:s1": {"clearing": 10_000, "disputes_receivable": -10_000}}


def test_row_21_nothing_is_opened_that_is_in_the_books_or_of_which_nobody_said() -> None:
    for said in (Policies(), Policies(open_items="in_books")):
        found = disputed([], dispute("lost", "txn_2"), policies=said, openings=(OPEN_THEN,))
        assert decide(found).postings == ()
