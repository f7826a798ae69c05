"""The laws of the design, checked against the emulated books themselves rather than what Tieout remembers."""

from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from typing import Any

import polars as pl
from sqlalchemy import select

from emulators.qbo.emulator import QboEmulator
from emulators.qbo.money import wire
from emulators.stripe.emulator import StripeEmulator
from reconcile.days import book_day
from reconcile.legs import legs_of
from reconcile.money import to_minor
from reconcile.names import MARKER
from storage import audit, carried, connections, mirror
from storage import check as stored
from storage.connections import Link
from storage.models import legs
from storage.proof import tie_out
from sync.environment import Environment
from sync.qbo.wire import ENTITY


def check(environment: Environment, stripe: StripeEmulator, qbo: QboEmulator) -> None:
    """Laws 1 to 4 for the only link there is."""
    with environment.database.read() as conn:
        (link,) = connections.all_links(conn)
    check_balances(environment, link, stripe, partial(book_balance, qbo))
    check_legs(environment, link)
    check_markers(qbo)
    with environment.database.read() as conn:
        assert audit.verify(conn) == []
    assert stored.run(environment.database) == []
    assert sum(qbo.trial_balance().values()) == 0


def check_balances(
    environment: Environment, link: Link, stripe: StripeEmulator, balance_of: Callable[[str, str, date | None], int]
) -> None:
    """Law 1: on every day the proof's figures are those of the other companies, and the items make the difference.
    What was carried forward says the same as everything does.

    `balance_of` gives what the books have on an account in a currency at the end of a day, or now.
    """
    today = book_day(environment.clock.now(), link.time_zone)
    with environment.database.read() as conn:
        proof, quick = tie_out(conn, link, today), carried.load(conn, link).prove(today)
        assert carried.is_tallied(conn, link)
    assert proof.days.equals(quick.days)
    assert proof.items.equals(quick.items)
    assert proof.days["unexplained_minor"].to_list() == [0] * proof.days.height
    for currency, account in link.mappings.clearing.items():
        days = proof.days.filter(pl.col("currency") == currency)
        day = link.cutover
        if days.is_empty():  # Stripe has none of it, and never had
            assert balance_of(account, currency, None) == 0
            continue
        while day <= today:
            (row,) = days.filter(pl.col("day") == day).to_dicts()
            assert row["clearing_minor"] == balance_of(account, currency, day), f"{currency} clearing on {day}"
            items = proof.items_on(currency, day)["amount_minor"].sum()
            assert row["stripe_minor"] - row["clearing_minor"] == items, f"{currency} items on {day}"
            day += timedelta(days=1)
    for currency, minor in stripe_balance(stripe).items():
        last = proof.days.filter(pl.col("currency") == currency, pl.col("day") == today)["stripe_minor"]
        assert last.to_list() == [minor], f"Stripe's balance in {currency}"


def book_balance(qbo: QboEmulator, account: str, currency: str, day: date | None = None) -> int:
    """In our minor units, of which a currency may have more than the books keep."""
    return to_minor(str(wire(qbo.account_balance(account, day), currency)), currency)


def stripe_balance(stripe: StripeEmulator) -> dict[str, int]:
    body = stripe.request("GET", "/v1/balance")
    totals: Counter[str] = Counter()
    for part in [*body["available"], *body["pending"]]:
        totals[part["currency"].upper()] += part["amount"]
    return {currency: total for currency, total in totals.items() if total}


def check_legs(environment: Environment, link: Link) -> None:
    """Law 2: every leg of every movement in exactly one state; a waiting one has its reason."""
    with environment.database.read() as conn:
        movements = mirror.load_all(conn, link.processor_id, ["movement"])
        rows = {row.id: row for row in conn.execute(select(legs).where(legs.c.link_id == link.id))}
    expected = {leg.id: leg.amount_minor for movement in movements for leg in legs_of(movement)}
    assert {leg_id: row.amount_minor for leg_id, row in rows.items()} == expected
    for row in rows.values():
        assert row.state in ("matched", "posted", "waiting", "ignored")
        assert row.reason
        assert row.detail


def check_markers(qbo: QboEmulator) -> None:
    """Law 3: one marker, at most one document."""
    found = Counter(marker for _, marker in marked(qbo))
    assert [marker for marker, number in found.items() if number > 1] == []


def marked(qbo: QboEmulator) -> list[tuple[str, str]]:
    """Every document of ours in the books, as (id, marker)."""
    found = []
    for kind, entity in ENTITY.items():
        start = 1
        while page := qbo.query(f"SELECT * FROM {entity} STARTPOSITION {start} MAXRESULTS 1000").get(entity, []):
            for body in page:
                marker = MARKER.search(body.get("PrivateNote") or "")
                if marker:
                    found.append((f"{kind}:{body['Id']}", marker.group(1)))
            start += 1000
    return found


def legs_in_books(environment: Environment) -> list[dict[str, Any]]:
    """The legs that we posted."""
    with environment.database.read() as conn:
        return [dict(row._mapping) for row in conn.execute(select(legs).where(legs.c.state == "posted"))]


def waiting_legs(environment: Environment) -> list[dict[str, Any]]:
    """The legs of which something is left to do for somebody."""
    with environment.database.read() as conn:
        rows = conn.execute(select(legs).where(legs.c.state == "waiting", legs.c.reason != "in_transit"))
        return [dict(row._mapping) for row in rows]
