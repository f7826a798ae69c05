"""XML that is meant to do harm, as it comes over the network: a process of its own, so that its memory can be seen."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks import xml
from sync.qbd.markup import BYTES_MAX

GROWTH_MB_MAX = 250  # of all attacks together; the elements alone took more before they were counted


def test_every_attack_is_refused_after_a_bounded_read_in_bounded_memory() -> None:
    command = [sys.executable, "-m", "benchmarks.xml"]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=Path(xml.__file__).parents[1], timeout=600
    )
    found = {each["attack"]: each for each in map(json.loads, done.stdout.splitlines())}
    assert set(found) == set(xml.attacks())
    for each in found.values():
        assert each["status"] in (413, 500), each
        assert each["read_bytes"] <= BYTES_MAX + 2 * xml.PIECE, each
    assert found["100 MB"]["status"] == 413
    assert sum(each["grew_mb"] for each in found.values()) < GROWTH_MB_MAX
