"""The Web Connector's visits: the eight operations, on what the ledger port asks next.

A visit begins with `authenticate` and is known by its ticket, of which only the hash is kept. One at a time a company
file: whoever comes while another is under way is told that it is busy, until that one has been silent for too long.
What a visit carries is in the database before it is given out. See docs/decisions/0013-desktop.md.
"""

import hashlib
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from reconcile.records import Company
from storage import audit, connections, mirror, runs, web_connectors
from storage.web_connectors import WebConnector
from sync import passwords
from sync.environment import Environment
from sync.errors import SyncError
from sync.ports import Part, Request, Response
from sync.qbd import faults, qwc, records
from sync.qbd.adapter import LEASE_S, QuickBooksDesktop
from sync.qbd.markup import MarkupError
from sync.qbd.qbxml import VERSION, Answer, answers, message, text_of, value
from sync.qbd.reading import PURPOSE as PAGE
from sync.qbd.soap import Result

SILENCE = timedelta(seconds=120)  # after which a visit is over, unless it has taken something along
SILENCE_READING = timedelta(seconds=300)
SILENCE_WRITING = timedelta(seconds=LEASE_S)
WAITS_MAX = 18  # of five seconds each, for matching to decide on what was read
DONE, MORE = 100, 50  # percent; the Web Connector asks on below a hundred
END = "end"  # the purpose of a question whose answer nobody needs
ACTOR = "web connector"

log = logging.getLogger(__name__)


