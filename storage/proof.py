"""Reads what the proof of a link needs: its legs with the documents that book them, and the clearing accounts."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import polars as pl
from sqlalchemy import Connection, Row, select

from reconcile.money import exponent
from reconcile.postings import Posting
from reconcile.proof import CLEARING_SCHEMA, LEG_SCHEMA, OPENING_SCHEMA, Proof, prove
from reconcile.records import Account, Document
from storage import mirror
from storage.connections import Link
from storage.models import legs, outbox
from storage.records import DOCUMENT_KINDS, from_json

IN_BOOKS = ("posted", "verified")


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """A posting that is in the books, and as which document."""

    posting: Posting
    document_id: str


def tie_out(conn: Connection, link: Link, through: date) -> Proof:
    """The proof of a link from its cut-over to a day."""
    return prove(load_openings(link), load_legs(conn, link), load_clearing(conn, link), through)


def load_openings(link: Link) -> pl.DataFrame:
    """OPENING_SCHEMA."""
    rows = [(opening.currency, link.cutover, opening.stripe_minor) for opening in link.openings or ()]
    return pl.DataFrame(rows, schema=OPENING_SCHEMA, orient="row")


def load_clearing(conn: Connection, link: Link) -> pl.DataFrame:
    """CLEARING_SCHEMA: what every document in the books does to the link's clearing accounts."""
    currency_of = {account: currency for currency, account in link.mappings.clearing.items()}
    accounts: dict[str, Account] = mirror.load(conn, link.ledger_id, "account", currency_of)
    rows = []
    for document in _documents(conn, link.ledger_id):
        amounts: dict[str, int] = defaultdict(int)
        for leg in document.legs:
            if leg.account_id in currency_of:
                amounts[leg.account_id] += _in_account(leg.amount_minor, document, accounts.get(leg.account_id))
        opening = bool(document.marker and ":opening-" in document.marker)
        for account_id, amount in amounts.items():
            rows.append((document.id, currency_of[account_id], document.dated, amount, document.marker, opening))
    return pl.DataFrame(rows, schema=CLEARING_SCHEMA, orient="row")


def load_legs(conn: Connection, link: Link) -> pl.DataFrame:
    """LEG_SCHEMA: every leg of the payments balance, a row for each document that books a part of it."""
    booked = _booked(conn, link.id)
    documents = {document.id: document for document in _documents(conn, link.ledger_id)}
    rows: list[tuple[Any, ...]] = []
    for row in conn.execute(select(legs).where(legs.c.link_id == link.id, legs.c.balance_type == "payments")):
        rows += _leg_rows(row, booked, documents, link)
    return pl.DataFrame(rows, schema=LEG_SCHEMA, orient="row")


def _leg_rows(
    row: Row[Any], booked: dict[str, Booked], documents: dict[str, Document], link: Link
) -> list[tuple[Any, ...]]:
    """A leg divided among its documents; what none of them books is a part of its own."""
    parts: list[tuple[int, str | None, date | None, int]] = []
    for marker in row.markers:
        found = booked.get(marker)
        for share in found.posting.shares if found else ():
            if found and share.leg_id == row.id:
                parts.append((share.amount_minor, found.document_id, found.posting.dated, share.amount_minor))
    if row.state == "matched" and row.reason == "already_recorded":
        parts += _matched_parts(row, documents, link)
    rest = row.amount_minor - sum(part[0] for part in parts)
    if rest or not parts:
        parts.append((rest, None, None, 0))
    head = (row.id, row.movement_id, row.source_id, row.currency, row.dated)
    tail = (row.before_cutover, row.state, row.reason, row.detail)
    return [(*head, amount, *tail, document_id, day, effect) for amount, document_id, day, effect in parts]


def _matched_parts(
    row: Row[Any], documents: dict[str, Document], link: Link
) -> list[tuple[int, str | None, date | None, int]]:
    """Documents somebody else made: what they do to the clearing account may be nothing."""
    parts: list[tuple[int, str | None, date | None, int]] = []
    clearing, rest = link.mappings.clearing.get(row.currency), row.amount_minor
    for number, document_id in enumerate(row.document_ids, start=1):
        document = documents.get(document_id)
        if document is None:
            continue
        effect = sum(leg.amount_minor for leg in document.legs if leg.account_id == clearing)
        amount = rest if number == len(row.document_ids) else (effect or 0)
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


def _documents(conn: Connection, ledger_id: int) -> list[Document]:
    found: list[Document] = mirror.load_all(conn, ledger_id, list(DOCUMENT_KINDS))
    return [document for document in found if not document.voided]


def _in_account(amount_minor: int, document: Document, account: Account | None) -> int:
    """A leg in its account's currency: QuickBooks converts at the document's rate, to the cent."""
    if account is None or account.currency == document.currency or document.exchange_rate is None:
        return amount_minor
    shift = exponent(account.currency) - exponent(document.currency)
    converted = (Decimal(amount_minor) * Decimal(document.exchange_rate)).scaleb(shift)
    return int(converted.quantize(Decimal(1), ROUND_HALF_UP))
