"""Intuit's OAuth client and python-quickbooks drive the stand-in over loopback HTTP, unchanged."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from intuitlib.client import AuthClient
from intuitlib.enums import Scopes
from intuitlib.exceptions import AuthClientError
from quickbooks import QuickBooks
from quickbooks.batch import batch_create
from quickbooks.cdc import change_data_capture
from quickbooks.exceptions import AuthorizationException, QuickbooksException, ValidationException
from quickbooks.objects import (
    Account,
    Customer,
    Deposit,
    Invoice,
    Item,
    JournalEntry,
    Payment,
    Preferences,
    Purchase,
    SalesReceipt,
    Transfer,
)

from emulators.clock import Clock, Rng
from emulators.qbo import QboEmulator
from emulators.server import serve
from emulators.store import Store
from tests.contract.qbo_company import (
    NOON,
    assert_contract,
    bank,
    customer,
    held_to_contract,
    new_company,
    ref,
    sale,
    sale_line,
)


@pytest.fixture
def books() -> Iterator[QboEmulator]:
    emulator = new_company()
    yield emulator
    emulator.close()


@pytest.fixture
def address(books: QboEmulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    with held_to_contract(books) as app, serve(app) as url:
        yield url


def auth_client(books: QboEmulator, address: str) -> Any:
    discovery = f"{address}/.well-known/openid_configuration"
    return AuthClient(books.client_id, books.client_secret, "http://localhost/callback", environment=discovery)


def connected(books: QboEmulator, address: str) -> Any:
    """A client that went through the whole consent, as a browser with a quick thumb would."""
    auth = auth_client(books, address)
    url = auth.get_authorization_url([Scopes.ACCOUNTING], state_token="state-1")
    back = requests.get(f"{url}&auto=1", allow_redirects=False, timeout=5).headers["location"]
    found = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
    assert found["state"] == "state-1"
    auth.get_bearer_token(found["code"], realm_id=found["realmId"])
    return auth


@pytest.fixture
def client(books: QboEmulator, address: str) -> Any:
    auth = connected(books, address)
    options = {"refresh_token": auth.refresh_token, "company_id": auth.realm_id, "minorversion": 75}
    quickbooks = QuickBooks(auth_client=auth, **options)
    quickbooks.api_url_v3 = f"{address}/v3"
    return quickbooks


# --- OAuth 2 ----------------------------------------------------------------------------------------------------------


def test_the_consent_page_connects_or_declines(books: QboEmulator, address: str) -> None:
    auth = auth_client(books, address)
    url = auth.get_authorization_url([Scopes.ACCOUNTING], state_token='"><script>')
    page = requests.get(url, timeout=5)
    assert "Connect" in page.text
    assert "<script>" not in page.text
    declined = requests.get(f"{url}&auto=1&deny=1", allow_redirects=False, timeout=5)
    assert "error=access_denied" in declined.headers["location"]
    assert requests.get(url.replace(books.client_id, "other"), timeout=5).status_code == 400


def test_a_code_works_once_and_a_refresh_token_rotates_after_a_day(books: QboEmulator, address: str) -> None:
    clock: Clock = books.clock
    auth = connected(books, address)
    first = auth.refresh_token
    assert (auth.expires_in, auth.x_refresh_token_expires_in) == (3600, 8726400)
    auth.refresh()
    assert auth.refresh_token == first
    clock.advance(timedelta(hours=25))
    auth.refresh()
    second = auth.refresh_token
    assert second != first
    with pytest.raises(AuthClientError) as caught:
        auth.refresh(refresh_token=first)
    assert (caught.value.status_code, b"invalid_grant" in caught.value.content) == (400, True)
    books.switch(rotate_always=True)
    auth.refresh()
    assert auth.refresh_token != second
    assert auth.revoke()
    with pytest.raises(AuthClientError):
        auth.refresh()
    with pytest.raises(AuthClientError):
        auth.get_bearer_token("no-such-code")


def test_the_hard_end_of_a_connection_is_told_on_request_and_kept(books: QboEmulator, address: str) -> None:
    basic = base64.b64encode(f"{books.client_id}:{books.client_secret}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "x-include-refresh-token-hard-expires-in": "true"}

    def refresh(token: str) -> requests.Response:
        form = {"grant_type": "refresh_token", "refresh_token": token}
        return requests.post(f"{address}/oauth2/v1/tokens/bearer", data=form, headers=headers, timeout=5)

    token = books.issue_tokens()["refresh_token"]
    clock: Clock = books.clock
    for _ in range(24):
        clock.advance(timedelta(days=80))
        answer = refresh(token)
        if answer.status_code != 200:
            break
        token = answer.json()["refresh_token"]
        left = answer.json()["x_refresh_token_hard_expires_in"]
    assert left < timedelta(days=80).total_seconds()
    headers["Authorization"] = "Basic wrong"
    assert refresh(token).json()["error"] == "invalid_client"


def test_an_expired_token_and_a_foreign_realm_are_stopped_at_the_gateway(books: QboEmulator, client: Any) -> None:
    client.company_id, own = "1234", client.company_id
    with pytest.raises(QuickbooksException) as caught:
        Customer.all(qb=client)
    assert "403" in str(caught.value.message)
    client.company_id = own
    clock: Clock = books.clock
    clock.advance(timedelta(hours=2))
    with pytest.raises(AuthorizationException) as refused:
        Customer.all(qb=client)
    body = json.loads(refused.value.detail)
    assert body["fault"]["error"][0]["code"] == "3200"


# --- documents --------------------------------------------------------------------------------------------------------


def made(kind: Any, client: Any, body: dict[str, Any], **options: Any) -> Any:
    return kind.from_json(body).save(qb=client, **options)


def test_objects_are_saved_read_changed_voided_and_deleted(books: QboEmulator, client: Any) -> None:
    ann = Customer()
    ann.DisplayName = "Ann"
    ann.save(qb=client)
    clearing = Account()
    clearing.Name, clearing.AccountType = "Stripe Clearing", "Bank"
    clearing.save(qb=client)
    invoice = made(Invoice, client, {"CustomerRef": ref(ann.Id), "Line": [sale_line(55.1)]})
    paid = {"Amount": 55.1, "LinkedTxn": [{"TxnId": invoice.Id, "TxnType": "Invoice"}]}
    body = {"CustomerRef": ref(ann.Id), "TotalAmt": 65.3, "Line": [paid], "DepositToAccountRef": ref(clearing.Id)}
    payment = made(Payment, client, body, request_id="charge-1")
    again = made(Payment, client, body, request_id="charge-1")
    with pytest.raises(QuickbooksException, match="used for another request"):  # ours: Intuit does not say what it does
        made(Payment, client, {**body, "TotalAmt": 1}, request_id="charge-1")
    kept = books.store.get("request", "charge-1")
    assert kept is not None
    books.store.put("request", "charge-1", kept["answer"], created=0)  # as a state of before holds it
    assert made(Payment, client, body, request_id="charge-1").Id == payment.Id
    assert (again.Id, again.TotalAmt, payment.UnappliedAmt) == (payment.Id, 65.3, 10.2)
    assert Invoice.get(int(invoice.Id), qb=client).Balance == 0
    assert Account.get(clearing.Id, qb=client).CurrentBalance == 65.3

    stale = Payment.get(payment.Id, qb=client)
    payment.PrivateNote = "ch_1"
    payment.save(qb=client)
    with pytest.raises(QuickbooksException) as caught:
        stale.save(qb=client)
    assert caught.value.error_code == 5010
    Payment.get(payment.Id, qb=client).void(qb=client)
    voided = Payment.get(payment.Id, qb=client)
    assert (voided.TotalAmt, voided.PrivateNote) == (0, "Voided")
    Invoice.get(invoice.Id, qb=client).void(qb=client)
    voided.delete(qb=client)
    with pytest.raises(QuickbooksException):
        Payment.get(payment.Id, qb=client)
    assert not any(books.trial_balance().values())
    assert_contract(books)


def test_every_kind_of_document_comes_from_the_client(books: QboEmulator, client: Any) -> None:
    ann = made(Customer, client, {"DisplayName": "Ann"}).Id
    clearing, fees = bank(books)["Id"], books.account("Bank Charges & Fees")["Id"]
    receipt = {"CustomerRef": ref(ann), "DepositToAccountRef": ref(clearing), "Line": [sale_line(100)]}
    made(SalesReceipt, client, receipt)
    detail = {"AccountBasedExpenseLineDetail": {"AccountRef": ref(fees)}}
    line = {"Amount": 3.2, "DetailType": "AccountBasedExpenseLineDetail", **detail}
    made(Purchase, client, {"PaymentType": "Cash", "AccountRef": ref(clearing), "Line": [line]})
    made(Transfer, client, {"FromAccountRef": ref(clearing), "ToAccountRef": ref("1"), "Amount": 50})
    line = {"Amount": 7, "DetailType": "DepositLineDetail", "DepositLineDetail": {"AccountRef": ref(fees)}}
    made(Deposit, client, {"DepositToAccountRef": ref(clearing), "Line": [line]})
    lines = [
        {"Amount": 5, "DetailType": "JournalEntryLineDetail"}
        | {"JournalEntryLineDetail": {"PostingType": side, "AccountRef": ref(account)}}
        for side, account in (("Debit", fees), ("Credit", clearing))
    ]
    made(JournalEntry, client, {"Line": lines})
    assert books.account_balance(clearing) == 10000 - 320 - 5000 + 700 - 500
    assert_contract(books)


def test_the_default_rate_of_the_library_books_a_foreign_invoice_at_one(books: QboEmulator, client: Any) -> None:
    """A trap of python-quickbooks that the product has to avoid: it sends ExchangeRate 1."""
    eva = made(Customer, client, {"DisplayName": "Eva", "CurrencyRef": ref("EUR")})
    body = {"CustomerRef": ref(eva.Id), "CurrencyRef": ref("EUR"), "Line": [sale_line(100)]}
    assert made(Invoice, client, body).HomeTotalAmt == 100
    assert books.create("Invoice", body)["HomeTotalAmt"] == 108.45


def test_queries_batches_and_change_lists(books: QboEmulator, client: Any) -> None:
    since = books.records.now()
    people = []
    for number in range(35):
        person = Customer()
        person.DisplayName = f"Customer {number:02}"
        people.append(person)
    result = batch_create([*people, Customer()], qb=client)
    assert (len(result.successes), len(result.faults)) == (35, 1)
    assert result.faults[0].Error[0].code == "2020"
    assert Customer.count(qb=client) == 35
    assert [person.Id for person in Customer.all(qb=client, start_position=31, max_results=10)][-1] == "35"
    assert Customer.filter(DisplayName="Customer 07", Active=True, qb=client)[0].Id == "8"
    assert len(Customer.choose(["1", "2"], qb=client)) == 2
    assert (
        Customer.where("Balance = '0' AND DisplayName LIKE '%3%'", order_by="DisplayName DESC", qb=client)[0].Id == "35"
    )
    assert Item.all(qb=client)[0].Name == "Services"
    assert Preferences.get(qb=client).CurrencyPrefs.MultiCurrencyEnabled is True
    with pytest.raises(ValidationException) as caught:
        Payment.where("DocNumber = 'x'", qb=client)
    assert caught.value.error_code == 4001
    changed = change_data_capture([Customer, Invoice], since, qb=client)
    assert len(changed.Customer) == 35
    assert not hasattr(changed, "Invoice")


def test_faults_throttling_and_the_answers_headers(books: QboEmulator, client: Any, address: str) -> None:
    company = f"{address}/v3/company/{books.realm_id}"
    headers = {"Authorization": f"Bearer {client.session.access_token}"}
    answer = requests.get(f"{company}/companyinfo/{books.realm_id}", headers=headers, timeout=5)
    assert answer.json()["CompanyInfo"]["CompanyName"] == "Acme Incorporated"
    assert answer.headers["intuit_tid"]
    assert "time" in answer.json()
    rate = requests.get(f"{company}/exchangerate?sourcecurrencycode=EUR", headers=headers, timeout=5).json()
    assert rate["ExchangeRate"]["Rate"] == 1.0845
    query = {"query": "select * from customer where displayname = 'x'", "format": "json"}
    assert requests.get(f"{company}/query", params=query, headers=headers, timeout=5).status_code == 400
    broken = requests.post(f"{company}/customer", data="{", headers=headers, timeout=5)
    assert (broken.status_code, broken.json()["Fault"]["Error"][0]["code"]) == (400, "2010")

    requests.post(f"{address}/_emulator/switches", json={"faults_as_200": True}, timeout=5)
    masked = requests.get(f"{company}/customer/99", headers=headers, timeout=5)
    assert (masked.status_code, masked.json()["Fault"]["type"]) == (200, "ValidationFault")
    requests.post(f"{address}/_emulator/switches", json={"throttle": True}, timeout=5)
    statuses = [requests.get(f"{company}/item/1", headers=headers, timeout=5).status_code for _ in range(11)]
    assert statuses == [200] * 10 + [429]
    requests.post(f"{address}/_emulator/switches", json={"throttle": False}, timeout=5)
    requests.post(f"{address}/_emulator/faults", json={"error_after": 1}, timeout=5)
    answer = requests.post(f"{company}/customer", json={"DisplayName": "Ann"}, headers=headers, timeout=5)
    assert (answer.status_code, answer.headers["intuit_tid"] != "") == (500, True)
    requests.post(f"{address}/_emulator/faults", json={"error_after": 0, "lost_answer": 1}, timeout=5)
    with pytest.raises(requests.ConnectionError):
        requests.post(f"{company}/customer", json={"DisplayName": "Bob"}, headers=headers, timeout=5)
    assert books.query("SELECT COUNT(*) FROM Customer") == {"totalCount": 2}


def test_amounts_survive_the_wire_as_numbers_without_noise(books: QboEmulator, client: Any) -> None:
    client.use_decimal = True
    ann = made(Customer, client, {"DisplayName": "Ann"})
    invoice = made(Invoice, client, {"CustomerRef": ref(ann.Id), "Line": [sale_line(Decimal("0.30"))]})  # type: ignore[arg-type]
    assert invoice.TotalAmt == Decimal("0.3")
    assert (
        books.create("Payment", {"CustomerRef": ref(ann.Id), "TotalAmt": Decimal("1234567.89")})["TotalAmt"]
        == 1234567.89
    )


def test_a_company_in_a_file_is_found_again(tmp_path: Path) -> None:
    file = str(tmp_path / "company.db")
    first = QboEmulator(Store(file), Clock(NOON), Rng(7))
    tokens, ann = first.issue_tokens(), customer(first)
    sale(first, "Invoice", ann, 10)
    before = first.trial_balance()
    first.store.close()
    second = QboEmulator(Store(file), Clock(NOON), Rng(7))
    assert second.trial_balance() == before
    assert second.oauth.valid(tokens["access_token"])
    assert second.issue_tokens()["access_token"] != tokens["access_token"]
    assert sale(second, "Invoice", ann, 10)["DocNumber"] == "1002"


# --- change notices ---------------------------------------------------------------------------------------------------


class Receiver:
    """An app's webhook endpoint that fails at first."""

    def __init__(self, failures: int) -> None:
        self.failures, self.got = failures, list[tuple[bytes, dict[str, str]]]()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.append((body, {name.lower(): value for name, value in self.headers.items()}))
                receiver.failures -= 1
                self.send_response(500 if receiver.failures >= 0 else 200)
                self.end_headers()

            def log_message(self, *_arguments: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hooks"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait(self, count: int) -> None:
        deadline = time.monotonic() + 5
        while len(self.got) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(self.got) == count


def test_change_notices_are_signed_cloud_events_and_repeated(books: QboEmulator, client: Any) -> None:
    receiver = Receiver(failures=1)
    books.webhooks.configure(receiver.url)
    ann = books.create("Customer", {"DisplayName": "Ann"})
    receiver.wait(1)
    clock: Clock = books.clock
    books.tick()
    assert len(receiver.got) == 1  # not due again yet
    clock.advance(timedelta(seconds=11))
    books.tick()
    receiver.wait(2)
    (first, _), (body, headers) = receiver.got
    assert client.validate_webhook_signature(body.decode(), headers["intuit-signature"], "tieout-verifier")
    assert json.loads(first) == json.loads(body)
    (event,) = json.loads(body)
    wanted = ("qbo.customer.created.v1", ann["Id"], books.realm_id)
    assert (event["type"], event["intuitentityid"], event["intuitaccountid"]) == wanted
    books.switch(legacy_webhooks=True)
    books.update("Customer", {**ann, "Notes": "x"})
    receiver.wait(3)
    notice = json.loads(receiver.got[2][0])["eventNotifications"][0]["dataChangeEvent"]["entities"][0]
    assert (notice["name"], notice["operation"], notice["id"]) == ("Customer", "Update", ann["Id"])
    receiver.server.shutdown()
    receiver.server.server_close()
