"""The Web Connector: reads a .qwc file, asks the web service for requests and carries QuickBooks' answers back."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from emulators.clock import Rng
from emulators.qbd import extensions
from emulators.qbd.faults import BUSY_WRITES, HUGE_BYTES, Faults
from emulators.qbd.file import CompanyFile
from emulators.qbd.processor import Session
from emulators.qbd.qwc import Qwc, QwcError, parse
from emulators.qbd.refusals import Failed, Refused
from emulators.qbd.soap import Line, SoapClient, WebException
from emulators.store import Store

VERSION = "2.3.0.215"
COUNTRY, MAJOR, MINOR = "US", 13, 0
CONNECTION_ERRORS_MAX = 5
NO_OP_WAIT_S, NO_OPS_MAX = 5.0, 20
FLOOR_S = 60


class Stopped(Exception):  # noqa: N818 - not an error: how a session ends
    """The session ends; whether closeConnection is still sent."""

    def __init__(self, why: str, *, closes: bool) -> None:
        super().__init__(why)
        self.why, self.closes = why, closes


class Restarted(Exception):  # noqa: N818 - not an error: how a session ends
    """The Web Connector comes up again at once and authenticates anew."""


@dataclass
class Run:
    """How one update went. `outcome`: done, none, nvu, busy, postponed, stopped, crashed, error."""

    outcome: str = "done"
    why: str = ""
    requests: int = 0
    progress: list[int] = field(default_factory=list)
    closed_with: str | None = None


class WebConnector:
    """One application added to one PC's Web Connector. `log` reads like QWCLog.txt; it never holds the password.

    `other_file` is what the fault "swap" finds open in QuickBooks.
    """

    def __init__(
        self, qwc: str, file: CompanyFile, *, password: str, faults: Faults | None = None, line: Line | None = None,
        version: str = VERSION, auto_run: bool = True, sleep: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        self.qwc: Qwc = parse(qwc)
        self.file, self.password, self.version, self.auto_run, self.sleep = file, password, version, auto_run, sleep
        self.faults = faults or Faults(Rng("none"))
        self.line = line or Line()
        self.service = SoapClient(self.qwc.app_url, self.line)
        self.log: list[str] = []
        self.is_added, self.is_running = False, False
        self.interval_s, self.floor_s = self.qwc.interval_s, FLOOR_S
        self.next_run_at = 0
        self._ticket = ""
        self.other_file: CompanyFile | None = None
        self._open = file
        self._backup: Store | None = None

    # --- adding the application ---

    def add_application(self) -> None:
        """What happens when the user opens the .qwc file. Raises QwcError."""
        try:
            reply = self.line.get(self.qwc.support_url)
        except WebException as error:
            raise QwcError(1004, f"{self.qwc.support_url} cannot be reached: {error}") from None
        if reply.status not in (200, 202):  # of 400 and above .NET throws, as of no answer at all
            code = 1004 if reply.status >= 400 else 1003
            raise QwcError(code, f"{self.qwc.support_url} answers {reply.status}")
        self._mark_file(self.file)
        self.is_added = True
        self._note(f"{self.qwc.app_name} added")

    def _mark_file(self, file: CompanyFile) -> None:
        """The FileID is stored in the company file under the application's OwnerID; CompanyRet shows it."""
        stored = extensions.shown(file.company, extensions.COMPANY, [self.qwc.owner_id])
        known = {each["DataExtValue"] for each in stored if each["DataExtName"] == "FileID"}
        if known - {self.qwc.file_id}:
            raise QwcError(1026, f"The company file belongs to another connection of this application: {known}")
        if known:
            return
        head = {"OwnerID": self.qwc.owner_id, "DataExtName": "FileID"}
        definition = {"DataExtType": "STR255TYPE", "AssignToObject": [extensions.COMPANY]}
        extensions.define(file.company, head | definition)
        value = {"OtherDataExtType": extensions.COMPANY, "DataExtValue": self.qwc.file_id}
        extensions.write(file.company, head | value, is_new=True)

    # --- updating ---

    def run_due(self) -> Run | None:
        """What the schedule does now, if it is time."""
        now = self.file.pc.clock.timestamp()
        if not self.auto_run or self.interval_s is None or now < self.next_run_at:
            return None
        self.next_run_at = now + max(self.interval_s, self.floor_s)
        return self.run_once()

    def run_once(self) -> Run:
        """One update, as when the user presses Update Selected."""
        if self.is_running:
            return Run("stopped", "an update is running")
        if not self.is_added:
            self.add_application()
        self.is_running = True
        try:
            while True:
                run = Run()
                try:
                    self._run(run)
                    return run
                except Restarted:
                    self._note("the Web Connector was restarted")
                except WebException as error:
                    self._note(f"exception: {error}")
                    run.outcome, run.why = "error", str(error)
                    return run
        finally:
            self.is_running = False

    def _run(self, run: Run) -> None:
        self._befall()
        self._backup = self._open.backup() if self._may_restore() else None
        self._call("serverVersion")
        if not self._accepts_version(run) or not self._authenticate(run):
            return
        session: Session | None = None
        try:
            session = self._begin()
            self._exchange(session, run)
        except Stopped as stop:
            run.outcome, run.why = "stopped" if stop.closes else "crashed", stop.why
            self._note(stop.why)
            if not stop.closes:
                return
        finally:
            if session is not None:
                session.end()
        if self.faults.befalls("no_close"):
            run.outcome, run.why = "crashed", "closeConnection was not sent"
            return
        closed_with = self._call("closeConnection", self._ticket)
        run.closed_with = str(closed_with)

    def _befall(self) -> None:
        """What somebody did at the PC since the last session."""
        swapped = self.other_file is not None and self.faults.befalls("swap")
        self._open = self.other_file if swapped and self.other_file else self.file
        newest = self.file.store.find("ReceivePayment", limit=1)
        with suppress(Refused):  # a deposited payment stays as it is
            if newest and self.faults.befalls("user_edits"):
                self.file.edit("ReceivePayment", newest[0]["TxnID"], Memo=f"{newest[0].get('Memo', '')} checked")
            if newest and self.faults.befalls("user_deletes"):
                self.file.delete("ReceivePayment", newest[0]["TxnID"])

    def _may_restore(self) -> bool:
        return bool(self.faults.switches["restore"]) or "restore" in self.faults.script

    def _accepts_version(self, run: Run) -> bool:
        verdict = str(self._call("clientVersion", self.version) or "")
        if verdict.startswith(("E:", "O:")):
            run.outcome, run.why = "stopped", verdict
            return False
        if verdict.startswith("W:"):
            self._note(f"warning: {verdict[2:]}")
        return True

    def _authenticate(self, run: Run) -> bool:
        answer = self._call("authenticate", self.qwc.user_name, self.password)
        if not isinstance(answer, list) or len(answer) < 2:
            raise WebException("QBWC1012: Authentication failed. Index was outside the bounds of the array.")
        if answer[0] is None or answer[1] is None:
            raise WebException("QBWC1012: Object reference not set to an instance of an object.")
        self._ticket, self._path = answer[0], answer[1]
        if len(answer) > 3 and answer[3] and self.auto_run:
            self.floor_s = max(FLOOR_S, int(answer[3]))
        if len(answer) > 2 and answer[2] and self.auto_run:
            self.next_run_at = self.file.pc.clock.timestamp() + int(answer[2])
            run.outcome, run.why = "postponed", "Update postponed by application"
            return False
        if self._path in ("none", "nvu", "busy"):
            run.outcome = self._path
            return False
        return True

    def _begin(self) -> Session:
        """OpenConnection and BeginSession; on an error the service may name another file, a few times."""
        path = self._path
        for _ in range(CONNECTION_ERRORS_MAX):
            try:
                return self._open.begin_session(self.qwc.app_name, path)
            except Failed as failure:
                answer = self._call("connectionError", self._ticket, failure.hresult, failure.text)
                if answer is None or answer == "done":
                    raise Stopped(f"QuickBooks cannot be reached: {failure.text}", closes=True) from None
                path = str(answer)
        raise Stopped("QuickBooks cannot be reached", closes=True)

    # --- one exchange after the other ---

    def _exchange(self, session: Session, run: Run) -> None:
        told, idle = self._about(session), 0
        while True:
            fault = self.faults.draw()
            request = self._call("sendRequestXML", self._ticket, told, self._open.path, COUNTRY, MAJOR, MINOR)
            told = ""
            if fault == "request_lost":
                raise Stopped("The operation has timed out", closes=False)
            if not request:
                idle += 1
                self._ask_why(idle)
                continue
            run.requests += 1
            progress = self._carry(session, str(request), fault)
            run.progress.append(progress)
            if progress < 0:
                raise Stopped(str(self._call("getLastError", self._ticket)), closes=True)
            if progress >= 100:
                return

    def _about(self, session: Session) -> str:
        """The answers about host, company and preferences, which the first call brings."""
        owner = f"<OwnerID>{self.qwc.owner_id}</OwnerID>"
        asked = f"<HostQueryRq/><CompanyQueryRq>{owner}</CompanyQueryRq><PreferencesQueryRq/>"
        head = '<?xml version="1.0"?><?qbxml version="13.0"?>'
        return session.process(f'{head}<QBXML><QBXMLMsgsRq onError="continueOnError">{asked}</QBXMLMsgsRq></QBXML>')

    def _ask_why(self, times: int) -> None:
        """No request: the service says why. "NoOp" means: ask again in a while."""
        why = str(self._call("getLastError", self._ticket) or "")
        if why != "NoOp" or times > NO_OPS_MAX:
            raise Stopped(why, closes=True)
        self.sleep(NO_OP_WAIT_S)

    def _carry(self, session: Session, request: str, fault: str) -> int:
        """QuickBooks does it, the service hears of it; gives the progress it answers."""
        if fault == "crash_before":
            raise Stopped("the PC stopped", closes=False)
        if fault == "restart_before":
            raise Restarted
        if fault == "busy":
            self._open.company.records.busy_writes += BUSY_WRITES
        response, hresult, message = "", "", ""
        try:
            if fault == "error_before":
                raise Failed("0x80040402", "There was an unexpected error.")
            response = session.process(request)
            if fault == "error_after":
                raise Failed("0x80040402", "There was an unexpected error.")
        except Failed as failure:
            response, hresult, message = "", failure.hresult, failure.text
        self._after(session, request, fault)
        return self._deliver(_mangled(response, fault), hresult, message, fault)

    def _after(self, session: Session, request: str, fault: str) -> None:
        if fault == "answer_lost_inside":
            session.sets.forget_answer(request)
        if fault == "restore" and self._backup is not None:
            self._open.restore(self._backup)
        if fault in ("crash_after", "answer_lost_inside", "restore"):
            raise Stopped("the PC stopped", closes=False)
        if fault == "restart_after":
            raise Restarted

    def _deliver(self, response: str, hresult: str, message: str, fault: str) -> int:
        arguments = ("receiveResponseXML", self._ticket, response, hresult, message)
        progress = self._call(*arguments)
        if fault == "response_twice":
            progress = self._call(*arguments)
        if fault == "reply_lost":
            raise Stopped("The underlying connection was closed", closes=False)
        assert isinstance(progress, int)
        return progress

    def _call(self, operation: str, *arguments: str | int | None) -> str | int | list[str | None] | None:
        answer = self.service.call(operation, *arguments)
        shown = ["***" if argument == self.password else str(argument)[:200] for argument in arguments]
        self._note(f"{operation}({', '.join(shown)}) -> {str(answer)[:200]}")
        return answer

    def _note(self, text: str) -> None:
        self.log.append(f"{self.file.pc.now():%Y%m%d.%H:%M:%S} : QBWebConnector : {text}")


def _mangled(response: str, fault: str) -> str:
    if fault == "truncate":
        return response[: len(response) // 2]
    if fault == "huge" and response:
        return response.replace("<QBXML>", "<QBXML>" + " " * HUGE_BYTES, 1)
    return response
