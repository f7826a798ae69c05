"""Syncs in children forked from a warmed parent, and kills them: `python zygote.py KILLS SEED LONGEST_MS`.

The environment says which database. Prints the number of kills that hit a sync at work, then finishes the sync.
"""

import os
import signal
import sys
import time

from storage import connections, runs
from sync.clock import SeededRng
from sync.environment import Environment, open_environment
from sync.processes import make_worker

LEASE_S = 0.3  # a killed child's work is taken over after this


def main(kills: int, seed: int, longest_ms: int) -> None:
    rng, hits = SeededRng(seed), 0
    for _ in range(kills):
        child = _fork()
        time.sleep(0.05 + rng.jitter() * longest_ms / 1000)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        hits += os.WIFSIGNALED(status)
    print(hits, flush=True)
    time.sleep(LEASE_S)
    _, status = os.waitpid(_fork(), 0)
    sys.exit(os.waitstatus_to_exitcode(status))


def _fork() -> int:
    """A child that syncs until nothing is left to do. Nothing of ours ran before the fork, so nothing is shared."""
    child = os.fork()
    if child:
        return child
    environment = open_environment()
    worker = make_worker(environment, lease_s=LEASE_S)
    worker.enqueue_now("test")
    while _unfinished(environment):
        worker.work() or time.sleep(0.02)
    os._exit(0 if worker.problem is None else 1)


def _unfinished(environment: Environment) -> bool:
    """Also a run whose killed worker still holds its lease."""
    with environment.database.read() as conn:
        return any(runs.waiting(conn, link.id) for link in connections.all_links(conn))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
