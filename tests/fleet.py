"""Workers on one database, as on several machines, forked from a warmed parent: WORKERS KILLS SEED LEASE_MS.

Each ticks as its own clock does and takes whatever run is due. Some of them are killed at any moment and replaced;
a killed one's work is taken over after LEASE_MS. The environment says which database. Prints how many were killed at
work, and ends when nothing is left to do.
"""

import os
import signal
import sys
import time

from storage.connections import all_links
from storage.models import runs as run_table
from sync import scheduler
from sync.clock import SeededRng
from sync.environment import Environment, open_environment
from sync.processes import make_worker
from tests.zygote import unfinished

DAY_S = 86_400
PACE_S = 0.5


def main(workers: int, kills: int, seed: int, lease_ms: int) -> None:
    rng, lease_s, hits = SeededRng(seed), lease_ms / 1000, 0
    fleet = [_fork(lease_s) for _ in range(workers)]
    for _ in range(kills):
        time.sleep(rng.jitter() * PACE_S)
        victim = fleet.pop(int(rng.jitter() * len(fleet)))
        os.kill(victim, signal.SIGKILL)
        _, status = os.waitpid(victim, 0)
        hits += os.WIFSIGNALED(status)
        fleet.append(_fork(lease_s))
    codes = [os.waitstatus_to_exitcode(os.waitpid(each, 0)[1]) for each in fleet]
    print(hits, flush=True)
    sys.exit(max(codes))


def _fork(lease_s: float) -> int:
    """A worker until nothing is left to do. Nothing of ours ran before the fork, so nothing is shared."""
    child = os.fork()
    if child:
        return child
    environment = open_environment()
    worker, failed = make_worker(environment, lease_s=lease_s), 0
    while not _all_synced(environment):
        scheduler.enqueue_due(environment.database, environment.clock, DAY_S)
        if worker.work():
            failed += worker.problem is not None
        else:
            time.sleep(0.05)
    os._exit(0)


def _all_synced(environment: Environment) -> bool:
    """Every link had its run, and none is under way."""
    with environment.database.read() as conn:
        links = {link.id for link in all_links(conn)}
        synced = set(conn.execute(run_table.select().with_only_columns(run_table.c.link_id)).scalars())
    return links <= synced and not unfinished(environment)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
