"""Costly reads, kept by this process until something is written.

Whatever a page sums up is in the audit when it changes, or belongs to the link or to a run: so the newest of these tell
whether a sum is still right, however much was summed up.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from sqlalchemy import Connection, func, select

from storage import connections
from storage.engine import Database
from storage.models import audit, runs

KEPT_MAX = 32
T = TypeVar("T")
_kept: OrderedDict[Hashable, tuple[Hashable, Any]] = OrderedDict()
_lock = threading.Lock()


def remembered(database: Database, link_id: int, name: Hashable, make: Callable[[Connection], T]) -> T:
    """What `make` reads; read again only if something was written since. `name` says what it is, and of what."""
    key = (database.url, link_id, name)
    with database.read() as conn:
        stamp = _stamp(conn, link_id)
        with _lock:
            before = _kept.get(key)
        found: T = before[1] if before is not None and before[0] == stamp else make(conn)
    with _lock:
        _kept[key] = (stamp, found)
        _kept.move_to_end(key)
        while len(_kept) > KEPT_MAX:
            _kept.popitem(last=False)
    return found


def _stamp(conn: Connection, link_id: int) -> Hashable:
    newest = select(runs.c.id, runs.c.state).where(runs.c.link_id == link_id).order_by(runs.c.id.desc()).limit(3)
    last = conn.execute(select(func.max(audit.c.id))).scalar()
    return last, tuple(tuple(row) for row in conn.execute(newest)), repr(connections.link(conn, link_id))
