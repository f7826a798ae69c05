"""Writing into a company file: one document a message set, and what each answer means for it.

After any doubt QuickBooks is asked first what became of the set (newMessageSetID = oldMessageSetID). If it knows
nothing, the books are searched for our marker; only then the same bytes go out again under the same id, and only while
their first sending may still count. What is older is decided anew. See docs/decisions/0013-desktop.md.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from reconcile.discrepancy import name
from reconcile.money import Money
from reconcile.postings import Posting
from reconcile.records import Document
from reconcile.reversal import changed_since_seen, is_taken_back
from storage import audit, connections, mirror, outbox, replacing, undoing
from storage.outbox import Item
from sync.booking import ABSENT, ACTOR, ATTEMPTS, Booking, made, take_up
from sync.difference import difference, outdated
from sync.errors import Ambiguous, Rejected, Stale, SyncError, Transient, Unauthorized, Unclassified
from sync.ports import Clock, Part, Request, Response, Rng
from sync.qbd import faults, reading, taking_back, wire
from sync.qbd.markup import parse
from sync.qbd.qbxml import DAMAGED, Answer, Node, answer, message, status_check, text_of, value
from sync.qbd.revisits import NOT_FOUND
from sync.sound import UNREADABLE

SEARCH_BACK = timedelta(hours=26)  # before the newest we had read: the clock of that computer may be set back
CHANGED_SET = 9001
BALANCES = "balances"  # the cursor that says which invoices were read again just before they are paid
BALANCES_MAX = 50
CHANGE_ATTEMPTS = 3  # of what QuickBooks may refuse for good in the words of a document somebody has changed
SEARCHES_MAX = 8  # how often the search for one document may break off before a person is asked


class Writing:
    """The outbox of a company file, on its way. Every method works in the caller's transaction."""

    def __init__(self, clock: Clock, rng: Rng, lease_s: float) -> None:
        self._clock, self._lease_s = clock, lease_s
        self._booking = Booking(clock, rng)

    def doubt_all(self, conn: Any, connection_id: int) -> None:
        """A visit begins, so every earlier one is over: nobody answers any more for what it took along."""
        outbox.doubt_expired(conn, connection_id, self._clock.now() + timedelta(seconds=2 * self._lease_s))

    def next_doubtful(self, conn: Any, connection_id: int, visit: str) -> Request | None:
        now = self._clock.now()
        outbox.doubt_expired(conn, connection_id, now)
        for item in outbox.doubtful(conn, connection_id, now):
            if _misses(item) >= SEARCHES_MAX:
                self._give_up(conn, item)
                continue
            if item.look_up is None or (item.look_up != ABSENT and "visit" not in item.look_up):
                return self._ask(item, status_check(str(item.request_id)), "status")
            if item.look_up != ABSENT:
                return self._search(conn, item, visit)
            if connections.link(conn, item.link_id).posting_on:
                return self._send(conn, item, str(item.body))
        return None

    def next_planned(self, conn: Any, connection_id: int, visit: str) -> Request | None:
        """The next document; before a payment, the invoices that it and others pay are read again, and before an
        undo or a restore, the document that it is about.
        """
        while items := outbox.ready(conn, connection_id, self._clock.now(), BALANCES_MAX):
            if take_up(conn, connection_id, items, self._clock.now()):
                continue
            asked = self._balances(conn, connection_id, items, visit)
            if asked is not None:
                return asked
            item = items[0]
            asked = self._look_first(conn, item, visit) if taking_back.needs_look(item.posting) else None
            if asked is not None:
                return asked
            if self._is_settled(conn, item):
                continue
            try:
                return self._send(conn, item, item.body or self._body(conn, item))
            except Rejected as error:
                self._claim(conn, item, "")
                self._booking.set_aside(conn, outbox.get(conn, item.id), item.attempt + 1, error)
        return None

    def accept(self, conn: Any, request: Request, response: Response) -> None:
        """An answer to a write, to a status check or to a search, for the one document it is about."""
        part = request.parts[0]
        item = outbox.get(conn, part.outbox_id)
        try:
            match request.purpose:
                case "post":
                    found = faults.check(response, wire.message_request_id(str(item.request_id)), write=True)
                    self._book(conn, item, part.attempt, found)
                case "status":
                    self._accept_status(conn, item, response)
                case "look up":
                    found = faults.check(response, _search_id(item), write=False)
                    self._accept_search(conn, item, found)
        except SyncError as error:
            self._record_trouble(conn, request, item, part, error)

    def accept_balances(self, conn: Any, connection_id: int, found: Answer) -> None:
        """What has changed of these invoices makes matching run again before anything is written."""
        now = self._clock.now()
        reading.store(conn, connection_id, found.objects, now)
        position = mirror.cursor(conn, connection_id, BALANCES)
        if (look := position.get("look")) is not None:
            asked = [look["document"]]
            mirror.move_cursor(conn, connection_id, BALANCES, position | {"look": None, "looked": look}, now)
        else:
            asked = [f"invoice:{each}" for each in position.get("last", [])]
        if len(asked) == 1 and not found.objects and found.code in NOT_FOUND:  # of several the answer may have ended
            reading.remove_ids(conn, connection_id, asked, now)

    # ---- sending

    def _send(self, conn: Any, item: Item, body: str) -> Request:
        self._claim(conn, item, body)
        return Request(
            kind="write",
            path="qbxml",
            body=body,
            parts=(Part(item.id, item.attempt + 1),),
            purpose="post",
            deadline_s=self._lease_s,
        )

    def _claim(self, conn: Any, item: Item, body: str) -> None:
        now = self._clock.now()
        search_from = reading.newest_mark(conn, item.connection_id, item.posting.kind) or datetime(
            1980, 1, 1, tzinfo=UTC
        )
        request_id = item.request_id or wire.message_set_id(item.posting, item.connection_id, item.attempt)
        taken = outbox.claim(
            conn, item, request_id=request_id, body=body, search_from=search_from, at=now, lease_s=self._lease_s
        )
        assert taken, "the row was read in this very transaction"

    def _body(self, conn: Any, item: Item) -> str:
        """Of a document that is changed, made of what it says now."""
        posting = outbox.resolved(conn, item)
        set_id = wire.message_set_id(posting, item.connection_id, item.attempt)
        return wire.write_body(posting, set_id, _around(conn, item.connection_id, posting))

    def _balances(self, conn: Any, connection_id: int, items: list[Item], visit: str) -> Request | None:
        """Whether paying an invoice changes its time in QuickBooks is not documented, so what is open is asked for."""
        known = mirror.cursor(conn, connection_id, BALANCES)
        asked = set(known["ids"]) if known and known["visit"] == visit else set()
        wanted = {
            part.id.partition(":")[2]
            for item in items
            for part in item.posting.applied
            if part.id.startswith("invoice:") and not item.posting.undoes
        } - asked
        if not wanted:
            return None
        position = {"visit": visit, "ids": sorted(asked | wanted), "n": (known or {"n": 0})["n"] + 1}
        position["last"] = sorted(wanted)
        mirror.move_cursor(conn, connection_id, BALANCES, position, self._clock.now())
        return reading.by_id("Invoice", sorted(wanted), f"b{position['n']}")

    def _look_first(self, conn: Any, item: Item, visit: str) -> Request | None:
        """Once for each attempt, after everything else that is read before."""
        known = mirror.cursor(conn, item.connection_id, BALANCES) or {"n": 0}
        document_id = taking_back.document_of(conn, item)
        look = {"visit": visit, "item": item.id, "attempt": item.attempt, "document": document_id}
        if document_id is None or known.get("looked") == look:
            return None
        asked = known["ids"] if known.get("visit") == visit else []
        position = {"visit": visit, "ids": asked, "n": known["n"] + 1, "look": look}
        mirror.move_cursor(conn, item.connection_id, BALANCES, position, self._clock.now())
        return taking_back.look(document_id, position["n"])

    def _is_settled(self, conn: Any, item: Item) -> bool:
        """Whether nothing is to be sent as things are by now; an undo or a restore is called off then."""
        if item.posting.undoes:
            problem = undoing.obstacle(conn, connections.link(conn, item.link_id), item)
        elif item.posting.change == "restore":
            problem = outdated(conn, item)
        else:
            return self._is_back(conn, item)
        if problem is not None:
            self._booking.call_off(conn, item, problem)
        return problem is not None

    def _is_back(self, conn: Any, item: Item) -> bool:
        """Whether what this was to replace is in the books again; then that counts, and nothing is sent."""
        row = replacing.returned(conn, item)
        if row is None or not replacing.reinstate(conn, item, row):
            return False
        detail = {"document": row.document_id, "instead of": item.posting.marker}
        entry = audit.Entry(actor=ACTOR, action="found again", subject=row.marker, link_id=item.link_id, detail=detail)
        audit.append(conn, self._clock.now(), [entry])
        return True

    # ---- doubts

    def _search(self, conn: Any, item: Item, visit: str) -> Request:
        """The document itself if QuickBooks says it was made; else a page of all that were modified since then."""
        position: dict[str, Any] = item.look_up or {}
        if position.get("visit") != visit:  # an iterator ends with its visit
            missed = _misses(item) + bool(position.get("iterator"))
            txn_id = _target(conn, item) or position.get("txn_id")
            fresh = _search_from_start(visit, txn_id, missed, position.get("why"))
            position = fresh | {"answered": position.get("answered", False)}
            outbox.record_look_up(conn, item, position)
        entity, attributes = _entity(conn, item), {}
        lines: list[Node] = [] if entity == "Transfer" else [("IncludeLineItems", "true")]
        lines += [("IncludeLinkedTxns", "true")] if entity == "CreditMemo" else []
        if position["txn_id"]:
            content: list[Node] = [("TxnID", position["txn_id"]), *lines]
        else:
            attributes = {"iterator": "Start"}
            if position["iterator"]:
                attributes = {"iterator": "Continue", "iteratorID": position["iterator"]}
            since = (item.search_from or self._clock.now()) - SEARCH_BACK
            modified = [("FromModifiedDate", since.replace(tzinfo=None).isoformat())]
            content = [("MaxReturned", str(reading.PAGE)), ("ModifiedDateRangeFilter", modified), *lines]
        request_id = f"s{item.id}-{position['n']}"
        body = message(f"{entity}Query", content, request_id=request_id, attributes=attributes)
        return self._ask(item, body, "look up")

    def _ask(self, item: Item, body: str, purpose: str) -> Request:
        return Request(
            kind="read",
            path="qbxml",
            body=body,
            parts=(Part(item.id, item.attempt),),
            purpose=purpose,
            deadline_s=reading.DEADLINE_S,
        )

    def _accept_status(self, conn: Any, item: Item, response: Response) -> None:
        """QuickBooks gives the stored answer again, or says that it knows nothing of the set."""
        if response.lost is not None:
            raise Transient(faults.of_call(*response.lost.partition(" ")[::2]), technical=response.lost)
        try:
            found = answer(response.body)
        except ValueError as error:
            raise Transient(DAMAGED, technical=repr(error)) from None
        if found.set_code == CHANGED_SET:
            plain = (
                "QuickBooks knows this write with another content. Look in QuickBooks whether it is there, then retry."
            )
            self._booking.set_aside(conn, item, item.attempt, Unclassified(plain, technical="9001"))
            return
        if found.request_id == wire.message_request_id(str(item.request_id)):
            trouble = faults.of_answer(found, write=True)
            if isinstance(trouble, Rejected | Stale):
                self._record_refusal(conn, item, item.attempt, trouble)
                return
            # Where it says that it was written, the books say whether it still is: they may come from a backup.
            txn_id = next((value(each, "TxnID") for each in found.objects), None) if trouble is None else None
            position = _search_from_start("", txn_id, _misses(item)) | {"answered": trouble is None}
            outbox.record_look_up(conn, item, position)
            return
        outbox.record_look_up(conn, item, _search_from_start("", None, _misses(item)))

    def _accept_search(self, conn: Any, item: Item, found: Answer) -> None:
        if item.posting.change in taking_back.CHANGES:
            self._accept_look(conn, item, found)
            return
        if item.posting.change is not None:
            self._accept_target(conn, item, found)
            return
        guid = wire.external_guid(item.posting)
        for element in found.objects:
            named = (value(element, "ExternalGUID") or "").lower() == guid
            if named or f"[tieout {item.posting.marker}]" in (value(element, "Memo") or ""):
                self._record_found(conn, item, element)
                return
        position: dict[str, Any] = item.look_up or {}
        if position["txn_id"]:  # it is gone, or was never this one
            outbox.record_look_up(conn, item, _search_from_start(position["visit"], None, _misses(item)))
            return
        if found.remaining > 0:
            following = position | {"iterator": found.iterator_id, "n": position["n"] + 1}
            outbox.record_look_up(conn, item, following)
            return
        self._booking.record_absent(conn, [item])

    def _accept_target(self, conn: Any, item: Item, found: Answer) -> None:
        """The document that was to be changed, as it is: a change has no document, and no mark, of its own."""
        element = next(iter(found.objects), None)
        document = _read(conn, item, element)
        if document is None or document.voided:
            gone = Stale("Somebody deleted or voided what this was to be applied to in QuickBooks.")
            self._record_refusal(conn, item, item.attempt, gone)
        elif (missing := difference(outbox.resolved(conn, item), document)) is None:
            reading.look_again(conn, item.connection_id, outbox.resolved(conn, item).applied, self._clock.now())
            self._record_found(conn, item, element)
        elif (item.look_up or {}).get("answered") and item.posting.change == "restore":
            self._record_found(conn, item, element)  # done, and changed again since: a question of its own
        elif (item.look_up or {}).get("answered"):
            plain = f"QuickBooks took this and does not show it. {missing} Apply it in QuickBooks by hand, then retry."
            self._booking.set_aside(conn, item, item.attempt, Unclassified(plain, technical=missing))
        else:
            self._booking.record_absent(conn, [item])

    def _accept_look(self, conn: Any, item: Item, found: Answer) -> None:
        """The document that was to be taken back, as it is: gone or voided is done, whoever did it."""
        element = next(iter(found.objects), None)
        document = _read(conn, item, element)
        if document is None and found.code not in NOT_FOUND:
            raise Transient("QuickBooks did not say whether the document is there.", technical=f"{found.code}")
        if document is None or is_taken_back(document):
            self._record_gone(conn, item, None, document, text_of(element) if document else "")
        elif (item.look_up or {}).get("answered"):
            plain = "QuickBooks says that it has taken this back, and shows it as it was. Look at it there, then retry."
            self._booking.set_aside(conn, item, item.attempt, Unclassified(plain, technical=document.id))
        elif problem := changed_since_seen(item.posting, document):
            self._booking.call_off(conn, item, problem)
        else:
            self._booking.record_absent(conn, [item])

    # ---- recording

    def _record_gone(self, conn: Any, item: Item, attempt: int | None, voided: Document | None, raw: str) -> None:
        connections.change_link(conn, item.link_id)  # before any row, as everywhere
        let_go = taking_back.let_go(conn, item)
        self._booking.record_gone(conn, item, attempt, voided, raw)
        reading.look_again(conn, item.connection_id, let_go, self._clock.now())

    def _book(self, conn: Any, item: Item, attempt: int | None, found: Answer) -> None:
        if item.posting.change in taking_back.CHANGES:
            taking_back.check(item, found)
        if item.posting.change == "delete":
            self._record_gone(conn, item, attempt, None, "")
            return
        if item.posting.change in (
            "link",
            "void",
        ):  # QuickBooks answers with no document: it is looked at
            looking = "QuickBooks has taken it; what became of it is looked at."
            outbox.record_doubt(conn, item, attempt or item.attempt, at=self._clock.now(), problem=looking)
            outbox.record_look_up(conn, outbox.get(conn, item.id), _search_from_start("", None) | {"answered": True})
            return
        entity = wire.ENTITY[item.posting.kind]
        element = next((each for each in found.objects if each.tag == f"{entity}Ret"), None)
        if element is None:
            raise Ambiguous("QuickBooks answered without the document.", technical=found.kind)
        try:
            document = reading.books(conn, item.connection_id).document(element)
        except UNREADABLE as odd:
            raise Ambiguous("QuickBooks answered with something else than the document.", technical=repr(odd)) from None
        self._booking.record_posted(conn, [made(conn, item, attempt, document, text_of(element))])
        reading.note_made(conn, item.connection_id, element, self._clock.now())

    def _record_found(self, conn: Any, item: Item, element: Any) -> None:
        try:
            document = reading.books(conn, item.connection_id).document(element)
        except UNREADABLE as error:
            plain = "The document is in QuickBooks, but Tieout cannot read it there. Look at it, then retry."
            self._booking.set_aside(conn, item, item.attempt, Unclassified(plain, technical=repr(error)))
            return
        self._booking.record_posted(conn, [made(conn, item, None, document, text_of(element))])

    def _record_trouble(self, conn: Any, request: Request, item: Item, part: Part, error: SyncError) -> None:
        later = self._clock.now() + self._booking.pause(item.attempt, error)
        if request.kind == "read":  # the doubt stays; an iterator that is gone begins anew
            position, misses = item.look_up or {}, _misses(item) + 1
            broken: dict[str, Any] = {"misses": misses, "why": error.plain}
            if "visit" in position:
                broken = _search_from_start("", position["txn_id"], misses, error.plain)
            outbox.record_look_up(conn, item, broken, next_at=later)
        elif isinstance(error, Ambiguous) and part.attempt < ATTEMPTS:
            outbox.record_doubt(conn, item, part.attempt, at=self._clock.now(), problem=error.plain)
        elif isinstance(error, Transient | Unauthorized):
            # The set's answer is stored under its id, so the same bytes would only bring the same answer again.
            outbox.record_anew(conn, item.id, part.attempt, problem=error.plain, at=later)
        else:
            self._record_refusal(conn, item, part.attempt, error)

    def _give_up(self, conn: Any, item: Item) -> None:
        """It waits for a person, with what was last answered. A retry begins by asking QuickBooks again."""
        why = (item.look_up or {}).get("why") or "The visits of the Web Connector ended before the search did."
        plain = (
            f"QuickBooks was asked {SEARCHES_MAX} times whether this document is there already, and never answered to "
            f"the end. {why} Mend that, then retry: it is looked for again before anything is written."
        )
        self._booking.set_aside(conn, item, item.attempt, Unclassified(plain, technical=f"search of {item.id}"))

    def _record_refusal(self, conn: Any, item: Item, attempt: int, error: SyncError) -> None:
        """What somebody changed meanwhile is decided anew on the books as they are; the rest waits for a person."""
        if isinstance(error, Stale) and attempt < (CHANGE_ATTEMPTS if item.posting.change else ATTEMPTS):
            mirror.touch_links(conn, item.connection_id)
            mirror.forget_cursor(conn, item.connection_id, BALANCES)
            outbox.record_anew(conn, item.id, attempt, problem=error.plain)
        else:
            self._booking.set_aside(conn, item, attempt, error)


