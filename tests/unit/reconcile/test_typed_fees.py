"""Fees, failures, disputes and top-ups that somebody typed in by hand: asked about, never posted a second time."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from reconcile.choices import DecisionKind, Part, PersonDecision
from reconcile.postings import Plan
from reconcile.records import AccountLeg, Dispute, Document, DocumentKind, Movement
from reconcile.snapshot import Place, Snapshot
from reconcile.typed_fees import add_up, wanted_of
from tests.unit.reconcile.test_plan import NOON, charge, decide, movement, payout, reasons
from tests.unit.reconcile.test_plan_failures import FAILED, RETURNED, world

BOOKED = Place(customer_id="20", marker="txn_0:charge:r1:s1")


def typed(kind: DocumentKind, *effects: int, dated: date = date(2026, 9, 15), against: str = "fees") -> Document:
    """A document without a Stripe id: what each of its lines does to the clearing account."""
    lines = [AccountLeg(account_id="clearing", amount_minor=each) for each in effects]
    other = AccountLeg(account_id=against, amount_minor=-sum(effects))
    return Document(
        id=f"{kind}:9",
        kind=kind,
        ledger_id="9",
        version="0",
        currency="USD",
        amount_minor=sum(abs(each) for each in effects) if len(effects) > 1 else abs(effects[0]),
        dated=dated,
        memo="Stripe fees",
        legs=(*lines, other),
    )


def beside(moved: list[Movement], *documents: Document, **rest: object) -> Snapshot:
    return replace(world(moved), documents={each.id: each for each in documents}, **rest)  # type: ignore[arg-type]


def fees(*amounts: int, every: timedelta = timedelta(hours=1)) -> list[Movement]:
    """Charges that are in the books, each with its fee still to be decided."""
    return [
        movement(f"txn_{number}", f"ch_{number}", 10_000, amount, created_at=NOON + number * every)
        for number, amount in enumerate(amounts, start=1)
    ]


def charged(moved: list[Movement], *documents: Document, **rest: object) -> Snapshot:
    ids = [each.source_id or "" for each in moved]
    values = {
        "charges": {each: charge(id=each, movement_id=f"txn_{each[3:]}") for each in ids},
        "places": dict.fromkeys(ids, BOOKED),
        "decided_legs": frozenset(f"{each.id}:gross" for each in moved),
    }
    return beside(moved, *documents, **(values | rest))


def said(
    kind: DecisionKind, source_id: str, document: Document, *leg_ids: str
) -> dict[str, tuple[PersonDecision, ...]]:
    decision = PersonDecision(
        source_id=source_id, kind=kind, actor="ann@example.com", parts=(Part(ledger_id=document.id),), leg_ids=leg_ids
    )
    return {source_id: (decision,)}


def waiting(found: Plan) -> dict[str, str]:
    """By leg, what it waits under."""
    return {each.leg.id: each.source_id for each in found.decisions if each.reason == "MAY_BE_RECORDED"}


@pytest.mark.parametrize("kind", ["purchase", "journal_entry", "deposit"])
def test_a_fee_of_the_amount_of_a_typed_expense_waits_for_a_person(kind: DocumentKind) -> None:
    found = decide(charged(fees(320, 410), typed(kind, -320)))
    assert waiting(found) == {"txn_1:stripe_fee": "fees:txn_1"}
    assert [posting.amount_minor for posting in found.postings] == [410]
    (detail,) = {each.detail for each in found.decisions if each.reason == "MAY_BE_RECORDED"}
    assert "Typed in by hand of the same amount and in the books already" in detail


@pytest.mark.parametrize(
    "document",
    [
        replace(typed("purchase", -320), legs=(AccountLeg(account_id="bank", amount_minor=-320),)),
        typed("purchase", 320),
        typed("purchase", -321),
        typed("purchase", -320, dated=date(2026, 10, 20)),
        replace(typed("purchase", -320), marker="txn_7:fee:r1:s1"),
    ],
    ids=["off the clearing account", "the other way", "another amount", "long after", "our own"],
)
def test_what_cannot_be_the_fee_does_not_hold_it(document: Document) -> None:
    assert [posting.amount_minor for posting in decide(charged(fees(320), document)).postings] == [320]


def test_one_expense_for_the_fees_of_a_payout_a_day_or_a_month() -> None:
    moved = fees(320, 410, 55, every=timedelta(days=4))
    month = decide(charged(moved, typed("purchase", -785, dated=date(2026, 9, 30))))
    assert set(waiting(month).values()) == {"fees:2026-09:USD"}
    assert len(waiting(month)) == 3
    inside = {"po_1": ("txn_1", "txn_3", "txn_po")}
    paid_out = decide(charged(moved, typed("journal_entry", -375), payout_items=inside))
    assert waiting(paid_out) == dict.fromkeys(("txn_1:stripe_fee", "txn_3:stripe_fee"), "fees:po_1:USD")
    assert [posting.amount_minor for posting in paid_out.postings] == [410]
    day = decide(charged(fees(320, 410), typed("purchase", -730)))
    assert set(waiting(day).values()) == {"fees:2026-09-14:USD"}


def test_stripes_bills_count_with_the_fees_of_their_month_or_alone() -> None:
    bill = movement("txn_8", "txn_8", -1_000, category="fee", type="stripe_fee", source_id=None)
    moved = [*fees(320), bill]
    together = replace(charged(fees(320), typed("purchase", -1_320)), movements=tuple(moved))
    assert set(waiting(decide(together))) == {"txn_1:stripe_fee", "txn_8:gross"}
    alone = replace(together, documents={"purchase:9": typed("purchase", -1_000)})
    assert waiting(decide(alone)) == {"txn_8:gross": "txn_8"}


def test_what_a_person_said_of_typed_fees_is_done() -> None:
    document, moved = typed("purchase", -730, dated=date(2026, 9, 20)), fees(320, 410)
    legs, name = ("txn_1:stripe_fee", "txn_2:stripe_fee"), "fees:2026-09-14:USD"
    taken = decide(charged(moved, document, decisions=said("match", name, document, *legs)))
    assert not taken.postings
    assert {(each.state, each.document_ids) for each in taken.decisions} == {("matched", ("purchase:9",))}
    later = fees(320, 410, 99)  # one more of that day came to light since
    more = decide(charged(later, document, decisions=said("match", name, document, *legs)))
    assert [posting.amount_minor for posting in more.postings] == [99]
    apart = decide(charged(moved, document, decisions=said("not_match", name, document)))
    assert sorted(posting.amount_minor for posting in apart.postings) == [320, 410]


def test_a_document_that_took_the_fee_off_records_it_too() -> None:
    """Net of the fee, as people type it who copy what came to the bank."""
    (sale,) = fees(320)
    document = replace(typed("journal_entry", 9_680, against="sales"), external_ids=("ch_1",), amount_minor=10_000)
    found = decide(charged([sale], document, places={}, decided_legs=frozenset()))
    assert not found.postings
    assert {each.leg.id: each.state for each in found.decisions} == dict.fromkeys(
        ("txn_1:gross", "txn_1:stripe_fee"), "matched"
    )


# ---- what comes back, without a Stripe id


def test_a_failed_bank_debit_typed_in_waits_under_its_own_name() -> None:
    document = typed("journal_entry", -10_000, dated=date(2026, 9, 18), against="ar")
    found = decide(beside([FAILED], document))
    assert waiting(found) == {"txn_5:gross": "txn_5"}
    assert [posting.amount_minor for posting in found.postings] == [400]
    accepted = decide(beside([FAILED], document, decisions=said("match", "txn_5", document, "txn_5:gross")))
    assert reasons(accepted)["txn_5:gross"] == "already_recorded"


def test_a_failed_bank_debit_typed_in_with_its_fee_holds_both() -> None:
    document = typed("purchase", -10_400, dated=date(2026, 9, 18), against="ar")
    found = decide(beside([FAILED], document))
    assert not found.postings
    assert reasons(found) == {"txn_5:gross": "MAY_BE_RECORDED", "txn_5:stripe_fee": "waits_with_charge"}
    accepted = decide(beside([FAILED], document, decisions=said("match", "txn_5", document, "txn_5:gross")))
    assert not accepted.postings
    assert set(reasons(accepted).values()) == {"already_recorded"}


def test_a_refund_that_failed_typed_in_waits() -> None:
    document = typed("deposit", 3_000, dated=date(2026, 9, 18), against="refunds_owed")
    assert waiting(decide(beside([RETURNED], document))) == {"txn_3:gross": "txn_3"}


TAKEN = movement("txn_6", "dp_1", -10_000, 1_500, "dispute")
DISPUTE = Dispute(
    id="dp_1",
    created_at=NOON,
    currency="USD",
    amount_minor=10_000,
    status="needs_response",
    charge_id="ch_1",
    movement_ids=("txn_6",),
)


@pytest.mark.parametrize(("effects", "fee"), [((-10_000,), [1_500]), ((-11_500,), []), ((-10_000, -1_500), [])])
def test_a_dispute_typed_in_waits_with_the_fee_that_was_typed_with_it(effects: tuple[int, ...], fee: list[int]) -> None:
    document = typed("journal_entry", *effects, against="losses")
    found = decide(beside([TAKEN], document, disputes={"dp_1": DISPUTE}))
    assert waiting(found)["txn_6:gross"] == "dp_1"
    assert [posting.amount_minor for posting in found.postings] == fee


def test_a_topup_typed_in_as_a_transfer_waits() -> None:
    moved = movement("txn_7", "tu_1", 50_000, category="topup")
    document = typed("transfer", 50_000, against="bank")
    assert waiting(decide(beside([moved], document))) == {"txn_7:gross": "txn_7"}


def test_one_entry_of_several_lines_may_record_several_movements() -> None:
    """Taken for one of them, it still holds the others."""
    entry = typed("journal_entry", -320, -981, against="costs")
    moved = fees(320)
    instant = movement("txn_9", "po_1", -98_140, 981, "payout", created_at=datetime(2026, 9, 16, tzinfo=UTC))
    snapshot = replace(
        charged(moved, entry, payouts={"po_1": payout("paid")}),
        movements=(*moved, instant),
        decided_legs=frozenset({"txn_1:gross", "txn_9:gross"}),
        decisions=said("match", "fees:txn_1", entry, "txn_1:stripe_fee"),
    )
    found = decide(snapshot)
    assert reasons(found) == {"txn_1:stripe_fee": "already_recorded", "txn_9:stripe_fee": "MAY_BE_RECORDED"}


def test_sums_are_the_same_over_parts_of_the_movements() -> None:
    whole = charged(fees(320, 410, 130, 70, every=timedelta(hours=30)), typed("purchase", -860), typed("deposit", -410))
    wanted = wanted_of(whole.documents.values(), whole.mappings.clearing) | {("USD", -930), ("USD", -70)}
    parts = [replace(whole, movements=whole.movements[at::3]) for at in range(3)]
    assert {each.is_single for each in add_up([whole], wanted)} == {True, False}
    assert {each.id: each for each in add_up(parts, wanted)} == {each.id: each for each in add_up([whole], wanted)}
