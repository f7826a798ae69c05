"""The processor port on Stripe: bulk listings, objects again by id, and the event list."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from operator import index
from typing import Any

from reconcile.records import Movement, PayoutItems
from sync.errors import Rejected, Unclassified
from sync.ports import EventPage, Fetched, Page
from sync.sound import is_name
from sync.stripe import again
from sync.stripe.again import PAGE, SERVICES, objects_in
from sync.stripe.client import STRANGE, call, listed, plain
from sync.stripe.events import MATTERS, hint_or_unknown
from sync.stripe.records import fetched
from sync.stripe.writing import StripeWriter

# In the order of a full read: what is pointed at comes first.
STREAMS = tuple(SERVICES)
LIST_ALL = frozenset({"customer", "processor_invoice"})  # older ones are pointed at by newer payments
LIFETIME = datetime(2010, 1, 1, tzinfo=UTC)  # before there was Stripe
# An invoice payment is created with its invoice, long before it is paid, and a dispute stays open for months. One older
# than this is found by its event.
LOOK_BACK = timedelta(days=400)
FROM_BEFORE = ("invoice_payment", "dispute")
# Types of movements into and out of what Stripe holds in reserve.
RESERVES = (
    "reserve_hold",
    "reserve_release",
    "reserve_transaction",
    "reserved_funds",
    "payment_network_reserve_hold",
    "payment_network_reserve_release",
)


class StripeProcessor(StripeWriter):
    """Implements sync.ports.Processor: the reading side; StripeWriter is the other."""

    def streams(self) -> tuple[str, ...]:
        return STREAMS

    def start_of(self, stream: str, cutover: datetime) -> datetime:
        """From when on a stream matters to somebody responsible since `cutover`."""
        if stream in LIST_ALL:
            return LIFETIME
        return cutover - LOOK_BACK if stream in FROM_BEFORE else cutover

    def page(self, stream: str, since: datetime, cursor: Any | None) -> Page:
        """One page, newest first, as Stripe lists: by `created`, payouts by arrival."""
        params: dict[str, Any] = {"limit": PAGE}
        if stream == "payout":  # one that was on its way at the cut-over was created before it
            params["arrival_date"] = {"gte": int(since.timestamp()) - 86_400}
        else:
            params["created"] = {"gte": int(since.timestamp())}
        if stream == "invoice_payment":
            params["status"] = "paid"
        if stream == "processor_invoice":
            params["expand"] = ["data.amount_paid_off_stripe"]
        if cursor is not None:
            params["starting_after"] = cursor
        service = getattr(self._client.v1, SERVICES[stream])
        listing = listed(lambda: service.list(params))
        objects = tuple(found for body in listing.bodies for found in _with_movements(stream, body))
        return Page(objects=objects, cursor=listing.cursor)

    def window(self, stream: str, since: datetime, until: datetime, cursor: Any | None) -> Page:
        """One page of what was created in a window, with what hangs on each object."""
        params: dict[str, Any] = {"created": {"gte": int(since.timestamp()), "lte": int(until.timestamp())}}
        if cursor is not None:
            params["starting_after"] = cursor
        listing = again.list_page(self._client, stream, params)
        objects = [found for body in listing.bodies for found in again.with_parts(self._client, stream, body)]
        return Page(objects=tuple(objects), cursor=listing.cursor)

    def fetch(self, kind: str, wanted: Mapping[str, datetime | None]) -> list[Fetched]:
        return again.fetch(self._client, kind, wanted)

    def invoice_payments(self, payment_intent_id: str) -> list[Fetched]:
        return again.invoice_payments(self._client, payment_intent_id)

    def payout_items(self, payout_id: str) -> list[Fetched]:
        """The movements of an automatic payout, and the list of their ids."""
        bodies = again.walk(self._client, "balance_transactions", {"payout": payout_id})
        movements = [fetched("movement", body) for body in bodies]
        items = PayoutItems(id=payout_id, movement_ids=tuple(sorted(each.id for each in movements)))
        return [*movements, Fetched(kind="payout_items", id=payout_id, record=items, raw="")]

    def events(self, after: str | None, since: datetime) -> EventPage | None:
        """A page of events after `after`, oldest first; without one, all since an instant. None if `after` is gone."""
        if after is None:
            bodies: Sequence[dict[str, Any]] = again.walk(
                self._client, "events", {"created": {"gte": int(since.timestamp())}}
            )
            more = False
        else:
            try:
                listing = listed(lambda: self._client.v1.events.list({"limit": PAGE, "ending_before": after}))
            except Rejected as error:
                if error.code == "resource_missing":
                    return None
                raise
            bodies, more = listing.bodies, listing.cursor is not None
        newest = bodies[0].get("id") if bodies else after
        if newest is not None and not is_name(newest):
            raise Unclassified(STRANGE, technical="events without an id")
        known = [event for event in reversed(bodies) if event.get("type") in MATTERS or not is_name(event.get("type"))]
        hints = tuple(hint_or_unknown(event, since) for event in known)
        return EventPage(hints=hints, newest=newest, more=more)

    def latest_event(self) -> str | None:
        listing = listed(lambda: self._client.v1.events.list({"limit": 1}))
        return call(lambda: str(listing.bodies[0]["id"])) if listing.bodies else None

    def balance(self) -> dict[str, int]:
        def ask() -> dict[str, int]:
            body = plain(self._client.v1.balance.retrieve())
            totals: dict[str, int] = defaultdict(int)
            for part in [*body["available"], *body["pending"]]:
                totals[part["currency"].upper()] += index(part["amount"])
            return dict(totals)

        return call(ask)

    def reserved(self, before: datetime) -> dict[str, int]:
        """Summed over its movements, of the payments balance: what went into reserve and has not come back."""
        totals: dict[str, int] = defaultdict(int)
        for kind in RESERVES:
            params = {"type": kind, "created": {"lt": int(before.timestamp())}}
            for body in again.walk(self._client, "balance_transactions", params):
                movement = fetched("movement", body).record
                if not isinstance(movement, Movement):
                    raise Unclassified(STRANGE, technical="a reserve that cannot be read")
                if movement.category == "risk_reserved_funds" and movement.balance_type == "payments":
                    totals[movement.currency] -= movement.gross_minor
        return {currency: total for currency, total in totals.items() if total}

    def account(self) -> tuple[str, str, str]:
        """Id, name and time zone of the account the key belongs to."""

        def ask() -> tuple[str, str, str]:
            body = plain(self._client.v1.accounts.retrieve_current())
            shown = (body.get("settings") or {}).get("dashboard") or {}
            return str(body["id"]), str(shown.get("display_name") or body["id"]), shown.get("timezone") or "Etc/UTC"

        return call(ask)


def _with_movements(stream: str, body: dict[str, Any]) -> list[Fetched]:
    """A dispute shows its balance transactions whole, also those from before anybody listed them."""
    inside = objects_in(body.get("balance_transactions")) if stream == "dispute" else []
    return [fetched("movement", each) for each in inside] + [fetched(stream, body)]
