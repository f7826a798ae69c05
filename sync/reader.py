"""One Stripe account and the mirror it is read into: asks patiently, stores what came, never over something newer."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from storage import connections, inbox, mirror
from storage.connections import Link
from storage.engine import Database
from sync.errors import Forbidden, Transient, Unauthorized
from sync.ports import Clock, Fetched, Hint, Processor, Rng
from sync.rights import Rights

ACTOR = "stripe"
PATIENCE = 6  # tries of one request within a run
AGAIN = "fetch again"  # the type of an inbox row of our own making
T = TypeVar("T")


class Reader:
    """What every way of reading Stripe shares."""

    def __init__(self, database: Database, clock: Clock, rng: Rng, processor: Processor, link: Link) -> None:
        self.database, self.clock, self.processor, self.link = database, clock, processor, link
        self.connection_id = link.processor_id
        self.rights = Rights()
        self._rng = rng

    def ask_list(self, name: str, action: Callable[[], T]) -> T | None:
        """As `ask`, but None if the key may not read this list: that is noted, and it is read anew once the key may."""
        try:
            return self.ask(action)
        except Forbidden as error:
            self.rights.note(name, error)
            with self.database.write() as conn:
                mirror.forget_cursor(conn, self.connection_id, name)
            return None

    def ask(self, action: Callable[[], T]) -> T:
        """Tries again while Stripe is out of reach or asks us to slow down. Not while a transaction is open."""
        for attempt in range(PATIENCE):
            try:
                return action()
            except Forbidden:
                raise
            except Unauthorized as error:
                with self.database.write() as conn:
                    connections.set_state(conn, self.connection_id, "reconnect", error.plain, self.clock.now())
                raise
            except Transient as error:
                if attempt == PATIENCE - 1:
                    raise
                self.clock.sleep(error.retry_after_s or min(30, 0.5 * 2**attempt) * (0.5 + self._rng.jitter() / 2))
        raise AssertionError("unreachable")

    def keep(self, conn: Any, found: Sequence[Fetched], began: datetime) -> list[tuple[str, str]]:
        """Stores what a fetch brought that began at `began`, in the caller's transaction; gives what changed.

        What somebody else stored since then is not overwritten but fetched again: whose is the later state cannot be
        told. What cannot be read waits for a person.
        """
        if not found:
            return []
        now = self.clock.now()
        for one in found:
            if one.problem is not None:
                inbox.hold(conn, self.connection_id, one.kind, one.id, raw=one.raw, problem=one.problem, at=now)
        good = [one for one in found if one.problem is None]
        late = mirror.overtaken(conn, self.connection_id, ((one.kind, one.id) for one in good), began)
        # What a settled payout holds never changes, and there is no fetching it: whoever stored it has the same.
        again = sorted((kind, object_id) for kind, object_id in late if kind != "payout_items")
        self.fetch_again(conn, ((kind, object_id, None, f"{began.isoformat()}") for kind, object_id in again))
        objects = [(one.kind, one.id, one.record, one.raw) for one in good if (one.kind, one.id) not in late]
        return mirror.store(conn, self.connection_id, objects, at=now, actor=ACTOR)

    def fetch_again(self, conn: Any, wanted: Iterable[tuple[str, str, datetime | None, str]]) -> None:
        """Inbox rows of our own: (kind, id, when it was made, why), once each."""
        now = self.clock.now()
        hints = [
            Hint(
                event_id=f"again:{kind}:{object_id}:{why}",
                kind=kind,
                object_id=object_id,
                occurred_at=now,
                type=AGAIN,
                object_created_at=created,
            )
            for kind, object_id, created, why in wanted
        ]
        receive(conn, self.connection_id, hints, channel="poll", at=now)


def receive(conn: Any, connection_id: int, hints: Sequence[Hint], *, channel: str, at: datetime) -> int:
    """Hints as inbox rows; those known already are left alone."""
    rows = [
        {
            "event_id": hint.event_id,
            "type": hint.type,
            "kind": hint.kind,
            "object_id": hint.object_id,
            "object_created_at": hint.object_created_at,
            "occurred_at": hint.occurred_at,
        }
        for hint in hints
    ]
    return inbox.receive(conn, connection_id, rows, channel=channel, at=at)
