"""Everything the pages read. Each function is one short read and gives plain values: pages know no SQL and no rows."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

import polars as pl
from sqlalchemy import Connection, Row, and_, func, select

from reconcile.money import to_decimal
from reconcile.proof import Proof, check_balances, prove
from reconcile.records import Account, Charge, Customer, Dispute, Document, Movement, Payout, Refund
from storage import connections, legs, mirror, proof
from storage.connections import Link
from storage.engine import Database as Database  # noqa: PLC0414 - the pages' name for it
from storage.models import connections as connection_table
from storage.models import legs as leg_table
from storage.models import links as link_table
from storage.models import matches, outbox, runs
from storage.models import mirror as mirror_table
from storage.records import from_json, record_type

# Reasons that need nobody: the next sync, the calendar, or the decision about the charge they belong to settles them.
PENDING = ("queued", "undecided", "in_transit", "waits_with_charge", "awaiting_reversal", "opening")
IN_BOOKS = ("posted", "verified")
SOURCE_KINDS = ("charge", "refund", "payout", "dispute", "movement")
Mode = Literal["emulated", "test", "live"]
Source = Charge | Refund | Payout | Dispute | Movement


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A connection as the pages show it."""

    id: int
    system: str
    external_id: str
    name: str
    mode: str
    state: str
    problem: str | None
    checked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkView:
    """One Stripe account joined to one company."""

    id: int
    name: str
    mode: str
    posting_on: bool
    cutover: date
    time_zone: str
    has_opened: bool  # its opening balances are known, so that there is something to prove
    currencies: tuple[str, ...]
    stripe: Side
    books: Side

    def today(self, now: datetime) -> date:
        return now.astimezone(ZoneInfo(self.time_zone)).date()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    id: int
    cause: str
    state: str
    step: str
    done: int
    total: int | None
    counts: dict[str, int]
    problem: str | None
    scheduled_for: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def duration(self) -> timedelta | None:
        return self.finished_at - self.started_at if self.finished_at and self.started_at else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """What a link is doing: the run at work or in the queue, the last one that ended, the last one that ended well."""

    current: RunView | None
    last: RunView | None
    last_good: RunView | None

    @property
    def is_first(self) -> bool:
        """Nothing was ever synced to its end."""
        return self.last_good is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """How many legs stand alike, and their sum."""

    currency: str
    state: str
    reason: str
    count: int
    amount_minor: int
    oldest: datetime

    @property
    def standing(self) -> str:
        """matched, posted, ignored; what waits is pending (settles by itself) or waiting (for a person)."""
        return "pending" if self.state == "waiting" and self.reason in PENDING else self.state


@dataclass(frozen=True, slots=True, kw_only=True)
class TieOut:
    """The proof of a link through `day`, and what is wrong with the sums themselves, in sentences.

    `items` (ITEM_SCHEMA) are the parts of that day's differences. Their reason "waiting" is for a person; what waits
    but settles by itself has the reason "pending".
    """

    day: date
    proof: Proof
    items: pl.DataFrame
    violations: tuple[str, ...]

    def items_of(self, currency: str) -> pl.DataFrame:
        return self.items.filter(pl.col("currency") == currency)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewItem:
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
class ReviewPage:
    items: tuple[ReviewItem, ...]
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
class Candidate:
    """One way to settle an object: documents in the books and how much of each."""

    decision: str
    role: str
    rank: int
    reasons: tuple[str, ...]
    parts: tuple[tuple[Document | None, str, int], ...]  # document (None if gone), its id, amount


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
class ReviewDetail:
    """Both sides of one item."""

    item: ReviewItem
    legs: tuple[LegView, ...]
    candidates: tuple[Candidate, ...] = field(default=())
    postings: tuple[PostingView, ...] = field(default=())


# ---- links and runs


def links(database: Database) -> list[LinkView]:
    with database.read() as conn:
        sides = {row.id: _side(row) for row in conn.execute(select(connection_table))}
        return [_link_view(row, sides) for row in conn.execute(select(link_table).order_by(link_table.c.id))]


def pulse(database: Database, link_id: int) -> Pulse:
    with database.read() as conn:
        return Pulse(
            current=_first_run(conn, link_id, runs.c.state.in_(("running", "queued")), by=runs.c.state.desc()),
            last=_first_run(conn, link_id, runs.c.state.in_(("done", "failed")), by=runs.c.id.desc()),
            last_good=_first_run(conn, link_id, runs.c.state == "done", by=runs.c.id.desc()),
        )


