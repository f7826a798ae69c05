"""Rows 8c to 10 and 14 to 17: refunds of credit, what fails, transfers both ways, Stripe's bills."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from reconcile.choices import PersonDecision
from reconcile.postings import ROLES, Policies, Posting
from reconcile.records import Charge, Document, Movement, Payout, Refund
from reconcile.snapshot import Place, Snapshot
from reconcile.taxes import Tax
from tests.unit.reconcile.test_plan import MAPPINGS, NOON, charge, decide, movement, only, payout, reasons, snapshot

MAPPED = replace(MAPPINGS, accounts={role: role for role in ROLES})
LATER = NOON + timedelta(days=3)
BOOKED = Place(customer_id="20", marker="txn_1:charge:r1:s1", credit_of=("txn_1:charge:r1:s1",))


def refund(**rest: object) -> Refund:
    values = {
        "id": "re_1",
        "created_at": NOON,
        "currency": "USD",
        "amount_minor": 3_000,
        "status": "succeeded",
        "charge_id": "ch_1",
        "movement_id": "txn_2",
    }
    return Refund(**(values | rest))  # type: ignore[arg-type]


def world(moved: list[Movement], **rest: object) -> Snapshot:
    values = {
        "mappings": MAPPED,
        "charges": {"ch_1": charge()},
        "refunds": {"re_1": refund()},
        "places": {"ch_1": BOOKED},
        "receivables": {"USD": "ar", "EUR": "ar eur"},
    }
    return snapshot(moved, [], **(values | rest))


def lines(posting: Posting) -> dict[str | None, int]:
    return {line.account_id: line.amount_minor for line in posting.lines}


REFUNDED = movement("txn_2", "re_1", -3_000, 0, "refund")
RETURNED = movement("txn_3", "re_1", 3_000, 0, "refund_failure", created_at=LATER)


def test_row_8_a_fee_on_a_refund_is_an_expense() -> None:
    found = decide(world([movement("txn_2", "re_1", -3_000, 40, "refund")]))
    assert only(found, "refund_receipt").amount_minor == 3_000
    assert only(found, "purchase").amount_minor == 40


def test_row_8_the_refund_of_a_taxed_invoice_gives_back_its_part_of_the_tax() -> None:
    tax = Tax(tax_minor=825, total_minor=10_825, code="TAX")
    receipt = only(decide(world([REFUNDED], places={"ch_1": replace(BOOKED, tax=tax)})), "refund_receipt")
    assert (receipt.amount_minor, receipt.tax_minor, receipt.tax_code) == (3_000, 229, "TAX")
    assert receipt.lines[0].amount_minor == 2_771


def test_row_8_the_refund_of_invoices_with_several_tax_codes_waits() -> None:
    tax = Tax(tax_minor=825, total_minor=10_825, code=None)
    found = decide(world([REFUNDED], places={"ch_1": replace(BOOKED, tax=tax)}))
    assert reasons(found) == {"txn_2:gross": "refund_with_tax"}


def test_row_8c_a_refund_first_gives_back_the_credit() -> None:
    found = decide(world([REFUNDED], places={"ch_1": replace(BOOKED, unapplied_minor=2_000)}))
    credit, receipt = only(found, "purchase"), only(found, "refund_receipt")
    assert (credit.payee, credit.party_id, lines(credit)) == ("customer", "20", {"ar": 2_000})
    assert receipt.amount_minor == 1_000
    assert sum(share.amount_minor for posting in found.postings for share in posting.shares) == -3_000
    assert credit.marker != receipt.marker


def test_row_8c_two_refunds_share_one_credit() -> None:
    more = movement("txn_4", "re_2", -3_000, 0, "refund", created_at=LATER)
    refunds = {"re_1": refund(), "re_2": refund(id="re_2", movement_id="txn_4")}
    found = decide(world([REFUNDED, more], refunds=refunds, places={"ch_1": replace(BOOKED, unapplied_minor=4_000)}))
    assert [(posting.kind, posting.amount_minor) for posting in found.postings] == [
        ("purchase", 3_000),
        ("purchase", 1_000),
        ("refund_receipt", 2_000),
    ]


def test_row_9_a_refund_that_failed_is_owed() -> None:
    entry = only(decide(world([RETURNED])), "journal_entry")
    assert lines(entry) == {"clearing": 3_000, "refunds_owed": -3_000}
    assert entry.dated == date(2026, 9, 17)


def test_row_9_a_refund_that_failed_before_it_was_posted_leaves_nothing() -> None:
    found = decide(world([REFUNDED, RETURNED]))
    assert not found.postings
    assert set(reasons(found).values()) == {"cancels_out"}
    alone = decide(world([REFUNDED], refunds={"re_1": refund(status="failed", failure_movement_id="txn_3")}))
    assert reasons(alone) == {"txn_2:gross": "awaiting_reversal"}


def test_row_9_one_that_came_back_at_another_rate_waits() -> None:
    more = replace(RETURNED, gross_minor=3_010, net_minor=3_010)
    found = decide(world([REFUNDED, more]))
    assert not found.postings
    assert set(reasons(found).values()) == {"came_back_in_part"}


FAILED = movement("txn_5", "ch_1", -10_000, 400, "charge_failure", created_at=LATER)


def test_row_10_a_bank_debit_that_failed_is_owed_by_the_customer_again() -> None:
    found = decide(world([FAILED]))
    given_back, fee = sorted((each for each in found.postings), key=lambda each: -each.amount_minor)
    assert (given_back.payee, given_back.party_id, lines(given_back)) == ("customer", "20", {"ar": 10_000})
    assert (given_back.after, given_back.dated) == (BOOKED.marker, date(2026, 9, 17))
    assert (fee.payee, lines(fee)) == ("vendor", {"fees": 400})


def test_row_10_one_that_was_never_posted_only_costs_its_fees() -> None:
    found = decide(world([movement("txn_1", "ch_1", 10_000, 80), FAILED], places={}))
    assert [posting.amount_minor for posting in found.postings] == [80, 400]
    assert reasons(found)["txn_1:gross"] == reasons(found)["txn_5:gross"] == "cancels_out"


def test_row_10_one_from_before_the_cutover_waits_for_its_customer() -> None:
    found = decide(world([FAILED], places={"ch_1": Place(customer_id=None, in_books=False)}))
    assert reasons(found)["txn_5:gross"] == "charge_before_cutover"
    nobodys = decide(world([FAILED], places={"ch_1": Place(customer_id=None)}))
    assert reasons(nobodys)["txn_5:gross"] == "unknown_customer"
    early = movement("txn_1", "ch_1", 10_000, created_at=datetime(2026, 8, 20, tzinfo=UTC))
    assert reasons(decide(world([early, FAILED], places={}))) == {
        "txn_1:gross": "opening",
        "txn_5:gross": "charge_before_cutover",
        "txn_5:stripe_fee": "queued",
    }


def test_row_10_one_that_somebody_recorded_is_not_posted_again() -> None:
    typed = Document(
        id="purchase:9",
        kind="purchase",
        ledger_id="9",
        version="0",
        currency="USD",
        amount_minor=10_000,
        dated=date(2026, 9, 17),
        memo="Stripe txn_5",
        external_ids=("txn_5",),
    )
    found = decide(replace(world([FAILED]), documents={typed.id: typed}))
    assert reasons(found)["txn_5:gross"] == "already_recorded"
    assert [posting.amount_minor for posting in found.postings] == [400]
    less = replace(typed, amount_minor=9_000)
    doubtful = decide(replace(world([FAILED]), documents={typed.id: less}))
    assert reasons(doubtful)["txn_5:gross"] == "AMOUNT_DIFF"
    assert [posting.amount_minor for posting in doubtful.postings] == [400]


def test_what_comes_back_of_a_charge_that_was_set_aside_says_so() -> None:
    aside = PersonDecision(source_id="ch_1", kind="ignore", actor="ann@example.com", reason="a test payment")
    found = decide(world([REFUNDED, FAILED], places={}, decisions={"ch_1": (aside,)}))
    waiting = {each.leg.id: each for each in found.decisions}
    for leg_id in ("txn_2:gross", "txn_5:gross"):
        assert waiting[leg_id].reason == "charge_set_aside"
        assert "ann@example.com (a test payment)" in waiting[leg_id].detail


PAID_OUT = movement("txn_9", "po_1", -98_140, category="payout")
CAME_BACK = movement("txn_8", "po_1", 98_140, category="payout_reversal", created_at=LATER)


def test_row_14_the_fee_of_an_instant_payout_is_an_expense() -> None:
    moved = [movement("txn_9", "po_1", -98_140, 981, "payout")]
    found = decide(world(moved, payouts={"po_1": payout("paid")}))
    assert (only(found, "transfer").amount_minor, only(found, "purchase").amount_minor) == (98_140, 981)


def test_row_15_a_payout_that_failed_after_it_was_posted_is_a_transfer_back() -> None:
    transfer = only(decide(world([CAME_BACK], payouts={"po_1": payout("failed")})), "transfer")
    assert (transfer.account_id, transfer.other_account_id) == ("bank", "clearing")
    assert (transfer.amount_minor, transfer.dated) == (98_140, date(2026, 9, 17))
    assert transfer.shares[0].amount_minor == 98_140


def test_row_15_a_payout_that_failed_before_leaves_nothing() -> None:
    for status in ("failed", "canceled"):
        found = decide(world([PAID_OUT, CAME_BACK], payouts={"po_1": payout(status)}))
        assert not found.postings
        assert set(reasons(found).values()) == {"cancels_out"}
    alone = decide(world([PAID_OUT], payouts={"po_1": payout("failed")}))
    assert reasons(alone) == {"txn_9:gross": "payout_failed"}


def test_row_15_a_payout_made_and_returned_before_the_cutover_is_in_the_opening() -> None:
    early = datetime(2026, 8, 30, tzinfo=UTC)
    moved = [replace(PAID_OUT, created_at=early), replace(CAME_BACK, created_at=early + timedelta(hours=1))]
    found = decide(world(moved, payouts={"po_1": payout("failed")}))
    assert set(reasons(found).values()) == {"opening"}


def test_row_16_a_negative_payout_and_a_topup_come_out_of_the_bank() -> None:
    debit: Payout = replace(payout("paid"), amount_minor=-5_000)
    transfer = only(
        decide(world([movement("txn_9", "po_1", 5_000, category="payout")], payouts={"po_1": debit})), "transfer"
    )
    assert (transfer.account_id, transfer.other_account_id, transfer.amount_minor) == ("bank", "clearing", 5_000)
    topups = [movement("txn_6", "tu_1", 9_000, 0, "topup"), movement("txn_7", "tu_1", -2_000, 0, "topup_reversal")]
    found = decide(world(topups))
    assert [(posting.account_id, posting.amount_minor) for posting in found.postings] == [
        ("bank", 9_000),
        ("clearing", 2_000),
    ]


def test_row_17_bills_by_kind_and_credits_as_deposits() -> None:
    mapped = replace(MAPPED, fees=MAPPED.fees | {"network_cost": "network"})
    bills = [
        movement("txn_1", "", -4_000, 0, "fee", source_id=None, type="stripe_fee"),
        movement("txn_2", "", -300, 0, "network_cost", source_id=None),
        movement("txn_3", "", -60, 0, "tax", source_id=None, type="tax_fee"),
        movement("txn_4", "", 1_000, 0, "fee", source_id=None, type="stripe_fee"),
    ]
    found = decide(world(bills, mappings=mapped))
    assert [(posting.kind, lines(posting)) for posting in found.postings] == [
        ("purchase", {"fees": 4_000}),
        ("purchase", {"network": 300}),
        ("purchase", {"fee tax": 60}),
        ("deposit", {"fees": 1_000}),
    ]


def test_row_17_a_fee_given_back_beside_one_taken_is_a_deposit_of_its_own() -> None:
    mixed = movement("txn_1", "", -100, 0, "fee", source_id=None, type="stripe_fee")
    taxed = replace(mixed, fee_minor=-20, net_minor=-80, fees=movement("x", "", 0, -20).fees)
    found = decide(world([replace(taxed, fees=(replace(taxed.fees[0], kind="tax"),))]))
    assert [(posting.kind, posting.amount_minor) for posting in found.postings] == [("purchase", 100), ("deposit", 20)]


def euro(amount: int = 12_345) -> Charge:
    return charge(amount, currency="EUR")


def test_row_19b_a_refund_of_a_euro_charge_has_its_own_rate() -> None:
    found = decide(
        world(
            [replace(REFUNDED, gross_minor=-3_600, net_minor=-3_600)],
            charges={"ch_1": euro()},
            refunds={"re_1": refund(currency="EUR", amount_minor=3_333)},
        )
    )
    receipt = only(found, "refund_receipt")
    assert (receipt.currency, receipt.amount_minor, receipt.exchange_rate) == ("EUR", 3_333, "1.08010801080")
    assert receipt.shares[0].amount_minor == -3_600


def test_row_7_what_was_not_captured_and_is_taken_back_after_the_cutover_is_not_in_the_opening() -> None:
    early = movement("txn_1", "ch_1", 10_000, 320, created_at=datetime(2026, 8, 31, 12, tzinfo=UTC))
    back = movement("txn_6", "ch_1", -4_000, -116, "partial_capture_reversal")
    expected = {"txn_6:gross": "taken_back_later", "txn_6:stripe_fee": "queued"}
    facts = {"charges": {"ch_1": charge(captured=6_000)}, "places": {}}
    both = decide(world([early, back], **facts))
    assert reasons(both) == {"txn_1:gross": "opening", "txn_1:stripe_fee": "opening"} | expected
    assert only(both, "deposit").amount_minor == 116
    later = decide(world([back], policies=Policies(charge_without_invoice="sales_receipt"), **facts))
    assert reasons(later) == expected


def test_row_14_the_fee_of_a_payout_on_its_way_at_the_cutover_is_dated_the_first_day() -> None:
    early = movement("txn_9", "po_1", -98_140, 150, "payout", created_at=datetime(2026, 8, 30, tzinfo=UTC))
    found = decide(world([early], payouts={"po_1": payout("paid", date(2026, 9, 2))}, closed_through=date(2026, 8, 31)))
    assert (only(found, "transfer").dated, only(found, "purchase").dated) == (date(2026, 9, 2), date(2026, 9, 1))
