"""Invoices of the Stripe stand-in, and which payment paid how much of which."""

from collections.abc import Iterator
from typing import Any

import pytest
import stripe

from tests.contract.stripe_bench import Bench, open_bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    with open_bench() as opened:
        yield opened


def opened_invoice(bench: Bench, customer: str, amount: int, **params: Any) -> Any:
    values = {"customer": customer, "collection_method": "send_invoice", "days_until_due": 30, **params}
    draft = bench.api.invoices.create(values)
    bench.api.invoices.add_lines(draft.id, {"lines": [{"amount": amount, "description": "Design"}]})
    return bench.api.invoices.finalize_invoice(draft.id, {"auto_advance": False})


def paid_parts(bench: Bench, **filters: Any) -> list[tuple[str, int]]:
    listed = bench.api.invoice_payments.list({"status": "paid", **filters}).data
    return sorted((each.invoice, each.amount_paid) for each in listed)


def test_from_draft_to_paid(bench: Bench) -> None:
    customer = bench.customer()
    draft = bench.api.invoices.create({"customer": customer.id, "number": "QB-1045", "metadata": {"qbo": "1"}})
    tax = {"amount": 160, "taxable_amount": 2_000, "tax_rate_data": {"percentage": "8", "display_name": "Sales tax"}}
    lines = [{"amount": 2_000, "description": "Design", "tax_amounts": [tax]}, {"amount": 500, "description": "Fonts"}]
    bench.api.invoices.add_lines(draft.id, {"lines": lines})
    bench.api.invoice_items.create(
        {"customer": customer.id, "invoice": draft.id, "unit_amount_decimal": "7.5", "quantity": 4}
    )
    invoice = bench.api.invoices.finalize_invoice(draft.id)
    assert (invoice.number, invoice.status, invoice.subtotal, invoice.total) == ("QB-1045", "open", 2_530, 2_690)
    assert [line.amount for line in bench.api.invoices.line_items.list(invoice.id).data] == [2_000, 500, 30]
    with pytest.raises(stripe.InvalidRequestError):
        bench.api.invoices.add_lines(draft.id, {"lines": lines})
    with pytest.raises(stripe.CardError):
        bench.api.invoices.pay(invoice.id, {"payment_method": "pm_card_chargeDeclined"})
    assert bench.api.invoices.retrieve(invoice.id).attempt_count == 1
    invoice = bench.api.invoices.pay(
        invoice.id, {"payment_method": "pm_card_visa", "expand": ["payments.data.payment.payment_intent.latest_charge"]}
    )
    assert (invoice.status, invoice.amount_paid, invoice.amount_remaining) == ("paid", 2_690, 0)
    payment = invoice.payments.data[0]
    assert (payment.amount_paid, payment.is_default) == (2_690, True)
    assert payment.payment.payment_intent.latest_charge.amount == 2_690
    told = [name for name in bench.events() if name.startswith("invoice")]
    assert told[0] == "invoice.created"
    assert {"invoice.finalized", "invoice.payment_failed", "invoice_payment.paid", "invoice.paid"} <= set(told)


def test_one_payment_for_two_invoices_and_a_rest(bench: Bench) -> None:
    customer = bench.customer().id
    one, two = opened_invoice(bench, customer, 6_000), opened_invoice(bench, customer, 9_000)
    intent = bench.paid(10_000, customer=customer)
    for invoice in (one, two):
        bench.api.invoices.attach_payment(invoice.id, {"payment_intent": intent.id})
    payment = {"type": "payment_intent", "payment_intent": intent.id}
    assert paid_parts(bench, payment=payment) == sorted([(one.id, 6_000), (two.id, 4_000)])
    two = bench.api.invoices.retrieve(two.id)
    assert (two.status, two.amount_paid, two.amount_remaining) == ("open", 4_000, 5_000)
    two = bench.api.invoices.pay(two.id, {"payment_method": "pm_card_visa"})
    assert (two.status, two.amount_paid) == ("paid", 9_000)
    assert [amount for _, amount in paid_parts(bench, invoice=two.id)] == [4_000, 5_000]
    with pytest.raises(stripe.InvalidRequestError):
        bench.api.invoices.attach_payment(one.id, {"payment_intent": intent.id})


def test_an_overpayment_is_credited_to_the_customer(bench: Bench) -> None:
    customer = bench.customer().id
    invoice = opened_invoice(bench, customer, 6_000)
    intent = bench.paid(7_500, customer=customer)
    bench.control("attach_payment", invoice=invoice.id, payment_intent=intent.id, amount=7_500)
    invoice = bench.api.invoices.retrieve(invoice.id)
    assert (invoice.status, invoice.amount_paid, invoice.amount_overpaid) == ("paid", 6_000, 1_500)
    assert paid_parts(bench) == [(invoice.id, 7_500)]
    assert bench.api.customers.retrieve(customer).balance == -1_500
    assert "invoice.overpaid" in bench.events()


