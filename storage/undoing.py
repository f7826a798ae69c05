"""Undo of posted documents: what it would do and what keeps it from being done; begun, completed, called off.

A document is undone together with everything that books the same legs. Each gets an outbox row of its own that takes it
back (`reconcile.reversal`), the last one posted first. Until all are done the legs keep their markers and wait
(`undoing`), so that nothing new hangs on them; then they are free, held by the decision `undone`.

Every function that changes something takes it that the caller holds the link (`connections.change_link`), as whoever
sends does: what hangs on a document cannot change between the look at it and the step.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from reconcile.choices import PersonDecision
from reconcile.money import Money
from reconcile.postings import PostingKind
from reconcile.records import Account, Document
from reconcile.reversal import How, changed_since_seen, how_to_undo, only_applies, opposite, taking_back
from storage import connections, decisions, hanging, legs, markers, mirror, outbox
from storage.connections import Link
from storage.hanging import IN_BOOKS, Group, named
from storage.models import outbox as table
from storage.outbox import Item
from storage.snapshot import receivables

OPEN = ("planned", "sending", "doubtful", "waiting")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One document and how it is taken back, an entry by a document of `entry_kind` on a day.

    `how` None: it cannot be.
    """

    document: Document
    item: Item
    how: How | None
    entry_on: date | None = None
    entry_kind: PostingKind | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """What an undo would do, in the order in which it is done, and everything that keeps it from being done.

    `version` stands for all that is shown: what was seen otherwise is not done.
    """

    source_id: str
    steps: tuple[Step, ...]
    effects: tuple[str, ...]
    obstacles: tuple[str, ...]
    fee_minor: int  # of the same object, booked by documents of its own; 0 if there is none
    currency: str
    version: str
    leg_ids: tuple[str, ...]
    linked: tuple[str, ...] = ()  # markers of changes of other documents, which go with these


def preview(
    conn: Connection, link: Link, document_id: str, *, with_fee: bool = False, is_reconciled: bool = False
) -> Undo | None:
    """None if it is no document of ours that is in the books.

    `is_reconciled`: a person says that it was reconciled with a bank statement, which QuickBooks does not tell.
    """
    group = hanging.group_of(conn, link, document_id, with_fee=with_fee)
    if group is None:
        return None
    obstacles = list(hanging.obstacles(conn, link, group))
    steps = [_step(conn, link, group, item, is_reconciled=is_reconciled) for item in group.documents]
    if not connections.is_desktop(conn, link.ledger_id):  # there, no payment of nothing is made
        steps = _with_stays(steps)
    for step in steps:
        obstacles += _keeps(step, _receivables(conn, link, step.document))
    obstacles = list(dict.fromkeys(obstacles))
    effects = _effects(conn, link, group, steps)
    shown = [(step.document.id, step.document.version, step.how, step.entry_on) for step in steps]
    return Undo(
        source_id=group.source_id,
        steps=tuple(steps),
        effects=tuple(effects),
        obstacles=tuple(obstacles),
        fee_minor=group.fee_minor,
        currency=group.currency,
        version=hashlib.sha256(repr((shown, effects, obstacles, group.leg_ids)).encode()).hexdigest(),
        leg_ids=group.leg_ids,
        linked=tuple(item.posting.marker for item in group.linked),
    )


def _step(conn: Connection, link: Link, group: Group, item: Item, *, is_reconciled: bool) -> Step:
    document = group.found[item.document_id or ""]
    closed_through = hanging.closed_through(conn, link)
    is_fixed = is_reconciled or hanging.is_deposited(conn, link, document.id)
    on_desktop = connections.is_desktop(conn, link.ledger_id)
    how = how_to_undo(document, closed_through, is_fixed=is_fixed, on_desktop=on_desktop)
    if how != "entry":
        return Step(document=document, item=item, how=how)
    entry = opposite(item.posting, document, "", "", closed_through, on_desktop=on_desktop)
    return Step(document=document, item=item, how=how, entry_on=entry.dated, entry_kind=entry.kind)


def _with_stays(steps: Sequence[Step]) -> list[Step]:
    """What cannot be taken back, but need not be: it only applies an entry, which an opposite one takes back.

    Unless somebody changed it: then it may apply something else.
    """
    by_entry = {step.item.posting.marker for step in steps if step.how == "entry"}
    return [
        replace(step, how="stay")
        if step.how is None
        and only_applies(step.item.posting)
        and step.item.posting.after in by_entry
        and not step.item.problem
        else step
        for step in steps
    ]


def _receivables(conn: Connection, link: Link, document: Document) -> int:
    """How many accounts receivable the customer of a payment may owe its money on."""
    if not connections.is_desktop(conn, link.ledger_id):
        return int(document.currency in receivables(conn, link.ledger_id))
    accounts: list[Account] = mirror.load_all(conn, link.ledger_id, ["account"])
    return sum(each.type == "Accounts Receivable" and each.currency == document.currency for each in accounts)


