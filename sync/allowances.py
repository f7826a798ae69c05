"""What the other side allows of a connection, and what ends: for people to see before it does."""

from datetime import datetime, timedelta

from storage import budgets, connections
from storage.engine import Database
from sync.qbo.limits import READS_A_MONTH

WARN_AHEAD = timedelta(days=90)


def of_connection(database: Database, connection_id: int, now: datetime) -> list[str]:
    """What Intuit counts, and until when its consent lasts, in sentences; nothing where nothing is counted."""
    with database.read() as conn:
        connection = connections.connection(conn, connection_id)
        if connection.system != "qbo":
            return []
        reads = budgets.reads_in_month(conn, connection.id, now)
    lines = [f"{reads:,} of {READS_A_MONTH:,} reads that QuickBooks counts in {budgets.month_of(now)}"]
    if connection.consent_ends_at is not None:
        ends = f"{connection.consent_ends_at:%Y-%m-%d}"
        soon = connection.consent_ends_at - now < WARN_AHEAD
        lines.append(f"The consent ends on {ends}: connect again before." if soon else f"consent until {ends}")
    return lines
