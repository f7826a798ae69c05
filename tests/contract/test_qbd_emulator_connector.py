"""The Web Connector of the stand-in, against a small service made here: checks, order of calls, answers, faults."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulators.clock import Clock, Rng
from emulators.qbd import CompanyFile, Faults, QwcError, WebConnector
from emulators.qbd.desk import Desk
from emulators.qbd.faults import FAULTS
from emulators.qbd.soap import ENVELOPE, NAMESPACE, Line
from emulators.server import serve
from tests.contract.qbd_file import NOON, customer, message, new_file, payment_xml, sale

PASSWORD = "correct horse"
QWC = """<?xml version="1.0"?>
<QBWCXML><AppName>Tieout</AppName><AppID></AppID><AppURL>{url}/qbwc</AppURL><AppDescription>Reconciliation</AppDescription>
<AppSupport>{url}/qbwc/support</AppSupport><UserName>qb-1</UserName>
<OwnerID>{{57F3B9B1-86F1-4FCC-B1EE-566DE1813D20}}</OwnerID><FileID>{{90A44FB5-33D9-4815-AC85-BC87A7E7D1EB}}</FileID>
<QBType>QBFS</QBType><Scheduler><RunEveryNMinutes>5</RunEveryNMinutes></Scheduler><IsReadOnly>false</IsReadOnly></QBWCXML>
"""
TEXT_XML = "text/xml; charset=utf-8"


@dataclass
class Service:
    """Sends its requests in order; remembers what it was told. `answer` replaces the answer of one operation."""

    requests: list[str] = field(default_factory=list)
    calls: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    login: tuple[str, ...] = ("ticket-1", "")
    progress: int | None = None
    errors: list[str] = field(default_factory=list)
    answer: dict[str, Callable[[], Response]] = field(default_factory=dict)
    url: str = ""

    async def soap(self, request: Request) -> Response:
        body = ElementTree.fromstring(await request.body())[0][0]
        operation = body.tag.removeprefix(f"{{{NAMESPACE}}}")
        assert request.headers["soapaction"] == f'"{NAMESPACE}{operation}"'
        self.calls.append((operation, {child.tag.partition("}")[2]: child.text or "" for child in body}))
        if operation in self.answer:
            return self.answer[operation]()
        return Response(wrap(operation, self._result(operation)), media_type=TEXT_XML)

    def _result(self, operation: str) -> str:
        if operation == "authenticate":
            return "".join(f"<string>{each}</string>" for each in self.login)
        if operation == "sendRequestXML":
            return escape(self.requests.pop(0)) if self.requests else ""
        if operation == "receiveResponseXML":
            return str((50 if self.requests else 100) if self.progress is None else self.progress)
        if operation == "getLastError":
            return self.errors.pop(0) if self.errors else ""
        return {"connectionError": "done", "closeConnection": "OK"}.get(operation, "")

    @property
    def order(self) -> list[str]:
        return [operation for operation, _ in self.calls]

    def told(self, operation: str) -> list[dict[str, str]]:
        return [arguments for each, arguments in self.calls if each == operation]


def wrap(operation: str, result: str) -> str:
    inner = f"<{operation}Result>{result}</{operation}Result>"
    inner = f'<{operation}Response xmlns="{NAMESPACE}">{inner}</{operation}Response>'
    head = '<?xml version="1.0" encoding="utf-8"?>'
    return f'{head}<soap:Envelope xmlns:soap="{ENVELOPE}"><soap:Body>{inner}</soap:Body></soap:Envelope>'


@contextmanager
def running(service: Service) -> Iterator[Service]:
    async def support(_: Request) -> Response:
        return Response("help")

    routes = [Route("/qbwc", service.soap, methods=["POST"]), Route("/qbwc/support", support)]
    with serve(Starlette(routes=routes)) as address:
        service.url = address.replace("127.0.0.1", "localhost")
        yield service


def connect(service: Service, file: CompanyFile, faults: Faults | None = None) -> WebConnector:
    sleeps: list[float] = []
    return WebConnector(QWC.format(url=service.url), file, password=PASSWORD, faults=faults, sleep=sleeps.append)


def a_payment(file: CompanyFile) -> str:
    ann = customer(file, "Ann")
    add = payment_xml(ann, sale(file, "Invoice", ann, "100.00"), "40.00")
    return message(add, 'newMessageSetID="s1" onError="stopOnError"')


BAD_QWC = {
    "no https": (
        1010, ("{url}/qbwc</AppURL>", "http://books.example/q</AppURL>"), ("{url}/qbwc/s", "http://books.example/s")
    ),
    "two hosts": (1000, ("{url}/qbwc</AppURL>", "https://books.example/qbwc</AppURL>")),
    "an address of numbers": (1001, ("{url}/qbwc</AppURL>", "https://10.0.0.1/qbwc</AppURL>")),
    "no FileID": (1039, ("<FileID>{{90A44FB5-33D9-4815-AC85-BC87A7E7D1EB}}</FileID>", "")),
    "a GUID without braces": (
        1039, ("{{57F3B9B1-86F1-4FCC-B1EE-566DE1813D20}}", "57F3B9B1-86F1-4FCC-B1EE-566DE1813D20")
    ),
    "an unknown element": (1039, ("<QBType>", "<Password>x</Password><QBType>")),
    "not XML": (1039, ("</QBWCXML>", "")),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_QWC)
def test_a_bad_qwc_file_is_refused_with_its_code(case: str) -> None:
    code, *changes = BAD_QWC[case]
    text = QWC
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    with pytest.raises(QwcError) as refusal:
        WebConnector(text.format(url="http://localhost:1"), new_file(), password=PASSWORD)
    assert refusal.value.code == code


def test_a_session_in_the_order_of_the_guide() -> None:
    file = new_file()
    with running(Service()) as service:
        service.requests = [a_payment(file), message("<InvoiceQueryRq/>")]
        connector = connect(service, file)
        run = connector.run_once()
    assert (run.outcome, run.requests, run.progress, run.closed_with) == ("done", 2, [50, 100], "OK")
    twice = ["sendRequestXML", "receiveResponseXML"] * 2
    assert service.order == ["serverVersion", "clientVersion", "authenticate", *twice, "closeConnection"]
    first, second = service.told("sendRequestXML")
    assert "{90A44FB5-33D9-4815-AC85-BC87A7E7D1EB}" in first["strHCPResponse"]
    assert (second["strHCPResponse"], second["qbXMLMajorVers"]) == ("", "13")
    assert first["strCompanyFileName"] == file.path
    assert len(file.all("ReceivePayment")) == 1
    assert PASSWORD not in "\n".join(connector.log)


@pytest.mark.parametrize("word", ["nvu", "none", "busy"])
def test_no_work_and_no_login_end_the_session_at_once(word: str) -> None:
    with running(Service(login=("ticket-1", word))) as service:
        assert connect(service, new_file()).run_once().outcome == word
    assert service.order[-1] == "authenticate"


def test_the_service_may_postpone_raise_the_interval_and_name_the_file() -> None:
    clock = Clock(NOON)
    file = new_file(clock)
    with running(Service(login=("ticket-1", "none", "", "1800"))) as service:
        connector = connect(service, file)
        assert connector.run_due() is not None
        clock.advance(timedelta(minutes=6))
        assert connector.run_due() is not None
        clock.advance(timedelta(minutes=29))
        assert connector.run_due() is None
        service.login = ("ticket-1", r"C:\other.qbw")
        run = connector.run_once()
    assert (run.outcome, service.told("connectionError")[0]["hresult"]) == ("stopped", "0x8004040A")


def test_an_empty_request_asks_for_the_last_error() -> None:
    file = new_file()
    with running(Service(errors=["NoOp", "The books are not ready."])) as service:
        run = connect(service, file).run_once()
    assert (run.outcome, run.why) == ("stopped", "The books are not ready.")
    assert service.order[3:] == ["sendRequestXML", "getLastError"] * 2 + ["closeConnection"]


def test_a_malformed_request_and_a_negative_answer() -> None:
    with running(Service(requests=["<QBXML/>"], progress=-1, errors=["It failed."])) as service:
        run = connect(service, new_file()).run_once()
    assert (run.outcome, run.why) == ("stopped", "It failed.")
    (told,) = service.told("receiveResponseXML")
    assert (told["response"], told["hresult"]) == ("", "0x80040400")


def spoiled(body: str, media_type: str = TEXT_XML, status: int = 200) -> Callable[[], Response]:
    return lambda: Response(body, status, {"content-type": media_type, "location": "/elsewhere"})


LOGIN = wrap("authenticate", "<string>t</string><string>none</string>")
FAULT = LOGIN.replace(
    "<authenticateResponse", "<soap:Fault><faultstring>no</faultstring></soap:Fault><authenticateResponse"
)
SPOILED = {
    "another namespace": (LOGIN.replace(NAMESPACE, NAMESPACE[:-1]), TEXT_XML, 200, "QBWC1012"),
    "nothing in it": (wrap("authenticate", ""), TEXT_XML, 200, "QBWC1012"),
    "JSON": (LOGIN, "application/json", 200, "content type"),
    "a blank line first": ("\n" + LOGIN, TEXT_XML, 200, "not well-formed"),
    "a redirect": (LOGIN, TEXT_XML, 307, "HTTP status 307"),
    "an HTML error": ("<html/>", "text/html", 500, "HTTP status 500"),
    "a SOAP fault": (FAULT, TEXT_XML, 500, "no"),
}  # fmt: skip


@pytest.mark.parametrize("case", SPOILED)
def test_answers_the_dotnet_client_does_not_take(case: str) -> None:
    body, media_type, code, why = SPOILED[case]
    with running(Service()) as service:
        service.answer["authenticate"] = spoiled(body, media_type, code)
        run = connect(service, new_file()).run_once()
    assert run.outcome == "error"
    assert why in run.why


# What each fault leaves: payments in the file, deliveries the service saw, whether the session was closed.
AFTER = {
    "crash_before": (0, 0, False), "crash_after": (1, 0, False), "answer_lost_inside": (1, 0, False),
    "error_before": (0, 1, True), "error_after": (1, 1, True), "response_twice": (1, 2, True),
    "reply_lost": (1, 1, False), "request_lost": (0, 0, False), "restore": (0, 0, False), "truncate": (1, 1, True),
    "huge": (1, 1, True), "busy": (0, 1, True), "restart_before": (0, 0, True), "restart_after": (1, 0, True),
}  # fmt: skip


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_each_fault_leaves_what_it_says(fault: str) -> None:
    file = new_file()
    with running(Service()) as service:
        service.requests = [a_payment(file)]
        run = connect(service, file, Faults(Rng(1), script=[fault])).run_once()
    payments, deliveries, closed = AFTER[fault]
    seen = (len(file.all("ReceivePayment")), len(service.told("receiveResponseXML")), run.closed_with is not None)
    assert seen == (payments, deliveries, closed)
    assert sum(file.trial_balance().values()) == 0
    if fault.startswith("restart"):
        assert service.order.count("authenticate") == 2
    if fault == "huge":
        assert len(service.told("receiveResponseXML")[0]["response"]) > 10_000_000


def test_between_sessions_people_do_what_they_do() -> None:
    file, other = new_file(), new_file(name="Another LLC")
    with running(Service()) as service:
        service.requests = [a_payment(file)]
        faults = Faults(Rng(1), {"no_close": 1.0})
        connector = connect(service, file, faults)
        connector.other_file = other
        run = connector.run_once()
        assert (run.outcome, service.order[-1]) == ("crashed", "receiveResponseXML")
        for fault, memos in (("user_edits", ["ch_1 checked"]), ("user_deletes", [])):
            faults.heal()
            faults.set({fault: 1.0})
            connector.run_once()
            assert [each["Memo"] for each in file.all("ReceivePayment")] == memos
        faults.heal()
        faults.set({"swap": 1.0})
        connector.run_once()
    swapped = service.told("sendRequestXML")[-1]
    assert swapped["strCompanyFileName"] == other.path
    assert "Another LLC" in swapped["strHCPResponse"]
    assert "{90A44FB5" not in swapped["strHCPResponse"]


def test_a_desk_takes_a_qwc_file_updates_and_remembers_it() -> None:
    file = new_file()
    with running(Service(login=("ticket-1", "none"))) as service, serve(Desk(file).app) as desk:

        def post(what: str, **body: str | bool) -> tuple[int, bytes]:
            line = Line().post(f"{desk}/_emulator/{what}", json.dumps(body).encode(), {})
            return line.status, line.body

        assert post("applications", qwc=QWC.format(url="http://books.example"), password=PASSWORD)[0] == 400
        assert post("applications", qwc=QWC.format(url=service.url), password=PASSWORD)[0] == 200
        (run,) = json.loads(post("update")[1])
        assert run["outcome"] == "none"
        assert PASSWORD.encode() not in Line().get(f"{desk}/_emulator/log").body
        assert post("faults", flood=True)[0] == 400
        again = Desk(file)
        with again.running(0.01):
            deadline = time.monotonic() + 10
            while service.order.count("authenticate") < 2 and time.monotonic() < deadline:
                time.sleep(0.01)
        assert service.order.count("authenticate") == 2
        assert post("quickbooks", running=False)[1] == b'{"running":false,"dialog":false}'
        service.login = ("ticket-1", "")
        assert again.update(all_now=True)[0].outcome == "stopped"
    assert service.told("connectionError")[0]["hresult"] == "0x80040416"


def test_the_same_seed_gives_the_same_faults() -> None:
    switches = dict.fromkeys(FAULTS, 0.1)
    drawn = [[faults.draw() for _ in range(50)] for faults in (Faults(Rng(3), switches), Faults(Rng(3), switches))]
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) > 3
    with pytest.raises(ValueError, match="Unknown fault flood"):
        Faults(Rng(1), {"flood": 1.0})
