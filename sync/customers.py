"""Customers of both sides, joined: found to be the same, told of each other, and made where one is missing."""

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from reconcile.contacts import Contact, compare
from reconcile.counterparts import REALM_KEY, Pair, metadata_key, pair
from reconcile.records import Customer
from storage import audit, connections, contacts, counterparts, mirror
from storage.connections import Link
from storage.engine import Database
from sync.errors import Ambiguous, Rejected, Stale, Transient
from sync.ports import Clock, People, Processor, Write

ACTOR = "tieout"
AT_ONCE = 200  # customers told or made in one sync
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
OVERLAP = timedelta(minutes=10)  # a transaction is as late as it took
FIELDS = {"name": "name", "email": "e-mail address"}

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
                wanted += counterparts.in_another_currency(conn, link, AT_ONCE)
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
            connections.change_link(conn, link.id)  # what waits for it is decided again
            now = self.clock.now()
            mirror.store(
                conn, link.ledger_id, [(made.kind, made.id, made.record, made.raw)], at=now, actor=ACTOR, is_news=False
            )
            counterparts.settle_wanted(conn, link.id, customer.id)
            counterparts.join(conn, link.id, joined, actor=ACTOR, at=now)
            counterparts.record_noted(conn, link.id, made.id, here=True)

    def _refuse(self, link: Link, customer: Customer, why: str) -> None:
        with self.database.write() as conn:
            now, currency = self.clock.now(), customer.currency or ""
            counterparts.set_aside(
                conn, link.id, customer.id, "refused", currency=currency, actor=ACTOR, at=now, why=why
            )

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

    def follow(self, link: Link) -> None:
        """Brings changed names and addresses of the books to Stripe, but never over what somebody changed there."""
        now = self.clock.now()
        with self.database.read() as conn:
            position = mirror.cursor(conn, link.processor_id, contacts.STREAM)
            since = datetime.fromisoformat(position["at"]) - OVERLAP if position else EPOCH
            found = contacts.changed(conn, link, since)
        compared = {each.books.id: compare(each.books, each.there, each.told) for each in found}
        changing = [each for each in found if compared[each.books.id].changes]
        same = {each.books.id: each for each in found if not compared[each.books.id].changes}
        with self.database.write() as conn:
            news = {each: (compared[each].told, _differ(compared[each])) for each in same}
            contacts.record(conn, link.id, {id_: new for id_, new in news.items() if new != same[id_].known})
        is_done = [self._bring_patiently(link, each) for each in changing]
        if all(is_done) and (found or position is None):
            with self.database.write() as conn:
                mirror.move_cursor(conn, link.processor_id, contacts.STREAM, {"at": now.isoformat()}, now)

    def _bring_patiently(self, link: Link, each: contacts.Counterparts) -> bool:
        """False if it is to be tried again with the next sync."""
        try:
            compared = self._bring(link, each)
            told, problem = compared.told, _differ(compared)
        except (Transient, Ambiguous) as error:
            log.warning("customer %s: %s %s", each.books.id, error.plain, error.technical)
            return False
        except Rejected as error:
            log.warning("customer %s: %s %s", each.books.id, error.plain, error.technical)
            told, problem = dict(each.told), f"Stripe did not take what was changed in QuickBooks: {error.plain}"
        with self.database.write() as conn:
            contacts.record(conn, link.id, {each.books.id: (told, problem)})
        return True

    def _bring(self, link: Link, each: contacts.Counterparts) -> Contact:
        """Compared once more with what is at Stripe this moment, then changed there."""
        (fresh,) = self.processor.fetch("customer", {each.there.id: None})
        there = fresh.record
        if not isinstance(there, Customer):  # deleted, or it cannot be read: nothing was brought
            return Contact(told=dict(each.told))
        compared = compare(each.books, there, each.told)
        if not compared.changes:
            return compared
        about = replace(there, name=compared.changes.get("name", ""), email=compared.changes.get("email"), metadata={})
        params = self.processor.frame("update_customer", about)
        answer = self.processor.write(Write(step="update_customer", target_id=there.id, params=params, key=""))
        with self.database.write() as conn:
            now = self.clock.now()
            if answer.problem is None:
                row = (answer.kind, answer.id, answer.record, answer.raw)
                mirror.store(conn, link.processor_id, [row], at=now, actor=ACTOR, is_news=False)
            subject, detail = f"customer:{each.books.id}", {"stripe": there.id, **params}
            entry = audit.Entry(
                actor=ACTOR, action="brought to Stripe", subject=subject, link_id=link.id, detail=detail
            )
            audit.append(conn, now, [entry])
        return compared

    def _record(self, link: Link, connection_id: int, each: Pair, found: Any, **sides: bool) -> None:
        with self.database.write() as conn:
            if found is not None and found.problem is None:
                row = (found.kind, found.id, found.record, found.raw)
                mirror.store(conn, connection_id, [row], at=self.clock.now(), actor=ACTOR, is_news=False)
            counterparts.record_noted(conn, link.id, each.customer_id, **sides)


def _differ(compared: Contact) -> str | None:
    """In a sentence."""
    if not compared.differing:
        return None
    names = " and ".join(FIELDS[each] for each in compared.differing)
    return f"Its {names} {'were' if len(compared.differing) > 1 else 'was'} changed in QuickBooks and in Stripe."


def realm(conn: Any, link: Link) -> str:
    """The company's id at Intuit."""
    return connections.connection(conn, link.ledger_id).external_id