def _search_from_start(visit: str, txn_id: str | None, misses: int = 0, why: str | None = None) -> dict[str, Any]:
    """Where a search stands: at the document of that id, or at the first page; how often it broke off, and why."""
    return {"visit": visit, "txn_id": txn_id, "iterator": None, "n": 0, "misses": misses, "why": why}


def _misses(item: Item) -> int:
    """Before there is a search (no `visit`), those of asking what became of the set."""
    return item.look_up.get("misses", 0) if isinstance(item.look_up, dict) else 0


def _read(conn: Any, item: Item, element: Any | None) -> Document | None:
    """The document that was asked for by its id. Raises Transient."""
    if element is None:
        return None
    try:
        return reading.books(conn, item.connection_id).document(element)
    except UNREADABLE as odd:
        raise Transient("QuickBooks answered with something else.", technical=repr(odd)) from None


def _around(conn: Any, connection_id: int, posting: Posting) -> wire.Surroundings:
    """The receivables account is QuickBooks' own choice where it is not known. Raises Rejected."""
    if posting.change in taking_back.CHANGES:
        return wire.NOTHING
    invoices: dict[str, Document] = mirror.load(conn, connection_id, "invoice", [each.id for each in posting.applied])
    if posting.change is None:
        _check_open(conn, connection_id, posting, invoices)
    target = _document(conn, connection_id, posting.target) if posting.target else None
    beside = [target, *(_document(conn, connection_id, part.id) for part in posting.applied)]
    accounts = [value(each, "ARAccountRef", "ListID") for each in beside if each is not None]
    currency_id = None
    if posting.currency != mirror.home_currency(conn, connection_id):
        currency_id = reading.currency_id(conn, connection_id, posting.currency)
        if currency_id is None:
            plain = (
                f"QuickBooks does not use {posting.currency}. Switch it on there (Lists, Currency List), then retry."
            )
            raise Rejected(plain)
    return wire.Surroundings(
        ar_account_id=next(filter(None, accounts), None),
        currency_id=currency_id,
        sales_tax=reading.sales_tax(conn, connection_id),
        target=target,
        open_minor={each.id: each.open_minor for each in invoices.values()},
    )


