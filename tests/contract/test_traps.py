"""Traps of the vendors' libraries that no other test walks into; tests/contract/README.md lists them all."""

from decimal import Decimal
from typing import Any

import pytest
import requests
import stripe

from sync.clock import FixedClock
from sync.errors import Rejected, Stale, Transient, Unauthorized
from sync.ports import Request, Response
from sync.qbo import faults, wire
from sync.qbo.client import Client
from sync.stripe.client import PacedClient


class OneToken:
    def access_token(self) -> str:
        return "token"

    def refresh(self, refused: str) -> str:
        return f"newer than {refused}"


def sent(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[dict[str, Any]]:
    """What the client hands to requests; `answer` is given or raised."""
    calls: list[dict[str, Any]] = []

    def request(_session: Any, method: str, url: str, **options: Any) -> Any:
        calls.append({"method": method, "url": url, **options})
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(requests.Session, "request", request)
    return calls


def answered(status: int, body: str) -> requests.Response:
    answer = requests.Response()
    answer.status_code, answer._content = status, body.encode()
    return answer


def test_every_request_has_a_time_limit_and_its_own_request_id(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = sent(monkeypatch, answered(200, "{}"))
    client = Client(realm_id="1", tokens=OneToken())
    for request_id in ("one", "two"):
        client.send(Request(kind="write", path="payment", body="{}", query={"requestid": request_id}, deadline_s=7))
    assert [call["params"]["requestid"] for call in calls] == ["one", "two"]
    assert {call["timeout"][1] for call in calls} == {7}
    assert not any(call["allow_redirects"] for call in calls)


def test_a_timeout_of_a_write_is_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    sent(monkeypatch, requests.exceptions.ReadTimeout())
    response = Client(realm_id="1", tokens=OneToken()).send(Request(kind="write", path="payment", body="{}"))
    assert response.lost == "lost: ReadTimeout"


def test_a_refused_token_is_replaced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = sent(monkeypatch, answered(401, "{}"))
    assert Client(realm_id="1", tokens=OneToken()).send(Request(kind="read", path="query", body="x")).status == 401
    assert [call["headers"]["Authorization"] for call in calls] == ["Bearer token", "Bearer newer than token"]


def test_amounts_are_decimals_and_never_strings() -> None:
    assert wire.decode('{"TotalAmt": 0.30}') == {"TotalAmt": Decimal("0.30")}
    assert wire.encode({"TotalAmt": Decimal("10.50")}) == '{"TotalAmt":10.50}'


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, '{"fault":{"error":[{"message":"ThrottleExceeded; errorCode=003001","code":"3001"}]}}', Transient),
        (403, '{"fault":{"error":[{"message":"ThrottleExceeded"}]}}', Transient),
        (401, '{"fault":{"error":[{"code":"3200"}]}}', Unauthorized),
        (200, '{"Fault":{"Error":[{"Message":"Stale","code":"5010"}]}}', Stale),
        (400, '{"Fault":{"Error":[{"Message":"Account Period Closed","code":"5010"}]}}', Rejected),
        (400, '{"Fault":{"Error":[{"Message":"odd","code":"not a number"}]}}', Rejected),
    ],
)
def test_faults_of_either_form_are_told_apart(status: int, body: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        faults.check(Response(status=status, body=body), write=True)


def test_stripe_is_asked_no_more_often_than_it_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stripe.RequestsClient, "request", lambda *_, **__: None)
    clock = FixedClock()
    before, client = clock.now(), PacedClient(clock, 25)
    for _ in range(100):
        client.request("get", "http://127.0.0.1", {})
    assert (clock.now() - before).total_seconds() >= 99 / 25
    assert stripe.enable_telemetry is False
