"""Match and plan: what is open is matched as a whole, for all of it competes, then planned and recorded in pieces.

It is computed outside any transaction and recorded in small ones, each of which checks that nothing has changed since;
if it has, all is computed anew. What was recorded until then stays: a leg with a posting is not planned again.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import polars as pl

from reconcile.days import book_day
from reconcile.frames import on_clearing
from reconcile.legs import legs_of
from reconcile.matching import MatchResult, Verdict, match
from reconcile.model import Model
from reconcile.pieces import divide, documents_of, part_of
from reconcile.plan import plan
from reconcile.postings import LegDecision, Plan, Posting
from reconcile.records import Movement
from reconcile.snapshot import Snapshot
from storage import audit, connections, legs, mirror, outbox, snapshot, work
from storage.engine import Database
from storage.legs import MovementFacts
from storage.work import Work
from sync import recorded
from sync.booking import take_up
from sync.errors import Transient
from sync.ports import Clock
from sync.recorded import Recorded

ROUNDS = 10  # a link whose data changes faster than this waits for the next sync
PIECE = 1_000  # movements planned together, with all that belongs to them
BATCH = 100  # Stripe objects recorded in one transaction
WITHDRAWN = 1_000  # postings taken back in one transaction

Progress = Callable[[int, int], None]  # movements decided, of how many
Answers = Mapping[str, list[dict[str, Any]]]  # by Stripe object, as they are stored


@dataclass
class _Batch:
    """Everything decided about some Stripe objects: recorded together or not at all."""

    postings: list[Posting] = field(default_factory=list)
    decisions: list[LegDecision] = field(default_factory=list)


def decide(
    database: Database,
    clock: Clock,
    link_id: int,
    progress: Progress = lambda *_: None,
    size: int = PIECE,
) -> dict[str, int]:
    """Decides what can be decided of a link; gives counts (`planned`, `matched`, `waiting`).

    Raises Transient if something changed each time before all was recorded: what is planned then is not sent.
    """
    counts = {"planned": 0, "matched": 0, "waiting": 0}
    for _ in range(ROUNDS):
        with database.read() as conn:
            link = connections.link(conn, link_id)
        if link.decided_revision == link.revision:
            return counts
        _withdraw(database, link)
        with database.read() as conn:
            link = connections.link(conn, link_id)
            found = work.load(conn, link)
        deciding = _Round(database, clock, link, found, match_work(link, found), counts)
        if deciding.run(progress, size):
            return counts
    raise Transient("Records kept changing while Tieout decided on them. Nothing is lost; the next sync goes on.")


def _withdraw(database: Database, link: connections.Link) -> None:
    """What was planned earlier and never sent is decided anew with everything else, but for what is half sent.

    In several transactions: nothing is sent until all is decided.
    """
    with database.read() as conn:
        keep = legs.half_sent(conn, link.id)
    withdrawn = WITHDRAWN
    while withdrawn == WITHDRAWN:
        with database.write() as conn:
            postings = outbox.withdraw(conn, link.id, keep=keep, limit=WITHDRAWN)
            leg_ids = [share.leg_id for posting in postings for share in posting.shares]
            mirror.reopen_movements(conn, link.processor_id, legs.record_withdrawn(conn, link.id, leg_ids))
            withdrawn = len(postings)


def model_of(link: connections.Link) -> Model:
    """What the accountant chose, or what is shipped. Raises ModelError if it is of a version that is not known."""
    return Model.from_json(link.model) if link.model else Model()


def match_work(link: connections.Link, found: Work, model: Model | None = None) -> MatchResult:
    """The matcher on all that is open, with the link's model unless another one is tried."""
    return match(
        found.processor, found.ledger, link.policies.matching, found.decisions, model or model_of(link), found.aliases
    )


