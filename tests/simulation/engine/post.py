"""The way of a webhook: signed, sent, perhaps forged, and sent again until somebody has acknowledged it."""

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from starlette.requests import Request
from stripe import _webhook

from storage.models import inbox
from sync import web
from tests.simulation.engine.stripe import Event
from tests.simulation.engine.trouble import Crash
from tests.simulation.engine.world import VAULT, WEBHOOK_SECRET, World

PROCESSOR = 1


@dataclass
class Post:
    """Stripe's queue of webhooks, and our route they come in by. `acknowledged` are the ids that got their 2xx."""

    world: World
    waiting: list[Event] = field(default_factory=list)
    acknowledged: set[str] = field(default_factory=set)
    taken: int = 0  # of the events that Stripe has told

    def deliver(self, how: str) -> None:
        """Everything since the last time, in one of many ways."""
        told = self.world.stripe.events_told
        news, self.taken = told[self.taken :], len(told)
        match how:
            case "never":
                return
            case "late":
                self.waiting += news
                return
            case "reversed":
                news = news[::-1]
            case "twice":
                news = [each for event in news for each in (event, event)]
            case "forged":
                self._forge(news)
                return
            case "replayed":
                self._replay(news)
        for event in [*self.waiting, *news]:
            self._send(event)
        self.waiting.clear()

    def _send(self, event: Event) -> None:
        payload = event.payload()
        try:
            taken = self._post(payload, _signed(payload, self.world.clock.now(), WEBHOOK_SECRET))
            if not taken:
                self.world.wrong.append(f"Webhook {event.id} was refused.")
        except Crash:
            taken = False
        except OperationalError:  # answered 500
            taken = False
        if not taken:
            return
        self.acknowledged.add(event.id)
        if not self._is_stored(event.id):
            self.world.wrong.append(f"Webhook {event.id} was acknowledged, but it is not stored.")

    def _forge(self, news: list[Event]) -> None:
        """Signed with another secret, or not at all; with ids of its own."""
        for event in news:
            payload = json.dumps(json.loads(event.payload()) | {"id": f"{event.id}forged"}).encode()
            self._refused(payload, _signed(payload, self.world.clock.now(), "whsec_guessed"), f"{event.id}forged")
            self._refused(payload, "", f"{event.id}forged")

    def _replay(self, news: list[Event]) -> None:
        """A true one, an hour old."""
        for event in news:
            payload = event.payload()
            self.world.clock.advance(1)
            at = self.world.clock.now().timestamp() - 3_600
            header = _header(payload, int(at), WEBHOOK_SECRET)
            self._refused(payload, header, event.id)

    def _refused(self, payload: bytes, header: str, event_id: str) -> None:
        known = self._is_stored(event_id)
        if self._post(payload, header):
            self.world.wrong.append(f"A forged webhook {event_id} was taken.")
        if not known and self._is_stored(event_id):
            self.world.wrong.append(f"A forged webhook {event_id} was stored.")

    def _post(self, payload: bytes, header: str) -> bool:
        """Whether it was acknowledged."""
        scope = {"type": "http", "headers": [(b"stripe-signature", header.encode())]}
        world = self.world
        ours: Any = SimpleNamespace(clock=world.clock, database=world.database, vault=VAULT)
        world.trouble.place = "webhook"
        now = SimpleNamespace(time=lambda: world.clock.now().timestamp())  # the vendor's library reads the clock itself
        try:
            with patch.object(_webhook, "time", now):
                web._store(ours, PROCESSOR, Request(scope), payload, web._stripe_hints)
        except web.Refusal:
            return False
        finally:
            world.trouble.place = "commit"
        return True

    def _is_stored(self, event_id: str) -> bool:
        with self.world.database.read() as conn:
            these = (inbox.c.connection_id == PROCESSOR, inbox.c.event_id == event_id)
            return conn.execute(select(inbox.c.id).where(*these)).first() is not None


def _signed(payload: bytes, now: Any, secret: str) -> str:
    return _header(payload, int(now.timestamp()), secret)


def _header(payload: bytes, at: int, secret: str) -> str:
    signed = hmac.new(secret.encode(), f"{at}.{payload.decode()}".encode(), hashlib.sha256).hexdigest()
    return f"t={at},v1={signed}"
