"""What failed, or waits for something outside of matching, by cause: each with its records and what would mend it.

Read by the index of each table's state, however much is stored. What waits for a decision about a payment itself is in
storage.review.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import JSON, BigInteger, ColumnElement, Connection, Row, Text, and_, cast, func, or_, select
from sqlalchemy import type_coerce as coerce
from sqlalchemy.dialects import postgresql

from reconcile.mapping import MORE, Lack, Problem, lacking, unusable
from storage import chart, connected, connections, mirror
from storage.connections import Link
from storage.engine import Database
from storage.models import connections as connection_table
from storage.models import customer_links, inbox, legs, outbox, runs, sent_invoices

Kind = Literal[
    "reconnect",  # key: the connection
    "silent",  # a Web Connector that stays away; key: the connection
    "sync",  # the last sync failed
    "mapping",  # key: the role; empty if none is known
    "closed",  # entries of days whose books are closed
    "rate",  # entries that need an exchange rate
    "by_hand",  # key: the reason; entries that nobody but a person can record
    "refused",  # postings; key: the cause (sync.errors), or the text where there is none
    "doubtful",  # postings of which nobody knows whether they arrived
    "unreadable",  # objects of a side; key: the connection
    "unfetched",  # objects that were refused; key: the connection
    "unknown",  # events of no kind we know; key: the connection
    "to_stripe",  # invoices on their way to Stripe; key: the reason
    "customers",  # customers that QuickBooks did not take
]
UNMAPPED = ("unmapped_account", "unmapped_item")
WAITING: dict[str, Kind] = {
    "closed_period": "closed",
    "FX_RATE_MISSING": "rate",
    "unmapped_category": "by_hand",
    "unmapped_tax": "by_hand",
}
STUCK = ("refused", "gone_at_stripe", "unclear")  # invoices on their way to Stripe
UNREADABLE = "unreadable"  # the type of inbox rows of ours (storage.inbox.hold)
KEY_MAX = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One cause and how much waits for it. `text` is what was said of it, where there is one sentence for all."""

    kind: Kind
    key: str = ""
    text: str = ""
    count: int = 0
    sums: tuple[tuple[str, int], ...] = ()  # (currency, minor units)
    oldest: datetime | None = None

    @property
    def id(self) -> str:
        return f"{self.kind}:{self.key}" if self.key else self.kind


def causes(database: Database, link_id: int, now: datetime) -> list[Cause]:
    """What everything else waits for comes first, then what most wait for."""
    with database.read() as conn:
        link = connections.link(conn, link_id)
        first = [*of_connections(conn, link, now), *_failed(conn, link)]
        rest = [*_legs(conn, link), *_postings(conn, link, now), *_received(conn, link), *_to_stripe(conn, link)]
    return [*first, *sorted(rest, key=lambda each: (-each.count, each.id))]


# ---- connections, and the last sync


def of_connections(conn: Connection, link: Link, now: datetime) -> Iterator[Cause]:
    """Those of a link that cannot be used, or stay away."""
    sides = (link.processor_id, link.ledger_id)
    for row in conn.execute(select(connection_table).where(connection_table.c.id.in_(sides))):
        if row.state != "ready":
            text = row.problem or f"{row.name} must be connected again."
            yield Cause(kind="reconnect", key=str(row.id), text=text, oldest=row.checked_at)
        elif row.system == "qbd":
            visits = connected.visits(conn, row.id)
            if visits.is_late(now):
                text = visits.problem or f"The Web Connector of {row.name} stays away."
                yield Cause(kind="silent", key=str(row.id), text=text, oldest=visits.seen_at)


def _failed(conn: Connection, link: Link) -> Iterator[Cause]:
    """The last sync, unless a connection says why already."""
    ended = (runs.c.link_id == link.id, runs.c.kind != "look", runs.c.state.in_(("done", "failed")))
    row = conn.execute(select(runs).where(*ended).order_by(runs.c.id.desc()).limit(1)).first()
    if row is not None and row.state == "failed":
        yield Cause(kind="sync", text=row.problem, oldest=row.finished_at)


# ---- entries that wait for a choice, an open period, a rate, a person


@dataclass(frozen=True, slots=True)
class _Group:
    """Legs that wait alike."""

    lack: Lack
    cause: tuple[Kind, str, str]  # kind, key, text
    count: int
    amount_minor: int
    oldest: datetime


