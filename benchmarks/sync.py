"""How many requests a sync takes, how fast it posts, how long an event takes: `python -m benchmarks.sync --charges N`.

A world of so many charges is served by the stand-ins in a process of their own, with QuickBooks' throttle on unless
--no-limits. The last line printed is one JSON object; the figures are explained in docs/PERFORMANCE.md.
"""

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests
import stripe

from storage import connections
from sync.adapters import connect, quickbooks_carry
from sync.demo import ANNOUNCEMENT, connect_announced
from sync.environment import Environment, open_environment
from sync.ports import Page, Request, Response
from sync.processes import make_worker
from sync.qbo.limits import DEFAULTS, OFF
from sync.qbo.wire import encode
from sync.qbo.writing import BATCH_MAX
from sync.worker import Adapters

LIMIT = DEFAULTS["batches_per_minute"] * BATCH_MAX  # postings a minute
EVENTS = 5


class Meter:
    """Counts what goes over the wire."""

    def __init__(self) -> None:
        self.stripe: Counter[str] = Counter()
        self.listed = 0
        self.quickbooks: Counter[str] = Counter()
        self.written: list[tuple[float, int]] = []  # when, how many documents
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
                self.written.append((time.monotonic(), len(request.parts)))
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
    started = time.monotonic()
    _sync(worker)
    backfill_s = time.monotonic() - started
    report: dict[str, Any] = {
        "charges": asked.charges,
        "limits": not asked.no_limits,
        "backfill_s": round(backfill_s, 1),
        "objects_listed": meter.listed,
        "stripe_requests": meter.stripe["other"],
        "stripe_requests_payout_items": meter.stripe["payout items"],
        "stripe_requests_per_100_objects": round(100 * meter.stripe["other"] / max(1, meter.listed), 3),
        "quickbooks_requests": dict(meter.quickbooks),
        "postings": sum(number for _, number in meter.written),
        "postings_a_minute": round(meter.postings_a_minute()),
        "limit_postings_a_minute": LIMIT,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    return report | _catch_up(environment, announced, meter, lambda: _sync(worker))


def _catch_up(
    environment: Environment, announced: dict[str, Any], meter: Meter, sync: Callable[[], None]
) -> dict[str, Any]:
    """Some new payments of new invoices: from the payment to its document, and what that takes."""
    client = stripe.StripeClient(announced["stripe"]["key"], base_addresses={"api": announced["stripe"]["api"]})
    for number in range(EVENTS):
        _new_payment(environment, client, f"BENCH-{number}")
    meter.stripe.clear()
    meter.written.clear()
    started = time.monotonic()
    while sum(count for _, count in meter.written) < 2 * EVENTS and time.monotonic() - started < 120:
        sync()
        time.sleep(0.2)
    return {
        "event_to_posted_s": round(meter.written[-1][0] - started, 1) if meter.written else None,
        "catch_up_payments": EVENTS,
        "catch_up_stripe_requests_per_payment": round(meter.stripe.total() / EVENTS, 1),
    }


def _new_payment(environment: Environment, client: Any, number: str) -> None:
    with environment.database.read() as conn:
        ledger = next(one for one in connections.all_connections(conn) if one.system == "qbo")
    carry = quickbooks_carry(environment, ledger)

    def write(entity: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = carry(Request(kind="write", path=entity.lower(), body=encode(body)))
        made: dict[str, Any] = json.loads(answer.body)[entity]
        return made

    name = f"{number} Ltd"
    customer = write("Customer", {"DisplayName": name})
    line = {
        "Amount": 100,
        "DetailType": "SalesItemLineDetail",
        "SalesItemLineDetail": {"ItemRef": {"value": "1"}},
    }
    write("Invoice", {"CustomerRef": {"value": customer["Id"]}, "DocNumber": number, "Line": [line]})
    there = client.v1.customers.create({"name": name, "email": f"{number}@example.com".lower()})
    client.v1.payment_intents.create(
        {
            "amount": 10_000,
            "currency": "usd",
            "customer": there.id,
            "payment_method": "pm_card_visa",
            "confirm": True,
            "description": f"Invoice {number}",
        }
    )


def _sync(worker: Any) -> None:
    worker.enqueue_now("benchmark")
    while worker.work():
        if worker.problem is not None:
            print(worker.problem, file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except requests.RequestException as error:
        sys.exit(str(error))
