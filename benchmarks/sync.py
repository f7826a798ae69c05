"""How many requests a sync takes, how fast it posts, how long an event takes: `python -m benchmarks.sync --charges N`.

A world of so many charges is served by the stand-ins in a process of their own, with QuickBooks' throttle on unless
--no-limits. The last line printed is one JSON object; the figures are explained in docs/PERFORMANCE.md. --world FILE
takes a copy of a world that was built before (`python -m emulators --state FILE --charges N`). --one-payment waits
until what was posted is not read again any more, and then measures what a single new payment costs.
"""

import argparse
import json
import os
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests
import stripe
import uvicorn
from sqlalchemy import event, func, select

from storage import connections
from storage.models import inbox, legs, mirror
from sync import hooks, scheduler
from sync.adapters import connect, quickbooks_carry
from sync.clock import SystemClock
from sync.demo import ANNOUNCEMENT, connect_announced
from sync.environment import Environment, open_environment
from sync.ports import Page, Request, Response
from sync.processes import free_port, make_worker
from sync.qbo.limits import DEFAULTS, OFF
from sync.qbo.wire import encode
from sync.qbo.writing import BATCH_MAX
from sync.web import hooks_app
from sync.worker import IDLE_S, Adapters, Worker

LIMIT = DEFAULTS["batches_per_minute"] * BATCH_MAX  # postings a minute
MISSED = 100  # payments made while nobody looked
TOLD = 20  # payments told by webhook, one after the other
PAUSE_S = 4
SETTLED_S = 5  # Stripe settles a payment some seconds later
QUIET_S = 660
CLOCK = SystemClock()
CHARGE = re.compile(r"\bch_\w+")


class Meter:
    """Counts what goes over the wire."""

    def __init__(self) -> None:
        self.stripe: Counter[str] = Counter()
        self.listed = 0
        self.quickbooks: Counter[str] = Counter()
        self.written: list[tuple[float, int]] = []  # when, how many documents
        self.posted_at: dict[str, float] = {}  # when the first document of each charge was written
        real = stripe.RequestsClient.request

        def request(client: Any, method: str, url: str, *rest: Any, **more: Any) -> Any:
            self.stripe["payout items" if "payout=" in url else "other"] += 1
            return real(client, method, url, *rest, **more)

        stripe.RequestsClient.request = request  # type: ignore[method-assign]

    def around(self, adapters: Adapters) -> Adapters:
        page = adapters.processor.page

        def counted_page(*arguments: Any) -> Page:
            found: Page = page(*arguments)
            self.listed += len(found.objects)
            return found

        def carry(request: Request) -> Response:
            response = adapters.carry(request)
            self.quickbooks[request.kind if response.status == 200 else f"refused {response.status}"] += 1
            if request.kind == "write":
                self.written.append((_now(), len(request.parts)))
                for charge_id in CHARGE.findall(request.body):
                    self.posted_at.setdefault(charge_id, _now())
            return response

        adapters.processor.page = counted_page  # type: ignore[method-assign]
        return replace(adapters, carry=carry)

    def postings_a_minute(self) -> float:
        """Between the first and the last write's answer: so the first one does not count."""
        passed_s = self.written[-1][0] - self.written[0][0]
        return sum(number for _, number in self.written[1:]) / passed_s * 60 if passed_s else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--charges", type=int, default=400)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--no-limits", action="store_true", help="no throttle there, no limits here")
    parser.add_argument("--world", type=Path, metavar="FILE", help="a copy of this world instead of a new one")
    parser.add_argument("--one-payment", action="store_true", help="measure one at the end, after ten quiet minutes")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        os.environ |= {"TIEOUT_DATA_DIR": folder, "TIEOUT_DEMO": "1"}
        os.environ.pop("DATABASE_URL", None)
        emulators = _start(Path(folder), asked)
        try:
            print(json.dumps(_measure(Path(folder), asked)))
        finally:
            emulators.send_signal(signal.SIGTERM)
            emulators.wait(30)


