"""Invoices on their way to Stripe: what is known about each, read as cases, and what was decided."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, Connection, Row, Select, and_, bindparam, or_, select, union, update

from reconcile.counterparts import REALM_KEY
from reconcile.outgoing import InvoiceContent
from reconcile.postings import Posting
from reconcile.records import Applied, Charge, Customer, Document, ProcessorInvoice
from reconcile.sending import Case, Decision, PaidPart, Sent, Standing
from storage import connections, counterparts, mirror, sendings
from storage.connections import Link
from storage.engine import upsert
from storage.markers import of_link
from storage.mirror import chunks
from storage.models import legs, matches, outbox, sent_invoices
from storage.models import mirror as mirror_table
from storage.records import DOCUMENT_KINDS, LINK_KEY, from_json
from storage.sendings import Sending

STREAM = "sending"  # the cursor: at which revision of the link everything was decided
Reader = Callable[[str, str], InvoiceContent]  # the books' own text of an invoice, its currency


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """An invoice as the sender sees it; `unsettled` is a write of it, or of its customer, that has not ended."""

    case: Case
    unsettled: Sending | None
    known: Row[Any] | None


def changed(conn: Connection, link: Link, since: datetime, limit: int, after: str = "") -> list[str]:
    """Invoices to decide about, in the order of their ids: what either system has changed since, and what waits."""
    asked = {"link": link.id, "books": link.ledger_id, "there": link.processor_id, "cutover": link.cutover}
    rows = conn.execute(_select_changed(), asked | {"since": since, "after": after, "most": limit})
    return list(rows.scalars())


@cache
def _select_changed() -> Select[Any]:
    since: BindParameter[datetime] = bindparam("since")
    in_books: BindParameter[int] = bindparam("books")
    of_link = sent_invoices.c.link_id == bindparam("link")
    changed = select(mirror_table.c.object_id).where(
        mirror_table.c.connection_id == in_books,
        mirror_table.c.kind == "invoice",
        mirror_table.c.updated_at >= since,
    )
    waiting = select(sent_invoices.c.invoice_id).where(of_link, sent_invoices.c.kind.in_(("do", "wait")))
    at_stripe = (
        select(sent_invoices.c.invoice_id)
        .join(mirror_table, mirror_table.c.object_id == sent_invoices.c.processor_invoice_id)
        .where(
            of_link,
            mirror_table.c.connection_id == bindparam("there"),
            mirror_table.c.kind == "processor_invoice",
            mirror_table.c.updated_at >= since,
        )
    )
    candidates = union(changed, waiting, at_stripe).subquery()
    return (
        select(mirror_table.c.object_id)
        .join(candidates, candidates.c.object_id == mirror_table.c.object_id)
        .outerjoin(
            sent_invoices,
            and_(of_link, sent_invoices.c.invoice_id == mirror_table.c.object_id),
        )
        .where(
            mirror_table.c.connection_id == in_books,
            mirror_table.c.kind == "invoice",
            mirror_table.c.object_id > bindparam("after"),
            or_(
                sent_invoices.c.invoice_id.is_not(None),
                and_(
                    mirror_table.c.open.is_(True),
                    mirror_table.c.parent_id.is_(None),  # ours were written at Stripe
                    mirror_table.c.deleted.is_(False),
                    mirror_table.c.dated >= bindparam("cutover"),
                ),
            ),
        )
        .order_by(mirror_table.c.object_id)
        .limit(bindparam("most"))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What Stripe's side may have to do with any invoice. Only matching and posting change it, not sending.

    `disputed` are documents that a Stripe payment may belong to, as far as we know today; `unsettled_payers` Stripe
    customers with a payment that Stripe has not settled; `is_matched`: matching has looked at everything.
    """

    disputed: frozenset[str]
    unsettled_payers: frozenset[str]
    clearing: frozenset[str]
    is_matched: bool
    realm_id: str


