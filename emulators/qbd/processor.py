"""The request processor: takes qbXML, does what it says, answers qbXML. A session is one BeginSession to EndSession."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from emulators.qbd import extensions, lists, query, transactions
from emulators.qbd.company import Company
from emulators.qbd.iterators import Iterators
from emulators.qbd.message_sets import MessageSets, Recovery
from emulators.qbd.records import TRANSACTIONS
from emulators.qbd.refusals import Failed, Refused, gone, malformed, no_match
from emulators.qbd.schema import read, write
from emulators.qbd.shapes import ADDS, QUERIES, REMOVALS, REQUESTS
from emulators.qbd.show import show
from emulators.store import Body

PROLOGUE = re.compile(r'\s*(?:<\?xml[^>]*\?>)?\s*<\?qbxml\s+version\s*=\s*"(\w*\d+\.\d+)"\s*\?>')
VERSIONS = ("12.0", "13.0")
SET_ATTRIBUTES = {"onError", "newMessageSetID", "oldMessageSetID", "responseData"}
ITERATING = {f"{name}Query" for name in ("Customer", "Vendor", "Item", "ItemService", "ItemSalesTax", *TRANSACTIONS)}
REQUEST_ID_MAX = 50

# Sees each message that comes in or goes out; a test holds them to Intuit's schemas. Raises to complain.
Inspector = Callable[[str], None]


@dataclass
class Answer:
    """The answer to one request."""

    rets: list[Element]
    attributes: dict[str, str]


class Session:
    """One application at work. Iterators live as long as it does."""

    def __init__(self, company: Company, application: str, inspect: Inspector | None = None) -> None:
        self.company, self.inspect = company, inspect
        self.sets = MessageSets(company.records.store, application, company.switches)
        self.iterators = Iterators(company.records.pc.clock, company.switches)
        self.is_open = True

    def end(self) -> None:
        self.is_open = False
        self.iterators.clear()

    def process(self, text: str) -> str:
        """Raises `Failed` when the message set is not even looked at; then nothing was done."""
        if not self.is_open:
            raise Failed("0x8004040C", "The session is not open.")
        message_set = _parse(text)
        if self.inspect:
            self.inspect(text)
        with self.company.records.store.transaction():
            answer = self._answer(message_set, text)
        if self.inspect:
            self.inspect(answer)
        return answer

    def _answer(self, message_set: Element, text: str) -> str:
        new, old = message_set.get("newMessageSetID"), message_set.get("oldMessageSetID")
        known = self.sets.look_up(new, old, text, is_empty=len(message_set) == 0)
        if isinstance(known, Recovery):
            return known.text or _text(_set_element(new, known.status))
        answers = _set_element(new, 0 if new else None)
        for request in message_set:
            answer = self._one(request)
            if message_set.get("responseData") == "includeNone":
                for child in list(answer):
                    answer.remove(child)
            answers.append(answer)
            if answer.get("statusSeverity") == "Error" and message_set.get("onError") == "stopOnError":
                break
        shown = _text(answers)
        if new:
            self.sets.keep(new, text, shown)
        return shown

    def _one(self, request: Element) -> Element:
        name = str(request.tag).removesuffix("Rq")
        answer = Element(f"{name}Rs")
        if request.get("requestID") is not None:
            answer.set("requestID", request.get("requestID", ""))
        try:
            if len(request.get("requestID", "")) > REQUEST_ID_MAX:
                raise Refused(1060, "The request ID is invalid.")
            with self.company.records.store.part():
                done = self._do(name, request)
        except Refused as refusal:
            _set_status(answer, refusal.code, refusal.severity, refusal.text)
            if isinstance(refusal, Missed):
                answer.extend(refusal.found)
            if refusal.current is not None:
                kind = name.removesuffix("Mod")
                answer.append(write(f"{kind}Ret", show(self.company, kind, refusal.current)))
            return answer
        _set_status(answer, 0, "Info", "Status OK")
        answer.attrib.update(done.attributes)
        answer.extend(done.rets)
        return answer

    def _do(self, name: str, request: Element) -> Answer:
        body = read(request, f"{name}Rq")
        if name in QUERIES:
            return self._query(name.removesuffix("Query"), request, body)
        if name in REMOVALS:
            self.company.records.guard_busy(name)
            return self._remove(name, body)
        self.company.records.guard_busy(name)
        return self._write(name, body)

    # --- writing ---

    def _write(self, name: str, request: Body) -> Answer:
        body, kind = request[name], name[:-3]
        if name.startswith("DataExt"):
            return self._extend(name, body)
        changes = transactions if kind in TRANSACTIONS else lists
        done = changes.add(self.company, kind, body) if name in ADDS else changes.modify(self.company, kind, body)
        return Answer([self._ret(kind, done, request)], {})

    def _extend(self, name: str, body: Body) -> Answer:
        if name == "DataExtDefAdd":
            return Answer([write("DataExtDefRet", extensions.define(self.company, body))], {})
        if name == "DataExtDel":
            extensions.remove(self.company, body)
            return Answer([], {})
        value = extensions.write(self.company, body, is_new=name == "DataExtAdd")
        return Answer([write("DataExtRet", value)], {})

    def _remove(self, name: str, body: Body) -> Answer:
        if name == "ListDel":
            told = lists.delete(self.company, body["ListDelType"], body["ListID"])
        elif name == "TxnDel":
            told = transactions.delete(self.company, _own_kind(body["TxnDelType"], body), body["TxnID"])
        else:
            kind = _own_kind(body["TxnVoidType"], body)
            voided = transactions.void(self.company, kind, body["TxnID"])
            told = {"TxnVoidType": kind} | {
                key: voided[key] for key in ("TxnID", "TimeCreated", "TimeModified", "RefNumber") if voided.get(key)
            }
        order = ("TxnDelType", "TxnVoidType", "ListDelType", "TxnID", "ListID", "TimeCreated", "TimeModified",
                 "TimeDeleted", "RefNumber", "FullName")  # fmt: skip
        keys = [key for key in order if key in told and (name == "TxnVoid" or key != "TimeCreated")]
        return Answer([_leaf(key, told[key]) for key in keys], {})

    # --- reading ---

    def _query(self, name: str, request: Element, body: Body) -> Answer:
        company = self.company
        if name in ("Host", "Company", "Preferences"):
            told = {"Host": lambda: query.host(company), "Preferences": lambda: query.preferences(company)}
            shown = told[name]() if name in told else query.about(company, body.get("OwnerID", []))
            return Answer([_only(write(f"{name}Ret", shown), body)], {})
        if name in ("TxnDeleted", "ListDeleted"):
            return _listed(
                [_only(write(f"{name}Ret", each), body) for each in query.deleted(company, name, body)], name
            )
        if name == "DataExtDef":
            found = extensions.definitions(company, body.get("OwnerID", ()), body.get("AssignToObject", ()))
            return _listed([_only(write("DataExtDefRet", each), body) for each in found], name)
        return self._objects(name, request, body)

    def _objects(self, name: str, request: Element, body: Body) -> Answer:
        attributes: dict[str, str] = {}
        count = int(body["MaxReturned"]) if body.get("MaxReturned") else None
        step, is_counting = request.get("iterator"), request.get("metaData", "NoMetaData") != "NoMetaData"
        missed: list[str] = []
        if step in ("Continue", "Stop"):
            page, left = self.iterators.take(request.get("iteratorID", ""), name, 0 if step == "Stop" else count)
            attributes = {"iteratorRemainingCount": str(left), "iteratorID": request.get("iteratorID", "")}
        else:
            page, missed = query.find(self.company, name, body)
            if is_counting:
                attributes["retCount"] = str(len(page))
            if step == "Start":
                iterator_id, page, left = self.iterators.start(name, page, count)
                attributes |= {"iteratorRemainingCount": str(left), "iteratorID": iterator_id}
            elif count is not None:
                page = page[:count]
        if request.get("metaData") == "MetaDataOnly":
            page = []
        elif not page and step not in ("Continue", "Stop") and not missed:
            raise no_match(name)
        elements = [
            element for kind, object_id in page if (element := self._element(kind, object_id, body)) is not None
        ]
        if missed:
            raise Missed(missed[0], elements)
        return Answer(elements, attributes)

    def _element(self, kind: str, object_id: str, request: Body) -> Element | None:
        stored = self.company.records.get(kind, object_id)  # it may have been deleted since the iterator began
        return None if stored is None else self._ret(kind, stored, request, is_query=True)

    def _ret(self, kind: str, body: Body, request: Body, *, is_query: bool = False) -> Element:
        lines = not is_query or request.get("IncludeLineItems") in ("true", "1")
        links = not is_query or request.get("IncludeLinkedTxns") in ("true", "1")
        shown = show(self.company, kind, body, lines=lines, links=links, owners=request.get("OwnerID", ()))
        return _only(write(f"{kind}Ret", shown), request)


class Missed(Refused):
    """Some of what was asked for by name is not there; the rest comes with the warning."""

    def __init__(self, name: str, found: list[Element]) -> None:
        reason = f'There was a required element ("{name}") that could not be found in QuickBooks.'
        super().__init__(500, f"The query request has not been fully completed. {reason}", severity="Warn")
        self.found = found


def _own_kind(kind: str, body: Body) -> str:
    """Kinds this company file has none of: nothing of the id can be there."""
    if kind not in TRANSACTIONS:
        raise gone(body["TxnID"])
    return kind


def _parse(text: str) -> Element:
    """The message set, held to its shape, with what QuickBooks cannot store made into question marks."""
    if any(ord(letter) > 0xFF for letter in text):
        raise malformed("characters that are not ISO-8859-1")
    found = PROLOGUE.match(text)
    if found is None:
        raise malformed("no <?qbxml version?>")
    if found[1] not in VERSIONS:
        raise Failed("0x80040428", f"The version of qbXML that was requested is not supported: {found[1]}")
    if "<!DOCTYPE" in text:
        raise malformed("a document type")
    try:
        root = ElementTree.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", text))  # noqa: S314 - no document type, see above
    except ElementTree.ParseError as error:
        raise malformed(str(error)) from None
    if root.tag != "QBXML" or len(root) != 1 or root[0].tag != "QBXMLMsgsRq":
        raise malformed("not <QBXML><QBXMLMsgsRq>")
    message_set = root[0]
    _check_set(message_set)
    for element in message_set.iter():
        if element.text:
            element.text = "".join(letter if ord(letter) <= 0xFF else "?" for letter in element.text)
    return message_set


def _check_set(message_set: Element) -> None:
    if set(message_set.attrib) - SET_ATTRIBUTES or message_set.get("onError") not in ("stopOnError", "continueOnError"):
        raise malformed(f"the attributes of QBXMLMsgsRq are {message_set.attrib}")
    for request in message_set:
        name = str(request.tag).removesuffix("Rq")
        if name not in REQUESTS or not str(request.tag).endswith("Rq"):
            raise malformed(f"{request.tag} is no request this stand-in knows")
        allowed = {"requestID"} | ({"metaData"} if name in QUERIES else set())
        allowed |= {"iterator", "iteratorID"} if name in ITERATING else set()
        if set(request.attrib) - allowed:
            raise malformed(f"the attributes of {request.tag} are {request.attrib}")
        if request.get("iterator", "Start") not in ("Start", "Continue", "Stop"):
            raise malformed(f"iterator is {request.get('iterator')}")
        read(request, str(request.tag))


def _set_element(new: str | None, status: int | None) -> Element:
    answers = Element("QBXMLMsgsRs")
    if new is not None:
        answers.set("newMessageSetID", new)
    if status is not None:
        answers.set("messageSetStatusCode", str(status))
    return answers


def _set_status(answer: Element, code: int, severity: str, text: str) -> None:
    answer.set("statusCode", str(code))
    answer.set("statusSeverity", severity)
    answer.set("statusMessage", text)


def _text(answers: Element) -> str:
    root = Element("QBXML")
    root.append(answers)
    ElementTree.indent(root, "")
    return '<?xml version="1.0" ?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _leaf(name: str, text: str) -> Element:
    element = Element(name)
    element.text = text
    return element


def _only(ret: Element, request: Body) -> Element:
    """With IncludeRetElement only what it names."""
    wanted = request.get("IncludeRetElement")
    if wanted:
        for child in list(ret):
            if child.tag not in wanted:
                ret.remove(child)
    return ret


def _listed(rets: list[Element], name: str) -> Answer:
    if not rets:
        raise no_match(name)
    return Answer(rets, {})
