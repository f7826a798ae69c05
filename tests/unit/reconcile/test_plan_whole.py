"""What the plan does around the rows of the accounting table: what is set aside, in what order, and in which piece."""

from dataclasses import replace
from datetime import UTC, datetime

from reconcile.choices import Part, PersonDecision
from reconcile.snapshot import Opening
from tests.unit.reconcile.test_plan import (
    MAPPINGS,
    charge,
    decide,
    invoice,
    movement,
    only,
    paid,
    reasons,
    refunded,
    snapshot,
)


def test_what_nobody_has_a_rule_for_is_in_the_opening_if_it_came_before() -> None:
    august = datetime(2026, 8, 20, tzinfo=UTC)
    unread = movement("txn_1", "dp_1", -10_000, category="dispute", created_at=august)
    unknown = movement("txn_2", "x_1", 1, category="a_category_of_next_year", created_at=august)
    opening = Opening(currency="USD", stripe_minor=40_000, in_transit_minor=0, existing_minor=0)
    found = decide(snapshot([unread, unknown], [], openings=(opening,)))
    marker = only(found, "journal_entry").marker
    assert {(each.leg.id, each.source_id, each.state, each.markers) for each in found.decisions} == {
        ("txn_1:gross", "dp_1", "posted", (marker,)),
        ("txn_2:gross", "x_1", "posted", (marker,)),
    }


def test_what_a_person_set_aside_is_not_posted_and_says_who_did() -> None:
    moved = [movement("txn_1", "ch_1", 10_000, 320), movement("txn_2", "ch_2", 500)]
    base = snapshot(moved, [invoice("70", 10_000)], **paid(("70", 10_000)))
    legs = ("txn_1:gross", "txn_1:stripe_fee")
    said = PersonDecision(source_id="ch_1", kind="ignore", actor="Ada", reason="A test.", leg_ids=legs)
    found = decide(replace(base, decisions={"ch_1": (said,)}))
    assert not found.postings
    aside = [each for each in found.decisions if each.leg.id in legs]
    assert {each.leg.id: each.leg.amount_minor for each in aside} == {"txn_1:gross": 10_000, "txn_1:stripe_fee": -320}
    assert {(each.state, each.reason, each.source_id, each.detail) for each in aside} == {
        ("ignored", "ignored", "ch_1", "Set aside by Ada: A test.")
    }
    assert reasons(found)["txn_2:gross"] == "source_unread"  # the others are planned as ever

    undone = replace(said, kind="undone", reason="Wrong customer.", leg_ids=("txn_1:gross",))
    found = decide(replace(base, decisions={"ch_1": (undone,)}))
    (waits,) = [each for each in found.decisions if each.leg.id == "txn_1:gross"]
    text = "Undone by Ada: Wrong customer. Accept what it belongs to, or post it again."
    assert (waits.state, waits.reason, waits.source_id, waits.detail) == ("waiting", "undone", "ch_1", text)
    assert reasons(found)["txn_1:stripe_fee"] == "waits_with_charge"


def test_what_closes_an_invoice_in_full_comes_after_all_that_pays_it() -> None:
    facts = paid(("70", 6_000))
    facts["charges"]["ch_2"] = charge(3_000, id="ch_2", movement_id="txn_2", payment_intent_id="pi_2")  # type: ignore[index]
    moved = [movement("txn_1", "ch_1", 6_000), movement("txn_2", "ch_2", 3_000)]
    short = Part(ledger_id="invoice:70", amount_minor=6_000, short_minor=1_000, short_as="write_off")
    plain = Part(ledger_id="invoice:70", amount_minor=3_000)
    said = {
        "ch_1": (PersonDecision(source_id="ch_1", kind="match", actor="Ada", parts=(short,)),),
        "ch_2": (PersonDecision(source_id="ch_2", kind="match", actor="Ada", parts=(plain,)),),
    }
    mappings = replace(MAPPINGS, accounts={"write_offs": "bad debts"})
    books = {"mappings": mappings, "receivables": {"USD": "receivable"}}
    found = decide(snapshot(moved, [invoice("70", 10_000)], decisions=said, **books, **facts))
    assert set(reasons(found).values()) == {"queued"}  # first the 3,000, so that 7,000 are open for the other
    assert found.taken == {"invoice:70": 10_000}


def test_what_an_earlier_piece_takes_of_a_document_is_not_there_for_the_next() -> None:
    moved, facts = [movement("txn_1", "ch_1", 6_000)], paid(("70", 6_000))
    found = snapshot(moved, [invoice("70", 10_000)], **facts)
    assert decide(found).taken == {"invoice:70": 6_000}
    later = decide(found, taken={"invoice:70": 7_000})
    assert sum(part.amount_minor for posting in later.postings for part in posting.applied) <= 3_000
    assert later.taken["invoice:70"] <= 10_000


def test_a_reversal_of_a_refund_that_cannot_be_read_waits() -> None:
    """Stripe files the money of a part that was not captured under a refund; its charge says what it belongs to."""
    capture = [
        movement("txn_1", "ch_1", 10_000, 320),
        movement("txn_2", "re_1", -4_000, category="partial_capture_reversal"),
    ]
    whole = {"charges": {"ch_1": charge(10_000, 6_000)}, "refunds": {"re_1": refunded(4_000)}}
    together = decide(snapshot(capture, [], **whole))
    assert {each.source_id for each in together.decisions} == {"ch_1"}
    orphan = decide(snapshot(capture[1:], [], refunds={"re_1": replace(refunded(4_000), charge_id=None)}))
    assert [(each.reason, each.source_id) for each in orphan.decisions] == [("source_unread", "re_1")]
