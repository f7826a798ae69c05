"""The exchange rates that balances in other currencies need: QuickBooks' own, a currency and a day each."""

from datetime import date
from typing import Any

from sqlalchemy import Connection

from reconcile.days import book_day
from reconcile.records import Movement, Payout, Rate
from storage import mirror
from storage.connections import Link

Wanted = tuple[str, date]


def load(conn: Connection, link: Link, home: str) -> dict[Wanted, str]:
    """What is known of the days that matter now."""
    ids = [rate_id(*each) for each in _wanted(conn, link, home)]
    rates: dict[str, Rate] = mirror.load(conn, link.ledger_id, "rate", ids)
    return {(each.currency, each.day): each.rate for each in rates.values()}


def missing(conn: Connection, link: Link, home: str, today: date) -> list[Wanted]:
    """What is not known yet, by currency and day; a rate of tomorrow there is none."""
    known = load(conn, link, home)
    return sorted(each for each in _wanted(conn, link, home) if each not in known and each[1] <= today)


def rate_id(currency: str, day: date) -> str:
    return f"{currency}:{day}"


def _wanted(conn: Connection, link: Link, home: str) -> set[Wanted]:
    """The days of open movements in other currencies, the days their payouts arrive, and the cut-over."""
    foreign = {currency for currency in link.mappings.clearing if currency != home}
    if not foreign:
        return set()
    movements: list[Movement] = mirror.load_open(conn, link.processor_id, ["movement"])
    ours = [each for each in movements if each.currency in foreign]
    payouts: dict[str, Any] = mirror.load(conn, link.processor_id, "payout", [each.source_id or "" for each in ours])
    days = {(each.currency, book_day(each.created_at, link.time_zone)) for each in ours}
    days |= {(each.currency, each.arrives_on) for each in payouts.values() if isinstance(each, Payout)}
    return days | {(each.currency, link.cutover) for each in link.openings or () if each.currency in foreign}
