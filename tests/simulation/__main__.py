"""`python -m tests.simulation --seeds 2000 --json`: runs seeds of faults; exit status 1 if a law was broken.

Levels: `engine` is the worker, the outbox and the storage with both systems in memory; `online` and `desktop` are the
whole way to QuickBooks Online and Desktop. `--pairs` enumerates the pairs of crash points of the engine's short
scenarios instead.
"""

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

os.environ.setdefault(
    "POLARS_MAX_THREADS", "1"
)  # frames of a few rows: handing them to threads takes longer than they do
Told = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--level", choices=["engine", "online", "desktop"], default="engine", help="default engine")
    parser.add_argument("--seeds", type=int, default=100, help="how many (default 100)")
    parser.add_argument("--first", type=int, default=0, help="the first seed, or crash point (default 0)")
    parser.add_argument("--pairs", action="store_true", help="every pair of crash points of the short scenarios")
    parser.add_argument("--bug", help="plant this bug, to see that it is caught")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    logging.disable(logging.ERROR - 1)
    logging.getLogger("sync.worker").propagate = False
    began = time.monotonic()
    levels = {"engine": _engine, "online": _online, "desktop": _desktop}
    told = _pairs(given) if given.pairs else levels[given.level](given)
    told["seconds"] = round(time.monotonic() - began, 1)
    if given.json:
        print(json.dumps(told, indent=2))
    else:
        for each in told["failed"]:
            print(each if isinstance(each, str) else f"seed {each['seed']}: {'; '.join(each['problems'])}")
        print(f"{told['runs']} runs in {told['seconds']} s: {len(told['failed'])} failed.")
    return 1 if told["failed"] else 0


def _engine(given: argparse.Namespace) -> Told:
    from tests.simulation.engine.run import Simulation
    from tests.simulation.engine.schedule import draw
    from tests.simulation.engine.trouble import AT

    simulation, reached, struck = Simulation(), Counter[str](), Counter[str]()
    failed, syncs, crashes, restored = [], 0, 0, 0
    never = {f"{place}: {what}" for place, kinds in AT.items() for what in kinds}
    for seed in range(given.first, given.first + given.seeds):
        outcome = simulation.run(seed, given.bug)
        reached, struck = reached + outcome.reached, struck + outcome.struck
        syncs, crashes = syncs + outcome.syncs, crashes + outcome.crashes
        restored += outcome.restored
        if outcome.problems:
            schedule = [str(each) for each in draw(seed).rounds]
            failed.append({"seed": seed, "problems": outcome.problems, "schedule": schedule})
    simulation.close()
    return {
        "level": "engine",
        "first": given.first,
        "runs": given.seeds,
        "syncs": syncs,
        "crashes": crashes,
        "restored": restored,
        "reached": dict(sorted(reached.items())),
        "struck": dict(sorted(struck.items())),
        "never struck": sorted(never - set(struck)),
        "failed": failed,
    }


def _pairs(given: argparse.Namespace) -> Told:
    from tests.simulation.engine.pairs import SCENARIOS, enumerate_pairs
    from tests.simulation.engine.run import Simulation

    simulation, told, failed = Simulation(), {}, []
    for name in SCENARIOS:
        for found in enumerate_pairs(simulation, name, given.first):
            told[name] = {"points": found.points, "pairs": found.pairs}
        failed += found.failed
    simulation.close()
    return {"level": "pairs", "runs": sum(each["pairs"] for each in told.values()), "scenarios": told, "failed": failed}


def _online(given: argparse.Namespace) -> Told:
    from tests.simulation.online.run import Simulation, as_json
    from tests.simulation.online.schedule import AT, draw

    with tempfile.TemporaryDirectory() as directory:
        simulation = Simulation(Path(directory))
        outcomes = [simulation.run(seed, given.bug) for seed in range(given.first, given.first + given.seeds)]
        simulation.close()
    struck = sum((each.struck for each in outcomes), Counter[str]())
    never = {f"{place}: {what}" for place, (_, kinds) in AT.items() for what in kinds} - set(struck)
    return {
        "level": "online",
        "first": given.first,
        "runs": given.seeds,
        "syncs": sum(each.syncs for each in outcomes),
        "crashes": sum(each.crashes for each in outcomes),
        "struck": dict(sorted(struck.items())),
        "never struck": sorted(never),
        "failed": [
            as_json(each) | {"schedule": [str(one) for one in draw(each.seed).rounds]}
            for each in outcomes
            if not each.ok
        ],
    }


def _desktop(given: argparse.Namespace) -> Told:
    from tests.simulation.run import Simulation, as_json
    from tests.simulation.schedule import draw

    with tempfile.TemporaryDirectory() as directory:
        simulation = Simulation(Path(directory))
        outcomes = [simulation.run(seed, given.bug) for seed in range(given.first, given.first + given.seeds)]
        simulation.close()
    return {
        "level": "desktop",
        "first": given.first,
        "runs": given.seeds,
        "visits": sum(each.visits for each in outcomes),
        "once": sum(each.once for each in outcomes),
        "parked": sum(each.parked for each in outcomes),
        "failed": [
            as_json(each) | {"schedule": [str(step) for step in draw(each.seed).steps]}
            for each in outcomes
            if not each.ok
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
