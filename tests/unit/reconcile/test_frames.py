"""Frames: what of Stripe's records takes part in matching, and as what."""

from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from reconcile.frames import LEDGER_SCHEMA, PROCESSOR_SCHEMA, ledger_frame, processor_frame
from reconcile.records import (
    Charge,
    Customer,
    Dispute,
    Document,
    InvoicePayment,
    Movement,
    Payout,
    ProcessorInvoice,
    Refund,
)

AT = datetime(2026, 1, 10, 12, tzinfo=UTC)


def movement(number: int, gross: int, category: str, source: str | None, **more: Any) -> Movement:
    shared: dict[str, Any] = {
        "id": f"txn_{number}",
        "created_at": AT,
        "currency": "USD",
        "gross_minor": gross,
        "fee_minor": 0,
        "net_minor": gross,
        "fees": (),
        "category": category,
        "type": category,
        "source_id": source,
        "status": "available",
    }
    return Movement(**(shared | more))


def charge(number: int, amount: int, **more: Any) -> Charge:
    shared: dict[str, Any] = {
        "id": f"ch_{number}",
        "created_at": AT,
        "currency": "USD",
        "amount_minor": amount,
        "captured_minor": amount,
        "refunded_minor": 0,
        "status": "succeeded",
        "movement_id": f"txn_{number}",
    }
    return Charge(**(shared | more))


def invoice_payment(number: int, invoice: str, paid: int, **more: Any) -> InvoicePayment:
    shared: dict[str, Any] = {"id": f"inpay_{number}", "created_at": AT, "currency": "USD", "status": "paid"}
    return InvoicePayment(**(shared | {"invoice_id": invoice, "paid_minor": paid} | more))


def frame(**records: Any) -> pl.DataFrame:
    names = (
        "charges",
        "refunds",
        "disputes",
        "payouts",
        "movements",
        "invoice_payments",
        "processor_invoices",
        "customers",
    )
    return processor_frame("c", **{name: records.get(name, ()) for name in names})


def test_empty_frames_have_the_documented_columns() -> None:
    assert frame().schema == PROCESSOR_SCHEMA
    assert ledger_frame("c", []).schema == LEDGER_SCHEMA


def test_only_settled_movements_take_part_and_each_in_one_row() -> None:
    rows = frame(
        charges=[charge(1, 100), charge(2, 50, movement_id=None), charge(3, 70, movement_id="txn_404")],
        refunds=[
            Refund(
                id="re_1",
                created_at=AT,
                currency="USD",
                amount_minor=30,
                status="failed",
                charge_id="ch_1",
                movement_id="txn_4",
                failure_movement_id="txn_5",
            )
        ],
        disputes=[
            Dispute(
                id="dp_1",
                created_at=AT,
                currency="USD",
                amount_minor=100,
                status="won",
                charge_id="ch_1",
                movement_ids=("txn_7", "txn_6"),
            )
        ],
        payouts=[
            Payout(
                id="po_1",
                created_at=AT,
                currency="USD",
                amount_minor=60,
                status="paid",
                arrives_on=date(2026, 1, 12),
                automatic=True,
                movement_id="txn_8",
            )
        ],
        movements=[
            movement(1, 100, "charge", "ch_1"),
            movement(4, -30, "refund", "re_1"),
            movement(5, 30, "refund_failure", "re_1"),
            movement(6, -100, "dispute", "dp_1"),
            movement(7, 100, "dispute_reversal", "dp_1", created_at=datetime(2026, 1, 20, tzinfo=UTC)),
            movement(8, -60, "payout", "po_1"),
            movement(9, -2, "fee", None),
        ],
    )
    assert rows.select("id", "kind", "amount_minor", "settled_minor").rows() == [
        ("ch_1", "charge", 100, 100),
        ("dp_1", "dispute", -100, -100),
        ("po_1", "payout", -60, -60),
        ("re_1", "refund", -30, -30),
        ("txn_5", "adjustment", 30, 30),
        ("txn_7", "adjustment", 100, 100),
        ("txn_9", "fee", -2, -2),
    ]
    assert rows.row(by_predicate=pl.col("id") == "po_1", named=True)["occurred_at"] == datetime(2026, 1, 12, tzinfo=UTC)


def test_a_partial_capture_is_one_charge_of_what_was_kept() -> None:
    """Row 7: settled in another currency, so the two sums differ."""
    rows = frame(
        charges=[charge(1, 100, captured_minor=60, currency="EUR")],
        refunds=[
            Refund(
                id="re_1",
                created_at=AT,
                currency="EUR",
                amount_minor=40,
                status="succeeded",
                charge_id="ch_1",
                movement_id="txn_2",
            )
        ],
        movements=[movement(1, 108, "charge", "ch_1"), movement(2, -43, "partial_capture_reversal", "re_1")],
    )
    columns = ("id", "currency", "amount_minor", "settled_currency", "settled_minor")
    assert rows.select(columns).rows() == [("ch_1", "EUR", 60, "USD", 65)]


def test_links_and_reference_come_from_what_stripe_says_was_paid() -> None:
    rows = frame(
        charges=[charge(1, 100, payment_intent_id="pi_1", metadata={"qbo_invoice_id": "72", "order": "O-9"})],
        movements=[movement(1, 100, "charge", "ch_1")],
        invoice_payments=[
            invoice_payment(1, "in_1", 60, payment_intent_id="pi_1"),
            invoice_payment(2, "in_2", 40, charge_id="ch_1"),
            invoice_payment(3, "in_2", 90, payment_intent_id="pi_1", status="canceled"),
        ],
        processor_invoices=[
            ProcessorInvoice(
                id="in_1",
                created_at=AT,
                currency="USD",
                total_minor=60,
                status="paid",
                number="F-1",
                metadata={"qbo_invoice_id": "70"},
            )
        ],
    )
    row = rows.row(0, named=True)
    assert {link["target"]: link["amount_minor"] for link in row["links"]} == {
        "invoice:70": 60,
        "in_2": 40,
        "invoice:72": None,
        "pi_1": None,
        "txn_1": None,
    }
    assert row["reference"] == "F-1"


def test_the_customer_is_the_charges_else_stripes() -> None:
    person = Customer(id="cus_1", name="Acme", email="pay@acme.test")
    rows = frame(
        charges=[charge(1, 100, customer_id="cus_1", customer_name="A. Payer", metadata={"order": "O-9"})],
        movements=[movement(1, 100, "charge", "ch_1")],
        customers=[person],
    )
    assert rows.select("customer_name", "customer_email", "reference").row(0) == ("A. Payer", "pay@acme.test", "O-9")


def test_voided_documents_take_no_part() -> None:
    kept = Document(
        id="invoice:1",
        kind="invoice",
        ledger_id="1",
        version="0",
        currency="USD",
        amount_minor=5,
        dated=date(2026, 1, 1),
        open_minor=5,
        external_ids=("in_1",),
    )
    gone = Document(
        id="payment:2",
        kind="payment",
        ledger_id="2",
        version="1",
        currency="USD",
        amount_minor=0,
        dated=date(2026, 1, 1),
        voided=True,
    )
    rows = ledger_frame("c", [gone, kept])
    assert rows.select("id", "open_minor", "external_ids").rows() == [("invoice:1", 5, ["in_1"])]
