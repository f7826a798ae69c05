"""Runs our processes side by side: one that dies is started again, and when we go, they go.

Each child leads its own session, so that Ctrl-C in the terminal reaches only us and a child's own children can be
ended with it. Children write where we write.
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from sync import tether

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
STEADY_AFTER_S = 60.0  # a child that lived this long starts again with the first delay
STOP_TIMEOUT_S = 10.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Child:
    """A process to keep running. `environment` is added to ours.

    One that exits with os.EX_CONFIG says that starting it again is of no use: all are stopped.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


def run(children: Sequence[Child], stop_timeout_s: float = STOP_TIMEOUT_S) -> int:
    """Keeps `children` running until SIGTERM or SIGINT (0), or until one says os.EX_CONFIG (that).

    Call it in the main thread: the children's lives are tied to the calling one.
    """
    return asyncio.run(_supervise(children, stop_timeout_s))


async def _supervise(children: Sequence[Child], stop_timeout_s: float) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_keep(child, stop, stop_timeout_s)) for child in children]
    return max(task.result() for task in tasks)


async def _keep(child: Child, stop: asyncio.Event, stop_timeout_s: float) -> int:
    """One child from first start to last stop."""
    loop, delay_s = asyncio.get_running_loop(), FIRST_DELAY_S
    while not stop.is_set():
        process, started_s = await _start(child), loop.time()
        await _either(process, stop)
        if stop.is_set():
            await _end(process, stop_timeout_s)
            break
        _signal_group(process, signal.SIGKILL)  # what it left behind would work beside its successor
        if process.returncode == os.EX_CONFIG:
            log.error("%s cannot run as configured; stopping", child.name)
            stop.set()
            return os.EX_CONFIG
        if loop.time() - started_s > STEADY_AFTER_S:
            delay_s = FIRST_DELAY_S
        log.warning("%s ended (%s); starting it again in %g s", child.name, process.returncode, delay_s)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), delay_s)
        delay_s = min(2 * delay_s, LONGEST_DELAY_S)
    return 0


async def _start(child: Child) -> asyncio.subprocess.Process:
    tied = [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), *child.command]
    return await asyncio.create_subprocess_exec(
        *tied,
        stdin=asyncio.subprocess.DEVNULL,
        env={**os.environ, **child.environment},
        start_new_session=True,
    )


async def _either(process: asyncio.subprocess.Process, stop: asyncio.Event) -> None:
    """Until the process has ended or we are to stop."""
    waits = [asyncio.create_task(process.wait()), asyncio.create_task(stop.wait())]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()


async def _end(process: asyncio.subprocess.Process, timeout_s: float) -> None:
    """Asks the process and its own children to stop, and makes them when they do not."""
    _signal_group(process, signal.SIGTERM)
    with suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), timeout_s)
    _signal_group(process, signal.SIGKILL)
    await process.wait()


def _signal_group(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
