"""What is undone: how each kind is taken back, the next revision of its marker, what holds it, and its proof."""

from dataclasses import replace
from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.choices import PersonDecision
from reconcile.postings import POSTED, Discount, Leg, LegDecision, Posting, PostingLine, Share
from reconcile.proof import CLEARING_SCHEMA, LEG_SCHEMA, OPENING_SCHEMA, Proof, prove
from reconcile.records import Applied, Document
from reconcile.renewal import renew
from reconcile.reversal import OPPOSITES, OPPOSITES_ON_DESKTOP, changed_since_seen, how_to_undo, opposite, taking_back
from tests.unit.reconcile.test_plan import decide, invoice, movement, only, paid, reasons, snapshot

DAY = date(2026, 9, 14)
PAYMENT = Posting(
    marker="txn_1:charge:r1:s1",
    kind="payment",
    dated=DAY,
    currency="USD",
    amount_minor=10_000,
    account_id="clearing",
    memo="ch_1 txn_1",
    party_id="20",
    applied=(Applied(id="invoice:70", amount_minor=10_000),),
    shares=(Share(leg_id="txn_1:gross", amount_minor=10_000),),
)
SEEN = Document(
    id="payment:12",
    kind="payment",
    ledger_id="12",
    version="0",
    currency="USD",
    amount_minor=10_000,
    dated=DAY,
    customer_id="20",
    account_id="clearing",
    applied=PAYMENT.applied,
    marker=PAYMENT.marker,
)


# ---- how


@pytest.mark.parametrize(
    ("kind", "is_fixed", "closed", "how"),
    [
        ("payment", False, None, "void"),
        ("payment", False, DAY - timedelta(days=1), "void"),
        ("payment", False, DAY, "entry"),
        ("payment", True, None, "entry"),
        ("sales_receipt", False, None, "void"),
        ("invoice", False, None, "void"),
        ("invoice", False, DAY, None),
        ("credit_memo", False, None, "delete"),
        ("credit_memo", True, None, None),
        ("purchase", False, None, "delete"),
        ("purchase", False, DAY, "entry"),
        ("transfer", False, None, "delete"),
        ("transfer", True, None, "entry"),
        ("journal_entry", False, DAY, "entry"),
    ],
)
def test_how_each_kind_is_undone(kind: str, is_fixed: bool, closed: date | None, how: str | None) -> None:
    document = replace(SEEN, kind=kind)  # type: ignore[arg-type]
    assert how_to_undo(document, closed, is_fixed=is_fixed) == how


@pytest.mark.parametrize(
    ("kind", "closed", "how"),
    [
        ("payment", None, "delete"),
        ("payment", DAY, "entry"),
        ("sales_receipt", None, "void"),
        ("sales_receipt", DAY, None),
        ("ar_refund", None, "void"),
        ("ar_refund", DAY, None),
        ("credit_memo", None, "void"),
        ("purchase", None, "void"),
        ("purchase", DAY, "entry"),
        ("journal_entry", None, "void"),
        ("transfer", None, "entry"),
        ("transfer", DAY, "entry"),
    ],
)
def test_how_each_kind_is_undone_in_desktop(kind: str, closed: date | None, how: str | None) -> None:
    document = replace(SEEN, kind=kind)  # type: ignore[arg-type]
    assert how_to_undo(document, closed, is_fixed=False, on_desktop=True) == how


def test_a_payment_of_nothing_is_deleted_as_voiding_it_would_change_nothing() -> None:
    assert how_to_undo(replace(SEEN, amount_minor=0), None, is_fixed=False) == "delete"
    assert how_to_undo(replace(SEEN, amount_minor=0), DAY, is_fixed=False) is None