@dataclass
class _Round:
    """One view of what is open, matched as a whole, then planned and recorded piece by piece."""

    database: Database
    clock: Clock
    link: connections.Link
    work: Work
    matches: MatchResult
    counts: dict[str, int]
    taken: dict[str, int] = field(default_factory=dict)  # by documents, as planned so far
    opened: set[str] = field(default_factory=set)  # markers of the opening balances, which every piece plans
    _sums: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # of fees, by movement

    def __post_init__(self) -> None:
        for each in self.work.sums:
            for leg_id in each.leg_ids:
                self._sums[leg_id.partition(":")[0]].add(each.id)

    def run(self, progress: Progress, size: int) -> bool:
        """False if the view went stale on the way; then the rest was not recorded."""
        done, outline = 0, self.work.outline
        for piece in divide(outline, size, self.matches):
            if not self._plan_piece(piece):
                return False
            done += piece.height
            progress(done, outline.height)
        return self._close_disputes(set(outline["source_id"])) and self._finish()

    def _plan_piece(self, piece: pl.DataFrame) -> bool:
        ids = {*piece["movement_id"], *piece["source_id"], *piece["family"]}
        ids |= {each for movement_id in piece["movement_id"] for each in self._sums.get(movement_id, ())}
        matches = part_of(self.matches, ids)
        with self.database.read() as conn:
            if self._is_stale(conn):
                return False
            documents = documents_of(matches)
            found = snapshot.load(conn, self.link, self.work.common, piece["movement_id"], documents)
            ours = recorded.load(conn, self.link, found)
        return self._record(*self._plan(found, matches, ours))

    def _plan(
        self, found: Snapshot, matches: MatchResult, ours: Sequence[Recorded]
    ) -> tuple[Snapshot, MatchResult, Plan]:
        """With what our own documents record as they do, as far as it would be planned just so."""
        while True:
            assumed = recorded.assume(found, matches, ours)
            planned = plan(*assumed, sums=self.work.sums)
            agreed = [each for each in ours if recorded.is_planned(planned, each)]
            if len(agreed) == len(ours):
                return *assumed, recorded.without_taken(planned, ours)
            ours = agreed

    def _close_disputes(self, handled: set[str]) -> bool:
        """Those none of whose movements is open."""
        matches = part_of(self.matches, ())
        with self.database.read() as conn:
            ids = mirror.ids_of(conn, self.link.processor_id, "dispute")
        for chunk in mirror.chunks(sorted(ids - handled)):
            with self.database.read() as conn:
                if self._is_stale(conn):
                    return False
                disputes = mirror.load(conn, self.link.processor_id, "dispute", chunk)
                found = snapshot.load_disputes(conn, self.link, self.work.common, disputes.values())
            if not self._record(found, matches, plan(found, matches, sums=())):
                return False
        return True

    def _finish(self) -> bool:
        """Credit notes at last: they take only what payments leave."""
        matches = part_of(self.matches, ())
        with self.database.read() as conn:
            if self._is_stale(conn):
                return False
            found = snapshot.load_notes(conn, self.link, self.work.common)
        planned = plan(found, matches, sums=(), taken=self.taken)
        if not self._record(found, matches, planned):
            return False
        with self.database.write() as conn:
            if not self._is_stale(conn):
                mirror.close_credit_notes(conn, self.link.processor_id, planned.settled_notes)
            connections.record_decided(conn, self.link.id, self.link.revision)
        return True

    def _is_stale(self, conn: Any) -> bool:
        return connections.revision(conn, self.link.id) != self.link.revision

    def _record(self, found: Snapshot, matches: MatchResult, planned: Plan) -> bool:
        """False if something has changed since; then the rest was not recorded."""
        planned = replace(planned, postings=tuple(each for each in planned.postings if each.marker not in self.opened))
        self.opened |= {each.marker for each in planned.postings if not each.shares}
        self.taken |= planned.taken
        sources = {each.source_id for each in planned.decisions}
        answers = {each: _match_rows(matches.verdict(each), matches.told) for each in sources}
        with self.database.read() as conn:
            same = legs.unchanged(conn, self.link.id, planned.decisions, answers)
        recorder = _Recorder(self.clock, self.link, found, answers, self.counts)
        for batch in _batches(planned, but_for=same):
            with self.database.write() as conn:
                if self._is_stale(conn) or _is_decided(conn, self.link, batch):
                    return False
                recorder.record(conn, batch)
        return True


