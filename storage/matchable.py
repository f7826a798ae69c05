"""What a person may choose by hand for a payment that waits: open invoices, and other payments that wait."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, Text, or_, select, type_coerce

from reconcile.dividing import Payable
from reconcile.money import MoneyError, to_minor
from reconcile.records import Charge, Customer, Document
from storage import connections, legs, mirror
from storage.connections import Link
from storage.engine import Database
from storage.models import legs as legs_table
from storage.models import mirror as mirror_table
from storage.queries import PENDING
from storage.records import from_json
from storage.review import Detail

SHOWN_MAX = 50
BESIDE_MAX = 2_000  # payments looked through for those of the same customer
WORDS_MAX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Another payment of the same customer; `version` is checked when it is decided on."""

    charge: Charge
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What there is to choose from. `limit_minor` is how much may be missing and be explained."""

    invoices: tuple[Document, ...]
    payments: tuple[Waiting, ...]
    limit_minor: int


def choice(database: Database, link_id: int, detail: Detail, text: str, also: Iterable[str] = ()) -> Choice:
    """Open invoices in the payment's currency that have every word of `text` in number, customer or amount, the oldest
    first, and those of `also`; other payments of its customer that wait.
    """
    charge = detail.item.source
    assert isinstance(charge, Charge)
    with database.read() as conn:
        link = connections.link(conn, link_id)
        found = {each.id: each for each in invoices(conn, link, also)} | _fitting(conn, link, charge.currency, text)
        named = _named(conn, link, found.values())
        return Choice(
            invoices=tuple(sorted(named, key=lambda each: (each.dated, each.id))),
            payments=tuple(_beside(conn, link, charge)),
            limit_minor=link.policies.short_limit(charge.currency),
        )


def invoices(conn: Connection, link: Link, document_ids: Iterable[str]) -> list[Document]:
    """Those of these that are in the books and have something open."""
    found: dict[str, Document] = mirror.load(conn, link.ledger_id, "invoice", document_ids)
    return [each for each in found.values() if each.open_minor > 0 and not each.voided]


def payable(document: Document) -> Payable:
    return Payable(id=document.id, amount_minor=document.open_minor, customer_id=document.customer_id)


def _fitting(conn: Connection, link: Link, currency: str, text: str) -> dict[str, Document]:
    table, body = mirror_table, type_coerce(mirror_table.c.record, Text)
    these: list[Any] = [
        table.c.connection_id == link.ledger_id,
        table.c.kind == "invoice",
        table.c.open.is_(True),
        table.c.deleted.is_(False),
        body.contains(f'"currency":"{currency}"', autoescape=True),
    ]
    for word in list(filter(None, (each.strip(",;") for each in text.split())))[:WORDS_MAX]:
        customers = [f'"customer_id":"{each}"' for each in _customers(conn, link, word)]
        ways = [body.icontains(word, autoescape=True), *(body.contains(each, autoescape=True) for each in customers)]
        with suppress(MoneyError):
            ways.append(body.contains(f'"open_minor":{to_minor(word.replace(",", ""), currency)},', autoescape=True))
        these.append(or_(*ways))
    query = select(table.c.record).where(*these).order_by(table.c.dated, table.c.object_id).limit(SHOWN_MAX)
    found = [from_json(record, Document) for record in conn.execute(query).scalars()]
    return {each.id: each for each in found}


def _customers(conn: Connection, link: Link, word: str) -> list[str]:
    table = mirror_table
    query = select(table.c.object_id).where(
        table.c.connection_id == link.ledger_id,
        table.c.kind == "customer",
        table.c.deleted.is_(False),
        type_coerce(table.c.record, Text).icontains(word, autoescape=True),
    )
    return list(conn.execute(query.order_by(table.c.object_id).limit(SHOWN_MAX)).scalars())


def _named(conn: Connection, link: Link, documents: Iterable[Document]) -> list[Document]:
    documents = list(documents)
    known: dict[str, Customer] = mirror.load(
        conn, link.ledger_id, "customer", {each.customer_id or "" for each in documents}
    )
    return [
        replace(each, customer_name=known[each.customer_id].name) if each.customer_id in known else each
        for each in documents
    ]


def _beside(conn: Connection, link: Link, charge: Charge) -> list[Waiting]:
    """Other charges of its customer, in its currency, whose gross waits for a person; of the newest BESIDE_MAX."""
    if charge.customer_id is None:
        return []
    table = legs_table
    query = (
        select(table.c.source_id)
        .where(
            table.c.link_id == link.id,
            table.c.state == "waiting",
            table.c.kind == "gross",
            table.c.category == "charge",
            table.c.reason.not_in(PENDING),
            table.c.source_id != charge.id,
        )
        .order_by(table.c.created_at.desc())
        .limit(BESIDE_MAX)
    )
    known: dict[str, Charge] = mirror.load(conn, link.processor_id, "charge", conn.execute(query).scalars())
    whose = (charge.customer_id, charge.currency)
    same = [known[each] for each in sorted(known) if (known[each].customer_id, known[each].currency) == whose]
    found = same[:SHOWN_MAX]
    rows: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in legs.of_sources(conn, link.id, [each.id for each in found]):
        rows[row.source_id].append(row)
    return [Waiting(charge=each, version=legs.version_of(rows[each.id])) for each in found]


def paid(charges: Sequence[Charge]) -> list[Payable]:
    """What each paid, as matching sees it: what was captured."""
    return [Payable(id=each.id, amount_minor=each.captured_minor) for each in charges]
