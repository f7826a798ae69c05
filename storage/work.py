"""What is open of a link, as the matcher looks at it: two frames, and which movements belong together.

The matcher must see everything at once, for everything competes with everything; so it is given narrow frames, filled
with some records at a time. Nothing else of what is open is ever held as a whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache
from typing import Any

import polars as pl
from sqlalchemy import Connection, Select, Text, and_, bindparam, case, func, or_, select, type_coerce

from reconcile.choices import decisions_frame
from reconcile.frames import LEDGER_SCHEMA, PROCESSOR_SCHEMA, ledger_frame, processor_frame
from reconcile.pieces import OUTLINE_SCHEMA, divide
from reconcile.records import PayoutItems
from reconcile.reserves import HOLDS
from reconcile.snapshot import Snapshot
from reconcile.tiers.customers import ALIASES_SCHEMA
from reconcile.typed_fees import PREFIX, FeeSum, Wanted, add_up, fee_rows, typed_costs, wanted_of
from storage import decisions, mirror, snapshot
from storage.connections import Link
from storage.models import mirror as mirror_table
from storage.records import DOCUMENT_KINDS
from storage.snapshot import Stripe

WINDOW = timedelta(days=60)  # wider than any of the matcher's
ROWS = 2_000  # movements, with all that is behind them, held at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """`outline` (OUTLINE_SCHEMA) names every open movement, `sums` fees that others may have recorded together; the
    frames are the matcher's. `common` is the link's ground (see `storage.snapshot`).
    """

    common: Snapshot
    outline: pl.DataFrame
    sums: tuple[FeeSum, ...]
    processor: pl.DataFrame
    ledger: pl.DataFrame
    decisions: pl.DataFrame
    aliases: pl.DataFrame


def load(conn: Connection, link: Link) -> Work:
    """One consistent read of one link; run it inside a single `read()`."""
    common, outline = snapshot.ground(conn, link), _outline(conn, link)
    books = _Books(conn, link, common)
    books.add_open(outline)
    common = replace(common, payout_items=_payout_items(conn, link, books.typed))
    stripe = _Stripe(conn, link, common)
    if books.wanted or decisions.about(conn, link.id, PREFIX):
        sums = add_up(stripe.read(outline), books.wanted)
    else:
        sums = ()
        for _ in stripe.read(outline):
            pass
    books.add_named(stripe.named)
    aliases = [(str(link.ledger_id), *each) for each in decisions.aliases(conn, link.id)]
    return Work(
        common=common,
        outline=outline,
        sums=sums,
        processor=stripe.frame(fee_rows(sums)),
        ledger=pl.concat(books.frames).sort("id"),
        decisions=pl.concat(stripe.said),
        aliases=pl.DataFrame(aliases, schema=ALIASES_SCHEMA, orient="row"),
    )


class _Stripe:
    """Stripe's side, some movements at a time; what stays of each part are narrow frames."""

    def __init__(self, conn: Connection, link: Link, common: Snapshot) -> None:
        self._conn, self._link, self._common = conn, link, common
        self._frames = [pl.DataFrame(schema=PROCESSOR_SCHEMA)]
        self.said = [decisions_frame(())]
        self.named: set[str] = set()  # documents that Stripe's side or people named

    def read(self, outline: pl.DataFrame) -> Iterator[Snapshot]:
        """Each part as far as fees are added up of it."""
        for piece in divide(outline, ROWS):
            found = snapshot.load_stripe(self._conn, self._link, piece["movement_id"])
            self._frames.append(_processor_frame(self._link, found))
            made = [each for several in found.decisions.values() for each in several]
            self.said.append(decisions_frame(made))
            self.named |= {part.ledger_id for each in made if each.kind == "match" for part in each.parts}
            self.named |= snapshot.named_by(found)
            yield replace(
                self._common,
                movements=tuple(found.movements),
                decisions=found.decisions,
                decided_legs=frozenset(leg_id for leg_id, done in found.decided.items() if done),
            )

    def frame(self, fees: list[dict[str, Any]]) -> pl.DataFrame:
        company = str(self._link.ledger_id)
        more = processor_frame(company, (), (), (), (), (), (), (), (), fees)
        return pl.concat([*self._frames, more]).sort("id")


