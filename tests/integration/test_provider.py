"""Signing in with a provider: real tokens of a strict stand-in, over HTTP; who may not come in learns why."""

import base64
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from emulators.clock import Clock, Rng
from emulators.oidc import OidcProvider, Person
from emulators.server import serve
from storage import users
from storage.engine import Database, DatabaseError
from storage.vault import open_vault
from sync import gate, oidc, passwords, provider
from sync.cli import main
from sync.clock import FixedClock, SystemClock, SystemRng
from sync.environment import Environment
from tests import factories

BASE = "http://tieout.test"
BACK = f"{BASE}{gate.PROVIDER_BACK}"
PAGE = {"accept": "text/html"}
VIEWER = Person("Viewer@Example.com")
PASSWORD = "a few good words"


@dataclass
class Desk:
    """A browser without a page, the app behind its gate, and the provider."""

    client: TestClient
    provider: OidcProvider
    database: Database
    clock: FixedClock

    def choose(self, person: str = VIEWER.email, path: str = "/") -> str:
        """Goes to the provider and chooses who to be there; gives where it sends the browser back to."""
        sent = self.client.get(gate.PROVIDER, params={"next": path})
        assert sent.status_code == 303, sent.text
        address = sent.headers["location"]
        answer = requests.get(f"{address}&as={person}", allow_redirects=False, timeout=10)
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    def come_back(self, address: str) -> Any:
        return self.client.get(address, headers=PAGE)

    def is_in(self) -> bool:
        return bool(self.client.get("/").status_code == 200)


