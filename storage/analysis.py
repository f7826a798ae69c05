"""A stored company as frames, for notebooks and whoever analyses without the app. Nothing here can write.

Open the database once, choose a link, and ask for what is needed; then go on with `reconcile` (`match`, `prove`):

    database = open_read_only("sqlite:////path/to/tieout.db")
    link_id = links(database)["link_id"][0]
    match(processor(database, link_id), ledger(database, link_id))

Every amount is an integer of minor units (cents) of the `currency` beside it. A `day` is a calendar day in the link's
zone, an instant (`..._at`) is UTC. Frames are read whole: a million movements take some gigabytes.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
from openpyxl import load_workbook
from sqlalchemy import select

from reconcile.days import book_day
from reconcile.frames import LEDGER_SCHEMA, PROCESSOR_SCHEMA, ledger_frame, processor_frame
from reconcile.money import to_minor
from reconcile.proof import Proof
from reconcile.records import Charge, Dispute, Movement, Refund
from storage import connections, engine, mirror
from storage import proof as proofs
from storage.connections import Link
from storage.engine import Database
from storage.migrate import check_newest
from storage.models import legs
from storage.records import DOCUMENT_KINDS

__all__ = [
    "LEDGER_SCHEMA",
    "PROCESSOR_SCHEMA",
    "disputes",
    "entries",
    "fees",
    "ledger",
    "links",
    "movements",
    "open_read_only",
    "processor",
    "proof",
    "read_clearing",
    "read_workbook",
    "refunds",
]

LINKS_SCHEMA = pl.Schema(
    {
        "link_id": pl.Int64(),
        "name": pl.String(),
        "cutover": pl.Date(),
        "time_zone": pl.String(),
        "currencies": pl.List(pl.String()),
    }
)
# `net_minor` is what the Stripe balance moved by: gross less fee. `category` is Stripe's reporting category.
MOVEMENTS_SCHEMA = pl.Schema(
    {
        "id": pl.String(),
        "day": pl.Date(),
        "created_at": pl.Datetime("us", "UTC"),
        "currency": pl.String(),
        "gross_minor": pl.Int64(),
        "fee_minor": pl.Int64(),
        "net_minor": pl.Int64(),
        "category": pl.String(),
        "source_id": pl.String(),
        "balance_type": pl.String(),
        "description": pl.String(),
    }
)
# A row a fee: `amount_minor` above zero was taken, `gross_minor` is what its movement came to before it.
FEES_SCHEMA = pl.Schema(
    {
        "movement_id": pl.String(),
        "day": pl.Date(),
        "currency": pl.String(),
        "category": pl.String(),
        "kind": pl.String(),
        "amount_minor": pl.Int64(),
        "gross_minor": pl.Int64(),
        "description": pl.String(),
    }
)
# `customer` is who paid what was refunded or is disputed; `status` and `reason` are Stripe's words.
CLAIMS_SCHEMA = pl.Schema(
    {
        "id": pl.String(),
        "day": pl.Date(),
        "currency": pl.String(),
        "amount_minor": pl.Int64(),
        "status": pl.String(),
        "reason": pl.String(),
        "charge_id": pl.String(),
        "charged_on": pl.Date(),
        "customer": pl.String(),
    }
)
# A row a leg: the gross of a movement, or one of its fees; where it stands, and why.
ENTRIES_SCHEMA = pl.Schema(
    {
        "id": pl.String(),
        "movement_id": pl.String(),
        "source_id": pl.String(),
        "kind": pl.String(),
        "category": pl.String(),
        "day": pl.Date(),
        "currency": pl.String(),
        "amount_minor": pl.Int64(),
        "state": pl.String(),
        "reason": pl.String(),
        "detail": pl.String(),
        "document_ids": pl.List(pl.String()),
    }
)
# What *Close* exports: each document that moved the clearing account in the period.
EXPORTED_SCHEMA = pl.Schema(
    {"document_id": pl.String(), "day": pl.Date(), "currency": pl.String(), "amount_minor": pl.Int64()}
)
AMOUNTS = ("Amount", "Clearing account")  # columns of the workbook that are money


# ---- live data


def open_read_only(url: str | None = None, data_dir: Path | None = None) -> Database:
    """The database at an address (postgresql:// or sqlite:///), or the file in a data directory.

    It is opened so that nothing can be written. Raises DatabaseError if it cannot be read, or belongs to another
    version of Tieout: then start that version once, which brings it up to date.
    """
    database = engine.open_read_only(url, data_dir=data_dir)
    check_newest(database)
    return database


def links(database: Database) -> pl.DataFrame:
    """LINKS_SCHEMA: each Stripe account with the company it is joined to."""
    with database.read() as conn:
        rows = [
            (each.id, each.name, each.cutover, each.time_zone, sorted(each.mappings.clearing))
            for each in connections.all_links(conn)
        ]
    return pl.DataFrame(rows, schema=LINKS_SCHEMA, orient="row")


def processor(database: Database, link_id: int) -> pl.DataFrame:
    """PROCESSOR_SCHEMA, as `reconcile.match` takes it: what Stripe has settled."""
    kinds = (
        "charge",
        "refund",
        "dispute",
        "payout",
        "movement",
        "invoice_payment",
        "processor_invoice",
        "customer",
    )
    link, found = _load(database, link_id, kinds)
    fields = link.policies.matching.reference_fields
    return processor_frame(str(link.ledger_id), *(found[kind] for kind in kinds), reference_fields=fields)


def ledger(database: Database, link_id: int) -> pl.DataFrame:
    """LEDGER_SCHEMA, as `reconcile.match` takes it: every document of the books that is not voided."""
    with database.read() as conn:
        link = connections.link(conn, link_id)
        documents = mirror.load_all(conn, link.ledger_id, DOCUMENT_KINDS)
    return ledger_frame(str(link.ledger_id), documents, link.mappings.clearing)


def movements(database: Database, link_id: int) -> pl.DataFrame:
    """MOVEMENTS_SCHEMA: every balance transaction of Stripe, by day."""
    link, found = _load(database, link_id, ("movement",))
    rows = [
        (
            each.id,
            book_day(each.created_at, link.time_zone),
            each.created_at,
            each.currency,
            each.gross_minor,
            each.fee_minor,
            each.net_minor,
            each.category,
            each.source_id,
            each.balance_type,
            each.description,
        )
        for each in found["movement"]
    ]
    return pl.DataFrame(rows, schema=MOVEMENTS_SCHEMA, orient="row").sort("day", "id")


def fees(database: Database, link_id: int) -> pl.DataFrame:
    """FEES_SCHEMA: what Stripe kept back of each movement, and the movements that are nothing but a fee."""
    link, found = _load(database, link_id, ("movement",))
    rows = [row for each in found["movement"] for row in _fees(each, link.time_zone)]
    return pl.DataFrame(rows, schema=FEES_SCHEMA, orient="row").sort("day", "movement_id", "kind")


def _fees(movement: Movement, time_zone: str) -> list[tuple[Any, ...]]:
    head = (movement.id, book_day(movement.created_at, time_zone), movement.currency, movement.category)
    if movement.category == "fee":
        return [(*head, movement.type, -movement.gross_minor, 0, movement.description)]
    return [(*head, fee.kind, fee.amount_minor, movement.gross_minor, fee.description) for fee in movement.fees]


def refunds(database: Database, link_id: int) -> pl.DataFrame:
    """CLAIMS_SCHEMA of refunds, also of those that failed or are pending (`status`)."""
    return _claims(database, link_id, "refund")


def disputes(database: Database, link_id: int) -> pl.DataFrame:
    """CLAIMS_SCHEMA of disputes, whatever became of them (`status`)."""
    return _claims(database, link_id, "dispute")


def _claims(database: Database, link_id: int, kind: str) -> pl.DataFrame:
    link, found = _load(database, link_id, (kind, "charge"))
    charges: dict[str, Charge] = {each.id: each for each in found["charge"]}
    rows = [_claim(each, charges.get(each.charge_id or ""), link.time_zone) for each in found[kind]]
    return pl.DataFrame(rows, schema=CLAIMS_SCHEMA, orient="row").sort("day", "id")


def _claim(claim: Refund | Dispute, charge: Charge | None, time_zone: str) -> tuple[Any, ...]:
    return (
        claim.id,
        book_day(claim.created_at, time_zone),
        claim.currency,
        claim.amount_minor,
        claim.status,
        claim.reason,
        claim.charge_id,
        book_day(charge.created_at, time_zone) if charge else None,
        (charge.customer_name or charge.customer_email) if charge else None,
    )


def entries(database: Database, link_id: int) -> pl.DataFrame:
    """ENTRIES_SCHEMA: every part of every movement, in exactly one state: matched, posted, waiting or ignored."""
    with database.read() as conn:
        found = conn.execute(select(legs).where(legs.c.link_id == link_id)).all()
    names = [("dated" if name == "day" else name) for name in ENTRIES_SCHEMA.names()]
    rows = [tuple(getattr(row, name) for name in names) for row in found]
    return pl.DataFrame(rows, schema=ENTRIES_SCHEMA, orient="row").sort("day", "id")


def proof(database: Database, link_id: int, through: date) -> Proof:
    """Both balances on every day from the cut-over through a day, and what their difference is made of."""
    with database.read() as conn:
        return proofs.tie_out(conn, connections.link(conn, link_id), through)


def _load(database: Database, link_id: int, kinds: Sequence[str]) -> tuple[Link, Mapping[str, list[Any]]]:
    """What Stripe has of some kinds."""
    with database.read() as conn:
        link = connections.link(conn, link_id)
        return link, {kind: mirror.load_all(conn, link.processor_id, [kind]) for kind in kinds}


# ---- exports


def read_clearing(path: Path | str) -> pl.DataFrame:
    """EXPORTED_SCHEMA of the CSV of the clearing account that *Close* exports."""
    table = pl.read_csv(path, infer_schema=False)
    minor = [to_minor(amount, currency) for amount, currency in zip(table["Amount"], table["Currency"], strict=True)]
    return table.select(
        document_id="Document",
        day=pl.col("Day").str.to_date("%Y-%m-%d"),
        currency="Currency",
        amount_minor=pl.Series(minor, dtype=pl.Int64),
    )


def read_workbook(path: Path | str) -> dict[str, pl.DataFrame]:
    """The lists of the workbook that *Close* exports, by the name of their sheet.

    Columns are called as in the workbook, but money is in minor units under the same name with `_minor` behind it.
    """
    book = load_workbook(path, read_only=True, data_only=True)
    tables = {}
    for sheet in book.worksheets:
        head, *rows = [row for row in sheet.iter_rows(values_only=True) if row] or [()]
        if "Currency" in head and rows:
            tables[sheet.title] = _sheet([str(name) for name in head], rows)
    book.close()
    return tables


def _sheet(head: list[str], rows: Sequence[Sequence[Any]]) -> pl.DataFrame:
    """Numbers come as binary fractions; as short texts they are the figures that were written."""
    frame = pl.DataFrame([row[: len(head)] for row in rows], schema=head, orient="row", infer_schema_length=None)
    for name in head:
        if name not in AMOUNTS:
            continue
        at, currencies = head.index(name), frame["Currency"]
        minor = [to_minor(str(row[at]), currency) for row, currency in zip(rows, currencies, strict=True)]
        frame = frame.with_columns(pl.Series(f"{name}_minor", minor, dtype=pl.Int64)).drop(name)
    return frame.with_columns(pl.col(pl.Datetime).dt.date())
