"""The seams between Tieout and the world: the processor, the ledger, time and chance.

The ledger port is turned inside out because QuickBooks Desktop is: its Web Connector calls us. So a ledger is asked
for its `next_request` and given each answer; who carries the bytes is no concern of the port.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal, Protocol

from reconcile.outgoing import InvoiceContent
from reconcile.records import Customer, Record


class Clock(Protocol):
    """All time comes through here."""

    def now(self) -> datetime:
        """This instant, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        ...

    def sleep(self, seconds: float) -> None: ...


class Rng(Protocol):
    """All randomness and all new ids come through here."""

    def token(self, length: int) -> str:
        """A URL-safe secret of `length` characters."""
        ...

    def uuid(self) -> str: ...

    def jitter(self) -> float:
        """A number from 0 (included) to 1 (excluded)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """One object as the other system gave it: `raw` is its JSON text, `record` what we understand of it.

    A record of None says that the object is gone (deleted there), or, with a `problem`, that we cannot read it.
    """

    kind: str
    id: str
    record: Record | None
    raw: str = ""
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of a listing and where the next one starts; `cursor` is None after the last page."""

    objects: tuple[Fetched, ...]
    cursor: Any | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """What an event tells us to look at again. `event_id` is the sender's; the same one counts once.

    `object_created_at` says where in the other side's lists to look for it; it need not be right.
    """

    event_id: str
    kind: str
    object_id: str
    occurred_at: datetime
    type: str
    object_created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPage:
    """What a page of events points at, oldest first. `newest` is the last event seen, whatever it is about."""

    hints: tuple[Hint, ...]
    newest: str | None
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One write to Stripe: its parameters are frozen in the database, and its key with them, before it is sent.

    No key: saying it twice does no harm.
    """

    step: str
    target_id: str | None
    params: Mapping[str, Any]
    key: str


class Processor(Protocol):
    """Stripe. Whatever it says is fetched, never taken from an event's body. All raise one of sync.errors."""

    def streams(self) -> tuple[str, ...]:
        """The listings of a full read, in order."""
        ...

    def start_of(self, stream: str, cutover: datetime) -> datetime:
        """From when on a stream matters to somebody who is responsible since the cut-over."""
        ...

    def page(self, stream: str, since: datetime, cursor: Any | None) -> Page:
        """One page of everything of a stream since an instant."""
        ...

    def window(self, stream: str, since: datetime, until: datetime, cursor: Any | None) -> Page:
        """One page of what was created in a window, both ends included, with what hangs on each object."""
        ...

    def fetch(self, kind: str, wanted: Mapping[str, datetime | None]) -> list[Fetched]:
        """Objects again, with what hangs on them. `wanted`: their ids, and when each was made if that is known."""
        ...

    def invoice_payments(self, payment_intent_id: str) -> list[Fetched]:
        """Which invoices a payment paid."""
        ...

    def payout_items(self, payout_id: str) -> list[Fetched]:
        """The movements of a settled automatic payout, and a record of their ids."""
        ...

    def events(self, after: str | None, since: datetime) -> EventPage | None:
        """A page of hints after an event (without one: since an instant), up to 30 days back; None if it is gone."""
        ...

    def latest_event(self) -> str | None:
        """The id of the newest event, whatever it is about; None if there is none."""
        ...

    def balance(self) -> dict[str, int]:
        """The balance now, pending and available together, minor units by currency."""
        ...

    def reserved(self, before: datetime) -> dict[str, int]:
        """What it held back in reserve at a moment, minor units by currency; its balance does not tell."""
        ...

    def frame(self, step: str, about: Any) -> dict[str, Any]:
        """The parameters of a write, ready to be frozen. `about` is what the step is of (sync.stripe.wire)."""
        ...

    def write(self, write: Write) -> Fetched:
        """Does it, at most once under its key for a day. Raises Ambiguous if it may or may not have been done."""
        ...

    def find_written(self, write: Write) -> Fetched | None:
        """What a write has made, when its key may be forgotten; None if it was not done. Raises Ambiguous if nothing
        at Stripe tells.
        """
        ...

    def look(self, invoice_id: str) -> tuple[Fetched, Fetched]:
        """An invoice and its customer as they are now, payments under way and balances included."""
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """An outbox row that a request writes or asks about, at one of its attempts."""

    outbox_id: int
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the ledger is to be asked next: opaque bytes for whoever carries them.

    What a write says of each of its `parts` is frozen in the outbox before it is first given out and never changes
    afterwards. `deadline_s` is how long its carrier may wait for the answer. After `send_by`, by our clock, it must not
    leave any more: by the time it is worked on, somebody else may have taken over what it writes.
    """

    kind: Literal["read", "write"]
    path: str
    body: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()
    purpose: str = ""
    deadline_s: float = 60.0
    send_by: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What came back: an HTTP-like status with its body, or the error of the transport."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)
    lost: str | None = None  # the transport failed after the request may have left; the text says how


class People(Protocol):
    """The customers of a ledger that answers when it is asked. Each raises one of sync.errors."""

    def note_counterpart(self, customer_id: str, counterpart_id: str, home_currency: str) -> Fetched | None:
        """Writes the Stripe customer's id where the books keep notes, unless somebody's own stand there: then None."""
        ...

    def make(self, customer: Customer, currency: str, home_currency: str) -> Fetched | None:
        """Makes a customer of the books out of a Stripe customer, or finds the one that was; None if another customer
        has its name.
        """
        ...


class Ledger(Protocol):
    """QuickBooks. One at a time per connection: each request is answered before the next is asked for."""

    def next_request(self, connection_id: int) -> Request | None:
        """What is due and allowed now, or None. Claims the outbox rows it gives out, in a transaction of its own."""
        ...

    def accept_response(self, connection_id: int, request: Request, response: Response) -> None:
        """Records the answer durably. Raises one of sync.errors when reading cannot go on."""
        ...

    def request_read(self, connection_id: int) -> None:
        """Makes the next requests bring what changed in the books since they were last read."""
        ...

    def request_rates(self, connection_id: int, wanted: Sequence[tuple[str, date]]) -> None:
        """Makes the next requests bring its exchange rates of these currencies and days."""
        ...

    def is_reading(self, connection_id: int) -> bool:
        """Whether a read that was asked for has not come to its end."""
        ...

    def next_due_s(self, connection_id: int) -> float | None:
        """After `next_request` gave None: seconds until it is worth asking again; None if nothing waits."""
        ...

    def backlog(self, connection_id: int) -> int:
        """How many writes are ready to be sent."""
        ...

    def invoice_content(self, raw: str, currency: str) -> InvoiceContent:
        """What the ledger's own text of an invoice says beyond its record. Raises ValueError if it cannot be read."""
        ...