def test_the_ways_an_invoice_ends_without_a_charge(bench: Bench) -> None:
    customer = bench.customer().id
    outside, void, lost = (opened_invoice(bench, customer, 1_000) for _ in range(3))
    outside = bench.api.invoices.pay(outside.id, {"paid_out_of_band": True, "expand": ["amount_paid_off_stripe"]})
    assert (outside.status, outside.amount_remaining, outside.amount_paid_off_stripe) == ("paid", 0, 1_000)
    assert bench.api.invoices.void_invoice(void.id).status == "void"
    assert bench.api.invoices.mark_uncollectible(lost.id).status == "uncollectible"
    reasons = sorted(str(each.cancellation_reason) for each in bench.api.payment_intents.list().data)
    assert reasons == ["None", "automatic", "void_invoice"]
    assert paid_parts(bench) == []
    assert bench.movements() == []
    draft = bench.api.invoices.create({"customer": customer})
    assert bench.api.invoices.delete(draft.id).deleted
    with pytest.raises(stripe.InvalidRequestError, match="days_until_due"):
        bench.api.invoices.create({"customer": customer, "collection_method": "send_invoice"})


def test_money_from_outside_pays_a_part(bench: Bench) -> None:
    invoice = opened_invoice(bench, bench.customer().id, 6_000)
    record = bench.api.payment_records.report_payment(
        {
            "amount_requested": {"value": 2_500, "currency": "usd"},
            "initiated_at": invoice.created,
            "outcome": "guaranteed",
            "guaranteed": {"guaranteed_at": invoice.created},
            "payment_method_details": {"type": "custom", "custom": {"display_name": "Cheque"}},
        }
    )
    expand = ["amount_paid_off_stripe", "payments.data.payment.payment_record"]
    invoice = bench.api.invoices.attach_payment(invoice.id, {"payment_record": record.id, "expand": expand})
    assert (invoice.status, invoice.amount_remaining, invoice.amount_paid_off_stripe) == ("open", 3_500, 2_500)
    filters = {"payment": {"type": "payment_record", "payment_record": record.id}}
    assert paid_parts(bench, **filters) == [(invoice.id, 2_500)]
    assert bench.movements() == []


def test_a_bounced_debit_opens_its_invoice_again(bench: Bench) -> None:
    invoice = opened_invoice(bench, bench.customer().id, 20_000)
    bench.api.invoices.pay(invoice.id, {"payment_method": "pm_usBankAccount_success"})
    bench.wait(days=7)
    assert bench.api.invoices.retrieve(invoice.id).status == "paid"
    charge = bench.api.charges.list().data[0].id
    bench.control("charge_failures", charge=charge)
    invoice = bench.api.invoices.retrieve(invoice.id)
    assert (invoice.status, invoice.amount_remaining) == ("open", 20_000)


def test_the_balance_of_a_customer_joins_the_next_invoice(bench: Bench) -> None:
    customer = bench.customer(balance=-2_000).id
    found = bench.api.customers.retrieve(customer, {"expand": ["invoice_credit_balance"]})
    assert found.balance == -2_000
    draft = bench.api.invoices.create({"customer": customer, "automatic_tax": {"enabled": False}})
    bench.api.invoices.add_lines(draft.id, {"lines": [{"amount": 6_000}]})
    draft = bench.api.invoices.retrieve(draft.id)
    assert (draft.total, draft.starting_balance, draft.amount_due) == (6_000, -2_000, 4_000)
    invoice = bench.api.invoices.finalize_invoice(draft.id)
    assert (invoice.amount_due, invoice.amount_remaining, invoice.ending_balance) == (4_000, 4_000, 0)
    assert bench.api.customers.retrieve(customer).balance == 0


def test_less_than_can_be_charged_moves_to_the_balance(bench: Bench) -> None:
    customer = bench.customer().id
    invoice = opened_invoice(bench, customer, 49)
    assert (invoice.status, invoice.amount_due) == ("paid", 0)
    assert bench.api.customers.retrieve(customer).balance == 49


def test_a_number_is_used_once_unless_it_may_be_used_again(bench: Bench) -> None:
    customer = bench.customer().id
    opened_invoice(bench, customer, 1_000, number="INV-7")
    with pytest.raises(stripe.InvalidRequestError, match="INV-7"):
        opened_invoice(bench, customer, 1_000, number="INV-7")
    bench.control("invoice_numbers", unique=False)
    assert opened_invoice(bench, customer, 1_000, number="INV-7").number == "INV-7"
    with pytest.raises(stripe.InvalidRequestError, match="future"):
        bench.api.invoices.create({"customer": customer, "collection_method": "send_invoice", "due_date": 1})
