"""Reads what the proof of a link needs: its legs with the documents that book them, and the clearing accounts."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl
from sqlalchemy import Connection, Row, select

from reconcile.draft import divide
from reconcile.postings import Posting
from reconcile.proof import CLEARING_SCHEMA, LEG_SCHEMA, OPENING_SCHEMA, Proof, check_balances, prove
from reconcile.records import Account, Document
from storage import clearing, findings, mirror, web_connectors
from storage.connections import Link
from storage.models import legs, outbox, runs
from storage.records import DOCUMENT_KINDS, from_json

IN_BOOKS = ("posted", "verified")
Part = tuple[int, str | None, date | None, int]  # of a leg: amount, document, its day, what that does to clearing


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """A posting that is in the books, and as which document."""

    posting: Posting
    document_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """What a proof of a link is made of, as read at one moment. `is_moving`: while a sync or a visit is at work."""

    link: Link
    openings: pl.DataFrame
    legs: pl.DataFrame
    clearing: pl.DataFrame
    accepted: Sequence[str]
    ledger_now: Mapping[str, int]
    is_moving: bool

    def prove(self, through: date) -> Proof:
        """From the cut-over to a day."""
        return prove(self.openings, self.legs, self.clearing, through, self.accepted)

    def violations(self) -> tuple[str, ...]:
        """What is wrong with the sums themselves, against both sides' own balances; those are of another moment than
        what is read so far while a sync is at work.
        """
        if self.is_moving:
            return ()
        own = {"stripe_now": self.link.balances, "ledger_now": self.ledger_now}
        return check_balances(self.openings, self.legs, self.clearing, **own)


def load(conn: Connection, link: Link) -> Sides:
    moving = select(runs.c.id).where(runs.c.link_id == link.id, runs.c.state == "running").limit(1)
    documents = {document.id: document for document in _documents(conn, link.ledger_id)}
    return Sides(
        link=link,
        openings=_openings(link),
        legs=_legs(conn, link, documents),
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


def _clearing(conn: Connection, link: Link, documents: Mapping[str, Document]) -> pl.DataFrame:
    """CLEARING_SCHEMA: what every document in the books does to the link's clearing accounts."""
    currency_of = {account: currency for currency, account in link.mappings.clearing.items()}
    accounts = clearing.accounts_of(conn, link)
    rows = []
    for document in documents.values():
        opening = bool(document.marker and ":opening-" in document.marker)
        for account_id, amount in clearing.effects(document, accounts).items():
            rows.append((document.id, currency_of[account_id], document.dated, amount, document.marker, opening))
    return pl.DataFrame(rows, schema=CLEARING_SCHEMA, orient="row")


def _legs(conn: Connection, link: Link, documents: Mapping[str, Document]) -> pl.DataFrame:
    """LEG_SCHEMA: every leg of the payments balance, a row for each document that books a part of it."""
    booked = _booked(conn, link.id)
    found = conn.execute(select(legs).where(legs.c.link_id == link.id, legs.c.balance_type == "payments")).all()
    effects = _matched_effects(found, documents, clearing.accounts_of(conn, link), link.mappings.clearing)
    undone = _undone(conn, link.id)
    rows = [part for row in found for part in _leg_rows(row, booked, documents, effects, undone[row.id])]
    return pl.DataFrame(rows, schema=LEG_SCHEMA, orient="row")


def _is_matched(row: Row[Any]) -> bool:
    return bool(row.state == "matched" and row.reason == "already_recorded")


def _matched_effects(
    rows: Sequence[Row[Any]], documents: Mapping[str, Document], accounts: Mapping[str, Account], own: Mapping[str, str]
) -> dict[tuple[str, str], int]:
    """By leg and document: what documents somebody else made do to the clearing account, which may be nothing.

    One that records several legs is divided among them.
    """
    recorded: dict[tuple[str, str], list[Row[Any]]] = defaultdict(list)
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
    row: Row[Any],
    booked: dict[str, Booked],
    documents: Mapping[str, Document],
    effects: Mapping[tuple[str, str], int],
    undone: Sequence[Part],
) -> list[tuple[Any, ...]]:
    """A leg divided among its documents; what none of them books is a part of its own. Then what was undone of it."""
    parts: list[Part] = []
    for marker in row.markers:
        found = booked.get(marker)
        for share in found.posting.shares if found else ():
            if found and share.leg_id == row.id:
                parts.append((share.amount_minor, found.document_id, found.posting.dated, share.amount_minor))
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
    row: Row[Any], documents: Mapping[str, Document], effects: Mapping[tuple[str, str], int], booked: int
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


def _booked(conn: Connection, link_id: int) -> dict[str, Booked]:
    rows = conn.execute(
        select(outbox.c.marker, outbox.c.posting, outbox.c.document_id).where(
            outbox.c.link_id == link_id, outbox.c.state.in_(IN_BOOKS)
        )
    )
    return {row.marker: Booked(posting=from_json(row.posting, Posting), document_id=row.document_id) for row in rows}


def _undone(conn: Connection, link_id: int) -> dict[str, list[Part]]:
    """By leg, the documents that an opposite one took back, and those that did."""
    undo = outbox.alias()
    pairs = select(
        outbox.c.posting, outbox.c.document_id, undo.c.dated.label("undone_on"), undo.c.document_id.label("undone_by")
    ).join(undo, (undo.c.link_id == outbox.c.link_id) & (undo.c.undoes == outbox.c.marker))
    rows = conn.execute(
        pairs.where(
            outbox.c.link_id == link_id,
            outbox.c.state == "spent",
            undo.c.state.in_(IN_BOOKS),
            undo.c.document_id != outbox.c.document_id,  # else it was voided or deleted, and counts on no day
        )
    )
    found: dict[str, list[Part]] = defaultdict(list)
    for row in rows:
        posting: Posting = from_json(row.posting, Posting)
        for share in posting.shares:
            found[share.leg_id].append((0, row.document_id, posting.dated, share.amount_minor))
            found[share.leg_id].append((0, row.undone_by, row.undone_on, -share.amount_minor))
    return found


def _documents(conn: Connection, ledger_id: int) -> list[Document]:
    found: list[Document] = mirror.load_all(conn, ledger_id, list(DOCUMENT_KINDS))
    return [document for document in found if not document.voided]
