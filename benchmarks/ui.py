"""What a view of each page costs, with few movements stored and with very many: `python -m benchmarks.ui`.

A small company is synced from the stand-ins and every page drawn; then the same company is grown (`benchmarks.grown`)
and every page drawn again. The last line printed is one JSON object: by page the processor seconds of a rerun (which
other work on the machine hardly changes), the bytes it sends to the browser and the SQL statements it takes, small and
large, and their ratios; and the processor seconds of the first view after something was written, when no sum that was
kept counts any more; each the least of several. Drawn by Streamlit's own test runner, so without the network and the
browser.
"""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import event
from streamlit.testing.v1 import AppTest, local_script_runner

from benchmarks.grown import grow
from benchmarks.sync import _start, _sync
from pages import audit, close, overview, payouts, problems, review, sending, syncs
from pages.context import Context
from storage import audit as audit_log
from storage import problems as failed
from storage import queries, sending_view, users
from storage.users import User
from sync.demo import ANNOUNCEMENT, connect_announced
from sync.environment import Environment, open_environment
from sync.processes import make_worker
from sync.qbo.limits import OFF

ROUNDS, RERUNS = 3, 4  # all pages one after the other, several times: the machine may be slow for some seconds
PAGES: dict[str, tuple[Callable[[Context], None], dict[str, str]]] = {
    "overview": (overview.render, {}),
    "review": (review.render, {}),
    "review, searched": (review.render, {"q": "blue 100.00"}),
    "review, posted": (review.render, {"show": "posted"}),
    "problems": (problems.render, {}),
    "payouts": (payouts.render, {}),
    "to stripe": (sending.render, {}),
    "syncs": (syncs.render, {}),
    "close": (close.render, {}),
    "audit": (audit.render, {}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=1_000, help="charges of the small company")
    parser.add_argument("--large", type=int, default=1_000_000, help="movements of the large one")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        os.environ |= {"TIEOUT_DATA_DIR": folder, "TIEOUT_DEMO": "1"}
        os.environ.pop("DATABASE_URL", None)
        environment = _synced(Path(folder), asked.small)
        small = measure(environment)
        started = time.perf_counter()
        stored = grow(environment.database, asked.large)
        _say(f"{stored:,} movements after {time.perf_counter() - started:.0f} s")
        large = measure(environment)
    pages = {name: _beside(small[name], large[name]) for name in PAGES}
    worst = max(each["ratio"] for each in pages.values())
    print(json.dumps({"charges": asked.small, "movements": stored, "worst_ratio": worst, "pages": pages}))


def _synced(folder: Path, charges: int) -> Environment:
    emulators = _start(folder, argparse.Namespace(world=None, seed=7, charges=charges, no_limits=True))
    try:
        announced = json.loads((folder / ANNOUNCEMENT).read_text())
        announced["quickbooks"]["limits"] = OFF
        environment = open_environment()
        connect_announced(environment, announced, None)
        _sync(make_worker(environment))
    finally:
        emulators.send_signal(signal.SIGTERM)
        emulators.wait(30)
    return environment


def measure(environment: Environment) -> dict[str, dict[str, float]]:
    """By page: the least time of several reruns, their bytes and statements, and the time of the first view."""
    with environment.database.write() as conn:
        user_id = users.ensure_user(conn, email="bench@example.com", name="Bench", role="admin")
    user = User(id=user_id, email="bench@example.com", name="Bench", role="admin")
    rounds = [{name: _rerun(environment, user, *page) for name, page in PAGES.items()} for _ in range(ROUNDS)]
    return {name: {what: min(each[name][what] for each in rounds) for what in rounds[0][name]} for name in PAGES}


def _rerun(
    environment: Environment, user: User, render: Callable[[Context], None], query: dict[str, str]
) -> dict[str, float]:
    sent, statements = [0], [0]

    def count(*_: Any) -> None:
        statements[0] += 1

    parse = local_script_runner.parse_tree_from_messages

    def weighed(messages: list[Any]) -> Any:
        sent[0] = sum(each.ByteSize() for each in messages)
        return parse(messages)

    def script(render, context_of):  # type: ignore[no-untyped-def]  # its source alone is run, without our imports
        render(context_of())

    test = AppTest.from_function(script, default_timeout=600, args=(render, lambda: _context(environment, user)))
    for key, value in query.items():
        test.query_params[key] = value
    local_script_runner.parse_tree_from_messages = weighed
    event.listen(environment.database.engine, "before_cursor_execute", count)
    try:
        test.run()
        _write(environment)
        seconds = []
        for _ in range(1 + RERUNS):
            statements[0], started = 0, time.process_time()
            test.run()
            seconds.append(time.process_time() - started)
        assert not test.exception, test.exception
    finally:
        local_script_runner.parse_tree_from_messages = parse
        event.remove(environment.database.engine, "before_cursor_execute", count)
    first, *again = (round(each, 4) for each in seconds)
    return {"seconds": min(again), "first": first, "bytes": sent[0], "statements": statements[0]}


def _write(environment: Environment) -> None:
    """Something, so that what was summed up before is not taken for right any more."""
    with environment.database.write() as conn:
        audit_log.append(conn, environment.clock.now(), [audit_log.Entry(actor="bench", action="looked", subject="")])


def _context(environment: Environment, user: User) -> Context:
    """What `app.draw` reads before it draws any page."""
    database, now = environment.database, environment.clock.now()
    links = queries.links(database)
    sending_view.count_waiting(database, links[0].id)
    failed.causes(database, links[0].id, now)
    return Context(
        environment=environment,
        database=database,
        clock=environment.clock,
        user=user,
        now=now,
        links=tuple(links),
        link=links[0],
        pulse=queries.pulse(database, links[0].id),
        waiting=queries.count_review(database, links[0].id),
        interval_s=900,
    )


def _beside(small: dict[str, float], large: dict[str, float]) -> dict[str, Any]:
    ratios = {name: round(large[name] / max(small[name], 1e-9), 2) for name in small}
    return {"small": small, "large": large, "ratio": max(ratios["seconds"], ratios["bytes"])}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