def effect(posting: Posting) -> dict[str, int]:
    """What a posting does to accounts, debits above zero, as far as it names them."""
    amount, account = posting.amount_minor, posting.account_id
    match posting.kind:
        case "payment":
            sides = [(account, amount), ("receivable", -amount)]
        case "purchase":
            sides = [(account, -amount), *((line.account_id or "", line.amount_minor) for line in posting.lines)]
        case "deposit":
            sides = [(account, amount), *((line.account_id or "", -line.amount_minor) for line in posting.lines)]
        case "transfer":
            sides = [(account, -amount), (posting.other_account_id or "", amount)]
        case "sales_receipt":
            sides = [(account, amount)]
        case "refund_receipt":
            sides = [(account, -amount)]
        case _:
            sides = [(line.account_id or "", line.amount_minor) for line in posting.lines]
    total: dict[str, int] = {}
    for name, side in sides:
        total[name] = total.get(name, 0) + side
    return {name: side for name, side in total.items() if side}


LINES = (PostingLine(amount_minor=7_000, account_id="a"), PostingLine(amount_minor=3_000, account_id="b"))
ENTRY = (PostingLine(amount_minor=10_000, account_id="a"), PostingLine(amount_minor=-10_000, account_id="clearing"))


@pytest.mark.parametrize(
    ("kind", "on_desktop"),
    [*((kind, False) for kind in sorted(OPPOSITES)), *((kind, True) for kind in sorted(OPPOSITES_ON_DESKTOP))],
)
def test_an_opposite_document_leaves_nothing(kind: str, on_desktop: bool) -> None:
    lines = ENTRY if kind == "journal_entry" else LINES if kind in ("purchase", "deposit") else ()
    posting = replace(PAYMENT, kind=kind, lines=lines, other_account_id="bank")  # type: ignore[arg-type]
    entry = opposite(posting, SEEN, "txn_1:charge-undo:r1:s1", "receivable", None, on_desktop=on_desktop)
    if entry.kind == "journal_entry":
        assert sum(line.amount_minor for line in entry.lines) == 0
    both = {name: effect(posting).get(name, 0) + side for name, side in effect(entry).items()}
    assert set(both.values()) == {0}
    assert effect(posting).keys() == effect(entry).keys()
    assert (entry.undoes, entry.shares, entry.after, entry.applied) == (posting.marker, (), None, entry.applied)


@pytest.mark.parametrize(("kind", "other"), [("purchase", "deposit"), ("deposit", "purchase")])
def test_the_tax_of_a_fee_is_taken_back_by_the_opposite_fee(kind: str, other: str) -> None:
    lines = (PostingLine(amount_minor=8_000, account_id="fees", tax_code="3"),)
    posting = replace(PAYMENT, kind=kind, lines=lines, tax_minor=2_000, party_id="stripe")  # type: ignore[arg-type]
    entry = opposite(posting, SEEN, "m:fee-undo:r1:s1", None, None)
    assert (entry.kind, entry.lines, entry.tax_minor, entry.party_id) == (other, lines, 2_000, "stripe")


def test_only_the_line_on_receivables_has_the_customer_and_the_day_is_the_first_open_one() -> None:
    entry = opposite(PAYMENT, SEEN, "m:charge-undo:r1:s1", "receivable", DAY + timedelta(days=5))
    assert [line.party_id for line in entry.lines] == ["20", None]
    assert entry.dated == DAY + timedelta(days=6)
    assert "the books are closed through" in entry.memo
    assert opposite(PAYMENT, SEEN, "m:charge-undo:r1:s1", "receivable", None).dated == DAY


def test_what_a_payment_closed_without_money_is_owed_again_too() -> None:
    short = replace(PAYMENT, discounts=(Discount(document_id="invoice:70", amount_minor=300, account_id="write-offs"),))
    entry = opposite(short, SEEN, "txn_1:charge-undo:r1:s1", "receivable", DAY, on_desktop=True)
    assert {line.account_id: line.amount_minor for line in entry.lines} == {
        "receivable": 10_300,
        "clearing": -10_000,
        "write-offs": -300,
    }
    assert entry.discounts == ()