def _is_decided(conn: Any, link: connections.Link, batch: _Batch) -> bool:
    """Whether another worker has decided some of it meanwhile, and perhaps posted it already."""
    movements = sorted({decision.leg.movement_id for decision in batch.decisions})
    known = legs.decided(conn, link.id, movements)
    return any(known.get(decision.leg.id) for decision in batch.decisions)


class _Recorder:
    """Records what was decided of a snapshot."""

    def __init__(
        self, clock: Clock, link: connections.Link, found: Snapshot, answers: Answers, counts: dict[str, int]
    ) -> None:
        self._clock, self._link, self._found, self._answers, self._counts = clock, link, found, answers, counts
        self._movements = {movement.id: movement for movement in found.movements}
        self._facts = {movement.id: _facts(found, movement) for movement in found.movements}

    def record(self, conn: Any, batch: _Batch) -> None:
        now, link, counts = self._clock.now(), self._link, self._counts
        counts["planned"] += outbox.plan(
            conn, link_id=link.id, connection_id=link.ledger_id, postings=batch.postings, at=now
        )
        changed = legs.record(conn, link.id, batch.decisions, self._facts, now)
        _take_up(conn, link, batch, now)
        for state in ("matched", "waiting"):
            counts[state] += sum(decision.state == state and not decision.markers for decision in changed)
        mirror.claim(conn, link.ledger_id, self._used_up(batch))
        mirror.close_movements(conn, link.processor_id, self._settled(batch))
        sources = sorted({decision.source_id for decision in batch.decisions})
        rows = [row for each in sources for row in self._answers[each]]
        legs.record_matches(conn, link.id, sources, rows, now)
        audit.append(conn, now, [_entry(link.id, decision) for decision in changed])

    def _used_up(self, batch: _Batch) -> list[str]:
        """Documents that record what was matched and nothing else: of several lines on clearing, who knows."""
        matched = {
            document_id
            for decision in batch.decisions
            if decision.state == "matched"
            for document_id in decision.document_ids
        }
        documents, clearing = self._found.documents, self._found.mappings.clearing
        return [each for each in matched if each not in documents or len(on_clearing(documents[each], clearing)) <= 1]

    def _settled(self, batch: _Batch) -> list[str]:
        """Movements of which nothing is left to decide."""
        open_legs = {decision.leg.id for decision in batch.decisions if legs.is_idle(decision)}
        touched = {decision.leg.movement_id for decision in batch.decisions}
        return [
            each for each in sorted(touched) if not any(leg.id in open_legs for leg in legs_of(self._movements[each]))
        ]


def _take_up(conn: Any, link: connections.Link, batch: _Batch, now: datetime) -> None:
    """A database restored from a backup plans what it has already posted: the books show the marker."""
    kinds = sorted({posting.kind for posting in batch.postings})
    marked = mirror.load_marked(conn, link.ledger_id, [posting.marker for posting in batch.postings], kinds)
    if marked:
        take_up(conn, link.ledger_id, list(outbox.by_marker(conn, link.ledger_id, sorted(marked)).values()), now)


def _batches(planned: Plan, but_for: set[str]) -> Iterator[_Batch]:
    """The plan by Stripe object: an object's postings and legs stay together. Postings of no leg come first.

    `but_for` are objects of which there is nothing new to record.
    """
    source_of_leg = {decision.leg.id: decision.source_id for decision in planned.decisions}
    by_source: dict[str, _Batch] = defaultdict(_Batch)
    for posting in planned.postings:
        source = source_of_leg[posting.shares[0].leg_id] if posting.shares else ""
        by_source[source].postings.append(posting)
    for decision in planned.decisions:
        by_source[decision.source_id].decisions.append(decision)
    # Postings keep their order, so that what others come after is written first.
    order = [source for source in by_source if source not in but_for]
    for start in range(0, len(order), BATCH):
        batch = _Batch()
        for source in order[start : start + BATCH]:
            batch.postings += by_source[source].postings
            batch.decisions += by_source[source].decisions
        yield batch


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
