"""Objects again, by their ids: through pages of a hundred where several are wanted, singly where that is no dearer.

Stripe has no list by ids. But it lists by time, newest first, so a page that begins at the newest object still wanted
brings that one and all others of that time. Each request so brings one wanted object at least: it never takes more
requests than asking one by one.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import stripe

from sync.errors import Rejected
from sync.ports import Fetched
from sync.stripe.client import Listed, call, listed, plain
from sync.stripe.events import SUBSCRIPTION
from sync.stripe.records import fetched

PAGE = 100  # Stripe's maximum
# Stripe's list services of our kinds, and what hangs on an object and is brought along.
SERVICES = {
    "customer": "customers",
    "processor_invoice": "invoices",
    "invoice_payment": "invoice_payments",
    "credit_note": "credit_notes",
    "charge": "charges",
    "refund": "refunds",
    "dispute": "disputes",
    "payout": "payouts",
    "movement": "balance_transactions",
}
EXPAND = {
    "charge": ["balance_transaction"],
    "refund": ["balance_transaction"],
    "payout": ["balance_transaction"],
    "processor_invoice": ["payments", "amount_paid_off_stripe"],
}


def fetch(client: stripe.StripeClient, kind: str, wanted: Mapping[str, datetime | None]) -> list[Fetched]:
    """Objects of a kind with what hangs on them; `wanted` says when each was made, as far as that is known."""
    if kind == SUBSCRIPTION:
        return [found for object_id in sorted(wanted) for found in _invoices_of(client, object_id)]
    found: list[Fetched] = []
    rest = sorted(((at, object_id) for object_id, at in wanted.items() if at is not None), reverse=True)
    single = [object_id for object_id, at in wanted.items() if at is None]
    while len(rest) > 1:
        page = list_page(client, kind, {"created": {"lte": int(rest[0][0].timestamp())}})
        there = {str(body.get("id")): body for body in page.bodies}
        created = page.bodies[-1].get("created") if page.cursor else 0
        reached = created if isinstance(created, int) else 0
        passed = [(at, object_id) for at, object_id in rest if object_id in there or at.timestamp() >= reached]
        for _, object_id in passed:
            if object_id in there:
                found += with_parts(client, kind, there[object_id])
            else:  # not where it was expected
                single.append(object_id)
        gone_by = {object_id for _, object_id in passed}
        rest = [(at, object_id) for at, object_id in rest if object_id not in gone_by]
    for object_id in sorted([*single, *(object_id for _, object_id in rest)]):
        found += _fetch_one(client, kind, object_id)
    return found


def list_page(client: stripe.StripeClient, kind: str, params: Mapping[str, Any]) -> Listed:
    """One page of a list with what hangs on each object, newest first."""
    expand = [f"data.{name}" for name in EXPAND.get(kind, [])]
    service = getattr(client.v1, SERVICES[kind])
    return listed(lambda: service.list({"limit": PAGE, "expand": expand, **params}))


def walk(client: stripe.StripeClient, service: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every object of a short list."""

    def ask() -> list[dict[str, Any]]:
        listing = getattr(client.v1, service).list({"limit": PAGE, **params})
        return [plain(each) for each in listing.auto_paging_iter()]

    return call(ask)


def objects_in(value: Any) -> list[dict[str, Any]]:
    """Those objects in a list that are there whole, not only by their ids."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def with_parts(client: stripe.StripeClient, kind: str, content: dict[str, Any]) -> list[Fetched]:
    """An object with the movements it caused (Stripe sends no event for those) or the payments it got."""
    inner = objects_in([content.get("balance_transaction")]) + objects_in(content.get("balance_transactions"))
    found = [fetched(kind, content), *(fetched("movement", part) for part in inner)]
    payments = content.get("payments")
    if kind == "processor_invoice" and isinstance(payments, dict):
        more = walk(client, "invoice_payments", {"invoice": found[0].id}) if payments.get("has_more") else []
        found += [fetched("invoice_payment", part) for part in (more or objects_in(payments.get("data")))]
    return found


def invoice_payments(client: stripe.StripeClient, payment_intent_id: str) -> list[Fetched]:
    """Which invoices a payment paid."""
    params = {"payment": {"type": "payment_intent", "payment_intent": payment_intent_id}}
    return [fetched("invoice_payment", body) for body in walk(client, "invoice_payments", params)]


def _invoices_of(client: stripe.StripeClient, subscription_id: str) -> list[Fetched]:
    params = {"subscription": subscription_id, "expand": [f"data.{each}" for each in EXPAND["processor_invoice"]]}
    return [
        found for body in walk(client, "invoices", params) for found in with_parts(client, "processor_invoice", body)
    ]


def _fetch_one(client: stripe.StripeClient, kind: str, object_id: str) -> list[Fetched]:
    service = getattr(client.v1, SERVICES[kind])
    try:
        body = call(lambda: plain(service.retrieve(object_id, {"expand": EXPAND.get(kind, [])})))
    except Rejected as error:
        if error.code == "resource_missing":
            return [Fetched(kind=kind, id=object_id, record=None)]
        raise
    return with_parts(client, kind, body)
