"""Which customer of the books is which at Stripe, as it is stored."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, true, update

from reconcile.counterparts import Counterparts, Known, Pair
from reconcile.records import Charge, Customer
from storage import audit, mirror
from storage.connections import Link
from storage.engine import insert_ignore, upsert
from storage.mirror import chunks
from storage.models import customer_links, legs, sent_invoices
from storage.models import mirror as mirror_table
from storage.records import from_json

KEY = ["link_id", "customer_id", "processor_customer_id"]
WAITING_MAX = 1_000  # payments looked at for a currency their customer is not in the books in
STREAM = "counterparts"  # the cursor: up to which state of the customers they were looked for


def linked(conn: Connection, link_id: int, customer_ids: Iterable[str]) -> dict[str, str]:
    """By customer of the books, the id of its counterpart at Stripe."""
    return _by_customer(conn, link_id, customer_ids, "linked", lambda ids: ids[0])


def of_processor(conn: Connection, link_id: int, processor_ids: Iterable[str]) -> dict[tuple[str, str], str]:
    """By customer at Stripe and currency, the counterpart in the books; only where there is one."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for chunk in chunks(sorted(set(processor_ids))):
        rows = conn.execute(
            select(customer_links).where(
                customer_links.c.link_id == link_id,
                customer_links.c.state == "linked",
                customer_links.c.processor_customer_id.in_(chunk),
            )
        )
        for row in rows:
            found[row.processor_customer_id, row.currency].add(row.customer_id)
    return {key: min(ids) for key, ids in found.items() if len(ids) == 1}


