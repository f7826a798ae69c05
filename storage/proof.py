"""Reads what the proof of a link needs: its legs with the documents that book them, and the clearing accounts."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import msgspec
import polars as pl
from sqlalchemy import ColumnElement, Connection, Row, Select, Text, false, or_, select, true, type_coerce

from reconcile.checks import check_balances
from reconcile.draft import divide
from reconcile.proof import CLEARING_SCHEMA, LEG_SCHEMA, OPENING_SCHEMA, SETTLED_SCHEMA, Proof, prove
from reconcile.records import Account
from storage import clearing, findings, mirror, web_connectors
from storage.clearing import Entries
from storage.connections import Link
from storage.mirror import chunks
from storage.models import legs, outbox, runs
from storage.models import mirror as records
from storage.records import DOCUMENT_KINDS

IN_BOOKS = ("posted", "verified")
ROWS_AT_ONCE = 1_000  # fetched from the database
Part = tuple[int, str | None, date | None, int]  # of a leg: amount, document, its day, what that does to clearing


class Share(msgspec.Struct, frozen=True, gc=False):  # of very many, none of them holds itself
    leg_id: str
    amount_minor: int


class Booked(msgspec.Struct, frozen=True, gc=False):
    """Of a posting, what a proof needs."""

    dated: date
    shares: tuple[Share, ...]


class Leg(msgspec.Struct, frozen=True, gc=False):
    """The columns of a leg that a proof reads: of very many, so that rows of the database take twice as long."""

    id: str
    movement_id: str
    source_id: str
    currency: str
    dated: date
    amount_minor: int
    before_cutover: bool
    state: str
    reason: str
    detail: str
    markers: tuple[str, ...]
    document_ids: tuple[str, ...]


_booked_of, _entries_of = msgspec.json.Decoder(Booked), msgspec.json.Decoder(Entries)
_ids_of = msgspec.json.Decoder(tuple[str, ...])
LEG = [
    type_coerce(legs.c[name], Text) if name in ("markers", "document_ids") else legs.c[name]
    for name in Leg.__struct_fields__
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Some:
    """Of a link only what happened, or is dated, on these days, and these legs and documents."""

    days: Collection[date]
    leg_ids: Collection[str] = ()
    document_ids: Collection[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """What a proof of a link is made of, as read at one moment. `is_moving`: while a sync or a visit is at work.

    `settled` (SETTLED_SCHEMA) is what `legs` and `clearing` leave out.
    """

    link: Link
    openings: pl.DataFrame
    legs: pl.DataFrame
    clearing: pl.DataFrame
    accepted: Sequence[str]
    ledger_now: Mapping[str, int]
    is_moving: bool
    settled: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SETTLED_SCHEMA))

    def prove(self, through: date) -> Proof:
        """From the cut-over to a day."""
        return prove(self.openings, self.legs, self.clearing, through, self.accepted, self.settled)

    def violations(self) -> tuple[str, ...]:
        """What is wrong with the sums themselves, against both sides' own balances; those are of another moment than
        what is read so far while a sync is at work.
        """
        if self.is_moving:
            return ()
        own = {"stripe_now": self.link.balances, "ledger_now": self.ledger_now}
        return check_balances(self.openings, self.legs, self.clearing, **own, settled=self.settled)


def load(conn: Connection, link: Link, some: Some | None = None) -> Sides:
    """All of a link, or some of it. What else it needs of the days around comes along."""
    moving = select(runs.c.id).where(runs.c.link_id == link.id, runs.c.state == "running").limit(1)
    rows = _leg_rows_of(conn, link, some)
    matched = {each for row in rows if _is_matched(row) for each in row.document_ids}
    booked = _booked(conn, link.id, None if some is None else {marker for row in rows for marker in row.markers})
    wanted = matched | {document_id for _, document_id in booked.values()}
    documents = {each.id: each for each in _documents(conn, link, matched, some, wanted)}
    return Sides(
        link=link,
        openings=_openings(link),
        legs=_legs(conn, link, rows, booked, documents),
        clearing=_clearing(conn, link, documents),
        accepted=findings.accepted(conn, link.id),
        ledger_now=_ledger_balances(conn, link),
        is_moving=conn.execute(moving).first() is not None or web_connectors.is_moving(conn, link.ledger_id),
    )


def tie_out(conn: Connection, link: Link, through: date) -> Proof:
    """The proof of a link from its cut-over to a day."""
    return load(conn, link).prove(through)


def _ledger_balances(conn: Connection, link: Link) -> dict[str, int]:
    """What the clearing accounts say themselves, where they do."""
    accounts: dict[str, Account] = mirror.load(conn, link.ledger_id, "account", link.mappings.clearing.values())
    balances = {
        currency: accounts[account].balance_minor
        for currency, account in link.mappings.clearing.items()
        if account in accounts
    }
    return {currency: balance for currency, balance in balances.items() if balance is not None}


def _openings(link: Link) -> pl.DataFrame:
    """OPENING_SCHEMA."""
    rows = [(opening.currency, link.cutover, opening.stripe_minor) for opening in link.openings or ()]
    return pl.DataFrame(rows, schema=OPENING_SCHEMA, orient="row")


def _clearing(conn: Connection, link: Link, documents: Mapping[str, Entries]) -> pl.DataFrame:
    """CLEARING_SCHEMA: what every document in the books does to the link's clearing accounts."""
    currency_of = {account: currency for currency, account in link.mappings.clearing.items()}
    accounts = clearing.accounts_of(conn, link)
    rows = []
    for document in documents.values():
        opening = bool(document.marker and ":opening-" in document.marker)
        for account_id, amount in clearing.effects(document, accounts).items():
            rows.append((document.id, currency_of[account_id], document.dated, amount, document.marker, opening))
    return pl.DataFrame(rows, schema=CLEARING_SCHEMA, orient="row")


