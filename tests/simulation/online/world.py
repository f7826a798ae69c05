"""The world of a seed at the level of the adapters: the emulated Stripe and QuickBooks Online, called in process.

Everything of ours is the real one: Stripe's client, the client and the tokens of QuickBooks Online, the webhook routes,
worker and storage. What is replaced is what carries bytes, the clock and chance.
"""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from sqlalchemy.exc import OperationalError
from starlette.types import ASGIApp, Message
from stripe import _webhook

import emulators.qbo.web as qbo_web
import emulators.stripe.web as stripe_web
import emulators.stripe.webhooks as stripe_hooks
from emulators.clock import Clock as TheirClock
from emulators.clock import Rng as Chance
from emulators.qbo.emulator import QboEmulator
from emulators.qbo.webhooks import Webhooks
from emulators.qbo.webhooks import signature as qbo_signature
from emulators.store import Store
from emulators.stripe.emulator import StripeEmulator
from sync import web
from sync.clock import SeededRng
from sync.demo import connect_announced
from sync.environment import Environment
from sync.processes import make_worker
from sync.qbo.limits import OFF
from sync.worker import Worker
from tests.simulation.engine.trouble import Crash, Trouble, Watched
from tests.simulation.engine.world import CALL_S, LEASE_S, VAULT, Clock, Relief, migrated, open_memory

START = datetime(2026, 11, 9, 15, tzinfo=UTC)
STRIPE, INTUIT, OURS = "stripe.simulated", "intuit.simulated", "tieout.simulated"
THROTTLED = {STRIPE: stripe_web.FAULT_BODIES[429], INTUIT: qbo_web.FAULT_BODIES[429]}
BROKEN = {STRIPE: stripe_web.FAULT_BODIES[500], INTUIT: qbo_web.FAULT_BODIES[500]}
Answer = tuple[int, dict[str, str], bytes]


