"""What the other side allows in a while, shared by all workers of a connection; and the reads it counts by the month.

A limit is kept as one instant: how far it is used up (known as GCRA). Each taking moves the instant on by the interval
that keeps to the limit; it may run ahead of the clock by the limit's burst. So within no window more is taken than the
limit says, and nothing but that instant has to be stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from storage.engine import insert_ignore
from storage.models import budgets, metered_reads

SLACK = 1.02  # requests arrive less evenly than they leave


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `number` in any `window_s` seconds."""

    name: str
    number: int
    window_s: float

    @property
    def burst(self) -> int:
        """How many may go at once after a pause: a twentieth, so that nearly all of the limit can flow evenly."""
        return max(1, self.number // 20)

    @property
    def interval(self) -> timedelta:
        return timedelta(seconds=self.window_s * SLACK / max(1, self.number - self.burst))


def take(conn: Connection, connection_id: int, limits: Sequence[Limit], at: datetime) -> float:
    """Takes one of each limit at once and gives 0; or takes nothing and gives the seconds until that can be."""
    if not limits:
        return 0.0
    fresh = [{"connection_id": connection_id, "name": limit.name, "used_to": at} for limit in limits]
    insert_ignore(conn, budgets, fresh)
    rows = conn.execute(
        select(budgets.c.name, budgets.c.used_to)
        .where(budgets.c.connection_id == connection_id, budgets.c.name.in_([limit.name for limit in limits]))
        .order_by(budgets.c.name)
        .with_for_update()
    )
    used_to: dict[str, datetime] = {row.name: row.used_to for row in rows}
    opens = max(used_to[limit.name] - limit.interval * (limit.burst - 1) for limit in limits)
    if opens > at:
        return (opens - at).total_seconds()
    for limit in limits:
        _set(conn, connection_id, limit, max(used_to[limit.name], at) + limit.interval)
    return 0.0


def hold(conn: Connection, connection_id: int, limits: Sequence[Limit], until: datetime) -> None:
    """The other side asked everybody to wait: nothing is taken before `until`."""
    insert_ignore(
        conn, budgets, [{"connection_id": connection_id, "name": limit.name, "used_to": until} for limit in limits]
    )
    for limit in limits:
        _set(conn, connection_id, limit, until + limit.interval * (limit.burst - 1))


def _set(conn: Connection, connection_id: int, limit: Limit, used_to: datetime) -> None:
    """Forward only: a hold is not undone by what was under way before it."""
    conn.execute(
        update(budgets)
        .where(budgets.c.connection_id == connection_id, budgets.c.name == limit.name, budgets.c.used_to < used_to)
        .values(used_to=used_to)
    )


def count_read(conn: Connection, connection_id: int, at: datetime) -> None:
    """One more read that the other side counts."""
    insert = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    conn.execute(
        insert(metered_reads)
        .values(connection_id=connection_id, month=month_of(at), number=1)
        .on_conflict_do_update(index_elements=["connection_id", "month"], set_={"number": metered_reads.c.number + 1})
    )


def reads_in_month(conn: Connection, connection_id: int, at: datetime) -> int:
    """How many counted reads there were in the month of an instant."""
    query = select(metered_reads.c.number).where(
        metered_reads.c.connection_id == connection_id, metered_reads.c.month == month_of(at)
    )
    return conn.execute(query).scalar() or 0


def month_of(at: datetime) -> str:
    return f"{at:%Y-%m}"
