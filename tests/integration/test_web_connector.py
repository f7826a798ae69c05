"""The SOAP service, driven by a client that is not ours (zeep), generated from the WSDL as .NET's would be."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import zeep

from emulators.server import serve
from storage import users, web_connectors
from storage.engine import Database
from storage.vault import open_vault
from sync import desktop, mapping, setup
from sync.clock import FixedClock, SystemRng
from sync.environment import Environment
from sync.errors import Rejected
from sync.qbd import qwc, visits
from sync.web import hooks_app


@dataclass
class Service:
    environment: Environment
    address: str
    client: Any  # zeep's proxy
    sign_in: desktop.SignIn

    def begin(self, password: str | None = None) -> tuple[str, str]:
        answer = self.client.authenticate(self.sign_in.user_name, password or self.sign_in.password)
        return answer[0], answer[1]

    def ask(self, ticket: str, about: str = "", version: int = 13) -> str:
        return self.client.sendRequestXML(ticket, about, "C:\\Larkspur.qbw", "US", version, 0) or ""

    def connector(self) -> web_connectors.WebConnector:
        with self.environment.database.read() as conn:
            return web_connectors.of(conn, self.sign_in.connection_id)

    def file_id(self) -> str:
        text = desktop.qwc_file(self.environment, self.sign_in.connection_id, self.address).decode()
        return re.findall("<FileID>(.*)</FileID>", text)[0]


@pytest.fixture
def service(sqlite_database: Database, tmp_path: Path) -> Iterator[Service]:
    environment = Environment(
        data_dir=tmp_path,
        demo=True,
        database=sqlite_database,
        vault=open_vault(tmp_path),
        clock=FixedClock(),
        rng=SystemRng(),
    )
    sign_in = desktop.connect_desktop(environment, "Larkspur", "emulated")
    with ExitStack() as stack:
        address = stack.enter_context(serve(hooks_app(environment)))
        yield Service(environment, address, zeep.Client(f"{address}/qbwc?wsdl").service, sign_in)


def about(file_id: str) -> str:
    """What the Web Connector tells of the company file with the first call of a visit."""
    extension = (
        f"<DataExtRet><OwnerID>{qwc.OWNER_ID}</OwnerID><DataExtName>FileID</DataExtName>"
        f"<DataExtType>STR255TYPE</DataExtType><DataExtValue>{file_id}</DataExtValue></DataExtRet>"
    )
    company = f"<CompanyRet><CompanyName>Larkspur Studio</CompanyName>{extension}</CompanyRet>"
    answer = f'<CompanyQueryRs statusCode="0">{company}</CompanyQueryRs>'
    return f'<?xml version="1.0" ?><QBXML><QBXMLMsgsRs>{answer}</QBXMLMsgsRs></QBXML>'


def nothing_found(request: str) -> str:
    kind, request_id = re.findall(r'<(\w+)Rq requestID="([^"]+)"', request)[0]
    return (
        f'<?xml version="1.0" ?><QBXML><QBXMLMsgsRs><{kind}Rs requestID="{request_id}" statusCode="1" '
        f'statusSeverity="Info" statusMessage="Nothing found"/></QBXMLMsgsRs></QBXML>'
    )


def test_zeep_completes_a_visit(service: Service) -> None:
    assert service.client.serverVersion() == "Tieout"
    assert not service.client.clientVersion("2.3.0.215")
    ticket, company_file = service.begin()
    assert (len(ticket), company_file) == (32, None)
    request, progress, asked = service.ask(ticket, about(service.file_id())), 0, []
    while progress < 100:
        asked.append(re.findall(r"<(\w+)Rq requestID", request)[0])
        progress = service.client.receiveResponseXML(ticket, nothing_found(request), "", "")
        request = service.ask(ticket) if progress < 100 else ""
    assert asked[:3] == ["AccountQuery", "CustomerQuery", "VendorQuery"]
    assert asked[-2:] == ["TxnDeletedQuery", "ListDeletedQuery"]
    assert service.client.getLastError(ticket) == "Everything is up to date."
    assert service.client.closeConnection(ticket).startswith("Done.")
    assert service.ask(ticket) == ""
    assert service.connector().problem is None


def test_who_may_come_in(service: Service) -> None:
    assert service.begin("wrong") == (None, "nvu")
    assert service.client.authenticate("nobody", service.sign_in.password)[1] == "nvu"
    new = desktop.new_password(service.environment, service.sign_in.connection_id, actor="ann")
    assert service.begin()[1] == "nvu"
    assert service.begin(new.password)[1] is None
    assert new.password not in service.connector().password_hash


def test_one_visit_at_a_time(service: Service) -> None:
    """A second PC is busy until the first has been silent for long, which is longer while a write is on its way."""
    ticket, _ = service.begin()
    assert service.begin()[1] == "busy"
    service.ask(ticket, about(service.file_id()))
    service.environment.clock.sleep(visits.SILENCE.total_seconds() + 1)
    assert service.begin()[1] == "busy"
    service.environment.clock.sleep(visits.SILENCE_READING.total_seconds())
    other, state = service.begin()
    assert state is None
    assert service.ask(ticket) == ""
    assert service.client.receiveResponseXML(ticket, "", "", "") == -1
    assert "AccountQuery" in service.ask(other, about(service.file_id()))


@pytest.mark.parametrize("told", ["", about("{00000000-0000-0000-0000-000000000000}"), "<QBXML>"])
def test_another_company_file_is_left_alone(service: Service, told: str) -> None:
    ticket, _ = service.begin()
    assert service.ask(ticket, told) == ""
    assert "company file" in service.client.getLastError(ticket)
    assert service.connector().problem


def test_an_old_quickbooks_is_refused(service: Service) -> None:
    ticket, _ = service.begin()
    assert service.ask(ticket, about(service.file_id()), version=12) == ""
    assert "older than 2014" in service.client.getLastError(ticket)


def test_a_stop_is_heard_before_the_next_request(service: Service) -> None:
    ticket, _ = service.begin()
    request = service.ask(ticket, about(service.file_id()))
    desktop.pause(service.environment, service.sign_in.connection_id, paused=True, actor="ann")
    assert service.client.receiveResponseXML(ticket, nothing_found(request), "", "") < 100
    assert service.ask(ticket) == ""
    assert "Stopped" in service.client.getLastError(ticket)
    service.client.closeConnection(ticket)
    assert service.begin()[1] == "none"


def test_quickbooks_cannot_be_reached(service: Service) -> None:
    ticket, _ = service.begin()
    assert service.client.connectionError(ticket, "0x80040416", "not running") == "done"
    assert "not running" in str(service.connector().problem)


def test_answers_have_the_form_that_dotnet_reads(service: Service) -> None:
    headers = {"Content-Type": "text/xml; charset=utf-8", "Accept-Encoding": "gzip"}
    for body, status in ((b"<a/>", 500), (b"not xml", 500), (b"<a>" + b" " * 16_000_001, 413)):
        answer = requests.post(f"{service.address}/qbwc", data=body, headers=headers, allow_redirects=False, timeout=30)
        assert answer.status_code == status
        assert answer.headers["Content-Type"] == "text/xml; charset=utf-8"
        assert "Content-Encoding" not in answer.headers
        assert b"Fault" in answer.content
    support = requests.get(f"{service.address}/qbwc/support", allow_redirects=False, timeout=30)
    assert support.status_code == 200


def test_the_qwc_file_is_one_a_web_connector_takes(service: Service) -> None:
    for base, host in ((service.address, "localhost"), ("https://tieout.example.com/books/", "tieout.example.com")):
        text = desktop.qwc_file(service.environment, service.sign_in.connection_id, base).decode()
        assert f"//{host}" in text
        assert service.sign_in.password not in text
    for refused in ("http://tieout.example.com", "https://10.0.0.7"):
        with pytest.raises(Exception, match="TIEOUT_URL"):
            desktop.qwc_file(service.environment, service.sign_in.connection_id, refused)


def test_a_company_file_that_was_disconnected_is_left_alone_until_a_new_password_is_made(service: Service) -> None:
    environment, connection_id = service.environment, service.sign_in.connection_id
    with environment.database.write() as conn:
        user_id = users.ensure_user(conn, email="ann@example.com", name="Ann", role="admin")
    ann = users.User(id=user_id, email="ann@example.com", name="Ann", role="admin")
    assert setup.disconnect(environment, ann, connection_id)
    assert service.begin()[1] == "none"
    new = setup.new_desktop_password(environment, ann, connection_id)
    assert service.begin()[1] == "nvu"
    assert service.begin(new.password)[1] is None
    with pytest.raises(Rejected, match="Update Selected"):
        mapping.read_lists(environment, connection_id)
