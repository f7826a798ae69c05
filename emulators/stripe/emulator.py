"""The Stripe stand-in: in-process through `request`, over HTTP through `app`, both by the same way."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

from starlette.applications import Starlette

from emulators.clock import Clock, Rng
from emulators.faults import Faults
from emulators.store import Store
from emulators.stripe import (
    charges,
    credit_notes,
    disputes,
    idempotency,
    invoice_items,
    invoices,
    ledger,
    payment_intents,
    payouts,
    refunds,
    routes,
    webhooks,
)
from emulators.stripe.errors import Body, StripeError
from emulators.stripe.expansion import expand
from emulators.stripe.office import Office
from emulators.stripe.params import Params, as_form
from emulators.stripe.settings import KEY, Account
from emulators.stripe.web import application

TASKS = {
    "clear_debit": payment_intents.clear_debit,
    "collect_invoice": invoices.collect,
    "complete_payout": payouts.complete,
    "finish_refund": refunds.finish,
    "pay_out": payouts.pay_out,
    "reconcile_payout": payouts.reconcile,
    "release": ledger.release,
    "send_payout": payouts.send,
    "settle": charges.settle,
    "trace_payout": payouts.trace,
}
RENDERERS = {
    "bank_account": payouts.show_bank_account,
    "credit_note": credit_notes.show,
    "dispute": disputes.show,
    "invoice": invoices.show,
    "invoiceitem": invoice_items.show,
}


class Answer(NamedTuple):
    body: Body
    request_id: str
    replayed: bool = False


class StripeEmulator:
    """One Stripe account on the clock it is given.

    `async_capture_s` is how long after a charge its balance transaction appears (0: with it). `office` is what a
    world may reach into: `office.rates`, `office.hooks`, and the functions of the resources' modules.
    """

    def __init__(
        self, store: Store, clock: Clock, rng: Rng, *, key: str = KEY, account: Account | None = None,
        async_capture_s: int = 3,
    ) -> None:  # fmt: skip
        self.key = key
        self.forbidden: set[str] = set()  # resources ("credit_notes") that the key may not touch over HTTP
        self.office = Office(store, clock, rng, account or Account(), async_capture_s)
        self.office.tasks, self.office.renderers = dict(TASKS), dict(RENDERERS)
        self.faults = Faults(self.office.mishaps)
        self.app: Starlette = application(self)

    def request(
        self, method: str, path: str, params: dict[str, Any] | None = None, *, idempotency_key: str | None = None
    ) -> Body:
        """Calls the API in-process, with Python values as parameters; raises StripeError."""
        return self.answer(method, path, as_form(params or {}), idempotency_key).body

    def answer(self, method: str, path: str, values: Body, key: str | None = None) -> Answer:
        """What HTTP and `request` have in common. One request at a time, each of them whole or not at all."""
        office = self.office
        office.run_due()
        with office.store.transaction():
            if office.next_errors:
                raise office.next_errors.pop(0)
            office.request = {"id": f"req_{office.rng.token(14)}", "idempotency_key": key}
            request_id = office.request["id"]
            try:
                body, failure, replayed = self._served(method, path, values, key if method == "POST" else None)
            except StripeError as error:
                error.headers["Request-Id"] = request_id
                raise
            finally:
                office.request = {"id": None, "idempotency_key": None}
        if failure is not None:
            failure.headers["Request-Id"] = request_id
            raise failure
        return Answer(body, request_id, replayed)

    def _served(self, method: str, path: str, values: Body, key: str | None) -> tuple[Body, StripeError | None, bool]:
        """(body, the failure whose effects stay, whether it is an answer given before)."""
        request = idempotency.fingerprint(method, path, values) if key else ""
        saved = idempotency.recall(self.office, key, request) if key else None
        if saved is not None:
            replay = {"Idempotent-Replayed": "true"}
            failure = StripeError(saved["status"], saved["body"]["error"], headers=replay) if saved["failed"] else None
            return saved["body"], failure, True
        failure = None
        try:
            body = self._execute(method, path, values)
        except StripeError as error:
            if not error.effects_stay:
                raise
            body, failure = error.body, error
        if key:
            idempotency.remember(self.office, key, request, failure or body)
        return body, failure, False

    def _execute(self, method: str, path: str, values: Body) -> Body:
        route, ids = routes.find(method, path)
        params = Params(values)
        params.only(route.params)
        body = route.handler(self.office, params, *ids)
        return expand(self.office, body, params.texts("expand")) if "expand" in params else body

    def tick(self) -> None:
        """Does everything that is due by now, each thing at its own time; deliveries are `deliver`'s."""
        self.office.run_due()

    def deliver(self) -> int:
        """Sends the webhooks that are due and tells how many. Not part of `tick`, as receivers may call back."""
        return webhooks.deliver_due(self.office)

    @contextlib.contextmanager
    def running(self, every_s: float = 0.2) -> Iterator[None]:
        """Keeps ticking and delivering from a thread until the block ends."""
        stop = threading.Event()

        def loop() -> None:
            while not stop.wait(every_s):
                self.tick()
                self.deliver()

        thread = threading.Thread(target=loop, daemon=True, name="stripe-emulator")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(timeout=10)
