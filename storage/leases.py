"""What only one worker at a time may do with a connection. A lease ends by itself when its holder is gone."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete

from storage.engine import upsert
from storage.models import leases


def take(conn: Connection, connection_id: int, purpose: str, holder: str, at: datetime, lease_s: float) -> bool:
    """False if somebody else holds it."""
    row = {
        "connection_id": connection_id,
        "purpose": purpose,
        "holder": holder,
        "until": at + timedelta(seconds=lease_s),
    }
    return upsert(conn, leases, [row], ["connection_id", "purpose"], where=lambda _: leases.c.until < at) == 1


def give_back(conn: Connection, connection_id: int, purpose: str, holder: str) -> None:
    mine = (leases.c.connection_id == connection_id, leases.c.purpose == purpose, leases.c.holder == holder)
    conn.execute(delete(leases).where(*mine))
