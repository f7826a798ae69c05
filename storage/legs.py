"""Legs and matches as stored: what one round of planning decided, and what became of it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, Text, bindparam, select, type_coerce, update

from reconcile.postings import LegDecision
from storage.engine import upsert
from storage.mirror import chunks
from storage.models import legs, matches, outbox

SETTLED = ("matched", "posted", "ignored")
UNDOING = ("undoing", "undo_unclear", "undo_stopped")  # reasons of legs whose documents are being taken back


@dataclass(frozen=True, slots=True, kw_only=True)
class MovementFacts:
    """What a leg's row repeats of its movement."""

    dated: date
    created_at: datetime
    before_cutover: bool
    balance_type: str


def record(
    conn: Connection, link_id: int, decisions: Sequence[LegDecision], facts: dict[str, MovementFacts], at: datetime
) -> list[LegDecision]:
    """Stores decisions; gives those that say something new, so that only they are audited."""
    known = {row.id: row for row in _rows(conn, link_id, [decision.leg.id for decision in decisions])}
    changed = [decision for decision in decisions if _differs(decision, known.get(decision.leg.id))]
    rows = [
        {
            "link_id": link_id,
            "id": decision.leg.id,
            "movement_id": decision.leg.movement_id,
            "source_id": decision.source_id,
            "kind": decision.leg.kind,
            "category": decision.leg.category,
            "balance_type": facts[decision.leg.movement_id].balance_type,
            "currency": decision.leg.currency,
            "amount_minor": decision.leg.amount_minor,
            "dated": facts[decision.leg.movement_id].dated,
            "created_at": facts[decision.leg.movement_id].created_at,
            "before_cutover": facts[decision.leg.movement_id].before_cutover,
            "state": decision.state,
            "reason": decision.reason,
            "detail": decision.detail,
            "markers": list(decision.markers),
            "document_ids": list(decision.document_ids),
            "decided_at": at,
            "version": known[decision.leg.id].version + 1 if decision.leg.id in known else 1,
        }
        for decision in changed
    ]
    if rows:
        upsert(conn, legs, rows, ["link_id", "id"])
    return changed


def unchanged(
    conn: Connection, link_id: int, decisions: Sequence[LegDecision], found: Mapping[str, Sequence[dict[str, Any]]]
) -> set[str]:
    """The Stripe objects that go on waiting for the same reasons and with the same answers (`found`, by object)."""
    known = {row.id: row for row in _rows(conn, link_id, [decision.leg.id for decision in decisions])}
    news = {each.source_id for each in decisions if not is_idle(each) or _differs(each, known.get(each.leg.id))}
    still = sorted({each.source_id for each in decisions} - news)
    stored: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for chunk in chunks(still):
        rows = conn.execute(select(matches).where(matches.c.link_id == link_id, matches.c.source_id.in_(chunk)))
        for row in rows.mappings():
            stored[row["source_id"]].append({name: row[name] for name in row if name not in ("link_id", "decided_at")})
    return {each for each in still if _by_id(found[each]) == _by_id(stored[each])}


def is_idle(decision: LegDecision) -> bool:
    """Whether nothing is done about it but to wait."""
    return decision.state == "waiting" and not decision.markers


def _by_id(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: row["id"])


def record_posted(conn: Connection, link_id: int, leg_ids: Sequence[str]) -> None:
    """Postings of these legs are in the books; a leg is posted when all of its postings are."""
    rows = _rows(conn, link_id, leg_ids)
    markers = sorted({marker for row in rows for marker in row.markers})
    done = {
        marker
        for chunk in chunks(markers)
        for marker in conn.execute(
            select(outbox.c.marker).where(
                outbox.c.link_id == link_id, outbox.c.marker.in_(chunk), outbox.c.state.in_(("posted", "verified"))
            )
        ).scalars()
    }
    posted = [row.id for row in rows if row.markers and done.issuperset(row.markers)]
    _change(conn, link_id, posted, state="posted", reason="posted", detail="In QuickBooks.")


