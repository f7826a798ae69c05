"""What the pages say of connections. Of a secret they are told since when it is there, never what it is."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection as Conn
from sqlalchemy import select

from storage import connections, consents, outbox, web_connectors
from storage.consents import Consent
from storage.engine import Database
from storage.models import connections as connection_table

MISSED_MAX = 3  # visits of a Web Connector that may stay away before somebody has to look


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitsView:
    """How the Web Connector of a company file does. `in_flight` says what it carries now: read or write."""

    user_name: str
    interval: timedelta
    paused: bool
    seen_at: datetime | None
    in_flight: str | None
    queued: int  # documents ready to be written
    problem: str | None
    problem_at: datetime | None

    def is_late(self, now: datetime) -> bool:
        """Whether it has stayed away for longer than it should; one that never came is not late but new."""
        return not self.paused and self.seen_at is not None and now - self.seen_at > MISSED_MAX * self.interval


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionView:
    """One account or company. `secrets` says since when each is there; `link_id` the link it belongs to."""

    id: int
    system: str
    external_id: str
    name: str
    mode: str
    state: str
    problem: str | None
    checked_at: datetime | None
    consent_ends_at: datetime | None
    time_zone: str | None
    secrets: dict[str, datetime]
    link_id: int | None
    visits: VisitsView | None = None


def all_of(database: Database) -> list[ConnectionView]:
    """Every connection that has credentials, Stripe's first."""
    with database.read() as conn:
        link_of: dict[int, int] = {}
        for link in connections.all_links(conn):
            link_of |= {link.processor_id: link.id, link.ledger_id: link.id}
        rows = conn.execute(
            select(connection_table)
            .where(connection_table.c.mode != "files")
            .order_by(connection_table.c.system.desc(), connection_table.c.id)
        ).all()
        return [
            ConnectionView(
                id=row.id,
                system=row.system,
                external_id=row.external_id,
                name=row.name,
                mode=row.mode,
                state=row.state,
                problem=row.problem,
                checked_at=row.checked_at,
                consent_ends_at=row.consent_ends_at,
                time_zone=row.settings.get("time_zone"),
                secrets=connections.secret_times(conn, row.id),
                link_id=link_of.get(row.id),
                visits=visits(conn, row.id) if row.system == "qbd" else None,
            )
            for row in rows
        ]


def visits(conn: Conn, connection_id: int) -> VisitsView:
    found = web_connectors.of(conn, connection_id)
    return VisitsView(
        user_name=found.user_name,
        interval=timedelta(minutes=found.interval_minutes),
        paused=found.paused,
        seen_at=found.seen_at,
        in_flight=found.in_flight["kind"] if found.in_flight else None,
        queued=outbox.count_ready(conn, connection_id),
        problem=found.problem,
        problem_at=found.problem_at,
    )


def last_consent(database: Database, session: str) -> Consent | None:
    """What came of the last question that this browser session asked Intuit."""
    with database.read() as conn:
        return consents.latest(conn, session)
