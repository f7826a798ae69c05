"""Matching by hand: a person says which open invoices a payment pays, or which payments pay an invoice together."""

from collections.abc import Mapping, Sequence
from typing import Any

from reconcile.choices import PersonDecision, Short
from reconcile.dividing import Division, DivisionError, Payable, divide
from reconcile.money import Money
from reconcile.postings import ROLES
from reconcile.records import Charge
from reconcile.short_payments import ROLE
from storage import connections, matchable, mirror
from storage.connections import Link
from storage.engine import Database
from storage.records import from_json, to_json
from storage.users import User
from sync.commands import RefusedError, check, record_decision, waiting_legs
from sync.holding import HeldError, ask_for, carries, hold, named, passed
from sync.ports import Clock

CHANGED = "This has changed since you looked at it. Look again, then decide."


def match_documents(
    database: Database,
    clock: Clock,
    actor: User,
    link_id: int,
    payments: Mapping[str, int],
    invoices: Sequence[Payable],
) -> tuple[int, ...]:
    """Matches payments (with the version that was seen of each) to invoices (with what was seen open on each); gives
    the decisions' ids. What the invoices cannot take stays with their customer as credit; what is missing stays open.
    """
    with database.write() as conn:
        check(conn, actor, "match_documents")
        made = _match(conn, clock.now(), actor, link_id, dict(payments), to_json(tuple(invoices)))
    return passed(made)


def match_short(
    database: Database,
    clock: Clock,
    actor: User,
    link_id: int,
    payments: Mapping[str, int],
    invoices: Sequence[Payable],
    short: Short,
) -> tuple[int, ...]:
    """The same, and what is missing, within the link's limit, is closed against the account of its explanation."""
    with database.write() as conn:
        check(conn, actor, "match_short")
        made = _match(conn, clock.now(), actor, link_id, dict(payments), to_json(tuple(invoices)), short)
    return passed(made)


@carries("match_short")
@carries("match_documents")
def _match(
    conn: Any,
    now: Any,
    actor: User,
    link_id: int,
    payments: Mapping[str, int],
    invoices: Any,
    short: Short | None = None,
    *,
    approved: bool = False,
) -> tuple[int, ...] | HeldError:
    """`invoices` are Payables as plain values: what waits for a second person is stored so."""
    seen: tuple[Payable, ...] = from_json(invoices, tuple[Payable, ...])
    waiting = {each: waiting_legs(conn, link_id, each, version) for each, version in payments.items()}
    link = connections.link(conn, link_id)
    charges = _charges(conn, link, payments)
    division = _divide(conn, link, charges, seen, short)
    first, *_ = payments
    text = f"Match to {named(conn, link_id, [each.id for each in seen])}"
    if short:
        missing = sum(part.short_minor for parts in division.parts.values() for part in parts)
        text = f"{text}, {Money(missing, charges[0].currency)} of it as {ROLES[ROLE[short]]}"
    action, arguments = "match_documents", [payments, invoices]
    if short:
        action, arguments = "match_short", [payments, invoices, short]
    ask = ask_for(link_id, action, first, [row for rows in waiting.values() for row in rows], text, arguments)
    if not approved and (held := hold(conn, now, actor, ask)):
        return held
    made = []
    for source_id, parts in division.parts.items():
        said = PersonDecision(source_id=source_id, kind="match", actor=actor.email, parts=parts)
        made.append(record_decision(conn, now, link_id, said, waiting[source_id], "Matched by hand"))
    return tuple(made)


def _charges(conn: Any, link: Link, payments: Mapping[str, int]) -> list[Charge]:
    found: dict[str, Charge] = mirror.load(conn, link.processor_id, "charge", payments)
    if len(found) < len(payments):
        raise RefusedError("Only charges pay invoices. Choose charges.")
    if len({each.currency for each in found.values()}) > 1:
        raise RefusedError("These payments are in several currencies. Choose those of one currency.")
    return [found[each] for each in payments]


def _divide(conn: Any, link: Link, charges: Sequence[Charge], seen: Sequence[Payable], short: Short | None) -> Division:
    currency = charges[0].currency
    known = {each.id: each for each in matchable.invoices(conn, link, [each.id for each in seen])}
    if any(each.id not in known or matchable.payable(known[each.id]) != each for each in seen):
        raise RefusedError(CHANGED)
    if any(each.currency != currency for each in known.values()):
        raise RefusedError(f"The payment is in {currency}, an invoice is not. Choose invoices in {currency}.")
    try:
        found = divide(matchable.paid(charges), seen, currency, short)
    except DivisionError as error:
        raise RefusedError(str(error)) from None
    if short:
        _check_short(link, currency, sum(part.short_minor for parts in found.parts.values() for part in parts), short)
    return found


def _check_short(link: Link, currency: str, missing: int, short: Short) -> None:
    limit = link.policies.short_limit(currency)
    if missing > limit:
        raise RefusedError(
            f"{Money(missing, currency)} is missing, more than the limit of {Money(limit, currency)}. Leave it open on "
            "the invoice, or let an accountant raise the limit under Mapping."
        )
    if ROLE[short] not in link.mappings.accounts:
        raise RefusedError(f"No account is chosen for “{ROLES[ROLE[short]]}”. Choose it under Mapping.")
