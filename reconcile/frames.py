"""The two frames the matcher works on, their schemas, and how they are made from records."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any

import polars as pl

from reconcile.records import (
    Charge,
    Customer,
    Dispute,
    Document,
    InvoicePayment,
    Movement,
    Payout,
    ProcessorInvoice,
    Refund,
)
from reconcile.rules import REFERENCE_FIELDS

PROCESSOR_SCHEMA = pl.Schema(
    {
        "id": pl.String(),
        "kind": pl.String(),
        "company": pl.String(),
        "currency": pl.String(),
        "amount_minor": pl.Int64(),
        "settled_currency": pl.String(),
        "settled_minor": pl.Int64(),
        "net_minor": pl.Int64(),
        "occurred_at": pl.Datetime("us", "UTC"),
        "customer_id": pl.String(),
        "customer_name": pl.String(),
        "customer_email": pl.String(),
        "reference": pl.String(),
        "links": pl.List(pl.Struct({"target": pl.String(), "amount_minor": pl.Int64()})),
        "description": pl.String(),
    }
)
LEDGER_SCHEMA = pl.Schema(
    {
        "id": pl.String(),
        "kind": pl.String(),
        "company": pl.String(),
        "currency": pl.String(),
        "amount_minor": pl.Int64(),
        "open_minor": pl.Int64(),
        "date": pl.Date(),
        "due_date": pl.Date(),
        "customer_id": pl.String(),
        "customer_name": pl.String(),
        "customer_email": pl.String(),
        "doc_number": pl.String(),
        "memo": pl.String(),
        "marker": pl.String(),
        "external_ids": pl.List(pl.String()),
        "applied": pl.List(pl.Struct({"id": pl.String(), "amount_minor": pl.Int64()})),
        "settled_account": pl.String(),
        "clearing": pl.List(pl.Int64()),
    }
)
REQUIRED = {
    "processor": ("id", "kind", "company", "currency", "amount_minor", "occurred_at"),
    "ledger": ("id", "kind", "company", "currency", "amount_minor", "date"),
}

# What Stripe itself charges for; its `fee` category is the same under another name.
FEE_WORDS = frozenset(("fee", "stripe_fee", "stripe_fx_fee", "network_cost", "tax_fee"))

Row = dict[str, Any]


class FrameError(ValueError):
    """A frame that cannot be matched: a column is missing or empty, or an id stands there twice."""


def canonical(frame: pl.DataFrame | pl.LazyFrame, schema: pl.Schema, side: str) -> pl.DataFrame:
    """The frame with exactly the columns of `schema` (absent ones null, absent lists empty), sorted by id.

    Raises FrameError if a required column of `side` ("processor" or "ledger") is missing or has nulls.
    """
    frame = frame.collect() if isinstance(frame, pl.LazyFrame) else frame
    missing = [name for name in REQUIRED[side] if name not in frame.columns]
    if missing:
        raise FrameError(f"The {side} frame lacks {', '.join(missing)}.")
    frame = frame.select(
        (pl.col(name) if name in frame.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in schema.items()
    )
    lists = [name for name, dtype in schema.items() if dtype == pl.List and frame[name].null_count()]
    frame = frame.with_columns(pl.col(name).fill_null([]) for name in lists)
    empty = [name for name in REQUIRED[side] if frame[name].null_count()]
    if empty:
        raise FrameError(f"The {side} frame has rows without {', '.join(empty)}.")
    if not frame["id"].is_sorted():
        frame = frame.sort("id")
    if (frame["id"] == frame["id"].shift(1)).any():
        raise FrameError(f"The {side} frame names an id twice.")
    return frame


def on_clearing(document: Document, clearing: Mapping[str, str]) -> tuple[int, ...]:
    """What a document does to the clearing account of its currency: as a whole, and each of its lines there. Signed as
    the account moves; nothing if it does not touch it. `clearing` are account ids by currency.
    """
    account_id = clearing.get(document.currency)
    lines = [leg.amount_minor for leg in document.legs if leg.account_id == account_id]
    return tuple(sorted({sum(lines), *lines} - {0}))


def ledger_frame(
    company: str, documents: Iterable[Document], clearing: Mapping[str, str] | None = None
) -> pl.DataFrame:
    """The documents of one company's books as LEDGER_SCHEMA; voided ones take no part.

    `clearing` are the clearing accounts by currency: what others did to them may record what Stripe did.
    """
    rows = [
        {
            "id": document.id,
            "kind": document.kind,
            "company": company,
            "currency": document.currency,
            "amount_minor": document.amount_minor,
            "open_minor": document.open_minor,
            "date": document.dated,
            "due_date": document.due_date,
            "customer_id": document.customer_id,
            "customer_name": document.customer_name,
            "customer_email": document.customer_email,
            "doc_number": document.doc_number,
            "memo": document.memo,
            "marker": document.marker,
            "external_ids": list(document.external_ids),
            "applied": [{"id": part.id, "amount_minor": part.amount_minor} for part in document.applied],
            "settled_account": document.account_id,
            "clearing": [] if document.marker else on_clearing(document, clearing or {}),
        }
        for document in documents
        if not document.voided
    ]
    return pl.DataFrame(rows, schema=LEDGER_SCHEMA, orient="row").sort("id")


def processor_frame(  # noqa: PLR0913, PLR0917  one argument a kind of record
    company: str,
    charges: Iterable[Charge],
    refunds: Iterable[Refund],
    disputes: Iterable[Dispute],
    payouts: Iterable[Payout],
    movements: Iterable[Movement],
    invoice_payments: Iterable[InvoicePayment],
    processor_invoices: Iterable[ProcessorInvoice],
    customers: Iterable[Customer],
    fees: Iterable[Row] = (),
    *,
    reference_fields: Sequence[str] = REFERENCE_FIELDS,
) -> pl.DataFrame:
    """What happened in one Stripe account as PROCESSOR_SCHEMA: amounts in minor units, signed as the balance moves.

    Only what Stripe has settled takes part, each movement in exactly one row: a charge with its partial-capture
    reversals, a refund, the withdrawal of a dispute, a payout; every other movement is a row of its own (kind fee or
    adjustment, id = the movement's). `fees` are rows made elsewhere (see `reconcile.typed_fees`); `reference_fields`
    the metadata in which a charge may name its invoice.
    """
    settled = _Settled.of(movements)
    charges, refunds = tuple(charges), tuple(refunds)
    people = {customer.id: customer for customer in customers}
    linker = _Linker.of(invoice_payments, processor_invoices, reference_fields)
    charge_rows = {charge.id: _charge(charge, settled, refunds, people, linker) for charge in charges}
    rows = [row for row in charge_rows.values() if row]
    rows += [row for refund in refunds if (row := _refund(refund, settled, charge_rows.get(refund.charge_id or "")))]
    rows += [row for dispute in disputes if (row := _dispute(dispute, settled, charge_rows))]
    rows += [row for payout in payouts if (row := _payout(payout, settled))]
    rows += [_other(movement) for movement in settled.left()]
    rows += fees
    return pl.DataFrame([{**row, "company": company} for row in rows], schema=PROCESSOR_SCHEMA).sort("id")


@dataclass(slots=True)
class _Settled:
    """The movements not yet given to a row; `take` hands each out once."""

    by_id: dict[str, Movement]
    reversals: dict[str, list[Movement]]

    @classmethod
    def of(cls, movements: Iterable[Movement]) -> "_Settled":
        by_id = {movement.id: movement for movement in movements}
        reversals = defaultdict(list)
        for movement in by_id.values():
            if movement.category == "partial_capture_reversal" and movement.source_id:
                reversals[movement.source_id].append(movement)
        return cls(by_id, reversals)

    def take(self, movement_id: str | None) -> Movement | None:
        return self.by_id.pop(movement_id, None) if movement_id else None

    def take_reversals(self, source_ids: Iterable[str]) -> list[Movement]:
        found = [movement for source_id in source_ids for movement in self.reversals.get(source_id, ())]
        return [movement for movement in found if self.take(movement.id)]

    def left(self) -> list[Movement]:
        return list(self.by_id.values())


@dataclass(slots=True)
class _Linker:
    """Finds the invoices a charge paid, through Stripe's invoice payments."""

    payments: dict[str, list[InvoicePayment]]
    invoices: dict[str, ProcessorInvoice]
    fields: Sequence[str]  # of metadata, that may name an invoice

    @classmethod
    def of(
        cls, payments: Iterable[InvoicePayment], invoices: Iterable[ProcessorInvoice], fields: Sequence[str]
    ) -> "_Linker":
        by_source = defaultdict(list)
        for payment in payments:
            if payment.status == "paid" and (source := payment.charge_id or payment.payment_intent_id):
                by_source[source].append(payment)
        return cls(by_source, {invoice.id: invoice for invoice in invoices}, fields)

    def payments_of(self, charge: Charge) -> list[InvoicePayment]:
        sources = (charge.id, charge.payment_intent_id or "")
        found = {payment.id: payment for source in sources for payment in self.payments.get(source, ())}
        return [found[key] for key in sorted(found)]

    def target(self, invoice_id: str) -> str:
        invoice = self.invoices.get(invoice_id)
        known = invoice.metadata.get("qbo_invoice_id") if invoice else None
        return f"invoice:{known}" if known else invoice_id


def _charge(
    charge: Charge,
    settled: _Settled,
    refunds: tuple[Refund, ...],
    people: Mapping[str, Customer],
    linker: _Linker,
) -> Row | None:
    movement = settled.take(charge.movement_id)
    if movement is None:
        return None
    reversals: list[Movement] = []
    if charge.captured_minor != charge.amount_minor:
        reversed_by = [refund.id for refund in refunds if refund.charge_id == charge.id]
        reversals = settled.take_reversals([charge.id, *reversed_by])
    person = people.get(charge.customer_id or "")
    payments = linker.payments_of(charge)
    return {
        "id": charge.id,
        "kind": "charge",
        "currency": charge.currency,
        "amount_minor": charge.captured_minor,
        "settled_currency": movement.currency,
        "settled_minor": movement.gross_minor + sum(reversal.gross_minor for reversal in reversals),
        "net_minor": movement.net_minor + sum(reversal.net_minor for reversal in reversals),
        "occurred_at": movement.created_at,
        "customer_id": charge.customer_id,
        "customer_name": charge.customer_name or (person.name if person else None) or None,
        "customer_email": charge.customer_email or (person.email if person else None) or None,
        "reference": _reference(charge, payments, linker),
        "links": _links(charge, movement, payments, linker),
        "description": charge.description or None,
    }


def _reference(charge: Charge, payments: list[InvoicePayment], linker: _Linker) -> str | None:
    invoices = [linker.invoices.get(payment.invoice_id) for payment in payments]
    numbers = sorted({invoice.number for invoice in invoices if invoice and invoice.number})
    if numbers:
        return ", ".join(numbers)
    return next((charge.metadata[key] for key in linker.fields if charge.metadata.get(key)), None)


def _links(charge: Charge, movement: Movement, payments: list[InvoicePayment], linker: _Linker) -> list[Row]:
    paid: dict[str, int | None] = {}
    for payment in payments:
        target = linker.target(payment.invoice_id)
        paid[target] = (paid.get(target) or 0) + payment.paid_minor
    if named := charge.metadata.get("qbo_invoice_id"):
        paid.setdefault(f"invoice:{named}", None)
    # Other names of the same charge: whoever recorded it may have noted one of these instead.
    paid.update({other: None for other in (charge.payment_intent_id, movement.id) if other})
    return [{"target": target, "amount_minor": amount} for target, amount in sorted(paid.items())]


def _refund(refund: Refund, settled: _Settled, charge: Row | None) -> Row | None:
    movement = settled.take(refund.movement_id)
    if movement is None:
        return None
    return {
        **_moved(movement, refund.id, "refund"),
        **_customer_of(charge),
        "currency": refund.currency,
        "amount_minor": -refund.amount_minor,
        "links": _names(refund.charge_id, movement.id),
        "description": refund.reason,
    }


def _dispute(dispute: Dispute, settled: _Settled, charges: Mapping[str, Row | None]) -> Row | None:
    """The withdrawal; money that comes back later is a row of its own, also if the withdrawal was settled before."""
    known = [settled.by_id[each] for each in dispute.movement_ids if each in settled.by_id]
    movement = withdrawal(dispute, known)
    if movement is None or settled.take(movement.id) is None:
        return None
    amount = movement.gross_minor if movement.currency == dispute.currency else -dispute.amount_minor
    return {
        **_moved(movement, dispute.id, "dispute"),
        **_customer_of(charges.get(dispute.charge_id or "")),
        "currency": dispute.currency,
        "amount_minor": amount,
        "links": _names(dispute.charge_id, movement.id),
        "description": dispute.reason,
    }


def withdrawal(dispute: Dispute, movements: Iterable[Movement]) -> Movement | None:
    """The first of these that takes money for the dispute: what matching knows the dispute itself by."""
    taken = (each for each in movements if each.category == "dispute" and each.id in dispute.movement_ids)
    return min(taken, key=lambda each: (each.created_at, each.id), default=None)


def _payout(payout: Payout, settled: _Settled) -> Row | None:
    movement = settled.take(payout.movement_id)
    if movement is None:
        return None
    return {
        **_moved(movement, payout.id, "payout"),
        "currency": payout.currency,
        "amount_minor": -payout.amount_minor,
        "occurred_at": datetime.combine(payout.arrives_on, time(), UTC),
        "links": _names(movement.id),
    }


def _other(movement: Movement) -> Row:
    is_fee = movement.category in FEE_WORDS or movement.type in FEE_WORDS
    return _moved(movement, movement.id, "fee" if is_fee else "adjustment")


def _moved(movement: Movement, row_id: str, kind: str) -> Row:
    return {
        "id": row_id,
        "kind": kind,
        "currency": movement.currency,
        "amount_minor": movement.gross_minor,
        "settled_currency": movement.currency,
        "settled_minor": movement.gross_minor,
        "net_minor": movement.net_minor,
        "occurred_at": movement.created_at,
        "links": [],
        "description": movement.description or None,
    }


def _names(*ids: str | None) -> list[Row]:
    return [{"target": each, "amount_minor": None} for each in sorted(filter(None, ids))]


def _customer_of(charge: Row | None) -> Row:
    columns = ("customer_id", "customer_name", "customer_email")
    return {column: charge[column] if charge else None for column in columns}
