"""The exchange rates that balances in other currencies need: QuickBooks' own, a currency and a day each."""

from collections.abc import Iterable
from datetime import date
from typing import Any

from sqlalchemy import Connection

from reconcile.days import book_day
from reconcile.records import Movement, Payout, Rate
from storage import mirror
from storage.connections import Link

Wanted = tuple[str, date]


def load(conn: Connection, link: Link, home: str, movements: Iterable[Movement]) -> dict[Wanted, str]:
    """What is known of the days that matter to these movements, and of the cut-over."""
    return _known(conn, link, _of_cutover(link, home) | _of_movements(conn, link, home, movements))


def missing(conn: Connection, link: Link, home: str, today: date) -> list[Wanted]:
    """What is not known yet and open movements need, by currency and day; a rate of tomorrow there is none."""
    wanted = _of_cutover(link, home)
    if _foreign(link, home):
        for movements in mirror.stream_open(conn, link.processor_id, ["movement"]):
            wanted |= _of_movements(conn, link, home, movements)
    known = _known(conn, link, wanted)
    return sorted(each for each in wanted if each not in known and each[1] <= today)


def rate_id(currency: str, day: date) -> str:
    return f"{currency}:{day}"


def _known(conn: Connection, link: Link, wanted: Iterable[Wanted]) -> dict[Wanted, str]:
    rates: dict[str, Rate] = mirror.load(conn, link.ledger_id, "rate", [rate_id(*each) for each in wanted])
    return {(each.currency, each.day): each.rate for each in rates.values()}


def _foreign(link: Link, home: str) -> set[str]:
    return {currency for currency in link.mappings.clearing if currency != home}


def _of_cutover(link: Link, home: str) -> set[Wanted]:
    return {(each.currency, link.cutover) for each in link.openings or () if each.currency in _foreign(link, home)}


def _of_movements(conn: Connection, link: Link, home: str, movements: Iterable[Movement]) -> set[Wanted]:
    """The days of movements in other currencies, and the days their payouts arrive."""
    foreign = _foreign(link, home)
    ours = [each for each in movements if each.currency in foreign]
    payouts: dict[str, Any] = mirror.load(conn, link.processor_id, "payout", [each.source_id or "" for each in ours])
    days = {(each.currency, book_day(each.created_at, link.time_zone)) for each in ours}
    return days | {(each.currency, each.arrives_on) for each in payouts.values() if isinstance(each, Payout)}
