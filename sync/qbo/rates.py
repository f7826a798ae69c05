"""Asking the books for exchange rates, one currency and day at a time: Intuit offers no other way.

What is still to be asked is a cursor in the database, so that a killed process goes on where it was.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from reconcile.records import Rate
from storage import mirror
from storage.rates import rate_id
from sync.ports import Request
from sync.qbo import wire

RATES = "rates"  # the cursor's name
ACTOR = "quickbooks"


def ask(conn: Any, connection_id: int, wanted: Sequence[tuple[str, date]], now: datetime) -> None:
    position = [[currency, day.isoformat()] for currency, day in wanted]
    mirror.move_cursor(conn, connection_id, RATES, position, now)


def next_request(conn: Any, connection_id: int) -> Request | None:
    wanted = mirror.cursor(conn, connection_id, RATES)
    if not wanted:
        return None
    currency, day = wanted[0]
    query = {"sourcecurrencycode": currency, "asofdate": day}
    return Request(kind="read", path="exchangerate", query=query, purpose="rate")


def accept(conn: Any, connection_id: int, request: Request, body: Any, now: datetime) -> None:
    """The answer counts for the day that was asked for: it may be an older rate, the last one there was."""
    currency, day = request.query["sourcecurrencycode"], request.query["asofdate"]
    content = body["ExchangeRate"]
    rate = Rate(currency=currency, day=date.fromisoformat(day), rate=str(content["Rate"]))
    stored = [("rate", rate_id(currency, rate.day), rate, wire.encode(content))]
    mirror.store(conn, connection_id, stored, at=now, actor=ACTOR)
    give_up(conn, connection_id, request, now)


def give_up(conn: Any, connection_id: int, request: Request, now: datetime) -> None:
    """Goes on to the next one; what needs a rate that was refused waits, and says so."""
    done = [request.query["sourcecurrencycode"], request.query["asofdate"]]
    left = [each for each in mirror.cursor(conn, connection_id, RATES) or [] if each != done]
    mirror.move_cursor(conn, connection_id, RATES, left, now)
