"""How the Stripe stand-in speaks: keys, errors, idempotency, pages, expansion, metadata; and faults on the wire."""

import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import stripe

from emulators.stripe.params import decode_form
from tests.contract.stripe_bench import Bench, open_bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    with open_bench() as opened:
        yield opened


def test_forms_with_brackets() -> None:
    form = "amount=1&metadata[a b]=x%26y&expand[0]=p&expand[1]=q&types[]=t&types[]=u&created[gte]=5&lines[0][tax][k]=v"
    assert decode_form(form) == {
        "amount": "1",
        "metadata": {"a b": "x&y"},
        "expand": ["p", "q"],
        "types": ["t", "u"],
        "created": {"gte": "5"},
        "lines": [{"tax": {"k": "v"}}],
    }


def test_keys_as_bearer_and_basic(bench: Bench) -> None:
    with pytest.raises(stripe.AuthenticationError, match="Invalid API Key provided: sk_test_"):
        bench.new_client("sk_test_wrong_key").v1.accounts.retrieve_current()
    assert bench.api.accounts.retrieve_current().settings.dashboard.timezone == "America/New_York"
    answer = requests.get(f"{bench.url}/v1/balance", auth=(bench.emulator.key, ""), timeout=5)
    assert answer.status_code == 200
    assert answer.headers["Request-Id"].startswith("req_")
    assert requests.get(f"{bench.url}/v1/balance", timeout=5).status_code == 401


def test_errors_are_typed(bench: Bench) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="No such charge: 'ch_no'") as missing:
        bench.api.charges.retrieve("ch_no")
    assert (missing.value.http_status, missing.value.code, missing.value.param) == (404, "resource_missing", "id")
    with pytest.raises(stripe.InvalidRequestError) as missing:
        bench.paid(customer="cus_no")
    assert (missing.value.http_status, missing.value.code, missing.value.param) == (400, "resource_missing", "customer")
    with pytest.raises(stripe.InvalidRequestError, match="unknown parameter: payment_method_types"):
        bench.paid(payment_method_types=["card"])
    with pytest.raises(stripe.CardError) as declined:
        bench.paid(method="pm_card_chargeDeclinedInsufficientFunds")
    assert (declined.value.code, declined.value.error.decline_code) == ("card_declined", "insufficient_funds")
    intent = bench.api.payment_intents.list().data[0]
    assert (intent.status, intent.last_payment_error.code) == ("requires_payment_method", "card_declined")
    assert bench.api.charges.list().data[0].status == "failed"
    assert "payment_intent.payment_failed" in bench.events()


def test_limits_and_conflicts_as_the_client_sees_them(bench: Bench) -> None:
    for code in ("rate_limit", "lock_timeout"):
        bench.control("next_errors", code=code)
        with pytest.raises(stripe.RateLimitError) as limited:
            bench.api.balance.retrieve()
        assert (limited.value.code, limited.value.error.code) == (None, code)
        assert "Stripe-Rate-Limited-Reason" in limited.value.headers
    bench.control("limits", requests_per_s=2)
    bench.wait(seconds=1)
    with pytest.raises(stripe.RateLimitError):
        [bench.api.balance.retrieve() for _ in range(3)]
    bench.wait(seconds=1)
    bench.api.balance.retrieve()
    bench.control("limits")
    bench.control("next_errors", code="rate_limit", should_retry=True)
    assert bench.new_client(retries=1).v1.balance.retrieve().object == "balance"
    bench.control("next_errors", code="conflict", times=2)
    sent = bench.recorder.sent
    assert bench.new_client(retries=2).v1.balance.retrieve().object == "balance"
    assert bench.recorder.sent == sent + 3


def test_an_idempotency_key_gives_the_first_answer_for_a_day(bench: Bench) -> None:
    key = {"idempotency_key": "qbo:1:invoice:7"}
    first = bench.api.customers.create({"name": "Ada"}, key)
    bench.api.customers.update(first.id, {"name": "Eve"})
    again = bench.api.customers.create({"name": "Ada"}, key)
    assert (again.id, again.name) == (first.id, "Ada")
    assert bench.recorder.headers["idempotent-replayed"] == "true"
    with pytest.raises(stripe.IdempotencyError):
        bench.api.customers.create({"name": "Bob"}, key)
    with pytest.raises(stripe.InvalidRequestError):
        bench.api.refunds.create({"charge": "ch_no"}, {"idempotency_key": "r"})
    charge = bench.paid().latest_charge
    assert bench.api.refunds.create({"charge": charge}, {"idempotency_key": "r"}).charge == charge
    for _ in range(2):
        with pytest.raises(stripe.CardError):
            bench.api.charges.create(
                {"amount": 500, "currency": "usd", "source": "tok_chargeDeclined"}, {"idempotency_key": "d"}
            )
    assert len(bench.api.charges.list().data) == 2
    bench.clock.advance(timedelta(hours=25))
    assert bench.api.customers.create({"name": "Ada"}, key).id != first.id


