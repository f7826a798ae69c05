"""The oracle drawn from stripe-python: it takes what Stripe sends, and it catches planted errors."""

import inspect
import re
from pathlib import Path
from typing import Any

import orjson
import pytest
import stripe

from emulators.stripe.routes import ROUTES
from tests.contract.stripe_bench import new_emulator
from tests.contract.stripe_schema import complaints

Body = dict[str, Any]


@pytest.fixture(scope="module")
def bodies() -> dict[str, Body]:
    """A charge and an invoice, as in-process answers."""
    emulator = new_emulator(async_capture_s=0)
    customer = emulator.request("POST", "/v1/customers", {"name": "Ada"})["id"]
    intent = {"amount": 500, "currency": "usd", "customer": customer, "payment_method": "pm_card_visa", "confirm": True}
    emulator.request("POST", "/v1/payment_intents", intent)
    invoice = emulator.request("POST", "/v1/invoices", {"customer": customer})["id"]
    emulator.request("POST", f"/v1/invoices/{invoice}/add_lines", {"lines": [{"amount": 5, "description": "x"}]})
    charges = emulator.request("GET", "/v1/charges", {"expand": ["data.balance_transaction", "data.refunds"]})
    return {
        "charge": charges["data"][0],
        "invoice": emulator.request("GET", f"/v1/invoices/{invoice}"),
        "list": charges,
    }


PLANTED: list[tuple[str, str, Any, str]] = [
    ("charge", "amount", "5.00", "charge.amount: expected int, got '5.00'"),
    ("charge", "amount", None, "charge.amount: null, but not nullable"),
    ("charge", "amount", True, "charge.amount: expected int, got True"),
    ("charge", "amount", ..., "charge.amount: required, missing"),
    ("charge", "invoice", "in_1", "charge.invoice: unknown key"),
    ("charge", "status", "paid", "charge.status: 'paid' is none of 'failed', 'pending', 'succeeded'"),
    ("charge", "metadata", {"a": 1}, "charge.metadata.a: expected str, got 1"),
    ("charge", "balance_transaction", 5, "charge.balance_transaction: expected str, got 5"),
    ("charge", "balance_transaction", {"object": "payout"}, "expected a balance_transaction, got object 'payout'"),
    ("charge", "balance_transaction.net", ..., "charge.balance_transaction.net: required, missing"),
    ("charge", "balance_transaction.fee_details.0.amount", None, "fee_details[0].amount: null, but not nullable"),
    ("charge", "balance_transaction.type", "chargee", "charge.balance_transaction.type: 'chargee' is none of"),
    ("charge", "payment_method_details.card.last_4", "4242", "payment_method_details.card.last_4: unknown key"),
    ("charge", "refunds.has_more", None, "charge.refunds.has_more: expected bool, got None"),
    ("invoice", "lines.data.0.amount", "5", "invoice.lines[0].amount: expected int, got '5'"),
    ("invoice", "lines.data.0.quantity_decimal", "one", "quantity_decimal: expected Decimal, got 'one'"),
    ("invoice", "status_transitions", None, "invoice.status_transitions: null, but not nullable"),
    ("list", "data.0.object", "charges", "list[0]: unknown object 'charges'"),
    ("list", "url", ..., "list.url: expected str, got None"),
]


@pytest.mark.parametrize(("name", "path", "value", "complaint"), PLANTED)
def test_planted_errors_are_caught(bodies: dict[str, Body], name: str, path: str, value: Any, complaint: str) -> None:
    body = orjson.loads(orjson.dumps(bodies[name]))
    assert complaints(body) == []
    *steps, last = path.split(".")
    node = body
    for step in steps:
        node = node[int(step) if isinstance(node, list) else step]
    if value is ...:
        del node[last]
    else:
        node[last] = value
    assert any(complaint in found for found in complaints(body)), complaints(body)


EXAMPLES = ("account", "balance", "balance_transaction", "charge", "credit_note", "credit_note_line_item", "customer",
            "dispute", "invoice", "invoice_payment", "invoiceitem", "line_item", "payment_intent", "payment_method",
            "payout", "refund", "webhook_endpoint")  # fmt: skip


