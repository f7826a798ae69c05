"""Everything the pages read. Each function is one short read and gives plain values: pages know no SQL and no rows."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
from sqlalchemy import Connection, Row, func, select

from reconcile.proof import Proof
from storage import carried, connections, findings, proof, schedules
from storage.connections import Link
from storage.engine import Database as Database  # noqa: PLC0414 - the pages' name for it
from storage.findings import Finding
from storage.memo import remembered
from storage.models import connections as connection_table
from storage.models import legs as leg_table
from storage.models import links as link_table
from storage.models import runs
from storage.proof import Sides
from storage.schedules import Chosen

# Reasons that need nobody: the next sync, the calendar, or the decision about the charge they belong to settles them.
PENDING = (
    "queued",
    "to_record",
    "undecided",
    "in_progress",
    "in_transit",
    "waits_with_charge",
    "awaiting_reversal",
    "source_unread",
    "opening",
    "rounding",
    "undoing",
)

SYNCED = runs.c.kind != "look"  # a look brings nothing up to date


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A connection as the pages show it."""

    id: int
    system: str
    external_id: str
    name: str
    mode: str
    state: str
    problem: str | None
    checked_at: datetime | None
    consent_ends_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkView:
    """One Stripe account joined to one company."""

    id: int
    name: str
    mode: str
    posting_on: bool
    dry_run_by: str | None  # the accountant who saw what would be posted
    cutover: date
    time_zone: str
    has_opened: bool  # its opening balances are known, so that there is something to prove
    currencies: tuple[str, ...]
    schedule: Chosen | None  # None: synced in the installation's interval
    stripe: Side
    books: Side

    def today(self, now: datetime) -> date:
        return now.astimezone(ZoneInfo(self.time_zone)).date()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    id: int
    kind: str
    cause: str
    state: str
    step: str
    done: int
    total: int | None
    counts: dict[str, int]
    problem: str | None
    scheduled_for: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def duration(self) -> timedelta | None:
        return self.finished_at - self.started_at if self.finished_at and self.started_at else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """What a link is doing: the run at work or in the queue, the last one that ended, the last one that ended well."""

    current: RunView | None
    last: RunView | None
    last_good: RunView | None

    @property
    def is_first(self) -> bool:
        """Nothing was ever synced to its end."""
        return self.last_good is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """How many legs stand alike, and their sum. `oldest`: when the first of those that wait came."""

    currency: str
    state: str
    reason: str
    count: int
    amount_minor: int
    oldest: datetime | None

    @property
    def standing(self) -> str:
        """matched, posted, ignored; what waits is pending (settles by itself) or waiting (for a person)."""
        return "pending" if self.state == "waiting" and self.reason in PENDING else self.state


@dataclass(frozen=True, slots=True, kw_only=True)
class TieOut:
    """The proof of a link through `day`, and what is wrong with the sums themselves, in sentences.

    `items` (ITEM_SCHEMA) are the parts of that day's differences. Their reason "waiting" is for a person; what waits
    but settles by itself has its own reason, one of PENDING.
    """

    day: date
    proof: Proof
    items: pl.DataFrame
    violations: tuple[str, ...]

    def items_of(self, currency: str) -> pl.DataFrame:
        return self.items.filter(pl.col("currency") == currency)


# ---- links and runs


def links(database: Database) -> list[LinkView]:
    with database.read() as conn:
        sides = {row.id: _side(row) for row in conn.execute(select(connection_table))}
        return [_link_view(row, sides) for row in conn.execute(select(link_table).order_by(link_table.c.id))]


def pulse(database: Database, link_id: int) -> Pulse:
    with database.read() as conn:
        return Pulse(
            current=_first_run(conn, link_id, runs.c.state.in_(("running", "queued")), by=runs.c.state.desc()),
            last=_first_run(conn, link_id, SYNCED & runs.c.state.in_(("done", "failed")), by=runs.c.id.desc()),
            last_good=_first_run(conn, link_id, SYNCED & (runs.c.state == "done"), by=runs.c.id.desc()),
        )


def odd(database: Database, link_id: int) -> list[Finding]:
    """What is odd about documents in the books, the newest first."""
    with database.read() as conn:
        return findings.standing(conn, link_id)


def history(database: Database, link_id: int, limit: int = 50) -> list[RunView]:
    """The newest runs first."""
    query = select(runs).where(runs.c.link_id == link_id).order_by(runs.c.id.desc()).limit(limit)
    with database.read() as conn:
        return [_run(row) for row in conn.execute(query)]


