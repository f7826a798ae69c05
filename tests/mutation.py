"""Mutation testing of what money depends on: `make mutation`. It says how many planted changes the tests notice.

mutmut changes each function of the modules of `[tool.mutmut]` in pyproject.toml, one place at a time, and runs the
tests that call it. Printed are the changes that were not noticed, as differences, and on the last line one JSON
object: by module how many were. Exit status 1 if less than GOAL of a module was. What is known is not run again, so a
run that was broken off goes on; delete `mutants/` after changing which modules or tests there are.
"""

import argparse
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

GOAL = 0.9
MUTMUT = Path(sys.executable).with_name("mutmut")
NOTICED = ("killed", "timeout", "segfault", "caught by type check")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("only", nargs="*", help="names of mutants, such as 'reconcile.plan*'; all if left out")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="at a time")
    asked = parser.parse_args()
    # One thread of polars: a frame of a few rows takes longer to hand out than to make.
    environment = os.environ | {"POLARS_MAX_THREADS": "1", "CI": "1"}
    run = [MUTMUT, "run", "--max-children", str(asked.processes), *asked.only]
    subprocess.run(run, env=environment, stdout=subprocess.DEVNULL, check=True)
    found = _results(environment)
    for name in [each for names in found.values() for each, state in names.items() if state not in NOTICED]:
        shown = subprocess.run([MUTMUT, "show", name], env=environment, capture_output=True, text=True, check=True)
        print(shown.stdout)
    told = {module: _score(names) for module, names in sorted(found.items())}
    print(json.dumps(told))
    return int(any(each["score"] < GOAL for each in told.values()))


def _results(environment: dict[str, str]) -> dict[str, dict[str, str]]:
    """What became of each mutant that was run, by module."""
    listed = subprocess.run(
        [MUTMUT, "results", "--all", "true"], env=environment, capture_output=True, text=True, check=True
    )
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for line in listed.stdout.splitlines():
        name, _, state = line.strip().partition(": ")
        if state and state != "not checked":
            found[name.rpartition(".")[0]][name] = state
    return found


def _score(names: dict[str, str]) -> dict[str, float]:
    states = Counter(state in NOTICED for state in names.values())
    return {"mutants": len(names), "noticed": states[True], "score": round(states[True] / len(names), 4)}


if __name__ == "__main__":
    sys.exit(main())
