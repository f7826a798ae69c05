"""`tieout simulate`: the simulator lives with the tests, which come with the source, not with an installed Tieout."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from sync.errors import Rejected

ROOT = Path(__file__).parents[1]
HOW = "Get Tieout's source, run `make install` in it, then `.venv/bin/tieout simulate` there."


def simulate(options: Sequence[str], root: Path = ROOT) -> int:
    """Runs it in a process of its own, with these options; gives its exit status: 1 if a law was broken.

    Raises Rejected where there is no source.
    """
    if not (root / "tests" / "simulation" / "__main__.py").is_file():
        raise Rejected(f"The simulator is not part of an installed Tieout. {HOW}")
    command = [sys.executable, "-m", "tests.simulation", *options]
    return subprocess.run(command, cwd=root, check=False).returncode  # noqa: S603 - our own module
