"""What a visit makes or notes in the lists of a company file: accounts, items, vendors, customers, Stripe's ids.

Nothing is made twice, because QuickBooks takes no name twice in a list, and every visit reads the lists before it does
errands: what an earlier one made is found there by its name. Writing the same Stripe id again does no harm.
"""

import logging
import uuid
from dataclasses import replace
from typing import Any

from reconcile.counterparts import Pair
from reconcile.mapping import candidates
from reconcile.records import Customer
from storage import audit, chart, connections, counterparts, errands, mirror
from storage.errands import Errand
from sync import choosing
from sync.booking import ACTOR
from sync.choosing import ChoiceError
from sync.errors import Ambiguous, Rejected, Stale, SyncError, Unclassified
from sync.ports import Clock, Part, Request, Response
from sync.qbd import faults, qwc, reading
from sync.qbd.markup import parse
from sync.qbd.qbxml import Answer, Node, fold, message, ref, text_of, value
from sync.qbd.records import STRIPE_ID_FIELD, TYPES
from sync.qbd.wire import NAMESPACE
from sync.sound import UNREADABLE

ENTITY = {"account": "Account", "item": "ItemService", "vendor": "Vendor", "customer": "Customer"}
LIST = ENTITY | {"item": "Item"}  # as they are read
NAME_MAX = {"account": 31, "item": 31, "vendor": 41, "customer": 41}
WIRE_TYPES = {words: name for name, words in TYPES.items()}
OWNER = "extension"  # the cursor that says whose data Stripe's ids are written as
CUSTOM_FIELD = "0"  # the owner of what users see
NAME_TAKEN = "3100"
NOT_OF_CUSTOMERS = "3140"  # an invalid reference: there is no field of this name for customers
DEADLINE_S = 120.0

log = logging.getLogger(__name__)


class NotNowError(Exception):
    """An errand that cannot be done as things are in the company file, with a sentence for the person who asked."""


def name_of(kind: str, text: str) -> str:
    """As QuickBooks Desktop can store it in a list: short, in Latin-1, without the colon that parts a job's name."""
    return " ".join(fold(text).replace(":", " ").split())[: NAME_MAX[kind]].strip()


def external_guid(stripe_customer: str) -> str:
    """By which a customer that was made from Stripe's is known again."""
    return "{" + str(uuid.uuid5(NAMESPACE, f"customer {stripe_customer}")) + "}"


