"""The clock of a worker: APScheduler ticks, and a unique row per due time makes the run exactly one."""

from datetime import UTC, datetime

from apscheduler.schedulers.background import BackgroundScheduler

from storage import connections, inbox, runs
from storage.engine import Database
from sync.ports import Clock

TICK_S = 5


def start(database: Database, clock: Clock, interval_s: int) -> BackgroundScheduler:
    """Ticks in a thread of its own until shut down. The job store is in memory: two schedulers never share one."""
    scheduler = BackgroundScheduler(timezone=UTC)
    scheduler.add_job(
        lambda: enqueue_due(database, clock, interval_s),
        "interval",
        seconds=TICK_S,
        misfire_grace_time=300,
        coalesce=True,
        max_instances=1,
        id="tick",
    )
    scheduler.start()
    return scheduler


def enqueue_due(database: Database, clock: Clock, interval_s: int) -> int:
    """Queues what is due: a sync of each link per interval, and at once where a webhook left something to fetch.

    After a failure only the interval counts: what a webhook left is still there, and would be tried at every tick.
    """
    now = clock.now()
    queued = 0
    with database.write() as conn:
        resting = {each.id for each in connections.all_connections(conn) if each.state == "disconnected"}
        for link in connections.all_links(conn):
            if runs.waiting(conn, link.id) or resting & {link.processor_id, link.ledger_id}:
                continue
            sides = (link.processor_id, link.ledger_id)
            hinted = not runs.failed_last(conn, link.id) and any(inbox.due(conn, side, now, limit=1) for side in sides)
            cause, due = ("webhook", now) if hinted else ("schedule", due_time(now, interval_s))
            queued += runs.enqueue(conn, link_id=link.id, kind="sync", cause=cause, scheduled_for=due)
    return queued


def due_time(now: datetime, interval_s: int) -> datetime:
    """The latest multiple of the interval: every process that ticks names the same one."""
    seconds = int(now.timestamp())
    return datetime.fromtimestamp(seconds - seconds % interval_s, UTC)
