"""Matching by company on a Ray cluster of two processes on this machine: `make ray`.

Every size is matched here, by two processes of ours, and on the cluster; all three must give the same bytes. The last
line printed is one JSON object: the best seconds of each, by size (docs/decisions/0029-matching-on-ray.md).
"""

import argparse
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.labelled import world
from reconcile.blocks import joined, split
from reconcile.result import MatchResult
from sync.blocks import BlockExecutor, InProcess, OnRay, Processes

NODES = 2
REPEATS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 400_000], help="rows a side")
    parser.add_argument("--companies", type=int, default=40)
    asked = parser.parse_args()
    with cluster() as address:
        print(json.dumps({"nodes": NODES, "sizes": [_measure(rows, asked.companies, address) for rows in asked.rows]}))


@contextmanager
def cluster() -> Iterator[str]:
    """A head and another node, each a process with one core to give; for the time of the block."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nobody is told that it ran
    # What a node's Python imports of ours; and nothing of the checkout is sent about.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (os.getcwd(), os.environ.get("PYTHONPATH"))))
    import ray
    from ray.cluster_utils import Cluster

    local = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        for _ in range(NODES - 1):
            local.add_node(num_cpus=1)
        local.wait_for_nodes()
        yield local.address
    finally:
        ray.shutdown()
        local.shutdown()


def _measure(rows: int, companies: int, address: str) -> dict[str, object]:
    made = world(rows, 1, companies)
    blocks = split(made.processor, made.ledger)
    ways: dict[str, BlockExecutor] = {"here": InProcess(), "processes": Processes(NODES), "ray": OnRay(address)}
    seconds, digests = {}, set[str]()
    for name, executor in ways.items():
        took = []
        for _ in range(REPEATS):
            started = time.perf_counter()
            found = joined(executor.run(blocks))
            took.append(time.perf_counter() - started)
        digests.add(digest(found))
        seconds[name] = round(min(took), 2)
    assert len(digests) == 1, f"{rows} rows: the results differ"
    return {"rows": made.rows, "blocks": len(blocks), "seconds": seconds, "digest": digests.pop()}


def digest(found: MatchResult) -> str:
    """SHA-256 of everything a result holds."""
    told = hashlib.sha256()
    for frame in (found.matches, found.allocations, found.discrepancies, found.evidence):
        told.update(frame.write_json().encode())
    told.update(repr(sorted(found.block_digests.items())).encode())
    return told.hexdigest()


if __name__ == "__main__":
    main()
