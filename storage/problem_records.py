"""The records of one cause of storage.problems, page by page, each with what is known of it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from reconcile.mapping import MORE
from storage import connections, mirror, problems
from storage.connections import Link
from storage.engine import Database
from storage.models import customer_links, inbox, legs, outbox, sent_invoices
from storage.problems import UNREADABLE, Cause

OF_VENDORS = ("purchase", "deposit")  # documents whose party is a vendor


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One of those that wait. `row_id` is what commands take; `object_id` what both sides call it."""

    row_id: str
    object_id: str
    name: str
    since: datetime
    text: str = ""
    technical: str = ""
    dated: date | None = None
    amount: tuple[str, int] | None = None  # (currency, minor units)
    source_id: str | None = None  # the Stripe object behind it


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    rows: tuple[Record, ...]
    total: int


def records(
    database: Database, link_id: int, cause: Cause, now: datetime, *, number: int = 1, size: int = 20
) -> Records:
    """A page of those that wait, the oldest first."""
    start = (number - 1) * size
    with database.read() as conn:
        link = connections.link(conn, link_id)
        match cause.kind:
            case "mapping" | "closed" | "rate" | "by_hand":
                return _leg_records(conn, link, cause, start, size)
            case "refused" | "doubtful":
                return _posting_records(conn, link, cause, now, start, size)
            case "unreadable" | "unfetched" | "unknown":
                return _received_records(conn, cause, start, size)
            case "to_stripe":
                return _invoice_records(conn, link, cause, start, size)
            case "customers":
                return _customer_records(conn, link, start, size)
    return Records(rows=(), total=0)


def _leg_records(conn: Connection, link: Link, cause: Cause, start: int, size: int) -> Records:
    lacks = [group.lack for group in problems.leg_groups(conn, link) if group.cause[:2] == (cause.kind, cause.key)]
    if not lacks:
        return Records(rows=(), total=0)
    alike = (
        and_(
            legs.c.reason == each.reason,
            legs.c.detail == each.detail,
            legs.c.kind == each.kind,
            legs.c.category == each.category,
            legs.c.currency == each.currency,
        )
        for each in lacks
    )
    these = and_(legs.c.link_id == link.id, legs.c.state == "waiting", or_(*alike))
    rows = conn.execute(select(legs).where(these).order_by(legs.c.created_at, legs.c.id).offset(start).limit(size))
    found = tuple(
        Record(
            row_id=row.id,
            object_id=row.source_id,
            name=f"{row.category}, {row.kind}" if row.kind != "gross" else row.category,
            since=row.created_at,
            text=row.detail.removesuffix(MORE).strip(),
            dated=row.dated,
            amount=(row.currency, row.amount_minor),
            source_id=row.source_id,
        )
        for row in rows
    )
    return Records(rows=found, total=_count(conn, these))


def _posting_records(conn: Connection, link: Link, cause: Cause, now: datetime, start: int, size: int) -> Records:
    doubtful = and_(problems.stuck(link, now), outbox.c.state != "waiting")
    these = problems.refused(link, cause.key) if cause.kind == "refused" else doubtful
    rows = conn.execute(select(outbox).where(these).order_by(outbox.c.id).offset(start).limit(size)).all()
    sources = _sources(conn, link, [share["leg_id"] for row in rows for share in row.posting["shares"]])
    broken = _inactive(conn, link, [row.posting for row in rows]) if cause.key == "reference" else {}
    found = []
    for row in rows:
        posting = row.posting
        source_id = next((sources[share["leg_id"]] for share in posting["shares"] if share["leg_id"] in sources), None)
        found.append(
            Record(
                row_id=str(row.id),
                object_id=row.marker,
                name=row.kind,
                since=row.planned_at,
                text=" ".join(filter(None, (row.problem, broken.get(posting["marker"])))),
                technical=row.technical or "",
                dated=row.dated,
                amount=(posting["currency"], posting["amount_minor"]),
                source_id=source_id,
            )
        )
    return Records(rows=tuple(found), total=_count(conn, these))


def _sources(conn: Connection, link: Link, leg_ids: Iterable[str]) -> dict[str, str]:
    query = select(legs.c.id, legs.c.source_id).where(legs.c.link_id == link.id, legs.c.id.in_(sorted(set(leg_ids))))
    return {row.id: row.source_id for row in conn.execute(query)}


def _inactive(conn: Connection, link: Link, postings: Sequence[dict[str, Any]]) -> dict[str, str]:
    """By marker, which of what a posting refers to is inactive in the books, as they were read last."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for kind, ledger_id in (each for posting in postings for each in _named(posting)):
        wanted[kind].add(ledger_id)
    known = {kind: mirror.load(conn, link.ledger_id, kind, ids) for kind, ids in wanted.items()}
    found = {}
    for posting in postings:
        named = [known[kind][ledger_id] for kind, ledger_id in _named(posting) if ledger_id in known[kind]]
        found[posting["marker"]] = " ".join(f"“{each.name}” is inactive there." for each in named if not each.active)
    return found


def _named(posting: dict[str, Any]) -> list[tuple[str, str]]:
    """What a posting refers to in the company's lists, as (kind, id)."""
    lines = posting.get("lines") or []
    accounts = [posting.get("account_id"), posting.get("other_account_id"), *(line.get("account_id") for line in lines)]
    party = ("vendor" if posting["kind"] in OF_VENDORS else "customer", posting.get("party_id"))
    named = [("account", each) for each in accounts] + [party] + [("item", line.get("item_id")) for line in lines]
    return sorted({(kind, each) for kind, each in named if each})


def _received_records(conn: Connection, cause: Cause, start: int, size: int) -> Records:
    these = problems.arrived(cause.kind, int(cause.key))
    rows = conn.execute(select(inbox).where(these).order_by(inbox.c.id).offset(start).limit(size))
    found = tuple(
        Record(
            row_id=str(row.id),
            object_id=row.object_id or row.event_id,
            name=row.kind.removeprefix("books:") if row.type == UNREADABLE else row.type,
            since=row.received_at,
            text=row.problem or "",
        )
        for row in rows
    )
    return Records(rows=found, total=_count(conn, these))


def _invoice_records(conn: Connection, link: Link, cause: Cause, start: int, size: int) -> Records:
    these = problems.unsent(link, [cause.key])
    order = (sent_invoices.c.dated, sent_invoices.c.invoice_id)
    rows = conn.execute(select(sent_invoices).where(these).order_by(*order).offset(start).limit(size))
    found = tuple(
        Record(
            row_id=row.invoice_id,
            object_id=row.invoice_id,
            name=" · ".join(filter(None, (row.number, row.customer_name))),
            since=row.decided_at,
            text=row.detail,
            dated=row.dated,
            amount=(row.currency, row.open_minor),
        )
        for row in rows
    )
    return Records(rows=found, total=_count(conn, these))


def _customer_records(conn: Connection, link: Link, start: int, size: int) -> Records:
    query = select(customer_links).where(problems.not_made(link)).order_by(customer_links.c.at)
    rows = conn.execute(query.offset(start).limit(size)).all()
    known = mirror.load(conn, link.processor_id, "customer", [row.processor_customer_id for row in rows])
    found = tuple(
        Record(
            row_id=row.processor_customer_id,
            object_id=row.processor_customer_id,
            name=known[row.processor_customer_id].name if row.processor_customer_id in known else "",
            since=row.at,
            text=row.problem or "",
        )
        for row in rows
    )
    return Records(rows=found, total=_count(conn, problems.not_made(link)))


def _count(conn: Connection, these: ColumnElement[bool]) -> int:
    return conn.execute(select(func.count()).where(these)).scalar_one()
