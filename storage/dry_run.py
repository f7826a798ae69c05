"""What a link would write into the books: its planned documents as a person reads them, and what waits."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import Connection, Text, func, select, type_coerce

from reconcile.mapping import Chart
from reconcile.postings import POSTED, Posting
from storage import chart, connections, mirror
from storage.engine import Database
from storage.models import legs, outbox
from storage.queries import PENDING
from storage.records import DOCUMENT_KINDS, from_json

PLANNED = "planned"


class _Head(msgspec.Struct):
    """As much of a posting as its sum takes."""

    kind: str
    currency: str
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """How many documents of a kind, or entries of a reason, and their sum."""

    name: str
    currency: str
    count: int
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LineView:
    """One line: what it is booked to, and what it adds (a debit, in a journal entry)."""

    name: str
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentView:
    """One document that would be written, or changed (`change`), with names instead of ids."""

    marker: str
    kind: str
    change: str | None
    dated: date
    currency: str
    amount_minor: int
    party: str
    account: str
    other_account: str
    lines: tuple[LineView, ...]
    applied: tuple[LineView, ...]
    labels: tuple[str, ...]
    memo: str


def planned(database: Database, link_id: int) -> list[Sum]:
    """The documents that wait for posting, by kind and currency."""
    query = select(type_coerce(outbox.c.posting, Text)).where(_mine(link_id))
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    decoder = msgspec.json.Decoder(_Head)
    with database.read() as conn:
        for text in conn.execute(query).scalars():
            head = decoder.decode(text)
            total = counts[head.kind, head.currency]
            total[0], total[1] = total[0] + 1, total[1] + head.amount_minor
    order = sorted(counts, key=lambda each: (DOCUMENT_KINDS.index(each[0]), each[1]))
    return [
        Sum(name=kind, currency=currency, count=counts[kind, currency][0], amount_minor=counts[kind, currency][1])
        for kind, currency in order
    ]


def waiting(database: Database, link_id: int) -> list[Sum]:
    """The entries that nothing is planned for, by reason."""
    query = (
        select(
            legs.c.reason, legs.c.currency, func.count().label("number"), func.sum(legs.c.amount_minor).label("total")
        )
        .where(legs.c.link_id == link_id, legs.c.state == "waiting", legs.c.reason.not_in(PENDING))
        .group_by(legs.c.reason, legs.c.currency)
        .order_by(legs.c.reason, legs.c.currency)
    )
    with database.read() as conn:
        return [
            Sum(name=row.reason, currency=row.currency, count=row.number, amount_minor=int(row.total))
            for row in conn.execute(query)
        ]


def documents(database: Database, link_id: int, *, kind: str | None, number: int, size: int) -> list[DocumentView]:
    """A page of the planned documents, the oldest first."""
    query = select(outbox.c.posting).where(_mine(link_id)).order_by(outbox.c.dated, outbox.c.id)
    if kind is not None:
        query = query.where(outbox.c.kind == kind)
    with database.read() as conn:
        bodies = conn.execute(query.offset((number - 1) * size).limit(size)).scalars().all()
        postings = [from_json(body, Posting) for body in bodies]
        return _views(conn, connections.link(conn, link_id).ledger_id, postings)


def by_marker(conn: Connection, ledger_id: int, postings: Sequence[Posting]) -> dict[str, DocumentView]:
    return {each.marker: each for each in _views(conn, ledger_id, postings)}


def _mine(link_id: int) -> Any:
    return (outbox.c.link_id == link_id) & (outbox.c.state == PLANNED) & outbox.c.undoes.is_(None)


def _views(conn: Connection, ledger_id: int, postings: Sequence[Posting]) -> list[DocumentView]:
    lists = chart.load(conn, ledger_id)
    customers = mirror.load(conn, ledger_id, "customer", {posting.party_id or "" for posting in postings})
    invoices = mirror.load(conn, ledger_id, "invoice", {part.id for posting in postings for part in posting.applied})
    names = _Names(lists, customers, invoices)
    return [_view(posting, names) for posting in postings]


class _Names:
    """What things are called in the books; an id that is unknown stays an id."""

    def __init__(self, lists: Chart, customers: dict[str, Any], invoices: dict[str, Any]) -> None:
        self._lists, self._customers, self._invoices = lists, customers, invoices

    def account(self, account_id: str | None) -> str:
        return _name(self._lists.accounts, account_id)

    def party(self, posting: Posting) -> str:
        is_vendor = posting.kind == "purchase" and posting.payee == "vendor"
        return _name(self._lists.vendors if is_vendor else self._customers, posting.party_id)

    def invoice(self, document_id: str) -> str:
        if document_id.startswith(POSTED):  # of a posting that comes before it
            return "what went back to the customer"
        found = self._invoices.get(document_id)
        return f"invoice {found.doc_number or found.ledger_id}" if found else document_id.replace(":", " ")

    def line(self, account_id: str | None, item_id: str | None) -> str:
        return _name(self._lists.items, item_id) if item_id else self.account(account_id)

    def labels(self, posting: Posting) -> tuple[str, ...]:
        pairs = (
            ("class", self._lists.classes, posting.class_id),
            ("location", self._lists.departments, posting.location_id),
            ("paid by", self._lists.payment_methods, posting.payment_method_id),
        )
        return tuple(f"{word} {_name(table, value)}" for word, table, value in pairs if value)


def _name(table: Any, key: str | None) -> str:
    if not key:
        return ""
    return str(table[key].name) if key in table else key


def _view(posting: Posting, names: _Names) -> DocumentView:
    return DocumentView(
        marker=posting.marker,
        kind=posting.kind,
        change=posting.change,
        dated=posting.dated,
        currency=posting.currency,
        amount_minor=posting.amount_minor,
        party=names.party(posting),
        account=names.account(posting.account_id),
        other_account=names.account(posting.other_account_id),
        lines=tuple(
            LineView(name=names.line(line.account_id, line.item_id), amount_minor=line.amount_minor)
            for line in posting.lines
        ),
        applied=tuple(
            LineView(name=names.invoice(part.id), amount_minor=part.amount_minor) for part in posting.applied
        ),
        labels=names.labels(posting),
        memo=posting.memo,
    )
