"""The gate with a small app behind it: what is behind must never be reached without a session."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from storage import users
from storage.engine import Database
from sync import gate, passwords
from sync.clock import FixedClock, SeededRng
from tests import factories

SOCKET = "ws://tieout.test/_stcore/stream"
PAGE = {"accept": "text/html"}


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def client(sqlite_database: Database, clock: FixedClock) -> Iterator[TestClient]:
    factories.seed_user(sqlite_database, clock.now(), token="one-time")

    async def behind(request: Request) -> PlainTextResponse:
        return PlainTextResponse("figures")

    async def stream(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("figures")
        await socket.close()

    app = Starlette(
        routes=[
            *gate.sign_in_routes(sqlite_database, clock, SeededRng()),
            WebSocketRoute("/_stcore/stream", stream),
            Route("/{path:path}", behind, methods=["GET", "POST"]),
        ],
        middleware=[Middleware(gate.Gate, database=sqlite_database, clock=clock)],
    )
    with TestClient(app, base_url="http://tieout.test", follow_redirects=False) as client:
        yield client


def sign_in(client: TestClient, token: str = "one-time") -> None:
    response = client.get(gate.sign_in_path(token))
    assert (response.status_code, response.headers["location"]) == (303, "/")


@pytest.mark.parametrize(
    "path",
    ["/", "/review", "/media/1.csv", "/_stcore/stream", "/_stcore/metrics", "/sign-in/x", "//healthz", "/x/healthz"],
)
def test_nothing_without_a_session(client: TestClient, path: str) -> None:
    page = client.get(path, headers=PAGE)
    assert page.status_code == 401
    assert "Open the sign-in link printed where Tieout was started" in page.text
    other = client.get(path)
    assert (other.status_code, other.text) == (401, "Not signed in.")
    assert client.post(path).status_code == 401


def test_health_and_hooks_are_open(client: TestClient) -> None:
    assert client.get("/_stcore/health").text == "figures"
    assert client.get("/healthz").text == "figures"
    assert client.post("/webhooks/stripe/1").text == "figures"
    assert client.get("/webhooks/stripe/1").status_code == 401
    assert client.post("/qbwc").text == client.get("/qbwc/support").text == "figures"
    assert client.get("/qbwc/figures").status_code == 401


def test_no_websocket_without_a_session(client: TestClient) -> None:
    for url in (SOCKET, "ws://tieout.test/healthz"):
        with pytest.raises(WebSocketDisconnect), client.websocket_connect(url):
            pass


def test_a_link_lets_in(client: TestClient) -> None:
    sign_in(client)
    assert client.get("/review", headers=PAGE).text == "figures"
    with client.websocket_connect(SOCKET, headers={"origin": "http://tieout.test"}) as socket:
        assert socket.receive_text() == "figures"


def test_a_page_of_another_origin_cannot_use_the_session(client: TestClient) -> None:
    sign_in(client)
    for origin in ("http://elsewhere.test", "http://tieout.test:81", "null"):
        with (
            pytest.raises(WebSocketDisconnect),
            client.websocket_connect(SOCKET, headers={"origin": origin}),
        ):
            pass


def test_the_cookie_is_for_this_server_alone(client: TestClient) -> None:
    cookie = client.get(gate.sign_in_path("one-time")).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "max-age=43200" in cookie
    assert "secure" not in cookie, "plain http on the own machine"
    secure = client.get(f"https://tieout.test{gate.sign_in_path('one-time')}").headers["set-cookie"].lower()
    assert "; secure" in secure


def test_a_used_link_lets_nobody_in(client: TestClient, clock: FixedClock) -> None:
    sign_in(client)
    sign_in(client)  # a double click
    client.cookies.clear()
    clock.advance(61)
    response = client.get(gate.sign_in_path("one-time"))
    assert response.status_code == 401
    assert "set-cookie" not in response.headers


def test_looking_at_a_link_does_not_use_it(client: TestClient, clock: FixedClock) -> None:
    assert client.head(gate.sign_in_path("one-time")).status_code == 200
    clock.advance(61)
    sign_in(client)


@pytest.mark.parametrize("token", [" ", "wrong", "one-time' OR 1=1 --"])
def test_wrong_links(client: TestClient, token: str) -> None:
    assert client.get(gate.SIGN_IN, params={"token": token}).status_code == 401


def test_an_old_link(client: TestClient, clock: FixedClock) -> None:
    clock.advance(users.LINK_LIFE.total_seconds())
    assert client.get(gate.sign_in_path("one-time")).status_code == 401


def test_a_session_ends(client: TestClient, clock: FixedClock) -> None:
    sign_in(client)
    clock.advance((users.SESSION_LIFE - timedelta(seconds=1)).total_seconds())
    assert client.get("/").status_code == 200
    clock.advance(1)
    assert client.get("/").status_code == 401


def test_claims_in_headers_and_cookies_have_no_effect(client: TestClient, sqlite_database: Database) -> None:
    claims = {"x-forwarded-user": "admin", "x-tieout-email": "admin@example.com", "authorization": "Bearer one-time"}
    assert client.get("/", headers=claims).status_code == 401
    for value in ("one-time", "admin", users.digest("one-time")):
        client.cookies.set(gate.cookie_name(sqlite_database), value)
        assert client.get("/").status_code == 401


def test_every_answer_keeps_others_out(client: TestClient) -> None:
    for path in ("/", "/healthz", gate.sign_in_path("one-time")):
        headers = client.get(path).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["referrer-policy"] == "same-origin"


@pytest.fixture
def password(sqlite_database: Database, client: TestClient) -> str:
    with sqlite_database.write() as conn:
        found = users.find(conn, email="admin@example.com")
        assert found is not None
        users.change(conn, found.id, password_hash=passwords.hash_of("a few good words", "salt"))
    return "a few good words"


def fill(client: TestClient, password: str, email: str = "admin@example.com", path: str = "/review?tab=x") -> Any:
    return client.post(gate.SIGN_IN, data={"email": email, "password": password, "next": path})


def test_a_password_opens_what_was_asked_for(client: TestClient, password: str) -> None:
    form = client.get('/review?tab=x&y="><b>', headers=PAGE).text
    assert 'name="next" value="/review?tab=x&amp;y=' in form
    assert "<b>" not in form
    answer = fill(client, password, " Admin@Example.com ")
    assert (answer.status_code, answer.headers["location"]) == (303, "/review?tab=x")
    assert client.get("/").text == "figures"


@pytest.mark.parametrize(
    "path", ["//evil.example", "https://evil.example", "/\\evil.example", "/a//b", "javascript:1", ""]
)
def test_nobody_is_sent_elsewhere(client: TestClient, password: str, path: str) -> None:
    assert fill(client, password, path=path).headers["location"] == "/"


def test_wrong_passwords_get_one_answer_and_lock(client: TestClient, password: str, clock: FixedClock) -> None:
    answers = {fill(client, "wrong").text for _ in range(users.TRIES)}
    answers |= {fill(client, password).text, fill(client, "wrong", "nobody@example.com").text}
    assert len(answers) == 1, "an answer that differs would tell who has an account"
    assert "set-cookie" not in fill(client, password).headers
    clock.advance(users.LOCK.total_seconds() + 1)
    assert fill(client, password).status_code == 303


def test_another_site_signs_nobody_in(client: TestClient, password: str) -> None:
    form = {"email": "admin@example.com", "password": password}
    answer = client.post(gate.SIGN_IN, data=form, headers={"origin": "http://evil.example"})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_a_form_of_any_size_is_read_to_a_limit_only(client: TestClient) -> None:
    assert client.post(gate.SIGN_IN, content=b"email=" + b"x" * 100_000).status_code == 413
    assert client.post(gate.SIGN_IN, content=b"\xff\xfe=%%%&&&").status_code == 401
