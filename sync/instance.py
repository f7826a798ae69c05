"""One `tieout serve` on a data directory: a second one would run the same syncs against the same SQLite file."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE_NAME = "serve.lock"


class AlreadyRunningError(Exception):
    """Another process serves this data directory."""

    def __init__(self, data_dir: Path, pid: str) -> None:
        super().__init__(
            f"Tieout already runs on {data_dir} (process {pid or 'unknown'}). Stop that one, or give this one another "
            f"data directory."
        )


@contextmanager
def single_instance(data_dir: Path) -> Iterator[None]:
    """Holds the data directory. The kernel lets go of it when this process ends, however it ends."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(data_dir / FILE_NAME, os.O_RDWR | os.O_CREAT, 0o600)  # not inherited by child processes
    with open(descriptor, "r+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunningError(data_dir, file.read().strip()) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
