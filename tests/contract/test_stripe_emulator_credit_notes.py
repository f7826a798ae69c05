"""Credit notes of the Stripe stand-in, through the official client, every answer held against Stripe's annotations."""

from collections.abc import Iterator
from typing import Any

import pytest
import stripe

from tests.contract.stripe_bench import Bench, open_bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    with open_bench() as opened:
        yield opened


TAX = {"amount": 800, "taxable_amount": 10_000, "tax_rate_data": {"percentage": "8", "display_name": "Sales tax"}}


def opened(bench: Bench, **line: Any) -> Any:
    """An open invoice of 100.00, and what `line` adds."""
    customer = bench.customer().id
    values = {"customer": customer, "collection_method": "send_invoice", "days_until_due": 30}
    draft = bench.api.invoices.create(values)
    bench.api.invoices.add_lines(draft.id, {"lines": [{"amount": 10_000, "description": "Design", **line}]})
    return bench.api.invoices.finalize_invoice(draft.id, {"auto_advance": False})


def test_an_open_invoice_is_lowered_until_it_is_paid_and_a_voided_note_raises_it_again(bench: Bench) -> None:
    invoice = opened(bench)
    asked = {"invoice": invoice.id, "amount": 2_500}
    seen = bench.api.credit_notes.preview(asked)
    note = bench.api.credit_notes.create(asked | {"reason": "order_change", "metadata": {"a": "b"}})
    assert (seen.total, note.total, note.pre_payment_amount, note.post_payment_amount) == (2_500, 2_500, 2_500, 0)
    assert (note.type, note.status, note.number) == ("pre_payment", "issued", f"{invoice.number}-CN-01")
    now = bench.api.invoices.retrieve(invoice.id, {"expand": ["payments.data.payment.payment_intent"]})
    assert (now.amount_due, now.amount_remaining, now.total) == (7_500, 7_500, 10_000)
    assert now.pre_payment_credit_notes_amount == 2_500
    assert now.payments.data[0].payment.payment_intent.amount == 7_500

    bench.api.credit_notes.void_credit_note(note.id)
    assert bench.api.invoices.retrieve(invoice.id).amount_remaining == 10_000
    with pytest.raises(stripe.InvalidRequestError):
        bench.api.credit_notes.void_credit_note(note.id)
    whole = bench.api.credit_notes.create({"invoice": invoice.id, "amount": 10_000})
    assert bench.api.invoices.retrieve(invoice.id).status == "paid"
    with pytest.raises(stripe.InvalidRequestError):  # of a paid invoice
        bench.api.credit_notes.void_credit_note(whole.id)
    told = [name for name in bench.events() if name.startswith("credit_note")]
    assert told == ["credit_note.created", "credit_note.voided", "credit_note.created"]


def test_what_a_paid_invoice_cannot_take_goes_back_and_must_add_up(bench: Bench) -> None:
    invoice = opened(bench)
    bench.api.invoices.pay(invoice.id, {"payment_method": "pm_card_visa"})
    asked = {"invoice": invoice.id, "amount": 6_000, "refund_amount": 3_000, "credit_amount": 2_000}
    with pytest.raises(stripe.InvalidRequestError, match="must equal"):
        bench.api.credit_notes.create(asked)
    note = bench.api.credit_notes.create(asked | {"out_of_band_amount": 1_000})
    assert (note.type, note.pre_payment_amount, note.post_payment_amount) == ("post_payment", 0, 6_000)
    assert (note.out_of_band_amount, note.refunds[0].amount_refunded) == (1_000, 3_000)
    refund = bench.api.refunds.retrieve(note.refunds[0].refund)
    assert (refund.amount, bench.movements()[-1].amount) == (3_000, -3_000)
    assert bench.api.customers.retrieve(invoice.customer).balance == -2_000
    with pytest.raises(stripe.InvalidRequestError, match="what is left"):
        bench.api.credit_notes.create({"invoice": invoice.id, "amount": 4_001, "out_of_band_amount": 4_001})
    linked = {"refunds": [{"refund": refund.id, "amount_refunded": 500}]}
    assert (
        bench.api.credit_notes.create({"invoice": invoice.id, "amount": 500, **linked}).refunds[0].refund == refund.id
    )
    assert bench.api.invoices.retrieve(invoice.id).post_payment_credit_notes_amount == 6_500


def test_lines_carry_their_part_of_the_tax(bench: Bench) -> None:
    invoice = opened(bench, tax_amounts=[TAX])
    (line,) = bench.api.invoices.line_items.list(invoice.id).data
    lines = [{"type": "invoice_line_item", "invoice_line_item": line.id, "amount": 2_500}]
    lines.append({"type": "custom_line_item", "description": "Delay", "unit_amount": 300, "quantity": 2})
    note = bench.api.credit_notes.create({"invoice": invoice.id, "lines": lines})
    assert (note.subtotal, note.total, note.total_taxes[0].amount) == (3_100, 3_300, 200)
    assert [each.amount for each in bench.api.credit_notes.line_items.list(note.id).data] == [2_500, 600]
    assert bench.api.invoices.retrieve(invoice.id).amount_remaining == 10_800 - 3_300


def test_notes_are_listed_by_invoice_customer_and_time_and_their_words_change(bench: Bench) -> None:
    first, second = opened(bench), opened(bench)
    notes = [bench.api.credit_notes.create({"invoice": each.id, "amount": 100}) for each in (first, second, second)]
    bench.api.credit_notes.update(notes[0].id, {"memo": "Sorry", "metadata": {"why": "late"}})
    assert bench.api.credit_notes.retrieve(notes[0].id).memo == "Sorry"
    assert [each.id for each in bench.api.credit_notes.list({"invoice": first.id}).data] == [notes[0].id]
    assert {each.id for each in bench.api.credit_notes.list({"customer": second.customer}).data} == {
        each.id for each in notes[1:]
    }
    since = {"created": {"gte": notes[0].created}, "limit": 2}
    assert len(list(bench.api.credit_notes.list(since).auto_paging_iter())) == 3
    draft = bench.api.invoices.create({"customer": first.customer})
    with pytest.raises(stripe.InvalidRequestError):
        bench.api.credit_notes.create({"invoice": draft.id, "amount": 100})
