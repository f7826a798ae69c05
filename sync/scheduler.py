"""The clock of a worker: APScheduler ticks, and a unique row per due time makes the run exactly one."""

from collections.abc import Sequence
from datetime import UTC

from apscheduler.schedulers.background import BackgroundScheduler

from storage import connections, inbox, runs, schedules
from storage.engine import Database
from sync.alerting import Alerting, Tell
from sync.ports import Clock
from sync.schedules import last_due

TICK_S, LOOK_S = 5, 60


def start(database: Database, clock: Clock, interval_s: int, channels: Sequence[Tell] = ()) -> BackgroundScheduler:
    """Ticks in a thread of its own until shut down. The job store is in memory: two schedulers never share one.

    `channels` are told what needs a person.
    """
    scheduler = BackgroundScheduler(timezone=UTC, job_defaults={"misfire_grace_time": 300, "coalesce": True})
    scheduler.add_job(lambda: enqueue_due(database, clock, interval_s), "interval", seconds=TICK_S, id="tick")
    if channels:
        scheduler.add_job(Alerting(database, clock, channels).tick, "interval", seconds=LOOK_S, id="alerts")
    scheduler.start()
    return scheduler


def enqueue_due(database: Database, clock: Clock, interval_s: int) -> int:
    """Queues what is due: a sync of each link by its schedule, and at once where a webhook left something to fetch.

    After a failure only the schedule counts: what a webhook left is still there, and would be tried at every tick.
    """
    now = clock.now()
    queued = 0
    with database.write() as conn:
        resting = {each.id for each in connections.all_connections(conn) if each.state == "disconnected"}
        for link in connections.all_links(conn):
            if runs.waiting(conn, link.id) or resting & {link.processor_id, link.ledger_id}:
                continue
            sides = (link.processor_id, link.ledger_id)
            chosen = schedules.of_link(conn, link.id)
            listens = (chosen is None or chosen.schedule.on_news) and not runs.failed_last(conn, link.id)
            hinted = listens and any(inbox.due(conn, side, now, limit=1) for side in sides)
            due = now if hinted else last_due(chosen, link.time_zone, now, interval_s)
            if due is not None:
                cause = "webhook" if hinted else "schedule"
                queued += runs.enqueue(conn, link_id=link.id, kind="sync", cause=cause, scheduled_for=due)
    return queued