def look_around(conn: Connection, link: Link) -> Around:
    charges: list[Charge] = mirror.load_open(conn, link.processor_id, ["charge"])
    return Around(
        disputed=_disputed(conn, link.id),
        unsettled_payers=frozenset(charge.customer_id or "" for charge in charges),
        clearing=frozenset(link.mappings.clearing.values()),
        is_matched=link.decided_revision == link.revision,
        realm_id=connections.connection(conn, link.ledger_id).external_id,
    )


def load(
    conn: Connection, link: Link, invoice_ids: Sequence[str], read: Reader, today: date, around: Around
) -> list[Dossier]:
    """Everything that is known about some invoices, at one moment."""
    rows = _invoices(conn, link, invoice_ids)
    documents = {row.object_id: from_json(row.record, Document) for row in rows}
    contents = {row.object_id: _content(read, row.raw, documents[row.object_id]) for row in rows}
    sent = {row.invoice_id: row for row in _sent(conn, link.id, invoice_ids)}
    people = _People.of(conn, link, [each.customer_id or "" for each in documents.values()])
    there = _there(conn, link, sent.values())
    facts = _Facts.of(conn, link, documents, contents, around)
    dossiers = []
    for row in rows:
        invoice, content, known = documents[row.object_id], contents[row.object_id], sent.get(row.object_id)
        there_row = there.get(known.processor_invoice_id or "") if known else None
        payer = people.payer(invoice)
        reported = known.reported if known else []
        case = Case(
            invoice=invoice,
            content=content,
            sent=_standing(known),
            mode=link.policies.sending,
            today=today,
            cutover=link.cutover,
            is_owed=not row.deleted and not invoice.voided,
            customer=people.books.get(invoice.customer_id or ""),
            payer=payer,
            candidates=people.candidates.get(invoice.customer_id or "", ()),
            there=from_json(there_row.record, ProcessorInvoice) if there_row and not there_row.deleted else None,
            twin=facts.twins.get(invoice.id),
            number_is_taken=facts.is_taken(invoice, known),
            is_disputed=invoice.id in around.disputed,
            is_report_stale=facts.is_stale(invoice, content, reported),
            lowered_minor=sum(each["amount_minor"] for each in reported if _is_lowering(each)),
            paid=facts.parts(invoice, content, reported, payer),
        )
        subjects = (invoice.id, f"customer:{invoice.customer_id}")
        unsettled = next((facts.unsettled[each] for each in subjects if each in facts.unsettled), None)
        dossiers.append(Dossier(case=case, unsettled=unsettled, known=known))
    return dossiers


def record(
    conn: Connection, link_id: int, dossier: Dossier, decision: Decision, warnings: Sequence[str], at: datetime
) -> None:
    """What was decided about an invoice, for people to see; nothing is written if that is what stands there."""
    invoice = dossier.case.invoice
    row = {
        "link_id": link_id,
        "invoice_id": invoice.id,
        "stage": "none",
        "revision": 1,
        "spent": 0,
        "digest": "",
        "reported": [],
        "customer_id": invoice.customer_id,
        "customer_name": invoice.customer_name or "",
        "number": invoice.doc_number,
        "currency": invoice.currency,
        "amount_minor": invoice.amount_minor,
        "open_minor": invoice.open_minor,
        "dated": invoice.dated,
        "kind": decision.kind,
        "reason": decision.reason,
        "detail": decision.detail,
        "warnings": list(warnings),
        "decided_at": at,
    }
    kept = {"link_id", "invoice_id", "stage", "revision", "spent", "digest", "reported"}
    if dossier.known is not None and all(
        getattr(dossier.known, name) == value for name, value in row.items() if name not in kept | {"decided_at"}
    ):
        return
    upsert(conn, sent_invoices, [row], ["link_id", "invoice_id"], [name for name in row if name not in kept])


