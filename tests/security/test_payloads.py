"""Malformed payloads of every kind: only errors with a name, no bad row, and what is good beside them goes on.

20,000 in every run, a million by `make soak`; the same ones each time, and each is made again from its number.
"""

import base64
import hashlib
import hmac
import io
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import stripe
from openpyxl import Workbook
from sqlalchemy import select

from emulators.clock import Clock, Rng
from emulators.store import Store
from emulators.stripe.emulator import StripeEmulator
from storage import audit, connections, fold
from storage.engine import Database
from storage.models import inbox
from storage.models import mirror as mirror_table
from storage.records import from_json, record_type
from sync import web
from sync.clock import FixedClock, SeededRng, SystemClock
from sync.deciding import decide
from sync.errors import SyncError
from sync.files import importing
from sync.files.table import FileError
from sync.ports import Hint, Response
from sync.reader import Reader, receive
from sync.stripe.adapter import STREAMS, StripeProcessor
from sync.stripe.again import SERVICES
from tests import factories
from tests.contract.ledger_benches import Bench, open_bench
from tests.security.payloads import chance, damaged, spoiled, spoiled_xml, text_of

NOW = datetime.fromisoformat("2026-11-20T17:00:00+00:00")
SECRET = "whsec_test"
FIGURE_MAX = 10**15
# Stripe's library parses a page as a whole and makes texts of some fields decimals: what it cannot, no item survives.
UNPARSED, HYDRATION = (b"[" * 100, b"9" * 100), ("InvalidOperation", "ValueError")
EVENTS, NOTICES, LISTED, BOOKS, FILES = 10_600, 7_100, 1_500, 250, 300  # 20,000 with both kinds of books
HARDER = [pytest.param(1, id="20000"), pytest.param(50, id="1000000", marks=pytest.mark.soak)]


def spoil(body: Any, draw: Any) -> bytes:
    """Half of them keep their form and lie, half are damaged."""
    if draw.randrange(4):
        return text_of(spoiled(body, draw)).encode("utf-8", "surrogatepass")
    return damaged(json.dumps(body).encode(), draw)


# ---- genuine ones


@pytest.fixture(scope="module")
def objects() -> dict[str, list[dict[str, Any]]]:
    """Stripe's lists, with something of everything in them; and its events."""
    clock = Clock(NOW - timedelta(days=20))
    there = StripeEmulator(Store(), clock, Rng(1))
    customer = there.request("POST", "/v1/customers", {"name": "Blue Foods", "email": "ap@blue.example"})["id"]
    common = {"currency": "usd", "customer": customer, "payment_method": "pm_card_visa", "confirm": True}
    paid = [
        there.request("POST", "/v1/payment_intents", common | {"amount": amount}) for amount in (10_000, 2_500, 700)
    ]
    terms = {"customer": customer, "collection_method": "charge_automatically"}
    draft = there.request("POST", "/v1/invoices", terms)["id"]
    lines = {"lines": [{"amount": 5_000, "description": "Plan"}, {"amount": 900, "description": "More"}]}
    there.request("POST", f"/v1/invoices/{draft}/add_lines", lines)
    there.request("POST", f"/v1/invoices/{draft}/pay", {"payment_method": "pm_card_visa"})
    there.request("POST", "/v1/credit_notes", {"invoice": draft, "amount": 900, "refund_amount": 900})
    there.request("POST", "/v1/refunds", {"charge": paid[0]["latest_charge"], "amount": 3_000})
    from emulators.stripe import controls

    controls.use(there, "disputes", {"charge": paid[1]["latest_charge"]})
    for _ in range(40):
        clock.advance(timedelta(hours=6))
        there.tick()
    found = {name: there.request("GET", f"/v1/{name}", {"limit": 3})["data"] for name in (*SERVICES.values(), "events")}
    assert all(found.values()), found.keys()
    return found


# ---- where it goes


def link_of(database: Database) -> factories.Seeded:
    return factories.seed_link(database, NOW)


def check_rows(database: Database) -> int:
    """Every row is of the types its kind has, its figures can be added up, and digests and chain are right."""
    with database.read() as conn:
        rows = conn.execute(select(mirror_table.c.kind, mirror_table.c.record)).all()
        assert fold.verify(conn) == []
        assert audit.verify(conn) == []
    for row in rows:
        from_json(row.record, record_type(row.kind))
        assert all(abs(figure) <= FIGURE_MAX for figure in figures(row.record))
    return len(rows)


def figures(value: Any) -> Iterator[int]:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from figures(part)
    else:
        assert isinstance(value, int), value
        yield value


