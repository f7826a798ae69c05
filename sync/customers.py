"""Customers of both sides, joined: found to be the same, told of each other, and made where one is missing."""

import logging
from dataclasses import dataclass
from typing import Any

from reconcile.counterparts import REALM_KEY, Pair, metadata_key, pair
from reconcile.records import Customer
from storage import connections, counterparts, mirror
from storage.connections import Link
from storage.engine import Database
from sync.errors import Ambiguous, Rejected, Stale, Transient
from sync.ports import Clock, People, Processor, Write

ACTOR = "tieout"
AT_ONCE = 200  # customers told or made in one sync

log = logging.getLogger(__name__)


@dataclass
class Counterparts:
    """One run of it for one link."""

    database: Database
    clock: Clock
    processor: Processor
    people: People

    def pair(self, link: Link) -> None:
        """Looks for counterparts whenever a customer or a link of one has changed."""
        with self.database.read() as conn:
            state = counterparts.state_of_customers(conn, link)
            if mirror.cursor(conn, link.processor_id, counterparts.STREAM) == state:
                return
            books, there, known = counterparts.load(conn, link)
            home, realm_id = mirror.home_currency(conn, link.ledger_id), realm(conn, link)
        found = pair(books, there, known, realm_id=realm_id, home_currency=home)
        currencies = {customer.id: customer.currency or home for customer in books}
        with self.database.write() as conn:
            now = self.clock.now()
            counterparts.record(conn, link, found, known, currencies, now)
            state = counterparts.state_of_customers(conn, link)
            mirror.move_cursor(conn, link.processor_id, counterparts.STREAM, state, now)

    def make(self, link: Link) -> None:
        """Stripe's customers that are to be in the books too: those a person wants there, or all, by policy."""
        with self.database.read() as conn:
            wanted = counterparts.wanted(conn, link)
            if link.policies.create_customers:
                wanted += counterparts.without_counterpart(conn, link, AT_ONCE)
            home = mirror.home_currency(conn, link.ledger_id)
        for customer in wanted[:AT_ONCE]:
            try:
                self._make(link, customer, customer.currency or home, home)
            except (Transient, Ambiguous, Stale) as error:  # looked for by its name, and our note in it, next time
                log.warning("customer %s: %s %s", customer.id, error.plain, error.technical)
            except Rejected as error:
                self._refuse(link, customer, error.plain)

    def _make(self, link: Link, customer: Customer, currency: str, home: str) -> None:
        made = self.people.make(customer, currency, home)
        if made is None:
            problem = "QuickBooks has somebody else of this name. Rename one of the two, then try again."
            self._refuse(link, customer, problem)
            return
        joined = Pair(customer_id=made.id, processor_customer_id=customer.id, currency=currency, how="created")
        with self.database.write() as conn:
            now = self.clock.now()
            mirror.store(
                conn, link.ledger_id, [(made.kind, made.id, made.record, made.raw)], at=now, actor=ACTOR, is_news=False
            )
            counterparts.settle_wanted(conn, link.id, customer.id)
            counterparts.join(conn, link.id, joined, actor=ACTOR, at=now)
            counterparts.record_noted(conn, link.id, made.id, here=True)

    def _refuse(self, link: Link, customer: Customer, why: str) -> None:
        with self.database.write() as conn:
            counterparts.set_aside(conn, link.id, customer.id, "refused", actor=ACTOR, at=self.clock.now(), why=why)

    def tell(self, link: Link) -> None:
        """Writes each new link into both systems. Saying the same twice does no harm, so nothing is kept of it but
        that it was said.
        """
        with self.database.read() as conn:
            pairs = counterparts.to_note(conn, link.id, AT_ONCE)
            home, realm_id = mirror.home_currency(conn, link.ledger_id), realm(conn, link)
        for each in pairs:
            try:
                self._tell(link, each, {REALM_KEY: realm_id, metadata_key(each.currency, home): each.customer_id}, home)
            except (Transient, Ambiguous, Stale) as error:
                log.warning("customer %s: %s %s", each.customer_id, error.plain, error.technical)
            except Rejected as error:  # the link itself stands all the same
                log.warning("customer %s: %s %s", each.customer_id, error.plain, error.technical)
                with self.database.write() as conn:
                    counterparts.record_noted(conn, link.id, each.customer_id, there=True, here=True)

    def _tell(self, link: Link, each: Pair, metadata: dict[str, str], home: str) -> None:
        with self.database.read() as conn:
            there, here = counterparts.noted(conn, link.id, each.customer_id)
        if not there:
            about = Customer(id=each.processor_customer_id, name="", metadata=metadata)
            params = self.processor.frame("mark_customer", about)
            write = Write(step="mark_customer", target_id=each.processor_customer_id, params=params, key="")
            self._record(link, link.processor_id, each, self.processor.write(write), there=True)
        if not here:
            noted = self.people.note_counterpart(each.customer_id, each.processor_customer_id, home)
            self._record(link, link.ledger_id, each, noted, here=True)

    def _record(self, link: Link, connection_id: int, each: Pair, found: Any, **sides: bool) -> None:
        with self.database.write() as conn:
            if found is not None and found.problem is None:
                row = (found.kind, found.id, found.record, found.raw)
                mirror.store(conn, connection_id, [row], at=self.clock.now(), actor=ACTOR, is_news=False)
            counterparts.record_noted(conn, link.id, each.customer_id, **sides)


def realm(conn: Any, link: Link) -> str:
    """The company's id at Intuit."""
    return connections.connection(conn, link.ledger_id).external_id