def test_the_rate_of_an_opposite_entry_is_that_of_the_books() -> None:
    posting = replace(PAYMENT, currency="EUR", exchange_rate="1.084512345678")
    entry = opposite(posting, replace(SEEN, currency="EUR", exchange_rate="1.0845"), "m", "receivable", None)
    assert (entry.currency, entry.exchange_rate) == ("EUR", "1.0845")


# ---- as it was seen


def test_a_document_is_as_it_was_seen_whatever_was_linked_to_it() -> None:
    seen = taking_back(PAYMENT, SEEN, "m", "void")
    assert changed_since_seen(seen, SEEN) is None
    assert changed_since_seen(seen, replace(SEEN, version="4", memo="something", open_minor=3)) is None


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (None, "deleted"),
        (replace(SEEN, voided=True, amount_minor=0), "voided"),
        (replace(SEEN, amount_minor=1), "its amount"),
        (replace(SEEN, dated=DAY + timedelta(days=1)), "its date"),
        (replace(SEEN, customer_id="21"), "its customer"),
        (replace(SEEN, account_id="bank"), "its account"),
        (replace(SEEN, applied=()), "documents it is applied to"),
        (replace(SEEN, applied=(Applied(id="invoice:71", amount_minor=10_000),)), "documents it is applied to"),
    ],
)
def test_what_somebody_changed_is_told(now: Document | None, why: str) -> None:
    assert why in (changed_since_seen(taking_back(PAYMENT, SEEN, "m", "void"), now) or "")


# ---- the next revision


def test_what_names_a_spent_marker_names_its_successor() -> None:
    invoice_ = replace(PAYMENT, marker="in_1:invoice:r1:s1", kind="invoice")
    payment = replace(
        PAYMENT, after=invoice_.marker, applied=(Applied(id=f"{POSTED}{invoice_.marker}", amount_minor=10_000),)
    )
    change = replace(PAYMENT, marker="txn_2:credit-link:r1:s1", target=f"{POSTED}{payment.marker}", change="link")
    other = replace(PAYMENT, marker="txn_3:charge:r1:s1", after=None)
    leg = Leg(id="txn_1:gross", movement_id="txn_1", kind="gross", category="charge", currency="USD", amount_minor=1)
    why = {"state": "waiting", "reason": "queued", "detail": "", "source_id": "ch_1"}
    legs = [LegDecision(leg=leg, markers=(payment.marker,), **why)]  # type: ignore[arg-type]
    spent = {invoice_.marker, payment.marker, "txn_1:charge:r2:s1", "txn_9:charge:r7:s1"}
    postings, decisions = renew([invoice_, payment, change, other], legs, spent)
    made, paying, linking, untouched = postings
    assert (made.marker, paying.marker) == ("in_1:invoice:r2:s1", "txn_1:charge:r3:s1")
    assert paying.after == made.marker
    assert paying.applied[0].id == f"{POSTED}{made.marker}"
    assert (linking.marker, linking.target) == (change.marker, f"{POSTED}{paying.marker}")
    assert untouched == other
    assert decisions[0].markers == (paying.marker,)


@given(st.sets(st.tuples(st.sampled_from("abc"), st.integers(1, 4), st.integers(1, 2))))
def test_no_spent_marker_is_used_again_and_planning_again_gives_the_same(spent: set[tuple[str, int, int]]) -> None:
    gone = {f"txn_{name}:charge:r{revision}:s{step}" for name, revision, step in spent}
    plan = [replace(PAYMENT, marker=f"txn_{name}:charge:r1:s{step}") for name in "abc" for step in (1, 2)]
    first, _ = renew(plan, [], gone)
    markers = [posting.marker for posting in first]
    assert not set(markers) & gone
    assert len(set(markers)) == len(markers)
    assert renew(plan, [], gone)[0] == renew(first, [], gone)[0] == first


# ---- what holds it