@pytest.mark.specs
def test_stripes_own_examples_pass_but_for_what_changed_since(specs: Path) -> None:
    """They are of July; their values are partly made up, so that enums are not held against them."""
    examples = orjson.loads((specs / "stripe" / "fixtures3.json").read_bytes())["resources"]
    found = [fault for kind in EXAMPLES for fault in complaints(examples[kind], open_enums=True)]
    assert found == [
        "dispute.evidence_details.submission_method: required, missing",
        "invoice.subscription: unknown key",
    ]


SERVICES = {
    ("POST", "charges"): (stripe.ChargeService, "create"),
    ("POST", "charges", "*"): (stripe.ChargeService, "update"),
    ("GET", "credit_notes"): (stripe.CreditNoteService, "list"),
    ("GET", "credit_notes", "preview"): (stripe.CreditNoteService, "preview"),
    ("POST", "credit_notes"): (stripe.CreditNoteService, "create"),
    ("POST", "credit_notes", "*"): (stripe.CreditNoteService, "update"),
    ("POST", "customers"): (stripe.CustomerService, "create"),
    ("POST", "customers", "*"): (stripe.CustomerService, "update"),
    ("POST", "disputes", "*"): (stripe.DisputeService, "update"),
    ("POST", "invoiceitems"): (stripe.InvoiceItemService, "create"),
    ("POST", "invoices"): (stripe.InvoiceService, "create"),
    ("POST", "invoices", "*"): (stripe.InvoiceService, "update"),
    ("POST", "invoices", "*", "attach_payment"): (stripe.InvoiceService, "attach_payment"),
    ("POST", "invoices", "*", "finalize"): (stripe.InvoiceService, "finalize_invoice"),
    ("POST", "invoices", "*", "pay"): (stripe.InvoiceService, "pay"),
    ("POST", "payment_intents"): (stripe.PaymentIntentService, "create"),
    ("POST", "payment_intents", "*"): (stripe.PaymentIntentService, "update"),
    ("POST", "payment_intents", "*", "cancel"): (stripe.PaymentIntentService, "cancel"),
    ("POST", "payment_intents", "*", "capture"): (stripe.PaymentIntentService, "capture"),
    ("POST", "payment_intents", "*", "confirm"): (stripe.PaymentIntentService, "confirm"),
    ("POST", "payment_records", "report_payment"): (stripe.PaymentRecordService, "report_payment"),
    ("POST", "payouts"): (stripe.PayoutService, "create"),
    ("POST", "refunds"): (stripe.RefundService, "create"),
    ("POST", "webhook_endpoints"): (stripe.WebhookEndpointService, "create"),
    ("POST", "webhook_endpoints", "*"): (stripe.WebhookEndpointService, "update"),
    ("GET", "balance_transactions"): (stripe.BalanceTransactionService, "list"),
    ("GET", "charges"): (stripe.ChargeService, "list"),
    ("GET", "events"): (stripe.EventService, "list"),
    ("GET", "invoice_payments"): (stripe.InvoicePaymentService, "list"),
    ("GET", "invoices"): (stripe.InvoiceService, "list"),
    ("GET", "payouts"): (stripe.PayoutService, "list"),
    ("GET", "refunds"): (stripe.RefundService, "list"),
}


@pytest.mark.parametrize(
    ("route", "call"), SERVICES.items(), ids=lambda value: "-".join(value) if value[0] in ("GET", "POST") else value[1]
)
def test_every_parameter_that_is_taken_is_one_of_stripes(route: tuple[str, ...], call: tuple[type, str]) -> None:
    """`disabled` and the like come from Stripe's page, not from a guess."""
    service, method = call
    annotation = str(inspect.signature(getattr(service, method)).parameters["params"].annotation)
    names = set(re.findall(r"\w+Params", annotation))
    known = getattr(stripe.params, names.pop()).__annotations__
    assert ROUTES[route].params - set(known) == set()
