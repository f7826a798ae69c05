"""Books to Stripe: customers are paired, invoices decided on and sent, one durable step after the other.

Each write is stored with its parameters and its key before it goes out (storage/sendings.py); what became of one whose
answer was lost is settled before anything else is sent. See docs/decisions/0006-writes-to-stripe.md.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from reconcile.counterparts import REALM_KEY, Pair, emails, metadata_key
from reconcile.outgoing import Outgoing, compose, digest_of, due_at
from reconcile.records import Customer, ProcessorInvoice
from reconcile.sending import Decision, PaidPart, Sent, adopted, decide
from storage import audit, connections, counterparts, mirror, sending, sendings
from storage.connections import Connection, Link
from storage.engine import Database
from storage.sending import Around, Dossier
from storage.sendings import Sending
from sync.customers import Counterparts, realm
from sync.errors import Ambiguous, Forbidden, SyncError, Transient, Unauthorized
from sync.ports import Clock, Fetched, Ledger, People, Processor, Write

ACTOR = "tieout"
BATCH = 200  # invoices decided on at once
REPORT_EVERY = 10
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
OVERLAP = timedelta(minutes=10)  # a transaction is as late as it took
MISSES_MAX = 3  # writes in a row without an answer: Stripe is out of reach, and the others wait for the next sync
STEPS_MAX = 20  # of one invoice in one sync; no way through is longer
LEASE_S = 150.0  # longer than a write takes, with all its tries
PATIENCE, PAUSE_S = 4, 0.5
LATER = timedelta(minutes=5)
KEY_LIFE = timedelta(hours=23)  # Stripe forgets a key after 24 hours at the earliest
KINDS = ("customer", "processor_invoice")
Progress = Callable[[str, int, int | None], None]


@dataclass
class Sender:
    """One run of sending for one link."""

    database: Database
    clock: Clock
    processor: Processor
    ledger: Ledger
    people: People
    link_id: int
    progress: Progress
    lease_s: float = LEASE_S
    writes: int = field(default=0, init=False)
    _misses: int = field(default=0, init=False)
    _around: Around = field(init=False)

    def send(self) -> int:
        """Everything that can be sent now; gives how many writes there were."""
        link = self._link()
        if self._there(link).state not in ("ready", "limited"):
            return 0
        is_on = link.policies.sending != "off"
        customers = Counterparts(self.database, self.clock, self.processor, self.people)
        if is_on:
            self._settle(link)
        customers.pair(link)
        if is_on:
            customers.make(link)
        self._decide(link)
        if is_on:
            customers.tell(link)
            customers.follow(link)
        return self.writes

    # ---- invoices

    def _decide(self, link: Link) -> None:
        """Every invoice that something has changed about, or that waits; the sendable ones go out."""
        link = self._link()
        now = self.clock.now()
        today = now.astimezone(ZoneInfo(link.time_zone)).date()
        position = {"revision": link.revision, "day": today.isoformat(), "cutover": link.cutover.isoformat()}
        with self.database.read() as conn:
            before = mirror.cursor(conn, link.processor_id, sending.STREAM) or {}
            if not self.writes and {**before, "at": None} == {**position, "at": None}:
                return
            is_same = before.get("cutover") == position["cutover"]
            since = datetime.fromisoformat(before["at"]) - OVERLAP if is_same else EPOCH
            self._around = sending.look_around(conn, link)
        after, done = "", 0
        while True:
            with self.database.read() as conn:
                ids = sending.changed(conn, link, since, BATCH, after)
            if not ids:
                break
            for number, invoice_id in enumerate(self._record_all(link, ids)):
                if number % REPORT_EVERY == 0:
                    self.progress("Sending invoices to Stripe", done + number, None)
                self._advance(link, invoice_id)
            after, done = ids[-1], done + len(ids)
        with self.database.write() as conn:
            mirror.move_cursor(conn, link.processor_id, sending.STREAM, position | {"at": now.isoformat()}, now)

    def _record_all(self, link: Link, ids: list[str]) -> list[str]:
        """What is to be done with each invoice; gives those with something to do now."""
        dossiers = self._load(link, ids)
        decisions = {dossier.case.invoice.id: _decision(dossier) for dossier in dossiers}
        with self.database.write() as conn:
            now = self.clock.now()
            for dossier in dossiers:
                found = decisions[dossier.case.invoice.id]
                sending.record(conn, link.id, dossier, found, warnings_of(dossier), now)
        if link.policies.sending == "off":
            return []
        return [invoice_id for invoice_id, found in decisions.items() if found.kind == "do"]

    def _advance(self, link: Link, invoice_id: str) -> None:
        """Step after step, each decided on what the last one left."""
        for _ in range(STEPS_MAX):
            (dossier,) = self._load(link, [invoice_id])
            found = _decision(dossier)
            if found.reason == "look":
                dossier = self._look(link, dossier)
                found = _decision(dossier)
            with self.database.write() as conn:
                sending.record(conn, link.id, dossier, found, warnings_of(dossier), self.clock.now())
            if found.kind != "do" or not self._perform(link, dossier, found):
                return
            if found.reason == "give_credit":  # Stripe answers with the credit note, not with the invoice
                self._look(link, dossier)

    def _load(self, link: Link, ids: list[str]) -> list[Dossier]:
        today = self.clock.now().astimezone(ZoneInfo(link.time_zone)).date()
        with self.database.read() as conn:
            return sending.load(conn, link, ids, self.ledger.invoice_content, today, self._around)

    def _look(self, link: Link, dossier: Dossier) -> Dossier:
        """The Stripe invoice and its customer as they are this moment."""
        invoice_id = dossier.case.sent.processor_invoice_id
        assert invoice_id is not None
        there, payer = self._patiently(link, lambda: self.processor.look(invoice_id))
        with self.database.write() as conn:
            _store(conn, link, [there, payer], self.clock.now())
        case = replace(
            dossier.case,
            there=there.record if isinstance(there.record, ProcessorInvoice) else None,
            payer=payer.record if isinstance(payer.record, Customer) else dossier.case.payer,
            is_fresh=True,
        )
        return replace(dossier, case=case)

    # ---- writes

    def _perform(self, link: Link, dossier: Dossier, decision: Decision) -> bool:
        """One step. False if another write stands in its way, or sending was switched off meanwhile."""
        case = dossier.case
        with self.database.write() as conn:
            current = connections.link(conn, link.id)
            if current.policies.sending == "off":
                return False
            if decision.reason == "adopt":
                assert case.twin is not None
                _adopt(conn, link, case.invoice.id, adopted(case.twin))
                return True
            now = self.clock.now()
            about, effect = self._order(conn, current, dossier, decision)
            is_customer = decision.reason == "create_customer"
            subject = f"customer:{case.invoice.customer_id}" if is_customer else case.invoice.id
            revision = 1 if is_customer else case.sent.revision
            account = self._there(link, conn).external_id
            begun = sendings.begin(
                conn,
                link_id=link.id,
                subject=subject,
                step=decision.reason,
                revision=revision,
                key=f"tieout:{account}:{realm(conn, link)}:{subject}:r{revision}:{decision.reason}",
                target_id=None if is_customer else case.sent.processor_invoice_id,
                params=self.processor.frame(decision.reason, about),
                effect=effect,
                at=now,
                lease_s=self.lease_s,
            )
        if begun is not None:
            self._send(link, begun)
        return begun is not None

    def _order(self, conn: Any, link: Link, dossier: Dossier, decision: Decision) -> tuple[Any, dict[str, Any]]:
        """What a step is to say to Stripe, and what is to be recorded once it is done."""
        case = dossier.case
        match decision.reason:
            case "create_customer":
                return _new_customer(conn, link, dossier)
            case "create_invoice" | "add_lines":
                outgoing = self._compose(conn, link, dossier)
                return outgoing, {"digest": outgoing.digest, "payer_id": outgoing.customer_id}
            case "give_credit":
                assert decision.part is not None
                credit: PaidPart = decision.part
                effect = {"document_id": credit.document_id, "amount_minor": credit.amount_minor}
                if credit.standing == "lowered":  # from then on Stripe's invoice says what the books say
                    assert case.payer is not None
                    effect["digest"] = digest_of(case.invoice, case.content, case.payer.id)
                target = case.sent.processor_invoice_id or ""
                return (credit, target, realm(conn, link), link.policies.sending), effect
            case "report_payment" | "attach_payment":
                assert decision.part is not None
                part: PaidPart = decision.part
                about = part if part.record_id else (part, case.invoice.currency, case.sent.payer_id or "")
                return about, {"document_id": part.document_id, "amount_minor": part.amount_minor}
        return None, {}

    def _compose(self, conn: Any, link: Link, dossier: Dossier) -> Outgoing:
        case = dossier.case
        payer = case.payer.id if case.payer else case.sent.payer_id or ""
        return compose(
            case.invoice,
            case.content,
            payer,
            realm_id=realm(conn, link),
            revision=case.sent.revision,
            spent=case.sent.spent,
            due=due_at(case.invoice, link.time_zone, self.clock.now()),
        )

    def _send(self, link: Link, begun: Sending) -> None:
        """Sends a write, the same parameters under the same key each time; what stays unclear is settled later."""
        for attempt in range(1, PATIENCE + 1):
            try:
                found = self.processor.write(_write(begun))
            except (Transient, Ambiguous) as error:
                if attempt == PATIENCE:
                    with self.database.write() as conn:
                        sendings.record_doubt(conn, begun, next_at=self.clock.now() + LATER, problem=error.plain)
                    self._misses += 1
                    if self._misses == MISSES_MAX:
                        raise Transient(error.plain, technical=error.technical) from error
                    return
                self.progress("Waiting for Stripe", 0, None)
                self.clock.sleep(PAUSE_S * 2**attempt)
            except Unauthorized as error:
                self._reconnect(link, begun, error)
                raise
            except SyncError as error:
                self._refused(begun, error)
                return
            else:
                self._misses = 0
                self._done(link, begun, found)
                return

    def _settle(self, link: Link) -> None:
        """Writes whose answer was lost: the same again while Stripe knows the key, else it is looked for first."""
        with self.database.read() as conn:
            open_ones = sendings.to_settle(conn, link.id, self.clock.now())
        for doubtful in open_ones:
            if self.clock.now() - doubtful.first_at < KEY_LIFE:
                self._again(link, doubtful, new_key=False)
                continue
            try:
                found: Fetched | None = self._patiently(link, partial(self.processor.find_written, _write(doubtful)))
            except (Transient, Unauthorized):
                raise
            except SyncError as error:
                self._refused(doubtful, error)
                continue
            if found is not None:
                self._done(link, doubtful, found)
            else:
                self._again(link, doubtful, new_key=True)

    def _again(self, link: Link, doubtful: Sending, *, new_key: bool) -> None:
        with self.database.write() as conn:
            taken = sendings.take(conn, doubtful, self.clock.now(), self.lease_s, new_key=new_key)
        if taken is not None:
            self._send(link, taken)

    def _done(self, link: Link, begun: Sending, found: Fetched) -> None:
        """The write, the object it made, and what follows from it, in one transaction. Once, whoever comes first."""
        with self.database.write() as conn:
            now = self.clock.now()
            if not sendings.record_done(conn, begun, found.id, now):
                return
            self.writes += 1
            _store(conn, link, [found], now)
            _take_effect(conn, link.id, begun, found.id, now)
            entry = audit.Entry(
                actor=ACTOR,
                action=begun.step.replace("_", " "),
                subject=begun.subject,
                link_id=link.id,
                detail={"stripe": found.id, "key": begun.key},
            )
            audit.append(conn, now, [entry])

    def _refused(self, begun: Sending, error: SyncError) -> None:
        with self.database.write() as conn:
            sendings.record_refused(conn, begun, problem=error.plain, technical=error.technical)
            detail = {"step": begun.step, "problem": error.plain, "technical": error.technical}
            entry = audit.Entry(
                actor="stripe", action="refused", subject=begun.subject, link_id=begun.link_id, detail=detail
            )
            audit.append(conn, self.clock.now(), [entry])

    def _reconnect(self, link: Link, begun: Sending | None, error: Unauthorized) -> None:
        with self.database.write() as conn:
            now = self.clock.now()
            connections.set_state(conn, link.processor_id, "reconnect", error.plain, now)
            if begun is not None:
                sendings.record_doubt(conn, begun, next_at=now, problem=error.plain)

    def _patiently(self, link: Link, action: Callable[[], Any]) -> Any:
        """Reads, which do no harm and may be repeated."""
        for attempt in range(1, PATIENCE + 1):
            try:
                return action()
            except Forbidden:
                raise
            except Unauthorized as error:
                self._reconnect(link, None, error)
                raise
            except Transient:
                if attempt == PATIENCE:
                    raise
                self.clock.sleep(PAUSE_S * 2**attempt)
        raise AssertionError("unreachable")

    def _link(self) -> Link:
        with self.database.read() as conn:
            return connections.link(conn, self.link_id)

    def _there(self, link: Link, conn: Any = None) -> Connection:
        if conn is not None:
            return connections.connection(conn, link.processor_id)
        with self.database.read() as own:
            return connections.connection(own, link.processor_id)


# ---- decisions


def _decision(dossier: Dossier) -> Decision:
    """What is next, unless an earlier write of the invoice or of its customer is not settled."""
    pending = dossier.unsettled
    if pending is None:
        return decide(dossier.case)
    name = dossier.case.name
    if pending.state == "waiting":
        text = f"{name}: {(pending.problem or '').rstrip('. ')}. Try again once that is mended."
        return Decision(kind="wait", reason="refused", detail=text)
    text = f"Stripe has not said what became of {name}. It is asked again with the next sync."
    return Decision(kind="wait", reason="unclear", detail=text)


def warnings_of(dossier: Dossier) -> list[str]:
    """What a person should know before an invoice is sent: words of the vocabulary."""
    case = dossier.case
    found = ["pay_link"] if case.content.has_pay_link else []
    found += ["new_customer"] if case.payer is None and not case.candidates else []
    return found + (["no_email"] if case.customer is not None and not (case.payer or case.customer).email else [])


# ---- what a write leaves


def _write(begun: Sending) -> Write:
    return Write(step=begun.step, target_id=begun.target_id, params=begun.params, key=begun.key)


def _take_effect(conn: Any, link_id: int, begun: Sending, result_id: str, now: Any) -> None:
    """What a write that was done changes of our own records."""
    effect, invoice_id = begun.effect, begun.subject
    match begun.step:
        case "create_customer":
            made = Pair(
                customer_id=effect["customer_id"],
                processor_customer_id=result_id,
                currency=effect["currency"],
                how="created",
            )
            counterparts.join(conn, link_id, made, actor=ACTOR, at=now, noted_there=True)
        case "create_invoice":
            sending.record_progress(
                conn, link_id, invoice_id, stage="created", processor_invoice_id=result_id, **effect
            )
        case "add_lines" | "finalize" | "send":
            stage = {"add_lines": "lined", "finalize": "finalized", "send": "mailed"}[begun.step]
            sending.record_progress(conn, link_id, invoice_id, stage=stage)
        case "delete_draft" | "void":
            spent = sending.progress(conn, link_id, invoice_id).spent + (begun.step == "void")
            values = {"stage": "none", "processor_invoice_id": None, "digest": "", "spent": spent}
            sending.record_progress(conn, link_id, invoice_id, revision=begun.revision + 1, **values)
        case "report_payment" | "attach_payment" | "give_credit":
            _record_reported(conn, link_id, begun, result_id)


def _record_reported(conn: Any, link_id: int, begun: Sending, result_id: str) -> None:
    known = {each["document_id"]: each for each in sending.progress(conn, link_id, begun.subject).reported}
    old = known.get(begun.effect["document_id"], {})
    record = {} if begun.step == "attach_payment" else {"record_id": result_id}
    new = record | {"attached": begun.step != "report_payment"}
    known[begun.effect["document_id"]] = old | begun.effect | new
    digest = {"digest": begun.effect["digest"]} if "digest" in begun.effect else {}
    sending.record_progress(conn, link_id, begun.subject, reported=[known[key] for key in sorted(known)], **digest)


def _adopt(conn: Any, link: Link, invoice_id: str, sent: Sent) -> None:
    sending.record_progress(
        conn,
        link.id,
        invoice_id,
        stage=sent.stage,
        processor_invoice_id=sent.processor_invoice_id,
        payer_id=sent.payer_id,
        revision=sent.revision,
        spent=sent.spent,
        digest=sent.digest,
    )


def _new_customer(conn: Any, link: Link, dossier: Dossier) -> tuple[Customer, dict[str, Any]]:
    """A customer of the books as it is to be at Stripe."""
    customer, home = dossier.case.customer, mirror.home_currency(conn, link.ledger_id)
    assert customer is not None
    currency = customer.currency or home
    addresses = sorted(emails(customer)) or [dossier.case.invoice.customer_email or ""]
    metadata = {REALM_KEY: realm(conn, link), metadata_key(currency, home): customer.id}
    made = replace(customer, email=addresses[0] or None, metadata=metadata)
    return made, {"customer_id": customer.id, "currency": currency}


def _store(conn: Any, link: Link, found: list[Fetched], now: Any) -> None:
    """What Stripe answered goes into the mirror; it is no news for matching. Who is paying right now is not kept."""
    objects = [(one.kind, one.id, _kept(one), one.raw) for one in found if one.kind in KINDS and one.problem is None]
    mirror.store(conn, link.processor_id, [each for each in objects if each[1]], at=now, actor="stripe", is_news=False)


def _kept(found: Fetched) -> Any:
    record = found.record
    return replace(record, busy=None) if isinstance(record, ProcessorInvoice) else record
