"""What changed at Stripe: its event list, and fetching again what events and new movements point at."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from reconcile.records import Charge
from storage import inbox, mirror
from storage.inbox import Event
from sync.errors import Rejected
from sync.ports import Fetched
from sync.reader import AGAIN, Reader, receive

EVENTS = "events"  # the cursor's name
REACH = timedelta(days=29)  # Stripe lists events of 30 days
LISTED = {"subscription": "processor_invoice"}  # what has no list of its own is read through another's
BATCH = 500  # events handled in one transaction
UNKNOWN = "Stripe sent an event of a kind Tieout does not know. Nothing was changed; look at it in Stripe."


class Hints:
    """The events of one Stripe account."""

    def __init__(self, reader: Reader) -> None:
        self._reader, self._database, self._clock = reader, reader.database, reader.clock
        self._connection_id = reader.connection_id

    def begin(self) -> datetime | None:
        """Before anything is listed: fixes where the events begin, if they cannot be followed from where we were.

        Gives the moment up to which nothing was missed, if what came since can only be found by listing.
        """
        with self._database.read() as conn:
            position = mirror.cursor(conn, self._connection_id, EVENTS)
        now = self._clock.now()
        if position is not None and now - datetime.fromisoformat(position["at"]) < REACH:
            return None
        if not self._begin_at_latest(now):
            return None
        return None if position is None else datetime.fromisoformat(position["at"])

    def _begin_at_latest(self, now: datetime) -> bool:
        """False if the key may not read events: what changed is found by webhooks and by listing again."""
        latest = self._reader.ask_list(EVENTS, lambda: {"after": self._reader.processor.latest_event()})
        if latest is not None:
            self._move(latest | {"at": now.isoformat()})
        return latest is not None

    def poll(self) -> datetime | None:
        """Every event since the last one seen becomes an inbox row, unless a webhook brought it already.

        Gives, as `begin`, the moment up to which nothing was missed, if Stripe no longer knows the last one seen.
        """
        with self._database.read() as conn:
            position = mirror.cursor(conn, self._connection_id, EVENTS)
        if position is None:
            return None
        began, more = self._clock.now(), True
        since = datetime.fromisoformat(position["at"])
        while more:
            ask = partial(self._reader.processor.events, position["after"], began - REACH)
            page = self._reader.ask_list(EVENTS, ask)
            if page is None:  # it is not known any more, or the key may not read events
                return since if self._begin_at_latest(began) else None
            more = page.more
            position = {"after": page.newest, "at": (since if more else began).isoformat()}
            with self._database.write() as conn:
                receive(conn, self._connection_id, page.hints, channel="poll", at=self._clock.now())
                mirror.move_cursor(conn, self._connection_id, EVENTS, position, self._clock.now())
        return None

    def fetch(self, progress: Callable[[str, int, int | None], None]) -> int:
        """Fetches what due inbox rows point at, each object once however many events named it; counts what changed."""
        changed = 0
        while True:
            with self._database.read() as conn:
                events = inbox.due(conn, self._connection_id, self._clock.now(), BATCH)
            if not events:
                return changed
            self._set_aside_unknown([event for event in events if not event.kind])
            changed += self._fetch_batch([event for event in events if event.kind])
            progress("Fetching what changed at Stripe", changed, None)

    def _fetch_batch(self, events: Sequence[Event]) -> int:
        """What Stripe refuses to give waits for a person, and the others go on."""
        began, refused = self._clock.now(), dict[tuple[str, str], str]()
        found = self._fetch(events, refused)
        with self._database.write() as conn:
            changed = self._reader.keep(conn, found, began)
            for event in events:
                if problem := refused.get((event.kind, event.object_id)):
                    inbox.set_aside(conn, [event.id], problem=problem)
            inbox.finish(conn, [event.id for event in events])  # but for those
        return len(changed)

    def _fetch(self, events: Sequence[Event], refused: dict[tuple[str, str], str]) -> list[Fetched]:
        wanted: dict[str, dict[str, datetime | None]] = defaultdict(dict)
        for event in events:
            known = wanted[event.kind].get(event.object_id)
            wanted[event.kind][event.object_id] = event.object_created_at or known
        found = [one for kind, ids in sorted(wanted.items()) for one in self._fetch_kind(kind, ids, refused)]
        return found + self._payments_of_unannounced(events, found)

    def _fetch_kind(
        self, kind: str, ids: Mapping[str, datetime | None], refused: dict[tuple[str, str], str]
    ) -> list[Fetched]:
        """Together; one by one if one of them spoils it."""
        try:
            # What the key may not read is not lost with its events: its list begins anew.
            return self._reader.ask_list(LISTED.get(kind, kind), partial(self._reader.processor.fetch, kind, ids)) or []
        except Rejected as error:
            if len(ids) == 1:
                refused[kind, next(iter(ids))] = f"{error.plain} Nothing was changed; mend the cause, then retry."
                return []
            return [one for each in sorted(ids) for one in self._fetch_kind(kind, {each: None}, refused)]

    def _payments_of_unannounced(self, events: Sequence[Event], found: Sequence[Fetched]) -> list[Fetched]:
        """Which invoices charges paid of which no event told us; else `invoice_payment.paid` does."""
        told = {event.object_id for event in events if event.type != AGAIN}
        charges = [one.record for one in found if isinstance(one.record, Charge) and one.id not in told]
        intents = sorted({charge.payment_intent_id for charge in charges if charge.payment_intent_id})
        ask = self._reader.processor.invoice_payments
        asked = (self._reader.ask_list("invoice_payment", partial(ask, intent)) for intent in intents)
        return [one for answer in asked for one in answer or ()]

    def _set_aside_unknown(self, events: Sequence[Event]) -> None:
        if events:
            with self._database.write() as conn:
                inbox.set_aside(conn, [event.id for event in events], problem=UNKNOWN)

    def _move(self, position: dict[str, str | None]) -> None:
        with self._database.write() as conn:
            mirror.move_cursor(conn, self._connection_id, EVENTS, position, self._clock.now())