@dataclass
class World:
    """One seed's own. Use it inside `at_work()`."""

    environment: Environment
    database: Watched
    clock: Clock
    stripe: StripeEmulator
    qbo: QboEmulator
    trouble: Trouble
    loop: asyncio.AbstractEventLoop
    wrong: list[str] = field(default_factory=list)
    delivers: bool = True  # whether webhooks arrive at all
    _relief: Relief = field(default_factory=Relief)
    _apps: dict[str, ASGIApp] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ours = web.hooks_app(self.environment)
        self._apps = {STRIPE: self.stripe.app, INTUIT: self.qbo.app, OURS: ours}
        self.clock.ticks.append(lambda: self.qbo.clock.set(self.clock.theirs()))

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Whatever is sent by HTTP in this block goes to this world, and to nobody else."""
        now = SimpleNamespace(time=lambda: self.clock.now().timestamp())  # the vendor's library reads the clock itself
        with ExitStack() as stack:
            for of, name, instead in (
                (HTTPAdapter, "send", lambda _, request, **__: self._carry(request)),
                (stripe_hooks, "_send", self._tell_of_stripe),
                (Webhooks, "_send", self._tell_of_books),
                (_webhook, "time", now),
            ):
                stack.enter_context(patch.object(of, name, instead))
            yield

    # ---- our side

    def worker(self) -> Worker:
        """A new process."""
        return make_worker(self.environment, LEASE_S)

    def step_in(self) -> None:
        self._relief.step_in(self.clock, self.worker)

    # ---- webhooks

    def deliver(self) -> None:
        """What both have to tell by now."""
        self.stripe.tick()
        self.trouble.place = "webhook"
        try:
            self.stripe.deliver()
            self.qbo.tick()
        finally:
            self.trouble.place = "commit"

    def _tell_of_stripe(self, office: Any, endpoint: Any, payload: bytes) -> bool:
        signed = stripe_hooks.signature(payload, endpoint["_secret"], office.clock.timestamp())
        return self._tell("stripe", 2, {"stripe-signature": signed}, payload)

    def _tell_of_books(self, sender: Webhooks, body: bytes) -> bool:
        return self._tell("quickbooks", 1, {"intuit-signature": qbo_signature(sender.verifier_token, body)}, body)

    def _tell(self, system: str, connection_id: int, headers: dict[str, str], body: bytes) -> bool:
        """Whether it was acknowledged."""
        if not self.delivers:
            return False
        try:
            status, _, _ = self._ask(OURS, "POST", f"/webhooks/{system}/{connection_id}", "", headers, body)
        except (Crash, OperationalError):  # gone, or answered 500
            return False
        if status in (400, 401):
            self.wrong.append(f"A genuine webhook of {system} was refused.")
        return status < 300

    # ---- the way to the others

    def _carry(self, request: requests.PreparedRequest) -> requests.Response:
        """What takes the place of a connection."""
        address, method = urlsplit(str(request.url)), str(request.method)
        host, place = str(address.hostname), _place(method, address.path)
        if self.database.is_busy:
            self.wrong.append(f"A {place} went out inside a transaction.")
        self.clock.advance(CALL_S)
        what = self.trouble.at(place)
        self.trouble.point(place, "before", what)
        early = self._before(what, host)
        if early is None:
            body = request.body.encode() if isinstance(request.body, str) else bytes(request.body or b"")  # type: ignore[arg-type]
            early = self._ask(host, method, address.path, address.query, dict(request.headers), body)
            self.trouble.point(place, "after", what)
            early = self._after(what, host, early)
        return _response(request, early)

    def _before(self, what: str, host: str) -> Answer | None:
        """What keeps a request from being worked on now."""
        match what:
            case "429":
                return 429, {"retry-after": "60"}, _json(THROTTLED[host])
            case "500":
                return 500, {}, _json(BROKEN[host])
            case "reset":
                raise requests.exceptions.ConnectionError("reset")
            case "unsent":
                raise requests.exceptions.ConnectTimeout("unsent")
            case "pause":
                self.step_in()
            case "expired":
                self.qbo.oauth.expire_access_tokens()
        return None

    def _after(self, what: str, host: str, answer: Answer) -> Answer:
        status, headers, body = answer
        match what:
            case "lost":
                raise requests.exceptions.ReadTimeout("no answer")
            case "500 after":
                return 500, {}, _json(BROKEN[host])
            case "truncated":
                return status, headers, body[: len(body) // 2]
            case "garbage":
                return 200, {}, b"<html>Be right back</html>"
            case "pause after":
                self.step_in()
            case "slow":
                self.clock.advance(25)
        return answer

    def _ask(self, host: str, method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> Answer:
        """One call of an application in process."""
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(name.lower().encode(), str(value).encode()) for name, value in headers.items()],
            "server": (host, 80), "client": ("127.0.0.1", 1), "extensions": {},
        }  # fmt: skip
        said: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            said.append(message)

        self.loop.run_until_complete(self._apps[host](scope, receive, send))
        told = {name.decode(): value.decode() for name, value in said[0]["headers"]}
        return said[0]["status"], told, b"".join(each.get("body", b"") for each in said[1:])


def _place(method: str, path: str) -> str:
    """What a request counts as."""
    if path.startswith("/v1/"):
        return "fetch"
    if not path.startswith("/v3/"):
        return "token"
    return "read" if method == "GET" or path.endswith("/query") else "post"


def _json(body: Any) -> bytes:
    return requests.compat.json.dumps(body).encode()  # type: ignore[attr-defined, no-any-return]


def _response(request: requests.PreparedRequest, answer: Answer) -> requests.Response:
    found = requests.Response()
    found.status_code, headers, found._content = answer
    found.headers.update(headers)
    found.request, found.url, found.encoding = request, str(request.url), "utf-8"
    return found


# ---- the template


@dataclass(frozen=True)
class Template:
    """What every seed begins with: a company that was connected and synced once."""

    image: bytes
    stripe: Store
    books: Store
    customers: tuple[str, str]  # at Stripe, in the books
    at: datetime


class Copies:
    """Worlds, one after the other."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._loop = directory, asyncio.new_event_loop()
        self._database = open_memory()
        self._database.driver.deserialize(migrated())
        self.template = self._make()

    def fresh(self, seed: int) -> World:
        self._database.driver.deserialize(self.template.image)
        stripe, books = Store(), Store()
        self.template.stripe.copy_to(stripe)
        self.template.books.copy_to(books)
        return self._world(seed, stripe, books, self.template.at)

    def close(self) -> None:
        self._database.close()
        self._loop.close()

    def _world(self, seed: int, stripe: Store, books: Store, at: datetime) -> World:
        clock, theirs = Clock(at), TheirClock(at)
        environment = Environment(
            data_dir=self._directory, demo=True, database=self._database, vault=VAULT, clock=clock, rng=SeededRng(seed)
        )
        return World(
            environment, self._database, clock,
            StripeEmulator(stripe, theirs, Chance(f"stripe {seed}")), QboEmulator(books, theirs, Chance(f"qbo {seed}")),
            self._database.trouble, self._loop,
        )  # fmt: skip

    def _make(self) -> Template:
        stripe, books = Store(), Store()
        world = self._world(-1, stripe, books, START)
        with world.at_work():
            there = world.stripe.request("POST", "/v1/customers", {"name": "Blue Foods", "email": "ap@blue.example"})
            address = {"Address": "ap@blue.example"}
            here = world.qbo.create("Customer", {"DisplayName": "Blue Foods", "PrimaryEmailAddr": address})
            connect_announced(world.environment, _announced(world), hooks_address=f"http://{OURS}")
            world.qbo.webhooks.configure(f"http://{OURS}/webhooks/quickbooks/1", "simulated")
            worker = world.worker()
            worker.enqueue_now("first")
            while worker.work():
                assert worker.problem is None, worker.problem
            world.clock.advance(900)
        return Template(world.database.driver.serialize(), stripe, books, (there["id"], here["Id"]), world.clock.true)


def _announced(world: World) -> dict[str, Any]:
    return {
        "stripe": {"api": f"http://{STRIPE}", "key": world.stripe.key},
        "quickbooks": {
            "api": f"http://{INTUIT}/v3",
            "discovery": f"http://{INTUIT}/.well-known/openid_configuration",
            "realm_id": world.qbo.realm_id,
            "company_name": "Simulated",
            "client_id": world.qbo.client_id,
            "client_secret": world.qbo.client_secret,
            "refresh_token": world.qbo.issue_tokens()["refresh_token"],
            "verifier_token": "simulated",
            "limits": OFF,
        },
        "cutover": date.isoformat(START.date() - timedelta(days=1)),
    }
