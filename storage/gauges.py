"""How a running installation does, in numbers: for an operator's monitoring. Nothing of what was paid, or by whom."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, func, select

from storage import budgets, connections, runs
from storage.connections import Link
from storage.models import connections as connection_table
from storage.models import inbox, legs, outbox
from storage.models import runs as run_table
from storage.queries import PENDING

UNSENT = ("planned", "sending", "doubtful")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    name: str
    help: str
    value: float
    labels: tuple[tuple[str, str], ...] = ()


def all_of(conn: Connection, now: datetime, reads_a_month: int) -> Iterator[Gauge]:
    """A gauge for each link or connection it is of; ages are seconds, and 0 where nothing waits."""
    for link in connections.all_links(conn):
        yield from _of_link(conn, link, now)
    for row in conn.execute(select(connection_table)):
        mine = (("connection", str(row.id)), ("system", row.system))
        is_ready = float(row.state == "ready")
        yield Gauge(name="connection_ready", help="1 if it can be used.", value=is_ready, labels=mine)
        yield Gauge(
            name="event_lag_seconds",
            help="Age of the oldest event that was not fetched yet.",
            value=_age(conn.scalar(_oldest_event(row.id)), now),
            labels=mine,
        )
        for purpose, stored_at in sorted(connections.secret_times(conn, row.id).items()):
            yield Gauge(
                name="secret_age_seconds",
                help="Since a key or token was stored.",
                value=_age(stored_at, now),
                labels=(*mine, ("purpose", purpose)),
            )
        if row.consent_ends_at is not None:
            left = (row.consent_ends_at - now).total_seconds()
            yield Gauge(name="consent_left_seconds", help="Until somebody must consent again.", value=left, labels=mine)
        if row.system == "qbo":
            left = reads_a_month - budgets.reads_in_month(conn, row.id, now)
            yield Gauge(name="reads_left", help="Of this month, as QuickBooks counts them.", value=left, labels=mine)


def _of_link(conn: Connection, link: Link, now: datetime) -> Iterator[Gauge]:
    mine = (("link", str(link.id)),)
    good = select(func.max(run_table.c.finished_at)).where(
        run_table.c.link_id == link.id, run_table.c.state == "done", run_table.c.kind != runs.LOOK
    )
    waits = (legs.c.link_id == link.id, legs.c.state == "waiting", legs.c.reason.not_in(PENDING))
    unsent = select(func.min(outbox.c.planned_at)).where(
        outbox.c.connection_id == link.ledger_id, outbox.c.state.in_(UNSENT), outbox.c.link_id == link.id
    )
    states = select(outbox.c.state, func.count()).where(outbox.c.link_id == link.id).group_by(outbox.c.state)
    yield Gauge(name="posting_on", help="1 if documents are posted.", value=float(link.posting_on), labels=mine)
    yield Gauge(
        name="sync_age_seconds",
        help="Since the last sync that went through.",
        value=_age(conn.scalar(good), now),
        labels=mine,
    )
    yield Gauge(
        name="last_sync_failed",
        help="1 if the last sync did not go through.",
        value=float(runs.failed_last(conn, link.id)),
        labels=mine,
    )
    yield Gauge(
        name="waiting",
        help="Stripe objects that wait for a person.",
        value=conn.scalar(select(func.count(legs.c.source_id.distinct())).where(*waits)) or 0,
        labels=mine,
    )
    yield Gauge(
        name="waiting_oldest_seconds",
        help="Age of the oldest of them.",
        value=_age(conn.scalar(select(func.min(legs.c.created_at)).where(*waits)), now),
        labels=mine,
    )
    yield Gauge(
        name="unposted_oldest_seconds",
        help="Since the oldest document that is not posted was planned.",
        value=_age(conn.scalar(unsent), now),
        labels=mine,
    )
    for state, number in conn.execute(states.order_by(outbox.c.state)):
        labels = (*mine, ("state", state))
        yield Gauge(name="documents", help="Documents of ours, by state.", value=number, labels=labels)


def _oldest_event(connection_id: int) -> Select[datetime]:
    fresh = (inbox.c.connection_id == connection_id, inbox.c.state == "new")
    return select(func.min(inbox.c.received_at)).where(*fresh)


def _age(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())
