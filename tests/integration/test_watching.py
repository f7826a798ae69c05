"""What an operator sees of a running installation, and what somebody is told of without looking."""

import json
import logging
import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from storage import connections, runs
from storage.engine import Database
from sync import alerting, logs
from sync.alerting import Alerting
from sync.clock import FixedClock
from sync.environment import Environment
from sync.errors import Rejected
from sync.web import hooks_app
from tests import factories

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
TOKEN = "let-the-monitoring-in"


@pytest.fixture
def environment(database: Database, tmp_path: Path) -> Environment:
    return factories.still_environment(database, tmp_path, NOW)


# ---- metrics


def scrape(environment: Environment) -> dict[tuple[str, str], float]:
    """By name and first label, as the parser of those who made the format reads it."""
    with TestClient(hooks_app(environment)) as client:
        answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.text)
    return {
        (sample.name, next(iter(sample.labels.values()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_the_metrics_say_what_waits_and_for_how_long(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIEOUT_METRICS_TOKEN", TOKEN)
    seeded = factories.seed_company(environment.database, NOW)
    found = scrape(environment)
    link = str(seeded.link_id)
    assert found["tieout_waiting", link] > 0
    assert found["tieout_waiting_oldest_seconds", link] > 0
    assert found["tieout_last_sync_failed", link] == 0
    with environment.database.write() as conn:
        processor = connections.link(conn, seeded.link_id).processor_id
        connections.set_state(conn, processor, "reconnect", "The key was revoked.", NOW)
    assert scrape(environment)["tieout_connection_ready", str(processor)] == 0


def test_the_metrics_are_for_this_machine_or_for_who_has_the_token(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = (("127.0.0.1", 50_000), ("203.0.113.7", 50_000))

    def status(client: tuple[str, int], **headers: str) -> int:
        with TestClient(hooks_app(environment), client=client) as each:
            return each.get("/metrics", headers=headers).status_code

    assert status(here) == 200
    assert status(there) == 403
    assert status(here, **{"X-Forwarded-For": "203.0.113.7"}) == 403
    monkeypatch.setenv("TIEOUT_METRICS_TOKEN", TOKEN)
    assert status(here) == 403
    assert status(there, Authorization="Bearer something") == 403
    assert status(there, Authorization=f"Bearer {TOKEN}") == 200


# ---- alerts


@contextmanager
def listening(server: socketserver.BaseServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]  # type: ignore[misc]
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def chat() -> Iterator[tuple[str, list[Any]]]:
    """Where a chat service listens, and what was posted there; it refuses while the list ends with "down"."""
    posted: list[Any] = []

    class Post(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            is_down = posted[-1:] == ["down"]
            if not is_down:
                posted.append(body["text"])
            self.send_response(503 if is_down else 200)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    with listening(ThreadingHTTPServer(("127.0.0.1", 0), Post)) as port:
        yield f"http://127.0.0.1:{port}/hook", posted


@pytest.fixture
def mailbox() -> Iterator[tuple[str, list[str]]]:
    """A mail server's address, and the letters that it took."""
    letters: list[str] = []

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            while line := self.rfile.readline().decode():
                word = line[:4].upper()
                if word == "DATA":
                    self.wfile.write(b"354 go on\r\n")
                    letter = b""
                    while not letter.endswith(b"\r\n.\r\n"):
                        letter += self.rfile.readline()
                    letters.append(letter.decode())
                self.wfile.write(b"221 bye\r\n" if word == "QUIT" else b"250 yes\r\n")

    with listening(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session)) as port:
        yield f"smtp://127.0.0.1:{port}", letters


def at_work(environment: Environment, later: timedelta = timedelta()) -> Alerting:
    return Alerting(environment.database, FixedClock(NOW + later), alerting.channels())


def test_somebody_is_told_once_of_what_needs_a_person(
    environment: Environment,
    chat: tuple[str, list[Any]],
    mailbox: tuple[str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TIEOUT_ALERT_URL", chat[0])
    monkeypatch.setenv("TIEOUT_ALERT_EMAIL", "ap@example.com")
    monkeypatch.setenv("TIEOUT_SMTP", mailbox[0])
    monkeypatch.setenv("TIEOUT_URL", "https://tieout.example.com")
    seeded, database = factories.seed_link(environment.database, NOW), environment.database

    def set_state(state: str, problem: str | None) -> None:
        with database.write() as conn:
            processor = connections.link(conn, seeded.link_id).processor_id
            connections.set_state(conn, processor, state, problem, NOW)

    assert at_work(environment).tick() == 0
    set_state("reconnect", "The Stripe key was revoked. Paste a new one.")
    assert [at_work(environment).tick() for _ in range(3)] == [1, 0, 0]
    assert chat[1] == ["The Stripe key was revoked. Paste a new one. https://tieout.example.com"]
    assert "The Stripe key was revoked" in mailbox[1][0]
    assert "To: ap@example.com" in mailbox[1][0]
    set_state("ready", None)
    assert at_work(environment).tick() == 0
    set_state("reconnect", "It was revoked again.")
    chat[1].append("down")
    assert at_work(environment).tick() == 0  # nobody could be told
    chat[1].pop()
    assert at_work(environment, timedelta(minutes=6)).tick() == 1
    assert len(chat[1]) == 2
    set_state("ready", None)
    set_state("disconnected", "Somebody disconnected it.")
    assert at_work(environment, timedelta(minutes=7)).tick() == 0  # who did it knows


def test_a_sync_that_goes_on_failing_is_told_of_and_one_that_failed_once_is_not(
    environment: Environment, chat: tuple[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIEOUT_ALERT_URL", chat[0])
    link_id = factories.seed_link(environment.database, NOW).link_id

    def fail(at: datetime) -> None:
        with environment.database.write() as conn:
            runs.enqueue(conn, link_id=link_id, kind="sync", cause="schedule", scheduled_for=at)
            run = runs.take(conn, at, 60)
            assert run is not None
            runs.finish(conn, run, counts={}, at=at, problem="QuickBooks does not answer.")

    fail(NOW)
    assert at_work(environment, timedelta(minutes=10)).tick() == 0
    fail(NOW + timedelta(minutes=50))
    assert at_work(environment, timedelta(minutes=70)).tick() == 1
    assert "has not been synced since 2026-11-02 12:00 UTC: QuickBooks does not answer." in chat[1][0]


@pytest.mark.parametrize(
    "said",
    [
        {"TIEOUT_ALERT_URL": "http://chat.example.com/hook"},
        {"TIEOUT_ALERT_URL": "file:///etc/passwd"},
        {"TIEOUT_ALERT_EMAIL": "ap@example.com"},
        {"TIEOUT_ALERT_EMAIL": "ap@example.com", "TIEOUT_SMTP": "mail.example.com"},
    ],
)
def test_settings_that_cannot_be_used_are_refused(said: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Rejected):
        alerting.channels()


def test_a_password_never_goes_out_unencrypted(
    mailbox: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch, environment: Environment
) -> None:
    monkeypatch.setenv("TIEOUT_ALERT_EMAIL", "ap@example.com")
    monkeypatch.setenv("TIEOUT_SMTP", mailbox[0].replace("://", "://tieout:secret@"))
    seeded = factories.seed_link(environment.database, NOW)
    with environment.database.write() as conn:
        connections.set_state(conn, connections.link(conn, seeded.link_id).ledger_id, "reconnect", "Gone.", NOW)
    assert at_work(environment).tick() == 0
    assert mailbox[1] == []


# ---- logs


def test_a_line_is_json_and_holds_no_secret() -> None:
    try:
        raise ValueError("postgresql://tieout:hunter2@db.example.com refused sk_live_abc123")
    except ValueError:
        said = 'Bearer %s and refresh_token=%s and {"client_secret": "%s"}'
        record = logging.LogRecord("sync", logging.ERROR, "", 0, said, (), sys.exc_info())
    record.args = ("eyJhbGciOi.abc", "AB11734", "s3cr3t")
    line = json.loads(logs.Line().format(record))
    assert line["level"] == "error"
    assert line["says"] == '[hidden] and refresh_token=[hidden] and {"client_secret": "[hidden]"}'
    for secret in ("hunter2", "sk_live", "eyJ", "AB11734", "s3cr3t"):
        assert secret not in json.dumps(line)
    assert "db.example.com refused" in line["error"]
