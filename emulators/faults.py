"""Faults a stand-in commits on purpose: each is a probability, drawn from a seed, before or after the request is served."""

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
    """The switches. `error_bodies` gives the vendor's own body for a status, so that even a fault speaks the wire format."""

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


class ConnectionLost(Exception):
    """Ends a request without an answer; the server closes the connection."""


class FaultMiddleware:
    """Applies `Faults` to every request but those to the stand-in's own controls under /_emulator."""

    def __init__(self, app: ASGIApp, faults: Faults, error_bodies: Mapping[int, object]) -> None:
        self.app, self.faults, self.error_bodies = app, faults, error_bodies

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
            raise ConnectionLost
        else:
            await self._serve_badly(fault, scope, receive, send)

    async def _refuse(self, status: int, scope: Scope, receive: Receive, send: Send) -> None:
        await JSONResponse(self.error_bodies.get(status, {}), status_code=status)(scope, receive, send)

    async def _serve_badly(self, fault: str, scope: Scope, receive: Receive, send: Send) -> None:
        """The request takes effect; its answer does not arrive whole."""
        answer: list[Message] = []

        async def keep(message: Message) -> None:
            answer.append(message)

        await self.app(scope, receive, keep)
        if fault == "lost_answer":
            raise ConnectionLost
        if fault == "error_after":
            await self._refuse(500, scope, receive, send)
            return
        body = b"".join(message.get("body", b"") for message in answer)
        await send(answer[0])  # announces the whole length, then only half of it comes
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        raise ConnectionLost


async def set_faults(request: Request) -> JSONResponse:
    """POST /_emulator/faults {"error_before": 0.1}: changes the switches of a running stand-in."""
    faults: Faults = request.app.state.faults
    try:
        faults.set(await request.json())
    except ValueError as error:
        return JSONResponse({"error": str(error)}, status_code=400)
    return JSONResponse(faults.switches)