def _legs(conn: Connection, link: Link) -> list[Cause]:
    groups = leg_groups(conn, link)
    found: dict[tuple[Kind, str], list[_Group]] = defaultdict(list)
    for group in groups:
        found[group.cause[:2]].append(group)
    known = {key for kind, key in found if kind == "mapping"}
    wrong = chart.check(conn, link) if mirror.holds_any(conn, link.ledger_id, "account") else []  # else nobody knows
    broken = [each for each in wrong if not each.missing and each.role.id not in known]
    return [
        *(_of_groups(kind, key, each) for (kind, key), each in found.items()),
        *(Cause(kind="mapping", key=each.role.id, text=each.text) for each in broken),
    ]


def _of_groups(kind: Kind, key: str, groups: Sequence[_Group]) -> Cause:
    sums: dict[str, int] = defaultdict(int)
    for group in groups:
        sums[group.lack.currency] += group.amount_minor
    return Cause(
        kind=kind,
        key=key,
        text=groups[0].cause[2],
        count=sum(group.count for group in groups),
        sums=tuple(sorted(sums.items())),
        oldest=min(group.oldest for group in groups),
    )


def leg_groups(conn: Connection, link: Link) -> list[_Group]:
    alike = (legs.c.reason, legs.c.detail, legs.c.kind, legs.c.category, legs.c.currency)
    query = (
        select(
            *alike,
            func.count().label("number"),
            func.sum(legs.c.amount_minor).label("amount_minor"),
            func.min(legs.c.created_at).label("oldest"),
        )
        .where(legs.c.link_id == link.id, legs.c.state == "waiting", legs.c.reason.in_((*UNMAPPED, *WAITING)))
        .group_by(*alike)
        .order_by(*alike)
    )
    rows = conn.execute(query).all()
    wrong, home = _unusable(conn, link) if rows else [], mirror.home_currency(conn, link.ledger_id)
    return [_group(row, wrong, home) for row in rows]


def _unusable(conn: Connection, link: Link) -> list[Problem]:
    found = chart.load_chosen(conn, link.ledger_id, link.mappings)
    return unusable(link.mappings, found, link.balances, chart.taken(conn, link))


def _group(row: Row[Any], wrong: Sequence[Problem], home: str) -> _Group:
    names = ("kind", "category", "currency", "reason", "detail")
    lack = Lack(**{name: getattr(row, name) for name in names})
    return _Group(lack, _cause_of(lack, wrong, home), row.number, int(row.amount_minor), row.oldest)


def _cause_of(lack: Lack, wrong: Sequence[Problem], home: str) -> tuple[Kind, str, str]:
    if lack.reason not in UNMAPPED:
        kind = WAITING[lack.reason]
        return kind, lack.reason if kind == "by_hand" else "", lack.detail
    problem = lacking(lack, wrong, home)
    if problem is None:
        return "mapping", "", lack.detail.removesuffix(MORE).strip()
    return "mapping", problem.role.id, problem.text


# ---- postings


def _postings(conn: Connection, link: Link, now: datetime) -> list[Cause]:
    amount, currency = _posted(conn)
    key = func.coalesce(outbox.c.cause, outbox.c.problem, "")
    query = select(
        outbox.c.state,
        key.label("key"),
        currency.label("currency"),
        func.count().label("number"),
        func.sum(amount).label("amount_minor"),
        func.min(outbox.c.planned_at).label("oldest"),
        func.max(outbox.c.problem).label("text"),
    ).where(stuck(link, now))
    groups: dict[tuple[Kind, str], list[Row[Any]]] = defaultdict(list)
    for row in conn.execute(query.group_by(outbox.c.state, "key", "currency")):
        groups[("refused", row.key[:KEY_MAX]) if row.state == "waiting" else ("doubtful", "")].append(row)
    return [_of_postings(kind, key, rows) for (kind, key), rows in groups.items()]


def _of_postings(kind: Kind, key: str, rows: Sequence[Row[Any]]) -> Cause:
    sums: dict[str, int] = defaultdict(int)
    for row in rows:
        sums[row.currency] += int(row.amount_minor)
    return Cause(
        kind=kind,
        key=key,
        text=rows[0].text or "",
        count=sum(row.number for row in rows),
        sums=tuple(sorted(sums.items())),
        oldest=min(row.oldest for row in rows),
    )


def stuck(link: Link, now: datetime) -> ColumnElement[bool]:
    """Refused; or in doubt, for which nobody is there any more if it is still `sending` after its lease."""
    states = outbox.c.state.in_(("waiting", "doubtful", "sending"))  # by the index, before the leases are looked at
    gone = or_(outbox.c.state != "sending", outbox.c.lease_until < now)
    return and_(outbox.c.connection_id == link.ledger_id, outbox.c.link_id == link.id, states, gone)


