"""What growth costs: `python -m benchmarks.scale`. The last line printed is one JSON object (docs/PERFORMANCE.md).

The same small company is synced twice and grown (`benchmarks.grown`), to a few movements and to very many. In each a
few new payments are made one after the other: measured is what each takes from its webhook to its document in the
emulated books, in a process of its own, so that its memory is told too. The large one is then sent a burst of
webhooks, repeated ones and forged ones among them, beside a bare handler that inserts one row.
"""

import argparse
import json
import os
import signal
import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import event, select

from benchmarks import burst
from benchmarks.grown import grow
from benchmarks.sync import CLOCK, Meter, Payments, _listening, _now, _start, _sync
from storage.models import inbox
from sync import hooks, scheduler
from sync.adapters import connect
from sync.demo import ANNOUNCEMENT, connect_announced
from sync.environment import Environment, open_environment
from sync.processes import make_worker
from sync.qbo.limits import OFF
from sync.worker import Worker

GOAL = 1.3  # times the cost with few stored
TOLD_S = 120  # how long a webhook may take to come
INTERVAL_S = 365 * 86_400  # of the schedule: a sync is due because of a webhook alone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--charges", type=int, default=400, help="of the company before it grows")
    parser.add_argument("--small", type=int, default=10_000, help="movements stored in the small one")
    parser.add_argument("--large", type=int, default=1_000_000, help="movements stored in the large one")
    parser.add_argument("--payments", type=int, default=7, help="made in each")
    parser.add_argument("--burst", type=int, default=12_000, help="webhooks")
    parser.add_argument(
        "--quiet-s", type=int, default=660, help="wait so long after the first sync: what it posted is read again"
    )
    asked = parser.parse_args()
    with _grown(asked.charges, asked.small) as one, _grown(asked.charges, asked.large) as other:
        time.sleep(max(0.0, other.posted + asked.quiet_s - _now()))
        small, large = (_paid(company, asked.payments) for company in (one, other))
        told = burst.measure(other.environment(), asked.burst)
    more = max(1, large["movements"] - small["movements"])
    ratios = {name: round(large[name] / max(small[name], 0.001), 2) for name in ("to_document_s", "requests")}
    print(
        json.dumps(
            {"small": small, "large": large, "large_to_small": ratios, "within_goal": max(ratios.values()) <= GOAL}
            | {"memory_mb_per_million": round((large["peak_mb"] - small["peak_mb"]) / more * 1e6, 1)}
            | {"burst": told}
        )
    )


@dataclass(frozen=True)
class Company:
    """A company with so many movements stored, and its stand-ins at work; `posted` is when the first sync ended."""

    folder: str
    announced: dict[str, Any]
    movements: int
    posted: float

    def environment(self) -> Environment:
        os.environ |= {"TIEOUT_DATA_DIR": self.folder, "TIEOUT_DEMO": "1"}
        return open_environment()


@contextmanager
def _grown(charges: int, movements: int) -> Iterator[Company]:
    os.environ.pop("DATABASE_URL", None)
    with TemporaryDirectory() as folder:
        emulators = _start(Path(folder), argparse.Namespace(world=None, seed=7, charges=charges, no_limits=True))
        try:
            announced = json.loads((Path(folder) / ANNOUNCEMENT).read_text())
            announced["quickbooks"]["limits"] = OFF
            environment = Company(folder, announced, 0, 0).environment()
            connect_announced(environment, announced, None)
            _sync(make_worker(environment))
            posted = _now()
            stored = grow(environment.database, movements)
            _say(f"{stored:,} movements after {_now() - posted:.0f} s")
            yield Company(folder, announced, stored, posted)
        finally:
            emulators.send_signal(signal.SIGTERM)
            emulators.wait(30)


def _paid(company: Company, number: int) -> dict[str, Any]:
    company.environment()  # for the process that is started
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return {"movements": company.movements} | pool.submit(pay, company.announced, number).result()


def pay(announced: dict[str, Any], number: int) -> dict[str, Any]:
    """Medians of some payments; the one before them, which finds nothing in memory yet, does not count."""
    environment, meter = open_environment(), Meter()
    worker = make_worker(environment)
    worker.connect = lambda link: meter.around(connect(environment, link))
    payments = Payments(environment, announced)
    with _listening(environment) as address:
        hooks.subscribe(environment, payments.stripe_id, address)
        _sync(worker)
        measured = [_one(environment, worker, meter, payments) for _ in range(number + 1)][1:]
    report: dict[str, Any] = {name: statistics.median(each[name] for each in measured) for name in measured[0]}
    return report | {"peak_mb": _peak_mb()}


def _peak_mb() -> int:
    """Of this process alone: what `resource` tells begins with the peak of the process that started it."""
    [line] = [each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmHWM:")]
    return int(line.split()[1]) // 1024


def _one(environment: Environment, worker: Worker, meter: Meter, payments: Payments) -> dict[str, float]:
    """Seconds until its document is there and until the sync ends, processor seconds, statements, and requests."""
    statements = [0]

    def count(*_: Any) -> None:
        statements[0] += 1

    charge = payments.make()
    _await_webhook(environment, charge)
    meter.stripe.clear()
    meter.quickbooks.clear()
    event.listen(environment.database.engine, "before_cursor_execute", count)
    started, worked = _now(), time.process_time()
    while charge not in meter.posted_at:
        queued = scheduler.enqueue_due(environment.database, CLOCK, INTERVAL_S)
        assert worker.work() or queued, f"{charge} was not posted: {worker.problem or worker.counts}"
    ended, worked = _now(), time.process_time() - worked
    event.remove(environment.database.engine, "before_cursor_execute", count)
    return {
        "to_document_s": round(meter.posted_at[charge] - started, 3),
        "whole_sync_s": round(ended - started, 3),
        "processor_s": round(worked, 3),
        "statements": statements[0],
        "requests": meter.stripe.total() + meter.quickbooks.total(),
    }


def _await_webhook(environment: Environment, charge: str) -> None:
    """Until the one has come that says that its money moved."""
    told = select(inbox.c.id).where(
        inbox.c.object_id == charge, inbox.c.channel == "webhook", inbox.c.type == "charge.updated"
    )
    ends = _now() + TOLD_S
    while True:
        with environment.database.read() as conn:
            if conn.execute(told).first():
                return
        assert _now() < ends, f"no webhook told of {charge}"
        time.sleep(0.05)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