def rebook(conn: Connection, link_id: int, leg_ids: Sequence[str], old: str | None, new: str) -> None:
    """Another posting books these legs: instead of `old`, or beside what is there."""
    for row in _rows(conn, link_id, leg_ids):
        markers = [marker for marker in row.markers if marker != old]
        _change(conn, link_id, [row.id], markers=[*markers, new])


def record_refused(conn: Connection, link_id: int, leg_ids: Sequence[str], problem: str) -> None:
    _change(conn, link_id, leg_ids, state="waiting", reason="refused", detail=problem)


def record_withdrawn(conn: Connection, link_id: int, leg_ids: Sequence[str]) -> list[str]:
    """To be decided again; gives their movements."""
    detail = "Being decided again, because something has changed."
    _change(conn, link_id, leg_ids, state="waiting", reason="undecided", detail=detail, markers=[], document_ids=[])
    return sorted({row.movement_id for row in _rows(conn, link_id, leg_ids)})


def record_undoing(conn: Connection, link_id: int, leg_ids: Sequence[str], reason: str, detail: str) -> None:
    """Their documents are being taken back: still in the books, but nothing new may hang on them (reasons UNDOING)."""
    _change(conn, link_id, leg_ids, state="waiting", reason=reason, detail=detail)


def unbook(conn: Connection, link_id: int, leg_ids: Sequence[str], gone: Sequence[str]) -> list[Row[Any]]:
    """These markers book none of it any more; gives the legs as they are then."""
    for row in _rows(conn, link_id, leg_ids):
        _change(conn, link_id, [row.id], markers=[marker for marker in row.markers if marker not in gone])
    return _rows(conn, link_id, leg_ids)


def of_ids(conn: Connection, link_id: int, leg_ids: Sequence[str]) -> list[Row[Any]]:
    return _rows(conn, link_id, leg_ids)


def any_undecided(conn: Connection, link_id: int) -> bool:
    """Whether something is to be decided again."""
    these = (legs.c.link_id == link_id, legs.c.state == "waiting", legs.c.reason == "undecided")
    return conn.execute(select(legs.c.id).where(*these).limit(1)).first() is not None


def half_sent(conn: Connection, link_id: int) -> set[str]:
    """The markers of legs that several postings book, of which one is past its planning.

    The others must be finished as they were planned: what they share was divided once.
    """
    several = type_coerce(legs.c.markers, Text).contains('","')
    rows = conn.execute(
        select(legs.c.markers).where(legs.c.link_id == link_id, legs.c.state == "waiting", several)
    ).scalars()
    shared = [set(markers) for markers in rows]
    begun: set[str] = set()
    for chunk in chunks(sorted(set().union(*shared))):
        begun.update(
            conn.execute(
                select(outbox.c.marker).where(
                    outbox.c.link_id == link_id,
                    outbox.c.marker.in_(chunk),
                    outbox.c.state.not_in(("planned", "withdrawn")),
                )
            ).scalars()
        )
    return {marker for markers in shared if markers & begun for marker in markers}


def record_said(conn: Connection, link_id: int, leg_ids: Sequence[str], detail: str) -> None:
    """A person has decided; the next sync carries it out."""
    _change(conn, link_id, leg_ids, reason="undecided", detail=detail)


def version_of(rows: Sequence[Row[Any]]) -> int:
    """Of a Stripe object: grows with every change of any of its legs, and with every new one."""
    return sum(row.version for row in rows)


def matched_to(conn: Connection, link_id: int, document_id: str) -> list[Row[Any]]:
    """Gross legs that a document somebody made records."""
    return list(
        conn.execute(
            select(legs).where(
                legs.c.link_id == link_id,
                legs.c.state == "matched",
                legs.c.kind == "gross",
                type_coerce(legs.c.document_ids, Text).contains(f'"{document_id}"', autoescape=True),
            )
        )
    )


def matched_elsewhere(conn: Connection, link_id: int, document_id: str, source_id: str) -> bool:
    """Whether a document belongs to another Stripe object too."""
    row = conn.execute(
        select(legs.c.id)
        .where(
            legs.c.link_id == link_id,
            legs.c.state == "matched",
            legs.c.source_id != source_id,
            type_coerce(legs.c.document_ids, Text).contains(f'"{document_id}"', autoescape=True),
        )
        .limit(1)
    )
    return row.first() is not None


