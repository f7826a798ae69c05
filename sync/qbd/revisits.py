"""Documents that are asked for again by their ids, at the end of a reading.

Invoices that payments or credits were set against, since whether that changes their time is not documented; what an
undo has let go; and transfers, of which QuickBooks never says that somebody deleted them. A transfer that a movement
of Stripe's stands on is asked for once a day, in chunks spread over the visits.

An answer in which something is missing may have ended there, so what did not come with others is asked for alone. Only
what does not come then is gone.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from storage import mirror

NOT_FOUND = (1, 500)
ALONE_MAX = 20  # of an answer; what is beyond comes with the next round
ROUND = timedelta(hours=20)  # so that whoever comes once a day begins one each time
HOURS_MAX = 24

Position = dict[str, Any]


def begin(conn: Any, connection_id: int, position: Position, page: int, now: datetime) -> Position:
    """What a visit has to ask for again: what earlier ones did not come to, and the transfers whose turn it is.

    A page of transfers for each hour since the last visit, at least one until the round is over.
    """
    again = {each if ":" in each else f"invoice:{each}" for each in position["again"]}
    walk = position.get("walk") or {"began": None, "after": None}
    if walk["after"] is None and (walk["began"] is None or now >= datetime.fromisoformat(walk["began"]) + ROUND):
        walk = {"began": now.isoformat(), "after": ""}
    if walk["after"] is not None:
        last = position.get("at")
        hours = (now - datetime.fromisoformat(last)) / timedelta(hours=1) if last else 1
        limit = page * int(min(max(hours, 1), HOURS_MAX))
        found = mirror.ids_relied_on(conn, connection_id, "transfer", walk["after"], limit)
        again |= set(found)
        walk = walk | {"after": found[-1] if len(found) == limit else None}
    return position | {"again": sorted(again), "alone": [], "walk": walk}


def chunk(position: Position, page: int) -> list[str]:
    """What is asked for next: documents of one kind, or a single one."""
    first, alone = position["again"][0], position.get("alone", [])
    if first in alone:
        return [first]
    kind = _kind(first)
    return [each for each in position["again"] if _kind(each) == kind and each not in alone][:page]


def after(position: Position, asked: list[str], shown: Iterable[str], code: int) -> tuple[Position, list[str]]:
    """Where it stands after an answer, and what is gone."""
    missing = sorted(set(asked) - set(shown))
    rest = [each for each in position["again"] if each not in asked]
    alone = [each for each in position.get("alone", []) if each not in asked]
    if len(asked) == 1:
        return position | {"again": rest, "alone": alone}, missing if code in NOT_FOUND else []
    suspects = missing[:ALONE_MAX]
    return position | {"again": sorted([*rest, *suspects]), "alone": [*alone, *suspects]}, []


def _kind(document_id: str) -> str:
    return document_id.partition(":")[0]
