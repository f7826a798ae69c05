"""The Web Connectors of QuickBooks Desktop: how each signs in, and the visit it is on."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Column, ForeignKey, Integer, Row, String, Table, Text, or_, select, update
from sqlalchemy import Connection as Conn

from storage.models import metadata
from storage.types import Json, Utc

# A QuickBooks Desktop company file: how its Web Connector signs in, and the visit it is on. One visit at a time.
web_connectors = Table(
    "web_connectors",
    metadata,
    Column("connection_id", ForeignKey("connections.id"), primary_key=True),
    Column("user_name", String(64), nullable=False, unique=True),
    Column("password_hash", String(255), nullable=False),
    Column("interval_minutes", Integer, nullable=False),
    Column("paused", Boolean, nullable=False),  # a person stopped it: nothing more is asked
    Column("visit", String(64)),  # the hash of the visit's ticket; null: none is under way
    Column("seen_at", Utc),  # the last call of the visit, or of the last one
    Column("checked", Boolean, nullable=False),  # it is our company file
    Column("wrote", Boolean, nullable=False),  # something was written since the books were last read
    Column("waits", Integer, nullable=False),  # how often it was asked to wait for a decision
    Column("in_flight", Json),  # the request that is to be answered: {purpose, kind, parts}
    Column("message", Text, nullable=False),  # what the Web Connector is told when it asks why
    Column("problem", Text),  # of the last visit, in plain words
    Column("problem_at", Utc),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebConnector:
    """One company file's. `visit` is the hash of the ticket of the visit under way, `in_flight` what it carries."""

    connection_id: int
    user_name: str
    password_hash: str
    interval_minutes: int
    paused: bool
    visit: str | None
    seen_at: datetime | None
    checked: bool
    wrote: bool
    waits: int
    in_flight: Any | None
    message: str
    problem: str | None
    problem_at: datetime | None


def add(conn: Conn, connection_id: int, *, user_name: str, password_hash: str, interval_minutes: int) -> None:
    conn.execute(
        web_connectors.insert().values(
            connection_id=connection_id,
            user_name=user_name,
            password_hash=password_hash,
            interval_minutes=interval_minutes,
            paused=False,
            checked=False,
            wrote=False,
            waits=0,
            message="",
        )
    )


def of(conn: Conn, connection_id: int) -> WebConnector:
    return _one(conn.execute(select(web_connectors).where(web_connectors.c.connection_id == connection_id)).one())


def is_moving(conn: Conn, connection_id: int) -> bool:
    """Whether what is stored of a company file is of several moments: a visit is under way, or wrote something that was
    not read back yet.
    """
    moves = or_(web_connectors.c.visit.is_not(None), web_connectors.c.wrote.is_(True))
    found = select(web_connectors.c.connection_id).where(web_connectors.c.connection_id == connection_id, moves)
    return conn.execute(found).first() is not None


def by_user_name(conn: Conn, user_name: str) -> WebConnector | None:
    row = conn.execute(select(web_connectors).where(web_connectors.c.user_name == user_name)).first()
    return None if row is None else _one(row)


def hold(conn: Conn, connection_id: int) -> WebConnector:
    """Locked until the transaction ends, so that of two visits at once only one begins."""
    row = conn.execute(select(web_connectors).where(web_connectors.c.connection_id == connection_id).with_for_update())
    return _one(row.one())


def by_visit(conn: Conn, visit: str) -> WebConnector | None:
    """Locked until the transaction ends."""
    row = conn.execute(select(web_connectors).where(web_connectors.c.visit == visit).with_for_update()).first()
    return None if row is None else _one(row)


def change(conn: Conn, connection_id: int, **values: Any) -> None:
    conn.execute(update(web_connectors).where(web_connectors.c.connection_id == connection_id).values(**values))


def change_visit(conn: Conn, during: str, **values: Any) -> bool:
    """Changes it unless another visit has begun since."""
    return conn.execute(update(web_connectors).where(web_connectors.c.visit == during).values(**values)).rowcount == 1


def _one(row: Row[Any]) -> WebConnector:
    return WebConnector(**row._mapping)
