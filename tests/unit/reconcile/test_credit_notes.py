"""Row 26, case by case: which credit notes go into the books, as what, and which wait for a person."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from reconcile.credit_notes import NoteDecision, decide_notes, markers_of
from reconcile.postings import Mappings, Policies
from reconcile.records import CreditNote, Document, ProcessorInvoice
from reconcile.snapshot import Snapshot

DAY = date(2026, 9, 10)
AT = datetime(2026, 9, 11, 1, tzinfo=UTC)  # still the 10th in New York
LOWERED, LINKED, BALANCE = markers_of("cn_1")
NOTE = CreditNote(
    id="cn_1",
    created_at=AT,
    effective_at=AT,
    currency="USD",
    total_minor=2_500,
    before_minor=2_500,
    credited_minor=0,
    outside_minor=0,
    invoice_id="in_1",
    status="issued",
    number="ABC-0001-CN-01",
)
THERE = ProcessorInvoice(
    id="in_1", created_at=AT, currency="USD", total_minor=10_825, status="open", remaining_minor=8_325
)
INVOICE = Document(
    id="invoice:7",
    kind="invoice",
    ledger_id="7",
    version="0",
    currency="USD",
    amount_minor=10_825,
    dated=DAY,
    open_minor=10_825,
    customer_id="5",
    doc_number="INV-1",
    tax_minor=825,
    tax_code="TAX",
)
MEMO = replace(INVOICE, id="credit_memo:8", kind="credit_memo", ledger_id="8", amount_minor=2_500, doc_number="CM-1")
SNAPSHOT = Snapshot(
    account_id="acct_1",
    home_currency="USD",
    time_zone="America/New_York",
    cutover=date(2026, 9, 1),
    mappings=Mappings(clearing={"USD": "41"}, refund_item="3"),
    policies=Policies(),
    credit_notes=(NOTE,),
    noted_invoices={"in_1": THERE},
    noted_documents={"in_1": INVOICE},
)


def decided(note: CreditNote = NOTE, taken: int = 0, **changes: Any) -> NoteDecision:
    snapshot = replace(SNAPSHOT, **({"credit_notes": (note,)} | changes))
    return decide_notes(snapshot, {INVOICE.id: taken})[0]


def test_row_26_a_credit_note_of_an_open_invoice_is_a_credit_memo_applied_to_it() -> None:
    memo, applied = decided().postings
    assert (memo.marker, memo.kind, memo.dated, memo.amount_minor, memo.party_id) == (
        LOWERED,
        "credit_memo",
        DAY,
        2_500,
        "5",
    )
    assert (memo.tax_minor, memo.tax_code, memo.lines[0].amount_minor) == (191, "TAX", 2_309)  # 825 of 10,825
    assert (applied.marker, applied.kind, applied.amount_minor, applied.after) == (LINKED, "payment", 0, LOWERED)
    assert [(part.id, part.amount_minor) for part in applied.applied] == [
        (f"posted:{LOWERED}", 2_500),
        ("invoice:7", 2_500),
    ]


def test_row_26_what_was_refunded_is_no_posting_of_the_note() -> None:
    refunded = replace(NOTE, before_minor=0, refund_ids=("re_1",))
    found = decided(refunded)
    assert (found.state, found.postings) == ("settled", ())
    (memo,) = decided(replace(refunded, credited_minor=1_000)).postings
    assert (memo.marker, memo.amount_minor, memo.applied) == (BALANCE, 1_000, ())


def test_row_26_once_in_the_books_it_is_settled_and_half_way_it_goes_on() -> None:
    assert decided(note_markers={LOWERED: True, LINKED: True}).state == "settled"
    assert decided(note_markers={LOWERED: True, LINKED: False}).state == "post"
    (applied,) = decided(note_markers={LOWERED: True}).postings
    assert applied.marker == LINKED


def test_row_26_in_another_currency_it_goes_in_at_the_rate_of_its_invoice() -> None:
    euros = {"in_1": replace(INVOICE, currency="EUR", exchange_rate="1.1", tax_minor=0)}
    for note in (replace(NOTE, currency="EUR"), replace(NOTE, currency="EUR", before_minor=0, credited_minor=2_500)):
        postings = decided(note, noted_documents=euros).postings
        assert {(each.currency, each.exchange_rate, each.account_id) for each in postings} == {("EUR", "1.1", "41")}
    fils = {"in_1": replace(euros["in_1"], currency="KWD")}
    assert decided(replace(NOTE, currency="KWD", before_minor=2_505), noted_documents=fils).reason == "foreign_currency"


def test_row_26_what_planned_payments_take_is_not_there_for_the_note() -> None:
    paid = {"noted_invoices": {"in_1": replace(THERE, remaining_minor=0)}}
    assert decided(taken=8_325, **paid).state == "post"
    assert decided(**paid).reason == "credit_differs"


def test_row_26_two_notes_are_counted_together() -> None:
    other = replace(NOTE, id="cn_2", number="ABC-0001-CN-02")
    both = replace(SNAPSHOT, credit_notes=(NOTE, other), noted_invoices={"in_1": replace(THERE, remaining_minor=5_825)})
    assert [each.state for each in decide_notes(both, {})] == ["post", "post"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"noted_documents": {}}, "unknown_invoice"),
        ({"noted_documents": {"in_1": replace(INVOICE, open_minor=8_325)}}, "credit_differs"),
        ({"noted_documents": {"in_1": replace(INVOICE, currency="EUR")}}, "foreign_currency"),
        ({"home_currency": "EUR"}, "foreign_currency"),
        ({"noted_documents": {"in_1": replace(INVOICE, tax_code=None)}}, "refund_with_tax"),
        ({"mappings": Mappings(clearing={"USD": "41"})}, "unmapped_item"),
        ({"closed_through": DAY}, "closed_period"),
        ({"credit_memos": (MEMO,)}, "MAY_BE_RECORDED"),
        ({"busy": frozenset({INVOICE.id})}, "in_progress"),
        ({"notes_left": frozenset({"cn_1"})}, "left"),
    ],
)
def test_row_26_what_is_not_plainly_right_waits(changes: dict[str, Any], reason: str) -> None:
    found = decided(**changes)
    assert (found.state, found.reason, found.postings) == ("wait", reason, ())
    assert found.detail


def test_row_26_by_policy_a_closed_period_is_left_for_the_first_open_day() -> None:
    memo, applied = decided(closed_through=DAY, policies=Policies(closed_period="first_open_day")).postings
    assert memo.dated == applied.dated == date(2026, 9, 11)
    assert "closed through" in memo.memo


def test_row_26_one_recorded_by_hand_or_from_before_the_cutover_is_settled() -> None:
    assert decided(credit_memos=(replace(MEMO, doc_number=NOTE.number),)).reason == "already_recorded"
    assert decided(credit_memos=(replace(MEMO, external_ids=("cn_1",)),)).state == "settled"
    assert decided(cutover=date(2026, 9, 11)).reason == "opening"


def test_row_26_one_that_tieout_gave_is_not_posted() -> None:
    ours = replace(NOTE, metadata={"tieout_credit": "credit_memo:8"})
    assert decided(ours).state == "settled"
    after = {"in_1": replace(THERE, remaining_minor=5_825)}  # another one of Stripe's counts without ours
    books = {"in_1": replace(INVOICE, open_minor=8_325)}
    both = replace(SNAPSHOT, credit_notes=(NOTE, replace(ours, id="cn_2")), noted_invoices=after, noted_documents=books)
    assert [each.state for each in decide_notes(both, {})] == ["post", "settled"]


def test_row_26_a_voided_note_is_shown_only_if_it_is_in_the_books() -> None:
    voided = replace(NOTE, status="void")
    assert decided(voided).state == "settled"
    assert decided(voided, note_markers={LOWERED: True}).reason == "credit_note_voided"


def test_row_26_what_was_credited_outside_waits_and_the_rest_goes_in() -> None:
    found = decided(replace(NOTE, total_minor=3_000, outside_minor=500))
    assert (found.state, found.reason, len(found.postings)) == ("wait", "credited_outside", 2)
    assert "5.00 USD" in found.detail