class Errands:
    """The errands of a company file, on their way. Every method works in the caller's transaction."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def next_request(self, conn: Any, connection_id: int) -> Request | None:
        """The next thing to write; what the lists show already is settled without a request."""
        while (errand := errands.next_asked(conn, connection_id)) is not None:
            try:
                body = self._body(conn, errand)
            except NotNowError as error:
                self._refuse(conn, errand, str(error))
                continue
            if body is not None and errands.take(conn, errand):
                parts = (Part(errand.id, errand.attempt + 1),)
                return Request(
                    kind="write", path="qbxml", body=body, parts=parts, purpose="errand", deadline_s=DEADLINE_S
                )
        return None

    def accept(self, conn: Any, request: Request, response: Response) -> None:
        part = request.parts[0]
        errand = errands.get(conn, part.outbox_id)
        if (errand.state, errand.attempt) != ("sending", part.attempt):
            return  # an answer to an earlier visit
        try:
            found = faults.check(response, _request_id(errand), write=True)
            self._accept(conn, errand, found)
        except SyncError as error:
            self._record_trouble(conn, errand, error)

    # ---- what to ask of QuickBooks

    def _body(self, conn: Any, errand: Errand) -> str | None:
        """The request; None if nothing is left to do."""
        if errand.kind == "note":
            return self._note(conn, errand)
        there = self._there(conn, errand)
        if there is not None:
            self._done(conn, errand, there)
            return None
        content = _customer(conn, errand) if errand.kind == "customer" else _list_object(conn, errand)
        entity = ENTITY[errand.kind]
        following = replace(errand, attempt=errand.attempt + 1)
        return message(f"{entity}Add", [(f"{entity}Add", content)], request_id=_request_id(following))

    def _there(self, conn: Any, errand: Errand) -> str | None:
        """The id of what has this name in the list already. Raises NotNowError if it is something else."""
        wanted = errand.name.casefold()
        if errand.kind == "customer":
            for customer in mirror.load_all(conn, errand.connection_id, ["customer"]):
                if fold(customer.name).casefold() == wanted:
                    raw = mirror.raw(conn, errand.connection_id, "customer", customer.id) or "<none/>"
                    guid = value(parse(raw.encode()), "ExternalGUID") or ""
                    if guid.lower() != external_guid(errand.subject):
                        raise NotNowError("QuickBooks has somebody else of this name. Rename one, then try again.")
                    return str(customer.id)
            return None
        link = connections.link(conn, errand.link_id)
        role = next((each for each in choosing.roles_of(conn, link) if each.id == errand.subject), None)
        if role is None:
            raise NotNowError("This is not needed any more.")
        fitting = candidates(role, chart.load(conn, errand.connection_id), chart.taken(conn, link))
        return next((key for key, each in fitting.items() if each.name.casefold() == wanted), None)

    def _note(self, conn: Any, errand: Errand) -> str | None:
        """Stripe's id on a customer: in the custom field "Stripe ID" if one is free, else as data of our own.

        What somebody else wrote there stays.
        """
        known: Customer | None = mirror.load(conn, errand.connection_id, "customer", [errand.subject]).get(
            errand.subject
        )
        if known is None:
            raise NotNowError("This customer is not in QuickBooks any more.")
        if known.counterpart_id == errand.content["stripe_id"]:
            self._done(conn, errand, known.id)
            return None
        if known.counterpart_id is not None:
            raise NotNowError(f"The customer carries another Stripe id in QuickBooks, {known.counterpart_id}.")
        owner = self._owner(conn, errand)
        request_id = _request_id(replace(errand, attempt=errand.attempt + 1))
        if not owner["defined"]:
            return message("DataExtDefAdd", [("DataExtDefAdd", _definition(owner["owner"]))], request_id=request_id)
        content: list[Node] = [
            ("OwnerID", owner["owner"]),
            ("DataExtName", STRIPE_ID_FIELD),
            ("ListDataExtType", "Customer"),
            ref("ListObjRef", errand.subject),
            ("DataExtValue", errand.content["stripe_id"]),
        ]
        # Adding is refused where a value was before; modifying, perhaps, where none ever was.
        way = "DataExtMod" if errand.content.get("modify") else "DataExtAdd"
        return message(way, [(way, content)], request_id=request_id)

    # ---- what its answers mean

    def _accept(self, conn: Any, errand: Errand, found: Answer) -> None:
        if found.kind == "DataExtDefAdd":
            self._define(conn, errand)
            return
        if errand.kind == "note":
            self._done(conn, errand, errand.subject)
            return
        element = next(iter(found.objects), None)
        try:
            kind, object_id, record = reading.books(conn, errand.connection_id).read(element)
        except UNREADABLE as odd:
            raise Ambiguous("QuickBooks answered with something else.", technical=repr(odd)) from None
        stored = [(kind, object_id, record, text_of(element))]
        mirror.store(conn, errand.connection_id, stored, at=self._clock.now(), actor=ACTOR, is_news=False)
        reading.note_made(conn, errand.connection_id, element, self._clock.now())
        self._done(conn, errand, object_id)

    def _define(self, conn: Any, errand: Errand) -> None:
        owner = self._owner(conn, errand)
        mirror.move_cursor(conn, errand.connection_id, OWNER, owner | {"defined": True}, self._clock.now())
        errands.record_next(conn, errand)

    def _done(self, conn: Any, errand: Errand, object_id: str) -> None:
        """It is in the books, and what it was for goes on."""
        if not errands.record_done(conn, errand, object_id):
            return
        now = self._clock.now()
        detail = {"name": errand.name, "id": object_id, "asked by": errand.asked_by}
        subject = f"{errand.kind} {errand.subject}"
        action = "noted in QuickBooks" if errand.kind == "note" else "made in QuickBooks"
        entry = audit.Entry(actor=ACTOR, action=action, subject=subject, link_id=errand.link_id, detail=detail)
        link = connections.link(conn, errand.link_id)
        if errand.kind == "customer":
            self._join(conn, errand, object_id)
        elif errand.kind != "note":
            try:
                choosing.take(conn, now, errand.asked_by, link, {errand.subject: object_id})
            except ChoiceError as error:  # it is made; why it was not chosen a person reads beside the choice
                log.warning("errand %s: %s", errand.id, error)
        audit.append(conn, now, [entry])

    def _join(self, conn: Any, errand: Errand, customer_id: str) -> None:
        currency = errand.content["currency"] or mirror.home_currency(conn, errand.connection_id)
        made = Pair(customer_id=customer_id, processor_customer_id=errand.subject, currency=currency, how="created")
        counterparts.settle_wanted(conn, errand.link_id, errand.subject)
        counterparts.join(conn, errand.link_id, made, actor=errand.asked_by, at=self._clock.now())

    def _record_trouble(self, conn: Any, errand: Errand, error: SyncError) -> None:
        is_refusal = isinstance(error, Rejected | Stale | Unclassified)
        if errand.kind == "note" and isinstance(error, Rejected) and not self._owner(conn, errand)["defined"]:
            self._define_otherwise(conn, errand, error)
        elif errand.kind == "note" and error.code == NOT_OF_CUSTOMERS and self._uses_custom_field(conn, errand):
            self._use_own_data(conn, errand)  # a user has a field of this name, but of vendors
        elif errand.kind == "note" and isinstance(error, Rejected) and not errand.content.get("modify"):
            errands.record_next(conn, errand, content=errand.content | {"modify": True})
        elif error.code == NAME_TAKEN and errand.attempt <= 1:
            # Made by an earlier visit, perhaps, and not shown since: the whole list is read with the next one.
            reading.forget_mark(conn, errand.connection_id, LIST[errand.kind], self._clock.now())
            errands.record_later(conn, errand, error.plain)
        elif is_refusal:
            self._refuse(conn, errand, error.plain)
        else:
            errands.record_later(conn, errand, error.plain)

    def _owner(self, conn: Any, errand: Errand) -> dict[str, Any]:
        found = mirror.cursor(conn, errand.connection_id, OWNER)
        return found or {"owner": CUSTOM_FIELD, "defined": False}

    def _define_otherwise(self, conn: Any, errand: Errand, error: Rejected) -> None:
        """The field is there already, or there is none free."""
        if error.code == NAME_TAKEN:
            self._define(conn, errand)
        elif self._uses_custom_field(conn, errand):
            self._use_own_data(conn, errand)
        else:
            self._refuse(conn, errand, error.plain)

    def _uses_custom_field(self, conn: Any, errand: Errand) -> bool:
        return bool(self._owner(conn, errand)["owner"] == CUSTOM_FIELD)

    def _use_own_data(self, conn: Any, errand: Errand) -> None:
        """From now on Stripe's ids are data that no user sees."""
        position = {"owner": qwc.OWNER_ID, "defined": False}
        mirror.move_cursor(conn, errand.connection_id, OWNER, position, self._clock.now())
        errands.record_next(conn, errand)

    def _refuse(self, conn: Any, errand: Errand, problem: str) -> None:
        errands.record_refused(conn, errand, problem)
        subject, detail = f"{errand.kind} {errand.subject}", {"name": errand.name, "problem": problem}
        entry = audit.Entry(actor=ACTOR, action="refused", subject=subject, link_id=errand.link_id, detail=detail)
        audit.append(conn, self._clock.now(), [entry])