class Visits:
    """What the Web Connector calls. Every answer is one it understands; what went wrong is told by getLastError."""

    def __init__(self, environment: Environment) -> None:
        self._environment, self._database, self._clock = environment, environment.database, environment.clock

    def call(self, operation: str, given: Mapping[str, str]) -> Result:
        match operation:
            case "serverVersion":
                return "Tieout"
            case "clientVersion":
                return ""
            case "authenticate":
                return self._authenticate(given["strUserName"], given["strPassword"])
            case "sendRequestXML":
                return self._send(given)
            case "receiveResponseXML":
                return self._receive(given)
            case "connectionError":
                return self._fail_to_connect(given)
            case "getLastError":
                return self._last_error(given["ticket"])
            case _:
                return self._close(given["ticket"])

    # ---- beginning

    def _authenticate(self, user_name: str, password: str) -> list[str]:
        with self._database.read() as conn:
            known = web_connectors.by_user_name(conn, user_name)
        stored = known.password_hash if known else passwords.NOBODY
        if not passwords.fits(password, stored) or known is None:
            self._clock.sleep(1)
            return ["", "nvu"]
        ticket, now = self._environment.rng.token(32), self._clock.now()
        with self._database.write() as conn:
            present = web_connectors.hold(conn, known.connection_id)
            state = connections.connection(conn, present.connection_id).state
            if _is_live(present, now):
                return ["", "busy"]
            if present.paused or state != "ready":
                web_connectors.change(conn, present.connection_id, seen_at=now)
                return ["", "none"]
            fresh = {"checked": False, "wrote": False, "waits": 0, "in_flight": None, "message": ""}
            web_connectors.change(conn, present.connection_id, visit=_visit(ticket), seen_at=now, **fresh)
        return [ticket, "", "", str(60 * known.interval_minutes)]

    # ---- asking

    def _send(self, given: Mapping[str, str]) -> str:
        """The next request; nothing if there is none, whose reason getLastError gives."""
        connector = self._touch(given["ticket"])
        if connector is None:
            return ""
        if not connector.checked:
            problem = self._check_file(connector, given)
            if problem:
                return self._refuse(connector, problem)
        ledger = self._ledger(str(connector.visit))
        if not connector.checked or connector.in_flight is not None:
            # A visit begins, or it asks again: nobody answers any more what was given out before.
            self._change(connector, checked=True, in_flight=None)
            ledger.begin(connector.connection_id)
        if connector.paused:
            return self._refuse(connector, "Stopped in Tieout, as somebody asked there.", is_problem=False)
        request = ledger.next_request(connector.connection_id)
        if request is None and self._waits(connector):
            return self._say(connector, "NoOp")
        if request is None and ledger.has_writes(connector.connection_id):
            return self._say(connector, "What is left waits in Tieout.")
        # Only the answer to a request ends a visit well.
        request = request or Request(
            kind="read", path="qbxml", body=message("HostQuery", [], request_id="end"), purpose=END
        )
        in_flight = {
            "purpose": request.purpose,
            "kind": request.kind,
            "parts": [[part.outbox_id, part.attempt] for part in request.parts],
        }
        self._change(connector, in_flight=in_flight, seen_at=self._clock.now(), message="")
        return request.body

    def _check_file(self, connector: WebConnector, given: Mapping[str, str]) -> str | None:
        """Why this company file must not be touched; None if it is ours. Notes what the company says of itself."""
        try:
            version = (int(given["qbXMLMajorVers"] or 0), int(given["qbXMLMinorVers"] or 0))
            found = answers(given["strHCPResponse"])
            company_file = next(iter(found["CompanyQuery"].objects))
        except (ValueError, KeyError, StopIteration, MarkupError):
            return "QuickBooks did not say which company file is open. Open it in QuickBooks, then update again."
        if version < VERSION:
            return "This QuickBooks is older than 2014 and cannot be used with Tieout."
        with self._database.read() as conn:
            connection = connections.connection(conn, connector.connection_id)
        if _file_id(company_file) != connection.external_id.lower():
            return (
                "Another company file is open in QuickBooks than the one this connection was made for. Nothing was "
                "read or written. Open the right one, then update again."
            )
        self._note_company(connector, found, company_file, given["qbXMLCountry"])
        return None

    def _note_company(
        self, connector: WebConnector, found: Mapping[str, Answer], company_file: Any, country: str
    ) -> None:
        preferences = next(iter(found["PreferencesQuery"].objects), None) if "PreferencesQuery" in found else None
        name, now = value(company_file, "CompanyName") or "QuickBooks Desktop company", self._clock.now()
        with self._database.write() as conn:
            position = mirror.cursor(conn, connector.connection_id, "reading") or {}
            company: Company = records.company(preferences, name, country, position.get("currencies", {}))
            raw = "" if preferences is None else text_of(preferences)
            mirror.store(
                conn, connector.connection_id, [("company", "company", company, raw)], at=now, actor="quickbooks"
            )
            connections.rename(conn, connector.connection_id, name)

    # ---- answering

    def _receive(self, given: Mapping[str, str]) -> int:
        connector = self._touch(given["ticket"])
        if connector is None:
            return -1
        ledger = self._ledger(str(connector.visit))
        carried = connector.in_flight
        if carried is not None:
            self._change(connector, in_flight=None, wrote=connector.wrote or carried["kind"] == "write")
            try:
                if carried["purpose"] != END:
                    ledger.accept_response(connector.connection_id, _request(carried), _response(given))
            except SyncError as error:
                log.warning("web connector: %s %s", error.plain, error.technical)
                self._refuse(connector, error.plain)
                return -1
        if ledger.is_reading(connector.connection_id):
            return MORE
        if carried is not None and carried["purpose"] == PAGE:  # the last one
            self._ask_to_decide(connector.connection_id)
        return self._progress(connector, ledger)

    def _progress(self, connector: WebConnector, ledger: QuickBooksDesktop) -> int:
        """Whether there is more to ask; once everything is written, the books are read again to see it there."""
        connection_id = connector.connection_id
        if ledger.has_writes(connection_id):
            return MORE
        with self._database.read() as conn:
            wrote = web_connectors.of(conn, connection_id).wrote
        if wrote:
            self._change(connector, wrote=False)
            ledger.request_read(connection_id)
            return MORE
        if self._waits(connector, count=False):
            return MORE
        self._change(connector, message="", problem=None, problem_at=None)
        return DONE

    def _ask_to_decide(self, connection_id: int) -> None:
        """The books were read to their end: a sync reads Stripe and decides on both."""
        with self._database.write() as conn:
            for link in connections.all_links(conn):
                if link.ledger_id == connection_id and not runs.queued(conn, link.id):
                    runs.enqueue(conn, link_id=link.id, kind="sync", cause=ACTOR, scheduled_for=self._clock.now())

    def _waits(self, connector: WebConnector, *, count: bool = True) -> bool:
        """Whether matching is still at work on what was read. It is waited for, but not for ever."""
        with self._database.write() as conn:
            links = [each for each in connections.all_links(conn) if each.ledger_id == connector.connection_id]
            present = web_connectors.of(conn, connector.connection_id)
            if present.waits >= WAITS_MAX or not any(runs.waiting(conn, link.id) for link in links):
                return False
            if count:
                web_connectors.change(conn, connector.connection_id, waits=present.waits + 1)
        return True

    # ---- ending

    def _fail_to_connect(self, given: Mapping[str, str]) -> str:
        connector = self._touch(given["ticket"])
        if connector is not None:
            self._refuse(connector, faults.of_call(given["hresult"], given["message"]))
        return "done"

    def _last_error(self, ticket: str) -> str:
        connector = self._touch(ticket)
        if connector is None:
            return "This visit is over in Tieout. Update again."
        return connector.message or "Everything is up to date."

    def _close(self, ticket: str) -> str:
        connector = self._touch(ticket)
        if connector is None:
            return "This visit was over already."
        self._change(connector, visit=None, in_flight=None)
        return connector.problem or "Done. What happened is in Tieout."

    # ---- parts

    def _touch(self, ticket: str) -> WebConnector | None:
        """The visit of a ticket, which has just been heard of; None if there is none such."""
        now = self._clock.now()
        with self._database.write() as conn:
            found = web_connectors.by_visit(conn, _visit(ticket))
            if found is not None:
                web_connectors.change(conn, found.connection_id, seen_at=now)
        return found

    def _change(self, connector: WebConnector, **values: Any) -> None:
        with self._database.write() as conn:
            web_connectors.change_visit(conn, str(connector.visit), **values)

    def _say(self, connector: WebConnector, text: str) -> str:
        self._change(connector, message=text)
        return ""

    def _refuse(self, connector: WebConnector, plain: str, *, is_problem: bool = True) -> str:
        """Nothing more is asked in this visit, and a person sees why."""
        now = self._clock.now()
        values = {"problem": plain, "problem_at": now} if is_problem else {}
        with self._database.write() as conn:
            if web_connectors.change_visit(conn, str(connector.visit), message=plain, **values) and is_problem:
                subject = f"connection {connector.connection_id}"
                entry = audit.Entry(actor=ACTOR, action="visit failed", subject=subject, detail={"problem": plain})
                audit.append(conn, now, [entry])
        return ""

    def _ledger(self, visit: str) -> QuickBooksDesktop:
        return QuickBooksDesktop(self._database, self._clock, self._environment.rng, visit)