class _Books:
    """What may belong to the movements: every open invoice, what others recorded around these days, the invoices that
    Stripe's side names even if they are paid, and what people chose.
    """

    def __init__(self, conn: Connection, link: Link, common: Snapshot) -> None:
        self._conn, self._link, self._clearing = conn, link, common.mappings.clearing
        self._found: set[str] = set()
        self.frames = [pl.DataFrame(schema=LEDGER_SCHEMA)]
        self.typed: list[date] = []  # when others recorded costs on a clearing account
        self.wanted: Wanted = set()  # what those did to it

    def add_open(self, outline: pl.DataFrame) -> None:
        ledger = self._link.ledger_id
        self._add(mirror.stream_open(self._conn, ledger, ["invoice"]))
        if outline.height:
            others = [kind for kind in DOCUMENT_KINDS if kind != "invoice"]
            self._add(mirror.stream_open(self._conn, ledger, others, since=min(outline["dated"]) - WINDOW))

    def add_named(self, document_ids: set[str]) -> None:
        asked = sorted(document_ids - self._found)
        self._add(snapshot.stream_documents(self._conn, self._link.ledger_id, asked))

    def _add(self, pages: Iterator[list[Any]]) -> None:
        for page in pages:
            known = snapshot.with_customers(self._conn, self._link.ledger_id, page)
            self.frames.append(ledger_frame(str(self._link.ledger_id), known.values(), self._clearing))
            self._found |= set(known)
            self.typed += [each.dated for each in typed_costs(page, self._link.mappings.clearing)]
            self.wanted |= wanted_of(page, self._clearing)


def _payout_items(conn: Connection, link: Link, typed: list[date]) -> dict[str, tuple[str, ...]]:
    """What is in the payouts whose fees documents of these days may record together."""
    if not typed:
        return {}
    ids = mirror.ids_dated(conn, link.processor_id, "payout", min(typed) - WINDOW, max(typed) + WINDOW)
    found: dict[str, PayoutItems] = mirror.load(conn, link.processor_id, "payout_items", ids)
    return {payout_id: items.movement_ids for payout_id, items in found.items()}


def _outline(conn: Connection, link: Link) -> pl.DataFrame:
    options = {"yield_per": mirror.STREAMED}
    rows = conn.execute(_select_outline(), {"of": link.processor_id}, execution_options=options)
    parts = [pl.DataFrame(schema=OUTLINE_SCHEMA)]
    parts += [pl.DataFrame(list(map(tuple, some)), schema=OUTLINE_SCHEMA, orient="row") for some in rows.partitions()]
    return pl.concat(parts)


@cache
def _select_outline() -> Select[Any]:
    """What comes back of a charge belongs to the charge; holds cancel each other out, so they are one family."""
    movement, cause = mirror_table, mirror_table.alias()
    body = type_coerce(movement.c.record, Text)
    is_hold = or_(*(body.contains(f'"type":"{each}"', autoescape=True) for each in HOLDS))
    family = func.coalesce(cause.c.parent_id, movement.c.parent_id, movement.c.object_id)
    beside = and_(
        cause.c.connection_id == movement.c.connection_id,
        cause.c.kind.in_(("refund", "dispute")),
        cause.c.object_id == movement.c.parent_id,
        cause.c.deleted.is_(False),
    )
    return (
        select(
            movement.c.object_id,
            func.coalesce(movement.c.parent_id, movement.c.object_id),
            case((is_hold, "holds"), else_=family),
            movement.c.dated,
        )
        .select_from(movement.outerjoin(cause, beside))
        .where(
            movement.c.connection_id == bindparam("of"),
            movement.c.kind == "movement",
            movement.c.open.is_(True),
            movement.c.claimed.is_(False),
            movement.c.deleted.is_(False),
        )
    )


def _processor_frame(link: Link, found: Stripe) -> pl.DataFrame:
    return processor_frame(
        str(link.ledger_id),
        found.charges.values(),
        found.refunds.values(),
        found.disputes.values(),
        found.payouts.values(),
        found.movements,
        found.invoice_payments,
        found.processor_invoices.values(),
        found.customers.values(),
        reference_fields=link.policies.matching.reference_fields,
    )
