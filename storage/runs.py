"""Runs: every sync that was asked for or came due, once, with what it did."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, or_, select, update
from sqlalchemy.exc import IntegrityError

from storage.engine import insert_ignore
from storage.models import runs

LOOK = "look"  # the kind of a run that changes nothing
AGAIN = "again"  # ... of a sync that reads something again


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    id: int
    link_id: int
    kind: str
    cause: str
    state: str
    scheduled_for: datetime
    lease_until: datetime | None
    counts: dict[str, int]
    scope: Any = None  # of a look, or a sync again


def enqueue(
    conn: Connection, *, link_id: int, kind: str, cause: str, scheduled_for: datetime, scope: Any = None
) -> bool:
    """One run a due time, whoever asks first; False if it was there already."""
    row = {
        "link_id": link_id,
        "kind": kind,
        "cause": cause,
        "scheduled_for": scheduled_for,
        "state": "queued",
        "step": "",
        "done": 0,
        "counts": {},
        "scope": scope,
    }
    return insert_ignore(conn, runs, [row]) == 1


def waiting(conn: Connection, link_id: int) -> bool:
    """Whether a run of this link is queued or at work, so that a schedule need not add another."""
    row = conn.execute(
        select(runs.c.id).where(runs.c.link_id == link_id, runs.c.state.in_(("queued", "running"))).limit(1)
    )
    return row.first() is not None


def queued(conn: Connection, link_id: int) -> bool:
    """Whether a sync is yet to begin: it will see everything that is stored now."""
    these = (runs.c.link_id == link_id, runs.c.state == "queued", runs.c.kind != LOOK)
    row = conn.execute(select(runs.c.id).where(*these).limit(1))
    return row.first() is not None


def failed_last(conn: Connection, link_id: int) -> bool:
    """Whether the last run that ended did not go through."""
    ended = (runs.c.link_id == link_id, runs.c.kind != LOOK, runs.c.state.in_(("done", "failed")))
    query = select(runs.c.state).where(*ended)
    return conn.execute(query.order_by(runs.c.finished_at.desc(), runs.c.id.desc()).limit(1)).scalar() == "failed"


def take(conn: Connection, at: datetime, lease_s: float) -> Run | None:
    """The oldest run nobody works on, unless its link has one at work; a run whose lease ran out is taken up again."""
    row = conn.execute(_SELECT_NEXT, {"now": at}).first()
    if row is None:
        return None
    mine = (runs.c.id == row.id, runs.c.state == row.state, runs.c.lease_until.is_not_distinct_from(row.lease_until))
    lease_until = at + timedelta(seconds=lease_s)
    values = {"state": "running", "started_at": row.started_at or at, "lease_until": lease_until}
    try:
        with conn.begin_nested():
            taken = conn.execute(update(runs).where(*mine).values(**values))
    except IntegrityError:  # another worker has just taken another run of this link
        return None
    return replace(_run(row), lease_until=lease_until) if taken.rowcount == 1 else None


_BUSY = select(runs.c.link_id).where(runs.c.state == "running", runs.c.lease_until >= bindparam("now"))
_SELECT_NEXT = (
    select(runs)
    .where(
        or_(runs.c.state == "queued", (runs.c.state == "running") & (runs.c.lease_until < bindparam("now"))),
        runs.c.link_id.not_in(_BUSY),
    )
    .order_by(runs.c.state.desc(), runs.c.id)  # resume before starting
    .limit(1)
)


def report(
    conn: Connection,
    run: Run,
    *,
    step: str,
    counts: dict[str, int],
    at: datetime,
    lease_s: float,
    done: int = 0,
    total: int | None = None,
) -> Run | None:
    """How far a run is; keeps its lease. None if it is not ours any more: our lease had run out."""
    lease_until = at + timedelta(seconds=lease_s)
    told = {"step": step, "counts": counts, "done": done, "total": total, "lease_until": lease_until}
    kept = conn.execute(_REPORT, _held(run) | {f"new_{name}": value for name, value in told.items()})
    return replace(run, lease_until=lease_until) if kept.rowcount == 1 else None


def finish(
    conn: Connection, run: Run, *, counts: dict[str, int], at: datetime, problem: str | None = None, found: Any = None
) -> None:
    """Ends a run, unless somebody else has taken it up meanwhile."""
    state = "failed" if problem else "done"
    ended = {"state": state, "counts": counts, "found": found, "problem": problem, "finished_at": at}
    conn.execute(_FINISH, _held(run) | {f"new_{name}": value for name, value in ended.items()})


# As we left it: each taking and each report moves the lease.
_HELD = (runs.c.id == bindparam("this"), runs.c.state == "running", runs.c.lease_until == bindparam("held_until"))
_REPORT = (  # made once: making it anew takes longer than writing it
    update(runs)
    .where(*_HELD)
    .values({name: bindparam(f"new_{name}") for name in ("step", "counts", "done", "total", "lease_until")})
)
_FINISH = (
    update(runs)
    .where(*_HELD)
    .values({name: bindparam(f"new_{name}") for name in ("state", "counts", "found", "problem", "finished_at")})
    .values(step="", lease_until=None)
)


def _held(run: Run) -> dict[str, Any]:
    return {"this": run.id, "held_until": run.lease_until}


def _run(row: Row[Any]) -> Run:
    return Run(
        id=row.id,
        link_id=row.link_id,
        kind=row.kind,
        cause=row.cause,
        state=row.state,
        scheduled_for=row.scheduled_for,
        lease_until=row.lease_until,
        counts=row.counts,
        scope=row.scope,
    )