def _leg_rows_of(conn: Connection, link: Link, some: Some | None) -> list[Leg]:
    """Of the payments balance."""
    query = select(*LEG).where(legs.c.link_id == link.id, legs.c.balance_type == "payments")
    parts: list[ColumnElement[bool]] = [true()]
    if some is not None:
        parts = [legs.c.dated.in_(days) for days in chunks(sorted(some.days))]
        parts += [legs.c.id.in_(ids) for ids in chunks(sorted(some.leg_ids))]
    found: dict[str, Leg] = {}
    for part in parts:
        for row in conn.execute(query.where(part)).yield_per(ROWS_AT_ONCE):
            found[row[0]] = Leg(*(*row[:-2], *(_ids_of.decode(ids) for ids in row[-2:])))
    return [found[leg_id] for leg_id in sorted(found)]


def _legs(
    conn: Connection,
    link: Link,
    rows: Sequence[Leg],
    booked: Mapping[str, tuple[Booked, str]],
    documents: Mapping[str, Entries],
) -> pl.DataFrame:
    """LEG_SCHEMA: a row of each leg for each document that books a part of it."""
    effects = _matched_effects(rows, documents, clearing.accounts_of(conn, link), link.mappings.clearing)
    undone = _undone(conn, link.id)
    parts = [part for row in rows for part in _leg_rows(row, booked, documents, effects, undone.get(row.id, ()))]
    return pl.DataFrame(parts, schema=LEG_SCHEMA, orient="row")


def _is_matched(row: Leg) -> bool:
    return row.state == "matched" and row.reason == "already_recorded"


def _matched_effects(
    rows: Sequence[Leg], documents: Mapping[str, Entries], accounts: Mapping[str, Account], own: Mapping[str, str]
) -> dict[tuple[str, str], int]:
    """By leg and document: what documents somebody else made do to the clearing account, which may be nothing.

    One that records several legs is divided among them.
    """
    recorded: dict[tuple[str, str], list[Leg]] = defaultdict(list)
    for row in rows:
        for document_id in row.document_ids if _is_matched(row) else ():
            if document_id in documents:
                recorded[document_id, row.currency].append(row)
    effects = {}
    for (document_id, currency), together in recorded.items():
        effect = clearing.effects(documents[document_id], accounts).get(own.get(currency, ""), 0)
        parts = divide(effect, [row.amount_minor for row in together])
        effects.update({(row.id, document_id): part for row, part in zip(together, parts, strict=True)})
    return effects


def _leg_rows(
    row: Leg,
    booked: Mapping[str, tuple[Booked, str]],
    documents: Mapping[str, Entries],
    effects: Mapping[tuple[str, str], int],
    undone: Sequence[Part],
) -> list[tuple[Any, ...]]:
    """A leg divided among its documents; what none of them books is a part of its own. Then what was undone of it."""
    parts: list[Part] = []
    for marker in row.markers:
        if marker not in booked:
            continue
        posting, document_id = booked[marker]
        for share in posting.shares:
            if share.leg_id == row.id:
                parts.append((share.amount_minor, document_id, posting.dated, share.amount_minor))
    if _is_matched(row):
        parts += _matched_parts(row, documents, effects, sum(part[0] for part in parts))
    rest = row.amount_minor - sum(part[0] for part in parts)
    if rest or not parts:
        parts.append((rest, None, None, 0))
    head = (row.id, row.movement_id, row.source_id, row.currency, row.dated)
    tail = (row.before_cutover, row.state, row.reason, row.detail)
    own = [(*head, amount, *tail, document_id, day, effect, False) for amount, document_id, day, effect in parts]
    return own + [(*head, 0, *tail, document_id, day, effect, True) for _, document_id, day, effect in undone]


