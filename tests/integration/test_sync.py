"""The whole way through: from Stripe into the books and back, over both wire formats."""

from typing import Any

import pytest
from sqlalchemy import update

from emulators.stripe import controls
from storage import connections
from storage.models import carried, carried_days, legs, matches, mirror, outbox, tallied_days
from tests import laws
from tests.integration.conftest import Company, link


def test_one_charge_end_to_end(company: Company) -> None:
    stripe_customer, customer = company.customer()
    invoice = company.invoice(customer, 10_000, "INV-1")
    company.pay(stripe_customer, 10_000, "Invoice INV-1")
    company.pass_time(minutes=1)

    counts = company.sync()

    (payment,) = company.ours("Payment")
    assert payment["TotalAmt"] == 100
    assert payment["Line"][0]["LinkedTxn"] == [{"TxnId": invoice["Id"], "TxnType": "Invoice"}]
    (fee,) = company.ours("Purchase")
    assert fee["TotalAmt"] == 3.2
    assert company.qbo.read("Invoice", invoice["Id"])["Balance"] == 0
    assert sum(company.qbo.trial_balance().values()) == 0
    assert counts["posted"] == 2
    assert company.sync().get("posted", 0) == 0


def check_laws(company: Company) -> None:
    laws.check(company.environment, company.stripe, company.qbo)


def test_refund_payout_and_dispute(company: Company) -> None:
    stripe_customer, customer = company.customer()
    company.invoice(customer, 10_000, "INV-1")
    company.invoice(customer, 20_000, "INV-2")
    intent = company.pay(stripe_customer, 10_000, "Invoice INV-1")
    company.pay(stripe_customer, 20_000, "Invoice INV-2")
    company.pass_time(hours=1)
    company.stripe.request("POST", "/v1/refunds", {"charge": intent["latest_charge"], "amount": 3_000})
    company.pass_time(days=7)  # payouts are made and arrive
    company.sync()

    (receipt,) = company.ours("RefundReceipt")
    assert receipt["TotalAmt"] == 30
    assert sum(transfer["Amount"] for transfer in company.ours("Transfer")) > 0
    check_laws(company)


def test_what_happens_later_arrives_by_events(company: Company) -> None:
    """After the first sync nothing is listed again but movements and payouts; the rest is fetched by its events."""
    stripe_customer, customer = company.customer()
    company.invoice(customer, 10_000, "INV-1")
    company.invoice(customer, 20_000, "INV-2")
    company.sync()
    company.invoice(customer, 30_000, "INV-3")
    intents = [company.pay(stripe_customer, 10_000 * n, f"Invoice INV-{n}") for n in (1, 2, 3)]
    company.pass_time(minutes=1)
    company.sync()
    assert len(company.ours("Payment")) == 3
    company.stripe.request("POST", "/v1/refunds", {"charge": intents[0]["latest_charge"], "amount": 3_000})
    controls.use(company.stripe, "disputes", {"charge": intents[1]["latest_charge"]})
    company.stripe.request("POST", f"/v1/customers/{stripe_customer}", {"name": "Blue Foods Ltd"})
    company.pass_time(days=7)
    company.sync()
    assert [receipt["TotalAmt"] for receipt in company.ours("RefundReceipt")] == [30]
    assert company.ours("Transfer")
    check_laws(company)


def test_a_payment_typed_in_by_hand_is_not_recorded_again(company: Company) -> None:
    stripe_customer, customer = company.customer()
    invoice = company.invoice(customer, 10_000, "INV-1")
    company.pay(stripe_customer, 10_000, "Invoice INV-1")
    company.pass_time(minutes=1)
    record_by_hand(company, customer, invoice)
    company.sync()
    assert company.ours("Payment") == []
    check_laws(company)


def record_by_hand(company: Company, customer: str, invoice: dict[str, Any]) -> None:
    line = {"Amount": invoice["TotalAmt"], "LinkedTxn": [{"TxnId": invoice["Id"], "TxnType": "Invoice"}]}
    body = {"CustomerRef": {"value": customer}, "TotalAmt": invoice["TotalAmt"], "Line": [line]}
    company.qbo.create("Payment", body)


def test_a_plan_is_made_anew_when_somebody_was_quicker(company: Company) -> None:
    """Posting was off for a while, and the payment has been typed in by hand meanwhile."""
    stripe_customer, customer = company.customer()
    invoice = company.invoice(customer, 10_000, "INV-1")
    company.pay(stripe_customer, 10_000, "Invoice INV-1")
    company.pass_time(minutes=1)
    switch_posting(company, on=False)
    company.sync()
    assert company.ours("Payment") == []
    record_by_hand(company, customer, invoice)
    switch_posting(company, on=True)
    company.sync()
    assert company.ours("Payment") == []
    check_laws(company)


def switch_posting(company: Company, *, on: bool) -> None:
    with company.environment.database.write() as conn:
        connections.change_link(conn, link(company).id, posting_on=on)


def test_a_database_that_forgot_what_was_posted_finds_it_by_its_marker(company: Company) -> None:
    stripe_customer, customer = company.customer()
    company.invoice(customer, 10_000, "INV-1")
    company.pay(stripe_customer, 10_000, "Invoice INV-1")
    company.pass_time(days=7)
    company.sync()
    before = laws.marked(company.qbo)
    with company.environment.database.write() as conn:
        for table in (outbox, legs, matches, carried_days, tallied_days, carried):
            conn.execute(table.delete())
        conn.execute(update(mirror).where(mirror.c.kind == "movement").values(open=True))
        connections.change_link(conn, link(company).id)
    company.sync()
    assert laws.marked(company.qbo) == before
    check_laws(company)


@pytest.mark.parametrize("side", ["stripe", "qbo"])
@pytest.mark.parametrize("fault", ["error_before", "error_after", "throttle", "lost_answer", "reset", "truncate"])
def test_faults_neither_lose_nor_double_a_payment(company: Company, fault: str, side: str) -> None:
    stripe_customer, customer = company.customer()
    for number in range(1, 5):
        company.invoice(customer, 1_000 * number, f"INV-{number}")
        company.pay(stripe_customer, 1_000 * number, f"Invoice INV-{number}")
    company.pass_time(minutes=1)
    getattr(company, side).faults.set({fault: 0.3})
    for _ in range(3):
        company.try_sync()
    getattr(company, side).faults.set({fault: 0.0})
    company.sync()
    company.sync()
    assert len(company.ours("Payment")) == 4
    assert len(company.ours("Purchase")) == 4
    check_laws(company)