def check_hints(hints: list[Hint]) -> None:
    for hint in hints:
        texts = (hint.event_id, hint.kind, hint.object_id, hint.type)
        assert all(isinstance(text, str) and len(text) <= 500 and "\0" not in text for text in texts), hint
        assert hint.event_id
        for instant in (hint.occurred_at, hint.object_created_at or hint.occurred_at):
            assert instant.tzinfo is not None


# ---- webhooks


@pytest.mark.parametrize("times", HARDER)
def test_stripe_s_events(sqlite_database: Database, objects: dict[str, Any], times: int) -> None:
    seeded, genuine = link_of(sqlite_database), objects["events"]
    taken, now = list[Hint](), SystemClock().now()  # the library looks at the clock by itself
    for number in range(EVENTS * times):
        draw = chance("event", number)
        body = spoil(draw.choice(genuine), draw)
        signed = stripe.WebhookSignature.generate_signature_header(
            body.decode("utf-8", "replace"), SECRET, int(now.timestamp())
        )
        asked: Any = SimpleNamespace(headers={"stripe-signature": signed})
        try:
            hints = web._stripe_hints(asked, body, SECRET, now, "")
        except web.Refusal:
            continue
        check_hints(hints)
        taken += hints
    store_all(sqlite_database, seeded.processor_id, taken)
    assert len(taken) > 500 * times, "most that is changed in an event is nothing we look at"


@pytest.mark.parametrize("times", HARDER)
def test_quickbooks_notices(sqlite_database: Database, times: int) -> None:
    seeded, taken = link_of(sqlite_database), list[Hint]()
    cloud = {"specversion": "1.0", "id": "88cd", "type": "qbo.invoice.updated.v1", "time": "2026-09-10T21:31:25.17Z",
             "intuitentityid": "1234", "intuitaccountid": "9341453000", "data": {}}  # fmt: skip
    entity = {"id": "7", "operation": "Update", "name": "Invoice", "lastUpdated": "2026-09-10T21:31:25Z"}
    told = {"eventNotifications": [{"realmId": "9341453000", "dataChangeEvent": {"entities": [entity, entity]}}]}
    for number in range(NOTICES * times):
        draw = chance("notice", number)
        body = spoil(draw.choice(([cloud, cloud], told)), draw)
        signature = base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha256).digest()).decode()
        asked: Any = SimpleNamespace(headers={"intuit-signature": signature})
        try:
            hints = web._quickbooks_hints(asked, body, SECRET, NOW, "9341453000")
        except web.Refusal:
            continue
        check_hints(hints)
        taken += hints
    store_all(sqlite_database, seeded.ledger_id, taken)
    assert len(taken) > 500 * times


def store_all(database: Database, connection_id: int, hints: list[Hint]) -> None:
    with database.write() as conn:
        for start in range(0, len(hints), 500):
            receive(conn, connection_id, hints[start : start + 500], channel="webhook", at=NOW)
    with database.read() as conn:
        stored = set(conn.execute(select(inbox.c.event_id)).scalars())
    assert stored == {hint.event_id for hint in hints}


# ---- Stripe's lists


class Canned(stripe.RequestsClient):
    """Answers with what it was given."""

    answer = b""

    def request(self, method: str, url: str, headers: Any, post_data: Any = None) -> Any:
        return self.answer, 200, {}


@pytest.mark.parametrize("times", HARDER)
def test_stripe_s_objects(sqlite_database: Database, objects: dict[str, Any], times: int) -> None:
    """Three in a list, one of them spoiled: the other two are read."""
    seeded, clock, canned = link_of(sqlite_database), FixedClock(NOW), Canned()
    processor = StripeProcessor(stripe.StripeClient("sk_test_1", http_client=canned, max_network_retries=0))
    with sqlite_database.read() as conn:
        link = connections.link(conn, seeded.link_id)
    reader = Reader(sqlite_database, clock, SeededRng(1), processor, link)
    waiting, refused, read = list[Any](), 0, 0
    for number in range(LISTED * times):
        draw = chance("listing", number)
        stream = draw.choice(STREAMS)
        genuine = objects[SERVICES[stream]]
        bodies = [dict(genuine[place % len(genuine)], id=f"{stream}_{place}") for place in range(3)]
        place = draw.randrange(3)
        bodies[place]["id"] = f"{stream}_of_{number}"
        whole = draw.randrange(5) == 0
        if whole:
            canned.answer = spoil({"object": "list", "data": bodies, "has_more": False, "url": "/"}, draw)
        else:
            texts = [text_of(spoiled(body, draw) if place == at else body) for at, body in enumerate(bodies)]
            canned.answer = f'{{"object":"list","data":[{",".join(texts)}],"has_more":false}}'.encode(
                "utf-8", "replace"
            )
        try:
            page = processor.page(stream, NOW, None) if draw.randrange(2) else processor.window(stream, NOW, NOW, None)
        except SyncError as error:
            refused += 1
            if not whole and error.technical not in HYDRATION and not any(each in canned.answer for each in UNPARSED):
                raise AssertionError(number) from error
            continue
        if not whole:
            good = {f"{stream}_{at}" for at in range(3) if at != place}
            assert good <= {one.id for one in page.objects if one.record is not None}, canned.answer[:3_000]
        read += len(page.objects)
        waiting += page.objects
        if len(waiting) >= 400:
            with sqlite_database.write() as conn:
                reader.keep(conn, waiting, NOW)
            waiting = []
    assert check_rows(sqlite_database) > 40
    with sqlite_database.write() as conn:
        connections.change_link(conn, seeded.link_id, openings=())
    decide(sqlite_database, clock, seeded.link_id)  # what is stored does not keep the rest from being decided
    assert refused < read / 5