def _matched_parts(
    row: Leg, documents: Mapping[str, Entries], effects: Mapping[tuple[str, str], int], booked: int
) -> list[Part]:
    """A part for each document; the last takes what is left of the leg."""
    parts: list[Part] = []
    rest = row.amount_minor - booked
    for number, document_id in enumerate(row.document_ids, start=1):
        document = documents.get(document_id)
        if document is None:
            continue
        effect = effects[row.id, document_id]
        amount = rest if number == len(row.document_ids) else effect
        parts.append((amount, document_id, document.dated, effect))
        rest -= amount
    return parts


def _booked(conn: Connection, link_id: int, markers: Collection[str] | None) -> dict[str, tuple[Booked, str]]:
    """By marker, the postings that are in the books and the documents they became; of all of a link, or of some."""
    text = type_coerce(outbox.c.posting, Text)
    query = select(outbox.c.marker, text, outbox.c.document_id).where(
        outbox.c.link_id == link_id, outbox.c.state.in_(IN_BOOKS)
    )
    parts: Iterable[ColumnElement[bool]] = [true()]
    if markers is not None:
        parts = [outbox.c.marker.in_(some) for some in chunks(sorted(markers))]
    rows = (row for part in parts for row in conn.execute(query.where(part)).all())
    return {marker: (_booked_of.decode(posting), document_id) for marker, posting, document_id in rows}


def undone_query(link_id: int) -> Select[Any]:
    """Postings that an opposite one took back, and what did: found by the index that has only what undoes something."""
    undo = outbox.alias()
    pairs = select(
        type_coerce(outbox.c.posting, Text).label("posting"),
        outbox.c.document_id,
        undo.c.dated.label("undone_on"),
        undo.c.document_id.label("undone_by"),
    ).join(undo, (undo.c.link_id == outbox.c.link_id) & (undo.c.undoes == outbox.c.marker))
    return pairs.where(
        outbox.c.link_id == link_id,
        outbox.c.state == "spent",
        undo.c.undoes.is_not(None),
        undo.c.state.in_(IN_BOOKS),
        undo.c.document_id != outbox.c.document_id,  # else it was voided or deleted, and counts on no day
    )


def _undone(conn: Connection, link_id: int) -> dict[str, list[Part]]:
    """By leg, the documents that an opposite one took back, and those that did."""
    found: dict[str, list[Part]] = defaultdict(list)
    for row in conn.execute(undone_query(link_id)):
        posting = _booked_of.decode(row.posting)
        for share in posting.shares:
            found[share.leg_id].append((0, row.document_id, posting.dated, share.amount_minor))
            found[share.leg_id].append((0, row.undone_by, row.undone_on, -share.amount_minor))
    return found


def _documents(
    conn: Connection, link: Link, matched: Collection[str], some: Some | None, wanted: Collection[str]
) -> Iterator[Entries]:
    """What moves the clearing accounts, and what legs are matched to; `wanted` are the documents of some legs."""
    text = type_coerce(records.c.record, Text)
    mine = (records.c.connection_id == link.ledger_id, records.c.kind.in_(DOCUMENT_KINDS), records.c.deleted.is_(False))
    query = select(records.c.object_id, text.label("text")).where(*mine)
    moves = or_(
        false(), *(text.contains(f'"account_id":"{each}"', autoescape=True) for each in link.mappings.clearing.values())
    )
    if some is None:
        parts, named = [moves], set(matched)
    else:
        parts = [moves & records.c.dated.in_(days) for days in chunks(sorted(some.days))]
        named = {*matched, *wanted, *some.document_ids}
    seen = set()
    for row in (row for part in parts for row in conn.execute(query.where(part)).yield_per(ROWS_AT_ONCE)):
        seen.add(row.object_id)
        yield from _in_force(row)
    for kind, ids in _by_kind(named - seen).items():
        for chunk in chunks(ids):
            for row in conn.execute(query.where(records.c.kind == kind, records.c.object_id.in_(chunk))):
                yield from _in_force(row)


def _in_force(row: Row[Any]) -> Iterator[Entries]:
    document = _entries_of.decode(row.text)
    if not document.voided:
        yield document


def _by_kind(document_ids: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for each in sorted(document_ids):
        found[each.partition(":")[0]].append(each)
    return found
