"""Stripe in memory: what happens there, and the processor port that reads it.

It keeps what matters for faults: whole seconds, lists newest first and in pages, movements that come later than what
made them and without an event, event bodies that are out of date when they arrive.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from reconcile.records import Charge, Customer, Dispute, Fee, Movement, Payout, PayoutItems, Record, Refund
from storage.records import to_json
from sync.ports import EventPage, Fetched, Hint, Page, Write
from sync.stripe.adapter import FROM_BEFORE, LIFETIME, LIST_ALL, LOOK_BACK, STREAMS
from sync.stripe.again import SERVICES

PAGE, EVENTS = 3, 4  # objects and events in a page: few, so that a crash may fall between two of them
OBJECTS = {"charge": "charge", "refund": "refund", "dispute": "dispute", "payout": "payout", "customer": "customer"}
PAYOUT_DAYS = 2
FAILS_S = 86_400 * PAYOUT_DAYS + 6 * 3_600  # when a payout comes back that had arrived
BILL_AGE = timedelta(minutes=4)


@dataclass(frozen=True)
class Event:
    """`body` is the object as it was then."""

    id: str
    type: str
    kind: str
    object_id: str
    at: datetime
    body: Record

    def payload(self) -> bytes:
        """What a webhook carries."""
        about = {"object": OBJECTS[self.kind], "created": _seconds(self.body.created_at)}  # type: ignore[union-attr]
        told = {"id": self.id, "object": "event", "type": self.type, "created": _seconds(self.at)}
        return json.dumps(told | {"data": {"object": to_json(self.body) | about}}).encode()


class Stripe:
    """One account. `now` is its own clock; what takes time happens in `tick`."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.objects: dict[str, dict[str, Record]] = defaultdict(dict)
        self.events_told: list[Event] = []
        self._items: dict[str, PayoutItems] = {}
        self._later: list[tuple[datetime, Callable[[], None]]] = []
        self._numbers: Counter[str] = Counter()

    # ---- what happens

    def tick(self) -> None:
        """Does what is due."""
        now = self.second()
        due = [action for at, action in self._later if at <= now]
        self._later = [(at, action) for at, action in self._later if at > now]
        for action in due:
            action()

    def next_later_s(self) -> float:
        """Until the next thing happens by itself; 0 if there is none."""
        return min(((at - self.second()).total_seconds() for at, _ in self._later), default=0)

    def second(self) -> datetime:
        return self._now().replace(microsecond=0)

    def add_customer(self, name: str, email: str) -> Customer:
        customer = Customer(id=self._id("cus"), name=name, email=email)
        self.objects["customer"][customer.id] = customer
        return customer

    def charge(self, customer: Customer, amount: int, description: str, *, settles_s: int = 0) -> Charge:
        charge = Charge(
            id=self._id("ch"), created_at=self.second(), currency="USD", amount_minor=amount, captured_minor=amount,
            refunded_minor=0, status="succeeded", movement_id=None, payment_intent_id=self._id("pi"),
            customer_id=customer.id, customer_name=customer.name, customer_email=customer.email,
            description=description,
        )  # fmt: skip
        self._keep("charge", charge, "charge.succeeded")
        self._in(settles_s, lambda: self._settle(charge.id))
        return charge

    def refund(self, charge_id: str, amount: int) -> Refund:
        charge = self.get("charge", charge_id)
        self.objects["charge"][charge_id] = replace(charge, refunded_minor=charge.refunded_minor + amount)
        made = Refund(
            id=self._id("re"), created_at=self.second(), currency="USD", amount_minor=amount, status="succeeded",
            charge_id=charge_id, movement_id=None,
        )  # fmt: skip
        moved = self._move("refund", "refund", made.id, -amount)
        made = replace(made, movement_id=moved.id)
        self._keep("refund", made, "refund.created")
        self._tell("charge", charge_id, "charge.refunded")
        return made

    def fail_refund(self, refund_id: str) -> None:
        """The money comes back, into the balance."""
        refund = self.get("refund", refund_id)
        moved = self._move("refund_failure", "refund_failure", refund_id, refund.amount_minor)
        self._keep("refund", replace(refund, status="failed", failure_movement_id=moved.id), "refund.failed")

    def dispute(self, charge_id: str) -> Dispute:
        charge = self.get("charge", charge_id)
        made = Dispute(
            id=self._id("du"), created_at=self.second(), currency="USD", amount_minor=charge.amount_minor,
            status="needs_response", charge_id=charge_id, reason="fraudulent",
        )  # fmt: skip
        self.objects["dispute"][made.id] = made
        moved = self._move("adjustment", "dispute", made.id, -charge.amount_minor, 1_500)
        self._keep("dispute", replace(made, movement_ids=(moved.id,)), "charge.dispute.created")
        return made

    def close_dispute(self, dispute_id: str, *, won: bool) -> None:
        dispute = self.get("dispute", dispute_id)
        ids = dispute.movement_ids
        if won:
            moved = self._move("adjustment", "dispute_reversal", dispute_id, dispute.amount_minor)
            ids = (*ids, moved.id)
        closed = replace(dispute, status="won" if won else "lost", movement_ids=ids)
        self._keep("dispute", closed, "charge.dispute.closed")

    def pay_out(self, *, fails: bool = False) -> Payout | None:
        """All there is, to the bank; it arrives days later, or comes back."""
        amount = self.balance().get("USD", 0)
        if amount <= 0:
            return None
        now = self.second()
        paid = {moved for items in self._items.values() for moved in items.movement_ids}
        inside = [each for each in self.objects["movement"] if each not in paid]
        payout = Payout(
            id=self._id("po"), created_at=now, currency="USD", amount_minor=amount, status="in_transit",
            arrives_on=(now + timedelta(days=PAYOUT_DAYS)).date(), automatic=True, movement_id=None,
            reconciliation_status="in_progress",
        )  # fmt: skip
        moved = self._move("payout", "payout", payout.id, -amount)
        self._items[payout.id] = PayoutItems(id=payout.id, movement_ids=tuple(sorted([*inside, moved.id])))
        self._keep("payout", replace(payout, movement_id=moved.id), "payout.created")
        self._in(86_400 * PAYOUT_DAYS, lambda: self._arrive(payout.id))
        if fails:
            self._in(FAILS_S, lambda: self._bring_back(payout.id))
        return payout

    def bill(self, amount: int) -> None:
        """Stripe takes a fee of its own: a movement without an event, listed when it is minutes old."""
        self._move("stripe_fee", "fee", None, -amount, age=BILL_AGE)

    def _settle(self, charge_id: str) -> None:
        charge = self.get("charge", charge_id)
        fee = 30 + charge.amount_minor * 29 // 1_000
        moved = self._move("charge", "charge", charge_id, charge.amount_minor, fee)
        self._keep("charge", replace(charge, movement_id=moved.id), "charge.updated")

    def _itemised(self, payout_id: str) -> None:
        payout = replace(self.get("payout", payout_id), reconciliation_status="completed")
        self._keep("payout", payout, "payout.reconciliation_completed")

    def _arrive(self, payout_id: str) -> None:
        self._itemised(payout_id)
        self._keep("payout", replace(self.get("payout", payout_id), status="paid"), "payout.paid")

    def _bring_back(self, payout_id: str) -> None:
        payout = self.get("payout", payout_id)
        moved = self._move("payout_failure", "payout_reversal", payout_id, payout.amount_minor)
        self._keep("payout", replace(payout, status="failed", failure_movement_id=moved.id), "payout.failed")

    def _move(
        self, type_: str, category: str, source_id: str | None, gross: int, fee: int = 0, age: timedelta = timedelta()
    ) -> Movement:
        kind = "stripe_fee" if category != "fee" else ""
        fees = (Fee(kind=kind, amount_minor=fee, description="Fee"),) if fee else ()
        made = Movement(
            id=self._movement_id(source_id), created_at=self.second() - age, currency="USD", gross_minor=gross,
            fee_minor=fee, net_minor=gross - fee, fees=fees, category=category, type=type_, source_id=source_id,
            status="available",
        )  # fmt: skip
        self.objects["movement"][made.id] = made
        return made

    def _keep(self, kind: str, record: Any, event: str) -> None:
        self.objects[kind][record.id] = record
        self._tell(kind, record.id, event)

    def _tell(self, kind: str, object_id: str, type_: str) -> None:
        event = Event(self._id("evt"), type_, kind, object_id, self.second(), self.objects[kind][object_id])
        self.events_told.append(event)

    def _in(self, seconds: int, action: Callable[[], None]) -> None:
        if seconds:
            self._later.append((self.second() + timedelta(seconds=seconds), action))
        else:
            action()

    def _movement_id(self, source_id: str | None) -> str:
        """Named after what made it, so that it is called the same whenever Stripe gets to it."""
        if source_id is None:
            return self._id("txn")
        known = sum(each.source_id == source_id for each in self.all("movement"))
        return f"txn_{source_id.partition('_')[2]}{'ABCDEF'[known]}"

    def _id(self, prefix: str) -> str:
        self._numbers[prefix] += 1
        return f"{prefix}_3Sim{prefix}{self._numbers[prefix]:05}"

    def get(self, kind: str, object_id: str) -> Any:
        return self.objects[kind][object_id]

    def all(self, kind: str) -> list[Any]:
        return list(self.objects[kind].values())

    # ---- the port

    def streams(self) -> tuple[str, ...]:
        """Those of which something is ever there."""
        return tuple(each for each in STREAMS if each in (*OBJECTS, "movement"))

    def start_of(self, stream: str, cutover: datetime) -> datetime:
        if stream in LIST_ALL:
            return LIFETIME
        return cutover - LOOK_BACK if stream in FROM_BEFORE else cutover

    def page(self, stream: str, since: datetime, cursor: Any | None) -> Page:
        def is_due(record: Any) -> bool:
            if stream == "payout":
                return bool(record.arrives_on >= (since - timedelta(days=1)).date())
            return bool(_created(record) >= since.replace(microsecond=0))

        return self._list(stream, is_due, cursor)

    def window(self, stream: str, since: datetime, until: datetime, cursor: Any | None) -> Page:
        return self._list(stream, lambda record: since <= _created(record) <= until, cursor, with_parts=True)

    def fetch(self, kind: str, wanted: Mapping[str, datetime | None]) -> list[Fetched]:
        assert kind in SERVICES, f"Stripe has no {kind} to be fetched"
        return [found for object_id in sorted(wanted) for found in self._with_parts(kind, object_id)]

    def invoice_payments(self, payment_intent_id: str) -> list[Fetched]:
        return []

    def payout_items(self, payout_id: str) -> list[Fetched]:
        items = self._items[payout_id]
        return [
            *(_fetched("movement", self.get("movement", each)) for each in items.movement_ids),
            Fetched(kind="payout_items", id=payout_id, record=items, raw=""),
        ]

    def events(self, after: str | None, since: datetime) -> EventPage | None:
        known = [event.id for event in self.events_told]
        if after is None:
            found = [event for event in self.events_told if event.at >= since.replace(microsecond=0)]
            more = False
        else:
            if after not in known:
                return None
            rest = self.events_told[known.index(after) + 1 :]
            found, more = rest[:EVENTS], len(rest) > EVENTS
        hints = tuple(hint_of(event) for event in found)
        return EventPage(hints=hints, newest=found[-1].id if found else after, more=more)

    def latest_event(self) -> str | None:
        return self.events_told[-1].id if self.events_told else None

    def balance(self) -> dict[str, int]:
        total = sum(each.net_minor for each in self.all("movement"))
        return {"USD": total} if total or self.all("movement") else {}

    def reserved(self, before: datetime) -> dict[str, int]:
        return {}

    def frame(self, step: str, about: Any) -> dict[str, Any]:
        raise NotImplementedError("nothing is sent to Stripe here")

    def write(self, write: Write) -> Fetched:
        raise NotImplementedError("nothing is sent to Stripe here")

    def find_written(self, write: Write) -> Fetched | None:
        raise NotImplementedError("nothing is sent to Stripe here")

    def look(self, invoice_id: str) -> tuple[Fetched, Fetched]:
        raise NotImplementedError("nothing is sent to Stripe here")

    def _list(
        self, stream: str, is_due: Callable[[Any], bool], cursor: Any | None, *, with_parts: bool = False
    ) -> Page:
        """Newest first."""
        numbered = [(_created(record), number, record) for number, record in enumerate(self.all(stream))]
        found = [record for _, _, record in sorted(numbered, key=lambda row: row[:2], reverse=True) if is_due(record)]
        if cursor is not None:
            ids = [record.id for record in found]
            found = found[ids.index(cursor) + 1 :] if cursor in ids else []
        page = found[:PAGE]
        objects = [
            part
            for record in page
            for part in (self._with_parts(stream, record.id) if with_parts else self._shown(stream, record))
        ]
        return Page(objects=tuple(objects), cursor=page[-1].id if len(found) > PAGE else None)

    def _shown(self, stream: str, record: Any) -> list[Fetched]:
        """A dispute shows its movements, wherever it is listed."""
        inside = record.movement_ids if stream == "dispute" else ()
        return [*(_fetched("movement", self.get("movement", each)) for each in inside), _fetched(stream, record)]

    def _with_parts(self, kind: str, object_id: str) -> list[Fetched]:
        record = self.objects[kind].get(object_id)
        if record is None:
            return [Fetched(kind=kind, id=object_id, record=None)]
        own = getattr(record, "movement_id", None)
        inside = [_fetched("movement", self.get("movement", own))] if own else []
        return [*inside, *self._shown(kind, record)]


def hint_of(event: Event) -> Hint:
    return Hint(
        event_id=event.id,
        kind=event.kind,
        object_id=event.object_id,
        occurred_at=event.at,
        type=event.type,
        object_created_at=getattr(event.body, "created_at", None),
    )


def _fetched(kind: str, record: Any) -> Fetched:
    return Fetched(kind=kind, id=record.id, record=record, raw=msgspec.json.encode(record).decode())


def _created(record: Any) -> datetime:
    return getattr(record, "created_at", None) or datetime(2026, 1, 1, tzinfo=UTC)


def _seconds(at: datetime) -> int:
    return int(at.timestamp())