def _keeps(step: Step, receivables_: int) -> list[str]:
    """Why this document cannot be taken back."""
    what = named(step.document)
    if step.how is None:
        return [
            f"{what} lies in a period that is closed, signed off or reconciled, and no single entry takes it back. "
            "Reopen the period, or put it right in QuickBooks by hand."
        ]
    if step.how == "entry" and step.item.problem:
        return [f"{what} was changed after it was posted. Restore it first: an entry can only undo what was posted."]
    if step.how == "entry" and step.document.kind == "payment" and not receivables_:
        return [f"QuickBooks has no account receivable in {step.document.currency}. Create it."]
    if step.how == "entry" and step.document.kind == "payment" and receivables_ > 1:
        return [
            f"QuickBooks has several accounts receivable in {step.document.currency}, and the entry that takes {what} "
            "back belongs on that of its invoice. Make that entry in QuickBooks by hand."
        ]
    return []


def _effects(conn: Connection, link: Link, group: Group, steps: Sequence[Step]) -> list[str]:
    """What follows from it, as sentences."""
    found = []
    for step in steps:
        paid = [part for part in step.document.applied if part.id.startswith("invoice:")]
        for invoice in hanging.load(conn, link, [part.id for part in paid]).values():
            amount = sum(part.amount_minor for part in paid if part.id == invoice.id)
            shown = Money(amount, step.document.currency)
            if step.how in ("entry", "stay"):
                found.append(f"{named(invoice)} stays paid; by the opposite entry its customer owes {shown} again.")
            elif invoice.id not in group.found:
                found.append(f"{shown} of {named(invoice)} is open again.")
    if group.fee_minor:
        found.append(f"Its fee of {Money(group.fee_minor, group.currency)} stays in the books.")
    found += hanging.remarks(conn, link, group)
    found.append(f"{group.source_id} goes back to Review. It is posted again only when somebody decides anew.")
    return found


# ---- doing it


def begin(conn: Connection, link: Link, undo: Undo, said: PersonDecision, at: datetime) -> int:
    """Plans a row for each document and holds the legs; gives the decision's id.

    The rows come one after the other, so that one that cannot be done keeps all that follow.
    """
    assert not undo.obstacles
    closed, after = hanging.closed_through(conn, link), None
    on_desktop = connections.is_desktop(conn, link.ledger_id)
    for step in (each for each in undo.steps if each.how != "stay"):
        posting, document = step.item.posting, step.document
        source, kind, _, _ = posting.marker.rsplit(":", 3)
        marker = markers.next_free(conn, link.id, source, f"{kind}-undo")
        if step.how in ("void", "delete"):
            taken = taking_back(posting, document, marker, step.how)
        else:
            receivable = receivables(conn, link.ledger_id).get(document.currency)
            taken = opposite(posting, document, marker, receivable, closed, on_desktop=on_desktop)
        taken = replace(taken, after=after)
        outbox.plan(conn, link_id=link.id, connection_id=link.ledger_id, postings=[taken], at=at, asked_by=said.actor)
        after = marker
    detail = f"Being undone, as {said.actor} asked for. {said.reason}"
    legs.record_undoing(conn, link.id, undo.leg_ids, "undoing", detail)
    return decisions.add(conn, link.id, replace(said, leg_ids=undo.leg_ids), at)


def obstacle(conn: Connection, link: Link, item: Item) -> str | None:
    """Why a row must not be sent as things are now: looked at right before its bytes are frozen."""
    original = _original(conn, item)
    if original is None or original.state not in IN_BOOKS:
        return "Its document is not in the books any more."
    kind, _, _ = (original.document_id or "").partition(":")
    found = mirror.load(conn, link.ledger_id, kind, [original.document_id or ""])
    document: Document | None = found.get(original.document_id or "")
    closed = hanging.closed_through(conn, link)
    problem: str | None = None
    if item.posting.target and closed and item.posting.dated <= closed:
        problem = f"The books were closed, or signed off, through {closed} meanwhile."
    elif item.posting.target:
        problem = changed_since_seen(item.posting, document)
    elif document is None or document.voided or original.problem:
        problem = "Somebody changed, voided or deleted it in QuickBooks meanwhile."
    group = hanging.group_of(conn, link, original.document_id or "") if problem is None else None
    return problem or next(iter(hanging.dependents(conn, link, group)), None) if group else problem


def complete(conn: Connection, link: Link, item: Item) -> None:
    """What it undoes is gone from the books; once nothing books its legs any more, they are to be decided again."""
    original = _original(conn, item)
    if original is None or original.state not in IN_BOOKS:
        return
    gone = [original.posting.marker, *([] if item.posting.target else _staying(conn, link, original))]
    for marker in gone:
        markers.spend(conn, link.id, marker)
    leg_ids = [share.leg_id for share in original.posting.shares]
    free = []
    for row in legs.unbook(conn, link.id, leg_ids, gone):
        rest = outbox.by_marker(conn, link.ledger_id, row.markers)
        if all(each.posting.target for each in rest.values()):  # changes of other documents went with theirs
            for marker in rest:
                markers.spend(conn, link.id, marker)
            free.append(row.id)
    mirror.reopen_movements(conn, link.processor_id, legs.record_withdrawn(conn, link.id, free))


