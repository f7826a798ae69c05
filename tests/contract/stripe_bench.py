"""The Stripe stand-in with the official client at it, every answer held against Stripe's annotations."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import orjson
import stripe

from emulators.clock import Clock, Rng
from emulators.server import serve
from emulators.store import Store
from emulators.stripe import controls
from emulators.stripe.emulator import StripeEmulator
from emulators.stripe.settings import Account
from tests.contract.stripe_schema import annotations, complaints

stripe.enable_telemetry = False
START = datetime(2026, 9, 1, 15, tzinfo=UTC)  # a Tuesday


class Recorder(stripe.RequestsClient):
    """Keeps what was wrong with any answer, and the headers of the last one."""

    def __init__(self) -> None:
        super().__init__(timeout=10)
        self.faults: list[str] = []
        self.sent = 0
        self.headers: dict[str, str] = {}

    def request(self, method: str, url: str, headers: Any, post_data: Any = None) -> Any:
        self.sent += 1
        content, status, answered = super().request(method, url, headers, post_data)
        self.headers = {name.lower(): value for name, value in answered.items()}
        if status == 200:
            self.faults += complaints(orjson.loads(content))
        return content, status, answered


@dataclass
class Bench:
    emulator: StripeEmulator
    clock: Clock
    url: str
    recorder: Recorder = field(default_factory=Recorder)

    def __post_init__(self) -> None:
        self.client = self.new_client()

    def new_client(self, key: str | None = None, retries: int = 0) -> stripe.StripeClient:
        return stripe.StripeClient(
            key or self.emulator.key,
            base_addresses={"api": self.url},
            max_network_retries=retries,
            http_client=self.recorder,
        )

    @property
    def api(self) -> Any:
        return self.client.v1

    def control(self, name: str, **arguments: Any) -> dict[str, Any]:
        return controls.use(self.emulator, name, arguments)

    def wait(self, **step: float) -> None:
        self.clock.advance(timedelta(**step))
        self.emulator.tick()

    def customer(self, **params: Any) -> Any:
        return self.api.customers.create({"name": "Ada", "email": "ada@example.com", **params})

    def paid(self, amount: int = 10_000, currency: str = "usd", method: str = "pm_card_visa", **params: Any) -> Any:
        """A confirmed payment intent."""
        values = {"amount": amount, "currency": currency, "payment_method": method, "confirm": True, **params}
        return self.api.payment_intents.create(values)

    def events(self) -> list[str]:
        """The types of all events, oldest first."""
        return [event.type for event in self.api.events.list({"limit": 100}).auto_paging_iter()][::-1]

    def movements(self, **filters: Any) -> list[Any]:
        """Balance transactions, oldest first."""
        listed = self.api.balance_transactions.list({"limit": 100, **filters}).auto_paging_iter()
        return list(listed)[::-1]


def new_emulator(account: Account | None = None, store: Store | None = None, **options: Any) -> StripeEmulator:
    return StripeEmulator(store or Store(), Clock(START), Rng(7), account=account, **options)


@contextmanager
def open_bench(account: Account | None = None) -> Iterator[Bench]:
    """What was wrong with any answer fails the test in the end."""
    emulator = new_emulator(account)
    with serve(emulator.app) as url:
        bench = Bench(emulator, emulator.office.clock, url)
        yield bench
        events = emulator.request("GET", "/v1/events", {"limit": 100})["data"]
        snapshots = [
            event["data"]["object"] for event in events if event["type"] in get_args(annotations(stripe.Event)["type"])
        ]
        assert not bench.recorder.faults + [fault for snapshot in snapshots for fault in complaints(snapshot)]
