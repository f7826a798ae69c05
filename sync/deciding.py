"""Match and plan: what a snapshot calls for is computed outside any transaction and recorded in small ones.

Each of those checks that nothing the snapshot was made of has changed; if it has, all is computed anew. What was
recorded until then stays: a leg with a posting is not planned again.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import polars as pl

from reconcile.choices import decisions_frame
from reconcile.days import book_day
from reconcile.frames import ledger_frame, on_clearing, processor_frame
from reconcile.legs import legs_of
from reconcile.matching import MatchResult, Verdict, match
from reconcile.model import Model
from reconcile.plan import plan
from reconcile.postings import LegDecision, Plan, Posting
from reconcile.records import Movement
from reconcile.rules import Rules
from reconcile.snapshot import Snapshot
from reconcile.tiers.customers import ALIASES_SCHEMA
from reconcile.typed_fees import fee_rows, fee_sums
from storage import audit, connections, decisions, legs, mirror, outbox, snapshot
from storage.engine import Database
from storage.legs import MovementFacts
from sync.ports import Clock

ROUNDS = 10  # a link whose data changes faster than this waits for the next sync
BATCH = 100  # Stripe objects recorded in one transaction


@dataclass
class _Batch:
    """Everything decided about some Stripe objects: recorded together or not at all."""

    postings: list[Posting] = field(default_factory=list)
    decisions: list[LegDecision] = field(default_factory=list)


def decide(database: Database, clock: Clock, link_id: int) -> dict[str, int]:
    """Decides what can be decided of a link; gives counts (`planned`, `matched`, `waiting`)."""
    counts = {"planned": 0, "matched": 0, "waiting": 0}
    for _ in range(ROUNDS):
        with database.read() as conn:
            link = connections.link(conn, link_id)
        if link.decided_revision == link.revision:
            return counts
        _withdraw(database, link)
        with database.read() as conn:
            link = connections.link(conn, link_id)
            found, aliases = snapshot.load(conn, link), decisions.aliases(conn, link_id)
        matches = match_snapshot(link, found, aliases)
        planned = plan(found, matches)
        if _record(database, clock, link, found, matches, planned, counts):
            return counts
    return counts


def _withdraw(database: Database, link: connections.Link) -> None:
    """What was planned earlier and never sent is decided anew with everything else, but for what is half sent."""
    with database.write() as conn:
        withdrawn = outbox.withdraw(conn, link.id, keep=legs.half_sent(conn, link.id))
        leg_ids = [share.leg_id for posting in withdrawn for share in posting.shares]
        mirror.reopen_movements(conn, link.processor_id, legs.record_withdrawn(conn, link.id, leg_ids))


def model_of(link: connections.Link) -> Model:
    """What the accountant chose, or what is shipped. Raises ModelError if it is of a version that is not known."""
    return Model.from_json(link.model) if link.model else Model()


def match_snapshot(
    link: connections.Link, found: Snapshot, aliases: Sequence[tuple[str, str]], model: Model | None = None
) -> MatchResult:
    """The matcher on the open part of a snapshot, with the link's model unless another one is tried."""
    company = str(link.ledger_id)
    sums = fee_sums(found)
    processor = processor_frame(
        company,
        found.charges.values(),
        found.refunds.values(),
        found.disputes.values(),
        found.payouts.values(),
        found.movements,
        found.invoice_payments,
        found.processor_invoices.values(),
        found.customers.values(),
        fee_rows(sums),
    )
    said = decisions_frame(decision for decisions in found.decisions.values() for decision in decisions)
    known = pl.DataFrame([(company, *each) for each in aliases], schema=ALIASES_SCHEMA, orient="row")
    ledger = ledger_frame(company, found.documents.values(), found.mappings.clearing)
    return match(processor, ledger, Rules(), said, model or model_of(link), known)


def _record(
    database: Database,
    clock: Clock,
    link: connections.Link,
    found: Snapshot,
    matches: MatchResult,
    planned: Plan,
    counts: dict[str, int],
) -> bool:
    """False if the snapshot went stale on the way; then the rest was not recorded."""
    facts = {movement.id: _facts(found, movement) for movement in found.movements}
    for batch in _batches(planned):
        with database.write() as conn:
            if connections.link(conn, link.id).revision != link.revision or _is_decided(conn, link, batch):
                return False
            _record_batch(conn, clock, link, found, matches, batch, facts, counts)
    with database.write() as conn:
        if connections.link(conn, link.id).revision == link.revision:
            mirror.close_credit_notes(conn, link.processor_id, planned.settled_notes)
        connections.record_decided(conn, link.id, link.revision)
    return True


def _is_decided(conn: Any, link: connections.Link, batch: _Batch) -> bool:
    """Whether another worker has decided some of it meanwhile, and perhaps posted it already."""
    movements = sorted({decision.leg.movement_id for decision in batch.decisions})
    known = legs.decided(conn, link.id, movements)
    return any(known.get(decision.leg.id) for decision in batch.decisions)


