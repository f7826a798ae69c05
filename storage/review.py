"""What the review page reads of one Stripe object: both sides of it, and what was decided. The list: storage.search."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, select

from reconcile.records import Customer, Document
from storage import connections, decisions, legs, mirror, search
from storage.connections import Link
from storage.decisions import Stored
from storage.engine import Database
from storage.models import matches, outbox
from storage.search import Item


@dataclass(frozen=True, slots=True, kw_only=True)
class LegView:
    id: str
    movement_id: str
    kind: str
    currency: str
    amount_minor: int
    state: str
    reason: str
    detail: str
    document_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a field told matching about one document: `weight` is in milli-bits, 1,000 more is twice as likely."""

    ledger_id: str
    field: str
    level: str
    weight: int
    competitors: int  # other documents that were looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One way to settle an object: documents in the books and how much of each."""

    match_id: str
    decision: str
    role: str
    rank: int
    reasons: tuple[str, ...]
    parts: tuple[tuple[Document | None, str, int], ...]  # document (None if gone), its id, amount
    probability_ppm: int | None = None
    told: tuple[Told, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PostingView:
    id: int
    marker: str
    kind: str
    dated: date
    currency: str
    amount_minor: int
    state: str
    attempt: int
    problem: str | None
    technical: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """Both sides of one item. `version` is checked when somebody acts on what is shown here."""

    item: Item
    version: int
    legs: tuple[LegView, ...]
    candidates: tuple[Candidate, ...] = field(default=())
    postings: tuple[PostingView, ...] = field(default=())


def detail(database: Database, link_id: int, source_id: str) -> Detail | None:
    """Both sides of one Stripe object; None if nothing of it waits any more, nor was set aside."""
    with database.read() as conn:
        link = connections.link(conn, link_id)
        item = search.find(conn, link, source_id)
        if item is None:
            return None
        rows = legs.of_sources(conn, link_id, [source_id])
        return Detail(
            item=item,
            version=legs.version_of(rows),
            legs=tuple(_leg_view(row) for row in sorted(rows, key=lambda row: (row.created_at, row.id))),
            candidates=_candidates(conn, link, source_id),
            postings=_postings(conn, link, sorted({marker for row in rows for marker in row.markers})),
        )


def rest_minor(detail: Detail, candidate: Candidate) -> int:
    """What a candidate leaves of the payment: it stays with the customer as credit. In the item's currency."""
    if candidate.role != "pays_invoice":
        return 0
    gross = sum(leg.amount_minor for leg in detail.legs if leg.kind == "gross")
    return gross - sum(amount for _, _, amount in candidate.parts)


def standing(database: Database, link_id: int, source_id: str) -> tuple[Stored, ...]:
    """What people decided of an object, and did not take back."""
    with database.read() as conn:
        return tuple(decisions.standing(conn, link_id, [source_id]).get(source_id, ()))


def customers(database: Database, link_id: int, text: str, limit: int = 50) -> tuple[Customer, ...]:
    """Active customers in the books whose name or address has every word of `text`, by name."""
    words = text.casefold().split()
    with database.read() as conn:
        found: list[Customer] = mirror.load_all(conn, connections.link(conn, link_id).ledger_id, ["customer"])
    fitting = [
        each
        for each in found
        if each.active and all(word in f"{each.name} {each.email or ''}".casefold() for word in words)
    ]
    return tuple(sorted(fitting, key=lambda each: (each.name.casefold(), each.id))[:limit])


def _leg_view(row: Row[Any]) -> LegView:
    names = (name for name in LegView.__dataclass_fields__ if name != "document_ids")
    return LegView(**{name: getattr(row, name) for name in names}, document_ids=tuple(row.document_ids))


def _candidates(conn: Connection, link: Link, source_id: str) -> tuple[Candidate, ...]:
    rows = conn.execute(
        select(matches)
        .where(matches.c.link_id == link.id, matches.c.source_id == source_id)
        .order_by(matches.c.rank, matches.c.id)
    ).all()
    documents = _documents(conn, link, {part["ledger_id"] for row in rows for part in row.allocations})
    return tuple(
        Candidate(
            match_id=row.id,
            decision=row.decision,
            role=row.role,
            rank=row.rank,
            reasons=tuple(row.reasons),
            probability_ppm=row.probability_ppm,
            told=tuple(Told(**each) for each in row.evidence or ()),
            parts=tuple(
                (documents.get(part["ledger_id"]), part["ledger_id"], part["amount_minor"]) for part in row.allocations
            ),
        )
        for row in rows
    )


def _documents(conn: Connection, link: Link, ids: Iterable[str]) -> dict[str, Document]:
    """Documents with the names and addresses of their customers."""
    by_kind: dict[str, list[str]] = defaultdict(list)
    for document_id in ids:
        by_kind[document_id.partition(":")[0]].append(document_id)
    found: dict[str, Document] = {}
    for kind, wanted in by_kind.items():
        found |= mirror.load(conn, link.ledger_id, kind, wanted)
    customers: dict[str, Customer] = mirror.load(
        conn, link.ledger_id, "customer", [document.customer_id or "" for document in found.values()]
    )
    return {key: _with_customer(document, customers) for key, document in found.items()}


def _with_customer(document: Document, customers: dict[str, Customer]) -> Document:
    customer = customers.get(document.customer_id or "")
    if customer is None:
        return document
    email = document.customer_email or customer.email
    return replace(document, customer_name=customer.name, customer_email=email)


def _postings(conn: Connection, link: Link, markers: Sequence[str]) -> tuple[PostingView, ...]:
    ours = select(outbox).where(outbox.c.link_id == link.id)
    # One after the other, and ordered here: else SQLite walks along all postings instead of looking the markers up.
    either = (outbox.c.marker.in_(markers), _is_unclear_undo(markers)) if markers else ()
    rows = {row.id: row for which in either for row in conn.execute(ours.where(which))}
    return tuple(_posting_view(rows[row_id]) for row_id in sorted(rows))


def _is_unclear_undo(markers: Sequence[str]) -> ColumnElement[bool]:
    return and_(outbox.c.undoes.in_(markers), outbox.c.state == "waiting")


def _posting_view(row: Row[Any]) -> PostingView:
    return PostingView(
        id=row.id,
        marker=row.marker,
        kind=row.kind,
        dated=row.dated,
        currency=row.posting["currency"],
        amount_minor=row.posting["amount_minor"],
        state=row.state,
        attempt=row.attempt,
        problem=row.problem,
        technical=row.technical,
    )