# ---- the books


@pytest.mark.parametrize("times", HARDER)
@pytest.mark.parametrize("system", ["qbo", "qbd"])
def test_what_the_books_answer(tmp_path: Path, system: str, times: int) -> None:
    """To questions and to writes. Once they answer well again everything is read, and each document there once."""
    with open_bench(system, tmp_path) as bench:
        postings, told, number = [bench.posting()], 0, 0
        bench.plan(*postings)
        ledger = bench.books.new_ledger(bench.database, bench.connection_id)
        while told < BOOKS * times:
            number += 1
            draw = chance(system, number)
            request = ledger.next_request(bench.connection_id)
            if request is None:
                bench.pass_time(ledger.next_due_s(bench.connection_id) or 700)
                bench._decide()
                if draw.randrange(3) == 0 and len(postings) < 40 * times:
                    postings.append(bench.posting())
                    bench.plan(postings[-1])
                ledger = bench.books.new_ledger(bench.database, bench.connection_id)
                continue
            response = bench.books.carry(request)
            if draw.randrange(4):
                response, told = spoiled_answer(system, response, draw), told + 1
            try:
                ledger.accept_response(bench.connection_id, request, response)
            except SyncError:
                open_again(bench)
                ledger = bench.books.new_ledger(bench.database, bench.connection_id)
        for _ in range(8):
            open_again(bench)
            bench.pass_time(800)
            bench.run()
        check_rows(bench.database)
        waits = 0
        for posting in postings:
            state = bench.item(posting).state
            there = len(bench.books.marked(posting.marker))
            assert (state, there) in (("verified", 1), ("posted", 1), ("waiting", 1), ("waiting", 0)), posting.marker
            waits += state == "waiting"
        assert waits < len(postings) / 2


def open_again(bench: Bench) -> None:
    """A person connects again, after an answer that seemed to say that the access has ended."""
    with bench.database.write() as conn:
        connections.set_state(conn, bench.connection_id, "ready", None, bench.clock.now())


def spoiled_answer(system: str, response: Response, draw: Any) -> Response:
    if response.lost is not None or not response.body or draw.randrange(4) == 0:
        body = damaged(response.body.encode(), draw).decode("utf-8", "replace")
    elif system == "qbd":
        body = spoiled_xml(response.body, draw)
    else:
        body = text_of(spoiled(json.loads(response.body), draw))
    return Response(status=draw.choice((200, 200, 200, response.status, 400, 500)), body=body, lost=response.lost)


# ---- uploaded files


@pytest.mark.parametrize("times", HARDER)
def test_uploaded_files(database: Database, times: int) -> None:
    csv = b"".join(Path("docs/examples/payout_reconciliation.csv").read_bytes().splitlines(keepends=True)[:8])
    answers, taken = importing.Answers(company="Blue Foods", currency="USD", time_zone="America/New_York"), 0
    excel = workbook(csv)
    for number in range(FILES * times):
        draw = chance("file", number)
        content = damaged(excel if draw.randrange(4) == 0 else csv, draw)
        try:
            importing.import_file(database, NOW, "test", "payout_reconciliation", content, answers)
        except FileError:
            continue
        taken += 1
    assert check_rows(database) > 5
    assert taken > 30 * times


def workbook(csv: bytes) -> bytes:
    book, out = Workbook(), io.BytesIO()
    for line in csv.decode().splitlines():
        book.active.append(line.split(","))
    book.save(out)
    return out.getvalue()