def _first_run(conn: Connection, link_id: int, where: Any, *, by: Any) -> RunView | None:
    row = conn.execute(select(runs).where(runs.c.link_id == link_id, where).order_by(by, runs.c.id).limit(1)).first()
    return None if row is None else _run(row)


def _run(row: Row[Any]) -> RunView:
    return RunView(**{name: getattr(row, name) for name in RunView.__dataclass_fields__})


def _side(row: Row[Any]) -> Side:
    return Side(**{name: getattr(row, name) for name in Side.__dataclass_fields__})


def _link_view(row: Row[Any], sides: dict[int, Side]) -> LinkView:
    stripe, books = sides[row.processor_id], sides[row.ledger_id]
    modes = {stripe.mode, books.mode}
    return LinkView(
        id=row.id,
        name=row.name,
        mode=next(mode for mode in ("live", "test", "emulated", "files") if mode in modes),
        posting_on=row.posting_on,
        dry_run_by=row.dry_run_by,
        cutover=row.cutover,
        time_zone=row.time_zone,
        has_opened=row.openings is not None,
        currencies=tuple(sorted(row.balances)),
        schedule=schedules.read(row.schedule),
        stripe=stripe,
        books=books,
    )


# ---- overview


def tally(database: Database, link_id: int) -> pl.DataFrame:
    """TALLY_SCHEMA (storage.tallies) of all legs of a link: what charts are made of."""
    return remembered(database, link_id, "tally", lambda conn: carried.tally(conn, connections.link(conn, link_id)))


def totals(database: Database, link_id: int) -> list[Total]:
    """Where all legs stand, but for those that are inside the opening balance."""
    group = ["currency", "state", "reason"]
    sums = pl.col("entries", "amount_minor").sum(), pl.col("oldest").min()
    found = tally(database, link_id).filter(pl.col("reason") != "opening").group_by(group).agg(*sums)
    return [Total(**row) for row in found.sort(group).rename({"entries": "count"}).iter_rows(named=True)]


def activity(database: Database, link_id: int, currency: str) -> pl.DataFrame:
    """`day, standing, count`: where the legs of each day stand now."""
    pending = (pl.col("state") == "waiting") & pl.col("reason").is_in(PENDING)
    standing = pl.when(pending).then(pl.lit("pending")).otherwise("state").alias("standing")
    mine = tally(database, link_id).filter(pl.col("currency") == currency, ~pl.col("before_cutover"))
    return mine.group_by("day", standing).agg(count=pl.col("entries").sum()).sort("day", "standing")


def tie_out(database: Database, link_id: int, now: datetime, *, everything: bool = False) -> TieOut | None:
    """The proof through today; None while the opening balances are not known. `everything`: without sums carried
    forward.
    """
    with database.read() as conn:
        link = connections.link(conn, link_id)
    day = now.astimezone(ZoneInfo(link.time_zone)).date()
    load = proof.load if everything else carried.load
    return remembered(database, link_id, ("tie_out", day, everything), lambda conn: _tie_out(conn, link_id, day, load))


def _tie_out(conn: Connection, link_id: int, day: date, load: Callable[[Connection, Link], Sides]) -> TieOut | None:
    link = connections.link(conn, link_id)
    if link.openings is None:
        return None
    sides = load(conn, link)
    found = sides.prove(day)
    return TieOut(day=day, proof=found, items=_items(found, sides.legs, day), violations=sides.violations())


def _items(found: Proof, leg_frame: pl.DataFrame, day: date) -> pl.DataFrame:
    pending = leg_frame.filter(pl.col("state") == "waiting", pl.col("reason").is_in(PENDING))
    own = pending.select("leg_id", own=pl.col("reason")).unique("leg_id")
    stands = pl.col("until_day").is_null() | (pl.col("until_day") > day)
    is_pending = (pl.col("reason") == "waiting") & pl.col("own").is_not_null()
    return (
        found.items.filter(pl.col("from_day") <= day, stands)
        .join(own, on="leg_id", how="left", maintain_order="left")
        .with_columns(reason=pl.when(is_pending).then("own").otherwise("reason"))
        .drop("own")
    )


def count_review(database: Database, link_id: int) -> int:
    """How many Stripe objects wait for a person."""
    query = select(func.count(leg_table.c.source_id.distinct())).where(
        leg_table.c.link_id == link_id, leg_table.c.state == "waiting", leg_table.c.reason.not_in(PENDING)
    )
    with database.read() as conn:
        return conn.execute(query).scalar_one()