def _start(folder: Path, asked: argparse.Namespace) -> subprocess.Popen[bytes]:
    if asked.world:
        for name in ("", ".quickbooks", ".truth.json"):
            shutil.copy(f"{asked.world}{name}", folder / f"world.db{name}")
    command = [
        *(sys.executable, "-m", "emulators", "--seed", str(asked.seed), "--charges", str(asked.charges)),
        *("--state", str(folder / "world.db"), "--announce", str(folder / ANNOUNCEMENT)),
        *([] if asked.no_limits else ["--throttle"]),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - our own words
    while not (folder / ANNOUNCEMENT).exists():
        if process.poll() is not None:
            sys.exit("The stand-ins did not start.")
        time.sleep(0.1)
    return process


def _measure(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    announced = json.loads((folder / ANNOUNCEMENT).read_text())
    announced["quickbooks"]["limits"] = OFF if asked.no_limits else DEFAULTS
    environment, meter = open_environment(), Meter()
    connect_announced(environment, announced, None)
    meter.stripe.clear()
    worker = make_worker(environment)
    worker.connect = lambda link: meter.around(connect(environment, link))
    report = {"charges": asked.charges, "limits": not asked.no_limits} | _backfill(worker, meter)
    payments = Payments(environment, announced)
    report |= _catch_up(worker, meter, payments) | _follow(environment, worker, meter, payments)
    if asked.one_payment:
        report |= _one_payment(environment, worker, meter, payments)
    return report | {"peak_memory_mb": _memory_mb()}


def _memory_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _backfill(worker: Worker, meter: Meter) -> dict[str, Any]:
    _say("backfill")
    steps = _watch_steps(worker)
    started = _now()
    _sync(worker)
    again, steps, peak_mb = _now(), dict(steps), _memory_mb()
    _sync(worker)
    return {
        "backfill_s": round(again - started, 1),
        "steps_s": steps,
        "second_sync_s": round(_now() - again, 1),
        "objects_listed": meter.listed,
        "stripe_requests": meter.stripe["other"],
        "stripe_requests_payout_items": meter.stripe["payout items"],
        "stripe_requests_per_object": round(meter.stripe["other"] / max(1, meter.listed), 5),
        "quickbooks_requests": dict(meter.quickbooks),
        "postings": sum(number for _, number in meter.written),
        "postings_a_minute": round(meter.postings_a_minute()),
        "limit_postings_a_minute": LIMIT,
        "backfill_peak_memory_mb": peak_mb,
    }


def _watch_steps(worker: Worker) -> dict[str, float]:
    """Seconds of each step, as the worker names them; growing while it works."""
    seen: dict[str, float] = {}
    last = [_now(), ""]
    report = worker._report

    def listened(step: str, *rest: Any) -> None:
        now = _now()
        seen[last[1]] = round(seen.get(last[1], 0) + now - float(last[0]), 1)  # type: ignore[index]
        last[:] = [now, step]
        report(step, *rest)

    worker._report = listened  # type: ignore[method-assign]
    return seen


def _catch_up(worker: Worker, meter: Meter, payments: "Payments") -> dict[str, Any]:
    """Payments of a day when nobody looked: one sync fetches what their events name."""
    _say("catch-up")
    charges = [payments.make() for _ in range(MISSED)]
    time.sleep(SETTLED_S)
    meter.stripe.clear()
    meter.written.clear()
    _sync(worker)
    fetched = worker.counts.get("fetched", 0)
    return {
        "catch_up_payments": MISSED,
        "catch_up_postings": sum(number for _, number in meter.written),
        "catch_up_counts": dict(worker.counts),
        "catch_up_problem": worker.problem,
        "catch_up_reasons": _reasons(worker, charges),
        "catch_up_objects": fetched,
        "catch_up_stripe_requests": meter.stripe.total(),
        "catch_up_stripe_requests_per_object": round(meter.stripe.total() / max(1, fetched), 3),
        "catch_up_stripe_requests_per_payment": round(meter.stripe.total() / MISSED, 2),
    }


def _reasons(worker: Worker, charges: list[str]) -> dict[str, int]:
    """How many legs of these charges stand where, and why; none where Stripe's entry was not read yet."""
    with worker.database.read() as conn:
        rows = conn.execute(select(legs.c.state, legs.c.reason).where(legs.c.source_id.in_(charges))).all()
    return dict(Counter(f"{row.state}: {row.reason}" for row in rows))


def _one_payment(environment: Environment, worker: Worker, meter: Meter, payments: "Payments") -> dict[str, Any]:
    """What the sync of a single one costs us: processor seconds, SQL statements, requests."""
    _say("one payment")
    time.sleep(QUIET_S)  # what was posted lately is read again for ten minutes
    _sync(worker)
    statements = [0]

    def count(*_: Any) -> None:
        statements[0] += 1

    payments.make()
    time.sleep(SETTLED_S)
    meter.stripe.clear()
    meter.quickbooks.clear()
    meter.written.clear()
    event.listen(environment.database.engine, "before_cursor_execute", count)
    started, worked = _now(), time.process_time()
    _sync(worker)
    event.remove(environment.database.engine, "before_cursor_execute", count)
    return {
        "one_payment_s": round(_now() - started, 2),
        "one_payment_processor_s": round(time.process_time() - worked, 2),
        "one_payment_statements": statements[0],
        "one_payment_stripe_requests": meter.stripe.total(),
        "one_payment_quickbooks_requests": dict(meter.quickbooks),
        "one_payment_postings": sum(number for _, number in meter.written),
        "waiting": _waiting(environment),
    }


def _waiting(environment: Environment) -> int:
    """Movements with something that waits for a person: looked at by every sync."""
    with environment.database.read() as conn:
        open_ = (mirror.c.kind == "movement", mirror.c.open.is_(True))
        return conn.execute(select(func.count()).select_from(mirror).where(*open_)).scalar_one()


def _follow(environment: Environment, worker: Worker, meter: Meter, payments: "Payments") -> dict[str, Any]:
    """From the webhook that says that money moved to the answer of QuickBooks that has the payment."""
    _say("webhooks")
    with _listening(environment) as address:
        hooks.subscribe(environment, payments.stripe_id, address)
        stop = threading.Event()
        clock = scheduler.start(environment.database, environment.clock, 3600)
        thread = threading.Thread(target=_work, args=(worker, stop), daemon=True)
        thread.start()
        charges = []
        for _ in range(TOLD):
            charges.append(payments.make())
            time.sleep(PAUSE_S)
        ends = _now() + 90
        while not set(charges) <= set(meter.posted_at) and _now() < ends:
            time.sleep(0.5)
        stop.set()
        clock.shutdown(wait=False)
        thread.join(120)
    told = _told_at(environment, charges)
    waits = sorted(meter.posted_at[each] - told[each] for each in charges if each in meter.posted_at and each in told)
    cuts = statistics.quantiles(waits, n=20, method="inclusive") if len(waits) > 1 else None  # none was posted in time
    return {
        "webhook_to_posted_number": len(waits),
        "webhook_to_posted_p50_s": cuts and round(cuts[9], 1),
        "webhook_to_posted_p95_s": cuts and round(cuts[18], 1),
    }


def _work(worker: Worker, stop: threading.Event) -> None:
    while not stop.is_set():
        if not worker.work():
            time.sleep(IDLE_S)


def _told_at(environment: Environment, charges: list[str]) -> dict[str, float]:
    """When the webhook came that told of the movement of each charge."""
    with environment.database.read() as conn:
        rows = conn.execute(
            select(inbox.c.object_id, inbox.c.received_at).where(
                inbox.c.object_id.in_(charges), inbox.c.channel == "webhook", inbox.c.type == "charge.updated"
            )
        ).all()
    received: dict[str, datetime] = {row.object_id: row.received_at for row in rows}
    return {charge_id: at.timestamp() for charge_id, at in received.items()}


@contextmanager
def _listening(environment: Environment) -> Iterator[str]:
    port = free_port(8600)
    server = uvicorn.Server(uvicorn.Config(hooks_app(environment), port=port, log_level="error", access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


class Payments:
    """New customers who each pay an invoice of their own by card."""

    def __init__(self, environment: Environment, announced: dict[str, Any]) -> None:
        access = announced["stripe"]
        self._client: Any = stripe.StripeClient(access["key"], base_addresses={"api": access["api"]})
        with environment.database.read() as conn:
            sides = {each.system: each for each in connections.all_connections(conn)}
        self.stripe_id = sides["stripe"].id
        self._carry: Callable[[Request], Response] = quickbooks_carry(environment, sides["qbo"])
        self._number = 0

    def make(self) -> str:
        """The charge's id."""
        self._number += 1
        number = f"BENCH-{self._number}"
        name = f"{number} Ltd"
        customer = self._write("Customer", {"DisplayName": name})
        line = {
            "Amount": 100,
            "DetailType": "SalesItemLineDetail",
            "SalesItemLineDetail": {"ItemRef": {"value": "1"}},
        }
        self._write("Invoice", {"CustomerRef": {"value": customer["Id"]}, "DocNumber": number, "Line": [line]})
        there = self._client.v1.customers.create({"name": name, "email": f"{number}@example.com".lower()})
        intent = self._client.v1.payment_intents.create(
            {
                "amount": 10_000,
                "currency": "usd",
                "customer": there.id,
                "payment_method": "pm_card_visa",
                "confirm": True,
                "description": f"Invoice {number}",
            }
        )
        return str(intent.latest_charge)

    def _write(self, entity: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self._carry(Request(kind="write", path=entity.lower(), body=encode(body)))
        made: dict[str, Any] = json.loads(answer.body)[entity]
        return made


def _sync(worker: Worker) -> None:
    worker.enqueue_now("benchmark")
    while worker.work():
        if worker.problem is not None:
            _say(worker.problem)


def _now() -> float:
    return CLOCK.now().timestamp()


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except requests.RequestException as error:
        sys.exit(str(error))
