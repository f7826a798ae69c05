"""Every object of a whole demo month, as it comes over the wire, against what the vendors publish."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from emulators.crediting import KINDS
from emulators.world import World, open_world
from tests.contract import qbo_schema, stripe_schema

LISTS = (
    "customers",
    "payment_intents",
    "charges",
    "refunds",
    "disputes",
    "invoices",
    "invoice_payments",
    "credit_notes",
    "payouts",
    "balance_transactions",
    "events",
)
ENTITIES = (
    "CompanyInfo",
    "Preferences",
    "Account",
    "Customer",
    "Vendor",
    "Item",
    "Invoice",
    "Payment",
    "SalesReceipt",
    "RefundReceipt",
    "CreditMemo",
    "Purchase",
    "Deposit",
    "Transfer",
    "JournalEntry",
)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with open_world(7, 1, None, notes=len(KINDS)) as world:
        yield world


def listed(world: World, name: str) -> Iterator[dict[str, Any]]:
    """All of one kind, page by page."""
    address, key = world.announcement["stripe"]["api"], world.announcement["stripe"]["key"]
    params: dict[str, Any] = {"limit": 100}
    while True:
        answer = requests.get(f"{address}/v1/{name}", params=params, auth=(key, ""), timeout=30).json()
        yield from answer["data"]
        if not answer["has_more"]:
            return
        params["starting_after"] = answer["data"][-1]["id"]


def test_stripe_objects_are_what_stripe_python_says(world: World) -> None:
    seen: Counter[str] = Counter()
    for name in LISTS:
        for body in listed(world, name):
            seen[name] += 1
            assert stripe_schema.complaints(body) == [], body["id"]
    assert set(seen) == set(LISTS), f"the month has none of {set(LISTS) - set(seen)}"
    assert seen["charges"] > 90


@pytest.mark.specs
def test_quickbooks_objects_are_what_intuit_says(world: World, specs: object) -> None:
    announced = world.announcement["quickbooks"]
    token = world.qbo.issue_tokens()["access_token"]
    seen: Counter[str] = Counter()
    for entity in ENTITIES:
        answer = requests.get(
            f"{announced['api']}/company/{announced['realm_id']}/query",
            params={"query": f"SELECT * FROM {entity} MAXRESULTS 1000"},
            headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
            timeout=30,
        )
        for body in answer.json()["QueryResponse"].get(entity, []):
            seen[entity] += 1
            assert qbo_schema.complaints(entity, body) == [], f"{entity} {body.get('Id')}"
    assert seen["Invoice"] > 90
    assert seen["Payment"] > 0