def record_progress(conn: Connection, link_id: int, invoice_id: str, **values: Any) -> None:
    """What a write changed of where an invoice stands."""
    mine = (sent_invoices.c.link_id == link_id, sent_invoices.c.invoice_id == invoice_id)
    conn.execute(update(sent_invoices).where(*mine).values(kind="do", **values))


def progress(conn: Connection, link_id: int, invoice_id: str) -> Row[Any]:
    """Where an invoice stands, as stored."""
    return _sent(conn, link_id, [invoice_id])[0]


def decide_again(conn: Connection, link_id: int) -> None:
    """Every invoice that is at Stripe is looked at anew: the policy has changed."""
    mine = (sent_invoices.c.link_id == link_id, sent_invoices.c.processor_invoice_id.is_not(None))
    conn.execute(update(sent_invoices).where(*mine).values(kind="do"))


# ---- what is known


def _content(read: Reader, raw: str, invoice: Document) -> InvoiceContent:
    """One that cannot be read has no lines, so that it waits."""
    try:
        return read(raw, invoice.currency)
    except ValueError:
        return InvoiceContent()


def _invoices(conn: Connection, link: Link, ids: Sequence[str]) -> list[Row[Any]]:
    found: list[Row[Any]] = []
    for chunk in chunks(list(ids)):
        found += conn.execute(
            select(mirror_table)
            .where(
                mirror_table.c.connection_id == link.ledger_id,
                mirror_table.c.kind == "invoice",
                mirror_table.c.object_id.in_(chunk),
            )
            .order_by(mirror_table.c.object_id)
        )
    return found


def _sent(conn: Connection, link_id: int, ids: Sequence[str]) -> list[Row[Any]]:
    found: list[Row[Any]] = []
    for chunk in chunks(list(ids)):
        found += conn.execute(
            select(sent_invoices).where(sent_invoices.c.link_id == link_id, sent_invoices.c.invoice_id.in_(chunk))
        )
    return found


def _standing(row: Row[Any] | None) -> Sent:
    if row is None:
        return Sent()
    return Sent(
        stage=row.stage,
        processor_invoice_id=row.processor_invoice_id,
        payer_id=row.payer_id,
        revision=row.revision,
        spent=row.spent,
        digest=row.digest,
    )


def _there(conn: Connection, link: Link, sent: Iterable[Row[Any]]) -> dict[str, Row[Any]]:
    """The Stripe invoices that were made, gone ones too."""
    ids = sorted({row.processor_invoice_id for row in sent if row.processor_invoice_id})
    found: dict[str, Row[Any]] = {}
    for chunk in chunks(ids):
        rows = conn.execute(
            select(mirror_table).where(
                mirror_table.c.connection_id == link.processor_id,
                mirror_table.c.kind == "processor_invoice",
                mirror_table.c.object_id.in_(chunk),
            )
        )
        found.update({row.object_id: row for row in rows})
    return found


@dataclass(frozen=True, slots=True)
class _People:
    """The customers of some invoices, and their counterparts."""

    books: dict[str, Customer]
    links: dict[str, str]
    payers: dict[str, Customer]
    candidates: dict[str, tuple[str, ...]]

    @classmethod
    def of(cls, conn: Connection, link: Link, ids: Sequence[str]) -> "_People":
        books: dict[str, Customer] = mirror.load(conn, link.ledger_id, "customer", ids)
        links = counterparts.linked(conn, link.id, ids)
        payers: dict[str, Customer] = mirror.load(conn, link.processor_id, "customer", links.values())
        return cls(books, links, payers, counterparts.proposed(conn, link.id, ids))

    def payer(self, invoice: Document) -> Customer | None:
        return self.payers.get(self.links.get(invoice.customer_id or "", ""))


