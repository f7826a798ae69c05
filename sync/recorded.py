"""Charges that documents of our own record, of which this database knows nothing: it was restored from a backup.

The invoice such a charge paid is paid in the books, so that matching has nothing left to offer. But the document says
what was decided then. It is assumed once more; if exactly this document would be planned for it, under the same marker,
it is, and is found posted in the same transaction. Whatever differs waits for a person.
"""

from collections import ChainMap, Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reconcile.choices import How, PersonDecision
from reconcile.matching import Allocation, MatchResult, Proposal, Verdict
from reconcile.postings import Plan
from reconcile.records import Document, Movement
from reconcile.snapshot import Snapshot
from storage import mirror, outbox, snapshot
from storage.connections import Link
from storage.outbox import Item
from sync.difference import difference

STEPS = 9  # customers, at most, that one charge is divided among
HOW: Mapping[str, How] = {"payment": "unapplied_payment", "sales_receipt": "sales_receipt"}  # without an invoice
KINDS = tuple(HOW)
ASIDE = ("ignore", "undone")  # what people decided that no document can say otherwise
INVOICE = "invoice:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A charge, the documents of ours that record it, in the order of their steps, and the invoices those pay."""

    charge_id: str
    documents: tuple[Document, ...]
    invoices: tuple[Document, ...]

    @property
    def paid(self) -> Counter[str]:
        """What the documents pay of each invoice, in minor units of its currency."""
        return sum((_applied(each) for each in self.documents), Counter[str]())


def load(conn: Any, link: Link, found: Snapshot) -> list[Recorded]:
    """Of the charges of a snapshot that are not decided: those whose every document stands, once, and unclaimed."""
    ours = _documents(conn, link, found)
    named = {part.id for documents in ours.values() for each in documents for part in each.applied}
    invoices = snapshot.load_documents(conn, link.ledger_id, {each for each in named if each.startswith(INVOICE)})
    recorded = []
    for charge_id, documents in ours.items():
        paid = sorted({part.id for each in documents for part in each.applied})
        if all(_is_of_others(each, invoices) for each in paid):
            theirs = tuple(invoices[each] for each in paid)
            recorded.append(Recorded(charge_id=charge_id, documents=documents, invoices=theirs))
    return recorded


def _documents(conn: Any, link: Link, found: Snapshot) -> dict[str, tuple[Document, ...]]:
    """By charge."""
    movements = [each for each in found.movements if _is_open(found, each)]
    first = mirror.load_marked(conn, link.ledger_id, [_marker(each, 1) for each in movements], KINDS)
    heads = [each for each in movements if _marker(each, 1) in first]
    if not heads:
        return {}
    later = [_marker(each, step) for each in heads for step in range(2, STEPS + 1)]
    marked = first | mirror.load_marked(conn, link.ledger_id, later, KINDS)
    rows = outbox.by_marker(conn, link.ledger_id, sorted(marked))
    ours = {}
    for each in heads:
        markers = [marker for step in range(1, STEPS + 1) if (marker := _marker(each, step)) in marked]
        if all(_is_free(marked[marker], rows.get(marker)) for marker in markers):
            ours[each.source_id or ""] = tuple(marked[marker][0] for marker in markers)
    return ours


def _is_open(found: Snapshot, movement: Movement) -> bool:
    """A charge of which nothing is decided, and of which nobody said that it is not to be posted."""
    is_charge = movement.category == "charge" and movement.source_id in found.charges
    aside = any(each.kind in ASIDE for each in found.decisions.get(movement.source_id or "", ()))
    return is_charge and not aside and f"{movement.id}:gross" not in found.decided_legs


def _marker(movement: Movement, step: int) -> str:
    return f"{movement.id}:charge:r1:s{step}"


def _is_free(several: Sequence[Document], row: Item | None) -> bool:
    """One document, which stands, and no posting that it could be of."""
    return len(several) == 1 and not several[0].voided and (row is None or row.state == "withdrawn")


def _is_of_others(document_id: str, invoices: Mapping[str, Document]) -> bool:
    """An invoice that we did not make: those of ours are planned together with their payment."""
    return document_id in invoices and invoices[document_id].marker is None and not invoices[document_id].voided


def assume(found: Snapshot, matches: MatchResult, ours: Sequence[Recorded]) -> tuple[Snapshot, MatchResult]:
    """The books as they were before these documents, and matched as they say."""
    if not ours:
        return found, matches
    paid = sum((each.paid for each in ours), Counter[str]())
    invoices = {invoice.id: invoice for each in ours for invoice in each.invoices}
    opened = {each.id: replace(each, open_minor=each.open_minor + paid[each.id]) for each in invoices.values()}
    without = {each.charge_id: (_without_invoice(each),) for each in ours if not each.invoices}
    verdicts = ChainMap({each.charge_id: _verdict(each) for each in ours}, dict(matches.verdicts))
    assumed = replace(found, documents=found.documents | opened, decisions=found.decisions | without)
    return assumed, replace(matches, verdicts=verdicts)


def _without_invoice(recorded: Recorded) -> PersonDecision:
    first = recorded.documents[0]
    return PersonDecision(
        source_id=recorded.charge_id,
        kind="record_without_invoice",
        actor="tieout",
        how=HOW[first.kind],
        customer_id=first.customer_id,
    )


def _verdict(recorded: Recorded) -> Verdict:
    if not recorded.invoices:
        return Verdict(processor_id=recorded.charge_id)
    parts = tuple(Allocation(ledger_id=each, amount_minor=amount) for each, amount in sorted(recorded.paid.items()))
    names = " and ".join(f"{each.kind} {each.ledger_id}" for each in recorded.documents)
    text = f"QuickBooks shows what Tieout had posted for it: {names}."
    match_id = f"{recorded.charge_id}={'+'.join(part.ledger_id for part in parts)}"
    proposal = Proposal(
        match_id=match_id, tier="recorded", role="pays_invoice", rank=1, allocations=parts, reasons=(text,)
    )
    return Verdict(
        processor_id=recorded.charge_id,
        decision="auto",
        role="pays_invoice",
        tier="recorded",
        match_id=match_id,
        allocations=parts,
        proposals=(proposal,),
        text=text,
    )


def is_planned(planned: Plan, recorded: Recorded) -> bool:
    """Whether these documents are what would be posted: none more, none less, and the same content."""
    head = recorded.documents[0].marker or ""
    steps = head.removesuffix("1")
    postings = {each.marker: each for each in planned.postings if each.marker.startswith(steps)}
    return postings.keys() == {each.marker for each in recorded.documents} and all(
        posting.kind == document.kind
        and difference(posting, document) is None
        and _applied(posting) == _applied(document)
        for document in recorded.documents
        for posting in (postings[document.marker or ""],)
    )


def without_taken(planned: Plan, ours: Sequence[Recorded]) -> Plan:
    """What these documents take of invoices the books show as taken already."""
    taken = Counter(planned.taken)
    for each in ours:
        taken.subtract(each.paid)
    return replace(planned, taken=dict(+taken))


def _applied(booked: Any) -> Counter[str]:
    """By invoice, of a posting or a document."""
    found = Counter[str]()
    for part in booked.applied:
        found[part.id] += part.amount_minor
    return found
