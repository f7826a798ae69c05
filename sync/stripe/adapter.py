"""The processor port on Stripe: bulk listings, objects again by id, and the event list."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from reconcile.records import PayoutItems
from sync.errors import Rejected
from sync.ports import Fetched, Hint, Page
from sync.stripe.client import call, plain
from sync.stripe.records import KIND_OF_OBJECT, fetched
from sync.stripe.writing import StripeWriter

PAGE = 100  # Stripe's maximum

# What a webhook endpoint of ours subscribes to, and what of the event list we look at.
EVENT_TYPES = (
    "charge.succeeded",
    "charge.updated",
    "charge.captured",
    "charge.refunded",
    "charge.refund.updated",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "payout.created",
    "payout.updated",
    "payout.paid",
    "payout.failed",
    "payout.canceled",
    "payout.reconciliation_completed",
    "invoice_payment.paid",
    "invoice.finalized",
    "invoice.paid",
    "invoice.updated",
    "invoice.voided",
    "customer.created",
    "customer.updated",
)
MATTERS = frozenset(EVENT_TYPES)

# Stripe's list services of our streams, in the order of a full read: what is pointed at comes first.
STREAMS = {
    "customer": "customers",
    "processor_invoice": "invoices",
    "invoice_payment": "invoice_payments",
    "charge": "charges",
    "refund": "refunds",
    "dispute": "disputes",
    "payout": "payouts",
    "movement": "balance_transactions",
}
LIST_ALL = frozenset({"customer", "processor_invoice"})  # older ones are pointed at by newer payments
# An invoice payment is created with its invoice, long before it is paid. One older than this is found by the events
# of its payment, or else not: its charge then has no link and is matched by reference, or waits.
LOOK_BACK_S = 400 * 86_400


class StripeProcessor(StripeWriter):
    """Implements sync.ports.Processor: the reading side; StripeWriter is the other."""

    def streams(self) -> tuple[str, ...]:
        return tuple(STREAMS)

    def page(self, stream: str, since: datetime, cursor: Any | None) -> Page:
        """One page, newest first, as Stripe lists: by `created`, payouts by arrival."""
        params: dict[str, Any] = {"limit": PAGE}
        if stream == "payout":  # one that was on its way at the cut-over was created before it
            params["arrival_date"] = {"gte": int(since.timestamp()) - 86_400}
        elif stream == "invoice_payment":
            params |= {"status": "paid", "created": {"gte": int(since.timestamp()) - LOOK_BACK_S}}
        elif stream not in LIST_ALL:
            params["created"] = {"gte": int(since.timestamp())}
        if cursor is not None:
            params["starting_after"] = cursor
        service = getattr(self._client.v1, STREAMS[stream])
        listing = call(lambda: service.list(params))
        objects = tuple(_fetched(stream, body) for body in listing.data)
        return Page(objects=objects, cursor=objects[-1].id if listing.has_more and objects else None)

    def fetch(self, kind: str, ids: Iterable[str]) -> list[Fetched]:
        found: list[Fetched] = []
        for object_id in ids:
            found += self._fetch_one(kind, object_id)
        return found

    def payout_items(self, payout_id: str) -> list[Fetched]:
        """The movements of an automatic payout, and the list of their ids."""
        bodies = list(self._all("balance_transactions", {"payout": payout_id}))
        items = PayoutItems(id=payout_id, movement_ids=tuple(sorted(body["id"] for body in bodies)))
        movements = [_fetched("movement", body) for body in bodies]
        return [*movements, Fetched(kind="payout_items", id=payout_id, record=items, raw="")]

    def events(self, after: str | None, since: datetime) -> Iterator[Hint]:
        """Hints that came after event `after`, oldest first; without one, all since an instant."""
        params: dict[str, Any] = {"limit": PAGE}
        if after is not None:
            params["ending_before"] = after
            found = list(self._all("events", params))  # walks from old to new
        else:
            params["created"] = {"gte": int(since.timestamp())}
            found = list(reversed(list(self._all("events", params))))
        yield from (hint_of(plain(event)) for event in found if event["type"] in MATTERS)

    def latest_event(self) -> str | None:
        listing = call(lambda: self._client.v1.events.list({"limit": 1}))
        return listing.data[0].id if listing.data else None

    def balance(self) -> dict[str, int]:
        body = plain(call(self._client.v1.balance.retrieve))
        totals: dict[str, int] = defaultdict(int)
        for part in [*body["available"], *body["pending"]]:
            totals[part["currency"].upper()] += part["amount"]
        return dict(totals)

    def account(self) -> tuple[str, str, str]:
        """Id, name and time zone of the account the key belongs to."""
        body = plain(call(self._client.v1.accounts.retrieve_current))
        settings = body.get("settings") or {}
        zone = (settings.get("dashboard") or {}).get("timezone") or "Etc/UTC"
        name = (settings.get("dashboard") or {}).get("display_name") or body["id"]
        return body["id"], name, zone

    def _fetch_one(self, kind: str, object_id: str) -> list[Fetched]:
        """An object again, with the movement it caused: Stripe sends no event for a balance transaction."""
        service = getattr(self._client.v1, STREAMS[kind])
        expand = {
            "charge": ["balance_transaction"],
            "refund": ["balance_transaction"],
            "payout": ["balance_transaction"],
        }
        try:
            body = call(lambda: service.retrieve(object_id, {"expand": expand.get(kind, [])}))
        except Rejected as error:
            if error.code == "resource_missing":
                return [Fetched(kind=kind, id=object_id, record=None)]
            raise
        content = plain(body)
        inner = [content.get("balance_transaction"), *content.get("balance_transactions", [])]
        found = [fetched(kind, content), *(fetched("movement", part) for part in inner if isinstance(part, dict))]
        if kind == "charge" and content.get("payment_intent"):
            found += self._invoice_payments(content["payment_intent"])
        return found

    def _invoice_payments(self, payment_intent_id: str) -> list[Fetched]:
        params = {"payment": {"type": "payment_intent", "payment_intent": payment_intent_id}}
        return [_fetched("invoice_payment", body) for body in self._all("invoice_payments", params)]

    def _all(self, service: str, params: dict[str, Any]) -> Iterator[Any]:
        listing = call(lambda: getattr(self._client.v1, service).list({"limit": PAGE, **params}))
        return iter(call(lambda: list(listing.auto_paging_iter())))


def hint_of(event: dict[str, Any]) -> Hint:
    """What an event points at; its body is not trusted beyond that."""
    pointed = event["data"]["object"]
    kind = KIND_OF_OBJECT.get(pointed.get("object", ""), "")
    return Hint(
        event_id=event["id"],
        kind=kind,
        object_id=str(pointed.get("id") or ""),
        occurred_at=datetime.fromtimestamp(event["created"], UTC),
        type=event["type"],
    )


def _fetched(kind: str, body: Any) -> Fetched:
    return fetched(kind, plain(body))