def history(database: Database, link_id: int, limit: int = 50) -> list[RunView]:
    """The newest runs first."""
    query = select(runs).where(runs.c.link_id == link_id).order_by(runs.c.id.desc()).limit(limit)
    with database.read() as conn:
        return [_run(row) for row in conn.execute(query)]


def _first_run(conn: Connection, link_id: int, where: Any, *, by: Any) -> RunView | None:
    row = conn.execute(select(runs).where(runs.c.link_id == link_id, where).order_by(by, runs.c.id).limit(1)).first()
    return None if row is None else _run(row)


def _run(row: Row[Any]) -> RunView:
    return RunView(**{name: getattr(row, name) for name in RunView.__dataclass_fields__})


def _side(row: Row[Any]) -> Side:
    return Side(**{name: getattr(row, name) for name in Side.__dataclass_fields__})


def _link_view(row: Row[Any], sides: dict[int, Side]) -> LinkView:
    stripe, books = sides[row.processor_id], sides[row.ledger_id]
    modes = {stripe.mode, books.mode}
    return LinkView(
        id=row.id,
        name=row.name,
        mode=next(mode for mode in ("live", "test", "emulated") if mode in modes),
        posting_on=row.posting_on,
        cutover=row.cutover,
        time_zone=row.time_zone,
        has_opened=row.openings is not None,
        currencies=tuple(sorted(row.balances)),
        stripe=stripe,
        books=books,
    )


# ---- overview


def totals(database: Database, link_id: int) -> list[Total]:
    """Where all legs stand, but for those that are inside the opening balance."""
    group = (leg_table.c.currency, leg_table.c.state, leg_table.c.reason)
    query = (
        select(
            *group,
            func.count().label("number"),
            func.sum(leg_table.c.amount_minor).label("amount_minor"),
            func.min(leg_table.c.created_at).label("oldest"),
        )
        .where(leg_table.c.link_id == link_id, leg_table.c.reason != "opening")
        .group_by(*group)
        .order_by(*group)
    )
    with database.read() as conn:
        return [
            Total(
                currency=row.currency,
                state=row.state,
                reason=row.reason,
                count=row.number,
                amount_minor=int(row.amount_minor),
                oldest=row.oldest,
            )
            for row in conn.execute(query)
        ]


