"""Syncs in children forked from a warmed parent, and kills them. Arguments: KILLS SEED LONGEST_MS LEASE_MS.

A killed child's work is taken over after LEASE_MS, which has to be longer than the stand-in works on a request.
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


def main(kills: int, seed: int, longest_ms: int, lease_ms: int) -> None:
    rng, hits, lease_s = SeededRng(seed), 0, lease_ms / 1000
    for _ in range(kills):
        child = _fork(lease_s)
        time.sleep(0.05 + rng.jitter() * longest_ms / 1000)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        hits += os.WIFSIGNALED(status)
    print(hits, flush=True)
    time.sleep(lease_s)
    _, status = os.waitpid(_fork(lease_s), 0)
    sys.exit(os.waitstatus_to_exitcode(status))


def _fork(lease_s: float) -> int:
    """A child that syncs until nothing is left to do. Nothing of ours ran before the fork, so nothing is shared."""
    child = os.fork()
    if child:
        return child
    environment = open_environment()
    worker = make_worker(environment, lease_s=lease_s)
    worker.enqueue_now("test")
    while unfinished(environment):
        worker.work() or time.sleep(0.02)
    os._exit(0 if worker.problem is None else 1)


def unfinished(environment: Environment) -> bool:
    """Also a run whose killed worker still holds its lease."""
    with environment.database.read() as conn:
        return any(runs.waiting(conn, link.id) for link in connections.all_links(conn))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