def proposed(conn: Connection, link_id: int, customer_ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """By customer of the books, who its counterpart may be."""
    return _by_customer(conn, link_id, customer_ids, "proposed", tuple)


def state_of_customers(conn: Connection, link: Link) -> dict[str, Any]:
    """What changes whenever any customer does, or any link of one."""
    newest, number = conn.execute(_SELECT_NEWEST, {"both": [link.processor_id, link.ledger_id]}).one()
    links = conn.execute(_SELECT_NEWEST_LINK, {"link": link.id}).one()
    return {"customers": [str(newest), number], "links": [links[0], str(links[1])]}


_SELECT_NEWEST = select(func.max(mirror_table.c.updated_at), func.count()).where(
    mirror_table.c.connection_id.in_(bindparam("both", expanding=True)), mirror_table.c.kind == "customer"
)
_SELECT_NEWEST_LINK = select(func.count(), func.max(customer_links.c.at)).where(
    customer_links.c.link_id == bindparam("link"), customer_links.c.state != "proposed"
)


def load(conn: Connection, link: Link) -> tuple[list[Customer], list[Customer], Known]:
    """All customers of both sides, and what is settled about them."""
    rows = conn.execute(select(customer_links).where(customer_links.c.link_id == link.id)).all()
    books: list[Customer] = mirror.load_all(conn, link.ledger_id, ["customer"])
    there: list[Customer] = mirror.load_all(conn, link.processor_id, ["customer"])
    links = tuple(
        Pair(
            customer_id=row.customer_id,
            processor_customer_id=row.processor_customer_id,
            currency=row.currency,
            how=row.how,
        )
        for row in rows
        if row.state == "linked"
    )
    apart = frozenset((row.customer_id, row.processor_customer_id) for row in rows if row.state == "apart")
    active, present = {customer.id for customer in books if customer.active}, {customer.id for customer in there}
    known = Known(
        links=links,
        ended=frozenset({each.customer_id for each in links if each.processor_customer_id not in present}),
        apart=apart,
        merged=_merged(
            conn,
            link,
            {each.processor_customer_id: each.customer_id for each in links if each.customer_id not in active},
        ),
    )
    return books, there, known


def _merged(conn: Connection, link: Link, gone: dict[str, str]) -> dict[str, str]:
    """Customers that are gone (by their counterparts), and the one customer that has the invoices they had: they were
    merged into it.
    """
    found: dict[str, set[str]] = {}
    for chunk in chunks(sorted(gone)):
        rows = conn.execute(
            select(sent_invoices.c.invoice_id, sent_invoices.c.payer_id).where(
                sent_invoices.c.link_id == link.id, sent_invoices.c.payer_id.in_(chunk)
            )
        ).all()
        now = mirror.load(conn, link.ledger_id, "invoice", [row.invoice_id for row in rows])
        for row in rows:
            invoice, old = now.get(row.invoice_id), gone[row.payer_id]
            if invoice is not None and invoice.customer_id not in (None, old):
                found.setdefault(old, set()).add(invoice.customer_id)
    return {old: min(new) for old, new in found.items() if len(new) == 1}


def record(
    conn: Connection, link: Link, found: Counterparts, known: Known, currencies: dict[str, str], at: datetime
) -> None:
    """What was found replaces what was proposed before."""
    conn.execute(
        customer_links.delete().where(customer_links.c.link_id == link.id, customer_links.c.state == "proposed")
    )
    for old in {*known.merged, *known.ended}:
        conn.execute(
            update(customer_links)
            .where(
                customer_links.c.link_id == link.id,
                customer_links.c.customer_id == old,
                customer_links.c.state == "linked",
            )
            .values(state="apart", at=at)
        )
    for pair in found.linked:
        join(conn, link.id, pair, actor="tieout", at=at)
    rows = [
        _row(link.id, customer_id, each, currencies[customer_id], "proposed", "person", "tieout", at)
        for customer_id, candidates in found.doubtful.items()
        for each in candidates
    ]
    insert_ignore(conn, customer_links, rows)


def join(conn: Connection, link_id: int, pair: Pair, *, actor: str, at: datetime, noted_there: bool = False) -> bool:
    """Makes a link; False if either side has another one (in this currency)."""
    if not _is_free(conn, link_id, pair):
        return False
    row = _row(link_id, pair.customer_id, pair.processor_customer_id, pair.currency, "linked", pair.how, actor, at)
    upsert(conn, customer_links, [row | {"noted_there": noted_there}], KEY)
    conn.execute(
        customer_links.delete().where(
            customer_links.c.link_id == link_id,
            customer_links.c.customer_id == pair.customer_id,
            customer_links.c.state == "proposed",
        )
    )
    entry = audit.Entry(
        actor=actor,
        action="linked customers",
        subject=f"customer:{pair.customer_id}",
        link_id=link_id,
        detail={"stripe": pair.processor_customer_id, "currency": pair.currency, "how": pair.how},
    )
    audit.append(conn, at, [entry])
    return True


def keep_apart(
    conn: Connection, link_id: int, customer_id: str, ids: Sequence[str], *, actor: str, at: datetime
) -> bool:
    """These are not the same, says a person; False if that was no question any more."""
    done = conn.execute(
        update(customer_links)
        .where(
            customer_links.c.link_id == link_id,
            customer_links.c.customer_id == customer_id,
            customer_links.c.processor_customer_id.in_(list(ids)),
            customer_links.c.state == "proposed",
        )
        .values(state="apart", how="person", actor=actor, at=at)
    )
    return done.rowcount > 0


def to_note(conn: Connection, link_id: int, limit: int) -> list[Pair]:
    """Links that do not stand in both systems yet."""
    rows = conn.execute(
        select(customer_links)
        .where(
            customer_links.c.link_id == link_id,
            customer_links.c.state == "linked",
            customer_links.c.noted_there.is_(False) | customer_links.c.noted_here.is_(False),
        )
        .order_by(customer_links.c.at)
        .limit(limit)
    )
    return [
        Pair(
            customer_id=row.customer_id,
            processor_customer_id=row.processor_customer_id,
            currency=row.currency,
            how=row.how,
        )
        for row in rows
    ]


def noted(conn: Connection, link_id: int, customer_id: str) -> tuple[bool, bool]:
    """Whether the link of a customer stands at Stripe, and in the books."""
    row = conn.execute(
        select(customer_links.c.noted_there, customer_links.c.noted_here).where(
            customer_links.c.link_id == link_id,
            customer_links.c.customer_id == customer_id,
            customer_links.c.state == "linked",
        )
    ).one()
    return row.noted_there, row.noted_here


def record_noted(conn: Connection, link_id: int, customer_id: str, *, there: bool = False, here: bool = False) -> None:
    values = ({"noted_there": True} if there else {}) | ({"noted_here": True} if here else {})
    conn.execute(
        update(customer_links)
        .where(customer_links.c.link_id == link_id, customer_links.c.customer_id == customer_id)
        .values(**values)
    )


def without_counterpart(conn: Connection, link: Link, limit: int) -> list[Customer]:
    """Stripe's customers that nobody in the books is, or may be; the newest first."""
    known = select(customer_links.c.processor_customer_id).where(
        customer_links.c.link_id == link.id,
        customer_links.c.state.in_(("linked", "proposed", "wanted", "refused", "left")),
    )
    rows = conn.execute(
        select(mirror_table.c.record)
        .where(
            mirror_table.c.connection_id == link.processor_id,
            mirror_table.c.kind == "customer",
            mirror_table.c.deleted.is_(False),
            mirror_table.c.object_id.not_in(known),
        )
        .order_by(mirror_table.c.updated_at.desc(), mirror_table.c.object_id)
        .limit(limit)
    )
    return [from_json(body, Customer) for body in rows.scalars()]


def in_another_currency(conn: Connection, link: Link, limit: int) -> list[Customer]:
    """Stripe's customers that are linked, but have none in the currency of a payment that waits for it: as customers of
    that `currency`.
    """
    waiting = (
        select(mirror_table.c.record)
        .join(legs, legs.c.source_id == mirror_table.c.object_id)
        .where(
            legs.c.link_id == link.id,
            legs.c.state == "waiting",
            legs.c.kind == "gross",
            legs.c.reason.in_(("unknown_customer", "no_invoice")),
            mirror_table.c.connection_id == link.processor_id,
            mirror_table.c.kind == "charge",
        )
        # These are few: by the day itself, SQLite would go along all days there are to find the newest of them.
        .order_by(func.coalesce(legs.c.dated, legs.c.dated).desc(), legs.c.id)
        .limit(WAITING_MAX)
    )
    charges: list[Charge] = [from_json(body, Charge) for body in conn.execute(waiting).scalars()]
    pays = {(each.customer_id, each.currency) for each in charges if each.customer_id}
    there: dict[str, Customer] = mirror.load(conn, link.processor_id, "customer", {each for each, _ in pays if each})
    rows = conn.execute(
        select(customer_links).where(
            customer_links.c.link_id == link.id,
            customer_links.c.processor_customer_id.in_(sorted(there)),
            customer_links.c.state != "apart",
        )
    ).all()
    known = {(row.processor_customer_id, row.currency) for row in rows}
    linked = {row.processor_customer_id for row in rows if row.state == "linked"}
    missing = sorted((each, currency) for each, currency in pays if each in linked and (each, currency) not in known)
    return [replace(there[each], currency=currency) for each, currency in missing[:limit] if each]


def set_aside(
    conn: Connection,
    link_id: int,
    processor_customer_id: str,
    state: str,
    *,
    currency: str = "",
    actor: str,
    at: datetime,
    why: str | None = None,
) -> None:
    """A Stripe customer without a counterpart is `wanted` in the books, was `refused` there, or is `left` alone.

    `currency`: the one it has no counterpart in, if it has some in another.
    """
    row = _row(link_id, "", processor_customer_id, currency, state, "person", actor, at)
    upsert(conn, customer_links, [row | {"problem": why}], KEY)
    entry = audit.Entry(
        actor=actor, action=f"customer {state}", subject=processor_customer_id, link_id=link_id, detail={"why": why}
    )
    audit.append(conn, at, [entry])


def _is_free(conn: Connection, link_id: int, pair: Pair) -> bool:
    """Whether neither side has a counterpart (in this currency) yet."""
    row = conn.execute(
        select(customer_links.c.state)
        .where(
            customer_links.c.link_id == link_id,
            customer_links.c.state == "linked",
            (customer_links.c.customer_id == pair.customer_id)
            | (
                (customer_links.c.processor_customer_id == pair.processor_customer_id)
                & (customer_links.c.currency == pair.currency)
            ),
        )
        .limit(1)
    )
    return row.first() is None


def is_settled(conn: Connection, link_id: int, processor_customer_id: str, currency: str = "") -> bool:
    """Whether a Stripe customer has a counterpart (in a currency), or was set aside."""
    mine = customer_links.c.currency == currency if currency else true()
    row = conn.execute(
        select(customer_links.c.state)
        .where(
            customer_links.c.link_id == link_id,
            customer_links.c.processor_customer_id == processor_customer_id,
            customer_links.c.state.in_(("linked", "wanted", "left")),
            mine,
        )
        .limit(1)
    )
    return row.first() is not None


def wanted(conn: Connection, link: Link) -> list[Customer]:
    """Stripe's customers that are to be made in the books."""
    rows = conn.execute(
        select(customer_links.c.processor_customer_id, customer_links.c.currency)
        .where(customer_links.c.link_id == link.id, customer_links.c.state == "wanted")
        .order_by(customer_links.c.processor_customer_id)
    ).all()
    found: dict[str, Customer] = mirror.load(conn, link.processor_id, "customer", [row[0] for row in rows])
    return [_in_currency(found[row[0]], row[1]) for row in rows if row[0] in found]


def refused(conn: Connection, link: Link) -> list[tuple[Customer, str]]:
    """Stripe's customers that could not be made in the books, and why."""
    rows = conn.execute(
        select(customer_links.c.processor_customer_id, customer_links.c.problem, customer_links.c.currency)
        .where(customer_links.c.link_id == link.id, customer_links.c.state == "refused")
        .order_by(customer_links.c.at)
    ).all()
    found: dict[str, Customer] = mirror.load(
        conn, link.processor_id, "customer", [row.processor_customer_id for row in rows]
    )
    return [(_in_currency(found[row[0]], row[2]), row[1] or "") for row in rows if row[0] in found]


def _in_currency(customer: Customer, currency: str) -> Customer:
    return replace(customer, currency=currency) if currency else customer


def settle_wanted(conn: Connection, link_id: int, processor_customer_id: str) -> None:
    """It has been made, or need not be any more."""
    conn.execute(
        customer_links.delete().where(
            customer_links.c.link_id == link_id,
            customer_links.c.processor_customer_id == processor_customer_id,
            customer_links.c.state == "wanted",
        )
    )


def _by_customer(conn: Connection, link_id: int, customer_ids: Iterable[str], state: str, of: Any) -> dict[str, Any]:
    found: dict[str, list[str]] = {}
    for chunk in chunks(sorted(set(customer_ids))):
        rows = conn.execute(
            select(customer_links.c.customer_id, customer_links.c.processor_customer_id)
            .where(
                customer_links.c.link_id == link_id,
                customer_links.c.customer_id.in_(chunk),
                customer_links.c.state == state,
            )
            .order_by(customer_links.c.processor_customer_id)
        )
        for row in rows:
            found.setdefault(row.customer_id, []).append(row.processor_customer_id)
    return {customer_id: of(ids) for customer_id, ids in found.items()}


def _row(
    link_id: int, customer_id: str, there: str, currency: str, state: str, how: str, actor: str, at: datetime
) -> dict[str, Any]:
    return {
        "link_id": link_id,
        "customer_id": customer_id,
        "processor_customer_id": there,
        "currency": currency,
        "state": state,
        "how": how,
        "actor": actor,
        "at": at,
        "noted_there": False,
        "noted_here": False,
    }