@dataclass(frozen=True, slots=True)
class _Facts:
    """What else bears on some invoices."""

    around: Around
    documents: dict[str, Row[Any]]
    twins: dict[str, ProcessorInvoice]
    numbers: dict[str, frozenset[str]]
    unsettled: dict[str, Sending]

    @classmethod
    def of(
        cls,
        conn: Connection,
        link: Link,
        invoices: dict[str, Document],
        contents: dict[str, InvoiceContent],
        around: Around,
    ) -> "_Facts":
        linked = sorted({each for content in contents.values() for each in content.linked})
        subjects = [*invoices, *(f"customer:{each.customer_id}" for each in invoices.values())]
        documents = _documents(conn, link.ledger_id, linked)
        records: list[Document] = [from_json(row.record, Document) for row in documents.values()]
        used = {part.id for each in records for part in each.applied if part.id.startswith("credit_memo:")}
        return cls(
            around=around,
            documents=documents | _documents(conn, link.ledger_id, sorted(used - set(documents))),
            twins=_twins(conn, link, invoices, around.realm_id),
            numbers=_numbers(conn, link, invoices.values()),
            unsettled=sendings.unsettled(conn, link.id, sorted(set(subjects))),
        )

    def is_taken(self, invoice: Document, known: Row[Any] | None) -> bool:
        own = known.processor_invoice_id if known else None
        spent = known.spent if known else 0
        return not spent and bool(self.numbers.get(invoice.doc_number or "", frozenset()) - {own})

    def parts(
        self, invoice: Document, content: InvoiceContent, reported: list[dict[str, Any]], payer: Customer | None
    ) -> tuple[PaidPart, ...]:
        """The documents that lower what is open on it."""
        known = {each["document_id"]: each for each in reported}
        parts = []
        for document_id in content.linked:
            row = self.documents.get(document_id)
            if row is None:
                continue
            document: Document = from_json(row.record, Document)
            report = known.get(document_id, {})
            parts.append(
                PaidPart(
                    document_id=document_id,
                    amount_minor=sum(part.amount_minor for part in document.applied if part.id == invoice.id),
                    dated=document.dated,
                    standing=self._standing(document, row.claimed, payer),
                    record_id=report.get("record_id"),
                    attached=report.get("attached", False),
                    is_credit=_is_credit(document),
                )
            )
        return tuple(parts)

    def is_stale(self, invoice: Document, content: InvoiceContent, reported: list[dict[str, Any]]) -> bool:
        """Whether something that was taken off at Stripe does not lower the invoice in the books (so) any more."""
        lowering = {part.document_id: part.amount_minor for part in self.parts(invoice, content, [], None)}
        documents = [each for each in reported if not _is_lowering(each)]
        return any(each["attached"] and lowering.get(each["document_id"]) != each["amount_minor"] for each in documents)

    def _credit(self, ids: Sequence[str]) -> Standing:
        """Credit memos that people typed in; one that names something of Stripe's follows a credit Stripe gave."""
        rows = [self.documents.get(each) for each in ids if each.startswith("credit_memo:")]
        memos: list[Document] = [from_json(row.record, Document) for row in rows if row is not None]
        if len(memos) != len(ids) or not memos:
            return "unknown"
        return "stripe" if any(each.marker or each.external_ids for each in memos) else "credit"

    def _standing(self, document: Document, claimed: bool, payer: Customer | None) -> Standing:
        """Whether this money certainly did not come through Stripe."""
        if document.kind != "payment":
            return self._credit([document.id]) if document.kind == "credit_memo" else "unknown"
        if any(part.id.startswith("credit_memo:") for part in document.applied) or not document.amount_minor:
            if document.amount_minor or document.marker:  # money is in it, or it follows a credit note of Stripe's
                return "stripe" if document.marker else "unknown"
            return self._credit([part.id for part in document.applied if not part.id.startswith("invoice:")])
        if document.marker or claimed or document.external_ids or document.account_id in self.around.clearing:
            return "stripe"
        if document.id in self.around.disputed:
            return "stripe"
        if not self.around.is_matched or (payer is not None and payer.id in self.around.unsettled_payers):
            return "pending"
        return "elsewhere"


