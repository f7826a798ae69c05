"""Ties a process to its parent: when the parent is gone, even by kill -9, the kernel kills the child.

Run as `python tether.py PARENT_PID COMMAND ...` it ties itself and becomes the command. Standard library only: it
starts in milliseconds and before anything of ours is imported.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def tie_to_parent(parent_pid: int) -> None:
    """The calling process dies with `parent_pid`, which must be its parent. Only Linux has this; elsewhere: nothing.

    The tie is to the parent's thread that started the child, so start children from a thread that stays.
    """
    if sys.platform != "linux":
        return
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent_pid:  # it died before the tie was made
        os.kill(os.getpid(), signal.SIGKILL)


def main(parent_pid: str, *command: str) -> None:
    tie_to_parent(int(parent_pid))
    os.execvp(command[0], command)  # noqa: S606 - the command is the supervisor's own


if __name__ == "__main__":
    main(*sys.argv[1:])
