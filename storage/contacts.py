"""What was last compared of the names and addresses of counterparts, and which of them both sides have changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from sqlalchemy import Connection, and_, bindparam, or_, select, update

from reconcile.contacts import Field, Told, at_stripe, compare, in_books
from reconcile.records import Customer
from storage import mirror
from storage.connections import Link
from storage.models import customer_links
from storage.models import mirror as mirror_table

STREAM = "contacts"  # the cursor: up to when customers of the books were compared


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterparts:
    """A customer of the books and its counterpart, and what was last compared of them."""

    books: Customer
    there: Customer
    told: Told
    problem: str | None

    @property
    def known(self) -> tuple[Told, str | None]:
        """As `record` takes it."""
        return self.told, self.problem

    @property
    def differing(self) -> tuple[tuple[Field, str, str], ...]:
        """Each field that differs since it was changed, with what stands in the books and at Stripe."""
        found = compare(self.books, self.there, self.told)
        fields = (*found.differing, *found.changes)
        return tuple((each, in_books(self.books, each), at_stripe(self.there, each)) for each in fields)


def changed(conn: Connection, link: Link, since: datetime) -> list[Counterparts]:
    """Those of which the books' side changed since, that were never compared, or that differ.

    Of a Stripe customer with several counterparts, one a currency, the one in home currency speaks for all.
    """
    compared = or_(
        customer_links.c.told.is_(None), customer_links.c.problem.is_not(None), mirror_table.c.updated_at >= since
    )
    return _load(conn, link, compared)


def differing(conn: Connection, link: Link) -> list[Counterparts]:
    return _load(conn, link, customer_links.c.problem.is_not(None))


def of_customer(conn: Connection, link: Link, customer_id: str) -> Counterparts | None:
    found = _load(conn, link, customer_links.c.customer_id == customer_id)
    return found[0] if found else None


def record(conn: Connection, link_id: int, compared: Mapping[str, tuple[Told, str | None]]) -> None:
    """By customer of the books, what is to be remembered, and in a sentence how the two differ."""
    mine = update(customer_links).where(
        customer_links.c.link_id == link_id,
        customer_links.c.customer_id == bindparam("customer"),
        customer_links.c.state == "linked",
    )
    rows = [{"customer": each, "now": dict(told), "text": text} for each, (told, text) in sorted(compared.items())]
    if rows:
        conn.execute(mine.values(told=bindparam("now"), problem=bindparam("text")), rows)


def as_they_are(found: Counterparts) -> dict[str, list[str]]:
    """What is to be remembered of two that may go on to differ."""
    return {each: [in_books(found.books, each), at_stripe(found.there, each)] for each in get_args(Field)}


def _load(conn: Connection, link: Link, which: Any) -> list[Counterparts]:
    home = mirror.home_currency(conn, link.ledger_id)
    other = customer_links.alias()
    speaks = (
        select(other.c.customer_id)
        .where(
            other.c.link_id == link.id,
            other.c.state == "linked",
            other.c.processor_customer_id == customer_links.c.processor_customer_id,
            customer_links.c.currency != home,
            or_(other.c.currency == home, other.c.currency < customer_links.c.currency),
        )
        .exists()
    )
    rows = conn.execute(
        select(customer_links)
        .join(
            mirror_table,
            and_(
                mirror_table.c.connection_id == link.ledger_id,
                mirror_table.c.kind == "customer",
                mirror_table.c.object_id == customer_links.c.customer_id,
            ),
        )
        .where(customer_links.c.link_id == link.id, customer_links.c.state == "linked", ~speaks, which)
        .order_by(customer_links.c.customer_id)
    ).all()
    return _joined(conn, link, rows)


def _joined(conn: Connection, link: Link, rows: Sequence[Any]) -> list[Counterparts]:
    books: dict[str, Customer] = mirror.load(conn, link.ledger_id, "customer", [row.customer_id for row in rows])
    there: dict[str, Customer] = mirror.load(
        conn, link.processor_id, "customer", [row.processor_customer_id for row in rows]
    )
    return [
        Counterparts(
            books=books[row.customer_id],
            there=there[row.processor_customer_id],
            told=row.told or {},
            problem=row.problem,
        )
        for row in rows
        if row.customer_id in books and row.processor_customer_id in there
    ]
