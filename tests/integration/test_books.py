"""Reading the books: whatever change data capture leaves out, and whatever happens in the browser, is seen."""

from collections.abc import Callable
from typing import Any

import pytest

from emulators.qbo import api as emulated
from emulators.qbo.fault import stale
from storage import mirror
from sync.ports import Request
from sync.qbo import reading
from tests import laws
from tests.integration.conftest import Company, link

Body = dict[str, Any]
THROTTLED = {"Fault": {"Error": [{"Message": "ThrottleExceeded", "Detail": "wait", "code": "3001"}]}}
REFUSED = {"Fault": {"Error": [{"Message": "Unsupported Operation", "code": "500"}]}}


def documents(company: Company, kind: str) -> dict[str, Any]:
    with company.environment.database.read() as conn:
        return {each.ledger_id: each for each in mirror.load_all(conn, link(company).ledger_id, [kind])}


def edit(company: Company, number: int, customer: str) -> list[str]:
    """So many invoices, of which one is deleted and one voided; gives the two."""
    company.sync()
    made = [company.invoice(customer, 1_000 + n, f"INV-{n}") for n in range(number)]
    company.sync()
    company.qbo.delete("Invoice", made[1])
    company.qbo.void("Invoice", made[2])
    for n in range(number):
        company.invoice(customer, 2_000 + n, f"NEW-{n}")
    return [made[1]["Id"], made[2]["Id"]]


def check(company: Company, deleted: str, voided: str) -> None:
    """The mirror is what the books are."""
    found = documents(company, "invoice")
    assert set(found) == {body["Id"] for body in company.books("Invoice")}
    assert deleted not in found
    assert found[voided].voided
    laws.check(company.environment, company.stripe, company.qbo)


def test_a_full_window_of_changes_is_narrowed(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the limit nobody knows what is missing, a deletion for instance, which no page shows."""
    monkeypatch.setattr(emulated, "CDC_MAX", 8)
    monkeypatch.setattr(reading, "PAGE", 8)
    monkeypatch.setattr(reading, "IDS", 3)
    _, customer = company.customer()
    gone = edit(company, 9, customer)
    company.sync()
    check(company, *gone)


def without_a_part(body: Body) -> Body:
    body["CDCResponse"][0]["QueryResponse"] = [part for part in body["CDCResponse"][0]["QueryResponse"] if part][:-1]
    return body


def fault_inside(body: Body) -> Body:
    body["CDCResponse"][0]["QueryResponse"][0] = REFUSED
    return body


def throttled_inside(body: Body) -> Body:
    body["CDCResponse"][0]["QueryResponse"][-1] = THROTTLED
    return body


def in_two_answers(body: Body) -> Body:
    parts = body["CDCResponse"][0]["QueryResponse"]
    return body | {"CDCResponse": [{"QueryResponse": parts[:3]}, {"QueryResponse": parts[3:]}]}


def as_stubs(body: Body) -> Body:
    """Voided documents by their id only, as those deleted."""
    for part in body["CDCResponse"][0]["QueryResponse"]:
        part["Invoice"] = [
            {"Id": each["Id"], "status": "Voided", "MetaData": each["MetaData"]}
            if each.get("PrivateNote") == "Voided"
            else each
            for each in part.get("Invoice", [])
        ]
    return body


@pytest.mark.parametrize(
    ("spoil", "times"),
    [(without_a_part, 9), (fault_inside, 9), (throttled_inside, 1), (in_two_answers, 9), (as_stubs, 9)],
)
def test_an_answer_with_a_piece_missing_is_not_the_whole(
    company: Company, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Body], Body], times: int
) -> None:
    _, customer = company.customer()
    gone = edit(company, 4, customer)
    left, real = [times], company.qbo.api.changes

    def changes(params: Any) -> Body:
        left[0] -= 1
        return spoil(real(params)) if left[0] >= 0 else real(params)

    monkeypatch.setattr(company.qbo.api, "changes", changes)
    company.sync()
    assert left[0] < times
    check(company, *gone)


@pytest.mark.parametrize("touched", [True, False])
def test_a_merged_customer_is_followed(company: Company, touched: bool) -> None:
    """Its invoice is another's now, and so is what is paid of it."""
    company.qbo.switch(touch_merged=touched)
    stripe_customer, customer = company.customer()
    survivor = company.qbo.create("Customer", {"DisplayName": "Blue Foods (2)"})["Id"]
    invoice = company.invoice(customer, 10_000, "INV-1")
    company.sync()
    company.qbo.merge_customers(customer, survivor)
    company.pay(stripe_customer, 10_000, "Invoice INV-1")
    company.pass_time(minutes=1)
    company.sync()
    assert documents(company, "invoice")[invoice["Id"]].customer_id == survivor
    assert [payment["CustomerRef"]["value"] for payment in company.ours("Payment")] == [survivor]
    laws.check(company.environment, company.stripe, company.qbo)


def test_a_refund_goes_to_the_customer_its_payment_is_with_now(company: Company) -> None:
    stripe_customer, customer = company.customer()
    survivor = company.qbo.create("Customer", {"DisplayName": "Blue Foods (2)"})["Id"]
    company.invoice(customer, 10_000, "INV-1")
    intent = company.pay(stripe_customer, 10_000, "Invoice INV-1")
    company.pass_time(minutes=1)
    company.sync()
    company.qbo.merge_customers(customer, survivor)
    company.stripe.request("POST", "/v1/refunds", {"charge": intent["latest_charge"], "amount": 3_000})
    company.pass_time(minutes=1)
    company.sync()
    assert [receipt["CustomerRef"]["value"] for receipt in company.ours("RefundReceipt")] == [survivor]
    laws.check(company.environment, company.stripe, company.qbo)


def test_what_went_stale_is_read_and_decided_again_in_the_same_sync(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The books refuse a payment as resting on an old state: somebody has typed it in meanwhile."""
    stripe_customer, customer = company.customer()
    invoice = company.invoice(customer, 10_000, "INV-1")
    company.pay(stripe_customer, 10_000, "Invoice INV-1")
    company.pass_time(minutes=1)
    real, refused = company.qbo.api.operate, []

    def operate(entity: str, *rest: Any) -> Body:
        if entity == "Payment" and not refused:
            refused.append(entity)
            line = {"Amount": 100, "LinkedTxn": [{"TxnId": invoice["Id"], "TxnType": "Invoice"}]}
            real("Payment", "", {}, {"CustomerRef": {"value": customer}, "TotalAmt": 100, "Line": [line]})
            raise stale()
        return real(entity, *rest)

    monkeypatch.setattr(company.qbo.api, "operate", operate)
    company.sync()
    assert refused
    assert company.ours("Payment") == []
    laws.check(company.environment, company.stripe, company.qbo)


def test_an_answer_to_an_older_question_changes_nothing(company: Company) -> None:
    """A worker that slept past its lease brings what another one has long got."""
    company.customer()
    company.sync()
    environment, ledger_id = company.environment, link(company).ledger_id
    with environment.database.write() as conn:
        reading.ask(conn, ledger_id, environment.clock.now())
        asked = reading.next_request(conn, ledger_id)
        older = Request(kind="read", path="query", body="SELECT * FROM Item", purpose="read", deadline_s=120)
        reading.accept(conn, ledger_id, older, {"QueryResponse": {}}, environment.clock.now())
        assert reading.next_request(conn, ledger_id) == asked