def call_off(conn: Connection, link: Link, item: Item, problem: str | None, actor: str, at: datetime) -> None:
    """This row and those after it are not sent; what was not undone stays posted. `problem`: why, for a person."""
    rows = [item.posting.marker]
    while later := _planned_after(conn, link.id, rows):
        rows += later
    conn.execute(
        update(table)
        .where(table.c.link_id == link.id, table.c.marker.in_(rows))
        .values(
            state="withdrawn", body=None, body_hash=None, request_id=None, next_at=None, lease_until=None,
            look_up=None, problem=problem,
        )
    )  # fmt: skip
    decision = _decision(conn, link.id, item)
    if decision is None:
        return
    held = [row for row in legs.of_ids(conn, link.id, decision.decision.leg_ids) if row.reason in legs.UNDOING]
    whole = [row.id for row in held if _is_whole(conn, link, row)]
    legs.record_posted(conn, link.id, whole)
    stopped = [row.id for row in held if row.id not in whole]
    detail = f"Only a part of it was undone. {problem or ''} Undo the rest on the page Posted.".replace("  ", " ")
    legs.record_undoing(conn, link.id, stopped, "undo_stopped", detail)
    if len(whole) == len(decision.decision.leg_ids):
        decisions.undo(conn, decision.id, actor, at)


def record_unclear(conn: Connection, link: Link, item: Item, problem: str) -> None:
    """Nobody can tell whether it was done: a person has to look."""
    _mark(conn, link, item, "undo_unclear", problem)


def record_retried(conn: Connection, link: Link, item: Item) -> None:
    _mark(conn, link, item, "undoing", "Being undone; Tieout looks in QuickBooks how far it has come.")


def under_way(conn: Connection, link: Link, leg_ids: Sequence[str]) -> list[Item]:
    """The rows that take back what books these legs and are not done, in their order."""
    booked = [marker for row in legs.of_ids(conn, link.id, leg_ids) for marker in row.markers]
    rows: list[int] = []
    for chunk in mirror.chunks(booked):
        these = (table.c.link_id == link.id, table.c.undoes.in_(chunk), table.c.state.in_(OPEN))
        rows += conn.execute(select(table.c.id).where(*these)).scalars()
    return [each for _, each in sorted(outbox.get_all(conn, rows).items())]


def begun(conn: Connection, link: Link, marker: str) -> bool:
    """Whether the document of a marker is being taken back, or was."""
    found = outbox.by_marker(conn, link.ledger_id, [marker]).get(marker)
    these = (table.c.link_id == link.id, table.c.undoes == marker, table.c.state.in_(OPEN))
    return (found is not None and found.state == "spent") or conn.execute(
        select(table.c.id).where(*these)
    ).first() is not None


def _mark(conn: Connection, link: Link, item: Item, reason: str, detail: str) -> None:
    decision = _decision(conn, link.id, item)
    if decision is not None:
        held = legs.of_ids(conn, link.id, decision.decision.leg_ids)
        legs.record_undoing(conn, link.id, [row.id for row in held if row.reason in legs.UNDOING], reason, detail)


def _original(conn: Connection, item: Item) -> Item | None:
    undoes = item.posting.undoes or ""
    return outbox.by_marker(conn, item.connection_id, [undoes]).get(undoes)


def _decision(conn: Connection, link_id: int, item: Item) -> decisions.Stored | None:
    """The one that asked for it: it holds the legs of what is taken back."""
    original = _original(conn, item)
    shares = original.posting.shares if original else ()
    rows = legs.of_ids(conn, link_id, [share.leg_id for share in shares])
    sources = {row.source_id for row in rows}
    for stored in (each for found in decisions.standing(conn, link_id, sources).values() for each in found):
        if stored.decision.kind == "undone" and {row.id for row in rows} & set(stored.decision.leg_ids):
            return stored
    return None


def _staying(conn: Connection, link: Link, original: Item) -> list[str]:
    """Markers of what only applies a document that an opposite one took back: it stands for nothing any more."""
    these = (table.c.link_id == link.id, table.c.after == original.posting.marker, table.c.state.in_(IN_BOOKS))
    rows = conn.execute(select(table.c.id).where(*these, table.c.undoes.is_(None))).scalars().all()
    return [each.posting.marker for each in outbox.get_all(conn, rows).values() if only_applies(each.posting)]


def _planned_after(conn: Connection, link_id: int, rows: Sequence[str]) -> list[str]:
    these = (table.c.link_id == link_id, table.c.undoes.is_not(None), table.c.state == "planned")
    found = conn.execute(select(table.c.marker).where(*these, table.c.after.in_(rows))).scalars()
    return [marker for marker in found if marker not in rows]


def _is_whole(conn: Connection, link: Link, row: Row[Any]) -> bool:
    """Whether what is left in the books books all of a leg."""
    items = outbox.by_marker(conn, link.ledger_id, row.markers).values()
    shares = [share.amount_minor for each in items for share in each.posting.shares if share.leg_id == row.id]
    return bool(row.markers) and sum(shares) == row.amount_minor
