"""Traps of the vendors' libraries that no other test walks into; tests/contract/README.md lists them all."""

import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
import stripe

from reconcile.postings import Posting
from reconcile.records import Applied, Customer
from sync.clock import FixedClock
from sync.errors import Ambiguous, Forbidden, Rejected, Stale, Transient, Unauthorized, Unclassified
from sync.ports import Request, Response
from sync.qbo import faults, reading, wire
from sync.qbo.client import Client
from sync.qbo.people import QuickBooksPeople
from sync.stripe.adapter import StripeProcessor
from sync.stripe.client import API_VERSION, TIMEOUT_S, PacedClient, call, make_client, plain, translate
from sync.stripe.records import credit_note
from sync.stripe.writing import _meaning
from tests.contract.stripe_bench import open_bench

ROOT = Path(__file__).parents[2]
# What of the vendors' libraries is ours to use: sending and signing in.
USED = {
    "from quickbooks import QuickBooks",
    "from intuitlib.client import AuthClient",
    "from intuitlib.enums import Scopes",
    "from intuitlib.exceptions import AuthClientError",
}


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


def test_a_write_that_was_held_up_past_its_time_does_not_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that was paused before it sent: another may have written the same meanwhile, as something new."""
    calls, clock = sent(monkeypatch, answered(200, "{}")), FixedClock()
    client = Client(realm_id="1", tokens=OneToken(), clock=clock)
    request = Request(kind="write", path="payment", body="{}", send_by=clock.now() + timedelta(seconds=30))
    assert client.send(request).status == 200
    clock.advance(31)
    response = client.send(request)
    assert len(calls) == 1
    with pytest.raises(Transient):  # certainly not done, so that there is nothing to look for
        faults.check(response, write=True)


def test_what_an_error_of_the_library_forgets_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The status, how long to wait, and the number by which Intuit finds the request."""
    answer = answered(429, '{"fault":{"error":[{"message":"ThrottleExceeded","code":"3001"}]}}')
    answer.headers.update({"intuit_tid": "1-abc", "Retry-After": "90"})
    sent(monkeypatch, answer)
    response = Client(realm_id="1", tokens=OneToken()).send(Request(kind="read", path="query", body="x"))
    with pytest.raises(Transient) as caught:
        faults.check(response, write=False)
    assert "HTTP 429 intuit_tid 1-abc" in caught.value.technical
    assert caught.value.retry_after_s == 90


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
        (400, '{"Fault":{"Error":[{"Message":"period closed","code":"6210"}]}}', Rejected),  # 5000 to 9999: the base
        (400, '{"Fault":{"Error":[{"Message":"ThrottleExceeded","code":"3001"}]}}', Transient),  # "ValidationException"
        (404, "<html>gateway</html>", Unclassified),
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


def test_stripe_is_asked_once_in_our_version_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its client waits eighty seconds, and who retries does so without our clock. Other versions have other fields."""
    calls = sent(monkeypatch, answered(500, "{}"))
    client = make_client("sk_test_1", "http://127.0.0.1:1", PacedClient(FixedClock(), 25))
    with pytest.raises(Transient):
        call(client.v1.balance.retrieve)
    (one,) = calls
    assert one["timeout"] == TIMEOUT_S < 80
    assert one["headers"]["Stripe-Version"] == API_VERSION


def test_a_document_says_nothing_it_was_not_asked_to_say() -> None:
    """The library's objects bring defaults along: a rate of 1 in any currency, print status, empty texts."""
    payment = Posting(
        marker="txn_1:charge:r1:s1",
        kind="payment",
        dated=date(2026, 11, 2),
        currency="USD",
        amount_minor=1_050,
        account_id="35",
        party_id="20",
        memo="ch_1 txn_1",
        reference="ch_1",
        applied=(Applied(id="invoice:70", amount_minor=1_050),),
    )
    body = json.loads(wire.write_body(payment, "USD"))
    assert set(body) == {
        *("CustomerRef", "TotalAmt", "DepositToAccountRef", "PaymentRefNum", "ProcessPayment", "Line"),
        *("TxnDate", "PrivateNote"),
    }
    foreign = json.loads(wire.write_body(replace(payment, currency="EUR", exchange_rate="1.0845"), "USD"))
    assert (foreign["CurrencyRef"], foreign["ExchangeRate"]) == ({"value": "EUR"}, 1.0845)


def test_questions_quote_their_values_and_ask_for_whole_pages() -> None:
    """The library leaves dates bare, and takes the server's page of a hundred."""
    text = reading.page_query("Customer", "2026-11-02T00:00:00+00:00", 1)
    assert "LastUpdatedTime >= '2026-11-02T00:00:00+00:00'" in text
    assert "Active IN (true, false)" in text
    assert text.endswith("MAXRESULTS 1000")
    with pytest.raises(AssertionError):
        reading._quoted(["1' OR '1"])


