"""What a page is given when it renders."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from storage.queries import Database, LinkView, Pulse
from storage.users import User
from sync.environment import Environment
from sync.ports import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One run of a page: who looks, at which link, when. `link` and `pulse` are None while nothing is connected.

    `session` is the hash of the browser session; `pages` are Streamlit's, by path, to link to.
    """

    environment: Environment
    database: Database
    clock: Clock
    user: User
    now: datetime
    links: tuple[LinkView, ...] = ()
    link: LinkView | None = None
    pulse: Pulse | None = None
    waiting: int = 0
    interval_s: int | None = None  # between scheduled syncs, if known
    session: str = ""
    pages: Mapping[str, Any] = field(default_factory=dict)
