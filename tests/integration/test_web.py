"""Webhooks: only what is genuine is stored, and only as a hint; everything else is refused and forgotten."""

import base64
import hashlib
import hmac
import json
import logging
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
import stripe
from sqlalchemy import select
from starlette.testclient import TestClient

from storage import connections
from storage.models import inbox
from sync.web import BODY_LIMIT, hooks_app
from tests.integration.conftest import Company

SECRET, VERIFIER = "whsec_test", "verifier"  # the second is the fixture company's


@dataclass
class Hooks:
    """The hooks process of a company, as its senders see it."""

    company: Company
    client: TestClient
    link: connections.Link

    def stripe(self, body: str, *, secret: str = SECRET, age_s: int = 0, header: str | None = None) -> int:
        signed_at = int(self.company.environment.clock.now().timestamp()) - age_s
        header = header or stripe.WebhookSignature.generate_signature_header(body, secret, signed_at)
        path = f"/webhooks/stripe/{self.link.processor_id}"
        return self.client.post(path, content=body, headers={"stripe-signature": header}).status_code

    def quickbooks(self, body: str, *, signature: str | None = None) -> int:
        made = base64.b64encode(hmac.new(VERIFIER.encode(), body.encode(), hashlib.sha256).digest()).decode()
        headers = {"intuit-signature": made if signature is None else signature}
        path = f"/webhooks/quickbooks/{self.link.ledger_id}"
        return self.client.post(path, content=body, headers=headers).status_code

    def stored(self) -> list[Any]:
        with self.company.environment.database.read() as conn:
            return list(conn.execute(select(inbox).where(inbox.c.channel == "webhook").order_by(inbox.c.id)))


@pytest.fixture
def hooks(company: Company) -> Hooks:
    environment = company.environment
    with environment.database.write() as conn:
        (link,) = connections.all_links(conn)
        connections.store_secret(
            conn, environment.vault, link.processor_id, "webhook_secret", SECRET, environment.clock.now()
        )
    return Hooks(company, TestClient(hooks_app(environment)), link)


def stripe_event(company: Company, **changes: Any) -> str:
    company.customer()
    body: dict[str, Any] = company.stripe.request("GET", "/v1/events", {"limit": 1})["data"][0]
    return json.dumps(body | changes)


def cloud_event(hooks: "Hooks", **changes: Any) -> str:
    body = {
        "specversion": "1.0",
        "id": "88cd52aa-33b6-4351-9aa4-47572edbd068",
        "source": "intuit.x",
        "type": "qbo.invoice.updated.v1",
        "datacontenttype": "application/json",
        "time": "2025-09-10T21:31:25.179851517Z",
        "intuitentityid": "1234",
        "intuitaccountid": hooks.company.qbo.realm_id,
        "data": {},
    }
    return json.dumps([body | changes])


def test_a_genuine_event_is_stored_once_however_often_it_comes(hooks: Hooks) -> None:
    body = stripe_event(hooks.company)
    assert [hooks.stripe(body) for _ in range(3)] == [200, 200, 200]
    (row,) = hooks.stored()
    assert (row.type, row.kind, row.state) == ("customer.created", "customer", "new")
    assert hooks.quickbooks(cloud_event(hooks)) == hooks.quickbooks(cloud_event(hooks)) == 200
    assert [row.kind for row in hooks.stored()] == ["customer", "books:invoice"]


def test_what_is_not_genuine_leaves_no_trace(hooks: Hooks, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    body = stripe_event(hooks.company, canary="4242-not-for-the-log")
    path = f"/webhooks/stripe/{hooks.link.processor_id}"
    answers = [
        hooks.stripe(body, secret="whsec_other"),
        hooks.stripe(body, age_s=301),
        hooks.stripe(body, age_s=-3600),  # stripe-python itself lets the future pass
        hooks.stripe(body, header="t=now,v1=nonsense"),
        hooks.stripe(body, header="nonsense"),
        hooks.stripe("{not json"),
        hooks.stripe("[]"),
        hooks.stripe('{"id": "evt_1"}'),
        hooks.stripe("x" * (BODY_LIMIT + 1)),
        hooks.client.post(path, content=body).status_code,
        hooks.client.post("/webhooks/stripe/999", content=body).status_code,
        hooks.quickbooks(cloud_event(hooks), signature=""),
        hooks.quickbooks(cloud_event(hooks), signature="%%%"),
        hooks.quickbooks(cloud_event(hooks), signature=base64.b64encode(b"x" * 32).decode()),
        hooks.quickbooks("{not json"),
    ]
    assert answers == [400] * len(answers)
    assert hooks.stored() == []
    assert "4242-not-for-the-log" not in caplog.text


def test_what_quickbooks_says_is_taken_in_either_form_and_only_of_our_company(hooks: Hooks) -> None:
    """A repeated delivery counts once; what cannot be read still makes the books be read."""
    ours, time = hooks.company.qbo.realm_id, "2026-01-02T03:04:05.678Z"
    entities = [
        {"id": "7", "operation": operation, "name": "Invoice", "lastUpdated": time}
        for operation in ("Create", "Update", "Void", "Delete", "Emailed")
    ]
    merged = {"id": "58", "operation": "Merge", "name": "Customer", "lastUpdated": time, "deletedId": "59"}
    notifications = [
        {"realmId": "310687", "dataChangeEvent": {"entities": entities}},
        {"realmId": ours, "dataChangeEvent": {"entities": [*entities, merged, {"odd": True}]}},
        {"realmId": ours},
    ]
    legacy = json.dumps({"eventNotifications": notifications})
    cloud = [*json.loads(cloud_event(hooks)), *json.loads(cloud_event(hooks, id="2", intuitaccountid="310687")), [], 5]
    for body in (legacy, legacy, json.dumps(cloud), "{}"):
        assert hooks.quickbooks(body) == 200
    kinds = Counter(row.kind for row in hooks.stored())
    assert kinds == {"books:invoice": 6, "books:customer": 1, "books:unknown": 5}
    hooks.company.sync()
    assert {row.state for row in hooks.stored()} == {"done"}


def test_an_event_of_a_kind_nobody_knows_waits_with_its_reason(hooks: Hooks) -> None:
    body = json.loads(stripe_event(hooks.company))
    body |= {"id": "evt_future", "type": "teleport.created", "data": {"object": {"id": "tp_1", "object": "teleport"}}}
    assert hooks.stripe(json.dumps(body)) == 200
    hooks.company.sync()
    (row,) = [row for row in hooks.stored() if row.event_id == "evt_future"]
    assert row.state == "waiting"
    assert row.problem


def test_an_event_is_only_a_hint_the_object_is_fetched_again(hooks: Hooks) -> None:
    company = hooks.company
    stripe_customer, customer = company.customer()
    company.invoice(customer, 10_000, "INV-1")
    company.sync()
    company.pay(stripe_customer, 10_000, "Invoice INV-1")
    company.pass_time(minutes=1)
    events = company.stripe.request("GET", "/v1/events", {"type": "charge.updated"})["data"]
    lie = events[0]
    lie["data"]["object"]["amount"] = lie["data"]["object"]["amount_captured"] = 99_999_999
    assert hooks.stripe(json.dumps(lie)) == 200
    company.sync()
    (payment,) = company.ours("Payment")
    assert payment["TotalAmt"] == 100