def test_names_with_quotes_and_backslashes_are_asked_for_as_they_are() -> None:
    """The library escapes the one and not the other: a name could end its own question, or find nobody."""
    asked: list[Request] = []

    def carry(request: Request) -> Response:
        asked.append(request)
        return Response(status=200, body='{"QueryResponse":{},"Customer":{"Id":"1","DisplayName":"x"}}')

    QuickBooksPeople(carry).make(Customer(id="cus_1", name="O'Hara \\ Sons"), "USD", "USD")
    assert "DisplayName = 'O\\'Hara \\\\ Sons' AND" in asked[0].body


def test_nothing_of_the_library_is_used_but_how_it_signs_in_and_sends() -> None:
    """Its objects forget SyncTokens, say floats and defaults, and mistype lines; its helpers for batches and changes,
    and its check of signatures, have traps of their own.
    """
    lines = [line for path in (ROOT / "sync").rglob("*.py") for line in path.read_text().splitlines()]
    used = {line.strip() for line in lines if re.match(r"\s*(from|import) (quickbooks|intuitlib)", line)}
    assert used == USED


def test_changes_are_asked_for_since_an_instant_of_a_certain_zone() -> None:
    """The library drops the offset, and QuickBooks would read our UTC as the company's own time."""
    *_, step = reading._start({"at": "2026-11-02T09:00:00-05:00"}, datetime(2026, 11, 2, 15, tzinfo=UTC))["steps"]
    assert step["do"] == "changes"
    assert datetime.fromisoformat(step["since"]) == datetime(2026, 11, 2, 13, 50, tzinfo=UTC)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (stripe.RateLimitError("slow down", http_status=429), Transient),  # its code is None, whatever the reason
        (stripe.APIError("broken", http_status=500), Transient),
        (stripe.APIError("conflict", http_status=409), Transient),
        (stripe.APIConnectionError("no line"), Transient),
        (stripe.AuthenticationError("no such key", http_status=401), Unauthorized),
        (stripe.PermissionError("not with this key", http_status=403), Forbidden),
        (stripe.InvalidRequestError("no such charge", "id", code="resource_missing", http_status=404), Rejected),
    ],
)
def test_each_error_of_stripe_has_its_meaning(error: stripe.StripeError, kind: type[Exception]) -> None:
    assert type(translate(error)) is kind


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (stripe.APIError("broken", http_status=500), Ambiguous),
        (stripe.APIError("another request with this key is under way", http_status=409), Ambiguous),
        (stripe.APIConnectionError("no line"), Ambiguous),
        (stripe.RateLimitError("slow down", http_status=429), Transient),
        (stripe.IdempotencyError("other parameters under this key", http_status=400), Rejected),
        (stripe.PermissionError("may only read", http_status=403), Rejected),
        (stripe.InvalidRequestError("no such invoice", "invoice", http_status=400), Rejected),
        (stripe.AuthenticationError("no such key", http_status=401), Unauthorized),
    ],
)
def test_each_error_of_a_write_says_whether_it_may_have_been_done(
    error: stripe.StripeError, kind: type[Exception]
) -> None:
    assert type(_meaning(error)) is kind


def test_events_come_oldest_first_however_many_pages_they_are() -> None:
    """Before an id, Stripe gives the page next to it, newest first within the page."""
    with open_bench() as bench:
        bench.customer()
        adapter = StripeProcessor(bench.client)
        pages = [adapter.events(adapter.latest_event(), bench.clock.now())]
        made = [bench.emulator.request("POST", "/v1/customers", {"name": str(number)})["id"] for number in range(130)]
        while not pages[1:] or pages[-1].more:
            pages.append(adapter.events(pages[-1].newest, bench.clock.now()))
    assert [len(page.hints) for page in pages] == [0, 100, 30]
    assert [hint.object_id for page in pages for hint in page.hints] == made


def test_a_credit_note_that_refunds_what_was_never_paid_through_stripe_went_back_outside() -> None:
    """Such a refund has no balance transaction: nobody would hear of it again."""
    refunds = [
        {"type": "refund", "refund": "re_1", "payment_record_refund": None, "amount_refunded": 1_000},
        {
            "type": "payment_record_refund",
            "refund": None,
            "payment_record_refund": {"payment_record": "pr_1", "refund_group": "x"},
            "amount_refunded": 2_000,
        },
    ]
    body = {"id": "cn_1", "created": 1, "currency": "usd", "invoice": "in_1", "status": "issued", "number": "CN-1"}
    body |= {"total": 4_500, "pre_payment_amount": 0, "post_payment_amount": 4_500, "out_of_band_amount": 500}
    found = credit_note(body | {"refunds": refunds})
    assert (found.credited_minor, found.outside_minor, found.refund_ids) == (1_000, 2_500, ("re_1",))


def test_an_object_of_stripe_becomes_plain_values_without_card_data() -> None:
    """It is no dict: `get` and `json.dumps` raise."""
    card = {"brand": "visa", "last4": "4242", "fingerprint": "secret", "exp_year": 2030}
    values = {"id": "ch_1", "object": "charge", "payment_method_details": {"type": "card", "card": card}}
    found = stripe.Charge.construct_from(values, "sk_test_x")
    with pytest.raises((TypeError, AttributeError)):
        json.dumps(found)
    body = plain(found)
    assert json.loads(json.dumps(body))["payment_method_details"]["card"] == {"brand": "visa", "last4": "4242"}
