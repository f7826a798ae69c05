"""What somebody typed in although we posted it (row 24): it names what we posted, or is the same in other words."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, or_, select

from reconcile.frames import on_clearing
from reconcile.postings import Posting
from reconcile.records import Document, PayoutItems
from reconcile.typed_fees import typed_costs
from storage import decisions, mirror
from storage.connections import Link
from storage.models import legs, outbox
from storage.records import DOCUMENT_KINDS, from_json

IN_BOOKS = ("posted", "verified")
DAYS_APART = timedelta(days=5)
LOOK_BACK = timedelta(days=60)
MONTH = timedelta(days=31)  # how far one expense for many fees may be dated from them
NOT_TWINS = ("invoice", "credit_memo")
Key = tuple[str, int]  # currency and minor units


def find(conn: Connection, link: Link, today: date) -> Iterator[tuple[Document, str]]:
    """Documents others made since some weeks, each with what of ours it may be again: Stripe ids, or a sum of fees."""
    kinds = [kind for kind in DOCUMENT_KINDS if kind not in NOT_TWINS]
    typed: list[Document] = mirror.load_open(conn, link.ledger_id, kinds, since=today - LOOK_BACK)
    if not typed:
        return
    names = _posted_names(conn, link, {each for document in typed for each in document.external_ids})
    costs = typed_costs(typed, link.mappings.clearing)
    ours = _posted_alike(conn, link, typed, with_costs=bool(costs))
    apart = decisions.kept_apart(conn, link.id)
    sums = _fee_sums(conn, link, costs, apart)
    for document in typed:
        named = next((names[each] for each in document.external_ids if each in names), None)
        twin = named or _twin(ours, document, link, apart.get(document.id, set())) or sums.get(document.id)
        if twin is not None:
            yield document, twin.partition(":")[0]


def _posted_alike(
    conn: Connection, link: Link, typed: Sequence[Document], *, with_costs: bool
) -> dict[Key, list[tuple[str, Posting]]]:
    """Our documents that come to what these do; with costs, that do to the clearing account what these do too."""
    clearing = link.mappings.clearing
    wanted = {(each.currency, amount) for each in typed for amount in (each.amount_minor, *on_clearing(each, clearing))}
    kinds = ["payment", "sales_receipt", "refund_receipt", "transfer"]
    kinds += ["purchase", "deposit", "journal_entry"] if with_costs else []
    rows = conn.execute(
        select(outbox.c.marker, outbox.c.posting).where(
            outbox.c.link_id == link.id,
            outbox.c.state.in_(IN_BOOKS),
            outbox.c.kind.in_(kinds),
            outbox.c.dated >= min(each.dated for each in typed) - DAYS_APART,
        ),
        execution_options={"yield_per": mirror.STREAMED},
    )
    found: dict[Key, list[tuple[str, Posting]]] = defaultdict(list)
    for row in rows:
        body = row.posting
        amounts = {body["amount_minor"], sum(each["amount_minor"] for each in body["shares"])}
        alike = {(body["currency"], amount) for amount in amounts} & wanted
        if alike and not body["target"]:
            for key in alike:
                found[key].append((row.marker, from_json(body, Posting)))
    return found


def _effect(posting: Posting) -> int:
    return sum(share.amount_minor for share in posting.shares)


def _twin(ours: dict[Key, list[tuple[str, Posting]]], document: Document, link: Link, apart: set[str]) -> str | None:
    """The same amount near the same day: of the same customer, into the bank as a payout of ours, or off the clearing
    account as a cost of ours. Not what people kept `apart`.
    """
    effects, banks = on_clearing(document, link.mappings.clearing), set(link.mappings.bank.values())
    for amount in (document.amount_minor, *effects):
        for marker, posting in ours.get((document.currency, amount), ()):
            if apart.isdisjoint(posting.memo.split()) and _is_same(posting, document, effects, banks):
                return marker
    return None


def _is_same(posting: Posting, document: Document, effects: Sequence[int], banks: set[str]) -> bool:
    if abs(posting.dated - document.dated) > DAYS_APART:
        return False
    if posting.kind in ("purchase", "deposit", "journal_entry"):
        return document.kind not in ("payment", "sales_receipt") and _effect(posting) in effects
    if posting.amount_minor != document.amount_minor:
        return False
    if posting.kind == "transfer":
        return document.kind in ("deposit", "transfer") and document.account_id in banks
    return posting.kind == document.kind and posting.party_id == document.customer_id


def _posted_names(conn: Connection, link: Link, ids: set[str]) -> dict[str, str]:
    """Marker of what we posted, by the Stripe ids it could be called by."""
    found: dict[str, str] = {}
    for chunk in mirror.chunks(sorted(ids)):
        rows = conn.execute(
            select(legs.c.source_id, legs.c.movement_id, legs.c.markers).where(
                legs.c.link_id == link.id,
                legs.c.state == "posted",
                legs.c.kind == "gross",
                or_(legs.c.source_id.in_(chunk), legs.c.movement_id.in_(chunk)),
            )
        )
        for row in rows:
            if row.markers and ":opening-" not in row.markers[0]:
                found |= {row.source_id: row.markers[0], row.movement_id: row.markers[0]}
    return found


# ---- many fees in one document


@dataclass(slots=True)
class _Sum:
    """Fees of one currency that we posted, of one day, month or payout."""

    what: str
    currency: str
    last: date
    amount_minor: int = 0
    count: int = 0

    def add(self, row: Row[Any]) -> None:
        self.last = max(self.last, row.dated)
        self.amount_minor += int(row.amount)
        self.count += row.number


def _fee_sums(conn: Connection, link: Link, costs: Sequence[Document], apart: Mapping[str, set[str]]) -> dict[str, str]:
    """By document: what fees it may record together, all of which we have posted."""
    if not costs:
        return {}
    first, last = min(each.dated for each in costs) - MONTH, max(each.dated for each in costs) + MONTH
    sums = [*_by_period(conn, link, first, last), *_by_payout(conn, link, first, last)]
    found: dict[str, str] = {}
    for document in costs:
        effects = on_clearing(document, link.mappings.clearing)
        for each in sums:
            is_it = each.count > 1 and each.currency == document.currency and each.amount_minor in effects
            if is_it and abs(each.last - document.dated) <= MONTH and each.what not in apart.get(document.id, ()):
                found.setdefault(document.id, f"the fees of {each.what}")
    return found


def _by_period(conn: Connection, link: Link, first: date, last: date) -> Iterable[_Sum]:
    sums: dict[tuple[str, str], _Sum] = {}
    for row in _posted_fees(conn, link, legs.c.dated.between(first.replace(day=1), last)):
        for what in (f"{row.dated}", f"{row.dated:%Y-%m}"):
            sums.setdefault((what, row.currency), _Sum(what, row.currency, row.dated)).add(row)
    return sums.values()


def _by_payout(conn: Connection, link: Link, first: date, last: date) -> Iterable[_Sum]:
    ids = mirror.ids_dated(conn, link.processor_id, "payout", first, last)
    inside: dict[str, PayoutItems] = mirror.load(conn, link.processor_id, "payout_items", ids)
    sums: dict[tuple[str, str], _Sum] = {}
    for what, items in sorted(inside.items()):
        for chunk in mirror.chunks(sorted(items.movement_ids)):
            for row in _posted_fees(conn, link, legs.c.movement_id.in_(chunk)):
                sums.setdefault((what, row.currency), _Sum(what, row.currency, row.dated)).add(row)
    return sums.values()


def _posted_fees(conn: Connection, link: Link, these: ColumnElement[bool]) -> Iterable[Row[Any]]:
    """`dated, currency, amount, number`: the fees of each day."""
    amount, number = func.sum(legs.c.amount_minor).label("amount"), func.count().label("number")
    posted = (legs.c.link_id == link.id, legs.c.state == "posted", legs.c.reason == "posted")
    return conn.execute(
        select(legs.c.dated, legs.c.currency, amount, number)
        .where(*posted, legs.c.kind != "gross", these)
        .group_by(legs.c.dated, legs.c.currency)
    )
