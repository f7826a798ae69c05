"""Disputes: every withdrawal and return of money, and the remainder once they are closed (rows 11 to 13).

Stripe tells no movement when a dispute is lost, so its closing entry is of the dispute itself and books no leg. An
inquiry moves nothing and needs nothing.
"""

from collections import defaultdict
from dataclasses import replace
from datetime import date
from decimal import Decimal

from reconcile.currencies import in_home
from reconcile.days import before_cutover, book_day, first_open_day
from reconcile.draft import Draft, cover_by_opening, divide, missing_account
from reconcile.entries import book_entry, entry
from reconcile.frames import withdrawal
from reconcile.legs import fees_of, gross_of, legs_of
from reconcile.postings import Posting
from reconcile.records import Dispute, Movement
from reconcile.snapshot import DisputeBooks, Snapshot

CLOSED = ("won", "lost", "warning_closed", "prevented")
ACCOUNTS = {"gross": "disputes_receivable", "stripe_fee": "dispute_fees"}


def plan_dispute(draft: Draft, dispute_id: str, movements: list[Movement]) -> None:
    first = withdrawal(draft.snapshot.disputes[dispute_id], movements)
    for movement in movements:
        legs = draft.undecided([movement])
        if before_cutover(draft.snapshot, [movement]):
            cover_by_opening(draft, legs, dispute_id)
            continue
        # The matcher knows a dispute by its withdrawal; everything else has rows of its own.
        item_id = dispute_id if movement is first else movement.id
        gross = gross_of(legs)
        is_answered = bool(gross) and draft.is_answered(item_id, gross)
        fees = draft.open_fees(fees_of(legs))
        if is_answered or (gross_of(legs_of(movement)) and not gross):
            if fees:  # under a name of its own: the gross may still be ours to post one day, or is already
                book_entry(draft, movement, fees, dispute_id, "dispute-fee", ACCOUNTS)
        elif (legs := [*gross, *fees]) and (
            posting := book_entry(draft, movement, legs, dispute_id, "dispute", ACCOUNTS)
        ):
            draft.disputed[dispute_id].append(posting)


def plan_closings(draft: Draft) -> None:
    """Brings Disputes receivable to nothing for every closed dispute all of whose movements we booked."""
    for dispute in sorted(draft.snapshot.disputes.values(), key=lambda each: each.id):
        books = _with_planned(draft, dispute)
        if dispute.status in CLOSED and books.held_minor and set(dispute.movement_ids) <= books.movement_ids:
            draft.postings += _closing(draft, dispute, books)


def _with_planned(draft: Draft, dispute: Dispute) -> DisputeBooks:
    books = draft.snapshot.dispute_books.get(dispute.id, DisputeBooks())
    opened = draft.opened.get(dispute.id)
    if opened and not opened.movement_ids <= books.movement_ids:
        books = replace(
            books,
            held_minor=books.held_minor + opened.held_minor,
            taken=(*opened.taken, *books.taken),
            movement_ids=books.movement_ids | opened.movement_ids,
            last_day=books.last_day or opened.last_day,
            last_marker=books.last_marker or opened.last_marker,
        )
    for posting in draft.disputed[dispute.id]:
        held = held_by(posting, draft.snapshot.home_currency)
        books = replace(
            books,
            held_minor=books.held_minor + held,
            taken=(*books.taken, (gross_share(posting), held)),
            movement_ids=books.movement_ids | {share.leg_id.partition(":")[0] for share in posting.shares},
            last_day=max(books.last_day or posting.dated, posting.dated),
            last_marker=posting.marker,
        )
    return books


def gross_share(posting: Posting) -> int:
    """What an entry of a dispute takes from the clearing account but for fees, in that account's currency."""
    return -sum(share.amount_minor for share in posting.shares if share.leg_id.endswith(":gross"))


def held_by(posting: Posting, home: str) -> int:
    """What an entry of a dispute puts on Disputes receivable, in home currency."""
    return in_home(gross_share(posting), posting.currency, posting.exchange_rate, home)


def _closing(draft: Draft, dispute: Dispute, books: DisputeBooks) -> list[Posting]:
    """What is left is lost; a later return of money finds it again, and the next closing gives it back."""
    snapshot = draft.snapshot
    if missing_account(snapshot, "disputes_receivable", "dispute_losses"):
        return []  # its movements wait for the same accounts
    accounts = snapshot.mappings.accounts
    receivable, losses = accounts["disputes_receivable"], accounts["dispute_losses"]
    exchange = accounts.get("exchange", losses)
    lost = 0 if _is_rate_only(snapshot, dispute) else _lost(books)
    marker = f"{dispute.id}:close:r{books.closings + 1}:s1"
    charge = f" of {dispute.charge_id}" if dispute.charge_id else ""
    text = f"{dispute.id}{charge} is {dispute.status}: what Stripe kept of it"
    amounts: dict[str, int] = defaultdict(int, {receivable: -books.held_minor})
    amounts[losses] += lost
    amounts[exchange] += books.held_minor - lost
    posting = entry(snapshot, marker, _closing_day(snapshot, books), receivable, amounts, text, dispute.id)
    return [replace(posting, after=books.last_marker)]


def _lost(books: DisputeBooks) -> int:
    """What Stripe kept, at the rates it was taken at; the rest of what is left came of rates. In home currency."""
    out = [(own, home) for own, home in books.taken if own > 0]
    taken, kept = sum(own for own, _ in out), sum(own for own, _ in books.taken)
    if books.closings or not taken:
        return books.held_minor
    return divide(sum(home for _, home in out), [kept, taken - kept])[0]


def _is_rate_only(snapshot: Snapshot, dispute: Dispute) -> bool:
    """All of it came back, at another rate: what is left is no loss of the dispute."""
    back = [each for each in snapshot.movements if each.source_id == dispute.id and each.category == "dispute_reversal"]
    if dispute.status != "won" or not back or any(each.exchange_rate is None for each in back):
        return False
    returned = sum((Decimal(each.gross_minor) / Decimal(each.exchange_rate or 1) for each in back), Decimal(0))
    return abs(returned - dispute.amount_minor) <= 1


def _closing_day(snapshot: Snapshot, books: DisputeBooks) -> date:
    """When Stripe said so, if we heard it; else the day of its last movement. Never in a closed period."""
    day = book_day(books.closed_at, snapshot.time_zone) if books.closed_at else snapshot.cutover
    return first_open_day(snapshot, max(day, books.last_day or day, snapshot.cutover))
