"""What needs a person although nobody looks at a page: each such need is told of once, and again when it comes back."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, or_, select, update

from storage import audit, connections
from storage.engine import insert_ignore
from storage.models import alerts, runs
from storage.problems import of_connections

FAILING = timedelta(hours=1)  # a sync that fails for longer does not mend itself
CONSENT_ENDS = timedelta(days=14)
TOLD_AGAIN = timedelta(minutes=5)  # after somebody began to tell and did not come to an end


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """`subject` is a link or connection, as the audit names it; `cause` a word for what is wrong with it."""

    subject: str
    cause: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    id: int
    text: str


def needs(conn: Connection, now: datetime) -> Iterator[Need]:
    """What a person has to mend: a connection not ready, silent or about to end; a sync that goes on failing; an audit
    log that was changed.
    """
    if problem := audit.standing_problem(conn):
        yield Need(subject="audit log", cause="changed", text=f"{problem} The page Audit says what to do.")
    sides = connections.all_connections(conn)
    resting = {side.id for side in sides if side.state == "disconnected"}  # by somebody, so that is no news
    told = set()
    for link in connections.all_links(conn):
        if resting & {link.processor_id, link.ledger_id}:
            continue
        for cause in of_connections(conn, link, now):
            subject = f"connection {cause.key}"
            if subject not in told:
                yield Need(subject=subject, cause=cause.kind, text=cause.text or "A connection needs you.")
            told.add(subject)
        yield from _failing(conn, link, now)
    for side in sides:
        if (
            side.state != "disconnected"
            and side.consent_ends_at is not None
            and side.consent_ends_at - now < CONSENT_ENDS
        ):
            text = f"The consent for {side.name} ends on {side.consent_ends_at:%Y-%m-%d}. Connect it again before."
            yield Need(subject=f"connection {side.id}", cause="consent", text=text)


def _failing(conn: Connection, link: connections.Link, now: datetime) -> Iterator[Need]:
    ended = select(runs).where(runs.c.link_id == link.id, runs.c.kind != "look", runs.c.state.in_(("done", "failed")))
    last = conn.execute(ended.order_by(runs.c.id.desc()).limit(1)).first()
    if last is None or last.state == "done":
        return
    good = ended.where(runs.c.state == "done").order_by(runs.c.id.desc()).limit(1)
    since = next((row.id for row in conn.execute(good)), 0)
    first = conn.execute(ended.where(runs.c.id > since).order_by(runs.c.id).limit(1)).one()
    if first.finished_at is not None and now - first.finished_at > FAILING:
        text = f"{link.name} has not been synced since {first.finished_at:%Y-%m-%d %H:%M} UTC: {last.problem}"
        yield Need(subject=f"link {link.id}", cause="sync", text=text)


def note(conn: Connection, found: list[Need], now: datetime) -> None:
    """Notes what is new, and what is over."""
    rows = [{"subject": each.subject, "cause": each.cause, "text": each.text, "raised_at": now} for each in found]
    insert_ignore(conn, alerts, rows)
    still = {(each.subject, each.cause) for each in found}
    for row in conn.execute(select(alerts).where(alerts.c.over_at.is_(None))).all():
        if (row.subject, row.cause) not in still:
            conn.execute(update(alerts).where(alerts.c.id == row.id).values(over_at=now))


def take(conn: Connection, now: datetime) -> list[Alert]:
    """Those nobody was told of yet; whoever took one and did not say that it is told leaves it to the next."""
    free = (
        alerts.c.over_at.is_(None),
        alerts.c.told_at.is_(None),
        or_(alerts.c.lease_until.is_(None), alerts.c.lease_until < now),
    )
    taken = update(alerts).where(*free).values(lease_until=now + TOLD_AGAIN).returning(alerts.c.id, alerts.c.text)
    return [Alert(id=row.id, text=row.text) for row in conn.execute(taken).all()]


def record_told(conn: Connection, alert_id: int, now: datetime) -> None:
    conn.execute(update(alerts).where(alerts.c.id == alert_id).values(told_at=now, lease_until=None))
