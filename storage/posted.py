"""What the list of posted documents reads: what Tieout wrote into the books, the newest first, a page at a time."""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Text, and_, not_, or_, select, type_coerce

from reconcile.money import THREE_DECIMAL, ZERO_DECIMAL, MoneyError, to_minor
from reconcile.postings import Posting
from reconcile.records import Document
from storage import connections, mirror, undoing
from storage.decisions import standing
from storage.engine import Database
from storage.hanging import IN_BOOKS
from storage.models import mirror as mirror_table
from storage.models import outbox as table
from storage.records import from_json
from storage.undoing import OPEN, Undo


@dataclass(frozen=True, slots=True, kw_only=True)
class PostedView:
    """A document as it is in the books; None for one that is not there any more. `row_id` says where the list is."""

    row_id: int
    marker: str
    document_id: str
    document: Document | None
    kind: str
    dated: date
    currency: str
    amount_minor: int
    customer: str
    cause: str  # the Stripe object behind it
    is_being_undone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NotUndone:
    """An undo that was called off by itself: why, of which document."""

    document_id: str
    kind: str
    currency: str
    amount_minor: int
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """A document, what its undo would do, and the undo under way (its decision), if there is one."""

    view: PostedView
    undo: Undo
    decision_id: int | None
    may_be_called_off: bool


def page(
    database: Database, link_id: int, *, text: str = "", before: int | None = None, size: int = 50
) -> list[PostedView]:
    """Documents posted before the row `before`, the newest first; each word of `text` in what they say."""
    with database.read() as conn:
        query = _documents(conn, link_id).order_by(table.c.id.desc()).limit(size)
        if before is not None:
            query = query.where(table.c.id < before)
        for word in text.split():
            query = query.where(_names(word))
        rows = conn.execute(query).all()
        busy = _being_undone(conn, link_id, [row.marker for row in rows])
        return [_view(row, busy) for row in rows]


def detail(
    database: Database, link_id: int, document_id: str, *, with_fee: bool = False, is_reconciled: bool = False
) -> Detail | None:
    """None if it is not in the books any more, or not ours."""
    with database.read() as conn:
        link = connections.link(conn, link_id)
        found = undoing.preview(conn, link, document_id, with_fee=with_fee, is_reconciled=is_reconciled)
        own = select(table.c.id).where(table.c.connection_id == link.ledger_id, table.c.document_id == document_id)
        row = conn.execute(_documents(conn, link_id).where(table.c.id.in_(own))).first()
        if found is None or row is None:
            return None
        rows = undoing.under_way(conn, link, found.leg_ids)
        return Detail(
            view=_view(row, _being_undone(conn, link_id, [row.marker])),
            undo=found,
            decision_id=_decision(conn, link_id, found) if rows else None,
            may_be_called_off=all(item.state == "planned" for item in rows),
        )


def not_undone(database: Database, link_id: int, limit: int = 5) -> list[NotUndone]:
    """Undos that could not be done, the newest first, while what they were about is still in the books."""
    undo = table.alias()
    later = table.alias()
    query = (
        select(table.c.document_id, table.c.posting, undo.c.problem)
        .join(undo, and_(undo.c.link_id == table.c.link_id, undo.c.undoes == table.c.marker))
        .where(
            undo.c.link_id == link_id,
            undo.c.state == "withdrawn",
            undo.c.problem.is_not(None),
            table.c.state.in_(IN_BOOKS),
            ~select(later.c.id)
            .where(later.c.link_id == link_id, later.c.undoes == table.c.marker, later.c.id > undo.c.id)
            .exists(),
        )
        .order_by((undo.c.id + 0).desc())  # these are few: SQLite shall not go along all ids to find the newest
        .limit(limit)
    )
    with database.read() as conn:
        found = [(row, from_json(row.posting, Posting)) for row in conn.execute(query)]
    return [
        NotUndone(
            document_id=row.document_id,
            kind=posting.kind,
            currency=posting.currency,
            amount_minor=posting.amount_minor,
            problem=row.problem,
        )
        for row, posting in found
    ]


def _documents(conn: Connection, link_id: int) -> Any:
    """Rows of our own documents with the documents as they are; not changes of others, nor what takes one back."""
    ledger_id = connections.link(conn, link_id).ledger_id
    beside = and_(
        mirror_table.c.connection_id == ledger_id,
        mirror_table.c.kind == table.c.kind,
        mirror_table.c.object_id == table.c.document_id,
    )
    return (
        select(table, mirror_table.c.record, mirror_table.c.deleted)
        .join(mirror_table, beside, isouter=True)
        .where(
            table.c.link_id == link_id,
            table.c.state.in_(IN_BOOKS),
            table.c.undoes.is_(None),
            type_coerce(table.c.posting, Text).contains('"target":null'),
        )
    )


def _names(word: str) -> Any:
    """Whether the document or what was posted has a word, or an amount, in any of its fields."""
    fields = [type_coerce(table.c.posting, Text), type_coerce(mirror_table.c.record, Text)]
    return or_(*(field.icontains(word, autoescape=True) for field in fields), *_amounts(fields, word))


def _amounts(fields: list[Any], word: str) -> Iterator[ColumnElement[bool]]:
    """A figure is an amount in the minor units of the posting's currency."""
    if not re.fullmatch(r"\d[\d,]{0,14}(\.\d{1,3})?", word, re.ASCII):
        return
    unusual = [(codes, _is_in(fields[0], codes)) for codes in (ZERO_DECIMAL, THREE_DECIMAL)]
    usual = not_(or_(*(is_in for _, is_in in unusual)))
    for currency, is_in in (("USD", usual), *((min(codes), is_in) for codes, is_in in unusual)):
        with suppress(MoneyError):  # more decimals than the currency has
            minor = to_minor(Decimal(word.replace(",", "")), currency)
            yield and_(is_in, or_(*(field.contains(f'"amount_minor":{minor},') for field in fields)))


def _is_in(posting: Any, currencies: Iterable[str]) -> ColumnElement[bool]:
    return or_(*(posting.contains(f'"currency":"{each}"') for each in sorted(currencies)))


def _being_undone(conn: Connection, link_id: int, names: list[str]) -> set[str]:
    found: set[str] = set()
    for chunk in mirror.chunks(names):
        these = (table.c.link_id == link_id, table.c.undoes.in_(chunk), table.c.state.in_(OPEN))
        found.update(conn.execute(select(table.c.undoes).where(*these)).scalars())
    return found


def _view(row: Row[Any], busy: set[str]) -> PostedView:
    posting: Posting = from_json(row.posting, Posting)
    document: Document | None = None if row.record is None or row.deleted else from_json(row.record, Document)
    return PostedView(
        row_id=row.id,
        marker=row.marker,
        document_id=row.document_id,
        document=document,
        kind=posting.kind,
        dated=posting.dated,
        currency=posting.currency,
        amount_minor=posting.amount_minor,
        customer=(document.customer_name or "") if document else "",
        cause=posting.memo.partition(" ")[0],
        is_being_undone=row.marker in busy,
    )


def _decision(conn: Connection, link_id: int, found: Undo) -> int | None:
    """The one that asked for the undo under way."""
    stored = standing(conn, link_id, [found.source_id]).get(found.source_id, [])
    asked = [
        each for each in stored if each.decision.kind == "undone" and set(each.decision.leg_ids) & set(found.leg_ids)
    ]
    return asked[0].id if asked else None
