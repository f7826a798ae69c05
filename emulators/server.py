"""Serves a stand-in on a loopback port, from a thread: for tests and for `python -m emulators`."""

import asyncio
import contextlib
import logging
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from emulators.faults import HANG_UP

RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, no time to linger


class Line(H11Protocol):
    """A connection that the application can close by itself, as a network does."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        served = self.app

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})[HANG_UP] = self.hang_up
            await served(scope, receive, send)
            await asyncio.sleep(0)  # uvicorn learns that the line is gone before it would answer 500

        self.app = app

    def hang_up(self, reset: bool) -> None:
        if reset:
            connection = self.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            self.transport.abort()
        else:
            self.transport.close()


def free_port(wanted: int = 0) -> int:
    """`wanted` if it is free, else the next free one; 0 takes any."""
    for port in range(wanted, wanted + 50) if wanted else (0,):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise OSError(f"No free port from {wanted} to {wanted + 49}.")


@contextlib.contextmanager
def serve(app: ASGIApp, port: int = 0) -> Iterator[str]:
    """Runs `app` until the block ends; gives its address, `http://127.0.0.1:PORT`."""
    port = free_port(port)
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, http=Line, log_level=logging.CRITICAL, access_log=False, lifespan="off"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise OSError(f"The server did not start on port {port}.")
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
