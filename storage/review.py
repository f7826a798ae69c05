"""What the review page reads: the Stripe objects that wait for a person, and both sides of each."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, or_, select

from reconcile.money import to_decimal
from reconcile.records import Charge, Customer, Dispute, Document, Movement, Payout, Refund
from reconcile.typed_fees import object_of
from storage import connections, decisions, legs, mirror
from storage.connections import Link
from storage.decisions import Stored
from storage.engine import Database
from storage.models import legs as leg_table
from storage.models import matches, outbox
from storage.models import mirror as mirror_table
from storage.queries import PENDING
from storage.records import from_json, record_type

SOURCE_KINDS = ("charge", "refund", "payout", "dispute", "movement")
Source = Charge | Refund | Payout | Dispute | Movement


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A Stripe object with something that waits for a person: `amount_minor` is the sum of what waits."""

    source_id: str
    currency: str
    amount_minor: int
    dated: date
    since: datetime
    reason: str
    detail: str
    source: Source | None = None  # None if its record is not known
    charge: Charge | None = None  # of a refund or a dispute: what it gives back

    @property
    def customer(self) -> str:
        payer = self.source if isinstance(self.source, Charge) else self.charge
        return (payer.customer_name or payer.customer_email or "") if payer else ""

    @property
    def description(self) -> str:
        own = getattr(self.source, "description", "")
        return own or (self.charge.description if self.charge else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    items: tuple[Item, ...]
    total: int


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


def reasons(database: Database, link_id: int) -> dict[str, int]:
    """How many Stripe objects wait for a person, by reason."""
    counts: dict[str, int] = defaultdict(int)
    with database.read() as conn:
        for item in _waiting(conn, link_id):
            counts[item.reason] += 1
    return dict(counts)


def page(
    database: Database, link_id: int, *, reason: str | None = None, text: str = "", number: int = 1, size: int = 50
) -> Page:
    """A page of what waits, the newest first."""
    with database.read() as conn:
        link = connections.link(conn, link_id)
        found = [item for item in _waiting(conn, link_id) if reason in (None, item.reason)]
        if text.strip():
            found = [item for item in _with_records(conn, link, found) if _names(item, text)]
        shown = found[(number - 1) * size : number * size]
        return Page(items=tuple(_with_records(conn, link, shown)), total=len(found))


def detail(database: Database, link_id: int, source_id: str) -> Detail | None:
    """Both sides of one Stripe object; None if nothing of it waits any more."""
    with database.read() as conn:
        link = connections.link(conn, link_id)
        found = [item for item in _waiting(conn, link_id, source_id) if item.source_id == source_id]
        if not found:
            return None
        rows = legs.of_sources(conn, link_id, [source_id])
        return Detail(
            item=_with_records(conn, link, found)[0],
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


def _waiting(conn: Connection, link_id: int, source_id: str | None = None) -> list[Item]:
    """One item a Stripe object; what its gross waits for says more than what its fees wait for."""
    query = select(leg_table).where(
        leg_table.c.link_id == link_id, leg_table.c.state == "waiting", leg_table.c.reason.not_in(PENDING)
    )
    if source_id is not None:
        query = query.where(leg_table.c.source_id == source_id)
    groups: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in conn.execute(query.order_by(leg_table.c.created_at, leg_table.c.id)):
        groups[row.source_id].append(row)
    found = [_item(source, rows) for source, rows in groups.items()]
    return sorted(found, key=lambda item: (-item.dated.toordinal(), item.source_id))


def _item(source_id: str, rows: Sequence[Row[Any]]) -> Item:
    first = min(rows, key=lambda row: row.kind != "gross")
    return Item(
        source_id=source_id,
        currency=first.currency,
        amount_minor=sum(row.amount_minor for row in rows if row.currency == first.currency),
        dated=first.dated,
        since=min(row.created_at for row in rows),
        reason=first.reason,
        detail=first.detail,
    )


def _with_records(conn: Connection, link: Link, items: Iterable[Item]) -> list[Item]:
    items = list(items)
    names = {item.source_id: object_of(item.source_id) for item in items}
    sources = _sources(conn, link, sorted(set(names.values())))
    parents = {_parent(source) for source in sources.values()}
    charges: dict[str, Charge] = mirror.load(conn, link.processor_id, "charge", parents)
    found = []
    for item in items:
        source = sources.get(names[item.source_id])
        found.append(replace(item, source=source, charge=charges.get(_parent(source)) if source else None))
    return found


def _parent(source: Source) -> str:
    """The charge that a refund, a dispute or a movement of its own is about."""
    return (source.source_id if isinstance(source, Movement) else getattr(source, "charge_id", None)) or ""


def _sources(conn: Connection, link: Link, ids: Sequence[str]) -> dict[str, Source]:
    found: dict[str, Source] = {}
    for chunk in mirror.chunks(ids):
        rows = conn.execute(
            select(mirror_table.c.kind, mirror_table.c.object_id, mirror_table.c.record).where(
                mirror_table.c.connection_id == link.processor_id,
                mirror_table.c.kind.in_(SOURCE_KINDS),
                mirror_table.c.object_id.in_(chunk),
            )
        )
        found.update({row.object_id: from_json(row.record, record_type(row.kind)) for row in rows})
    return found


def _names(item: Item, text: str) -> bool:
    """Whether an item has every word that is looked for in one of its fields."""
    amount = to_decimal(abs(item.amount_minor), item.currency)
    payer = item.source if isinstance(item.source, Charge) else item.charge
    email = (payer.customer_email or "") if payer else ""
    fields = (item.source_id, item.customer, email, item.description, item.detail, f"{amount} {amount:,}")
    hay = " ".join(fields).casefold()
    return all(word in hay for word in text.casefold().split())


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
    rows = conn.execute(
        select(outbox)
        .where(outbox.c.link_id == link.id, or_(outbox.c.marker.in_(markers), _is_unclear_undo(markers)))
        .order_by(outbox.c.id)
    )
    return tuple(_posting_view(row) for row in rows)


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
