"""Serves a stand-in on a loopback port, from a thread: for tests and for `python -m emulators`."""

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp


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
        app, host="127.0.0.1", port=port, log_level=logging.CRITICAL, access_log=False, lifespan="off"
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
