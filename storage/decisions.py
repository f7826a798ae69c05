"""What people decided about single Stripe objects, kept for good: undone rather than removed."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from sqlalchemy import Connection, Row, bindparam, select, update

from reconcile.choices import DecisionKind, Part, PersonDecision
from reconcile.typed_fees import object_of
from storage import connections, mirror
from storage.mirror import chunks
from storage.models import decisions, matches
from storage.records import from_json, to_json

# Of these an object has one at a time; of "not these two" it may have many.
EXCLUSIVE = tuple(kind for kind in get_args(DecisionKind) if kind != "not_match")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A decision as stored; `state` is standing or undone."""

    id: int
    link_id: int
    at: datetime
    state: str
    decision: PersonDecision


def add(conn: Connection, link_id: int, decision: PersonDecision, at: datetime) -> int:
    """Stores a decision; what it contradicts stands no longer. Gives its id."""
    for stored in standing(conn, link_id, [decision.source_id]).get(decision.source_id, []):
        if _contradicts(decision, stored.decision):
            undo(conn, stored.id, decision.actor, at)
    row = conn.execute(
        decisions.insert().values(
            link_id=link_id,
            source_id=decision.source_id,
            kind=decision.kind,
            parts=to_json(decision.parts),
            leg_ids=list(decision.leg_ids),
            reason=decision.reason,
            how=decision.how,
            customer_id=decision.customer_id,
            actor=decision.actor,
            at=at,
            state="standing",
            learned=_learned(conn, link_id, decision),
        )
    )
    return int(row.inserted_primary_key[0])  # type: ignore[index]


def undo(conn: Connection, decision_id: int, actor: str, at: datetime) -> bool:
    """False if it does not stand any more."""
    done = conn.execute(
        update(decisions)
        .where(decisions.c.id == decision_id, decisions.c.state == "standing")
        .values(state="undone", undone_by=actor, undone_at=at)
    )
    return done.rowcount == 1


def get(conn: Connection, decision_id: int) -> Stored:
    return _stored(conn.execute(select(decisions).where(decisions.c.id == decision_id)).one())


def standing(conn: Connection, link_id: int, source_ids: Iterable[str]) -> dict[str, list[Stored]]:
    """Decisions that stand, by Stripe object, in the order they were made."""
    found: dict[str, list[Stored]] = defaultdict(list)
    for chunk in chunks(sorted(set(source_ids))):
        rows = conn.execute(_SELECT_STANDING, {"link": link_id, "sources": list(chunk)})
        for row in rows:
            found[row.source_id].append(_stored(row))
    return dict(found)


_STANDING = (
    select(decisions)
    .where(decisions.c.link_id == bindparam("link"), decisions.c.state == "standing")
    .order_by(decisions.c.id)
)
_SELECT_STANDING = _STANDING.where(decisions.c.source_id.in_(bindparam("sources", expanding=True)))


def about(conn: Connection, link_id: int, prefix: str) -> list[Stored]:
    """Decisions that stand about objects whose name begins so, in the order they were made."""
    query = _STANDING.where(decisions.c.source_id.startswith(prefix, autoescape=True))
    return [_stored(row) for row in conn.execute(query, {"link": link_id})]


def kept_apart(conn: Connection, link_id: int) -> dict[str, set[str]]:
    """By document, what people said it is no record of: Stripe objects, or what fees were taken for."""
    rows = conn.execute(
        select(decisions.c.source_id, decisions.c.parts).where(
            decisions.c.link_id == link_id, decisions.c.kind == "not_match", decisions.c.state == "standing"
        )
    )
    found: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        for part in from_json(row.parts, tuple[Part, ...]):
            found[part.ledger_id].add(object_of(row.source_id))
    return found


def labels(conn: Connection, link_id: int) -> dict[str, list[tuple[int, bool]]]:
    """What people said of the best answers offered to them, by tier: (probability per million, is it right)."""
    found: dict[str, list[tuple[int, bool]]] = defaultdict(list)
    for learned in _lessons(conn, link_id):
        for tier, ppm, right in learned["offered"]:
            found[tier].append((ppm, right))
    return dict(found)


def aliases(conn: Connection, link_id: int) -> list[tuple[str, str]]:
    """Who paid (Stripe's customer, or the address of a guest), and the customer in the books people said that is."""
    return sorted({(each["payer"], each["customer"]) for each in _lessons(conn, link_id) if each["customer"]})


def _lessons(conn: Connection, link_id: int) -> list[dict[str, Any]]:
    rows = conn.execute(
        select(decisions.c.learned).where(
            decisions.c.link_id == link_id, decisions.c.state == "standing", decisions.c.learned.is_not(None)
        )
    )
    return [row.learned for row in rows if row.learned]


def _learned(conn: Connection, link_id: int, decision: PersonDecision) -> dict[str, Any] | None:
    """What a decision teaches about the answers it was made on. An undo says nothing of them."""
    if decision.kind == "undone":
        return None
    named = {part.ledger_id for part in decision.parts}
    rows = conn.execute(
        select(matches).where(
            matches.c.link_id == link_id, matches.c.source_id == decision.source_id, matches.c.rank == 1
        )
    ).all()
    offered = []
    for row in rows:
        is_named = {part["ledger_id"] for part in row.allocations} == named
        if row.probability_ppm is not None and (decision.kind != "not_match" or is_named):
            offered.append((row.tier, row.probability_ppm, decision.kind == "match" and is_named))
    payer, customer = _whose(conn, link_id, decision) if decision.kind == "match" else ("", "")
    return {"offered": offered, "payer": payer, "customer": customer} if offered or customer else None


def _whose(conn: Connection, link_id: int, decision: PersonDecision) -> tuple[str, str]:
    """Who paid and, if all documents are of one, the customer in the books; "" for what is not known."""
    link = connections.link(conn, link_id)
    charge = mirror.load(conn, link.processor_id, "charge", [decision.source_id]).get(decision.source_id)
    payer = (charge.customer_id or (charge.customer_email or "").strip().lower()) if charge else ""
    customers = set()
    for part in decision.parts:
        kind = part.ledger_id.partition(":")[0]
        document = mirror.load(conn, link.ledger_id, kind, [part.ledger_id]).get(part.ledger_id)
        customers.add(document.customer_id if document else None)
    only = customers.pop() if len(customers) == 1 else None
    return (payer, only) if payer and only else ("", "")


def _contradicts(new: PersonDecision, old: PersonDecision) -> bool:
    if new.kind in EXCLUSIVE and old.kind in EXCLUSIVE:
        return "undone" not in (new.kind, old.kind) or bool(set(new.leg_ids) & set(old.leg_ids))
    named = {part.ledger_id for part in new.parts} & {part.ledger_id for part in old.parts}
    return bool(named) and {new.kind, old.kind} == {"match", "not_match"}


def _stored(row: Row[Any]) -> Stored:
    parts: Sequence[Part] = from_json(row.parts, tuple[Part, ...])
    return Stored(
        id=row.id,
        link_id=row.link_id,
        at=row.at,
        state=row.state,
        decision=PersonDecision(
            source_id=row.source_id,
            kind=row.kind,
            actor=row.actor,
            parts=tuple(parts),
            reason=row.reason,
            how=row.how,
            customer_id=row.customer_id,
            leg_ids=tuple(row.leg_ids),
        ),
    )