def _visit(ticket: str) -> str:
    return hashlib.sha256(ticket.encode()).hexdigest()[:32]


def _is_live(connector: WebConnector, now: datetime) -> bool:
    """Whether a visit is under way. QuickBooks may work long on what it was given."""
    if connector.visit is None or connector.seen_at is None:
        return False
    patience = SILENCE
    if connector.in_flight is not None:
        patience = SILENCE_WRITING if connector.in_flight["kind"] == "write" else SILENCE_READING
    return now < connector.seen_at + patience


def _file_id(company_file: Any) -> str | None:
    """What the Web Connector wrote into the company file when the .qwc was opened there."""
    for each in company_file.findall("DataExtRet"):
        if value(each, "DataExtName") == "FileID" and (value(each, "OwnerID") or "").lower() == qwc.OWNER_ID.lower():
            return (value(each, "DataExtValue") or "").lower()
    return None


def _request(carried: Mapping[str, Any]) -> Request:
    """As it was given out; its bytes are in the outbox, or do no harm."""
    parts = tuple(Part(outbox_id, attempt) for outbox_id, attempt in carried["parts"])
    return Request(kind=carried["kind"], path="qbxml", purpose=carried["purpose"], parts=parts)


def _response(given: Mapping[str, str]) -> Response:
    if given["hresult"].strip():
        return Response(status=500, body="", lost=f"{given['hresult'].strip()} {given['message']}")
    return Response(status=200, body=given["response"])