def record_retried(conn: Connection, link_id: int, leg_ids: Sequence[str]) -> None:
    detail = "Goes into QuickBooks with the next posting."
    _change(conn, link_id, leg_ids, state="waiting", reason="queued", detail=detail)


def decided(conn: Connection, link_id: int, movement_ids: Sequence[str]) -> dict[str, bool]:
    """For every known leg of these movements: whether nothing is left to decide about it."""
    found = {}
    for chunk in chunks(movement_ids):
        rows = conn.execute(_SELECT_DECIDED, {"link": link_id, "movements": list(chunk)})
        found.update({row.id: row.state in SETTLED or bool(row.markers) for row in rows})
    return found


# What every sync asks is made once: making a statement anew takes longer than its answer.
_SELECT_DECIDED = select(legs.c.id, legs.c.state, legs.c.markers).where(
    legs.c.link_id == bindparam("link"), legs.c.movement_id.in_(bindparam("movements", expanding=True))
)
_SELECT_LEGS = select(legs).where(legs.c.link_id == bindparam("link"), legs.c.id.in_(bindparam("ids", expanding=True)))


def of_sources(conn: Connection, link_id: int, source_ids: Sequence[str]) -> list[Row[Any]]:
    """Every leg of some Stripe objects."""
    found: list[Row[Any]] = []
    for chunk in chunks(sorted(set(source_ids))):
        found += conn.execute(select(legs).where(legs.c.link_id == link_id, legs.c.source_id.in_(chunk)))
    return found


def of_movements(conn: Connection, link_id: int, movement_ids: Sequence[str]) -> list[Row[Any]]:
    found: list[Row[Any]] = []
    for chunk in chunks(sorted(set(movement_ids))):
        found += conn.execute(select(legs).where(legs.c.link_id == link_id, legs.c.movement_id.in_(chunk)))
    return found


def record_matches(
    conn: Connection, link_id: int, sources: Sequence[str], rows: Sequence[dict[str, Any]], at: datetime
) -> None:
    """What matching found for the Stripe objects it looked at, replacing what it found for them before."""
    for chunk in chunks(sources):
        conn.execute(matches.delete().where(matches.c.link_id == link_id, matches.c.source_id.in_(chunk)))
    if rows:
        conn.execute(matches.insert(), [row | {"link_id": link_id, "decided_at": at} for row in rows])


def allocations(conn: Connection, link_id: int, source_id: str, match_id: str) -> list[dict[str, Any]] | None:
    """The documents of an answer and how much of each; None if it is not offered any more."""
    found: list[dict[str, Any]] | None = conn.execute(
        select(matches.c.allocations).where(
            matches.c.link_id == link_id, matches.c.source_id == source_id, matches.c.id == match_id
        )
    ).scalar()
    return found


def _differs(decision: LegDecision, known: Row[Any] | None) -> bool:
    return (
        known is None
        or (known.source_id, known.state, known.reason, known.detail, known.amount_minor)
        != (
            decision.source_id,
            decision.state,
            decision.reason,
            decision.detail,
            decision.leg.amount_minor,
        )
        or (known.markers, known.document_ids) != (list(decision.markers), list(decision.document_ids))
    )


def _change(conn: Connection, link_id: int, leg_ids: Sequence[str], **values: Any) -> None:
    for chunk in chunks(leg_ids):
        conn.execute(
            update(legs)
            .where(legs.c.link_id == link_id, legs.c.id.in_(chunk))
            .values(version=legs.c.version + 1, **values)
        )


def _rows(conn: Connection, link_id: int, leg_ids: Sequence[str]) -> list[Row[Any]]:
    found: list[Row[Any]] = []
    for chunk in chunks(leg_ids):
        found += conn.execute(_SELECT_LEGS, {"link": link_id, "ids": list(chunk)})
    return found