@pytest.fixture
def desk(sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    clock = FixedClock(SystemClock().now())
    factories.seed_user(sqlite_database, clock.now(), "admins-link")
    factories.seed_user(sqlite_database, clock.now(), "viewers-link", "viewer")
    people = [VIEWER, Person("stranger@example.com"), Person("viewer@example.com ", verified=False)]
    stand_in = OidcProvider(Clock(), Rng(5), people, redirect_uris=[BACK])
    with serve(stand_in.app) as address:
        monkeypatch.setenv("TIEOUT_OIDC_ISSUER", address)
        monkeypatch.setenv("TIEOUT_OIDC_CLIENT_ID", stand_in.client_id)
        monkeypatch.setenv("TIEOUT_OIDC_CLIENT_SECRET", stand_in.client_secret)
        monkeypatch.setenv("TIEOUT_OIDC_NAME", "Tideway <SSO>")
        environment = Environment(
            data_dir=tmp_path,
            demo=False,
            database=sqlite_database,
            vault=open_vault(tmp_path, {}),
            clock=clock,
            rng=SystemRng(),
        )
        with TestClient(guarded(environment), base_url=BASE, follow_redirects=False) as client:
            yield Desk(client, stand_in, sqlite_database, clock)


def guarded(environment: Environment) -> Starlette:
    async def behind(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("figures")

    database, clock, rng = environment.database, environment.clock, environment.rng
    return Starlette(
        routes=[
            *gate.sign_in_routes(database, clock, rng),
            *provider.routes(environment),
            Route("/{path:path}", behind),
        ],
        middleware=[Middleware(gate.Gate, database=database, clock=clock)],
    )


@pytest.mark.parametrize("thin", [False, True])
def test_somebody_invited_is_let_in_where_they_wanted_to_go(desk: Desk, thin: bool) -> None:
    """In the role they have here; a page asked for before is opened then."""
    desk.provider.thin = thin
    page = desk.client.get("/review?show=posted", headers=PAGE)
    assert page.status_code == 401
    assert 'href="/sign-in/provider?next=/review%3Fshow%3Dposted"' in page.text
    assert "Sign in with Tideway &lt;SSO&gt;" in page.text
    answer = desk.come_back(desk.choose(path="/review?show=posted"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/review?show=posted")
    assert desk.is_in()
    token = desk.client.cookies[gate.cookie_name(desk.database)]
    found = gate.find_user(desk.database, desk.clock, token)
    assert found is not None
    assert (found.email, found.role) == ("viewer@example.com", "viewer")
    assert len(users.everybody(desk.database, desk.clock.now())) == 2, "nobody was made"


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("nonce", "it answers another sign-in"),
        ("forged", "not signed by the provider"),
        ("unsigned", "not signed by the provider"),
        ("issuer", "not signed by the provider"),
        ("audience", "not signed by the provider"),
        ("expired", "not of this moment"),
        ("key", "of a key the provider does not have"),
    ],
)
def test_a_token_that_is_not_right_lets_nobody_in(
    desk: Desk, fault: Any, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    desk.provider.fault = fault
    with caplog.at_level(logging.DEBUG):
        answer = desk.come_back(desk.choose())
    assert answer.status_code == 403
    assert why in answer.text
    assert not desk.is_in()
    said = answer.text + caplog.text
    secret = desk.provider.client_secret
    login = base64.b64encode(f"{desk.provider.client_id}:{secret}".encode()).decode()
    assert not [each for each in (secret, login, *desk.provider.tokens) if each in said]


@pytest.mark.parametrize(
    ("person", "why"),
    [
        ("stranger@example.com", "stranger@example.com is not invited"),
        ("viewer@example.com ", "has not verified your e-mail address"),
        ("nobody", "signed nobody in"),
    ],
)
def test_a_person_who_may_not_is_told_why(desk: Desk, person: str, why: str) -> None:
    answer = desk.come_back(desk.choose(person))
    assert answer.status_code == 403
    assert why in answer.text
    assert not desk.is_in()
    assert len(users.everybody(desk.database, desk.clock.now())) == 2


def test_whoever_has_left_stays_out(desk: Desk) -> None:
    with desk.database.write() as conn:
        found = users.find(conn, email="viewer@example.com")
        assert found is not None
        users.change(conn, found.id, left_at=desk.clock.now())
    answer = desk.come_back(desk.choose())
    assert "The access of viewer@example.com was taken away" in answer.text
    assert not desk.is_in()


def test_an_answer_counts_in_the_browser_that_asked_and_once(desk: Desk) -> None:
    address = desk.choose()
    kept = dict(desk.client.cookies)
    desk.client.cookies.clear()
    assert "not begun in this browser" in desk.come_back(address).text, "another browser, as of a victim"
    desk.client.cookies.update(kept)
    other = address.replace("state=", "state=x")
    assert "not begun in this browser" in desk.come_back(other).text
    desk.client.cookies.update(kept)
    assert desk.come_back(address).status_code == 303
    desk.client.cookies.clear()
    desk.client.cookies.update(kept)
    assert "does not answer as it should" in desk.come_back(address).text, "the provider takes a code once"
    assert not desk.is_in()
    desk.client.cookies.clear()
    late = desk.choose()
    desk.clock.advance(oidc.LIFE.total_seconds() + 1)
    assert "longer than ten minutes" in desk.come_back(late).text


def test_another_issuer_in_the_answer_is_refused(desk: Desk) -> None:
    """RFC 9207: a code of another provider is never sent to this one."""
    address = desk.choose()
    mixed = f"{address.partition('&iss=')[0]}&iss=https%3A%2F%2Felsewhere.example"
    assert "it is of another provider" in desk.come_back(mixed).text
    assert desk.provider.codes, "it was not redeemed"


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_nobody_is_sent_elsewhere(desk: Desk, path: str) -> None:
    assert desk.come_back(desk.choose(path=path)).headers["location"] == "/"


def test_a_provider_that_does_not_answer_is_said(desk: Desk) -> None:
    desk.provider.app.routes.clear()
    answer = desk.client.get(gate.PROVIDER, headers=PAGE)
    assert answer.status_code == 403
    assert "does not answer as it should" in answer.text


def test_own_links_and_passwords_can_be_for_admins_only(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """In case the provider fails; whoever is no admin is told, and keeps their link."""
    with desk.database.write() as conn:
        for name in ("admin", "viewer"):
            found = users.find(conn, email=f"{name}@example.com")
            assert found is not None
            users.change(conn, found.id, password_hash=passwords.hash_of(PASSWORD, name))
    monkeypatch.setenv(oidc.LOCAL, oidc.ADMINS)
    page = desk.client.get("/", headers=PAGE).text
    assert "Sign in with" in page
    assert "<form" not in page
    assert "<form" in desk.client.get(f"{gate.SIGN_IN}?with=password").text
    refused = [
        desk.client.get(gate.sign_in_path("viewers-link")),
        desk.client.post(gate.SIGN_IN, data={"email": "viewer@example.com", "password": PASSWORD}),
    ]
    for answer in refused:
        assert answer.status_code == 403
        assert "let in admins only" in answer.text
        assert "set-cookie" not in answer.headers
    assert all(each.sessions == 0 for each in users.everybody(desk.database, desk.clock.now()))
    assert desk.client.get(gate.sign_in_path("admins-link")).status_code == 303
    desk.client.cookies.clear()
    form = {"email": "admin@example.com", "password": PASSWORD}
    assert desk.client.post(gate.SIGN_IN, data=form).status_code == 303
    monkeypatch.delenv(oidc.LOCAL)
    assert desk.client.get(gate.sign_in_path("viewers-link")).status_code == 303, "it was not used up"


def test_half_a_provider_is_refused_at_the_start(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIEOUT_OIDC_ISSUER", "http://accounts.example")
    with pytest.raises(DatabaseError, match="not an https address"):
        oidc.configured()
    started = CliRunner().invoke(main, ["serve"])
    assert (started.exit_code, started.output) == (1, "TIEOUT_OIDC_ISSUER is not an https address.\n")
    monkeypatch.delenv("TIEOUT_OIDC_ISSUER")
    with pytest.raises(DatabaseError, match="Set TIEOUT_OIDC_ISSUER"):
        oidc.configured()
    for name in ("CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.delenv(f"TIEOUT_OIDC_{name}")
    assert oidc.configured() is None
    assert "Sign in with" not in desk.client.get("/", headers=PAGE).text
    monkeypatch.setenv(oidc.LOCAL, "nobody")
    with pytest.raises(DatabaseError, match="“admins” or “everybody”"):
        oidc.is_local_for_all()
