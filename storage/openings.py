"""The opening balances of a link: what Stripe held, what was on its way to the bank, and what the books had already.

Stripe keeps no history of balances: the one at the cut-over is today's less everything since.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from reconcile.disputes import CLOSED
from reconcile.records import Dispute, Document, Movement, Payout
from reconcile.snapshot import OpenDispute, Opening
from storage import clearing, mirror
from storage import disputes as dispute_books
from storage.connections import Link
from storage.records import DOCUMENT_KINDS


def cutover_instant(cutover: date, time_zone: str) -> datetime:
    """The first moment Tieout is responsible for."""
    return datetime.combine(cutover, time.min, ZoneInfo(time_zone)).astimezone(UTC)


def compute(
    conn: Connection, link: Link, balances: dict[str, int], reserved: Mapping[str, int] | None = None
) -> tuple[Opening, ...]:
    """One opening a currency; `reserved` is what Stripe held back then.

    Needs every movement since the cut-over in the mirror, and the balance at that moment.
    """
    start = cutover_instant(link.cutover, link.time_zone)
    stripe, in_transit = defaultdict(int, balances), defaultdict[str, int](int)
    for movements in mirror.stream_all(conn, link.processor_id, ["movement"]):
        for movement in movements:
            if movement.created_at >= start and movement.balance_type == "payments":
                stripe[movement.currency] -= movement.net_minor
    for payout, amount in on_their_way(conn, link):
        in_transit[payout.currency] += amount
    existing: dict[str, int] = defaultdict(int)
    for currency, _, amount in held_before(conn, link):
        existing[currency] += amount
    open_then: dict[str, list[OpenDispute]] = defaultdict(list)
    for currency, dispute in open_disputes(conn, link):
        open_then[currency].append(dispute)
    currencies = {currency for totals in (stripe, in_transit, existing) for currency, total in totals.items() if total}
    reserved = reserved or {}
    currencies |= set(open_then) | set(reserved)
    return tuple(
        Opening(
            currency=currency,
            stripe_minor=stripe[currency],
            in_transit_minor=in_transit[currency],
            existing_minor=existing[currency],
            disputes=tuple(open_then[currency]),
            reserved_minor=reserved.get(currency, 0),
        )
        for currency in sorted(currencies | set(link.mappings.clearing) & set(stripe))
    )


def open_disputes(conn: Connection, link: Link) -> list[tuple[str, OpenDispute]]:
    """Disputes that had taken money at the cut-over and were not closed then, with the currency it was taken in.

    Stripe does not say when a dispute was closed but by an event: one that is closed now counts as open then only if
    that event is later, or if it moved money since.
    """
    start = cutover_instant(link.cutover, link.time_zone)
    disputes: list[Dispute] = mirror.load_all(conn, link.processor_id, ["dispute"])
    movements = _movements(conn, link, (moved for each in disputes for moved in each.movement_ids))
    closed = dispute_books.closed_at(conn, link.processor_id, sorted(each.id for each in disputes))
    found = []
    for dispute in sorted(disputes, key=lambda each: each.id):
        known = [movements[each] for each in dispute.movement_ids if each in movements]
        early = [each for each in known if each.created_at < start]
        taken = -sum(each.gross_minor for each in early)
        ended = closed.get(dispute.id)
        was_open = (
            dispute.status not in CLOSED
            or (ended is not None and ended >= start)
            or (ended is None and len(early) < len(known))
        )
        if taken > 0 and was_open:
            ids = tuple(each.id for each in early)
            found.append((early[0].currency, OpenDispute(id=dispute.id, taken_minor=taken, movement_ids=ids)))
    return found


def on_their_way(conn: Connection, link: Link) -> list[tuple[Payout, int]]:
    """The payouts that had left Stripe at the cut-over and were not at the bank yet, with what they took along."""
    start = cutover_instant(link.cutover, link.time_zone)
    payouts: list[Payout] = mirror.load_all(conn, link.processor_id, ["payout"])
    movements = _movements(
        conn, link, (moved or "" for each in payouts for moved in (each.movement_id, each.failure_movement_id))
    )
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
    for documents in mirror.stream_all(conn, link.ledger_id, list(DOCUMENT_KINDS)):
        for document in documents:
            if document.dated < link.cutover and not document.voided:
                for account_id, amount in clearing.effects(document, accounts).items():
                    found.append((currency_of[account_id], document, amount))
    return sorted(found, key=lambda each: each[1].id)


def _movements(conn: Connection, link: Link, ids: Iterable[str]) -> dict[str, Movement]:
    return mirror.load(conn, link.processor_id, "movement", ids)