def test_lists_page_both_ways_and_by_time(bench: Bench) -> None:
    made = []
    for number in range(7):
        made.append(bench.customer(email=f"{number % 2}@example.com").id)
        bench.clock.advance(timedelta(seconds=number % 2))
    customers = bench.api.customers
    assert [each.id for each in customers.list({"limit": 2}).auto_paging_iter()] == made[::-1]
    before = customers.list({"limit": 2, "ending_before": made[0]})
    assert ([each.id for each in before.data], before.has_more) == ([made[2], made[1]], True)
    assert [each.id for each in before.auto_paging_iter()] == made[1:]
    assert [each.id for each in customers.list({"email": "1@example.com", "limit": 2}).auto_paging_iter()] == made[
        5::-2
    ]
    moment = customers.retrieve(made[4]).created
    assert [each.id for each in customers.list({"created": moment}).data] == [made[5], made[4]]
    ranged = customers.list({"created": {"gt": moment - 1, "lt": moment + 1}}).data
    assert {each.created for each in ranged} == {moment}
    assert made[4] in [each.id for each in ranged]
    with pytest.raises(stripe.InvalidRequestError):
        customers.list({"limit": 101})
    with pytest.raises(stripe.InvalidRequestError, match="No such customer"):
        customers.list({"starting_after": "cus_no"})


def test_events_by_type_and_age(bench: Bench) -> None:
    bench.customer()
    bench.paid()
    bench.wait(seconds=3)
    events = bench.api.events
    newest_first = [each.type for each in events.list({"types": ["charge.updated", "customer.created"]}).data]
    assert newest_first == ["charge.updated", "customer.created"]
    assert [each.type for each in events.list({"type": "charge.*"}).data] == ["charge.updated", "charge.succeeded"]
    first = events.list().data[-1]
    wanted = {"ending_before": first.id, "types": ["charge.updated", "charge.succeeded"], "limit": 1}
    assert [each.type for each in events.list(wanted).auto_paging_iter()] == ["charge.succeeded", "charge.updated"]
    assert first.api_version == "2026-10-28.endive"
    bench.clock.advance(timedelta(days=31))
    assert events.list({"types": ["customer.created"]}).data == []


def test_expansion_goes_four_levels_deep(bench: Bench) -> None:
    bench.paid(customer=bench.customer().id)
    bench.wait(seconds=3)
    listed = bench.api.charges.list({"expand": ["data.payment_intent.latest_charge.balance_transaction.source"]})
    charge = listed.data[0]
    assert charge.payment_intent.latest_charge.balance_transaction.source.id == charge.id
    for path in ("data.amount", "data.nothing", "customer", "data.payment_intent.latest_charge.customer.a.b"):
        with pytest.raises(stripe.InvalidRequestError):
            bench.api.charges.list({"expand": [path]})


def test_metadata_merges_and_has_limits(bench: Bench) -> None:
    customer = bench.customer(metadata={"a": "1", "b": "2"})
    update = bench.api.customers.update
    assert update(customer.id, {"metadata": {"b": "", "c": "3"}}).metadata.to_dict() == {"a": "1", "c": "3"}
    assert update(customer.id, {"metadata": ""}).metadata.to_dict() == {}
    too_much: list[dict[str, str]] = [{"k" * 41: "v"}, {"k": "v" * 501}, {f"k{each}": "v" for each in range(51)}]
    for metadata in too_much:
        with pytest.raises(stripe.InvalidRequestError):
            update(customer.id, {"metadata": metadata})
    assert bench.api.customers.delete(customer.id).deleted
    assert bench.api.customers.retrieve(customer.id).deleted


def raw(bench: Bench) -> bytes:
    """Everything that comes back on the socket for the creation of a customer."""
    address = urlsplit(bench.url)
    lines = (
        "POST /v1/customers HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {bench.emulator.key}",
        "Content-Length: 0",
    )
    head = "\r\n".join((*lines, "", ""))
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        connection.sendall(head.encode())
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    return answer


def test_faults_cut_the_line(bench: Bench) -> None:
    def switch(**faults: float) -> None:
        requests.post(f"{bench.url}/_emulator/faults", json=faults, timeout=5).raise_for_status()

    def customers() -> int:
        return len(bench.emulator.request("GET", "/v1/customers")["data"])

    switch(lost_answer=1)
    assert (raw(bench), customers()) == (b"", 1)
    switch(lost_answer=0, truncate=1)
    head, _, body = raw(bench).partition(b"\r\n\r\n")
    length = next(line for line in head.lower().splitlines() if line.startswith(b"content-length"))
    assert (head.split()[1], customers()) == (b"200", 2)
    assert 0 < len(body) < int(length.split()[1])
    switch(truncate=0, reset=1)
    with pytest.raises((ConnectionResetError, AssertionError)):
        assert raw(bench)
    switch(reset=0, error_after=1)
    with pytest.raises(stripe.APIError):
        bench.customer()
    switch(error_after=0, throttle=1)
    with pytest.raises(stripe.RateLimitError):
        bench.customer()
    switch(throttle=0)
    assert customers() == 3


def test_what_a_refused_request_did_is_undone(bench: Bench) -> None:
    """A request is whole or not at all, and what was due before it stays done."""
    bench.paid()
    bench.clock.advance(timedelta(seconds=5))
    values: dict[str, Any] = {"customer": "cus_no", "currency": "usd"}
    with pytest.raises(stripe.InvalidRequestError):
        bench.api.invoices.create(values)
    assert bench.movements()[0].amount == 10_000
