"""SQLite's own figures of what is stored, by which it chooses between indexes. PostgreSQL keeps them by itself.

Without them SQLite takes every index for equally good, and goes through all that a link ever posted to find the little
that is open. A sample of each index is enough.
"""

from contextlib import closing

from storage.engine import Database

ROWS_MIN = 20_000  # entries of the audit: a small database is quick by any index, and its figures would soon be wrong
SAMPLE = 1_000  # rows of each index


def refresh(database: Database, rows_min: int = ROWS_MIN) -> bool:
    """Whether they were taken anew. Connections opened later use them, and the one at hand."""
    if database.dialect != "sqlite":
        return False
    with database.read() as conn:
        if (conn.exec_driver_sql("SELECT max(id) FROM audit").scalar() or 0) < rows_min:
            return False
    with closing(database.engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("PRAGMA query_only=OFF")
        cursor.execute(f"PRAGMA analysis_limit={SAMPLE}")
        cursor.execute("ANALYZE")
    return True
