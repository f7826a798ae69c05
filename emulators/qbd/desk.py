"""The desk the PC stands on: what a person does there, as requests under /_emulator, and the schedule that goes on.

POST /_emulator/applications {"qwc": text, "password": text}: opens a .qwc file in the Web Connector.
POST /_emulator/update: Update Selected, for every application. POST /_emulator/faults {"crash_after": 0.1}.
POST /_emulator/quickbooks {"running": false, "dialog": true}. GET /_emulator/log: QWCLog.txt.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from emulators.clock import Rng
from emulators.qbd.connector import Run, WebConnector
from emulators.qbd.faults import Faults
from emulators.qbd.file import CompanyFile
from emulators.qbd.qwc import QwcError


class Desk:
    """Applications are remembered in the company file's store, as the Web Connector remembers them over restarts."""

    def __init__(self, file: CompanyFile, seed: int = 7, sleep: Callable[[float], None] = time.sleep) -> None:
        self.file, self.faults, self.sleep = file, Faults(Rng(f"{seed} desk")), sleep
        self.connectors: list[WebConnector] = []
        self._lock = threading.Lock()  # the Web Connector updates one application at a time
        for kept in file.store.find("application", oldest_first=True):
            connector = self._connector(kept["qwc"], kept["password"])
            connector.is_added = True
            self.connectors.append(connector)
        routes = [
            Route("/_emulator/applications", self._add, methods=["POST"]),
            Route("/_emulator/update", self._update, methods=["POST"]),
            Route("/_emulator/faults", self._set_faults, methods=["POST"]),
            Route("/_emulator/quickbooks", self._set_quickbooks, methods=["POST"]),
            Route("/_emulator/log", self._log),
        ]
        self.app = Starlette(routes=routes)

    def add(self, qwc: str, password: str) -> WebConnector:
        """Opens a .qwc file; one of a FileID that is known takes its place. Raises QwcError."""
        connector = self._connector(qwc, password)
        connector.add_application()
        file_id = connector.qwc.file_id
        with self._lock:
            self.connectors = [each for each in self.connectors if each.qwc.file_id != file_id] + [connector]
            self.file.store.put("application", file_id, {"qwc": qwc, "password": password}, created=0)
        return connector

    def _connector(self, qwc: str, password: str) -> WebConnector:
        return WebConnector(qwc, self.file, password=password, faults=self.faults, sleep=self.sleep)

    def update(self, *, all_now: bool) -> list[Run]:
        """Runs what is due, or everything."""
        with self._lock:
            runs = [each.run_once() if all_now else each.run_due() for each in self.connectors]
        return [run for run in runs if run is not None]

    @contextmanager
    def running(self, every_s: float = 1.0) -> Iterator[None]:
        """The schedule goes on in a thread until the block ends."""
        stop = threading.Event()

        def loop() -> None:
            while not stop.wait(every_s):
                self.update(all_now=False)

        thread = threading.Thread(target=loop, daemon=True, name="web-connector")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(timeout=10)

    # --- by HTTP ---

    async def _add(self, request: Request) -> Response:
        asked = await request.json()
        try:
            connector = await run_in_threadpool(self.add, asked["qwc"], asked["password"])
        except QwcError as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        return JSONResponse({"name": connector.qwc.app_name, "user": connector.qwc.user_name})

    async def _update(self, _: Request) -> Response:
        runs = await run_in_threadpool(lambda: self.update(all_now=True))
        return JSONResponse([asdict(run) for run in runs])

    async def _set_faults(self, request: Request) -> Response:
        try:
            self.faults.set(await request.json())
        except ValueError as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        return JSONResponse(self.faults.switches)

    async def _set_quickbooks(self, request: Request) -> Response:
        asked = await request.json()
        self.file.is_running = bool(asked.get("running", self.file.is_running))
        self.file.has_dialog = bool(asked.get("dialog", self.file.has_dialog))
        return JSONResponse({"running": self.file.is_running, "dialog": self.file.has_dialog})

    async def _log(self, _: Request) -> Response:
        return PlainTextResponse("\n".join(line for each in self.connectors for line in each.log))