def _is_lowering(reported: dict[str, Any]) -> bool:
    """Whether what Stripe was told of is that the invoice itself was lowered (reconcile.sending.lowering_id)."""
    return str(reported["document_id"]).startswith("invoice:")


def _is_credit(document: Document) -> bool:
    """Whether it is a credit memo, or what applies one and no money."""
    return document.kind == "credit_memo" or (document.kind == "payment" and not document.amount_minor)


def _disputed(conn: Connection, link_id: int) -> frozenset[str]:
    """Documents of postings that are not in the books yet, and of answers that wait for a person."""
    found: set[str] = set()
    planned = select(outbox.c.posting).where(
        of_link(link_id), outbox.c.state.in_(("planned", "sending", "doubtful", "waiting"))
    )
    for body in conn.execute(planned).scalars():
        applied: tuple[Applied, ...] = from_json(body, Posting).applied
        found |= {part.id for part in applied}
    waiting = (
        select(matches.c.allocations)
        .join(legs, and_(legs.c.link_id == matches.c.link_id, legs.c.source_id == matches.c.source_id))
        .where(matches.c.link_id == link_id, legs.c.state == "waiting", legs.c.kind == "gross")
    )
    for allocations in conn.execute(waiting).scalars():
        found |= {part["ledger_id"] for part in allocations}
    return frozenset(found)


def _documents(conn: Connection, ledger_id: int, ids: Sequence[str]) -> dict[str, Row[Any]]:
    found: dict[str, Row[Any]] = {}
    for kind in sorted({each.partition(":")[0] for each in ids} & set(DOCUMENT_KINDS)):
        for chunk in chunks([each for each in ids if each.startswith(f"{kind}:")]):
            rows = conn.execute(
                select(mirror_table).where(
                    mirror_table.c.connection_id == ledger_id,
                    mirror_table.c.kind == kind,
                    mirror_table.c.object_id.in_(chunk),
                    mirror_table.c.deleted.is_(False),
                )
            )
            found.update({row.object_id: row for row in rows})
    return found


def _twins(conn: Connection, link: Link, invoices: dict[str, Document], realm_id: str) -> dict[str, ProcessorInvoice]:
    """Stripe invoices that name one of these in their metadata, are not ours, and are still worth something."""
    by_id = {invoice.ledger_id: invoice.id for invoice in invoices.values()}
    found: list[ProcessorInvoice] = mirror.load_children(conn, link.processor_id, "processor_invoice", by_id)
    found = [each for each in found if each.metadata.get(REALM_KEY, realm_id) == realm_id]
    ours = set(
        conn.execute(
            select(sent_invoices.c.processor_invoice_id).where(
                sent_invoices.c.link_id == link.id,
                sent_invoices.c.processor_invoice_id.in_([each.id for each in found]),
            )
        ).scalars()
    )
    return {
        by_id[each.metadata[LINK_KEY]]: each
        for each in found
        if each.id not in ours and each.status in ("draft", "open", "paid")
    }


def _numbers(conn: Connection, link: Link, invoices: Iterable[Document]) -> dict[str, frozenset[str]]:
    """Which Stripe invoices have the numbers of these."""
    numbers = sorted({each.doc_number for each in invoices if each.doc_number})
    found: dict[str, set[str]] = {}
    for chunk in chunks(numbers):
        rows = conn.execute(
            select(mirror_table.c.number, mirror_table.c.object_id).where(
                mirror_table.c.connection_id == link.processor_id,
                mirror_table.c.kind == "processor_invoice",
                mirror_table.c.number.in_(chunk),
                mirror_table.c.deleted.is_(False),
            )
        )
        for row in rows:
            found.setdefault(row.number, set()).add(row.object_id)
    return {number: frozenset(ids) for number, ids in found.items()}
