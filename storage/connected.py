"""What the pages say of connections. Of a secret they are told since when it is there, never what it is."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from storage import connections, consents
from storage.consents import Consent
from storage.engine import Database
from storage.models import connections as connection_table


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
            )
            for row in rows
        ]


def last_consent(database: Database, session: str) -> Consent | None:
    """What came of the last question that this browser session asked Intuit."""
    with database.read() as conn:
        return consents.latest(conn, session)
