"""What people decided about single Stripe objects: binding for the matcher and for the plan."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import polars as pl

from reconcile.decisions import DECISIONS_SCHEMA, Choice

DecisionKind = Literal["match", "not_match", "ignore", "record_without_invoice", "undone"]
How = Literal["sales_receipt", "unapplied_payment"]
Short = Literal["fee", "write_off"]  # why a payment is short: somebody kept a fee, or it is too little
CHOICES = {
    "match": Choice.MUST_LINK,
    "not_match": Choice.CANNOT_LINK,
    "ignore": Choice.IGNORE,
    "record_without_invoice": Choice.ACCEPTED_UNMATCHED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A document that was decided on, and how much of the object belongs to it (None: as much as fits).

    `short_minor` is what is open on it beyond that and is to be closed against the account of `short_as`.
    """

    ledger_id: str
    amount_minor: int | None = None
    short_minor: int = 0
    short_as: Short | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonDecision:
    """One decision. `parts` are of match and not_match; `how` and `customer_id` of record_without_invoice.

    `leg_ids` are the legs that waited then: what happens to the object later is not ignored with them. Of `undone` they
    are those whose documents were taken back: nothing is posted for them until a person decides anew.
    """

    source_id: str
    kind: DecisionKind
    actor: str
    parts: tuple[Part, ...] = ()
    reason: str = ""
    how: How | None = None
    customer_id: str | None = None
    leg_ids: tuple[str, ...] = ()


def decisions_frame(decisions: Iterable[PersonDecision]) -> pl.DataFrame:
    """DECISIONS_SCHEMA: a row for each document named, or one for the object alone."""
    rows = [
        (CHOICES[decision.kind], decision.source_id, part.ledger_id, part.amount_minor)
        if part
        else (CHOICES[decision.kind], decision.source_id, None, None)
        for decision in decisions
        if decision.kind in CHOICES  # what was undone is matched like anything else; only posting it waits
        for part in decision.parts or (None,)
    ]
    return pl.DataFrame(rows, schema=DECISIONS_SCHEMA, orient="row")
