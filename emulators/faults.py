"""Faults a stand-in commits on purpose: each is a probability, drawn from a seed, before or after serving."""

import asyncio
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulators.clock import Rng

FAULTS = {
    "error_before": "answer 500 and do nothing",
    "error_after": "do what was asked, then answer 500",
    "throttle": "answer 429 and do nothing",
    "lost_answer": "do what was asked, then close the connection without an answer",
    "reset": "close the connection at once",
    "truncate": "do what was asked, then send half of the answer",
    "slow": "wait `slow_ms` before answering",
}


class Faults:
    """The switches, and the chance they are drawn from."""

    def __init__(self, rng: Rng, switches: Mapping[str, float] | None = None, slow_ms: int = 2_000) -> None:
        self.rng = rng
        self.slow_ms = slow_ms
        self.switches = dict.fromkeys(FAULTS, 0.0)
        self.set(switches or {})

    def set(self, switches: Mapping[str, float]) -> None:
        unknown = set(switches) - set(FAULTS)
        if unknown:
            raise ValueError(f"Unknown fault {', '.join(sorted(unknown))}; there are {', '.join(FAULTS)}.")
        self.switches.update(switches)

    def draw(self) -> str | None:
        """The fault of one request, if any."""
        for name, probability in self.switches.items():
            if probability and self.rng.chance(probability):
                return name
        return None


# How an application closes its own connection: `emulators.server` puts a function of one argument (whether to reset
# it) under this name among the extensions of the scope. ASGI has no word for it: an exception would be answered 500.
HANG_UP = "tieout.hang_up"


class FaultMiddleware:
    """Applies `Faults` to every request but those to the stand-in's own controls under /_emulator.

    `error_bodies` gives the vendor's own body for a status, so that even a fault speaks the wire format.
    """

    def __init__(
        self,
        app: ASGIApp,
        faults: Faults,
        error_bodies: Mapping[int, object],
        error_headers: Mapping[int, Mapping[str, str]] | None = None,
    ) -> None:
        self.app, self.faults, self.error_bodies = app, faults, error_bodies
        self.error_headers = error_headers or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = None
        if scope["type"] == "http" and not scope["path"].startswith("/_emulator"):
            fault = self.faults.draw()
        if fault is None:
            await self.app(scope, receive, send)
        elif fault == "slow":
            await asyncio.sleep(self.faults.slow_ms / 1000)
            await self.app(scope, receive, send)
        elif fault in ("error_before", "throttle"):
            await self._refuse(500 if fault == "error_before" else 429, scope, receive, send)
        elif fault == "reset":
            _hang_up(scope, reset=True)
        else:
            await self._serve_badly(fault, scope, receive, send)

    async def _refuse(self, status: int, scope: Scope, receive: Receive, send: Send) -> None:
        body, headers = self.error_bodies.get(status, {}), self.error_headers.get(status)
        await JSONResponse(body, status, headers)(scope, receive, send)

    async def _serve_badly(self, fault: str, scope: Scope, receive: Receive, send: Send) -> None:
        """The request takes effect; its answer does not arrive whole."""
        answer: list[Message] = []

        async def keep(message: Message) -> None:
            answer.append(message)

        await self.app(scope, receive, keep)
        if fault == "lost_answer":
            _hang_up(scope)
            return
        if fault == "error_after":
            await self._refuse(500, scope, receive, send)
            return
        body = b"".join(message.get("body", b"") for message in answer)
        await send(answer[0])  # announces the whole length, then only half of it comes
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        _hang_up(scope)


def _hang_up(scope: Scope, *, reset: bool = False) -> None:
    """What was sent still arrives, unless the connection is reset."""
    scope["extensions"][HANG_UP](reset)


async def set_faults(request: Request) -> JSONResponse:
    """POST /_emulator/faults {"error_before": 0.1}: changes the switches of a running stand-in."""
    faults: Faults = request.app.state.faults
    try:
        faults.set(await request.json())
    except ValueError as error:
        return JSONResponse({"error": str(error)}, status_code=400)
    return JSONResponse(faults.switches)
