"""What two reports say of one object, put together: the newer one counts, but what it does not mention is kept."""

from collections.abc import Collection
from dataclasses import fields, replace
from typing import Any, TypeVar

from reconcile.money import Money
from reconcile.records import Charge, Dispute, Document, Movement, Payout, PayoutItems, Record

T = TypeVar("T", bound=Record)
EMPTY: tuple[object, ...] = (None, "", (), {})


def contradiction(old: Record | None, new: Record) -> str | None:
    """Why `new` cannot be the same Stripe entry as `old`: Stripe never changes one."""
    if not isinstance(new, Movement) or not isinstance(old, Movement):
        return None
    said = [(each.currency, each.gross_minor, each.fee_minor, each.category) for each in (old, new)]
    if said[0] == said[1]:
        return None
    before, now = (f"{Money(each.gross_minor, each.currency)} ({each.category})" for each in (old, new))
    return (
        f"An earlier row or file says {before} of {new.id}, this one {now}. Stripe never changes an entry: one of the "
        f"two was edited. Export both again."
    )


def merge(old: Record | None, new: T, unsure: Collection[str] = ()) -> T:
    """`unsure` are the fields that the new report guesses: what is known of them already is kept."""
    if type(old) is not type(new):
        return complete(new)
    kept = {each.name: getattr(old, each.name) for each in fields(new) if getattr(new, each.name) in EMPTY}
    if isinstance(old, Document):
        kept |= {name: getattr(old, name) for name in unsure if getattr(old, name) not in EMPTY}
    return complete(replace(new, **kept | _together(old, new)))


def _together(old: Any, new: Any) -> dict[str, Any]:
    match new:
        case Movement():  # some reports tell the minute only, some of a payout only the day it took effect
            return {"created_at": min(old.created_at, new.created_at)}
        case Charge():
            same = old.amount_minor == new.amount_minor
            return {
                "created_at": min(old.created_at, new.created_at),
                "metadata": old.metadata | new.metadata,
                "captured_minor": min(old.captured_minor, new.captured_minor) if same else new.captured_minor,
            }
        case Payout():
            returned = new if new.failure_movement_id else old if old.failure_movement_id else None
            status = returned.status if returned else new.status or old.status
            return {"created_at": min(old.created_at, new.created_at), "status": status}
        case Dispute():
            status = "won" if "won" in (old.status, new.status) else new.status
            return {
                "movement_ids": tuple(sorted({*old.movement_ids, *new.movement_ids})),
                "created_at": min(old.created_at, new.created_at),
                "status": status,
            }
        case PayoutItems():
            return {"movement_ids": tuple(sorted({*old.movement_ids, *new.movement_ids}))}
    return {}


def complete(record: T) -> T:
    """A payout of which no report says how it ended was paid: it stands in a report of what was paid out."""
    if isinstance(record, Payout) and not record.status:
        return replace(record, status="paid")
    return record
