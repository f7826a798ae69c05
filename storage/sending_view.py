"""What the page "To Stripe" reads: where the invoices of the books stand, and customers to decide about."""

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, Row, func, or_, select

from reconcile.postings import Sending
from reconcile.records import Customer
from storage import connections, contacts, counterparts, mirror
from storage.engine import Database
from storage.models import customer_links, sent_invoices
from storage.types import encode

# What an invoice's state means to a person; `reason` says more.
GROUPS = {
    "do": "to send",
    "wait": "waiting",
    "rest": "done",
}
OUT_OF_SCOPE = ("before_cutover", "nothing_owed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """How many invoices stand alike, and what is open on them together."""

    kind: str
    reason: str
    currency: str
    count: int
    open_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceView:
    invoice_id: str
    number: str | None
    customer: str
    dated: date
    currency: str
    amount_minor: int
    open_minor: int
    kind: str
    reason: str
    detail: str
    warnings: tuple[str, ...]
    processor_invoice_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A customer of the books, and who that may be at Stripe."""

    customer: Customer
    candidates: tuple[Customer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The whole page. `seen` names the figures of what would be sent: what is confirmed is what was looked at."""

    mode: Sending
    makes_customers: bool
    totals: tuple[Total, ...]
    warnings: dict[str, int]
    seen: str
    doubts: tuple[Doubt, ...]
    lone: tuple[Customer, ...]  # Stripe's customers without a counterpart
    second: tuple[Customer, ...]  # Stripe's customers that are in the books, but not in the `currency` they paid in
    refused: tuple[tuple[Customer, str], ...]  # those that could not be made in QuickBooks, and why
    differing: tuple[contacts.Counterparts, ...]  # those whose name or address was changed on both sides

    def count(self, kind: str) -> int:
        return sum(total.count for total in self.totals if total.kind == kind)


def view(database: Database, link_id: int, at_most: int = 50) -> View:
    with database.read() as conn:
        link = connections.link(conn, link_id)
        totals = _totals(conn, link_id)
        doubts = _doubts(conn, link, at_most)
        return View(
            mode=link.policies.sending,
            makes_customers=link.policies.create_customers,
            totals=totals,
            warnings=_warnings(conn, link_id),
            seen=seen(totals),
            doubts=doubts,
            lone=tuple(counterparts.without_counterpart(conn, link, at_most)),
            second=tuple(counterparts.in_another_currency(conn, link, at_most)),
            refused=tuple(counterparts.refused(conn, link)),
            differing=tuple(contacts.differing(conn, link)[:at_most]),
        )


def count_waiting(database: Database, link_id: int) -> int:
    """Invoices that wait while sending is on."""
    with database.read() as conn:
        if connections.link(conn, link_id).policies.sending == "off":
            return 0
        mine = (sent_invoices.c.link_id == link_id, sent_invoices.c.kind == "wait")
        return conn.execute(select(func.count()).select_from(sent_invoices).where(*mine)).scalar_one()


def seen_now(conn: Connection, link_id: int) -> str:
    """What `View.seen` would be now."""
    return seen(_totals(conn, link_id))


def seen(totals: tuple[Total, ...]) -> str:
    figures = [[each.reason, each.currency, each.count, each.open_minor] for each in totals if each.kind == "do"]
    return hashlib.sha256(encode(figures)).hexdigest()[:16]


def summary(conn: Connection, link_id: int) -> list[dict[str, Any]]:
    """The figures of what would be sent, for the audit log."""
    return [
        {"reason": each.reason, "currency": each.currency, "count": each.count, "open_minor": each.open_minor}
        for each in _totals(conn, link_id)
        if each.kind == "do"
    ]


def invoices(
    database: Database, link_id: int, kind: str, *, reason: str | None = None, number: int = 1, size: int = 50
) -> list[InvoiceView]:
    """A page of the invoices of a kind (GROUPS), the newest first."""
    chosen = [sent_invoices.c.link_id == link_id, sent_invoices.c.kind == kind, _in_scope()]
    if reason is not None:
        chosen.append(sent_invoices.c.reason == reason)
    with database.read() as conn:
        rows = conn.execute(
            select(sent_invoices)
            .where(*chosen)
            .order_by(sent_invoices.c.dated.desc(), sent_invoices.c.invoice_id)
            .limit(size)
            .offset((number - 1) * size)
        ).all()
    return [_invoice(row) for row in rows]


def _in_scope() -> Any:
    return sent_invoices.c.reason.not_in(OUT_OF_SCOPE)


def _totals(conn: Connection, link_id: int) -> tuple[Total, ...]:
    columns = (sent_invoices.c.kind, sent_invoices.c.reason, sent_invoices.c.currency)
    rows = conn.execute(
        select(*columns, func.count().label("number"), func.sum(sent_invoices.c.open_minor).label("open"))
        .where(sent_invoices.c.link_id == link_id, _in_scope())
        .group_by(*columns)
        .order_by(*columns)
    )
    return tuple(
        Total(kind=row.kind, reason=row.reason, currency=row.currency, count=row.number, open_minor=int(row.open))
        for row in rows
    )


def _warnings(conn: Connection, link_id: int) -> dict[str, int]:
    """How many of the invoices that can be paid at Stripe, or will be, have each warning."""
    found: dict[str, int] = {}
    rows = conn.execute(
        select(sent_invoices.c.warnings).where(
            sent_invoices.c.link_id == link_id,
            or_(sent_invoices.c.kind == "do", sent_invoices.c.reason.in_(("open", "drafted"))),
        )
    )
    for warnings in rows.scalars():
        for each in warnings:
            found[each] = found.get(each, 0) + 1
    return found


def _doubts(conn: Connection, link: connections.Link, at_most: int) -> tuple[Doubt, ...]:
    """Those with invoices that wait for it first."""
    waiting = select(sent_invoices.c.customer_id).where(
        sent_invoices.c.link_id == link.id, sent_invoices.c.reason == "customer_doubtful"
    )
    ids = list(
        conn.execute(
            select(customer_links.c.customer_id)
            .where(customer_links.c.link_id == link.id, customer_links.c.state == "proposed")
            .group_by(customer_links.c.customer_id)
            .order_by(customer_links.c.customer_id.not_in(waiting), customer_links.c.customer_id)
            .limit(at_most)
        ).scalars()
    )
    proposed = counterparts.proposed(conn, link.id, ids)
    here: dict[str, Customer] = mirror.load(conn, link.ledger_id, "customer", ids)
    there: dict[str, Customer] = mirror.load(
        conn, link.processor_id, "customer", [each for candidates in proposed.values() for each in candidates]
    )
    return tuple(
        Doubt(
            customer=here[customer_id],
            candidates=tuple(there[each] for each in proposed[customer_id] if each in there),
        )
        for customer_id in ids
        if customer_id in here
    )


def _invoice(row: Row[Any]) -> InvoiceView:
    return InvoiceView(
        invoice_id=row.invoice_id,
        number=row.number,
        customer=row.customer_name,
        dated=row.dated,
        currency=row.currency,
        amount_minor=row.amount_minor,
        open_minor=row.open_minor,
        kind=row.kind,
        reason=row.reason,
        detail=row.detail,
        warnings=tuple(row.warnings),
        processor_invoice_id=row.processor_invoice_id,
    )
