"""The opening balances of a link: what Stripe held, what was on its way to the bank, and what the books had already.

Stripe keeps no history of balances: the one at the cut-over is today's less everything since.
"""

from collections import defaultdict
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from reconcile.records import Document, Movement, Payout
from reconcile.snapshot import Opening
from storage import clearing, mirror
from storage.connections import Link
from storage.records import DOCUMENT_KINDS


def cutover_instant(cutover: date, time_zone: str) -> datetime:
    """The first moment Tieout is responsible for."""
    return datetime.combine(cutover, time.min, ZoneInfo(time_zone)).astimezone(UTC)


def compute(conn: Connection, link: Link, balances: dict[str, int]) -> tuple[Opening, ...]:
    """One opening a currency. Needs every movement since the cut-over in the mirror, and the balance at that moment."""
    start = cutover_instant(link.cutover, link.time_zone)
    stripe, in_transit = defaultdict(int, balances), defaultdict[str, int](int)
    movements: dict[str, Movement] = {m.id: m for m in mirror.load_all(conn, link.processor_id, ["movement"])}
    for movement in movements.values():
        if movement.created_at >= start and movement.balance_type == "payments":
            stripe[movement.currency] -= movement.net_minor
    for payout, amount in on_their_way(conn, link, movements):
        in_transit[payout.currency] += amount
    existing: dict[str, int] = defaultdict(int)
    for currency, _, amount in held_before(conn, link):
        existing[currency] += amount
    currencies = {currency for totals in (stripe, in_transit, existing) for currency, total in totals.items() if total}
    return tuple(
        Opening(
            currency=currency,
            stripe_minor=stripe[currency],
            in_transit_minor=in_transit[currency],
            existing_minor=existing[currency],
        )
        for currency in sorted(currencies | set(link.mappings.clearing) & set(stripe))
    )


def on_their_way(conn: Connection, link: Link, movements: dict[str, Movement]) -> list[tuple[Payout, int]]:
    """The payouts that had left Stripe at the cut-over and were not at the bank yet, with what they took along."""
    start = cutover_instant(link.cutover, link.time_zone)
    payouts: list[Payout] = mirror.load_all(conn, link.processor_id, ["payout"])
    found = []
    for payout in payouts:
        returned = movements.get(payout.failure_movement_id or "")
        if payout.status in ("failed", "canceled") and (returned is None or returned.created_at < start):
            continue  # its money was back by then
        before = movements.get(payout.movement_id or "")
        if before is not None and before.created_at < start and payout.arrives_on >= link.cutover:
            found.append((payout, -before.net_minor))
    return found


def held_before(conn: Connection, link: Link) -> list[tuple[str, Document, int]]:
    """What each document dated before the cut-over left in a clearing account: (currency, document, amount)."""
    currency_of = {account: currency for currency, account in link.mappings.clearing.items()}
    accounts = clearing.accounts_of(conn, link)
    found = []
    documents: list[Document] = mirror.load_all(conn, link.ledger_id, list(DOCUMENT_KINDS))
    for document in documents:
        if document.dated < link.cutover and not document.voided:
            for account_id, amount in clearing.effects(document, accounts).items():
                found.append((currency_of[account_id], document, amount))
    return found