def _record_batch(
    conn: Any,
    clock: Clock,
    link: connections.Link,
    found: Snapshot,
    matches: MatchResult,
    batch: _Batch,
    facts: dict[str, MovementFacts],
    counts: dict[str, int],
) -> None:
    now = clock.now()
    counts["planned"] += outbox.plan(
        conn, link_id=link.id, connection_id=link.ledger_id, postings=batch.postings, at=now
    )
    changed = legs.record(conn, link.id, batch.decisions, facts, now)
    _adopt(conn, link, batch, now)
    for state in ("matched", "waiting"):
        counts[state] += sum(decision.state == state and not decision.markers for decision in changed)
    mirror.claim(conn, link.ledger_id, _used_up(found, batch))
    mirror.close_movements(conn, link.processor_id, _settled(found, batch))
    sources = sorted({decision.source_id for decision in batch.decisions})
    rows = [row for source in sources for row in _match_rows(matches.verdict(source), matches.told)]
    legs.record_matches(conn, link.id, sources, rows, now)
    audit.append(conn, now, [_entry(link.id, decision) for decision in changed])


def _used_up(found: Snapshot, batch: _Batch) -> list[str]:
    """Documents that record what was matched and nothing else: of several lines on the clearing account, who knows."""
    matched = {
        document_id
        for decision in batch.decisions
        if decision.state == "matched"
        for document_id in decision.document_ids
    }
    documents, clearing = found.documents, found.mappings.clearing
    return [each for each in matched if each not in documents or len(on_clearing(documents[each], clearing)) <= 1]


def _adopt(conn: Any, link: connections.Link, batch: _Batch, now: datetime) -> None:
    """A database restored from a backup plans what it has already posted: the books show the marker."""
    marked = mirror.load_marked(conn, link.ledger_id, [posting.marker for posting in batch.postings])
    for posting in outbox.adopt(conn, link.id, marked, now):
        legs.record_posted(conn, link.id, [share.leg_id for share in posting.shares])
        detail = {"document": marked[posting.marker].id}
        entry = audit.Entry(
            actor="tieout", action="found posted", subject=posting.marker, link_id=link.id, detail=detail
        )
        audit.append(conn, now, [entry])


def _batches(planned: Plan) -> Iterator[_Batch]:
    """The plan by Stripe object: an object's postings and legs stay together. Postings of no leg come first."""
    source_of_leg = {decision.leg.id: decision.source_id for decision in planned.decisions}
    by_source: dict[str, _Batch] = defaultdict(_Batch)
    for posting in planned.postings:
        source = source_of_leg[posting.shares[0].leg_id] if posting.shares else ""
        by_source[source].postings.append(posting)
    for decision in planned.decisions:
        by_source[decision.source_id].decisions.append(decision)
    # Postings keep their order, so that what others come after is written first.
    order = list(by_source)
    for start in range(0, len(order), BATCH):
        batch = _Batch()
        for source in order[start : start + BATCH]:
            batch.postings += by_source[source].postings
            batch.decisions += by_source[source].decisions
        yield batch


def _settled(found: Snapshot, batch: _Batch) -> list[str]:
    """Movements of which nothing is left to decide."""
    open_legs = {d.leg.id for d in batch.decisions if d.state == "waiting" and not d.markers}
    touched = {decision.leg.movement_id for decision in batch.decisions}
    return [
        movement.id
        for movement in found.movements
        if movement.id in touched and not any(leg.id in open_legs for leg in legs_of(movement))
    ]


def _facts(found: Snapshot, movement: Movement) -> MovementFacts:
    day = book_day(movement.created_at, found.time_zone)
    return MovementFacts(
        dated=day,
        created_at=movement.created_at,
        before_cutover=day < found.cutover,
        balance_type=movement.balance_type,
    )


def _match_rows(verdict: Verdict, told: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The answers found for one Stripe object, the best first, as a person will see them."""
    return [
        {
            "id": proposal.match_id,
            "source_id": verdict.processor_id,
            "decision": "auto" if proposal.match_id == verdict.match_id and verdict.decision == "auto" else "proposed",
            "tier": proposal.tier,
            "rank": proposal.rank,
            "role": proposal.role,
            "probability_ppm": proposal.probability_ppm,
            "reasons": list(proposal.reasons),
            "allocations": [
                {"ledger_id": part.ledger_id, "amount_minor": part.amount_minor} for part in proposal.allocations
            ],
            "evidence": told.get(proposal.match_id, []),
        }
        for proposal in verdict.proposals
    ]


def _entry(link_id: int, decision: LegDecision) -> audit.Entry:
    return audit.Entry(
        actor="tieout",
        action=f"{'planned' if decision.markers and decision.state == 'waiting' else decision.state}",
        subject=decision.leg.id,
        link_id=link_id,
        detail={
            "reason": decision.reason,
            "detail": decision.detail,
            "documents": list(decision.document_ids),
            "markers": list(decision.markers),
        },
    )
