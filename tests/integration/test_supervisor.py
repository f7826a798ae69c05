"""Real processes: what is killed comes back, and nothing outlives the supervisor."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from sync.instance import AlreadyRunningError, single_instance

# A child that appends its process id to a file, starts a child of its own, and stays.
CHILD = """
import os, pathlib, subprocess, sys, time
grandchild = subprocess.Popen(["sleep", "600"])
with open(sys.argv[1], "a") as file: file.write(f"{os.getpid()} {grandchild.pid}\\n")
time.sleep(600)
"""
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + CHILD
MISCONFIGURED = "import os, sys, time; time.sleep(0.5); sys.exit(os.EX_CONFIG)"
SUPERVISOR = """
import sys
from sync.supervisor import Child, run
paths, scripts = sys.argv[1::2], sys.argv[2::2]
children = [Child(p, [sys.executable, "-c", s, p], {"NAME": p}) for p, s in zip(paths, scripts)]
sys.exit(run(children, stop_timeout_s=1))
"""

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a supervisor of the scripts given by name; child x writes its process ids to the file x."""
    supervisors = []

    def start(**scripts: str) -> subprocess.Popen[bytes]:
        arguments = [word for name, script in scripts.items() for word in (str(tmp_path / name), script)]
        supervisors.append(subprocess.Popen([sys.executable, "-c", SUPERVISOR, *arguments]))
        return supervisors[-1]

    yield start
    for supervisor in supervisors:
        supervisor.kill()
        supervisor.wait()
    for path in tmp_path.iterdir():
        for pid in map(int, path.read_text().split()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def starts(path: Path) -> list[tuple[int, int]]:
    """Process and grandchild of every start so far."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [(int(line.split()[0]), int(line.split()[1])) for line in lines if line.endswith("\n")]


def until(true: Callable[[], object], timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_killed_child_is_started_again(start: Start, tmp_path: Path) -> None:
    start(ui=CHILD, worker=CHILD)
    until(lambda: starts(tmp_path / "ui") and starts(tmp_path / "worker"))
    first, orphan = starts(tmp_path / "worker")[0]
    os.kill(first, signal.SIGKILL)
    until(lambda: len(starts(tmp_path / "worker")) == 2)
    assert not alive(orphan), "the killed worker's own child would work beside its successor"
    assert alive(starts(tmp_path / "worker")[1][0])
    assert len(starts(tmp_path / "ui")) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_leaves_nothing(start: Start, tmp_path: Path, number: signal.Signals) -> None:
    supervisor = start(ui=CHILD, worker=CHILD)
    until(lambda: starts(tmp_path / "ui") and starts(tmp_path / "worker"))
    supervisor.send_signal(number)
    assert supervisor.wait(5) == 0
    assert not any(alive(pid) for name in ("ui", "worker") for pid in starts(tmp_path / name)[0])


def test_a_child_that_does_not_listen_is_killed(start: Start, tmp_path: Path) -> None:
    supervisor = start(worker=DEAF)
    until(lambda: starts(tmp_path / "worker"))
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(5) == 0
    assert not any(map(alive, starts(tmp_path / "worker")[0]))


def test_children_go_with_a_killed_supervisor(start: Start, tmp_path: Path) -> None:
    supervisor = start(ui=CHILD, worker=DEAF)
    until(lambda: starts(tmp_path / "ui") and starts(tmp_path / "worker"))
    supervisor.kill()
    until(lambda: not alive(starts(tmp_path / "ui")[0][0]) and not alive(starts(tmp_path / "worker")[0][0]))


def test_a_child_that_cannot_run_stops_all(start: Start, tmp_path: Path) -> None:
    supervisor = start(ui=CHILD, worker=MISCONFIGURED)
    assert supervisor.wait(10) == os.EX_CONFIG
    assert not any(alive(pid) for pids in starts(tmp_path / "ui") for pid in pids)


def test_one_data_directory_is_served_once(tmp_path: Path) -> None:
    with single_instance(tmp_path):
        with pytest.raises(AlreadyRunningError, match=str(os.getpid())), single_instance(tmp_path):
            pass
        with single_instance(tmp_path / "other"):
            pass
    with single_instance(tmp_path):
        pass


HOLD = """
import pathlib, subprocess, sys, time
from sync.instance import single_instance
with single_instance(pathlib.Path(sys.argv[1])):
    print(subprocess.Popen(["sleep", "60"], close_fds=False, stdout=subprocess.DEVNULL).pid, flush=True)
    time.sleep(60)
"""


def test_a_killed_holder_lets_go(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        with pytest.raises(AlreadyRunningError), single_instance(tmp_path):
            pass
        holder.kill()
    with single_instance(tmp_path):  # although the holder's own child lives on
        os.kill(child, signal.SIGKILL)
