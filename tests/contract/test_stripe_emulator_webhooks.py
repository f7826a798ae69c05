"""Webhooks of the Stripe stand-in: signed, tried again, sometimes twice or out of order, and not forgotten."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest
import stripe

from emulators.clock import Clock, Rng
from emulators.store import Store
from emulators.stripe.emulator import StripeEmulator
from sync.stripe.events import hint_of
from tests.contract.stripe_bench import START, Bench, open_bench


class Receiver:
    """Keeps what it is sent and answers with `status`."""

    def __init__(self) -> None:
        self.status = 200
        self.received: list[tuple[bytes, str]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.received.append((body, self.headers["Stripe-Signature"]))
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hooks/stripe"

    @contextmanager
    def listening(self) -> Iterator["Receiver"]:
        thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield self
        self.server.shutdown()
        self.server.server_close()

    def events(self, secret: str) -> list[stripe.Event]:
        """As the official client takes them. The clock of the bench is not the client's: the age goes unchecked."""
        return [stripe.Webhook.construct_event(body, header, secret, tolerance=0) for body, header in self.received]


@pytest.fixture
def bench() -> Iterator[Bench]:
    with open_bench() as opened:
        yield opened


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().listening() as listening:
        yield listening


def test_deliveries_are_signed_and_tried_again(bench: Bench, receiver: Receiver) -> None:
    endpoints = bench.api.webhook_endpoints
    endpoint = endpoints.create({"url": receiver.url, "enabled_events": ["charge.succeeded", "refund.created"]})
    assert endpoint.secret.startswith("whsec_")
    assert "secret" not in endpoints.retrieve(endpoint.id)
    receiver.status = 500
    charge = bench.paid().latest_charge
    assert bench.emulator.deliver() == 1
    assert [each.type for each in bench.api.events.list({"delivery_success": False}).data] == ["charge.succeeded"]
    receiver.status = 204
    assert bench.emulator.deliver() == 0
    bench.wait(seconds=2)
    assert bench.emulator.deliver() == 1
    first, second = receiver.events(endpoint.secret)
    assert first.id == second.id
    assert first.data.object["id"] == charge
    assert bench.api.events.list({"delivery_success": False}).data == []
    assert bench.api.events.retrieve(first.id).pending_webhooks == 0
    with pytest.raises(stripe.SignatureVerificationError):
        receiver.events("whsec_other")
    endpoints.update(endpoint.id, {"disabled": True})
    bench.api.refunds.create({"charge": charge})
    assert bench.emulator.deliver() == 0
    assert endpoints.delete(endpoint.id).deleted


def test_duplicates_and_disorder_on_request(bench: Bench, receiver: Receiver) -> None:
    secret = bench.api.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]}).secret
    bench.control("hooks", duplicates=1.0, disorder=0.5)
    told = [bench.customer().id for _ in range(8)]
    for _ in range(3):
        bench.emulator.deliver()
        bench.wait(seconds=5)
    got = [event.data.object["id"] for event in receiver.events(secret)]
    assert sorted(got) == sorted(told * 2)
    assert got != [each for each in told for _ in range(2)]


def test_a_restart_forgets_neither_deliveries_nor_what_is_due(tmp_path: Path, receiver: Receiver) -> None:
    path, clock = str(tmp_path / "stripe.db"), Clock(START)
    emulator = StripeEmulator(Store(path), clock, Rng(7))
    endpoint = {"url": receiver.url, "enabled_events": ["charge.succeeded", "charge.updated"]}
    secret = emulator.request("POST", "/v1/webhook_endpoints", endpoint)["secret"]
    intent = {"amount": 500, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
    charge = emulator.request("POST", "/v1/payment_intents", intent)["latest_charge"]
    emulator.office.store.close()
    again = StripeEmulator(Store(path), clock, Rng(7))
    clock.advance(timedelta(seconds=10))
    with again.running(every_s=0.01):
        for _ in range(500):
            if len(receiver.received) == 2:
                break
            threading.Event().wait(0.01)
    assert [event.type for event in receiver.events(secret)] == ["charge.succeeded", "charge.updated"]
    other = again.request("POST", "/v1/payment_intents", intent)["latest_charge"]
    assert other != charge
    assert len(again.request("GET", "/v1/charges")["data"]) == 2


@pytest.mark.parametrize("names_classic", [True, False])
def test_thin_events_are_what_the_client_takes_for_them(
    bench: Bench, receiver: Receiver, *, names_classic: bool
) -> None:
    secret = bench.api.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]}).secret
    bench.control("hooks", thin=True, thin_name_classic=names_classic)
    customer = bench.customer().id
    bench.emulator.deliver()
    ((body, header),) = receiver.received
    with pytest.raises(ValueError, match="thin"):
        bench.client.construct_event(body, header, secret, tolerance=0)
    told: Any = bench.client.parse_event_notification(body, header, secret, tolerance=0)
    assert (type(told).__name__, told.related_object.id) == ("V1CustomerCreatedEventNotification", customer)
    assert told.fetch_related_object().id == customer
    (classic,) = bench.api.events.list().data
    hint = hint_of(orjson.loads(body))
    assert (hint.kind, hint.object_id, hint.type) == ("customer", customer, "customer.created")
    assert (hint.event_id == classic.id) is names_classic


def test_events_that_were_muted_are_told_to_nobody(bench: Bench, receiver: Receiver) -> None:
    bench.api.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
    bench.control("hooks", mute=True)
    bench.customer()
    assert bench.emulator.deliver() == 0
    assert bench.events() == []