def _request_id(errand: Errand) -> str:
    return f"e{errand.id}-{errand.attempt}"


def _list_object(conn: Any, errand: Errand) -> list[Node]:
    currency = _currency(conn, errand)
    if errand.kind == "account":
        kind = errand.content["type"]
        return [("Name", errand.name), ("AccountType", WIRE_TYPES.get(kind, kind.replace(" ", ""))), currency]
    if errand.kind == "vendor":
        return [("Name", errand.name), currency]
    accounts = chart.load(conn, errand.connection_id).accounts
    income = [key for key, each in sorted(accounts.items()) if each.type == "Income" and each.active]
    if not income:
        raise NotNowError("QuickBooks has no income account for this item. Make one there, then try again.")
    return [("Name", errand.name), ("SalesOrPurchase", [ref("AccountRef", income[0])])]


def _customer(conn: Any, errand: Errand) -> list[Node]:
    return [
        ("Name", errand.name),
        ("Email", errand.content["email"]),
        ("ExternalGUID", external_guid(errand.subject)),
        _currency(conn, errand),
    ]


def _currency(conn: Any, errand: Errand) -> Node:
    """QuickBooks wants none in a company with one currency."""
    code = errand.content["currency"]
    if code in (None, mirror.home_currency(conn, errand.connection_id)):
        return "CurrencyRef", None
    found = reading.currency_id(conn, errand.connection_id, code)
    if found is None:
        raise NotNowError(f"QuickBooks does not use {code}. Switch it on there (Lists, Currency List), then try again.")
    return ref("CurrencyRef", found)


def _definition(owner: str) -> list[Node]:
    return [
        ("OwnerID", owner),
        ("DataExtName", STRIPE_ID_FIELD),
        ("DataExtType", "STR255TYPE"),
        ("AssignToObject", "Customer"),
    ]
