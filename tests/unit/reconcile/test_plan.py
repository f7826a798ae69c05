"""Each row of the accounting table that is posted today: the documents it makes and where its legs stand."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime

from reconcile.choices import decisions_frame
from reconcile.frames import ledger_frame, processor_frame
from reconcile.matching import match
from reconcile.plan import plan
from reconcile.postings import Mappings, Plan, Policies, Posting, Share
from reconcile.records import (
    Applied,
    Charge,
    Customer,
    Document,
    Fee,
    InvoicePayment,
    Movement,
    Payout,
    ProcessorInvoice,
    Refund,
)
from reconcile.snapshot import Opening, Place, Snapshot, credit_left
from reconcile.typed_fees import fee_rows, fee_sums

NOON = datetime(2026, 9, 14, 16, 0, tzinfo=UTC)
MAPPINGS = Mappings(
    clearing={"USD": "clearing"},
    bank={"USD": "bank"},
    fees={"stripe_fee": "fees", "tax": "fee tax"},
    fee_vendor="stripe",
    sales_item="sale",
    refund_item="refund",
    opening_account="equity",
)


def movement(id_: str, source: str, gross: int, fee: int = 0, category: str = "charge", **rest: object) -> Movement:
    values = {
        "id": id_,
        "created_at": NOON,
        "currency": "USD",
        "gross_minor": gross,
        "fee_minor": fee,
        "net_minor": gross - fee,
        "fees": (Fee(kind="stripe_fee", amount_minor=fee),) if fee else (),
        "category": category,
        "type": category,
        "source_id": source,
        "status": "available",
    }
    return Movement(**(values | rest))  # type: ignore[arg-type]


def charge(amount: int = 10_000, captured: int | None = None, **rest: object) -> Charge:
    values = {
        "id": "ch_1",
        "created_at": NOON,
        "currency": "USD",
        "amount_minor": amount,
        "captured_minor": amount if captured is None else captured,
        "refunded_minor": 0,
        "status": "succeeded",
        "movement_id": "txn_1",
        "payment_intent_id": "pi_1",
        "customer_name": "Blue Foods",
        "customer_email": "ap@blue.example",
    }
    return Charge(**(values | rest))  # type: ignore[arg-type]


def refunded(amount: int) -> Refund:
    """Of `charge`, that much of it."""
    return Refund(
        id="re_1",
        created_at=NOON,
        currency="USD",
        amount_minor=amount,
        status="succeeded",
        charge_id="ch_1",
        movement_id="txn_2",
    )


def invoice(number: str, open_: int, customer: str = "20", **rest: object) -> Document:
    values = {
        "id": f"invoice:{number}",
        "kind": "invoice",
        "ledger_id": number,
        "version": "0",
        "currency": "USD",
        "amount_minor": open_,
        "open_minor": open_,
        "dated": date(2026, 9, 1),
        "customer_id": customer,
        "customer_name": f"Customer {customer}",
        "doc_number": f"INV-{number}",
    }
    return Document(**(values | rest))  # type: ignore[arg-type]


def snapshot(movements: list[Movement], documents: list[Document], **rest: object) -> Snapshot:
    values = {
        "account_id": "acct_1",
        "home_currency": "USD",
        "time_zone": "America/New_York",
        "cutover": date(2026, 9, 1),
        "mappings": MAPPINGS,
        "policies": Policies(),
        "movements": tuple(movements),
        "documents": {document.id: document for document in documents},
    }
    return Snapshot(**(values | rest))  # type: ignore[arg-type]


def paid(*parts: tuple[str, int]) -> dict[str, object]:
    """Stripe says which invoices of the books pi_1 paid."""
    return {
        "charges": {"ch_1": charge(sum(amount for _, amount in parts))},
        "invoice_payments": tuple(
            InvoicePayment(
                id=f"inpay_{number}",
                created_at=NOON,
                currency="USD",
                invoice_id=f"in_{number}",
                status="paid",
                paid_minor=amount,
                payment_intent_id="pi_1",
            )
            for number, amount in parts
        ),
        "processor_invoices": {
            f"in_{number}": ProcessorInvoice(
                id=f"in_{number}",
                created_at=NOON,
                currency="USD",
                total_minor=amount,
                status="paid",
                metadata={"qbo_invoice_id": number},
            )
            for number, amount in parts
        },
    }


def decide(found: Snapshot, taken: Mapping[str, int] | None = None) -> Plan:
    processor = processor_frame(
        "1",
        found.charges.values(),
        found.refunds.values(),
        found.disputes.values(),
        found.payouts.values(),
        found.movements,
        found.invoice_payments,
        found.processor_invoices.values(),
        found.customers.values(),
        fee_rows(fee_sums(found)),
    )
    ledger = ledger_frame("1", found.documents.values(), found.mappings.clearing)
    said = decisions_frame(decision for decisions in found.decisions.values() for decision in decisions)
    return plan(found, match(processor, ledger, decisions=said), taken=taken)


def only(plan_: Plan, kind: str) -> Posting:
    (posting,) = [posting for posting in plan_.postings if posting.kind == kind]
    return posting


def reasons(plan_: Plan) -> dict[str, str]:
    return {decision.leg.id: decision.reason for decision in plan_.decisions}


def test_row_1_a_charge_pays_its_invoice_and_its_fee_is_an_expense() -> None:
    found = decide(snapshot([movement("txn_1", "ch_1", 10_000, 320)], [invoice("70", 10_000)], **paid(("70", 10_000))))
    payment, fee = only(found, "payment"), only(found, "purchase")
    assert (payment.amount_minor, payment.account_id, payment.party_id) == (10_000, "clearing", "20")
    assert payment.applied == (Applied(id="invoice:70", amount_minor=10_000),)
    assert payment.dated == date(2026, 9, 14)
    assert payment.shares == (Share(leg_id="txn_1:gross", amount_minor=10_000),)
    assert (fee.amount_minor, fee.account_id, fee.lines[0].account_id) == (320, "clearing", "fees")
    assert fee.shares == (Share(leg_id="txn_1:stripe_fee", amount_minor=-320),)
    assert reasons(found) == {"txn_1:gross": "queued", "txn_1:stripe_fee": "queued"}


def test_row_2_a_part_payment_leaves_the_rest_open() -> None:
    found = decide(snapshot([movement("txn_1", "ch_1", 10_000)], [invoice("70", 15_000)], **paid(("70", 10_000))))
    assert only(found, "payment").applied == (Applied(id="invoice:70", amount_minor=10_000),)


def test_row_3_an_overpayment_stays_with_the_customer_as_credit() -> None:
    found = decide(snapshot([movement("txn_1", "ch_1", 10_000)], [invoice("70", 8_000)], **paid(("70", 10_000))))
    payment = only(found, "payment")
    assert payment.amount_minor == 10_000
    assert payment.applied == (Applied(id="invoice:70", amount_minor=8_000),)


def test_row_4_one_charge_for_several_invoices() -> None:
    found = decide(
        snapshot(
            [movement("txn_1", "ch_1", 10_000)],
            [invoice("70", 6_000), invoice("71", 4_000)],
            **paid(("70", 6_000), ("71", 4_000)),
        )
    )
    assert {part.id: part.amount_minor for part in only(found, "payment").applied} == {
        "invoice:70": 6_000,
        "invoice:71": 4_000,
    }


def test_row_4_invoices_of_two_customers_get_a_payment_each_that_share_the_leg() -> None:
    found = decide(
        snapshot(
            [movement("txn_1", "ch_1", 10_000)],
            [invoice("70", 6_000, "20"), invoice("71", 4_000, "21")],
            **paid(("70", 6_000), ("71", 4_000)),
        )
    )
    assert {posting.party_id: posting.amount_minor for posting in found.postings} == {"20": 6_000, "21": 4_000}
    assert sum(share.amount_minor for posting in found.postings for share in posting.shares) == 10_000
    assert len({posting.marker for posting in found.postings}) == 2


def test_row_5_without_an_invoice_it_waits_unless_the_policy_says_otherwise() -> None:
    known = invoice("70", 0, customer_email="ap@blue.example", customer_name="Blue Foods", open_minor=0)
    base = snapshot(
        [movement("txn_1", "ch_1", 10_000, 320)],
        [known],
        charges={"ch_1": charge()},
        customers={"cus_1": Customer(id="cus_1", name="Blue Foods", email="ap@blue.example")},
    )
    waiting = decide(base)
    assert not waiting.postings
    assert reasons(waiting) == {"txn_1:gross": "no_invoice", "txn_1:stripe_fee": "waits_with_charge"}

    policies = Policies(charge_without_invoice="sales_receipt")
    unknown = decide(replace(base, policies=policies, documents={}))
    assert reasons(unknown)["txn_1:gross"] == "unknown_customer"

    sale = only(decide(replace(base, policies=policies)), "sales_receipt")
    assert (sale.amount_minor, sale.account_id, sale.party_id) == (10_000, "clearing", "20")
    credit = Policies(charge_without_invoice="unapplied_payment")
    payment = only(decide(replace(base, policies=credit)), "payment")
    assert (payment.amount_minor, payment.applied, payment.party_id) == (10_000, (), "20")


def test_row_7_a_partial_capture_is_one_payment_of_what_was_captured() -> None:
    facts = paid(("70", 6_000)) | {"charges": {"ch_1": charge(10_000, captured=6_000)}}
    first = movement("txn_1", "ch_1", 10_000, 320)
    lonely = decide(snapshot([first], [invoice("70", 6_000)], **facts))
    assert set(reasons(lonely).values()) == {"awaiting_reversal"}

    reversal = movement("txn_2", "ch_1", -4_000, -116, "partial_capture_reversal")
    found = decide(snapshot([first, reversal], [invoice("70", 6_000)], **facts))
    payment, fee = only(found, "payment"), only(found, "purchase")
    assert (payment.amount_minor, fee.amount_minor) == (6_000, 204)
    assert {share.leg_id: share.amount_minor for share in payment.shares} == {
        "txn_1:gross": 10_000,
        "txn_2:gross": -4_000,
    }


def test_row_7_its_fee_is_booked_when_an_account_is_chosen_for_it_later() -> None:
    facts = paid(("70", 6_000)) | {"charges": {"ch_1": charge(10_000, captured=6_000)}}
    later = snapshot([movement("txn_1", "ch_1", 10_000, 320)], [], **facts)
    booked = {"ch_1": Place(customer_id="20", marker="txn_1:charge:r1:s1")}
    found = decide(replace(later, decided_legs=frozenset({"txn_1:gross"}), places=booked))
    assert only(found, "purchase").amount_minor == 320


def test_row_8_a_refund_is_a_refund_receipt_after_its_charge() -> None:
    facts = paid(("70", 10_000)) | {"refunds": {"re_1": refunded(3_000)}}
    moved = [movement("txn_1", "ch_1", 10_000), movement("txn_2", "re_1", -3_000, category="refund")]
    found = decide(snapshot(moved, [invoice("70", 10_000)], **facts))
    receipt = only(found, "refund_receipt")
    assert (receipt.amount_minor, receipt.account_id, receipt.party_id) == (3_000, "clearing", "20")
    assert receipt.after == only(found, "payment").marker
    assert receipt.shares == (Share(leg_id="txn_2:gross", amount_minor=-3_000),)


def test_row_8_a_refund_of_a_charge_that_waits_waits_with_it() -> None:
    refund = refunded(3_000)
    moved = [movement("txn_1", "ch_1", 10_000), movement("txn_2", "re_1", -3_000, category="refund")]
    found = decide(snapshot(moved, [], charges={"ch_1": charge()}, refunds={"re_1": refund}))
    assert reasons(found)["txn_2:gross"] == "waits_with_charge"
    assert not found.postings


def test_row_8_a_refund_of_a_charge_of_two_customers_waits() -> None:
    refund = refunded(3_000)
    moved = [movement("txn_1", "ch_1", 10_000), movement("txn_2", "re_1", -3_000, category="refund")]
    invoices = [invoice("70", 6_000, "20"), invoice("71", 4_000, "21")]
    found = decide(snapshot(moved, invoices, refunds={"re_1": refund}, **paid(("70", 6_000), ("71", 4_000))))
    assert reasons(found) == {"txn_1:gross": "queued", "txn_2:gross": "unknown_customer"}


def test_row_8_the_refund_of_a_payment_typed_in_by_hand_gives_back_the_tax_of_its_invoice() -> None:
    refund = refunded(10_825)
    bill = invoice("70", 0, amount_minor=10_825, tax_minor=825, tax_code="TAX")
    typed = invoice(
        "80",
        0,
        id="payment:80",
        kind="payment",
        amount_minor=10_825,
        external_ids=("ch_1",),
        applied=(Applied(id="invoice:70", amount_minor=10_825),),
    )
    moved = [movement("txn_1", "ch_1", 10_825), movement("txn_2", "re_1", -10_825, category="refund")]
    facts = {"charges": {"ch_1": charge(10_825)}, "refunds": {"re_1": refund}}
    found = decide(snapshot(moved, [typed], paid={bill.id: bill}, **facts))
    receipt = only(found, "refund_receipt")
    assert (receipt.party_id, receipt.tax_minor, receipt.tax_code) == ("20", 825, "TAX")


def test_row_8c_what_was_given_back_counts_once_whether_it_is_linked_to_the_payment_or_not() -> None:
    applied = (Applied(id="invoice:70", amount_minor=6_000),)
    payment = invoice("80", 4_000, id="payment:80", kind="payment", amount_minor=10_000, applied=applied)
    assert credit_left([payment], 0) == 4_000
    assert credit_left([payment], 1_500) == 2_500
    assert credit_left([replace(payment, open_minor=2_500)], 1_500) == 2_500
    used = replace(payment, open_minor=1_000, applied=(*applied, Applied(id="invoice:71", amount_minor=3_000)))
    assert credit_left([used], 1_500) == 0


def test_row_8c_a_charge_recorded_by_hand_as_several_payments_left_what_they_all_left() -> None:
    half = invoice("80", 0, id="payment:80", kind="payment", amount_minor=6_000, external_ids=("ch_1",))
    paying = replace(half, applied=(Applied(id="invoice:70", amount_minor=6_000),))
    rest = replace(half, id="payment:81", ledger_id="81", amount_minor=4_000, open_minor=4_000)
    assert credit_left([paying, rest], 0) == 4_000
    assert credit_left([paying, rest], 1_500) == 2_500
    refund = refunded(10_000)
    moved = [movement("txn_1", "ch_1", 10_000), movement("txn_2", "re_1", -10_000, category="refund")]
    given = {"charges": {"ch_1": charge()}, "refunds": {"re_1": refund}, "receivables": {"USD": "ar"}}
    found = decide(snapshot(moved, [paying, rest], **given))
    assert (only(found, "purchase").amount_minor, only(found, "refund_receipt").amount_minor) == (4_000, 6_000)
    nobodys = decide(snapshot(moved, [paying, replace(rest, customer_id="21")], **given))
    assert reasons(nobodys)["txn_2:gross"] == "unknown_customer"


def payout(status: str, arrives_on: date = date(2026, 9, 16)) -> Payout:
    return Payout(
        id="po_1",
        created_at=NOON,
        currency="USD",
        amount_minor=98_140,
        status=status,
        arrives_on=arrives_on,
        automatic=True,
        movement_id="txn_9",
    )


def test_row_14_a_payout_is_a_transfer_on_the_day_it_arrives() -> None:
    moved = [movement("txn_9", "po_1", -98_140, category="payout")]
    on_its_way = decide(snapshot(moved, [], payouts={"po_1": payout("in_transit")}))
    assert reasons(on_its_way) == {"txn_9:gross": "in_transit"}

    transfer = only(decide(snapshot(moved, [], payouts={"po_1": payout("paid")})), "transfer")
    assert (transfer.account_id, transfer.other_account_id) == ("clearing", "bank")
    assert (transfer.amount_minor, transfer.dated) == (98_140, date(2026, 9, 16))


def test_row_14_an_instant_payout_of_the_first_morning_is_not_in_the_opening() -> None:
    made = datetime(2026, 8, 31, 20, tzinfo=UTC)  # in Auckland the first of September
    moved = [movement("txn_9", "po_1", -98_140, category="payout", created_at=made)]
    found = decide(
        snapshot(moved, [], payouts={"po_1": payout("paid", date(2026, 8, 31))}, time_zone="Pacific/Auckland")
    )
    assert only(found, "transfer").dated == date(2026, 9, 1)


def test_rows_21_and_22_the_opening_covers_what_came_before() -> None:
    before = movement("txn_0", "ch_0", 5_000, 175, created_at=datetime(2026, 8, 20, tzinfo=UTC))
    early_payout = movement("txn_9", "po_1", -98_140, category="payout", created_at=datetime(2026, 8, 30, tzinfo=UTC))
    found = decide(
        snapshot(
            [before, early_payout],
            [],
            charges={"ch_0": charge(5_000, id="ch_0", movement_id="txn_0")},
            payouts={"po_1": payout("paid", date(2026, 9, 2))},
            openings=(Opening(currency="USD", stripe_minor=40_000, in_transit_minor=98_140, existing_minor=100),),
        )
    )
    entry = only(found, "journal_entry")
    assert (entry.amount_minor, entry.dated) == (138_040, date(2026, 9, 1))
    assert {line.account_id: line.amount_minor for line in entry.lines} == {"clearing": 138_040, "equity": -138_040}
    assert only(found, "transfer").dated == date(2026, 9, 2)  # the payout on its way then is still to arrive
    states = {decision.leg.id: (decision.state, decision.markers) for decision in found.decisions}
    assert states["txn_0:gross"] == states["txn_0:stripe_fee"] == ("posted", (entry.marker,))


def test_anything_else_waits_itemised() -> None:
    dispute = movement("txn_3", "dp_1", -10_000, 1_500, "dispute")
    invented = movement("txn_4", "x_1", 1, 0, "a_category_of_next_year")
    elsewhere = movement("txn_5", "ch_1", 10_000, balance_type="issuing")
    found = decide(snapshot([dispute, invented, elsewhere], [], charges={"ch_1": charge()}))
    unread = "Tieout has not read dp_1 from Stripe yet, which is behind this; the next sync does."
    unknown = "Tieout does not post entries of the kind “{}” yet. Record it by hand."
    assert {each.leg.id: (each.reason, each.source_id, each.detail) for each in found.decisions} == {
        "txn_3:gross": ("source_unread", "dp_1", unread),
        "txn_3:stripe_fee": ("source_unread", "dp_1", unread),
        "txn_4:gross": ("unmapped_category", "x_1", unknown.format("a category of next year")),
        "txn_5:gross": ("unmapped_category", "ch_1", unknown.format("charge")),
    }
    assert all(decision.state == "waiting" for decision in found.decisions)


def test_what_cannot_be_posted_says_why() -> None:
    moved, facts = [movement("txn_1", "ch_1", 10_000)], paid(("70", 10_000))
    base = snapshot(moved, [invoice("70", 10_000)], **facts)
    assert reasons(decide(replace(base, mappings=replace(MAPPINGS, clearing={})))) == {
        "txn_1:gross": "unmapped_account"
    }
    assert reasons(decide(replace(base, closed_through=date(2026, 9, 30)))) == {"txn_1:gross": "closed_period"}
    euro = replace(base, movements=(replace(moved[0], currency="EUR"),))
    assert reasons(decide(euro)) == {"txn_1:gross": "unmapped_account"}


def test_by_policy_what_belongs_to_a_closed_period_is_dated_the_first_open_day_and_says_so() -> None:
    base = snapshot([movement("txn_1", "ch_1", 10_000, 320)], [invoice("70", 10_000)], **paid(("70", 10_000)))
    policies = Policies(closed_period="first_open_day")
    found = decide(replace(base, closed_through=date(2026, 9, 30), policies=policies))
    assert {posting.dated for posting in found.postings} == {date(2026, 10, 1)}
    assert all("Belongs to 2026-09-14; the books are closed" in posting.memo for posting in found.postings)


def test_a_decided_leg_is_not_decided_again() -> None:
    base = snapshot([movement("txn_1", "ch_1", 10_000)], [invoice("70", 10_000)], **paid(("70", 10_000)))
    again = decide(replace(base, decided_legs=frozenset({"txn_1:gross"})))
    assert again == Plan()


def test_two_charges_never_take_more_of_an_invoice_than_is_open() -> None:
    second = charge(10_000, id="ch_2", movement_id="txn_2", payment_intent_id="pi_2")
    facts = paid(("70", 10_000))
    facts["charges"]["ch_2"] = second  # type: ignore[index]
    first_payment = facts["invoice_payments"][0]  # type: ignore[index]
    facts["invoice_payments"] = (
        first_payment,
        replace(first_payment, id="inpay_x", payment_intent_id="pi_2"),
    )
    moved = [movement("txn_1", "ch_1", 10_000), movement("txn_2", "ch_2", 10_000)]
    found = decide(snapshot(moved, [invoice("70", 10_000)], **facts))
    applied = sum(part.amount_minor for posting in found.postings for part in posting.applied)
    assert applied <= 10_000
