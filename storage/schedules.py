"""When a link is synced by itself, if somebody chose: else in the installation's interval."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, select, update

from storage.models import links
from storage.records import from_json, to_json

Kind = Literal["every", "hourly", "daily", "weekly", "never"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """`minutes` between two syncs (every); the `minute` of the hour (hourly); the time `at`, as 06:00 (daily, weekly);
    the `weekday`, Monday is 0 (weekly). Times are in the link's zone. `on_news`: also as soon as a side tells of news.
    """

    kind: Kind
    minutes: int = 15
    minute: int = 0
    at: str = "06:00"
    weekday: int = 0
    on_news: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A schedule, and since when it is one: what would have been due before is not made up for."""

    schedule: Schedule
    since: datetime


def of_link(conn: Connection, link_id: int) -> Chosen | None:
    return read(conn.scalar(select(links.c.schedule).where(links.c.id == link_id)))


def read(body: Any) -> Chosen | None:
    return None if body is None else from_json(body, Chosen)


def choose(conn: Connection, link_id: int, chosen: Chosen | None) -> None:
    """Changes nothing that matching depends on."""
    body = None if chosen is None else to_json(chosen)
    conn.execute(update(links).where(links.c.id == link_id).values(schedule=body))