def test_what_was_undone_is_not_posted_until_somebody_decides_anew() -> None:
    said = PersonDecision(source_id="ch_1", kind="undone", actor="a@x", reason="Wrong.", leg_ids=("txn_1:gross",))
    found = snapshot([movement("txn_1", "ch_1", 10_000, 320)], [invoice("70", 10_000)], **paid(("70", 10_000)))
    held = decide(replace(found, decisions={"ch_1": (said,)}, spent=frozenset(("txn_1:charge:r1:s1",))))
    assert reasons(held) == {"txn_1:gross": "undone", "txn_1:stripe_fee": "waits_with_charge"}
    assert held.postings == ()
    again = decide(replace(found, spent=frozenset(("txn_1:charge:r1:s1",))))
    assert only(again, "payment").marker == "txn_1:charge:r2:s1"
    assert only(again, "purchase").marker == "txn_1:fee:r1:s1"
    assert {each for decision in again.decisions for each in decision.markers} == {
        each.marker for each in again.postings
    }


# ---- the proof


def day(number: int) -> date:
    return date(2026, 10, number)


def proved(*booked: tuple[str, date, int, bool], reason: str = "undone") -> Proof:
    """A leg of 100 on the 3rd, and the documents that book it, `undone` or not: (id, day, amount, undone)."""
    head = ("txn_1:gross", "txn_1", "ch_1", "USD", day(3))
    tail = (False, "posted" if any(not each[3] for each in booked) else "waiting", reason, "")
    rows = [(*head, 0 if undone else 100, *tail, name, on, minor, undone) for name, on, minor, undone in booked]
    if all(each[3] for each in booked):
        rows.append((*head, 100, *tail, None, None, 0, False))
    clearing = [(name, "USD", on, minor, None, False) for name, on, minor, _ in booked]
    return prove(
        pl.DataFrame([("USD", day(1), 0)], schema=OPENING_SCHEMA, orient="row"),
        pl.DataFrame(rows, schema=LEG_SCHEMA, orient="row"),
        pl.DataFrame(clearing, schema=CLEARING_SCHEMA, orient="row"),
        day(20),
    )


def story(proof: Proof) -> list[tuple[str, date, date | None, int]]:
    return list(proof.items.select("reason", "from_day", "until_day", "amount_minor").iter_rows())


UNDONE = (("payment:1", day(3), 100, True), ("journal_entry:2", day(10), -100, True))


def test_a_document_and_its_opposite_leave_the_days_before_as_they_were() -> None:
    assert story(proved(*UNDONE)) == [("waiting", day(10), None, 100)]


def test_what_is_posted_again_ties_from_the_day_it_is_posted() -> None:
    assert story(proved(*UNDONE, ("payment:3", day(10), 100, False), reason="posted")) == []
    later = story(proved(*UNDONE, ("payment:3", day(12), 100, False), reason="posted"))
    assert later == [("date_moved", day(10), day(12), 100)]
    early = story(proved(*UNDONE, ("payment:3", day(3), 100, False), reason="posted"))
    assert early == [("date_moved", day(3), day(10), -100)]


def test_an_opposite_entry_that_somebody_changed_is_drift() -> None:
    whole = proved(*UNDONE)
    assert whole.days["unexplained_minor"].to_list() == [0] * 20
    changed = prove(
        pl.DataFrame([("USD", day(1), 0)], schema=OPENING_SCHEMA, orient="row"),
        pl.DataFrame(
            [
                ("txn_1:gross", "txn_1", "ch_1", "USD", day(3), 0, False, "waiting", "undone", "", *each)
                for each in UNDONE
            ]
            + [
                (
                    "txn_1:gross",
                    "txn_1",
                    "ch_1",
                    "USD",
                    day(3),
                    100,
                    False,
                    "waiting",
                    "undone",
                    "",
                    None,
                    None,
                    0,
                    False,
                )
            ],
            schema=LEG_SCHEMA,
            orient="row",
        ),
        pl.DataFrame([("payment:1", "USD", day(3), 100, None, False)], schema=CLEARING_SCHEMA, orient="row"),
        day(20),
    )
    assert ("drift", day(10), None, -100) in story(changed)
