"""Stand-ins, and people's browsers in front of the pages' own commands and routes; nothing is connected yet."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from emulators.qbo.emulator import QboEmulator
from emulators.stripe.emulator import StripeEmulator
from storage import connections, users
from storage.engine import Database
from storage.users import User, digest
from storage.vault import open_vault
from sync import callback, gate, setup
from sync.clock import SystemClock, SystemRng
from sync.environment import Environment
from sync.ports import Clock

ORIGIN = "http://tieout.test"


@dataclass
class Office:
    """Nothing connected yet; both stand-ins, and a browser in front of the gate for each person."""

    environment: Environment
    stripe: StripeEmulator
    qbo: QboEmulator

    def person(self, role: str = "admin") -> User:
        with self.environment.database.write() as conn:
            user_id = users.ensure_user(conn, email=f"{role}@example.com", name=role, role=role)
        return User(id=user_id, email=f"{role}@example.com", name=role, role=role)

    def browser(self, user: User, token: str) -> TestClient:
        """Signed in: its session is digest(token)."""
        environment = self.environment
        with environment.database.write() as conn:
            users.create_sign_in_link(conn, user.id, f"link-{token}", environment.clock.now())
            users.open_session(conn, f"link-{token}", token, environment.clock.now())
        app = Starlette(
            routes=callback.routes(environment),
            middleware=[Middleware(gate.Gate, database=environment.database, clock=environment.clock)],
        )
        cookies = {gate.cookie_name(environment.database): token}
        return TestClient(app, base_url=ORIGIN, cookies=cookies, follow_redirects=False)

    def ask(self, user: User, token: str, **more: Any) -> str:
        """Begins a consent; gives Intuit's address."""
        client = (self.qbo.client_id, self.qbo.client_secret)
        return setup.begin_consent(
            self.environment,
            user,
            session=digest(token),
            origin=ORIGIN,
            mode="emulated",
            **{"client": client, **more},
        )

    def agree(self, address: str) -> str:
        """The person says yes; gives the path that Intuit sends the browser back to."""
        answer = requests.get(f"{address}&auto=1", allow_redirects=False, timeout=10)
        back = urlsplit(answer.headers["location"])
        assert f"{back.scheme}://{back.netloc}" == ORIGIN
        return f"{back.path}?{back.query}"

    def connect(self) -> tuple[int, int]:
        """Both sides, by an admin; gives their ids."""
        owner = self.person()
        browser = self.browser(owner, "owner-session")
        setup.connect_stripe(self.environment, owner, self.stripe.key)
        assert browser.get(self.agree(self.ask(owner, "owner-session"))).status_code == 303
        found = {each.system: each.id for each in self.connections()}
        return found["stripe"], found["qbo"]

    def connections(self) -> list[connections.Connection]:
        with self.environment.database.read() as conn:
            return connections.all_connections(conn)

    def secret(self, connection_id: int, purpose: str) -> str | None:
        with self.environment.database.read() as conn:
            return connections.secret(conn, self.environment.vault, connection_id, purpose)


def empty_environment(database: Database, folder: Path, clock: Clock | None = None) -> Environment:
    """An installation of somebody who has connected nothing; not the demo's."""
    vault, rng = open_vault(folder), SystemRng()
    return Environment(
        data_dir=folder, demo=False, database=database, vault=vault, clock=clock or SystemClock(), rng=rng
    )


def point_at(monkeypatch: pytest.MonkeyPatch, stripe: str, intuit: str) -> None:
    """The stand-ins' addresses take the place of the vendors' own."""
    monkeypatch.setenv("TIEOUT_STRIPE_API", stripe)
    monkeypatch.setenv("TIEOUT_INTUIT", intuit)
