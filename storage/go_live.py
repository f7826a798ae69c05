"""What was found on both sides at the cut-over, for the person who starts a link (rows 21 and 22)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection

from reconcile.records import Movement, Payout, PayoutItems
from reconcile.snapshot import OpenDispute, Opening
from storage import connections, dry_run, mirror, openings, outbox
from storage.connections import Link
from storage.dry_run import DocumentView
from storage.engine import Database

SHOWN_MAX = 50
PAYOUTS_MAX = 60  # after the cut-over, among which those are looked for that hold older movements


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutView:
    """A payout that was on its way to the bank at the cut-over."""

    id: str
    amount_minor: int
    arrives_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldView:
    """A document from before the cut-over in the clearing account, and what it left there."""

    document_id: str
    number: str | None
    dated: date
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedPayout:
    """A payout after the cut-over that also holds movements from before: those are in the opening entry."""

    id: str
    currency: str
    arrives_on: date
    older_count: int
    older_minor: int
    newer_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One currency. `entry` is the opening entry and `state` where it stands; None while there is none."""

    currency: str
    stripe_minor: int
    in_transit_minor: int
    existing_minor: int
    payouts: tuple[PayoutView, ...]
    disputes: tuple[OpenDispute, ...]
    reserved_minor: int
    held: tuple[HeldView, ...]
    held_count: int
    entry: DocumentView | None
    state: str | None

    @property
    def needed_minor(self) -> int:
        """What the clearing account must hold on the morning of the cut-over."""
        return self.stripe_minor + self.in_transit_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class GoLive:
    """None of `starts` while the balance at the cut-over is not known."""

    cutover: date
    time_zone: str
    starts: tuple[Start, ...] | None
    mixed: tuple[MixedPayout, ...]


def view(database: Database, link_id: int) -> GoLive:
    with database.read() as conn:
        link = connections.link(conn, link_id)
        starts = None if link.openings is None else tuple(_starts(conn, link, link.openings))
        mixed = tuple(_mixed(conn, link))
    return GoLive(cutover=link.cutover, time_zone=link.time_zone, starts=starts, mixed=mixed)


def _starts(conn: Connection, link: Link, found: Sequence[Opening]) -> list[Start]:
    travelling = openings.on_their_way(conn, link)
    held = openings.held_before(conn, link)
    entries = _entries(conn, link, [opening.currency for opening in found])
    starts = []
    for opening in found:
        mine = [
            HeldView(document_id=document.id, number=document.doc_number, dated=document.dated, amount_minor=amount)
            for currency, document, amount in held
            if currency == opening.currency
        ]
        mine.sort(key=lambda each: (each.dated, each.document_id), reverse=True)
        entry, state = entries.get(opening.currency, (None, None))
        starts.append(
            Start(
                currency=opening.currency,
                stripe_minor=opening.stripe_minor,
                in_transit_minor=opening.in_transit_minor,
                existing_minor=opening.existing_minor,
                payouts=tuple(
                    PayoutView(id=payout.id, amount_minor=amount, arrives_on=payout.arrives_on)
                    for payout, amount in travelling
                    if payout.currency == opening.currency
                ),
                disputes=opening.disputes,
                reserved_minor=opening.reserved_minor,
                held=tuple(mine[:SHOWN_MAX]),
                held_count=len(mine),
                entry=entry,
                state=state,
            )
        )
    return starts


def _entries(conn: Connection, link: Link, currencies: Sequence[str]) -> dict[str, tuple[DocumentView, str]]:
    """The opening entries that are planned or in the books."""
    account = connections.connection(conn, link.processor_id).external_id
    currency_of = {f"{account}:opening-{currency.lower()}:r1:s1": currency for currency in currencies}
    items = {
        marker: item
        for marker, item in outbox.by_marker(conn, link.ledger_id, list(currency_of)).items()
        if item.state != "withdrawn"
    }
    shown = dry_run.by_marker(conn, link.ledger_id, [item.posting for item in items.values()])
    return {currency_of[marker]: (shown[marker], item.state) for marker, item in items.items()}


def _mixed(conn: Connection, link: Link) -> list[MixedPayout]:
    start = openings.cutover_instant(link.cutover, link.time_zone)
    payouts: list[Payout] = mirror.load_all(conn, link.processor_id, ["payout"])
    own: dict[str, Movement] = mirror.load(
        conn, link.processor_id, "movement", [each.movement_id or "" for each in payouts]
    )
    after = [each for each in payouts if _made_since(each, own, start)]
    after.sort(key=lambda each: (each.arrives_on, each.id))
    items: dict[str, PayoutItems] = mirror.load(
        conn, link.processor_id, "payout_items", [each.id for each in after[:PAYOUTS_MAX]]
    )
    ids = (each for payout in after[:PAYOUTS_MAX] for each in _movement_ids(items, payout))
    movements: dict[str, Movement] = mirror.load(conn, link.processor_id, "movement", ids)
    found = []
    for payout in after[:PAYOUTS_MAX]:
        inside = [movements[each] for each in _movement_ids(items, payout) if each in movements]
        older = [each for each in inside if each.created_at < start]
        if older:
            found.append(
                MixedPayout(
                    id=payout.id,
                    currency=payout.currency,
                    arrives_on=payout.arrives_on,
                    older_count=len(older),
                    older_minor=sum(each.net_minor for each in older),
                    newer_minor=sum(each.net_minor for each in inside if each.created_at >= start),
                )
            )
    return found


def _movement_ids(items: dict[str, PayoutItems], payout: Payout) -> list[str]:
    """What it holds, without its own movement."""
    return [each for each in items[payout.id].movement_ids if each != payout.movement_id] if payout.id in items else []


def _made_since(payout: Payout, movements: dict[str, Movement], start: datetime) -> bool:
    own = movements.get(payout.movement_id or "")
    return own is not None and own.created_at >= start
