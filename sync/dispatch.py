"""Each action of a person about what goes to Stripe, as one function: like sync.commands.

`seen` is what the person looked at (storage.sending_view.View.seen): nothing else is confirmed.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

from reconcile.counterparts import Pair
from reconcile.postings import Sending
from storage import audit, connections, contacts, counterparts, mirror, sending, sending_view, sendings
from storage.engine import Database
from storage.records import to_json
from storage.users import User
from sync.commands import RefusedError, check, check_connected, entry, sync_soon
from sync.ports import Clock


def switch_sending(database: Database, clock: Clock, actor: User, link_id: int, mode: Sending, seen: str) -> bool:
    """How far invoices go at Stripe by themselves; False if that is so already.

    From `off` it takes the figures of the dry run that the person saw, as they still are.
    """
    assert mode in get_args(Sending)
    now = clock.now()
    with database.write() as conn:
        check(conn, actor, "switch_sending")
        check_connected(conn, link_id)
        connections.change_link(conn, link_id)  # a sync that decides meanwhile must wait for us
        link = connections.link(conn, link_id)
        policies = link.policies
        if policies.sending == mode:
            return False
        if mirror.cursor(conn, link.processor_id, sending.STREAM) is None:
            raise RefusedError("There is no dry run yet. Run a sync, look at what would be sent, then switch it on.")
        if policies.sending == "off" and sending_view.seen_now(conn, link_id) != seen:
            raise RefusedError("The dry run has changed since you looked at it. Look again, then switch it on.")
        connections.change_link(conn, link_id, policies=to_json(replace(policies, sending=mode)))
        sending.decide_again(conn, link_id)
        detail = {"mode": mode, "would be sent": sending_view.summary(conn, link_id)}
        audit.append(conn, now, [entry(actor, "switched sending", f"link {link_id}", link_id, detail)])
        sync_soon(conn, link_id, actor.email, now)
    return True


def switch_customers(database: Database, clock: Clock, actor: User, link_id: int, on: bool) -> bool:
    """Whether Stripe's customers without a counterpart are made in QuickBooks by themselves."""
    now = clock.now()
    with database.write() as conn:
        check(conn, actor, "switch_sending")
        check_connected(conn, link_id)
        policies = connections.link(conn, link_id).policies
        if policies.create_customers == on:
            return False
        connections.change_link(conn, link_id, policies=to_json(replace(policies, create_customers=on)))
        audit.append(conn, now, [entry(actor, "switched customers", f"link {link_id}", link_id, {"on": on})])
        sync_soon(conn, link_id, actor.email, now)
    return True


def retry_invoice(database: Database, clock: Clock, actor: User, link_id: int, invoice_id: str) -> bool:
    """Tries again what was refused, or sends again what is gone at Stripe; False if it waits for neither."""
    now = clock.now()
    with database.write() as conn:
        check(conn, actor, "retry_invoice")
        connections.change_link(conn, link_id)
        row = sending.progress(conn, link_id, invoice_id)
        subjects = (invoice_id, f"customer:{row.customer_id}")
        retried = [subject for subject in subjects if sendings.give_up(conn, link_id, subject)]
        if row.reason == "gone_at_stripe":
            link = connections.link(conn, link_id)
            ended = row.processor_invoice_id
            is_void = bool(mirror.load(conn, link.processor_id, "processor_invoice", [ended]))  # not a deleted draft
            again: dict[str, Any] = {"stage": "none", "processor_invoice_id": None, "digest": ""}
            again |= {"revision": row.revision + 1, "spent": row.spent + is_void}
            sending.record_progress(conn, link_id, invoice_id, **again)
        elif not retried:
            return False
        audit.append(conn, now, [entry(actor, "retried", invoice_id, link_id)])
        sync_soon(conn, link_id, actor.email, now)
    return True


