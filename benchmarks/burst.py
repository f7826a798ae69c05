"""A burst of webhooks, some of them twice, some forged, beside a bare handler that inserts one row."""

import http.client
import json
import os
import random  # noqa: TID251 - the same burst each time
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import stripe
import uvicorn
from sqlalchemy import func, select
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from storage import connections
from storage.engine import choose_journal
from storage.models import inbox
from sync import hooks
from sync.environment import Environment, data_dir
from sync.processes import free_port

SENDERS = 8  # at a time
SECRET, FORGED = "whsec_burst", "whsec_of_somebody_else"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event as it is sent, by somebody who has the secret or has not."""

    id: str
    forged: bool = False

    def body(self) -> str:
        charge = {"id": f"ch_{self.id}", "object": "charge", "created": 1_700_000_000, "amount": 1_000}
        told = {"id": self.id, "object": "event", "type": "charge.updated", "created": 1_700_000_000}
        return json.dumps(told | {"data": {"object": charge}})


def measure(environment: Environment, number: int) -> dict[str, Any]:
    """`number` deliveries to the hooks process of what is stored, then as many to the bare handler."""
    with environment.database.write() as conn:
        [stripe_id] = [each.id for each in connections.all_connections(conn) if each.system == "stripe"]
        hooks.change_secret(conn, environment, stripe_id, SECRET, "benchmark")
    deliveries = drawn(number)
    with _process("-m", "sync.cli", "hooks", "--port") as port:
        answers, waited, passed_s = _send(deliveries, port, f"/webhooks/stripe/{stripe_id}")
    with _process("-m", "benchmarks.burst") as port:
        _, bare, bare_s = _send(deliveries, port, "/")
    genuine = {each.id for each in deliveries if not each.forged}
    received = inbox.c.event_id.startswith("evt_burst", autoescape=True)
    with environment.database.read() as conn:
        stored = set(conn.scalars(select(inbox.c.event_id).where(received)))
        rows = conn.scalar(select(func.count()).select_from(inbox).where(received))
    wrong = [each for each, status in zip(deliveries, answers, strict=True) if (status == 200) is each.forged]
    return {
        "deliveries": len(deliveries),
        "repeated": sum(not each.forged for each in deliveries) - len(genuine),
        "forged": sum(each.forged for each in deliveries),
        "answered_wrongly": len(wrong),
        "lost": len(genuine - stored),
        "forged_stored": len(stored - genuine),
        "stored_twice": (rows or 0) - len(stored),
        "ours": _figures(waited, passed_s),
        "bare": _figures(bare, bare_s),
    }


def drawn(number: int) -> list[Delivery]:
    """A fifth of them repeat others, 2 % are forged, in any order."""
    forged, repeated = number // 50, number // 5
    genuine = [Delivery(f"evt_burst_{each}") for each in range(number - forged - repeated)]
    draw = random.Random(7)  # noqa: S311 - the same ones each time
    sent = [*genuine, *draw.choices(genuine, k=repeated)]
    sent += [Delivery(f"evt_burst_forged_{each}", forged=True) for each in range(forged)]
    draw.shuffle(sent)
    return sent


def _send(deliveries: list[Delivery], port: int, path: str) -> tuple[list[int], list[float], float]:
    """The status of each answer, the seconds until it came, and the seconds of all of them."""
    mine = threading.local()

    def one(delivery: Delivery) -> tuple[int, float]:
        if not hasattr(mine, "line"):
            mine.line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        body = delivery.body()
        signature = stripe.WebhookSignature.generate_signature_header(body, FORGED if delivery.forged else SECRET)
        started = time.perf_counter()
        mine.line.request("POST", path, body, {"Stripe-Signature": signature})
        answer = mine.line.getresponse()
        answer.read()
        return answer.status, time.perf_counter() - started

    started = time.perf_counter()
    with ThreadPoolExecutor(SENDERS) as pool:
        answered = list(pool.map(one, deliveries))
    return [status for status, _ in answered], [took for _, took in answered], time.perf_counter() - started


def _figures(waited_s: list[float], passed_s: float) -> dict[str, float]:
    cuts = statistics.quantiles(waited_s, n=100)
    return {
        "p50_ms": round(cuts[49] * 1000, 1),
        "p99_ms": round(cuts[98] * 1000, 1),
        "per_s": round(len(waited_s) / passed_s),
    }


@contextmanager
def _process(*words: str) -> Iterator[int]:
    """A server of its own until it is not needed any more; gives its port."""
    port = free_port(8700)
    process = subprocess.Popen([sys.executable, *words, str(port)])  # noqa: S603 - our own words
    try:
        for attempt in count():
            try:
                with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as line:
                    line.request("GET", "/healthz")
                    line.getresponse()
                break
            except ConnectionRefusedError:
                assert process.poll() is None, "the server did not start"
                assert attempt < 600, "the server does not answer"
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(30)


# ---- the bare handler, as a process


def serve_bare(folder: Path, port: int) -> None:
    """Inserts the body and commits, as safely as ours does, before it answers; looks at nothing."""
    mine = threading.local()
    with closing(sqlite3.connect(folder / "bare.db")) as lite:
        lite.execute(f"PRAGMA journal_mode={choose_journal().mode}")
        lite.execute("CREATE TABLE told (id INTEGER PRIMARY KEY, body TEXT NOT NULL)")

    def store(body: bytes) -> None:
        if not hasattr(mine, "lite"):
            mine.lite = sqlite3.connect(folder / "bare.db", timeout=30)
            mine.lite.execute("PRAGMA synchronous=FULL")
        with mine.lite:
            mine.lite.execute("INSERT INTO told (body) VALUES (?)", [body.decode()])

    async def take(request: Request) -> Response:
        await run_in_threadpool(store, await request.body())
        return JSONResponse({"received": True})

    app = Starlette(routes=[Route("/", take, methods=["POST"])])
    uvicorn.run(app, port=port, log_level="error", access_log=False)


if __name__ == "__main__":
    os.environ.setdefault("TIEOUT_DATA_DIR", ".")
    serve_bare(data_dir(), int(sys.argv[1]))