def _posted(conn: Connection) -> tuple[ColumnElement[int], ColumnElement[str]]:
    """Amount and currency out of a posting, read by the database."""
    text = coerce(outbox.c.posting, Text)
    body = cast(text, postgresql.JSON) if conn.dialect.name == "postgresql" else coerce(text, JSON)
    return cast(body["amount_minor"].as_string(), BigInteger), body["currency"].as_string()


def posting_ids(conn: Connection, link_id: int, key: str, after: int = 0, limit: int = 200) -> list[int]:
    """The next refused postings of a cause."""
    link = connections.link(conn, link_id)
    query = select(outbox.c.id).where(refused(link, key), outbox.c.id > after).order_by(outbox.c.id).limit(limit)
    return list(conn.execute(query).scalars())


def refused(link: Link, key: str) -> ColumnElement[bool]:
    alike = func.substr(func.coalesce(outbox.c.cause, outbox.c.problem, ""), 1, KEY_MAX) == key
    mine = (outbox.c.connection_id == link.ledger_id, outbox.c.link_id == link.id, outbox.c.state == "waiting")
    return and_(*mine, alike)


# ---- what was received


def _received(conn: Connection, link: Link) -> list[Cause]:
    sides = (link.processor_id, link.ledger_id)
    query = (
        select(
            inbox.c.connection_id,
            (inbox.c.type == UNREADABLE).label("is_unreadable"),
            (inbox.c.kind == "").label("is_unknown"),
            func.count().label("number"),
            func.min(inbox.c.received_at).label("oldest"),
            func.min(inbox.c.problem).label("text"),
        )
        .where(inbox.c.connection_id.in_(sides), inbox.c.state == "waiting")
        .group_by(inbox.c.connection_id, "is_unreadable", "is_unknown")
    )
    found: list[Cause] = []
    for row in conn.execute(query):
        kind: Kind = "unreadable" if row.is_unreadable else "unknown" if row.is_unknown else "unfetched"
        key = str(row.connection_id)
        found.append(Cause(kind=kind, key=key, text=row.text or "", count=row.number, oldest=row.oldest))
    return found


def arrived(kind: str, connection_id: int) -> ColumnElement[bool]:
    of_kind = {
        "unreadable": inbox.c.type == UNREADABLE,
        "unknown": and_(inbox.c.type != UNREADABLE, inbox.c.kind == ""),
        "unfetched": and_(inbox.c.type != UNREADABLE, inbox.c.kind != ""),
    }[kind]
    return and_(inbox.c.connection_id == connection_id, inbox.c.state == "waiting", of_kind)


def received_ids(conn: Connection, kind: str, connection_id: int, after: int = 0, limit: int = 500) -> list[int]:
    """The next inbox rows of a cause."""
    these = and_(arrived(kind, connection_id), inbox.c.id > after)
    return list(conn.execute(select(inbox.c.id).where(these).order_by(inbox.c.id).limit(limit)).scalars())


# ---- on the way to Stripe


def _to_stripe(conn: Connection, link: Link) -> list[Cause]:
    found: dict[str, list[Row[Any]]] = defaultdict(list)
    columns = (sent_invoices.c.reason, sent_invoices.c.currency)
    query = select(
        *columns,
        func.count().label("number"),
        func.sum(sent_invoices.c.open_minor).label("amount_minor"),
        func.min(sent_invoices.c.decided_at).label("oldest"),
        func.min(sent_invoices.c.detail).label("text"),
    ).where(unsent(link, STUCK))
    for row in conn.execute(query.group_by(*columns)):
        found[row.reason].append(row)
    result = [_of_postings("to_stripe", reason, rows) for reason, rows in found.items()]
    number, oldest = conn.execute(select(func.count(), func.min(customer_links.c.at)).where(not_made(link))).one()
    return [*result, Cause(kind="customers", count=number, oldest=oldest)] if number else result


def unsent(link: Link, reasons: Sequence[str]) -> ColumnElement[bool]:
    mine = (sent_invoices.c.link_id == link.id, sent_invoices.c.kind == "wait", sent_invoices.c.reason.in_(reasons))
    return and_(*mine)


def not_made(link: Link) -> ColumnElement[bool]:
    return and_(customer_links.c.link_id == link.id, customer_links.c.state == "refused")