def accept_counterpart(
    database: Database, clock: Clock, actor: User, link_id: int, customer_id: str, processor_customer_id: str
) -> bool:
    """These two are the same."""
    now = clock.now()
    with database.write() as conn:
        check(conn, actor, "decide_customer")
        link = connections.link(conn, link_id)
        customer = mirror.load(conn, link.ledger_id, "customer", [customer_id]).get(customer_id)
        if customer is None or processor_customer_id not in counterparts.proposed(conn, link_id, [customer_id]).get(
            customer_id, ()
        ):
            raise RefusedError("This is no question any more. Look again, then decide.")
        currency = customer.currency or mirror.home_currency(conn, link.ledger_id)
        pair = Pair(
            customer_id=customer_id, processor_customer_id=processor_customer_id, currency=currency, how="person"
        )
        if not counterparts.join(conn, link_id, pair, actor=actor.email, at=now):
            raise RefusedError("One of the two belongs to another customer already. Look again.")
        _decided(conn, link_id, actor, now)
    return True


def reject_counterparts(
    database: Database, clock: Clock, actor: User, link_id: int, customer_id: str, ids: Sequence[str]
) -> bool:
    """None of these is the customer. When nobody is left that could be, a new one is made at Stripe with the next
    invoice.
    """
    now = clock.now()
    with database.write() as conn:
        check(conn, actor, "decide_customer")
        if not counterparts.keep_apart(conn, link_id, customer_id, ids, actor=actor.email, at=now):
            return False
        detail = {"stripe": list(ids)}
        audit.append(conn, now, [entry(actor, "kept apart", f"customer:{customer_id}", link_id, detail)])
        _decided(conn, link_id, actor, now)
    return True


def make_customer(
    database: Database, clock: Clock, actor: User, link_id: int, processor_customer_id: str, currency: str = ""
) -> bool:
    """A Stripe customer becomes one of QuickBooks, with the next sync; False if that is so already.

    `currency`: of one that is there in another currency only.
    """
    return _set_aside(database, clock, actor, link_id, processor_customer_id, currency, "wanted")


def leave_customer(
    database: Database, clock: Clock, actor: User, link_id: int, processor_customer_id: str, currency: str = ""
) -> bool:
    """A Stripe customer needs no counterpart (in this currency)."""
    return _set_aside(database, clock, actor, link_id, processor_customer_id, currency, "left")


def leave_contact(database: Database, clock: Clock, actor: User, link_id: int, customer_id: str) -> bool:
    """The name and address of a customer of the books may differ from its counterpart's, as they do now; False if they
    are no question any more. What is changed in QuickBooks from now on is brought to Stripe again.
    """
    now = clock.now()
    with database.write() as conn:
        check(conn, actor, "decide_customer")
        found = contacts.of_customer(conn, connections.link(conn, link_id), customer_id)
        if found is None or found.problem is None:
            return False
        contacts.record(conn, link_id, {customer_id: (contacts.as_they_are(found), None)})
        detail: dict[str, Any] = {name: [here, there] for name, here, there in found.differing}
        audit.append(conn, now, [entry(actor, "left to differ", f"customer:{customer_id}", link_id, detail)])
    return True


def _set_aside(
    database: Database,
    clock: Clock,
    actor: User,
    link_id: int,
    processor_customer_id: str,
    currency: str,
    state: str,
) -> bool:
    now = clock.now()
    with database.write() as conn:
        check(conn, actor, "make_customer")
        if state == "wanted" and connections.link(conn, link_id).policies.sending == "off":
            raise RefusedError("Nothing is written while sending is off. Switch it on first.")
        if counterparts.is_settled(conn, link_id, processor_customer_id, currency):
            return False
        counterparts.set_aside(
            conn, link_id, processor_customer_id, state, currency=currency, actor=actor.email, at=now
        )
        _decided(conn, link_id, actor, now)
    return True


def _decided(conn: Any, link_id: int, actor: User, now: Any) -> None:
    connections.change_link(conn, link_id)
    sync_soon(conn, link_id, actor.email, now)