def activity(database: Database, link_id: int, currency: str) -> pl.DataFrame:
    """`day, standing, count`: where the legs of each day stand now."""
    query = (
        select(leg_table.c.dated, leg_table.c.state, leg_table.c.reason, func.count().label("number"))
        .where(leg_table.c.link_id == link_id, leg_table.c.currency == currency, leg_table.c.before_cutover.is_(False))
        .group_by(leg_table.c.dated, leg_table.c.state, leg_table.c.reason)
    )
    counts: dict[tuple[date, str], int] = defaultdict(int)
    with database.read() as conn:
        for row in conn.execute(query):
            pending = row.state == "waiting" and row.reason in PENDING
            counts[row.dated, "pending" if pending else row.state] += row.number
    rows = sorted((day, standing, count) for (day, standing), count in counts.items())
    schema = {"day": pl.Date, "standing": pl.String, "count": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def tie_out(database: Database, link_id: int, now: datetime) -> TieOut | None:
    """The proof through today; None while the opening balances are not known."""
    with database.read() as conn:
        link = connections.link(conn, link_id)
        if link.openings is None:
            return None
        openings, leg_frame = proof.load_openings(link), proof.load_legs(conn, link)
        clearing = proof.load_clearing(conn, link)
        ledger_now = _ledger_balances(conn, link)
        is_moving = _first_run(conn, link.id, runs.c.state == "running", by=runs.c.id) is not None
    day = now.astimezone(ZoneInfo(link.time_zone)).date()
    found = prove(openings, leg_frame, clearing, day)
    violations: tuple[str, ...] = ()
    if not is_moving:  # otherwise both sides' own balances are of another moment than what is read so far
        violations = check_balances(openings, leg_frame, clearing, stripe_now=link.balances, ledger_now=ledger_now)
    return TieOut(day=day, proof=found, items=_items(found, leg_frame, day), violations=violations)


def _items(found: Proof, leg_frame: pl.DataFrame, day: date) -> pl.DataFrame:
    pending = leg_frame.filter(pl.col("state") == "waiting", pl.col("reason").is_in(PENDING))["leg_id"].unique()
    stands = pl.col("until_day").is_null() | (pl.col("until_day") > day)
    is_pending = (pl.col("reason") == "waiting") & pl.col("leg_id").is_in(pending.to_list())
    reason = pl.when(is_pending).then(pl.lit("pending")).otherwise("reason")
    return found.items.filter(pl.col("from_day") <= day, stands).with_columns(reason=reason)


def _ledger_balances(conn: Connection, link: Link) -> dict[str, int]:
    """What the clearing accounts say themselves, where they do."""
    accounts: dict[str, Account] = mirror.load(conn, link.ledger_id, "account", link.mappings.clearing.values())
    balances = {
        currency: accounts[account].balance_minor
        for currency, account in link.mappings.clearing.items()
        if account in accounts
    }
    return {currency: balance for currency, balance in balances.items() if balance is not None}


# ---- review


def review_reasons(database: Database, link_id: int) -> dict[str, int]:
    """How many Stripe objects wait for a person, by reason."""
    counts: dict[str, int] = defaultdict(int)
    with database.read() as conn:
        for item in _waiting(conn, link_id):
            counts[item.reason] += 1
    return dict(counts)


def review(
    database: Database, link_id: int, *, reason: str | None = None, text: str = "", page: int = 1, size: int = 50
) -> ReviewPage:
    """A page of what waits, the newest first."""
    with database.read() as conn:
        link = connections.link(conn, link_id)
        found = [item for item in _waiting(conn, link_id) if reason in (None, item.reason)]
        if text.strip():
            found = [item for item in _with_records(conn, link, found) if _names(item, text)]
        shown = found[(page - 1) * size : page * size]
        return ReviewPage(items=tuple(_with_records(conn, link, shown)), total=len(found))


def review_detail(database: Database, link_id: int, source_id: str) -> ReviewDetail | None:
    """Both sides of one Stripe object; None if nothing of it waits any more."""
    with database.read() as conn:
        link = connections.link(conn, link_id)
        found = [item for item in _waiting(conn, link_id, source_id) if item.source_id == source_id]
        if not found:
            return None
        rows = legs.of_sources(conn, link_id, [source_id])
        return ReviewDetail(
            item=_with_records(conn, link, found)[0],
            legs=tuple(_leg_view(row) for row in sorted(rows, key=lambda row: (row.created_at, row.id))),
            candidates=_candidates(conn, link, source_id),
            postings=_postings(conn, link, sorted({marker for row in rows for marker in row.markers})),
        )


def _waiting(conn: Connection, link_id: int, source_id: str | None = None) -> list[ReviewItem]:
    """One item a Stripe object; what its gross waits for says more than what its fees wait for."""
    query = select(leg_table).where(
        leg_table.c.link_id == link_id, leg_table.c.state == "waiting", leg_table.c.reason.not_in(PENDING)
    )
    if source_id is not None:
        query = query.where(leg_table.c.source_id == source_id)
    groups: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in conn.execute(query.order_by(leg_table.c.created_at.desc(), leg_table.c.id)):
        groups[row.source_id].append(row)
    return [_review_item(source, rows) for source, rows in groups.items()]


def _review_item(source_id: str, rows: Sequence[Row[Any]]) -> ReviewItem:
    first = min(rows, key=lambda row: (row.kind != "gross", row.id))
    return ReviewItem(
        source_id=source_id,
        currency=first.currency,
        amount_minor=sum(row.amount_minor for row in rows if row.currency == first.currency),
        dated=first.dated,
        since=min(row.created_at for row in rows),
        reason=first.reason,
        detail=first.detail,
    )


def _with_records(conn: Connection, link: Link, items: Iterable[ReviewItem]) -> list[ReviewItem]:
    items = list(items)
    sources = _sources(conn, link, [item.source_id for item in items])
    parents = {source.charge_id for source in sources.values() if isinstance(source, Refund | Dispute)}
    charges: dict[str, Charge] = mirror.load(conn, link.processor_id, "charge", [each or "" for each in parents])
    found = []
    for item in items:
        source = sources.get(item.source_id)
        parent = source.charge_id if isinstance(source, Refund | Dispute) else None
        found.append(replace(item, source=source, charge=charges.get(parent or "")))
    return found


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


def _names(item: ReviewItem, text: str) -> bool:
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
            decision=row.decision,
            role=row.role,
            rank=row.rank,
            reasons=tuple(row.reasons),
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
        select(outbox).where(and_(outbox.c.link_id == link.id, outbox.c.marker.in_(markers))).order_by(outbox.c.id)
    )
    return tuple(
        PostingView(
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
        for row in rows
    )
