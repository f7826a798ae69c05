"""What is done at Stripe for an invoice of the books, case by case; and what never is, whatever the case."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.outgoing import InvoiceContent, InvoiceLine, compose, digest_of, due_at, trouble
from reconcile.records import Customer, Document, ProcessorInvoice
from reconcile.sending import Case, PaidPart, Sent, decide

TODAY = date(2026, 11, 2)
INVOICE = Document(
    id="invoice:70", kind="invoice", ledger_id="70", version="0", currency="USD", amount_minor=10_000,
    open_minor=10_000, dated=date(2026, 10, 20), due_date=date(2026, 11, 20), doc_number="INV-1", customer_id="5",
)  # fmt: skip
CONTENT = InvoiceContent(lines=(InvoiceLine(amount_minor=10_000, description="Design"),))
CUSTOMER = Customer(id="5", name="Blue Foods", email="ap@blue.example", currency="USD")
PAYER = Customer(id="cus_1", name="Blue Foods", email="ap@blue.example")


def there(**values: Any) -> ProcessorInvoice:
    given_ = {"total_minor": 10_000, "status": "draft", "due_minor": 10_000, "remaining_minor": 10_000} | values
    return ProcessorInvoice(
        id="in_1", created_at=datetime(2026, 10, 20, tzinfo=UTC), currency="USD", customer_id="cus_1", **given_
    )


def case(**values: Any) -> Case:
    given_: dict[str, Any] = {
        "invoice": INVOICE, "content": CONTENT, "sent": Sent(), "mode": "send", "today": TODAY,
        "cutover": date(2026, 10, 1), "customer": CUSTOMER, "payer": PAYER,
    }  # fmt: skip
    return Case(**(given_ | values))


def sent(stage: str, **values: Any) -> Sent:
    given_: dict[str, Any] = {
        "stage": stage, "processor_invoice_id": "in_1", "payer_id": "cus_1",
        "digest": digest_of(INVOICE, CONTENT, "cus_1"),
    }  # fmt: skip
    return Sent(**(given_ | values))


def at_stripe(stage: str = "lined", there_: dict[str, Any] | None = None, **values: Any) -> Case:
    return case(sent=sent(stage), there=there(**(there_ or {})), **({"is_fresh": True} | values))


def lowered(amount: int, **values: Any) -> dict[str, Any]:
    """The invoice with a part of it paid by a document of the books."""
    part = PaidPart(document_id="payment:9", amount_minor=amount, dated=TODAY, **({"standing": "elsewhere"} | values))
    return {"invoice": replace(INVOICE, open_minor=10_000 - amount), "paid": (part,)}


def changed(amount: int, open_: int) -> dict[str, Any]:
    """The invoice with another total, of which this much is open."""
    return {
        "invoice": replace(INVOICE, amount_minor=amount, open_minor=open_, version="1"),
        "content": InvoiceContent(lines=(InvoiceLine(amount_minor=amount, description="Design"),)),
    }


def credited(amount: int) -> PaidPart:
    """A credit that both systems know of."""
    return PaidPart(
        document_id="payment:8", amount_minor=amount, dated=TODAY, standing="credit", is_credit=True, attached=True
    )


CHANGED = {"content": InvoiceContent(lines=(InvoiceLine(amount_minor=10_000, description="Another text"),))}
OPEN: dict[str, Any] = {"status": "open", "busy": False}
PART_PAID = OPEN | {"number": "INV-1", "paid_minor": 4_000, "remaining_minor": 6_000}
ALL_PAID = {"status": "paid", "number": "INV-1", "paid_minor": 10_000, "remaining_minor": 0}
CASES = {
    "a new one": (case(), "do", "create_invoice"),
    "a customer Stripe does not know": (case(payer=None), "do", "create_customer"),
    "who the customer is": (case(payer=None, candidates=("cus_2",)), "wait", "customer_doubtful"),
    "an inactive customer": (case(customer=replace(CUSTOMER, active=False)), "wait", "customer_inactive"),
    "no address to mail to": (case(payer=replace(PAYER, email=None)), "wait", "no_email"),
    "from before the cut-over": (case(cutover=TODAY), "rest", "before_cutover"),
    "paid": (case(invoice=replace(INVOICE, open_minor=0)), "rest", "nothing_owed"),
    "dated tomorrow": (case(today=date(2026, 10, 19)), "wait", "dated_later"),
    "lines that do not add up": (case(content=InvoiceContent(lines=CONTENT.lines * 2)), "wait", "lines_differ"),
    "a Stripe payment may pay it": (case(is_disputed=True), "wait", "payment_under_way"),
    "its number is taken": (case(number_is_taken=True), "wait", "number_taken"),
    "made by somebody else": (case(twin=there(status="open")), "rest", "already_there"),
    "made by us, and forgotten": (
        case(twin=there(metadata={"tieout_digest": "x", "tieout_revision": "2 1"})), "do", "adopt",
    ),
    "paid in part, by cheque": (case(**lowered(2_000)), "do", "create_invoice"),
    "paid in part, through Stripe": (case(**lowered(2_000, standing="stripe")), "wait", "part_paid"),
    "paid in part, not matched yet": (case(**lowered(2_000, standing="pending")), "wait", "payment_under_way"),
    "a credit was applied": (case(**lowered(2_000, standing="credit")), "wait", "part_paid"),
    "a balance of the customer": (case(payer=replace(PAYER, balances={"USD": -500})), "wait", "customer_balance"),
    "a balance in another currency": (case(payer=replace(PAYER, balances={"EUR": -500})), "do", "create_invoice"),
    "a draft without lines": (at_stripe("created"), "do", "add_lines"),
    "a draft not looked at": (at_stripe(is_fresh=False), "do", "look"),
    "a draft in order": (at_stripe(), "do", "finalize"),
    "drafts only": (at_stripe(mode="draft"), "rest", "drafted"),
    "another total": (at_stripe(there_={"total_minor": 10_001}), "wait", "total_differs"),
    "another amount due": (at_stripe(there_={"due_minor": 9_000, "starting_minor": -1_000}), "wait", "due_differs"),
    "tax computed by Stripe": (at_stripe(there_={"has_automatic_tax": True}), "wait", "automatic_tax"),
    "a draft of what was paid in part": (at_stripe(**lowered(2_000)), "do", "report_payment"),
    "... and was reported": (at_stripe(**lowered(2_000, record_id="pr_1")), "do", "finalize"),
    "a draft changed in the books": (at_stripe(**CHANGED), "do", "delete_draft"),
    "a draft voided in the books": (at_stripe(is_owed=False), "do", "delete_draft"),
    "finalized": (at_stripe("finalized", OPEN), "do", "send"),
    "finalized, not to be mailed": (at_stripe("finalized", OPEN, mode="finalize"), "rest", "open"),
    "mailed": (at_stripe("mailed", OPEN), "rest", "open"),
    "open and changed": (at_stripe("mailed", OPEN, **CHANGED), "do", "void"),
    "open, and now of another customer": (
        at_stripe("mailed", OPEN | {"metadata": {"qbo_customer_id": "4"}}, payer=None), "do", "void",
    ),
    "open, its customer unlinked": (
        at_stripe("mailed", OPEN | {"metadata": {"qbo_customer_id": "5"}}, payer=None), "rest", "open",
    ),
    "open and changed, not looked at": (at_stripe("mailed", OPEN, is_fresh=False, **CHANGED), "do", "look"),
    "changed while it is paid": (at_stripe("mailed", OPEN | {"busy": True}, **CHANGED), "wait", "payment_processing"),
    "changed after a part was paid": (
        at_stripe("mailed", OPEN | {"paid_minor": 1, "remaining_minor": 9_999}, **CHANGED), "wait",
        "changed_after_payment",
    ),
    "lowered after a part was paid": (at_stripe("mailed", PART_PAID, **changed(8_000, 4_000)), "do", "give_credit"),
    "... to what was paid": (at_stripe("mailed", PART_PAID, **changed(4_000, 0)), "do", "give_credit"),
    "... not looked at": (at_stripe("mailed", PART_PAID, is_fresh=False, **changed(8_000, 4_000)), "do", "look"),
    "... while it is paid on": (at_stripe("mailed", PART_PAID | {"busy": True}, **changed(8_000, 4_000)), "wait",
                                "payment_processing"),
    "... below what was paid": (at_stripe("mailed", PART_PAID, **changed(3_000, 0)), "wait", "credit_exceeds"),
    "... which is not in the books yet": (at_stripe("mailed", PART_PAID, **changed(8_000, 8_000)), "wait",
                                          "payment_under_way"),
    "... and by something else besides": (at_stripe("mailed", PART_PAID, **changed(8_000, 3_000)), "wait",
                                          "paid_otherwise"),
    "... and a person gave the credit note": (
        at_stripe("mailed", PART_PAID | {"credited_minor": 2_000, "remaining_minor": 4_000}, **changed(8_000, 4_000)),
        "rest", "open",
    ),
    "... and gave only half of it": (
        at_stripe("mailed", PART_PAID | {"credited_minor": 1_000, "remaining_minor": 5_000}, **changed(8_000, 4_000)),
        "do", "give_credit",
    ),
    "... and has another number now": (
        at_stripe("mailed", PART_PAID | {"number": "INV-0"}, **changed(8_000, 4_000)), "wait", "changed_after_payment",
    ),
    "lowered after a part was credited": (
        at_stripe("mailed", OPEN | {"number": "INV-1", "credited_minor": 2_500, "remaining_minor": 7_500},
                  **changed(8_000, 5_500), paid=(credited(2_500),)), "do", "give_credit",
    ),
    "another text after a part was credited": (
        at_stripe("mailed", OPEN | {"number": "INV-1", "credited_minor": 2_500, "remaining_minor": 7_500}, **CHANGED,
                  paid=(credited(2_500),)), "wait", "changed_after_payment",
    ),
    "another text after we credited what it was lowered by": (
        at_stripe("mailed", PART_PAID | {"credited_minor": 2_000, "remaining_minor": 4_000}, **changed(8_000, 4_000),
                  lowered_minor=2_000), "wait", "changed_after_payment",
    ),
    "raised after a part was paid": (at_stripe("mailed", PART_PAID, **changed(12_000, 8_000)), "wait",
                                     "changed_after_payment"),
    "lowered after it was paid": (at_stripe("mailed", ALL_PAID, **changed(8_000, 0)), "wait", "credit_exceeds"),
    "... and given back by a credit note": (
        at_stripe("mailed", ALL_PAID | {"credited_minor": 2_000}, **changed(8_000, 0)), "rest", "paid",
    ),
    "open and voided in the books": (at_stripe("mailed", OPEN, is_owed=False), "do", "void"),
    "paid and voided in the books": (at_stripe("mailed", {"status": "paid"}, is_owed=False), "wait",
                                     "voided_after_payment"),
    "lowered by a cheque": (at_stripe("mailed", OPEN, **lowered(2_000)), "do", "report_payment"),
    "... reported": (at_stripe("mailed", OPEN, **lowered(2_000, record_id="pr_1")), "do", "attach_payment"),
    "... while it is paid": (at_stripe("mailed", OPEN | {"busy": True}, **lowered(2_000)), "wait",
                             "payment_processing"),
    "lowered by a credit": (at_stripe("mailed", OPEN, **lowered(2_000, standing="credit")), "do", "give_credit"),
    "... and a part was paid there": (
        at_stripe("mailed", OPEN | {"paid_minor": 3_000, "remaining_minor": 7_000},
                  **(lowered(2_000, standing="credit") | {"invoice": replace(INVOICE, open_minor=5_000)})), "do",
        "give_credit",
    ),
    "... while it is paid there": (at_stripe("mailed", OPEN | {"busy": True}, **lowered(2_000, standing="credit")),
                                   "wait", "payment_processing"),
    "... of which Stripe knows": (
        at_stripe("mailed", OPEN, **lowered(2_000, standing="credit", record_id="cn_1", attached=True)), "wait",
        "paid_otherwise",
    ),
    "lowered by what may be Stripe's": (at_stripe("mailed", OPEN, **lowered(2_000, standing="stripe")), "wait",
                                        "paid_otherwise"),
    "lowered, and matching has not looked": (at_stripe("mailed", OPEN, **lowered(2_000, standing="pending")), "wait",
                                             "payment_under_way"),
    "Stripe has collected": (
        at_stripe("mailed", OPEN | {"paid_minor": 4_000, "remaining_minor": 6_000}), "rest", "paid_at_stripe",
    ),
    "lowered by a credit note at Stripe": (
        at_stripe("mailed", OPEN | {"remaining_minor": 6_000}), "rest", "credited_at_stripe",
    ),
    "... and paid in part": (
        at_stripe("mailed", OPEN | {"paid_minor": 1_000, "remaining_minor": 6_000}), "rest", "lowered_at_stripe",
    ),
    "what was reported is gone": (at_stripe("mailed", OPEN, is_report_stale=True), "wait", "report_stale"),
    "paid at Stripe": (at_stripe("mailed", {"status": "paid"}), "rest", "paid"),
    "paid at Stripe, then changed": (at_stripe("mailed", {"status": "paid"}, **CHANGED), "wait",
                                     "changed_after_payment"),
    "voided by somebody": (at_stripe("mailed", {"status": "void"}), "wait", "gone_at_stripe"),
    "deleted by somebody": (case(sent=sent("lined")), "wait", "gone_at_stripe"),
    "void on both sides": (at_stripe("mailed", {"status": "void"}, is_owed=False), "rest", "withdrawn"),
    "written off": (at_stripe("mailed", {"status": "uncollectible"}), "wait", "written_off_at_stripe"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_is_next(name: str) -> None:
    given_, kind, reason = CASES[name]
    found = decide(given_)
    assert (found.kind, found.reason) == (kind, reason)
    assert "INV-1" in found.detail or found.reason in ("below_minimum", "customer_doubtful")


amounts = st.integers(0, 10_000)
parts = st.builds(
    PaidPart,
    document_id=st.sampled_from(["payment:1", "payment:2"]),
    amount_minor=st.sampled_from([1_000, 2_500]),
    dated=st.just(TODAY),
    standing=st.sampled_from(["elsewhere", "pending", "stripe", "credit", "unknown"]),
    record_id=st.sampled_from([None, "pr_1"]),
    attached=st.booleans(),
)
any_case = st.builds(
    case,
    invoice=st.builds(
        lambda amount, open_minor: replace(INVOICE, amount_minor=amount, open_minor=min(amount, open_minor)),
        st.sampled_from([10_000, 8_000]),
        amounts | st.sampled_from([9_000, 7_000, 6_000]),
    ),
    content=st.sampled_from([CONTENT, CHANGED["content"], changed(8_000, 0)["content"]]),
    sent=st.sampled_from([Sent(), *map(sent, ("created", "lined", "finalized", "mailed"))]),
    mode=st.sampled_from(["draft", "finalize", "send"]),
    is_owed=st.booleans(),
    payer=st.sampled_from([PAYER, replace(PAYER, balances={"USD": 700})]),
    there=st.builds(
        there,
        status=st.sampled_from(["draft", "open", "paid", "void", "uncollectible"]),
        total_minor=st.sampled_from([10_000, 9_999]),
        due_minor=st.sampled_from([10_000, 9_300]),
        starting_minor=st.sampled_from([0, -700]),
        paid_minor=st.sampled_from([0, 1_000]),
        remaining_minor=st.sampled_from([10_000, 9_000, 0]),
        credited_minor=st.sampled_from([0, 1_000]),
        number=st.just("INV-1"),
        has_automatic_tax=st.booleans(),
        busy=st.sampled_from([None, False, True]),
    ),
    is_fresh=st.booleans(),
    is_disputed=st.booleans(),
    is_report_stale=st.booleans(),
    paid=st.lists(parts, max_size=2, unique_by=lambda part: part.document_id).map(tuple),
)


@given(any_case)
def test_the_rules_hold_whatever_the_case(given_: Case) -> None:
    found = decide(given_)
    assert found.detail.endswith(".")
    if found.kind != "do":
        return
    now, elsewhere = given_.there, [part for part in given_.paid if part.standing == "elsewhere"]
    if found.reason == "finalize":
        assert now is not None
        assert given_.is_fresh
        assert now.total_minor == given_.invoice.amount_minor
        assert now.due_minor - sum(part.amount_minor for part in elsewhere) == given_.invoice.open_minor
        assert not now.has_automatic_tax
        assert not given_.payer.balances  # type: ignore[union-attr]
        assert given_.invoice.open_minor >= 50
        assert all(part.record_id for part in elsewhere)
    if found.reason == "void":
        assert now is not None
        assert (now.status, now.paid_minor, now.busy, given_.is_fresh, given_.is_disputed) == (
            "open", 0, False, True, False,
        )  # fmt: skip
    if found.reason in ("report_payment", "attach_payment"):
        assert found.part in elsewhere
        assert not given_.is_disputed
        assert given_.is_fresh
    if found.reason == "give_credit":
        assert now is not None
        assert found.part is not None
        assert 0 < found.part.amount_minor <= now.remaining_minor - given_.invoice.open_minor, "it refunds nothing"
        assert (now.status, now.busy, given_.is_fresh, given_.is_disputed) == ("open", False, True, False)
    if found.reason == "delete_draft":
        assert now is not None
        assert now.status == "draft"
    if found.reason == "send":
        assert now is not None
        assert now.remaining_minor == given_.invoice.open_minor


def test_an_invoice_as_it_goes_to_stripe() -> None:
    now = datetime(2026, 11, 2, 12, tzinfo=UTC)
    due = due_at(INVOICE, "America/New_York", now)
    made = compose(INVOICE, CONTENT, "cus_1", realm_id="9", revision=2, spent=1, due=due)
    assert (made.number, made.total_minor, made.currency) == ("INV-1-R2", 10_000, "USD")
    assert due == datetime(2026, 11, 21, 4, 59, 59, tzinfo=UTC)
    assert made.metadata["qbo_invoice_id"] == "70"
    overdue = replace(INVOICE, due_date=date(2026, 10, 1))
    assert due_at(overdue, "America/New_York", now) == datetime(2026, 11, 3, 4, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("currency", "amount", "reason"),
    [
        ("USD", 49, "below_minimum"), ("USD", 50, None), ("JPY", 49, "below_minimum"), ("HUF", 17_500, None),
        ("USD", 100_000_000, "above_maximum"), ("ZMW", 10_000, "unknown_minimum"),
    ],
)  # fmt: skip
def test_what_stripe_can_collect(currency: str, amount: int, reason: str | None) -> None:
    invoice = replace(INVOICE, currency=currency, amount_minor=amount, open_minor=amount)
    content = InvoiceContent(lines=(InvoiceLine(amount_minor=amount, description="x"),))
    found = trouble(invoice, content, TODAY)
    assert (found[0] if found else None) == reason


def test_a_balance_that_joined_meanwhile_is_said() -> None:
    joined = {"status": "open", "busy": False, "starting_minor": -500, "remaining_minor": 9_500}
    assert decide(at_stripe("finalized", joined)).reason == "due_differs"
    assert decide(at_stripe("finalized", joined | {"status": "paid"})).reason == "due_differs"