def _check_open(conn: Any, connection_id: int, posting: Posting, invoices: Mapping[str, Document]) -> None:
    """QuickBooks would refuse it time and again: what a person asked to post is not decided anew. Raises Rejected."""
    for part in posting.applied:
        kind, _, txn_id = part.id.partition(":")
        if kind != "invoice":
            continue
        invoice, shown = invoices.get(part.id), _document(conn, connection_id, part.id)
        what = name(kind, None if shown is None else value(shown, "RefNumber"), txn_id)
        if invoice is None or invoice.voided:
            trouble = f"{what}, which this payment is for, is not in QuickBooks any more"
        elif invoice.open_minor < part.amount_minor:
            left, wanted = (Money(minor, posting.currency) for minor in (invoice.open_minor, part.amount_minor))
            trouble = f"Only {left} of {what} is still open in QuickBooks, and this payment is for {wanted} of it"
        else:
            continue
        raise Rejected(
            f"{trouble}. Put that right there, then retry; or record it there by hand and match it in Review."
        )


def _document(conn: Any, connection_id: int, document_id: str) -> Any | None:
    raw = mirror.raw(conn, connection_id, document_id.partition(":")[0], document_id)
    return parse(raw.encode()) if raw else None


def _target(conn: Any, item: Item) -> str | None:
    """The TxnID of what a posting changes; None for a document of its own."""
    return (outbox.resolved(conn, item).target or "").partition(":")[2] or None


def _entity(conn: Any, item: Item) -> str:
    """What to look at for it: the document itself, or the one it changes."""
    target = outbox.resolved(conn, item).target
    return wire.ENTITY[target.partition(":")[0] if target else item.posting.kind]


def _search_id(item: Item) -> str:
    return f"s{item.id}-{(item.look_up or {'n': 0})['n']}"
