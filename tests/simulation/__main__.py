"""`python -m tests.simulation --seeds 2000 --json`: runs seeds of Desktop faults; exit code 1 if a law was broken."""

import argparse
import json
import logging
import sys
import tempfile
import time
from pathlib import Path

from tests.simulation.bugs import BUGS
from tests.simulation.run import Simulation, as_json
from tests.simulation.schedule import draw


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many (default 100)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--bug", choices=sorted(BUGS), help="plant this bug, to see that it is caught")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        simulation = Simulation(Path(directory))
        outcomes = [simulation.run(seed, given.bug) for seed in range(given.first, given.first + given.seeds)]
        simulation.close()
    failed = [each for each in outcomes if not each.ok]
    told = {
        "first": given.first,
        "seeds": given.seeds,
        "seconds": round(time.monotonic() - began, 1),
        "visits": sum(each.visits for each in outcomes),
        "once": sum(each.once for each in outcomes),
        "parked": sum(each.parked for each in outcomes),
        "failed": [as_json(each) | {"schedule": [str(step) for step in draw(each.seed).steps]} for each in failed],
    }
    if given.json:
        print(json.dumps(told, indent=2))
    else:
        for each in told["failed"]:  # type: ignore[attr-defined]
            print(f"seed {each['seed']}: {'; '.join(each['problems'])}\n  " + "\n  ".join(each["schedule"]))
        print(f"{given.seeds} seeds, {told['visits']} visits in {told['seconds']} s: {len(failed)} failed.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
